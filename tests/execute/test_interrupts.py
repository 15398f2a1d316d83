"""Ctrl-C is held back while a result is recorded, and noticed while a task runs."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from symact.execute.interrupts import noticed, uninterrupted


@pytest.fixture(autouse=True)
def usual():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_for_the_block_to_end():
    done = []

    def block():
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the whole block")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["the whole block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_an_interrupt_nothing_happens():
    with uninterrupted():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_block_puts_the_handler_back():
    with pytest.raises(ValueError, match="mine"), uninterrupted():
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_arrives_is_told_from_one_that_is_raised():
    seen = []

    def work(interrupt):
        with noticed() as arrived:
            seen.append(arrived)
            interrupt()

    def raised():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        work(raised)
    assert seen == [[signal.SIGINT], []]


def test_other_threads_do_without():
    found = []

    def work():
        with uninterrupted(), noticed() as arrived:
            found.append(list(arrived))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[]]
