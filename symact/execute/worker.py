"""The worker process: reads one JSON line per job, evaluates, writes one JSON line back.

Started by a supervisor (`supervisor.py`) with two pipes of its own, so that whatever a task prints, or reads
from its standard input, disturbs nothing. Imports are paid once, before the first job.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from typing import Any

from symact.errors import InputError, SymactError
from symact.execute import task_loading as tasks
from symact.execute.job import Job, failure, perform
from symact.records import Status
from symact.store import TaskSettings, outcomes


def main(arguments: list[str]) -> None:
    """Serve jobs until the pipe ends. `arguments`: descriptor to read from, descriptor to write to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    reading, writing = (int(number) for number in arguments)
    for descriptor in (reading, writing):
        os.set_inheritable(descriptor, False)
    with os.fdopen(reading, "r", encoding="utf-8") as jobs, os.fdopen(writing, "w", encoding="utf-8") as results:

        def send(message: dict[str, Any]) -> None:
            results.write(outcomes.dump(message) + "\n")
            results.flush()

        line = jobs.readline()
        if not line:
            return
        try:
            task, grammar = _prepare(outcomes.load(line))
        except SymactError as error:
            send({"failed": str(error), "input": isinstance(error, InputError)})
            return
        send({"ready": True})
        for line in jobs:
            if not _serve(task, grammar, line, send):
                return


def _prepare(settings: dict[str, Any]) -> tuple[Any, Any]:
    from symact.expr.grammar import parse_grammar

    grammar = parse_grammar(settings["grammar"])
    if "torch" in sys.modules:
        _one_thread()
    task = tasks.load(TaskSettings(**settings["task"]), settings["file"], settings["data"])
    if "torch" in sys.modules:
        _one_thread()
    return task, grammar


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _serve(task: Any, grammar: Any, line: str, send: Any) -> bool:
    """Do one job; False when this process has to be replaced."""
    started = time.perf_counter()
    try:
        outcome = perform(task, grammar, Job(**outcomes.load(line)))
    except KeyboardInterrupt as error:  # nobody's but the task's: this process ignores Ctrl-C
        outcome = outcomes.storable(failure(error, started))
    retire = outcome.status is Status.out_of_memory
    seconds = time.perf_counter() - started
    send({"result": outcomes.to_document(outcome), "seconds": seconds, "retire": retire})
    return not retire
