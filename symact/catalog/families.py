"""Is a function a member of a family, and at which values of the parameters? A fit finds them, the engine decides.

Values that are near a simple number are taken for it; where they are not simple, nothing is claimed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from symact.arrays import Array
from symact.catalog.affine import POINTS, simple
from symact.catalog.curves import curves
from symact.catalog.rows import VOCABULARY, family_of
from symact.equivalence.index.function_index import FunctionIndex
from symact.equivalence.numeric.float64 import Saturation, run
from symact.expr.operators import Vocabulary
from symact.expr.published import published
from symact.expr.tree import Expr, parse
from symact.program.pipeline import exact_program

_ROUNDS, _PATIENCE, _MOST = 40, 4, 3
_STEP, _EQUAL, _LOOSE = 1e-6, 1e-9, 1e-5


def fitted(target: Expr, key: str) -> dict[str, str] | None:
    """Values of the parameters of a row at which it is `target`, as formula text; None where there are none.

    Args:
        target: a function without parameters.
        key: of a row with parameters; of more than three, nothing is fitted.
    """
    row = published()[key]
    if len(row.settings) > _MOST:
        return None
    y = curves([target], POINTS)[0]
    size = float(np.linalg.norm(y - y.mean()))
    if not np.isfinite(y).all() or size == 0:
        return None
    program = exact_program(family_of(key).operator)
    bounds = Saturation(len(POINTS), doubled=False)

    def left(values: Array) -> Array:
        with np.errstate(all="ignore"):
            out = run(program, [POINTS[None], *[np.full((1, 1), value) for value in values]], bounds)[0]
        return (out - y) / size if np.isfinite(out).all() and np.abs(out).max() < 1e100 else np.full_like(y, 1e3)

    values = _least(left, np.array([float(setting.default) for setting in row.settings]))
    if values is None:
        return None
    names = [setting.name for setting in row.settings]
    for chosen in itertools.islice(itertools.product(*[list(simple(value, _LOOSE)) for value in values]), 16):
        if np.linalg.norm(left(np.array([near for _, near in chosen]))) <= _EQUAL:
            settings = {name: text for name, (text, _) in zip(names, chosen, strict=True)}
            if _same(target, row.formula, settings):
                return settings
    return None


def _least(left: Callable[[Array], Array], values: Array) -> Array | None:
    """Damped least squares from the defaults; None where they do not meet the function."""
    now = left(values)
    best, damping = float(np.linalg.norm(now)), 1e-3
    for number in range(_ROUNDS):
        steps = _STEP * np.eye(len(values))
        jacobian = np.stack([(left(values + s) - left(values - s)) / (2 * _STEP) for s in steps], axis=1)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ now
        before = best
        while damping < 1e6:
            move = np.linalg.lstsq(normal + damping * max(np.trace(normal), 1e-12) * np.eye(len(values)), -gradient)[0]
            tried = left(values + move)
            if np.linalg.norm(tried) < best:
                values, now, best, damping = (
                    values + move,
                    tried,
                    float(np.linalg.norm(tried)),
                    max(damping / 10, 1e-12),
                )
                break
            damping *= 10
        if best < 1e-13 or best > 0.99 * before or (number > _PATIENCE and best > 0.1):
            break
    return values if best < 1e-3 else None


def _same(target: Expr, formula: str, settings: dict[str, str]) -> bool:
    constants = {name: parse(text).operator.formula for name, text in settings.items()}
    index = FunctionIndex(VOCABULARY)
    return index.add(target) == index.add(parse(formula, Vocabulary(constants=constants)))
