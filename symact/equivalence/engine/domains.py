"""Where the functions of a table are defined: everywhere (almost), partly, or nowhere on the interval.

In: described rows. Out: codes into `DOMAINS`. What `facts` know needs no look. Of the others float64 tells most at the
sample points, then on the dense grid and in cells between sign changes that both miss; where it finds that a function
is not what the sample points said, balls have to confirm it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.classes import Functions
from symact.equivalence.engine.described import Candidates
from symact.equivalence.terms import POINTS, Field
from symact.program.signs import DEFINED

DOMAINS = ("everywhere", "partly", "nowhere")
EVERYWHERE, PARTLY, NOWHERE = range(3)
_CHUNK = 2048
# Balls are asked at so many of the points that differ.
_ASKED = 3


def domains(functions: Functions, rows: Candidates, members: Array) -> Array:
    """``(members,)`` codes of some of the rows.

    Args:
        functions: that described them.
        rows: all rows.
        members: ``(members,)`` numbers of those to look at.
    """
    undefined = rows.undefined[members]
    codes = np.where(undefined == 0, EVERYWHERE, np.where(undefined == POINTS, NOWHERE, PARTLY)).astype(np.int8)
    if not functions.certify:
        return codes
    heads, nodes = rows.heads[members], rows.nodes[members]
    flags = np.where(nodes >= 0, functions.shortcuts.flags_of(np.maximum(nodes, 0)), 0)
    for head in np.unique(heads[nodes < 0]).tolist():
        own = np.flatnonzero((heads == head) & (nodes < 0))
        arguments = rows.arguments[members[own], : functions.dag.heads[head].arity]
        flags[own] = functions.shortcuts.flags(head, arguments)
    asked = np.flatnonzero((codes == NOWHERE) | ((codes == EVERYWHERE) & (flags & DEFINED == 0)))
    for start in range(0, len(asked), _CHUNK):
        some = asked[start : start + _CHUNK]
        for number, places in _unlike(functions, rows, members[some], codes[some] == NOWHERE):
            wanted = bool(codes[some[number]] != NOWHERE)
            row = rows.row(int(members[some[number]]))
            if any(functions.arbiter.undefined(row, *place) is wanted for place in places):
                codes[some[number]] = PARTLY
    # Of a function that is 0 rounding makes a negative number, whose root float64 takes for undefined.
    unsure = np.flatnonzero((undefined > 0) & (undefined < POINTS) & (codes == PARTLY))
    unsure = unsure[~functions.sure(rows, members[unsure])]
    for number in unsure[~_confirmed(functions, rows, members[unsure])].tolist():
        codes[number] = EVERYWHERE
    return codes


def _confirmed(functions: Functions, rows: Candidates, members: Array) -> Array:
    """``(members,)`` whether balls find rows undefined at one of the sample points where float64 does."""
    base, found = functions.base, np.zeros(len(members), bool)
    heads = rows.heads[members]
    for head in np.unique(heads).tolist():
        own = np.flatnonzero(heads == head)
        arguments = rows.arguments[members[own], : functions.dag.heads[head].arity]
        lost = np.isnan(np.concatenate(list(base.applied(head, arguments)))[:, :POINTS])
        for number, points in zip(own.tolist(), map(np.flatnonzero, lost), strict=True):
            row = rows.row(int(members[number]))
            spread = points[np.linspace(len(points) // 2, len(points) - 1, _ASKED).astype(int)]
            found[number] = any(functions.arbiter.undefined(row, base, int(point)) for point in spread)
    return found


def _unlike(
    functions: Functions, rows: Candidates, members: Array, nowhere: Array
) -> Iterable[tuple[int, list[tuple[Field, int]]]]:
    """Members that are not at all points as they were at the sample points, and some points where they are not."""
    for field in functions.dense_fields():
        field.extend()
        found = np.isnan(functions.dense_values(field, rows, members)) != nowhere[:, None]
        for number in np.flatnonzero(found.any(axis=1)).tolist():
            points = np.flatnonzero(found[number])
            yield number, [(field, int(p)) for p in points[np.linspace(0, len(points) - 1, _ASKED).astype(int)]]
    position = {int(member): number for number, member in enumerate(members)}
    for own, field, point in functions.hidden_places(rows, members, np.arange(len(members))):
        yield position[own], [(field, point)]
