"""The mailbox: commands to the worker, each with an answer."""

from __future__ import annotations

import threading

import pytest
from lookout.engine.mailbox import CAPACITY, Mailbox
from lookout.errors import TooBusy


def test_commands_run_on_the_worker_in_their_order_and_answer() -> None:
    mailbox, order = Mailbox(), []
    futures = [mailbox.post(lambda i=i: order.append(i) or threading.get_ident()) for i in range(3)]
    assert mailbox.arrived.is_set()
    worker = threading.Thread(target=mailbox.run_all)
    worker.start()
    worker.join()
    assert order == [0, 1, 2]
    assert {future.result(0) for future in futures} == {worker.ident}
    assert not mailbox.arrived.is_set()


def test_who_posted_gets_the_error_and_the_worker_goes_on() -> None:
    mailbox = Mailbox()
    failing, sound = mailbox.post(lambda: 1 // 0), mailbox.post(lambda: "done")
    mailbox.run_all()
    with pytest.raises(ZeroDivisionError):
        failing.result(0)
    assert sound.result(0) == "done"


def test_it_is_bounded() -> None:
    mailbox = Mailbox()
    for _ in range(CAPACITY):
        mailbox.post(lambda: None)
    with pytest.raises(TooBusy) as caught:
        mailbox.post(lambda: None)
    assert caught.value.remedy
    mailbox.run_all()
    mailbox.post(lambda: None)


def test_a_command_taken_back_is_not_run() -> None:
    mailbox, ran = Mailbox(), []
    mailbox.post(lambda: ran.append(1)).cancel()
    mailbox.run_all()
    assert ran == []


def test_when_it_closes_nobody_waits_for_ever() -> None:
    mailbox, ran = Mailbox(), []
    left, taken_back = mailbox.post(lambda: ran.append(1)), mailbox.post(lambda: ran.append(2))
    taken_back.cancel()
    mailbox.arrived.clear()
    mailbox.close()
    mailbox.close()
    assert mailbox.arrived.is_set(), "a worker that waits for commands looks up"
    with pytest.raises(TooBusy, match="stopping"):
        left.result(0)
    with pytest.raises(TooBusy, match="stopping"):
        mailbox.post(lambda: None)
    mailbox.run_all()
    assert ran == []
