"""What adding and asking cost at 1,000 and at 100,000 trials: `python runs/fault_drill/store_speed.py`.

A study's bookkeeping alone: record a batch of 8, record 8 outcomes (each on disk when the call
returns), record that they were told. Functions are told apart by their text here, for how the cost of
function identity grows is no business of the store. Medians over windows of 2,000 trials.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from symact.expr.grammar import load_grammar
from symact.expr.tree import parse
from symact.records import Outcome
from symact.store import Evaluation, Settings, Store, TaskSettings
from symact.store.functions import KnownFunctions
from symact.store.ledger import Ledger, Wanted

BATCH, WINDOW, TOTAL = 8, 2000, 100_000


def main() -> None:
    KnownFunctions._class = lambda self, expression: str(expression)
    grammar = load_grammar("aquasurf")
    settings = Settings.build(
        grammar=grammar.text,
        space="bench",
        task=TaskSettings(kind="name", name="digits-deep"),
        optimizer="random",
    )
    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "run", settings) as store:
        ledger = Ledger(store)
        print("trials     ms per trial: ask   add   tell   (medians)   MB")
        for number in range(0, TOTAL, WINDOW):
            ask, add, tell = window(ledger, number)
            if number + WINDOW in (WINDOW, 10_000, 50_000, TOTAL):
                size = sum(p.stat().st_size for p in Path(folder, "run").iterdir()) / 2**20
                print(f"{number + WINDOW:7d} {ask:22.3f} {add:6.3f} {tell:6.3f} {size:16.0f}")
        began = time.perf_counter()
        with Store.open(Path(folder) / "run") as reader:
            count = len(reader.trials())
        print(f"reading all {count} trials: {time.perf_counter() - began:.1f} s")


def window(ledger: Ledger, start: int) -> tuple[float, float, float]:
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    curve = [{"loss": 1.0, "accuracy": 0.5}] * 10
    for first in range(start, start + WINDOW, BATCH):
        wanted = [Wanted(parse(f"sin({n}*x)"), "random", 1.0, 1) for n in range(first, first + BATCH)]
        clock = time.perf_counter()
        numbers = ledger.ask(first // BATCH, wanted)
        times[0].append((time.perf_counter() - clock) / BATCH)
        for number in numbers:
            clock = time.perf_counter()
            ledger.finish(Evaluation(number, 0, 1, Outcome.finished(0.5, curve=curve), 0.1))
            times[1].append(time.perf_counter() - clock)
        clock = time.perf_counter()
        ledger.open()
        ledger.tell(numbers)
        times[2].append((time.perf_counter() - clock) / BATCH)
    ask, add, tell = (1000 * statistics.median(t) for t in times)
    return ask, add, tell


if __name__ == "__main__":
    main()
