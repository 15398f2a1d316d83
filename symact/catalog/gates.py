"""Which published gate an expression of `x` and `g` is: exactly, with the inputs as they are or exchanged, or nearly.

Values at pairs of normal numbers choose the candidates, the identity engine decides.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.classes import EVIDENCE
from symact.equivalence.index.function_index import FunctionIndex
from symact.equivalence.numeric.float64 import Saturation, run
from symact.expr.operators import INPUTS, Vocabulary
from symact.expr.published import Published, gates
from symact.expr.tree import Expr, parse
from symact.program.pipeline import lower

# On a longer interval float64 leaves its range in the tails of products.
VOCABULARY = Vocabulary(name="gates", inputs=INPUTS, interval=(-10.0, 10.0))
_SAMPLE = 4096
_SAME = 1e-9
_ORDERS = (("x", "g"), ("g", "x"))


def same_gate(expr: Expr) -> tuple[Published, str, str] | None:
    """The gate that an expression is, how it is written with it, `swiglu(g, x)`, and the evidence; or None."""
    values = _values(expr)
    engine = FunctionIndex(VOCABULARY)
    for row, order, theirs in _known():
        if np.allclose(values, theirs, rtol=_SAME, atol=_SAME):
            known = engine.add(_written(row, order))
            if engine.find(expr) == known:
                return row, f"{row.key}({', '.join(order)})", EVIDENCE[engine.evidence()[known]]
    return None


def near_gates(expr: Expr) -> list[tuple[float, Published, str]]:
    """Gates, each in its nearer order, by the root mean square difference on pairs of standard normal numbers."""
    values = _values(expr)
    with np.errstate(all="ignore"):
        found = [
            (float(np.sqrt(np.mean((theirs - values) ** 2))), row, f"{row.key}({', '.join(order)})")
            for row, order, theirs in _known()
        ]
    nearest: dict[str, tuple[float, Published, str]] = {}
    for away in sorted((each for each in found if np.isfinite(each[0])), key=lambda each: each[0]):
        nearest.setdefault(away[1].key, away)
    return list(nearest.values())


@cache
def _known() -> list[tuple[Published, tuple[str, str], Array]]:
    """Every gate in both orders of its inputs, with its values."""
    return [(row, order, _values(_written(row, order))) for order in _ORDERS for row in gates().values()]


def _written(row: Published, order: tuple[str, str]) -> Expr:
    """The gate, its inputs in this order; one parse for each."""
    renamed = dict(zip(INPUTS, order, strict=True))
    return parse(re.sub(r"\b[xg]\b", lambda name: renamed[name.group()], row.formula), VOCABULARY)


def _values(expr: Expr) -> Array:
    """Values ``(pairs,)`` in float64."""
    program = lower(expr, len(INPUTS))
    with np.errstate(all="ignore"):
        made = run(program, list(_sample()), Saturation(_SAMPLE, doubled=False))[0]
    values: Array = np.broadcast_to(made, (1, _SAMPLE))[0]
    return values


@cache
def _sample() -> tuple[Array, ...]:
    drawn = np.random.default_rng(0).standard_normal((2, 1, _SAMPLE))
    return tuple(drawn)
