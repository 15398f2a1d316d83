"""Surrogate search: a regressor predicts the score of every candidate, and the best predicted is trained next.

After AQuaSurF (Bingham & Miikkulainen 2023, arXiv:2301.05785): functions are described by their
outputs and by the Fisher matrix at initialization, before anything is trained; what is not finite
there is never proposed. Small spaces are described whole; from spaces too large for that, candidates
are sampled and mutated from the best, screened by their outputs, and only then described in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from symact.errors import InputError
from symact.expr import variation
from symact.expr.per_site import parse_candidate
from symact.expr.space import Space
from symact.expr.tree import Candidate
from symact.optimize.base import Features, Optimizer, check_settings, rank_values, score_of
from symact.optimize.feature_space import EMBEDDED, REFERENCE, Landscape, listed
from symact.optimize.function_features import VIEWS
from symact.optimize.regressors import Forest, GaussianProcess, NearestNeighbours, Regressor, Rows, SupportVectors
from symact.optimize.site_groups import SiteGroups
from symact.records import Trial

CHUNK = 64  # functions of a sampled space whose features are asked for at a time
MOST_EMBEDDED = 20_000
LARGEST = 1_000  # trials that a regressor learns from: the best and the newest, so that it stays quick


class Surrogate(Optimizer):
    """A regressor over function features.

    Args:
        space: where candidates come from.
        seed: of the first draws and the proposals.
        features: list of expressions -> arrays (`fisher`, `fisher_weights`, `finite`); without it only
            outputs are known.
        regressor: `gp`, `knn` (k = 3, weighted), `forest` or `svr`.
        embedding: `metric`, the feature space itself, or `umap`, the union embedding. Of a space too large to list
            it shows `embedded` functions, sampled alike for every seed, and those of `warm_start`; only these are
            proposed.
        fisher: the labels of the Fisher matrix: `labels`, the data's (AQuaSurF's code), or True, drawn from the model
            (the formula of the paper).
        views: weight of each view (`outputs`, `fisher`, `shape`) in distances; with `umap` the ones that count.
        explore: standard deviations added to the prediction (`gp`, `forest`); 0 trusts it alone.
        targets: `rank` or `score`.
        initial: trials told before predictions begin; until then draws are random.
        length: range of the kernel, in medians of the distance between two functions.
        pool: candidates considered at a time in a space that is sampled.
        embedded: functions of such a space that are described and embedded.
        warm_start: (expression text, score) pairs of another study or of another task's table.
        warm_noise: variance of warm scores, in units of the targets' variance.
        sites: how many activation sites have a function of their own, or which share one (`[[1, 2], [3]]`); 1 for one
            function everywhere. Candidates are then sampled, whatever the space.

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
        fisher: bool | str = "labels",
        views: dict[str, float] | None = None,
        explore: float = 0.0,
        targets: str = "rank",
        initial: int = 6,
        length: float = 1.0,
        pool: int = 512,
        embedded: int = EMBEDDED,
        warm_start: Sequence[tuple[str, float | None]] = (),
        warm_noise: float = 0.5,
        sites: int | Sequence[Sequence[int]] = 1,
    ):
        super().__init__(space, seed, features=features)
        choices = {"regressor": ("gp", "knn", "forest", "svr"), "embedding": ("metric", "umap")}
        given = {"regressor": regressor, "embedding": embedding, "targets": targets}
        check_settings(self.name, given, choices | {"targets": ("rank", "score")})
        self.views = dict({"outputs": 1.0, "fisher": 1.0} if views is None else views)
        if fisher not in (True, "true", "labels"):
            raise InputError(f"surrogate: fisher is true or labels, not {fisher!r}")
        # What a task is told, "" for its default.
        self.labels = "" if fisher == "labels" else "model"
        if not set(self.views) <= set(VIEWS) or not any(self.views.values()):
            raise InputError(f"surrogate: views weigh {', '.join(VIEWS)}; got {views!r}")
        self.regressor, self.embedding, self.explore = regressor, embedding, float(explore)
        self.targets, self.initial, self.length = targets, max(1, int(initial)), float(length)
        self.pool, self.warm_noise = int(pool), float(warm_noise)
        self.groups = SiteGroups.read(self.name, sites)
        self._predicted: dict[Candidate, float] = {}  # of the last `ask`
        self._scores: list[float | None] = []
        self._expressions: list[Candidate] = []
        if not 16 <= embedded <= MOST_EMBEDDED:
            raise InputError(f"surrogate: embedded is a number from 16 to {MOST_EMBEDDED:,}, not {embedded}")
        self.embedded = int(embedded)
        warm = [(parse_candidate(text, space.grammar), score) for text, score in warm_start]
        self._warm = [(candidate, score) for candidate, score in warm if self.groups.functions(candidate) is not None]
        if warm and not self._warm:
            raise InputError("surrogate: the functions of the warm start are for other sites than this search has")

    @cached_property
    def landscape(self) -> Landscape:
        """Made at first use: a study can measure features only when it has been opened."""
        if self.embedding != "umap":
            return Landscape.of(self.functions, self.features, REFERENCE, self.groups)
        warm = tuple(candidate for candidate, _ in self._warm[:LARGEST])
        return Landscape.of(self.functions, self.features, self.embedded, self.groups, warm)

    @cached_property
    def members(self) -> list[Candidate] | None:
        """What may be proposed, or None where candidates are made as the search goes on."""
        found = listed(self.functions, self.groups)
        return self.landscape.members if found is None and self.embedding == "umap" else found

    def _learn(self, trial: Trial) -> None:
        fits = self.groups.functions(trial.candidate) is not None
        if fits and trial.outcomes and trial.status != "rejected":
            self._expressions.append(trial.candidate)
            self._scores.append(score_of(trial))

    def explain(self, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Of each candidate the target that was `predicted`, in the units of the targets, when it was asked for."""
        known = [self._predicted.get(candidate) for candidate in candidates]
        return [{} if value is None else {"predicted": round(value, 5), "targets": self.targets} for value in known]

    def _propose(self) -> Iterator[Candidate]:
        self._predicted = {}
        fitted = self._fitted()
        if fitted is None:
            yield from self.finite_only(self._first())
            return
        model, used = fitted
        expressions, rows = self._candidates(used)
        if not len(rows):
            return
        mean, spread = model.predict(rows, spread=self.explore > 0)
        self._predicted = dict(zip(expressions, map(float, mean), strict=True))
        value = np.array(mean if spread is None else mean + self.explore * spread, dtype=float)
        # One after another: what is near a function just proposed waits, since that one will tell about it.
        for _ in range(len(rows)):
            best = int(np.argmax(value))
            yield expressions[best]
            chosen = rows.take(np.array([best]))
            doubt = model.predict(chosen)[1]
            if doubt is not None:
                value -= 0.5 * float(doubt[0]) * np.exp(-rows.distances(chosen)[:, 0] / self.length)
            value[best] = -np.inf

    def _first(self) -> Iterator[Candidate]:
        """What is trained before anything can be predicted: random draws of what may be proposed."""
        if self.members is None or listed(self.functions, self.groups) is not None:
            return self.functions.candidates(self.groups, self.seed)
        return iter([self.members[place] for place in self.generator(2).permutation(len(self.members))])

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

    def _known(self) -> tuple[list[Candidate], np.ndarray, np.ndarray]:
        """Expressions, targets and noise of the trials that count: own ones, and warm ones."""
        if len(self._scores) + (2 * self.initial if self._warm else 0) < self.initial:
            return [], np.zeros(0), np.zeros(0)
        own = self._targets(self._scores)
        chosen = np.arange(len(own))
        if len(own) > LARGEST:
            best = np.argsort(-own, kind="stable")[: LARGEST // 2]
            chosen = np.union1d(best, chosen[-(LARGEST // 2) :])
        warm = self._targets([score for _, score in self._warm])[:LARGEST]
        expressions = [*(self._expressions[i] for i in chosen), *(e for e, _ in self._warm[:LARGEST])]
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

    def _rows(self, expressions: list[Candidate]) -> Rows:
        made = self.landscape.embedded if self.embedding == "umap" else self.landscape.rows
        return made(expressions, self.features, self.views)

    # What may be proposed.

    def _candidates(self, used: Rows) -> tuple[list[Candidate], Rows]:
        if self.members is not None:
            offered = [member for member in self.members if self.key(member) not in self.known]
        else:
            offered = self._screened(self._pool(), used)
        rows = self._rows(offered)
        finite = np.flatnonzero(rows.description.finite)
        return [offered[i] for i in finite], rows.take(finite)

    def _pool(self) -> list[Candidate]:
        """Usable samples of the space, and mutants of the best known functions; a known function may be among them."""
        generator = self.generator(1, self.told)
        order = np.argsort(-rank_values(self._scores), kind="stable")
        parents = [self.groups.functions(self._expressions[i]) or () for i in order[:16]]
        parents = [parts for parts in parents if all(part in self.space for part in parts)]
        drawn: dict[Candidate, None] = {}
        for attempt in range(2 * self.pool):
            if len(drawn) >= self.pool:
                break
            if parents and attempt % 4:
                parent = parents[int(generator.integers(len(parents)))]
                place = int(generator.integers(len(parent))) if len(parent) > 1 else 0
                mutant = variation.mutate(parent[place], self.space, generator)
                drawn.setdefault(self.groups.candidate([*parent[:place], mutant, *parent[place + 1 :]]))
            else:
                drawn.setdefault(self.groups.candidate(self.functions.sample(len(self.groups), generator)))
        known = set(self._expressions)
        return [candidate for candidate in drawn if candidate not in known and self.is_usable(candidate)]

    def _screened(self, pool: list[Candidate], used: Rows) -> list[Candidate]:
        """The part of a pool that is promising by its outputs alone, and so worth its identity and its features."""
        views = {"outputs": 1.0}
        expressions, targets, noise = self._known()
        finite = np.flatnonzero(self.landscape.describe(expressions, self.features).finite)
        model = GaussianProcess(self.length).fit(Rows(used.description, views), targets[finite], noise[finite])
        mean, spread = model.predict(Rows(self.landscape.glance(pool), views), spread=self.explore > 0)
        best = np.argsort(-(mean if spread is None else mean + self.explore * spread), kind="stable")
        found: dict[Any, Candidate] = {}
        for place in best.tolist():
            if len(found) >= CHUNK:
                break
            if (key := self.key(pool[place])) not in self.known:
                found.setdefault(key, pool[place])
        return list(found.values())
