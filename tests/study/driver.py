"""A process that runs a study, to be killed: `python -m tests.study.driver SPEC`, SPEC a JSON document.

Begins the study where there is none and goes on with it where there is. Prints `N` whenever N
functions have been evaluated, and the trial, so that whoever kills it can wait for progress and compare.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from symact.expr.tree import candidate_text
from symact.program.loading import parse_grammar
from symact.store import holds_study
from symact.study import Study
from tests.execute import stub_tasks

ROOT = Path(__file__).resolve().parents[2]


def started(**spec) -> subprocess.Popen:
    """A driver as a process of its own; its output can be read."""
    command = [sys.executable, "-m", "tests.study.driver", json.dumps(spec)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def follow(run: str, task: str, optimizer: str, evaluations: int, workers: int, modes=(), **options) -> Study:
    """Begin or go on with the study in the folder `run`, to `evaluations`."""
    if holds_study(run):
        study = Study.resume(run, task=task, workers=workers)
    else:
        space = parse_grammar(stub_tasks.grammar_text(*modes)).space("wide")
        study = Study(space, task, optimizer, run=run, workers=workers, **options)
    study.run(evaluations, tell)
    return study


def tell(progress) -> None:
    """One line: how many, which phase, and the trial that has just finished as a JSON document."""
    trial = progress.trial
    row = None if trial is None else [trial.number, candidate_text(trial.candidate), trial.status, trial.scores]
    print(progress.evaluations, progress.phase, json.dumps(row), flush=True)


if __name__ == "__main__":
    follow(**json.loads(sys.argv[1])).close()
