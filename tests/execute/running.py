"""A task in a file, its settings, and its outcomes from worker processes: what tests of workers share."""

from __future__ import annotations

import textwrap

from symact.execute.job import Job, WorkerSettings
from symact.execute.task_loading import describe
from tests.execute import stub_tasks as stubs

TEXT = stubs.grammar_text()


def settings(task, **changes):
    described, file = describe(task)
    return WorkerSettings(TEXT, described.model_dump(), file, **changes)


def job(number, text="add(sine(x),tanh(x))"):
    return Job(number, 0, 5, {"expressions": [text], "parameters": []})


def run(executor, count=1):
    for number in range(count):
        executor.submit(job(number))
    results = [executor.next(60) for _ in range(count)]
    assert None not in results, "nothing came within a minute"
    return [result.outcome for result in sorted(results, key=lambda r: r.job.number)]


def write(folder, text, name="task.py"):
    file = folder / name
    file.write_text(textwrap.dedent(text))
    return f"{file}:Task"
