"""Evolution with DEAP: regularized (aging) evolution, mu + lambda, and NSGA-II over score and cost.

Mutations are PANGAEA's (Bingham & Miikkulainen 2022, arXiv:2006.03179) through `expr.vary`, which
never leaves the space; aging follows Real et al. 2019 (arXiv:1802.01548). Cost is that of the compiled Program by a
table of its operations for CPUs or for GPUs, forward and backward, the same on every machine.

A population is recomputed from the trials told, and every offspring has a generator of its own.
DEAP's operators draw from Python's global generator, so `python_random` seeds that one for them and
puts it back as it was.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from deap import base, tools

from symact.errors import InputError
from symact.expr import variation
from symact.expr.space import Space
from symact.expr.tree import Candidate, Expr, sites
from symact.optimize.base import Features, Optimizer, check_settings, score_of
from symact.optimize.site_groups import SiteGroups
from symact.program import gradient, pipeline
from symact.program.gpu_estimate import estimated
from symact.records import Trial

# How often each mutation is tried, relative to the others; one that a space rules out is passed over.
MUTATIONS: Mapping[str, float] = {
    "insert": 1.0,
    "remove": 1.0,
    "change": 3.0,
    "regenerate": 0.5,
    "parametrize": 1.0,
    "reshape": 0.5,
}

ALGORITHMS = ("aging", "mu+lambda", "nsga2")
MOST_CHILDREN = 20_000  # bred for one `ask` before the rest of it is drawn at random


@lru_cache(maxsize=65_536)
def cost(expression: Expr) -> float:
    """Cost of a forward and a backward pass by the instruction table, the same on every machine."""
    program = pipeline.lower(expression)
    return program.cost + gradient.backward(program).cost


@lru_cache(maxsize=65_536)
def gpu_cost(expression: Expr) -> float:
    """PTX instructions an element of both passes, by the table of `gpu_estimate`."""
    program = pipeline.lower(expression)
    return estimated(program) + estimated(gradient.backward(program))


# What the cost of a function may be, by the kind of machine it is to run on.
COSTS: Mapping[str, Callable[[Expr], float]] = {"cpu": cost, "gpu": gpu_cost}


class ScoreFitness(base.Fitness):  # type: ignore[misc]
    """Higher scores are better."""

    weights = (1.0,)


class ScoreCostFitness(base.Fitness):  # type: ignore[misc]
    """Higher scores and lower costs are better."""

    weights = (1.0, -1.0)


class Individual:
    """A candidate with its fitness, as DEAP's operators want it."""

    __slots__ = ("expression", "fitness", "number")

    def __init__(self, expression: Candidate, fitness: base.Fitness, number: int):
        self.expression, self.fitness, self.number = expression, fitness, number

    def __deepcopy__(self, memo: dict[int, Any]) -> Individual:
        return self  # Nothing in it ever changes; DEAP's archives copy what they keep.

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Individual) and self.expression == other.expression

    def __hash__(self) -> int:
        return hash(self.expression)


