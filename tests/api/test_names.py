"""The names a machine answers to: its own in every local domain, and the listed; and what people see for others."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
from lookout.auth.names import HostNames, UnknownName
from lookout.errors import SettingInvalid
from lookout.settings.sources import load


@pytest.fixture
def pi7(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pi7")


def knows(names: HostNames, host: str) -> bool:
    try:
        names.check(host)
    except UnknownName:
        return False
    return True


OWN = [
    "pi7",
    "PI7:8642",
    "pi7.",
    "pi7.local",
    "pi7-2.local",
    "pi7.lan",
    "pi7.home.arpa",
    "pi7.fritz.box:8642",
    "pi7.internal",
    "pi7.tail1234.ts.net",
]
FOREIGN = [
    "pi8.lan",
    "pi7.example",
    "pi7.com",
    "pi7.lan.example",
    "pi7x.lan",
    "xpi7.local",
    "pi7-.local",
    "pi7-2.example",
    "evil.pi7.local",
    ".lan",
    "ts.net",
    "pi7.evilts.net",
]


@pytest.mark.usefixtures("pi7")
def test_the_machine_is_known_by_its_own_name_in_every_local_domain(tmp_path: Path) -> None:
    names = HostNames([], tmp_path / "none")
    assert [host for host in OWN if not knows(names, host)] == []
    assert [host for host in FOREIGN if knows(names, host)] == []


@pytest.mark.usefixtures("pi7")
def test_a_domain_that_comes_with_the_network_counts(tmp_path: Path) -> None:
    resolver = tmp_path / "resolv.conf"
    names = HostNames([], resolver)
    assert not knows(names, "pi7.corp.example")
    resolver.write_text("# made by NetworkManager\nsearch corp.example other.example.\nnameserver 192.0.2.1\n")
    assert knows(names, "pi7.corp.example")
    assert knows(names, "pi7.other.example")
    assert not knows(names, "corp.example")
    assert not knows(names, "pi8.corp.example")


def test_a_renamed_machine_is_known_by_its_new_name_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = HostNames([])
    monkeypatch.setattr(socket, "gethostname", lambda: "old")
    assert knows(names, "old.local")
    monkeypatch.setattr(socket, "gethostname", lambda: "new")
    assert knows(names, "new.local")
    assert not knows(names, "old.local")


@pytest.mark.parametrize(
    ("listed", "known", "unknown"),
    [
        ("*.example.org", ["a.example.org", "a.b.example.org"], ["example.org", "aexample.org", "a.example.org.evil"]),
        ("cam*.lan", ["cam.lan", "cam7.lan:80"], ["cam.x.lan", "acam.lan"]),
        ("küche.example", ["xn--kche-0ra.example"], ["kche.example"]),
        ("Cam.Example.", ["cam.example", "CAM.example."], ["a.cam.example"]),
    ],
)
def test_listed_names_may_hold_stars(listed: str, known: list[str], unknown: list[str]) -> None:
    names = HostNames([listed])
    assert [host for host in known if not knows(names, host)] == []
    assert [host for host in unknown if knows(names, host)] == []


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("allowed_hosts", "https://cam.example", "is not a name"),
        ("allowed_hosts", "cam.example:8642", "is not a name"),
        ("allowed_hosts", "cam.example/", "is not a name"),
        ("allowed_hosts", "cam .example", "is not a name"),
        ("allowed_frames", "https://home.example; script-src *", "is not a site"),
        ("allowed_frames", "https://home.example/path", "is not a site"),
        ("allowed_origins", "home.example", "is not an origin"),
        ("trusted_proxies", "nginx", "is not an address"),
    ],
)
def test_a_list_that_could_never_work_is_refused_with_its_form(
    key: str, value: str, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "lookout.toml"
    file.write_text(f'[server]\n{key} = ["{value}"]\n')
    with pytest.raises(SettingInvalid, match=sentence):
        load({}, file, {})


def test_lists_that_work_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "lookout.toml"
    file.write_text(
        '[server]\nallowed_hosts = ["*", "*.example.org", "cam_1", "10.0.0.2"]\n'
        'allowed_frames = ["https://home.example:8123", "*.example.org", "https://home.example/", "http://[::1]:80"]\n'
        'trusted_proxies = ["10.0.0.0/8", "::1", "*"]\n'
    )
    load({}, file, {})


BROWSER = {"Host": "pi7.example:8642", "Accept": "text/html,application/xhtml+xml"}


def test_a_person_gets_a_page_whose_remedy_is_true(client: httpx.Client) -> None:
    page = client.get("", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for words in ("<b>pi7.example</b>", 'allowed_hosts = ["pi7.example"]', "start it again"):
        assert words in page.text
    assert "<script" not in page.text
    assert "link" not in page.text, "whatever the page loads would be refused for the same name"
    chinese = client.get("api/state", headers=BROWSER | {"Accept-Language": "zh-TW,zh;q=0.9"}).text
    assert "zh-Hant" in chinese


def test_a_name_cannot_write_into_the_page(client: httpx.Client) -> None:
    page = client.get("", headers=BROWSER | {"Host": '<script>alert(1)</script>&"'})
    assert page.status_code == 403
    assert "<script" not in page.text


def test_a_program_gets_a_problem_that_says_the_same(client: httpx.Client) -> None:
    problem = client.get("", headers={"Host": "pi7.example"}).json()
    assert problem["detail"] == 'Lookout does not know the name "pi7.example".'
    assert 'add "pi7.example" to server.allowed_hosts' in problem["remedy"]
