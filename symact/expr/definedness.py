"""Where the functions of a table are defined: everywhere (almost), partly, or nowhere on the interval.

In: described rows. Out: codes into `DOMAINS`. What `facts` know needs no look. Of the others float64 tells most at the
sample points, then on the dense grid and in cells between sign changes that both miss; where it finds that a function
is not what the sample points said, balls have to confirm it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from symact.expr import balls
from symact.expr.candidates import Candidates
from symact.expr.facts import DEFINED
from symact.expr.fields import POINTS, Field
from symact.expr.kernels import Array
from symact.expr.partition import Functions

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
            if any(_is_undefined(functions, rows, int(members[some[number]]), *place) is wanted for place in places):
                codes[some[number]] = PARTLY
    return codes


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


def _is_undefined(functions: Functions, rows: Candidates, member: int, field: Field, point: int) -> bool | None:
    """Whether a row is undefined at a point; None where no precision tells."""
    for bits in balls.PRECISIONS:
        with balls.precision(bits):
            value = functions.arbiter.value(rows.row(member), field, point, bits)
        if value is not balls.UNKNOWN:
            return value is balls.UNDEFINED
    return None
