"""Where functions are defined: everywhere (almost), partly, or nowhere on the interval.

In: described terms. Out: codes into `DOMAINS`. Where the signs of its parts tell, a term needs no look. Of the others
float64 tells most at the sample points, then on the dense grid and in pieces between breakpoints that both miss; where
it finds that a function is not what the sample points said, balls have to confirm it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.exact.comparison import Point
from symact.equivalence.numeric.samples import POINTS
from symact.program.signs import DEFINED

DOMAINS = ("everywhere", "partly", "nowhere")
EVERYWHERE, PARTLY, NOWHERE = range(3)
_CHUNK = 2048
# Balls are asked at so many of the points that differ.
_ASKED = 3
# At so many they have to say that a function is defined where float64 calls it undefined.
_ASKED_SURE = 8
# The sample points, each far from those before it.
_FAR_FIRST = np.argsort([int(f"{number:0{POINTS.bit_length() - 1}b}"[::-1], 2) for number in range(POINTS)])


def domains(builder: ClassBuilder, terms: TermColumns, members: Array) -> Array:
    """``(members,)`` codes of some of the terms.

    Args:
        builder: that described them.
        terms: all terms.
        members: ``(members,)`` numbers of those to look at.
    """
    undefined = terms.undefined[members]
    codes = np.where(undefined == 0, EVERYWHERE, np.where(undefined == POINTS, NOWHERE, PARTLY)).astype(np.int8)
    if not builder.certify:
        return codes
    symbols, numbers = terms.symbols[members], terms.numbers[members]
    flags = np.where(numbers >= 0, builder.rules.flags_of(np.maximum(numbers, 0)), 0)
    for symbol in np.unique(symbols[numbers < 0]).tolist():
        own = np.flatnonzero((symbols == symbol) & (numbers < 0))
        arguments = terms.arguments[members[own], : builder.graph.symbols[symbol].arity]
        flags[own] = builder.rules.flags(symbol, arguments)
    asked = np.flatnonzero((codes == NOWHERE) | ((codes == EVERYWHERE) & (flags & DEFINED == 0)))
    for start in range(0, len(asked), _CHUNK):
        some = asked[start : start + _CHUNK]
        for number, points in _unlike(builder, terms, members[some], codes[some] == NOWHERE):
            wanted = bool(codes[some[number]] != NOWHERE)
            term = terms.term(int(members[some[number]]))
            if any(builder.comparison.undefined(term, *point) is wanted for point in points):
                codes[some[number]] = PARTLY
    # Of a function that is 0 rounding makes a negative number, whose root float64 takes for undefined; and an exponent
    # that it takes for an integer makes a power of a negative number seem defined.
    unsure = np.flatnonzero((undefined > 0) & (undefined < POINTS) & (codes == PARTLY))
    unsure = unsure[~builder.sure(terms, members[unsure])]
    some, none = _confirmed(builder, terms, members[unsure])
    codes[unsure] = np.where(~none, EVERYWHERE, np.where(~some, NOWHERE, PARTLY))
    return codes


def _confirmed(builder: ClassBuilder, terms: TermColumns, members: Array) -> tuple[Array, Array]:
    """``(members,)`` twice: what balls say of single sample points.

    First whether they do not deny that terms are defined at a point where float64 says so; then whether they confirm
    that terms are undefined at one of the others.
    """
    base, undefined = builder.base, builder.comparison.undefined
    some, none = np.ones(len(members), bool), np.zeros(len(members), bool)
    symbols = terms.symbols[members]
    for symbol in np.unique(symbols).tolist():
        own = np.flatnonzero(symbols == symbol)
        arguments = terms.arguments[members[own], : builder.graph.symbols[symbol].arity]
        lost = np.isnan(np.concatenate(list(base.applied(symbol, arguments)))[:, :POINTS])
        for number, missing in zip(own.tolist(), lost, strict=True):
            term = terms.term(int(members[number]))
            gone, left = (_FAR_FIRST[chosen[_FAR_FIRST]].tolist() for chosen in (missing, ~missing))
            none[number] = any(undefined(term, base, point) for point in gone[:_ASKED_SURE])
            some[number] = any(undefined(term, base, point) is not True for point in left)
    return some, none


def _unlike(
    builder: ClassBuilder, terms: TermColumns, members: Array, nowhere: Array
) -> Iterable[tuple[int, list[Point]]]:
    """Members that are not at all points as they were at the sample points, and some points where they are not."""
    for grid in builder.dense.grids():
        grid.extend()
        found = np.isnan(builder.dense.values(grid, terms, members)) != nowhere[:, None]
        for number in np.flatnonzero(found.any(axis=1)).tolist():
            points = np.flatnonzero(found[number])
            yield number, [(grid, int(p)) for p in points[np.linspace(0, len(points) - 1, _ASKED).astype(int)]]
    position = {int(member): number for number, member in enumerate(members)}
    for own, grid, point in builder.dense.unsampled_points(terms, members, np.arange(len(members))):
        yield position[own], [(grid, point)]
