"""What a large study costs to read, to go on with and to show: `python runs/fault_drill/study_speed.py [--record]`.

Processor time per trial, for a resume (everything read, checked and told to the optimizer), for
`symact top`, for the tables of a report, and for an optimizer's `ask`, at 1,000, 10,000 and 100,000 trials. A
step that is linear costs the same per trial in each row. Functions are told apart by their text here, for how
the cost of function identity grows is measured elsewhere.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from symact.equivalence import FunctionIndex
from symact.expr.space import Space
from symact.optimize import OPTIMIZERS
from symact.program.loading import load_grammar
from symact.records import Outcome, Trial
from symact.report.leaderboard import leaderboard
from symact.store import Evaluation, Settings, Store, TaskSettings
from symact.store.ledger import Ledger, Request

FOLDER = Path(__file__).resolve().parent
SIZES = (1_000, 10_000, 100_000)
CURVE = [{"loss": 1.0, "accuracy": 0.5}] * 10


class IndexByText(FunctionIndex):
    """Expressions are functions of their own: identity costs nothing, so that the rest can be measured."""

    def __init__(self, grammar):
        super().__init__(grammar)
        self._texts = {}

    def add(self, expr):
        return self._texts.setdefault(str(expr), len(self._texts))

    def add_different(self, expressions):
        return [self.add(expr) for expr in expressions]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--optimizers", nargs="*", default=["random", "evolution"])
    parser.add_argument(
        "--asked", type=int, nargs="*", default=SIZES[:2], help="trials known when an optimizer is asked"
    )
    parser.add_argument("--record", action="store_true", help="write the numbers to study_speed.json")
    arguments = parser.parse_args()
    space = load_grammar("aquasurf").space("large")
    rows = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"trials": size, **reading(Path(folder) / "run", space, size)})
            print(json.dumps(rows[-1]), flush=True)
    asks = []
    for name in arguments.optimizers:
        for size in arguments.asked:
            asks.append({"optimizer": name, "known": size, **asking(name, space, size)})
            print(json.dumps(asks[-1]), flush=True)
    if arguments.record:
        (FOLDER / "study_speed.json").write_text(json.dumps({"reading": rows, "asking": asks}, indent=2) + "\n")


def reading(run: Path, space: Space, size: int) -> dict[str, float]:
    """Milliseconds of processor time per trial of what reads a whole study, and the most memory so far."""
    make(run, space, size)
    found: dict[str, float] = {}
    with Store.open(run, readonly=False) as store:
        ledger, found["ledger"] = timed(lambda: Ledger(store, IndexByText(space.grammar)))
        _, found["replay of what was told"] = timed(
            lambda: [[ledger.trial(n) for n in turn] for turn in ledger.turns()]
        )
        _, found["best"] = timed(lambda: ledger.best(5))
    with Store.open(run) as store:
        trials, found["trials"] = timed(store.trials)
        _, found["leaderboard"] = timed(lambda: leaderboard(trials, store.confirmations()))
    found = {f"{step}, ms per trial": round(1000 * seconds / size, 4) for step, seconds in found.items()}
    return {**found, "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def make(run: Path, space: Space, size: int) -> None:
    """A study of `size` distinct members of the space."""
    task = TaskSettings(kind="name", name="digits-deep")
    made = Settings.build(grammar=space.grammar.text, space=space.name, task=task, optimizer="random", batch=1000)
    generator = np.random.default_rng(1)
    with Store.create(run, made) as store:
        store._connection.execute("PRAGMA synchronous = OFF")  # only the reading is measured
        ledger = Ledger(store, IndexByText(space.grammar))
        while len(ledger.rows) < size:
            drawn = [space.sample(generator) for _ in range(1000)]
            new = list({str(e): e for e in drawn if ledger.is_new(e)}.values())[: size - len(ledger.rows)]
            numbers = ledger.ask(ledger.last_batch + 1, [Request(e, "random", 1.0, 1) for e in new])
            for number in numbers:
                outcome = Outcome.finished(float(generator.random()), curve=CURVE)
                ledger.finish(Evaluation(number, 0, 1, outcome, 0.1))
            for first in range(0, len(numbers), 8):
                ledger.tell(numbers[first : first + 8])


def asking(name: str, space: Space, known: int) -> dict[str, float]:
    """Milliseconds of processor time that an ask of 8 and a tell of 8 take with so many trials known."""
    generator = np.random.default_rng(2)
    drawn = list({str(e): e for e in (space.sample(generator) for _ in range(2 * known))}.values())[:known]
    optimizer = OPTIMIZERS[name](space, 0)
    optimizer.tell([Trial(e, (Outcome.finished(float(generator.random())),), name, n) for n, e in enumerate(drawn)])
    times = []
    for turn in range(12):
        asked, seconds = timed(lambda: optimizer.ask(8))
        told = [
            Trial(e, (Outcome.finished(float(generator.random())),), name, known + turn * 8 + i)
            for i, e in enumerate(asked)
        ]
        _, more = timed(lambda trials=told: optimizer.tell(trials))
        times.append(seconds + more)
    return {"first, ms": round(1000 * times[0], 1), "later (median), ms": round(1000 * float(np.median(times[2:])), 1)}


def timed(step: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    return step(), time.process_time() - began


if __name__ == "__main__":
    main()
