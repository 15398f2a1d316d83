"""Gradient-learned mixtures through ask and tell: the training learns the weights, `tell` reads them.

Two methods, both in candidates whose weights are positive `mixture` parameters, one set per layer:

* `sum`: normalized non-negative sums of functions under the three-cycle schedule (Bansal 2022,
  "Dive into an optimal activation function"), of any functions of the grammar, and of their products.
  Further candidates exchange the function with the smallest share of the best mixture for another.
* `cell`: every slot of a shape is a sum over the grammar's operators, trained bi-level; shares are
  gathered into Dirichlet concentrations from which the next weights are drawn (DrNAS, Chen et al. 2021,
  arXiv:2006.10355), the weakest operators are dropped stage by stage, and what is left in the end is one
  ordinary expression per network, then one per site (after GRAFS, Strack, Safari & Hutter 2024, arXiv:2408.06820).

A training under these schedules takes more epochs than an ordinary one; `epochs` counts them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from symact.errors import InputError
from symact.expr.space import Space
from symact.expr.tree import Candidate, Expr, candidate_text, parse
from symact.optimize import mixture_formula
from symact.optimize.base import Features, Optimizer, check_settings, score_of
from symact.optimize.mixture_formula import Choices
from symact.records import Trial

BANSAL = ("relu(x)", "tanh(x)", "sin(x)")


class Mixture(Optimizer):
    """Mixtures whose weights are learned by gradient.

    Args:
        space: its grammar's operators are what `cell` mixes and what `sum` exchanges functions for; its
            first shape without `tree` and n-ary slots is the cell.
        seed: of the drawn weights and exchanges.
        features: not used.
        method: `sum` or `cell`.
        functions: formulas in `x` that the first sum mixes.
        products: whether a sum also holds the products of each two of its functions.
        stages: of shrinking; each keeps half of the operators of every slot (`cell`).
        samples: trainings per stage; the first starts from equal weights, the others from drawn ones.
        bound: what an operator gives is clipped to [-bound, bound] (`cell`); GRAFS clips to 10, in networks that
            normalize.

    Raises:
        InputError: a setting that cannot be used, or a space without a shape for a cell.
    """

    name = "mixture"
    schedule = "three-cycle"

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        *,
        features: Features | None = None,
        method: str = "sum",
        functions: Sequence[str] = BANSAL,
        products: bool = False,
        stages: int = 3,
        samples: int = 2,
        bound: float = 2.0,
    ):
        super().__init__(space, seed, features=features)
        check_settings(self.name, {"method": method}, {"method": ("sum", "cell")})
        if not functions or stages < 1 or samples < 1 or not bound > 0:
            raise InputError("mixture: it takes functions, at least one stage and sample, and a positive bound")
        if len(space.grammar.inputs) > 1:
            raise InputError(f"mixture: it mixes functions of x alone; {space.grammar.name} has functions of x and g")
        self.method, self.products, self.bound = method, bool(products), float(bound)
        self.stages, self.samples = int(stages), int(samples)
        self.schedule = "three-cycle" if method == "sum" else "bilevel"
        self.epochs = 0
        self._terms = {f"w0_f{i}": text for i, text in enumerate(functions)}
        own = set(self._terms.values())
        for name in mixture_formula.usable_operators(space.grammar, "unary"):
            text = f"{name}(x)"
            if text not in own and space.grammar.operators[name].name not in ("zero", "identity"):
                self._terms[f"w0_{name}"] = text
        for text in self._terms.values():
            parse(text, space.grammar)
        self._mixtures: list[tuple[float, dict[str, float]]] = []  # (score, shares by term) of the sums told
        self._search = _Cells(self) if method == "cell" else None

    def key(self, candidate: Candidate) -> Any:
        """Formulas are told apart by text and initial weights; ordinary candidates by function."""
        expressions = (candidate,) if isinstance(candidate, Expr) else candidate
        if any(expression.is_formula for expression in expressions):
            inits = tuple((p.name, p.init) for e in expressions for p in e.parameters if p.mixture)
            return candidate_text(candidate), inits
        return super().key(candidate)

    def ask(self, count: int) -> list[Candidate]:
        """Up to `count` candidates; fewer while the weights of a stage are still being learned."""
        return list(itertools.islice(self._unseen(self._propose(), 1_000), max(0, count)))

    def _admits(self, candidate: Candidate) -> bool:
        # A mixture lies between the members of a space; what comes out at the end is one, where the space has it.
        return True

    def _propose(self) -> Iterator[Candidate]:
        yield from self._sums() if self._search is None else self._search.propose()

    def _learn(self, trial: Trial) -> None:
        self.epochs += sum(int(outcome.metrics.get("epochs", 0) or 0) for outcome in trial.outcomes)
        score = score_of(trial)
        if not isinstance(trial.candidate, Expr) or not any(p.mixture for p in trial.candidate.parameters):
            return
        constants = [site for outcome in trial.outcomes for site in outcome.constants]
        if self._search is not None:
            self._search.learn(trial, constants)
        elif score is not None:
            self._mixtures.append((score, self._shares(mixture_formula.proportions(constants), trial.candidate)))

    # Sums of functions.

    def _shares(self, proportions: dict[str, float], candidate: Expr) -> dict[str, float]:
        """Share of each function; a product's share is its factors' too."""
        names = [p.name for p in candidate.parameters if p.mixture]
        shares: dict[str, float] = {}
        for name in names:
            for part in name.split("__times__"):
                term = part if part.startswith("w0_") else f"w0_{part}"
                shares[term] = shares.get(term, 0.0) + proportions.get(name, 1.0 / len(names))
        return {name: share for name, share in shares.items() if name in self._terms}

    def _mixed(self, terms: Sequence[str]) -> Expr:
        formulas = {name: self._terms[name] for name in terms}
        if self.products:
            for first, second in itertools.combinations(terms, 2):
                name = f"{first}__times__{second.removeprefix('w0_')}"
                formulas[name] = f"({self._terms[first]})*({self._terms[second]})"
        return mixture_formula.weighted_sum(formulas, self.space.grammar)

    def _sums(self) -> Iterator[Candidate]:
        first = [name for name in self._terms if name.startswith("w0_f") and name[4:].isdigit()]
        yield self._mixed(first)
        generator = self.generator(1, self.told)
        best = dict.fromkeys(first, 1.0)
        if self._mixtures:
            best = max(self._mixtures, key=lambda row: row[0])[1] or best
        kept = sorted(best, key=lambda name: (-best[name], name))
        others = [name for name in self._terms if name not in best]
        for name in generator.permutation(others) if others else ():
            yield self._mixed(sorted([*(kept[:-1] if len(kept) > 1 else kept), str(name)], key=list(self._terms).index))
        for _ in range(2_000):
            size = min(len(self._terms), max(2, len(first)))
            drawn = generator.choice(len(self._terms), size=size, replace=False)
            yield self._mixed([list(self._terms)[i] for i in sorted(drawn)])


class _Cells:
    """The stages of a cell: which operators are left, what their shares were."""

    def __init__(self, owner: Mixture):
        self.owner = owner
        grammar = owner.space.grammar
        fitting = [s for s in owner.space.shapes if s.size and all(p.kind in ("unary", "binary") for p in s.slots())]
        if not fitting:
            raise InputError(f"mixture: no shape of space {owner.space.name!r} has unary and binary slots only")
        self.shape = fitting[0]
        usable = {kind: mixture_formula.usable_operators(grammar, kind) for kind in ("unary", "binary")}
        self.choices: Choices = tuple(usable[slot.kind] for slot in self.shape.slots())
        if not all(self.choices):
            raise InputError("mixture: a slot of the cell has no operator that is finite everywhere")
        self.concentrations = {
            mixture_formula.weight(slot, name): 1.0 for slot, names in enumerate(self.choices) for name in names
        }
        self.sites: list[dict[str, float]] = []
        self.stage, self.done = 0, 0
        mixture_formula.cell(self.shape, self.choices, grammar, owner.bound, {})

    def propose(self) -> Iterator[Candidate]:
        grammar = self.owner.space.grammar
        if self.stage < self.owner.stages:
            for sample in range(self.done, self.owner.samples):
                yield mixture_formula.cell(self.shape, self.choices, grammar, self.owner.bound, self._drawn(sample))
            return
        best = self._ordered(self.concentrations)
        yield from itertools.islice(best, 1)
        sites = [next(self._ordered({**self.concentrations, **site}), None) for site in self.sites]
        if len(set(sites)) > 1:
            yield tuple(site for site in sites if site is not None)
        yield from best

    def _drawn(self, sample: int) -> dict[str, float]:
        """Weights at the start: equal for the first sample of a stage, else a draw from the concentrations."""
        if sample == 0:
            return {}
        generator = self.owner.generator(2, self.stage, sample)
        drawn: dict[str, float] = {}
        for slot, names in enumerate(self.choices):
            keys = [mixture_formula.weight(slot, name) for name in names]
            shares = generator.dirichlet([self.concentrations[key] for key in keys])
            # A weight of zero could never grow again; mean 1, as equal weights have it.
            drawn |= {
                k: round(max(float(s) * len(keys), 0.05), 6) for k, s in zip(keys, shares, strict=True)
            }  # fmt: skip
        return drawn

    def learn(self, trial: Trial, constants: list[Any]) -> None:
        if self.stage >= self.owner.stages:
            return
        names = {p.name for p in trial.candidate.parameters if p.mixture}
        if not names <= set(self.concentrations):
            return
        if trial.status == "finished" and constants:
            for name, share in mixture_formula.proportions(constants).items():
                if name in self.concentrations:
                    slot = len(self.choices[int(mixture_formula.slot_of(name)[1:])])
                    self.concentrations[name] += share * slot
            self.sites = [mixture_formula.site_proportions(site) for site in trial.outcomes[0].constants]
        self.done += 1
        if self.done >= self.owner.samples:
            self.stage, self.done = self.stage + 1, 0
            self._shrink()

    def _shrink(self) -> None:
        """Keep the better half of every slot; the last stage keeps one of each for the best guess."""
        if self.stage >= self.owner.stages:
            return
        kept = []
        for slot, names in enumerate(self.choices):
            order = sorted(names, key=lambda name: -self.concentrations[mixture_formula.weight(slot, name)])
            count = max(2 if len(names) > 1 else 1, math.ceil(len(names) / 2))
            kept.append(tuple(name for name in names if name in order[:count]))
        self.choices = tuple(kept)

    def _ordered(self, concentrations: dict[str, float]) -> Iterator[Expr]:
        """Ordinary expressions of the choices left, the most probable first."""
        options = []
        for slot, names in enumerate(self.choices):
            values = np.array([concentrations.get(mixture_formula.weight(slot, name), 0.0) for name in names])
            order = np.argsort(-values, kind="stable")[:6]
            options.append([(-math.log(max(values[i], 1e-9)), names[i]) for i in order])
        if math.prod(map(len, options)) > 50_000:
            options = [option[:2] for option in options]
        combined = sorted(
            (round(sum(cost for cost, _ in row), 9), [name for _, name in row]) for row in itertools.product(*options)
        )
        operators = self.owner.space.grammar.operators
        for _, chosen in combined:
            expression = self.shape.build([operators[name] for name in chosen])
            if expression in self.owner.space and self.owner.functions.usable(expression):
                yield expression