class Evolution(Optimizer):
    """Evolution of expressions.

    Args:
        space: where candidates come from.
        seed: of all draws.
        features: used only with `finite`.
        algorithm: `aging`, the newest `population` may breed; `mu+lambda`, the best may; or `nsga2`,
            the best by Pareto rank of score and cost, then by crowding.
        population: how many may breed.
        tournament: how many of them compete to be a parent (`aging` and `mu+lambda`).
        initial: finished trials, baselines included, before breeding begins.
        crossover: share of offspring made by subtree crossover, then mutated as the others are.
        mutations: relative frequency of each mutation in `expr.vary.MUTATIONS`.
        cost: what `nsga2` calls cost, a key of `COSTS`; the mean over sites.
        sites: how many activation sites have a function of their own, or which share one (`[[1, 2], [3]]`); 1 for one
            function everywhere. A child takes each group from either parent, and a mutation changes one group.
        finite: skip offspring whose `features` are not finite at initialization.

    Raises:
        InputError: a setting that cannot be used.
    """

    name = "evolution"

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        *,
        features: Features | None = None,
        algorithm: str = "aging",
        population: int = 32,
        tournament: int = 8,
        initial: int = 8,
        crossover: float = 0.2,
        mutations: Mapping[str, float] = MUTATIONS,
        cost: str = "cpu",
        sites: int | Sequence[Sequence[int]] = 1,
        finite: bool = True,
    ):
        super().__init__(space, seed, features=features)
        check_settings(
            self.name, {"algorithm": algorithm, "cost": cost}, {"algorithm": ALGORITHMS, "cost": tuple(COSTS)}
        )
        unknown = set(mutations) - set(variation.MUTATIONS)
        if unknown:
            raise InputError(
                f"evolution: unknown mutation {min(unknown)!r}; there are {', '.join(variation.MUTATIONS)}"
            )
        if population < 1 or tournament < 1 or initial < 0 or not 0 <= crossover <= 1:
            raise InputError("evolution: population and tournament are at least 1, crossover lies in [0, 1]")
        self.algorithm, self.population, self.tournament = algorithm, int(population), int(tournament)
        self.initial, self.crossover, self.finite = int(initial), float(crossover), finite
        self._cost, self.groups = COSTS[cost], SiteGroups.read(self.name, sites)
        self._names = [name for name in variation.MUTATIONS if mutations.get(name, 0.0) > 0]
        weights = np.array([mutations[name] for name in self._names], dtype=float)
        self._weights = weights / weights.sum() if len(weights) else weights
        self._individuals: list[Individual] = []
        self._archive = tools.ParetoFront()
        self._bred: dict[Candidate, dict[str, Any]] = {}  # children of the last `ask`: whose, and how

    @property
    def front(self) -> list[tuple[Candidate, float, float]]:
        """The Pareto front of everything told: (candidate, score, cost), cheapest first."""
        rows = [(one.expression, one.fitness.values[0], one.fitness.values[1]) for one in self._archive]
        return sorted(rows, key=lambda row: row[2])

    def _learn(self, trial: Trial) -> None:
        score = score_of(trial)
        expression, parts = trial.candidate, sites(trial.candidate)
        if score is None or self.groups.functions(expression) is None or any(p not in self.space for p in parts):
            return
        if self.algorithm == "nsga2":
            fitness: base.Fitness = ScoreCostFitness((score, sum(map(self._cost, parts)) / len(parts)))
        else:
            fitness = ScoreFitness((score,))
        individual = Individual(expression, fitness, trial.number)
        self._individuals.append(individual)
        if self.algorithm == "nsga2":
            self._archive.update([individual])

    def breeders(self) -> list[Individual]:
        """The part of the told trials that may breed."""
        if self.algorithm == "aging":
            return self._individuals[-self.population :]
        if self.algorithm == "mu+lambda":
            return list(tools.selBest(self._individuals, self.population))
        return list(tools.selNSGA2(self._individuals, min(self.population, len(self._individuals))))

    def _propose(self) -> Iterator[Candidate]:
        if len(self._individuals) < max(1, self.initial):
            stream = self.functions.candidates(self.groups, self.seed)
        else:
            stream = self._children(self.breeders())
        yield from self.finite_only(stream) if self.finite else filter(self.is_usable, stream)

    def explain(self, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
        """Of each child the numbers of the trials that it was bred from, and the `operation`."""
        return [dict(self._bred.get(candidate, {})) for candidate in candidates]

    def _children(self, breeders: list[Individual]) -> Iterator[Candidate]:
        self._bred = {}
        for attempt in range(MOST_CHILDREN):
            child, parents, operation = self._child(breeders, self.generator(self.told, attempt))
            self._bred.setdefault(child, {"parents": [one.number for one in parents], "operation": operation})
            yield child

    def _child(
        self, breeders: list[Individual], generator: np.random.Generator
    ) -> tuple[Candidate, list[Individual], str]:
        """A child, whom it was bred from, and how."""
        with python_random(generator):
            pair = self._parents(breeders)
        if len(self.groups) > 1:
            return self._child_of_groups(pair, generator)
        parents = [sites(one.expression)[0] for one in pair]
        child, whose, how = parents[0], pair[:1], ""
        if generator.random() < self.crossover:
            child = variation.crossover(parents[0], parents[1], self.space, generator)[int(generator.integers(2))]
            if child not in parents:
                whose, how = pair, "crossover"
                if generator.random() < 0.5:
                    return child, whose, how
            elif child == parents[1]:
                whose = pair[1:]
        child, mutation = self._mutated(child, generator)
        return child, whose, f"{how}, {mutation}" if how else mutation

    def _child_of_groups(
        self, pair: list[Individual], generator: np.random.Generator
    ) -> tuple[Candidate, list[Individual], str]:
        one, other = (self.groups.functions(each.expression) or () for each in pair)
        whose, how, child = pair[:1], "", one
        if generator.random() < self.crossover:
            first = generator.random(len(one)) < 0.5
            child = tuple([a if own else b for a, b, own in zip(one, other, first, strict=True)])
            if child not in (one, other):
                whose, how = pair, "crossover"
                if generator.random() < 0.5:
                    return self.groups.candidate(child), whose, how
            elif child == other:
                whose = pair[1:]
        place = int(generator.integers(len(self.groups)))
        mutant, mutation = self._mutated(child[place], generator)
        child = (*child[:place], mutant, *child[place + 1 :])
        mutation = f"{mutation} at {self.groups.name(place)}"
        return self.groups.candidate(child), whose, f"{how}, {mutation}" if how else mutation

    def _parents(self, breeders: list[Individual]) -> list[Individual]:
        if self.algorithm != "nsga2":
            return list(tools.selTournament(breeders, 2, min(self.tournament, len(breeders))))
        if len(breeders) < 4:
            return list(tools.selRandom(breeders, 2))
        return list(tools.selTournamentDCD(breeders, 4)[:2])

    def _mutated(self, expression: Expr, generator: np.random.Generator) -> tuple[Expr, str]:
        for name in generator.choice(self._names, size=8, p=self._weights) if self._names else ():
            mutant = variation.MUTATIONS[name](expression, self.space, generator)
            if mutant is not None:
                return mutant, name
        return variation.mutate(expression, self.space, generator), "mutation"


@contextmanager
def python_random(generator: np.random.Generator) -> Iterator[None]:
    """Python's global generator seeded from `generator` inside, and as it was afterwards."""
    state = random.getstate()
    random.seed(int(generator.integers(2**63)))
    try:
        yield
    finally:
        random.setstate(state)
