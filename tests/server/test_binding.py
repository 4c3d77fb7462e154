"""The listening socket: ours, so that newest wins below us too, and a port that is taken is one sentence."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lookout.auth.names import is_loopback
from lookout.auth.tokens import TokenStore
from lookout.errors import AddressInUse, SettingInvalid, StateFolderUnusable
from lookout.server import addresses, binding
from lookout.server.addresses import address_of
from lookout.server.binding import NOT_SENT_LOW_WATER_BYTES, SEND_BUFFER_BYTES, listen
from lookout.server.door import may_have_token, refuse_open_door
from lookout.server.listener import Capacity
from lookout.settings.schema import ServerSettings, Settings


def settings_of(**changes: Any) -> ServerSettings:
    return ServerSettings.model_validate({"port": 0} | changes)


@contextlib.contextmanager
def listening(**changes: Any) -> Iterator[socket.socket]:
    with contextlib.closing(listen(settings_of(**changes))) as listener:
        yield listener


def test_it_listens_and_does_not_block() -> None:
    with listening() as listener:
        assert listener.getblocking() is False
        with socket.create_connection(listener.getsockname(), timeout=1.0):
            pass


def test_what_is_accepted_has_short_queues() -> None:
    """A slow reader's old pictures must not pile up in the kernel."""
    with listening() as listener, socket.create_connection(listener.getsockname(), timeout=1.0):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            low_water = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            buffer = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert low_water == NOT_SENT_LOW_WATER_BYTES == 16 * 1024
    assert buffer <= 2 * SEND_BUFFER_BYTES == 128 * 1024, "Linux reports twice what was asked for"


def test_connections_leave_descriptors_and_endless_handshakes_give_way() -> None:
    """Those in a TLS handshake that never comes: no protocol knows them, so nothing else counts them."""
    few, made = Capacity(served=0, accepted=3), set[object]()
    with contextlib.closing(listen(settings_of(), few)) as listener, contextlib.ExitStack() as open_ones:
        listener.is_made = made.__contains__

        def accept() -> socket.socket | None:
            for _ in range(9):  # after each one it lets others have a turn
                with contextlib.suppress(BlockingIOError):
                    return open_ones.enter_context(listener.accept()[0])
            return None

        clients = [open_ones.enter_context(socket.create_connection(listener.getsockname(), 1.0)) for _ in range(5)]
        made.update(client.getsockname() for client in clients[:3])
        accepted = [accept() for _ in range(3)]
        assert None not in accepted
        assert accept() is None
        assert [client.recv(1) for client in clients[3:]] == [b"", b""], "closed, not left waiting"
        made.remove(clients[1].getsockname())
        clients.append(open_ones.enter_context(socket.create_connection(listener.getsockname(), 1.0)))
        assert accept() is not None
        assert clients[1].recv(1) == b"", "it gave way"


def test_without_descriptors_connections_are_closed_and_the_loop_is_not_woken_for_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening() as listener, contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(socket.create_connection(listener.getsockname(), 1.0)) for _ in range(3)]
        used = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        try:
            holes = []
            with contextlib.suppress(OSError):
                while True:
                    holes.append(os.dup(listener.fileno()))
            with pytest.raises(BlockingIOError):
                listener.accept()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for hole in holes:
                os.close(hole)
        assert [client.recv(1) for client in clients] == [b""] * 3
    assert caplog.text.count("No file descriptor is left") == 1


@pytest.mark.parametrize(("descriptors", "served"), [(1024, 256), (600, 256), (400, 235), (48, 15), (30, 5), (5, 5)])
def test_the_number_of_connections_fits_the_descriptors(descriptors: int, served: int) -> None:
    capacity = Capacity.within(descriptors)
    assert capacity.served == served
    assert capacity.served < capacity.refused < capacity.accepted
    assert capacity.accepted <= max(8, descriptors - 24)


def test_a_taken_port_is_reported_with_how_to_find_its_owner() -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
        with pytest.raises(AddressInUse) as caught:
            listen(settings_of(port=port))
    assert caught.value.exit_code == 5
    assert str(port) in caught.value.detail
    assert f":{port}" in caught.value.remedy


