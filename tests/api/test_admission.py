"""Nobody tries out tokens at the speed of the network, and nobody is kept out by somebody who tries."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lookout.auth.admission import HOLD_S, MAX_OF_ALL, MAX_OF_ONE, Admission
from lookout.auth.tokens import TokenStore
from lookout.errors import TooManyAttempts

from tests.api.conftest import StartService


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "state")


def guesses(admission: Admission, count: int, address: str) -> int:
    """How many of that number of wrong tokens are checked."""

    async def guess() -> int:
        looked_at = 0
        for number in range(count):
            try:
                assert await admission.token(f"wrong {number}", address) is None
                looked_at += 1
            except TooManyAttempts:
                pass
        return looked_at

    return asyncio.run(guess())


def test_only_some_wrong_tokens_a_second_are_looked_at(store: TokenStore) -> None:
    clock = Clock()
    admission = Admission(store, clock)
    assert guesses(admission, 1000, "192.0.2.7") == MAX_OF_ONE
    clock.now += HOLD_S / 2
    assert guesses(admission, 1000, "192.0.2.7") == 0
    clock.now += HOLD_S
    assert guesses(admission, 1000, "192.0.2.7") == MAX_OF_ONE


def test_many_addresses_do_not_help(store: TokenStore) -> None:
    admission = Admission(store, Clock())
    assert sum(guesses(admission, 10, f"2001:db8::{number:x}") for number in range(50)) == MAX_OF_ONE
    assert guesses(admission, 10, "::ffff:192.0.2.7") == MAX_OF_ONE
    assert guesses(admission, 10, "192.0.2.7") == 0
    assert sum(guesses(admission, 10, f"198.51.100.{number}") for number in range(200)) == MAX_OF_ALL - 2 * MAX_OF_ONE


def test_while_somebody_tries_clients_go_on_and_no_new_token_is_confirmed_there(store: TokenStore) -> None:
    _, known = store.create("in use")
    _, new = store.create("not used yet")
    clock = Clock()
    admission = Admission(store, clock)

    async def show(text: str, address: str) -> str | None:
        token = await admission.token(text, address)
        return token.name if token else None

    assert asyncio.run(show(known, "192.0.2.7")) == "in use"
    guesses(admission, 100, "192.0.2.7")
    assert asyncio.run(show(known, "192.0.2.7")) == "in use"
    with pytest.raises(TooManyAttempts):
        asyncio.run(show(new, "192.0.2.7"))
    assert asyncio.run(show(new, "192.0.2.8")) == "not used yet"
    clock.now += HOLD_S
    assert asyncio.run(show(new, "192.0.2.7")) == "not used yet"


def test_right_tokens_take_no_place(store: TokenStore) -> None:
    admission = Admission(store, Clock())
    for number in range(3 * MAX_OF_ONE):
        _, text = store.create(str(number))
        assert asyncio.run(admission.token(text, "192.0.2.7")) is not None
    assert guesses(admission, 100, "192.0.2.7") == MAX_OF_ONE


def test_over_http_header_and_login_share_the_brake(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookout.auth.admission.HOLD_S", 600.0)  # however slow this machine is
    service = start()
    _, token = service.tokens.create("test")
    in_use = {"Authorization": f"Bearer {token}"}
    with service.client() as client:
        assert client.get("api/state", headers=in_use).status_code == 200
        found = [client.post("api/login", json={"token": f"wrong {n}"}).status_code for n in range(MAX_OF_ONE - 1)]
        found += [client.get("api/state", auth=("any", f"wrong {n}")).status_code for n in range(3)]
        assert found == [401] * MAX_OF_ONE + [429] * 2
        refused = client.post("api/login", json={"token": "wrong"})
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
        assert refused.headers["retry-after"]
        assert client.get("api/state", headers=in_use).status_code == 200
