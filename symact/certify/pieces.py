"""The float32 line in pieces, on each of which polynomials in float64 are the exact function up to a proved bound.

In: an exact Program and a range of neighbouring float32 numbers of one sign. Out: `Span` after `Span`. A piece has
coefficients of the value and of the derivative about its middle, from ball arithmetic, and for each a bound of what is
missing: Lagrange's remainder over the whole piece, the rounding of the coefficients, and the rounding of Horner's rule,
of which nothing is assumed but that float64 adds and multiplies as IEEE 754 says. Where no such polynomial is found,
the range is halved; what is left in the end is `by_points`: balls at each number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from flint import arb

from symact.arrays import Array
from symact.certify.series import TERMS, coefficients, terms
from symact.equivalence.exact.balls import UNDEFINED, Marker
from symact.program.program import Program

# The bits of a float32 without its sign are its place in the order of magnitudes; from here on there is no number.
INFINITY = 0x7F80_0000
# Places in one unit of work: the numbers between two powers of two.
BINADE = 1 << 23
# Bits for the coefficients; the second where the first leave a piece open.
_BITS = (256, 1536)
# Fewer numbers than these are looked at one by one. Ranges of `_PROBE` numbers are tried before a binade is cut into
# ever smaller pieces for nothing.
_FEW, _PROBE = 64, 1 << 11
# Asked of a polynomial: a bound of 2**-16 ulp, for the largest values of the piece.
_ASKED = 2.0**-16
# What is beyond float32 by that much stands for all that is; likewise what is too small to matter.
_HUGE, _NOTHING = 2.0**200, 2.0**-220
_UNIT = 2.0**-53


@dataclass(frozen=True, slots=True)
class BoundedPolynomial:
    """Horner's rule in ``(x - middle)/scale`` and the bound of its error.

    Attributes:
        coefficients: from the highest power down.
        bound: of the absolute error.
    """

    coefficients: tuple[float, ...]
    bound: float

    def at(self, t: Array, out: Array) -> Array:
        """Its values, in `out`."""
        first, *rest = self.coefficients
        if not rest:
            out.fill(first)
            return out
        np.multiply(t, first, out=out)
        np.add(out, rest[0], out=out)
        for number in rest[1:]:
            np.multiply(out, t, out=out)
            np.add(out, number, out=out)
        return out


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring float32 numbers of one sign.

    Attributes:
        sign: 1 or -1.
        first: the place of the one closest to zero.
        last: of the one after the last.
        middle: about which the polynomials are.
        scale: what differences from it are divided by, a power of two.
        value: the function; None where it is undefined on all of the piece, or `by_points`.
        slope: its derivative, likewise.
        by_points: whether balls at each number have to say.
    """

    sign: int
    first: int
    last: int
    middle: float = 0.0
    scale: float = 1.0
    value: BoundedPolynomial | None = None
    slope: BoundedPolynomial | None = None
    by_points: bool = False


def number(place: int, sign: int = 1) -> float:
    """The float32 number at a place."""
    return sign * float(np.uint32(place).view(np.float32))


def pieces(program: Program, sign: int, first: int, last: int) -> Iterator[Span]:
    """Pieces that cover a range within one binade, in order.

    Args:
        program: an exact Program of one input.
        sign: of the numbers.
        first: the place of the first.
        last: of the one after the last.
    """
    if first == 0:
        # Zero is an edge of many functions.
        yield Span(sign, 0, 1, by_points=True)
        first = 1
    if last - first > 64 * _PROBE and not _one(program, sign, first, last) and _hopeless(program, sign, first, last):
        yield Span(sign, first, last, by_points=True)
        return
    waiting = [(first, last)] if first < last else []
    while waiting:
        first, last = waiting.pop()
        found = _one(program, sign, first, last)
        if found is not None:
            yield found
        elif last - first <= _FEW:
            yield Span(sign, first, last, by_points=True)
        else:
            middle = (first + last) // 2
            waiting += [(middle, last), (first, middle)]


def _hopeless(program: Program, sign: int, first: int, last: int) -> bool:
    """Whether not even short ranges here and there have a polynomial."""
    starts = (first + (last - first) * k // 7 for k in range(1, 7))
    return all(_one(program, sign, start, start + _PROBE) is None for start in starts)


def _one(program: Program, sign: int, first: int, last: int) -> Span | None:
    """The range as one piece, or None."""
    low, high = number(first), number(last - 1)
    # In float64, and a float32 apart from rounding: the differences from it are exact.
    middle = float(np.float32(low + (high - low) / 2))
    radius = max(high - middle, middle - low)
    scale = 2.0 ** math.frexp(radius)[1] if radius else 1.0
    for bits in _BITS:
        with terms(bits):
            everywhere = coefficients(program, sign * arb(low).union(arb(high)))
            if everywhere is UNDEFINED:
                return Span(sign, first, last)
            if isinstance(everywhere, Marker):
                continue
            here = coefficients(program, arb(sign * middle))
            if isinstance(here, Marker):
                continue
            found = [_polynomial(here[skip:], everywhere[skip:], skip, scale, radius) for skip in (0, 1)]
        if found[0] is not None and found[1] is not None:
            return Span(sign, first, last, sign * middle, scale, found[0], found[1])
    return None


def _polynomial(
    here: list[arb], everywhere: list[arb], order: int, scale: float, radius: float
) -> BoundedPolynomial | None:
    """The function, or its first derivative, by coefficients of the function from that order on."""
    if order:
        here = [(k + 1) * ball for k, ball in enumerate(here)]
        everywhere = [(k + 1) * ball for k, ball in enumerate(everywhere)]
    whole = everywhere[0]
    if whole.abs_upper() < _NOTHING:
        return BoundedPolynomial((0.0,), _NOTHING)
    if whole.abs_lower() > _HUGE:
        return BoundedPolynomial((math.copysign(_HUGE, float(whole.mid() > 0) - 0.5),), 0.0)
    scaled, balls = [], []
    total, power = 0.0, arb(1)
    for degree in range(len(here)):
        ball = here[degree] * power
        middle = float(ball.mid())
        if not math.isfinite(middle):
            return None
        scaled.append(middle)
        # How far the ball reaches from the coefficient that float64 has.
        balls.append(_upward((ball - arb(middle)).abs_upper()))
        total += abs(middle)
        power *= scale
        if degree + 1 == len(everywhere):
            return None
        missing = _upward((everywhere[degree + 1] * arb(radius) ** (degree + 1)).abs_upper())
        rounding = (2 * degree + 3) * _UNIT * total * 1.001 + 2.0**-1000
        bound = (missing + sum(balls) + rounding) * 1.001
        if bound <= _ASKED * max(math.ulp(total) * 2.0**29, 2.0**-149):
            return BoundedPolynomial(tuple(reversed(scaled)), bound)
    return None


def _upward(ball: arb) -> float:
    found = float(ball.upper())
    return math.nextafter(found, math.inf) if math.isfinite(found) else math.inf


assert TERMS >= 4