def test_a_port_that_was_just_given_back_can_be_taken_again() -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(listener.getsockname(), timeout=1.0):
            listener.setblocking(True)
            listener.accept()[0].close()  # our end closes first and stays in TIME_WAIT
    with listening(port=port):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_not_ours_may_become_so_and_systemd_tries_again(host: str) -> None:
    """After a boot the network may give this machine its address a moment later."""
    with pytest.raises(SettingInvalid, match="is not an address of this machine") as caught:
        listen(settings_of(host=host))
    unit = (Path(__file__).parents[2] / "systemd" / "lookout.service").read_text()
    final = next(line for line in unit.splitlines() if line.startswith("RestartPreventExitStatus="))
    assert str(caught.value.exit_code) not in final.partition("=")[2].split()


def test_under_a_supervisor_an_address_that_is_not_there_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ending instead meant a start every other second: 126 lines a minute in the journal, and no camera."""
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/none")
    with listening(host="192.0.2.1") as listener:
        assert listener.getsockname()[0] == "192.0.2.1"
    assert "is not an address of this machine yet" in caplog.text


def test_a_port_that_another_lookout_has_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "check", lambda *_: b'{"status":"ok"}')
    with listening() as listener, pytest.raises(AddressInUse, match="another Lookout that runs"):
        listen(settings_of(port=listener.getsockname()[1]))


def test_a_port_of_the_system_needs_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)  # root, who may run these tests, may take any port
    with pytest.raises(SettingInvalid, match="may not listen on port 80"):
        listen(settings_of(port=80))


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("raspberrypi.local", False),
    ],
)
def test_only_loopback_is_this_machine(host: str, is_own: bool) -> None:
    assert is_loopback(host) is is_own


def test_no_door_is_left_open_without_a_token_or_a_word(caplog: pytest.LogCaptureFixture) -> None:
    everywhere = settings_of(host="0.0.0.0")
    with pytest.raises(SettingInvalid) as caught:
        refuse_open_door(everywhere, has_token=False)
    assert "lookout token" in caught.value.remedy
    assert "server.auth" in caught.value.remedy
    refuse_open_door(everywhere, has_token=True)
    refuse_open_door(settings_of(), has_token=False)
    assert caplog.records == []
    refuse_open_door(settings_of(host="0.0.0.0", auth="none"), has_token=False)
    assert "everybody" in caplog.text, "said aloud"


def test_tokens_that_cannot_be_read_keep_no_service_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It ended with exit status 3, for good; now it runs and lets nobody in."""
    assert not may_have_token(settings_of(), TokenStore(tmp_path))
    (tmp_path / "tokens.json").write_text("{")
    assert may_have_token(settings_of(), TokenStore(tmp_path))
    assert "Nobody is admitted" in caplog.text
    with pytest.raises(StateFolderUnusable, match="none"):
        may_have_token(settings_of(token_file=tmp_path / "none"), TokenStore(tmp_path / "new", tmp_path / "none"))


@pytest.mark.parametrize(
    ("host", "changes", "address"),
    [
        ("127.0.0.1", {}, "http://127.0.0.1:8642/"),
        ("0.0.0.0", {}, "http://127.0.0.1:8642/ (from elsewhere http://pi7.local:8642/)"),
        ("::", {}, "http://127.0.0.1:8642/ (from elsewhere http://pi7.local:8642/)"),
        ("::1", {}, "http://[::1]:8642/"),
        ("127.0.0.1", {"root_path": "/lookout"}, "http://127.0.0.1:8642/lookout/"),
        ("127.0.0.1", {"tls_certificate": "/c.pem", "tls_key": "/k.pem"}, "https://127.0.0.1:8642/"),
    ],
)
def test_the_address_is_one_that_opens_in_a_browser(
    monkeypatch: pytest.MonkeyPatch, host: str, changes: dict[str, Any], address: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pi7.fritz.box")
    monkeypatch.setattr(addresses, "_is_container", lambda: False)
    listener: Any = SimpleNamespace(getsockname=lambda: (host, 8642))
    assert address_of(listener, Settings.model_validate({"server": changes})) == address
