"""Is one function a*f(b*x + c) + d*x + e of another? A fit finds the constants, the identity engine decides.

b and c are found by damped least squares, a, d and e are linear in between (variable projection). Constants that are
near a simple number are taken for it, and the formula with these is compared by the identity engine: then the answer is
`exact`. Where the fit is as good as float64 allows but the constants are not simple, it is `numeric`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from symact.arrays import Array
from symact.catalog.curves import Bending, alike, curves
from symact.catalog.rows import VOCABULARY
from symact.equivalence.index.function_index import FunctionIndex
from symact.expr.operators import Operator, Vocabulary
from symact.expr.tree import Expr, parse, to_sympy

POINTS: Array = np.linspace(-7.93, 8.07, 321)
_ROUNDS, _STEP = 60, 1e-6
# Relative residuals: a fit worth polishing, and one that float64 cannot tell from equality.
_PROMISING, _EQUAL = 1e-4, 1e-10
_NEAR_SHAPES = 0.15
_SIMPLE_DENOMINATORS = 60
_LOOSE, _TIGHT = 1e-5, 1e-8
# Factors of constants in formulas, as formula text and number.
_FACTORS = {
    "": 1.0,
    "sqrt(2)": np.sqrt(2.0),
    "pi": np.pi,
    "1/pi": 1 / np.pi,
    "log(2)": np.log(2.0),
    "1/log(2)": 1 / np.log(2.0),
    "sqrt(2/pi)": np.sqrt(2 / np.pi),
    "sqrt(pi)": np.sqrt(np.pi),
    "sqrt(2*pi)": np.sqrt(2 * np.pi),
    "sqrt(3)": np.sqrt(3.0),
    "pi**2": np.pi**2,
}
_STARTS = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5, np.pi, 4.0, 0.25, 3.0, 5.0, 10.0, 20.0, 30.0)


@dataclass(frozen=True)
class Affine:
    """g(x) = a*f(b*x + c) + d*x + e.

    Attributes:
        constants: a, b, c, d, e as formula text.
        evidence: `exact`, decided by the identity engine; or `numeric`, the fit alone.
        residual: of the fit, relative to the spread of g on [-8, 8].
    """

    constants: tuple[str, str, str, str, str]
    evidence: str
    residual: float

    @property
    def adds_line(self) -> bool:
        """Whether d is not zero."""
        return self.constants[3] != "0"

    def form(self, name: str) -> str:
        """The map as formula text, `name` being the function: `2*tanh(x/2) + 1`."""
        a, b, c, d, e = self.constants
        argument = _sum(_times(b, "x"), c)
        return _sum(_times(a, f"{name}({argument})"), _times(d, "x"), e)


def affine(target: Expr, base: Expr, shapes: tuple[Bending, Bending], slow: bool = False) -> Affine | None:
    """The map that makes `target` of `base`, or None.

    Args:
        target: the function that is asked for, without parameters.
        base: the one it may be made of.
        shapes: of both.
        slow: try harder where the bending of the functions does not say where to begin.
    """
    y = curves([target], POINTS)[0]
    if not np.isfinite(y).all() or np.ptp(y) == 0:
        return None
    fit = _Fit(y, base)
    best = (np.inf, 1.0, 0.0)
    for start in _starts(*shapes, slow, fit):
        best = min(
            best, fit.polished(*start, kink=shapes[0].bounded and not shapes[0].width), key=lambda found: found[0]
        )
        if best[0] <= _EQUAL:
            break
    residual, b, c = best
    return None if residual > _PROMISING else _decided(fit, target, base, b, c)


def apart(target: Bending, base: Bending) -> float | None:
    """How far two functions are from being affine maps of one another, by their shapes; None: too far."""
    if not (target.bounded or base.bounded):
        return _NEAR_SHAPES
    found = min(alike(target, base, mirrored) for mirrored in (False, True))
    return found if found < _NEAR_SHAPES else None


class _Fit:
    """Least squares of values `y` in a*f(b*x + c) + d*x + e.

    Args:
        y: at `POINTS`.
        base: f.
    """

    def __init__(self, y: Array, base: Expr):
        self.y, self.base = y, base
        self.size = float(np.linalg.norm(y - y.mean()))
        self.plane = np.stack([POINTS, np.ones_like(POINTS)])

    def left(self, b: float, c: float) -> tuple[Array, Array]:
        """What the best a, d, e leave, relative to the size of y; and these."""
        f = curves([self.base], b * POINTS + c)[0]
        if not np.isfinite(f).all() or np.abs(f).max() > 1e100:
            return np.full_like(self.y, 1e3), np.zeros(3)
        rows = np.concatenate([f[None], self.plane])
        scale = np.linalg.norm(rows, axis=1)
        scale[scale == 0] = 1.0
        found = np.linalg.lstsq((rows / scale[:, None]).T, self.y, rcond=1e-13)[0] / scale
        return (self.y - found @ rows) / self.size, found

    def polished(self, b: float, c: float, kink: bool) -> tuple[float, float, float]:
        """Damped least squares from a start: (residual, b, c). A single kink has no width: b stays."""
        left, _ = self.left(b, c)
        best, damping = float(np.linalg.norm(left)), 1e-3
        for _ in range(_ROUNDS):
            slopes = [
                (self.left(b + _STEP * i, c + _STEP * j)[0] - self.left(b - _STEP * i, c - _STEP * j)[0]) / (2 * _STEP)
                for i, j in ((1, 0), (0, 1))
            ]
            jacobian = np.stack(slopes, axis=1)
            if kink:
                jacobian[:, 0] = 0.0
            normal, gradient = jacobian.T @ jacobian, jacobian.T @ left
            before = best
            for _ in range(8):
                step = np.linalg.lstsq(normal + damping * np.eye(2) * max(np.trace(normal), 1e-12), -gradient, None)[0]
                tried, _ = self.left(b + step[0], c + step[1])
                size = float(np.linalg.norm(tried))
                if size < best:
                    b, c, left, best, damping = b + step[0], c + step[1], tried, size, damping / 10
                    break
                damping *= 10
            if best > 0.999 * before or best < 1e-13:
                break
            if damping > 1e6:
                break
            damping = min(max(damping, 1e-12), 1e3)
        return best, float(b), float(c)


def _starts(target: Bending, base: Bending, slow: bool, fit: _Fit) -> Iterator[tuple[float, float]]:
    if target.bounded and base.bounded:
        for sign in (1.0, -1.0):
            if alike(target, base, mirrored=sign < 0) < _NEAR_SHAPES:
                b = sign * (base.width / target.width if target.width else 1.0)
                yield b, base.middle - b * target.middle
        return
    if target.bounded or base.bounded or not slow:
        return
    tried = [(b, c) for b in _STARTS for c in (0.0, np.pi / 2, 1.0, -1.0)]
    sizes = [max(_EQUAL, float(np.linalg.norm(fit.left(*start)[0]))) for start in tried]
    yield from (tried[i] for i in np.argsort(sizes, kind="stable")[:3])


def _decided(fit: _Fit, target: Expr, base: Expr, b: float, c: float) -> Affine | None:
    """The constants as simple numbers, checked by the identity engine; or the fit alone."""
    for b_text, b_value in simple(b, _LOOSE):
        for c_text, c_value in simple(c, _LOOSE):
            left, found = fit.left(b_value, c_value)
            residual = float(np.linalg.norm(left))
            linear = [next(simple(value, _TIGHT), None) for value in found]
            if residual > _EQUAL or None in linear:
                continue
            a_text, d_text, e_text = (text for text, _ in filter(None, linear))
            if a_text == "0":
                return None
            candidate = Affine((a_text, b_text, c_text, d_text, e_text), "exact", residual)
            if _same(target, candidate, base):
                return candidate
    b, c = (next((near for _, near in simple(value, _TIGHT)), value) for value in (b, c))
    left, found = fit.left(b, c)
    residual = float(np.linalg.norm(left))
    if residual > _EQUAL:
        return None
    texts = [_plain(value) for value in (found[0], b, c, found[1], found[2])]
    return None if texts[0] == "0" else Affine((texts[0], texts[1], texts[2], texts[3], texts[4]), "numeric", residual)


def _same(target: Expr, found: Affine, base: Expr) -> bool:
    operator = Operator("f", "unary", str(base), (), to_sympy(base))
    composed = parse(found.form("f"), Vocabulary(operators={"f": operator}))
    index = FunctionIndex(VOCABULARY)
    return index.add(target) == index.add(composed)


def _plain(value: float) -> str:
    """A simple number, or the first digits of one that is not."""
    near = next(simple(value, _TIGHT), None)
    return f"{value:.12g}" if near is None else near[0]


def simple(value: float, tolerance: float) -> Iterator[tuple[str, float]]:
    """Simple numbers near a value, each as formula text and as float64."""
    if abs(value) < tolerance:
        yield "0", 0.0
        return
    for factor, size in _FACTORS.items():
        ratio = Fraction(value / size).limit_denominator(_SIMPLE_DENOMINATORS)
        if ratio and abs(float(ratio) * size - value) <= tolerance * abs(value):
            yield _product(str(ratio), factor), float(ratio) * size
    for inverse in (False, True):
        decimal = f"{1 / abs(value) if inverse else abs(value):.6g}"
        near = 1 / float(decimal) if inverse else float(decimal)
        if abs(near - abs(value)) <= tolerance * abs(value) and "e" not in decimal:
            yield ("-" if value < 0 else "") + ("1/" if inverse else "") + decimal, np.copysign(near, value)


def _product(number: str, factor: str) -> str:
    if not factor or number == "1":
        return factor or number
    return f"-{factor}" if number == "-1" else f"{number}*{factor}"


def _times(number: str, what: str) -> str:
    """`number*what`, without a factor of 1; `""` for nothing at all."""
    return {"0": "", "1": what, "-1": f"-{what}"}.get(number, f"{number}*{what}")


def _sum(*terms: str) -> str:
    shown = [term for term in terms if term not in ("", "0")]
    text = shown[0] if shown else "0"
    for term in shown[1:]:
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text
