"""What adding and asking cost at 1,000 and at 100,000 trials: `python runs/fault_drill/store_speed.py`.

A study's bookkeeping alone: record a batch of 8, record 8 outcomes (each on disk when the call
returns), record that they were told. Functions are told apart by their text here, for how the cost of
function identity grows is no business of the store. Two studies, one of 1,000 trials and one that
grows, are measured in turns, so that other work on the machine meets both alike.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from symact.equivalence import FunctionIndex
from symact.expr.tree import parse
from symact.program.loading import load_grammar
from symact.records import Outcome
from symact.store import Evaluation, Settings, Store, TaskSettings
from symact.store.ledger import Ledger, Request

BATCH, TURNS = 8, 60
SIZES = (10_000, 50_000, 100_000)
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
    grammar = load_grammar("aquasurf")
    task = TaskSettings(kind="name", name="digits-deep")
    settings = Settings.build(grammar=grammar.text, space="bench", task=task, optimizer="random")
    with tempfile.TemporaryDirectory() as folder:
        small, large = (
            Ledger(Store.create(Path(folder) / name, settings), IndexByText(grammar)) for name in ("small", "large")
        )
        grow(small, 1000)
        print("trials     ms per trial: ask   add   tell (medians), and ratio to a study of 1,000 beside it")
        for size in SIZES:
            grow(large, size)
            times: list[list[tuple[float, float, float]]] = [[], []]
            for _ in range(TURNS):
                times[0].append(turn(small))
                times[1].append(turn(large))
            near, far = ([1000 * statistics.median(column) for column in zip(*t, strict=True)] for t in times)
            ratios = " ".join(f"{b / a:5.2f}" for a, b in zip(near, far, strict=True))
            print(f"{size:7d}             {far[0]:7.3f} {far[1]:6.3f} {far[2]:6.3f}    {ratios}", flush=True)
        began = time.perf_counter()
        with Store.open(Path(folder) / "large") as reader:
            count = len(reader.trials())
        print(f"reading all {count} trials: {time.perf_counter() - began:.1f} s")


def grow(ledger: Ledger, size: int) -> None:
    """Add trials without waiting for the disk, which only what is measured does."""
    ledger._store._connection.execute("PRAGMA synchronous = OFF")
    while len(ledger.rows) < size:
        turn(ledger)
    ledger._store._connection.execute("PRAGMA synchronous = FULL")


def turn(ledger: Ledger) -> tuple[float, float, float]:
    """One batch; seconds per trial of asking, adding and telling."""
    first = len(ledger.rows)
    wanted = [Request(parse(f"sin({n}*x)"), "random", 1.0, 1) for n in range(first, first + BATCH)]
    clock = time.perf_counter()
    numbers = ledger.ask(first // BATCH, wanted)
    asked = time.perf_counter()
    for number in numbers:
        ledger.finish(Evaluation(number, 0, 1, Outcome.finished(0.5, curve=CURVE), 0.1))
    added = time.perf_counter()
    ledger.tell(ledger.open())
    told = time.perf_counter()
    return (asked - clock) / BATCH, (added - asked) / BATCH, (told - added) / BATCH


if __name__ == "__main__":
    main()
