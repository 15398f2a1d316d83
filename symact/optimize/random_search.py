"""Random search: uniform over distinct functions, without repetition. The yardstick of all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symact.expr.space import Space
from symact.expr.tree import Candidate
from symact.optimize.base import Features, Optimizer
from symact.optimize.site_groups import SiteGroups
from symact.records import Trial


class RandomSearch(Optimizer):
    """A random order of the functions of a space, fixed by the seed.

    Args:
        space: where candidates come from.
        seed: fixes the order.
        features: used only with `finite`.
        sites: how many activation sites have a function of their own, or which share one (`[[1, 2], [3]]`); 1 for one
            function everywhere.
        finite: skip functions whose features are not finite at initialization (the Fisher filter of
            Bingham & Miikkulainen 2023, arXiv:2301.05785); needs `features` with a `"finite"` column.
    """

    name = "random"

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        *,
        features: Features | None = None,
        sites: int | Sequence[Sequence[int]] = 1,
        finite: bool = False,
    ):
        super().__init__(space, seed, features=features)
        self.groups, self.finite = SiteGroups.read(self.name, sites), finite

    def _propose(self) -> Iterator[Candidate]:
        if len(self.groups) > 1:
            stream = self.functions.candidates(self.groups, self.seed)
            yield from self.finite_only(stream) if self.finite else filter(self.is_usable, stream)
            return
        if not self.finite:
            yield from self.draws()
            return
        # What was told comes out of the filter before it is left out: a long stretch of it does not end the search.
        finite = self.finite_only(self.functions.draws(self.seed))
        yield from (expression for expression in finite if self.key(expression) not in self.known)

    def _learn(self, trial: Trial) -> None:
        """Nothing to learn: what was told is not drawn again."""
