"""Surrogate search: a regressor predicts the score of every candidate, and the best predicted is trained next.

After AQuaSurF (Bingham & Miikkulainen 2023, arXiv:2301.05785): functions are described by their
outputs and by the Fisher matrix at initialization, before anything is trained; what is not finite
there is never proposed. Small spaces are described whole; from spaces too large for that, candidates
are sampled and mutated from the best, screened by their outputs, and only then described in full.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from symact.errors import InputError
from symact.expr import vary
from symact.expr.space import Space
from symact.expr.tree import Expr, parse
from symact.optimize.base import Candidate, Features, Optimizer, check_settings, rank_values, score_of
from symact.optimize.description import VIEWS, Description, Frame, Raw
from symact.optimize.functions import Functions
from symact.optimize.regressors import Forest, GaussianProcess, NearestNeighbours, Regressor, Rows, SupportVectors
from symact.records import Trial

REFERENCE = 256  # functions that set the units of a space that is sampled
CHUNK = 64
LARGEST = 1_000  # trials that a regressor learns from: the best and the newest, so that it stays quick


class Surrogate(Optimizer):
    """A regressor over function features.

    Args:
        space: where candidates come from.
        seed: of the first draws and the proposals.
        features: list of expressions -> arrays (`fisher`, `fisher_weights`, `finite`); without it only
            outputs are known.
        regressor: `gp`, `knn` (k = 3, weighted), `forest` or `svr`.
        embedding: `metric`, the feature space itself, or `umap`, the union embedding (small spaces only).
        views: weight of each view (`outputs`, `fisher`, `shape`) in distances; with `umap` the ones that count.
        explore: standard deviations added to the prediction (`gp`, `forest`); 0 trusts it alone.
        targets: `rank` or `score`.
        initial: trials told before predictions begin; until then draws are random.
        length: range of the kernel, in medians of the distance between two functions.
        pool: candidates considered at a time in a space that is sampled.
        warm_start: (expression text, score) pairs of another study or of another task's table.
        warm_noise: variance of warm scores, in units of the targets' variance.

    Raises:
        InputError: a setting that cannot be used.
    """

    name = "surrogate"

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        *,
        features: Features | None = None,
        regressor: str = "gp",
        embedding: str = "metric",
        views: dict[str, float] | None = None,
        explore: float = 0.3,
        targets: str = "rank",
        initial: int = 6,
        length: float = 1.0,
        pool: int = 512,
        warm_start: Sequence[tuple[str, float | None]] = (),
        warm_noise: float = 0.5,
    ):
        super().__init__(space, seed, features=features)
        choices = {"regressor": ("gp", "knn", "forest", "svr"), "embedding": ("metric", "umap")}
        given = {"regressor": regressor, "embedding": embedding, "targets": targets}
        check_settings(self.name, given, choices | {"targets": ("rank", "score")})
        default = {"outputs": 1.0, "fisher": 1.0} if embedding == "umap" else {"outputs": 1.0, "shape": 1.0}
        self.views = dict(default if views is None else views)
        if not set(self.views) <= set(VIEWS) or not any(self.views.values()):
            raise InputError(f"surrogate: views weigh {', '.join(VIEWS)}; got {views!r}")
        self.regressor, self.embedding, self.explore = regressor, embedding, float(explore)
        self.targets, self.initial, self.length = targets, max(1, int(initial)), float(length)
        self.pool, self.warm_noise = int(pool), float(warm_noise)
        if embedding == "umap" and self.functions.members is None:
            raise InputError("surrogate: embedding='umap' needs a space that can be listed; use embedding='metric'")
        self._scores: list[float | None] = []
        self._expressions: list[Expr] = []
        self._warm = [(parse(text, space.grammar), score) for text, score in warm_start]

    @cached_property
    def landscape(self) -> Landscape:
        """Made at first use: a study can measure features only when it has been opened."""
        return Landscape.of(self.functions, self.features)

    def _learn(self, trial: Trial) -> None:
        if isinstance(trial.candidate, Expr) and trial.outcomes and trial.status != "rejected":
            self._expressions.append(trial.candidate)
            self._scores.append(score_of(trial))

    def _propose(self) -> Iterator[Candidate]:
        fitted = self._fitted()
        if fitted is None:
            yield from self.finite_only(self.functions.draws(self.seed))
            return
        model, used = fitted
        expressions, rows = self._candidates(model, used)
        if not len(rows):
            return
        mean, spread = model.predict(rows)
        value = mean if spread is None else mean + self.explore * spread
        taken: list[int] = []
        # One after another: what is near a function just proposed waits, since that one will tell about it.
        while len(taken) < len(rows):
            best = int(np.argmax(value))
            if not np.isfinite(value[best]):
                return
            taken.append(best)
            yield expressions[best]
            near = np.exp(-rows.distances(rows.take(np.array([best])))[:, 0] / self.length)
            value = value - 0.5 * (float(spread[best]) if spread is not None else 0.0) * near
            value[best] = -np.inf

    # What the regressor learns from.

    def _fitted(self) -> tuple[Regressor, Rows] | None:
        expressions, scores, noise = self._known()
        if not expressions:
            return None
        rows = self._rows(expressions)
        usable = np.flatnonzero(rows.description.finite)
        if len(usable) < 2:
            return None
        rows, targets, noise = rows.take(usable), scores[usable], noise[usable]
        return self._new_regressor().fit(rows, targets, noise), rows

    def _known(self) -> tuple[list[Expr], np.ndarray, np.ndarray]:
        """Expressions, targets and noise of the trials that count: own ones, and warm ones."""
        if len(self._scores) + (2 * self.initial if self._warm else 0) < self.initial:
            return [], np.zeros(0), np.zeros(0)
        own = self._targets(self._scores)
        chosen = np.arange(len(own))
        if len(own) > LARGEST:
            best = np.argsort(-own, kind="stable")[: LARGEST // 2]
            chosen = np.union1d(best, chosen[-(LARGEST // 2) :])
        warm = self._targets([score for _, score in self._warm])[:LARGEST]
        expressions = [self._expressions[i] for i in chosen] + [e for e, _ in self._warm[:LARGEST]]
        noise = np.concatenate([np.zeros(len(chosen)), np.full(len(warm), self.warm_noise)])
        return expressions, np.concatenate([own[chosen], warm]), noise

    def _targets(self, scores: Sequence[float | None]) -> np.ndarray:
        if self.targets == "rank":
            return rank_values(scores)
        finite = [score for score in scores if score is not None]
        lowest = min(finite, default=0.0)
        values = np.array([lowest if score is None else score for score in scores], dtype=float)
        return (values - values.mean()) / (values.std() or 1.0) if len(values) else values

    def _new_regressor(self) -> Regressor:
        if self.regressor == "knn":
            return NearestNeighbours()
        if self.regressor == "forest":
            return Forest(seed=self.seed)
        if self.regressor == "svr":
            return SupportVectors(self.length)
        return GaussianProcess(self.length)

    def _rows(self, expressions: list[Expr]) -> Rows:
        if self.embedding == "umap":
            embedding, described = self.landscape.embedded(expressions, tuple(v for v in self.views if self.views[v]))
            return Rows(described, self.views, embedding)
        return Rows(self.landscape.describe(expressions), self.views)

    # What may be proposed.

    def _candidates(self, model: Regressor, used: Rows) -> tuple[list[Expr], Rows]:
        members = self.functions.members
        if members is not None:
            rows = self._rows(members)
            open_ = [
                i for i in np.flatnonzero(rows.description.finite).tolist() if self.key(members[i]) not in self.known
            ]
            return [members[i] for i in open_], rows.take(np.array(open_, dtype=int))
        pool = self._pool()
        keep = self._screened(pool, used)
        described = self.landscape.describe(keep)
        finite = np.flatnonzero(described.finite)
        return [keep[i] for i in finite], Rows(described.take(finite), self.views)

    def _pool(self) -> list[Expr]:
        """Samples of the space, and mutants of the best known functions, that are not known."""
        generator = self.generator(1, self.told)
        order = np.argsort(-rank_values(self._scores), kind="stable")
        parents = [self._expressions[i] for i in order[:16] if self._expressions[i] in self.space]
        found: dict[Any, Expr] = {}
        for attempt in range(4 * self.pool):
            if len(found) >= self.pool:
                break
            if parents and attempt % 4:
                parent = parents[int(generator.integers(len(parents)))]
                expression = vary.mutate(parent, self.space, generator)
            else:
                expression = self.space.sample(generator)
            if self.functions.usable(expression) and (key := self.key(expression)) not in self.known:
                found.setdefault(key, expression)
        return list(found.values())

    def _screened(self, pool: list[Expr], used: Rows) -> list[Expr]:
        """The part of a pool that is promising by its outputs alone, and so worth its features."""
        if self.landscape.features is None or len(pool) <= CHUNK:
            return pool
        views = {"outputs": 1.0}
        expressions, targets, noise = self._known()
        finite = np.flatnonzero(self.landscape.describe(expressions).finite)
        rows = Rows(used.description, views)
        model = GaussianProcess(self.length).fit(rows, targets[finite], noise[finite])
        mean, spread = model.predict(Rows(self.landscape.describe(pool, full=False), views))
        best = np.argsort(-(mean + self.explore * spread), kind="stable")[:CHUNK]
        return [pool[i] for i in best]


class Landscape:
    """Descriptions of the functions of one space under one source of features, each made once."""

    def __init__(self, functions: Functions, features: Features | None):
        self.features = features
        members = functions.members
        if members is None:
            members = [expression for expression, _ in zip(functions.draws(0), range(REFERENCE), strict=False)]
        raw = self._raw(members, True)
        self._frame = Frame(raw)
        described = self._frame(raw)
        self._members = {expression: row for row, expression in enumerate(members)}
        self._described = described
        self._others: dict[Expr, Description] = {}
        self._embeddings: dict[tuple[str, ...], np.ndarray] = {}

    _CACHE: weakref.WeakKeyDictionary[Any, dict[int, tuple[Functions, Landscape]]] = weakref.WeakKeyDictionary()

    @classmethod
    def of(cls, functions: Functions, features: Features | None) -> Landscape:
        """The landscape, made once per process for the same functions and the same source."""
        source = getattr(features, "__self__", features) if features is not None else functions
        try:
            made = cls._CACHE.setdefault(source, {})
        except TypeError:  # a source that cannot be referred to weakly is described anew
            return cls(functions, features)
        if id(functions) not in made or made[id(functions)][0] is not functions:
            made[id(functions)] = (functions, cls(functions, features))
        return made[id(functions)][1]

    def _raw(self, expressions: Sequence[Expr], full: bool) -> Raw:
        listed = list(expressions)
        return Raw.of(listed, self.features(listed) if self.features is not None and full else None)

    def describe(self, expressions: Sequence[Expr], full: bool = True) -> Description:
        """Descriptions, ``(n,)`` rows; without `full` the outputs only, and no features are asked for."""
        if not full:
            return self._frame(self._raw(expressions, False))
        new = [e for e in dict.fromkeys(expressions) if e not in self._members and e not in self._others]
        if new:
            described = self._frame(self._raw(new, True))
            for row, expression in enumerate(new):
                self._others[expression] = described.take([row])
        if not any(expression in self._others for expression in expressions):
            return self._described.take([self._members[expression] for expression in expressions])
        parts = [self._others.get(e) or self._described.take([self._members[e]]) for e in expressions]
        return _concatenated(parts)

    def embedded(self, expressions: Sequence[Expr], views: tuple[str, ...]) -> tuple[np.ndarray, Description]:
        """UMAP coordinates; a function outside the space, or not finite, is not finite here."""
        if views not in self._embeddings:
            from symact.optimize.embedding import umap_union

            finite = np.flatnonzero(self._described.finite)
            coordinates = np.zeros((len(self._described), 2))
            if len(finite) > 3:
                coordinates[finite] = umap_union(self._described.take(finite), views)
            self._embeddings[views] = coordinates
        described = self.describe(expressions)
        places = [self._members.get(expression) for expression in expressions]
        inside = np.array([place is not None for place in places], dtype=bool)
        coordinates = self._embeddings[views][[place or 0 for place in places]]
        seen = Description(described.outputs, described.fisher, described.shape, described.finite & inside)
        return coordinates, seen


def _concatenated(parts: Sequence[Description]) -> Description:
    fisher = [part.fisher for part in parts if part.fisher is not None]
    return Description(
        np.concatenate([part.outputs for part in parts]),
        np.concatenate(fisher) if len(fisher) == len(parts) else None,
        np.concatenate([part.shape for part in parts]),
        np.concatenate([part.finite for part in parts]),
    )
