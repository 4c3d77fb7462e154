"""Real reverse proxies on a free port: as docs/proxies.md sets them up, and as they are without any care."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
_MODULES = "/usr/lib/apache2/modules"


@dataclass(frozen=True)
class Proxy:
    """One program. careless: its shortest configuration. whole: a configuration around a block. command: to run it.

    In `whole` the signs {block}, {port} and {folder} are filled in; a block names the service at 127.0.0.1:8642.
    """

    name: str
    program: str
    careless: str
    whole: str
    command: tuple[str, ...]
    bound: Callable[[str, int], str] = lambda block, _: block

    @property
    def path(self) -> str | None:
        return shutil.which(self.program, path=_PATH)

    def documented(self) -> str:
        """The block of docs/proxies.md."""
        found = re.search(rf"```{self.name}\n(.*?)```", (ROOT / "docs/proxies.md").read_text("utf-8"), re.DOTALL)
        assert found, f"docs/proxies.md has no block for {self.name}"
        return found[1]

    def start(self, folder: Path, port: int, service: int, block: str) -> subprocess.Popen[bytes]:
        """Run it in the foreground, in front of the service's port."""
        folder.mkdir(parents=True, exist_ok=True)
        block = self.bound(block, port).replace("127.0.0.1:8642", f"127.0.0.1:{service}")
        text = self.whole
        for sign, value in (("{block}", block), ("{port}", str(port)), ("{folder}", str(folder))):
            text = text.replace(sign, value)
        file = folder / f"{self.name}.conf"
        file.write_text(text)
        command = [part.replace("{folder}", str(folder)).replace("{file}", str(file)) for part in self.command]
        environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with (folder / "log").open("wb") as log:
            return subprocess.Popen([self.path or self.program, *command], stdout=log, stderr=log, env=environment)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End what a test has started."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


NGINX = Proxy(
    "nginx",
    "nginx",
    "location / { proxy_pass http://127.0.0.1:8642; }",
    """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events { }
http {
    access_log off;
    client_body_buffer_size 16m;  # its workers may not enter the folders of tests
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {
        listen 127.0.0.1:{port};
        {block}
    }
}
""",
    ("-p", "{folder}", "-c", "{file}"),
)
CADDY = Proxy(
    "caddy",
    "caddy",
    "home.example {\n    reverse_proxy 127.0.0.1:8642\n}",
    "{\n    admin off\n    auto_https off\n}\n{block}",
    ("run", "--adapter", "caddyfile", "--config", "{file}"),
    lambda block, port: block.replace("home.example {", f"http://127.0.0.1:{port}, http://home.example:{port} {{"),
)
HAPROXY = Proxy(
    "haproxy",
    "haproxy",
    "frontend web\n    bind :80\n    default_backend lookout\nbackend lookout\n    server lookout 127.0.0.1:8642\n",
    """
global
    maxconn 200
    {user}
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
{block}
""".replace("{user}", "uid 65534" if os.geteuid() == 0 else ""),  # Debian's has an account of its own
    ("-db", "-f", "{file}"),
    lambda block, port: block.replace("bind :80", f"bind 127.0.0.1:{port}"),
)
APACHE = Proxy(
    "apache",
    "apache2",
    "ProxyPass / http://127.0.0.1:8642/",
    "\n".join(
        (
            *(
                f"LoadModule {name}_module {_MODULES}/mod_{name}.so"
                for name in ("mpm_event", "authz_core", "alias", "headers", "proxy", "proxy_http")
            ),
            "ServerName localhost",
            "PidFile {folder}/apache.pid",
            "ErrorLog {folder}/error.log",
            "Listen 127.0.0.1:{port}",
            "User #33" if os.geteuid() == 0 else "",
            "{block}\n",
        )
    ),
    ("-d", "{folder}", "-f", "{file}", "-DFOREGROUND"),
)
ALL = (NGINX, CADDY, HAPROXY, APACHE)
