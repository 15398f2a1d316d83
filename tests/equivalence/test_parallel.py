"""Work shared by several cores gives what one core gives, whatever happens to a helper."""

from __future__ import annotations

import os
import signal
import warnings

import numpy as np
import pytest

from symact.equivalence import enumerate_classes, parallel
from symact.equivalence.engine import certification
from symact.program.loading import load_grammar, parse_grammar


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(parallel, "cores", lambda: 4)
    monkeypatch.setattr(certification, "cores", lambda: 4)


def squares(share):
    return b",".join(str(item * item).encode() for item in share)


SHARES = [[1, 2], [3], [4, 5]]
EXPECTED = [b"1,4", b"9", b"16,25"]


def test_processes_answer_in_order():
    assert parallel.in_processes(squares, SHARES) == EXPECTED


def test_a_share_whose_process_dies_is_worked_on_here():
    here = os.getpid()

    def fatal(share):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return squares(share)

    assert parallel.in_processes(fatal, SHARES) == EXPECTED


def test_a_child_that_fails_is_no_answer():
    here = os.getpid()

    def torn(share):
        if os.getpid() != here:
            raise RuntimeError("in the child")
        return squares(share)

    assert parallel.in_processes(torn, SHARES) == EXPECTED


def test_without_fork_everything_is_done_here(monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert parallel.in_processes(squares, SHARES) == EXPECTED


def test_no_child_is_left_when_the_work_here_fails():
    here = os.getpid()

    def failing(share):
        if os.getpid() == here:
            raise KeyboardInterrupt
        signal.pause()
        return b""

    with pytest.raises(KeyboardInterrupt):
        parallel.in_processes(failing, SHARES)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_threads_keep_the_order_and_are_quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = parallel.in_threads(lambda n: float((np.array([float(n)]) / np.zeros(1))[0]), range(1, 200))
    assert found == [float("inf")] * 199
    assert parallel.in_threads(lambda n: n * n, range(200)) == [n * n for n in range(200)]


def test_the_partition_does_not_depend_on_the_number_of_cores(monkeypatch):
    head, tail = load_grammar("aquasurf").text.split("[spaces]")
    shape = '["unary(unary(unary(x)))"]'
    grammar = parse_grammar(f"{head}[spaces]\nall = {shape}\n[identity]{tail.split('[identity]')[1]}")
    monkeypatch.setattr(certification, "_SHARE", 20)
    several = enumerate_classes(grammar, "all")
    monkeypatch.setattr(parallel, "cores", lambda: 1)
    monkeypatch.setattr(certification, "cores", lambda: 1)
    assert several.equals(enumerate_classes(grammar, "all"))
