"""`Landscape`: descriptions of the functions of one space under one source of features, each made once.

In: a space's functions and a source of features. Out: `Rows` of any expressions, in the units of the
space, with distances that are remembered between the members of a space that can be listed.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from symact.expr.tree import Candidate
from symact.optimize.base import Features
from symact.optimize.function_features import Description, Frame, Raw
from symact.optimize.pool import Pool
from symact.optimize.regressors import Columns, Rows
from symact.optimize.site_groups import ONE, SiteGroups

REFERENCE = 256  # functions that set the units of a space that is sampled
# A larger space is sampled. On a real network a function takes up to 0.1 s to describe, and 5,000 have 25 million
# distances. AQuaSurF describes the 2,913 of its benchmarks whole.
LISTED = 5_000
EMBEDDED = 2_000  # functions of such a space that an embedding shows, and that may be proposed then


class Landscape:
    """Coordinates of functions; what was described or measured once is not described again.

    It holds neither the space's functions nor the source of features, which are arguments where they are
    needed: so it lives exactly as long as they do.

    Attributes:
        members: the functions that set its units, all of the space where they can be listed.
    """

    # Source of features -> functions of a space -> landscape.
    _made: weakref.WeakKeyDictionary[
        Any, weakref.WeakKeyDictionary[Pool, dict[tuple[int, SiteGroups, tuple[Candidate, ...]], Landscape]]
    ] = weakref.WeakKeyDictionary()

    def __init__(
        self,
        functions: Pool,
        features: Features | None,
        reference: int = REFERENCE,
        groups: SiteGroups = ONE,
        others: tuple[Candidate, ...] = (),
    ):
        members = listed(functions, groups)
        if members is None:
            members = list(dict.fromkeys([*sampled(functions, reference, groups), *others]))
        self.members = members
        self._inputs, self._groups = len(functions.space.grammar.inputs), groups
        raw = self._raw(members, features)
        self._frame = Frame(raw)
        self._described = self._frame(raw)
        self._places = {expression: row for row, expression in enumerate(members)}
        self._others: dict[Candidate, Description] = {}
        self._embeddings: dict[tuple[str, ...], np.ndarray] = {}
        self._columns: dict[tuple[tuple[str, float], ...], Columns] = {}

    @classmethod
    def of(
        cls,
        functions: Pool,
        features: Features | None,
        reference: int = REFERENCE,
        groups: SiteGroups = ONE,
        others: tuple[Candidate, ...] = (),
    ) -> Landscape:
        """The landscape, made once per process for the same functions and the same source.

        Args:
            functions: of the space.
            features: the source.
            reference: how many functions of a space that is sampled are its members here.
            groups: of sites that have functions of their own.
            others: further members of a space that is sampled.
        """
        source = functions if features is None else getattr(features, "__self__", features)
        try:
            made = cls._made.setdefault(source, weakref.WeakKeyDictionary())
        except TypeError:  # a source that cannot be referred to weakly is described anew
            return cls(functions, features, reference, groups, others)
        known, key = made.setdefault(functions, {}), (reference, groups, others)
        if key not in known:
            known[key] = cls(functions, features, *key)
        return known[key]

    def describe(self, expressions: Sequence[Candidate], features: Features | None) -> Description:
        """Descriptions, ``(n,)`` rows; features are asked for what is new."""
        new = [e for e in dict.fromkeys(expressions) if e not in self._places and e not in self._others]
        if new:
            described = self._frame(self._raw(new, features))
            for row, expression in enumerate(new):
                self._others[expression] = described.take([row])
        if not any(expression in self._others for expression in expressions):
            return self._described.take([self._places[expression] for expression in expressions])
        parts = [self._others.get(e) or self._described.take([self._places[e]]) for e in expressions]
        return _concatenated(parts)

    def glance(self, expressions: Sequence[Candidate]) -> Description:
        """Descriptions by outputs alone, for which no features are asked."""
        return self._frame(self._raw(expressions, None))

    def rows(self, expressions: Sequence[Candidate], features: Features | None, views: Mapping[str, float]) -> Rows:
        """Functions in the metric space of some views; distances to members are remembered."""
        key = tuple(sorted(views.items()))
        if key not in self._columns:
            self._columns[key] = Columns(Rows(self._described, views))
        places = np.array([self._places.get(expression, -1) for expression in expressions], dtype=int)
        return Rows(self.describe(expressions, features), views, None, places, self._columns[key])

    def embedded(self, expressions: Sequence[Candidate], features: Features | None, views: Mapping[str, float]) -> Rows:
        """Functions by UMAP coordinates; one that is no member, or not finite, is not finite here."""
        chosen = tuple(view for view in views if views[view])
        if chosen not in self._embeddings:
            from symact.optimize.embedding import umap_union

            finite = np.flatnonzero(self._described.finite)
            coordinates = np.zeros((len(self._described), 2))
            if len(finite) > 3:
                coordinates[finite] = umap_union(self._described.take(finite), chosen)
            self._embeddings[chosen] = coordinates
        described = self.describe(expressions, features)
        places = [self._places.get(expression) for expression in expressions]
        inside = np.array([place is not None for place in places], dtype=bool)
        coordinates = self._embeddings[chosen][[place or 0 for place in places]]
        seen = Description(described.outputs, described.fisher, described.shape, described.finite & inside)
        return Rows(seen, views, coordinates)

    def _raw(self, expressions: Sequence[Candidate], features: Features | None) -> Raw:
        asked = list(expressions)
        return Raw.of(asked, None if features is None else features(asked), self._inputs, self._groups)


def listed(functions: Pool, groups: SiteGroups) -> list[Candidate] | None:
    """All candidates; None where there are too many to describe each: a large space, or several groups of sites."""
    found = functions.members
    return None if found is None or len(found) > LISTED or len(groups) > 1 else list(found)


def sampled(functions: Pool, count: int, groups: SiteGroups = ONE) -> list[Candidate]:
    """The first usable candidates of what is too much to list, in an order that is the same for every seed."""
    return list(islice(functions.candidates(groups, 0), count))


def _concatenated(parts: Sequence[Description]) -> Description:
    fisher = [part.fisher for part in parts if part.fisher is not None]
    return Description(
        np.concatenate([part.outputs for part in parts]),
        np.concatenate(fisher) if len(fisher) == len(parts) else None,
        np.concatenate([part.shape for part in parts]),
        np.concatenate([part.finite for part in parts]),
    )
