"""CPU seconds of one suggestion of the surrogate with many known functions.

    python runs/arena/suggestion_speed.py runs/arena/fashion14-deep.parquet

The listed space of a table, with its Fisher features and 1,500 known functions; and AQuaSurF's space `large` (a million
expressions, sampled) with 3,000 known functions, without features and with made-up spectra of seven layers.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from symact.bench import Table
from symact.expr.space import Space
from symact.optimize.surrogate import Surrogate
from symact.program.loading import load_grammar
from symact.records import Outcome, Trial


def spectra(expressions: list) -> dict[str, np.ndarray]:
    """Made-up Fisher CDFs, different for texts of different length."""
    base = np.sort(np.random.default_rng(0).random((7, 100)), axis=1)
    shifts = np.array([len(str(expression)) for expression in expressions]) / 1_000
    finite = np.ones(len(expressions), dtype=bool)
    return {"fisher": base + shifts[:, None, None], "fisher_weights": np.full(7, 1_000.0), "finite": finite}


def measure(label: str, space: Space, features, known: int) -> None:
    """Tell `known` functions, then ask three times for one and once for eight, and print CPU seconds."""
    optimizer, generator = Surrogate(space, 0, features=features), np.random.default_rng(0)
    members = optimizer.functions.members
    stream = optimizer.functions.draws(1) if members is None else iter(generator.permutation(np.array(members, object)))
    told = [expression for expression, _ in zip(stream, range(known), strict=False)]
    optimizer.tell([Trial(expression, (Outcome.finished(float(generator.random())),)) for expression in told])
    optimizer.ask(1)
    seconds = []
    for count in (1, 1, 1, 8):
        optimizer.tell([Trial(e, (Outcome.finished(float(generator.random())),)) for e in optimizer.ask(1)])
        begun = time.process_time()
        optimizer.ask(count)
        seconds.append(time.process_time() - begun)
    print(f"{label}: one {np.median(seconds[:3]):.3f} s, eight {seconds[3]:.3f} s", flush=True)


def main() -> None:
    """Measure the three cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    table = Table.read(parser.parse_args().table)
    measure("listed space, Fisher features, 1,500 known", table.space, table.features, 1_500)
    large = load_grammar("aquasurf").space("large")
    measure("sampled space, outputs alone, 3,000 known", large, None, 3_000)
    measure("sampled space, seven layers of spectra, 3,000 known", large, spectra, 3_000)


if __name__ == "__main__":
    main()
