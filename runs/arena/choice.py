"""How the surrogate's default was chosen, on `fashion14-deep` alone: many short searches over precomputed distances.

    python runs/arena/choice.py runs/arena/fashion14-deep.parquet

A table has five seeds, so a search without randomness has five outcomes from the baselines: too few to choose by. Hence
also halves: searches on random 60 % of the functions, from the baselines and from eight random functions, 100 each.
Three layouts of the UMAP union come from other orders of the rows, since the union fixes its own random state. Numbers
are evaluations to the top 1 %, 101 where a search did not get there. Writes `choice.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from symact.bench import Table
from symact.bench.replaying import baseline_rows
from symact.optimize.base import rank_values
from symact.optimize.embedding import umap_union
from symact.optimize.function_features import VIEWS, Frame, Raw

LIMIT, REPEATS, SHARE = 100, 100, 0.6
Model = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def process(apart: np.ndarray, length: float = 1.0, explore: float = 0.0, noise: float = 0.03) -> Model:
    """The Gaussian process of the package, on a matrix of distances."""

    def predict(known: np.ndarray, targets: np.ndarray, others: np.ndarray) -> np.ndarray:
        mean, spread = targets.mean(), targets.std() or 1.0
        kernel = np.exp(-apart[np.ix_(known, known)].astype(float) / length)
        kernel[np.diag_indices_from(kernel)] += noise
        cross, inverse = np.exp(-apart[np.ix_(others, known)] / length), np.linalg.inv(kernel)
        value = cross @ (inverse @ ((targets - mean) / spread))
        if explore:
            variance = 1 + noise - np.einsum("ij,jk,ik->i", cross, inverse, cross)
            value = value + explore * np.sqrt(np.clip(variance, 1e-12, None))
        return value

    return predict


def nearest(apart: np.ndarray, count: int = 3) -> Model:
    """Weighted nearest neighbours on a matrix of distances."""

    def predict(known: np.ndarray, targets: np.ndarray, others: np.ndarray) -> np.ndarray:
        close = apart[np.ix_(others, known)]
        order = np.argsort(close, axis=1, kind="stable")[:, :count]
        weights = 1 / (np.take_along_axis(close, order, axis=1) + 1e-6)
        return (weights * targets[order]).sum(1) / weights.sum(1)

    return predict


class Searches:
    """Searches of one model on the whole table and on parts of it."""

    def __init__(self, scores: np.ndarray, finite: np.ndarray, baselines: np.ndarray):
        self.scores, self.finite, self.baselines = scores, finite, baselines

    def evaluations(self, model: Model, seed: int, start: np.ndarray, part: np.ndarray) -> int:
        """Until the first function of the top 1 % of `part` by the other seeds."""
        hidden = self.scores[part][:, np.arange(self.scores.shape[1]) != seed]
        value = np.where(np.isfinite(hidden).all(1), np.nan_to_num(hidden).mean(1), -np.inf)
        top = set(part[np.argsort(-value, kind="stable")[: max(1, round(0.01 * len(part)))]].tolist())
        told = [None if np.isnan(score) else score for score in self.scores[:, seed]]
        known, open_ = list(start), np.setdiff1d(part[self.finite[part]], start)
        for count in range(1, LIMIT + 1):
            rows = np.array(known)
            seen = self.finite[rows]
            if seen.sum() < 2:
                chosen = open_[0]
            else:
                targets = rank_values(told[row] for row in known)
                chosen = open_[int(np.argmax(model(rows[seen], targets[seen], open_)))]
            if int(chosen) in top:
                return count
            known.append(int(chosen))
            open_ = open_[open_ != chosen]
        return LIMIT + 1

    def row(self, model: Model) -> list[str]:
        """The cells of one model."""
        everything, seeds = np.arange(len(self.scores)), self.scores.shape[1]
        whole = [self.evaluations(model, seed, self.baselines, everything) for seed in range(seeds)]
        halves, random, both = [], [], []
        for repeat in range(REPEATS):
            generator = np.random.default_rng(repeat)
            drawn = generator.permutation(everything)
            part, seed = np.sort(drawn[: int(SHARE * len(drawn))]), repeat % seeds
            halves.append(self.evaluations(model, seed, self.baselines, np.union1d(part, self.baselines)))
            random.append(self.evaluations(model, seed, drawn[:8], everything))
            both.append(self.evaluations(model, seed, drawn[:8], part))
        cells = [f"{np.median(v):.1f} / {np.mean(v):.1f}" for v in (halves, random, both)]
        return [", ".join(map(str, whole)), *cells]


def main() -> None:
    """Run all models and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--layouts", type=int, default=3)
    arguments = parser.parse_args()
    table = Table.read(arguments.table)
    rows = table.representatives
    place = {row: position for position, row in enumerate(rows.tolist())}
    raw = Raw.of([table.parsed[row] for row in rows], table.features([table.parsed[row] for row in rows]))
    described = Frame(raw)(raw)
    single = {view: described.distances(described, {view: 1.0}).astype(np.float32) for view in VIEWS}

    def mixed(*views: str) -> np.ndarray:
        return sum(single[view] for view in views) / len(views)

    models = {"gp, outputs + fisher": process(mixed("outputs", "fisher"))}
    for explore in (0.3, 1.0):
        models[f"the same, {explore} deviations of exploration"] = process(mixed("outputs", "fisher"), explore=explore)
    for length in (0.5, 4.0):
        models[f"the same, length {length}"] = process(mixed("outputs", "fisher"), length=length)
    for noise in (0.001, 0.3):
        models[f"the same, noise {noise}"] = process(mixed("outputs", "fisher"), noise=noise)
    models["gp, outputs"] = process(single["outputs"])
    models["gp, outputs + shape"] = process(mixed("outputs", "shape"))
    models["gp, outputs + fisher + shape"] = process(mixed(*VIEWS))
    models["knn, outputs + fisher"] = nearest(mixed("outputs", "fisher"))
    finite = np.flatnonzero(described.finite)
    for layout in range(arguments.layouts):
        order = finite if not layout else np.random.default_rng(layout).permutation(finite)
        placed = np.full((len(rows), 2), np.nan)
        placed[order] = umap_union(described.take(order), ("outputs", "fisher"))
        apart = cdist(placed, placed)
        apart /= np.nanmedian(apart[apart > 0])
        models[f"knn, UMAP union, layout {layout}"] = nearest(apart)
        models[f"gp, UMAP union, layout {layout}"] = process(apart)
    searches = Searches(table.scores[rows], described.finite, np.array([place[row] for row in baseline_rows(table)]))
    lines = [
        "| model | from baselines, each seed | 60 %, from baselines: median / mean | from random | 60 %, from random |",
        "|---|---|---|---|---|",
    ]
    for name, model in models.items():
        lines.append(f"| {name} | " + " | ".join(searches.row(model)) + " |")
        print(lines[-1], flush=True)
        Path(arguments.table).with_name("choice.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
