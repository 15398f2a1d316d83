"""Fit the polynomials of the block interpreter and print `coefficients.h`.

Each row approximates a smooth function on an interval so that the largest weighted error is as small
as the degree allows (Lawson's iteration of weighted least squares in a Chebyshev basis, which tends to
the minimax polynomial). Coefficients are rounded to float32 one at a time, lowest degree first, and
the rest is fitted again, so that rounding one is made good by the next. Targets come from mpmath with
60 digits, arguments are float64.

    python tools/fit_cpu_polynomials.py > symact/backends/cpu/src/coefficients.h
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import mpmath as mp
import numpy as np

mp.mp.dps = 60
Function = Callable[[mp.mpf], mp.mpf]


@dataclass(frozen=True)
class Row:
    """One polynomial.

    Attributes:
        name: its name in the header.
        target: the function that the polynomial approximates, of the polynomial's variable.
        weight: the relative error of the final result per unit of error in the polynomial.
        low, high: the interval of the variable.
        degree: of the polynomial.
        note: what it is for, copied to the header.
    """

    name: str
    target: Function
    weight: Function
    low: float
    high: float
    degree: int
    note: str


def chebyshev_to_power(coefficients: np.ndarray, low: float, high: float) -> list[mp.mpf]:
    """Coefficients in powers of the variable from those of a Chebyshev series on [low, high]."""
    scale, shift = mp.mpf(2) / (mp.mpf(high) - low), -(mp.mpf(high) + low) / (mp.mpf(high) - low)
    before, current = [mp.mpf(1)], [shift, scale]
    total = [mp.mpf(0)] * len(coefficients)
    for index, coefficient in enumerate(coefficients):
        row = before if index == 0 else current
        for power, value in enumerate(row):
            total[power] += mp.mpf(float(coefficient)) * value
        if index >= 1:
            following = [mp.mpf(0)] * (len(current) + 1)
            for power, value in enumerate(current):
                following[power] += 2 * shift * value
                following[power + 1] += 2 * scale * value
            for power, value in enumerate(before):
                following[power] -= value
            before, current = current, following
    return total


def minimax(points: np.ndarray, values: np.ndarray, weights: np.ndarray, degree: int, low: float, high: float) -> list:
    """Power coefficients of the weighted polynomial of nearly least largest error."""
    basis = np.polynomial.chebyshev.chebvander(2 * (points - low) / (high - low) - 1, degree)
    emphasis = np.ones_like(points)
    best, least = None, np.inf
    for _ in range(60):
        root = np.sqrt(emphasis) * weights
        solution = np.linalg.lstsq(basis * root[:, None], values * root, rcond=None)[0]
        error = np.abs((basis @ solution - values) * weights)
        if error.max() < least:
            best, least = solution, error.max()
        emphasis = emphasis * error
        emphasis = emphasis / emphasis.sum() + 1e-12
    return chebyshev_to_power(best, low, high)


def fit(row: Row, count: int = 400) -> tuple[list[np.float32], float]:
    """The float32 coefficients of a row and the largest weighted error, lowest degree first."""
    angles = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    points = row.low + (row.high - row.low) * (angles + 1) / 2
    exact = [row.target(mp.mpf(float(p))) for p in points]
    weights = np.array([float(row.weight(mp.mpf(float(p)))) for p in points])
    remainder = list(exact)
    rounded: list[np.float32] = []
    for power in range(row.degree + 1):
        values = np.array([float(v) for v in remainder])
        scaled = weights * np.abs(points) ** power
        first = minimax(points, values, scaled, row.degree - power, row.low, row.high)[0]
        coefficient = np.float32(float(first))
        rounded.append(coefficient)
        remainder = [
            (v - float(coefficient)) / float(p) if p != 0 else mp.mpf(0) for v, p in zip(remainder, points, strict=True)
        ]
    approximation = sum(float(c) * points**k for k, c in enumerate(rounded))
    error = np.abs((approximation - np.array([float(e) for e in exact])) * weights).max()
    return rounded, float(error)


def erfcx(a: mp.mpf) -> mp.mpf:
    return mp.exp(a * a) * mp.erfc(a) if a < 1e3 else 1 / (a * mp.sqrt(mp.pi)) * (1 - 1 / (2 * a * a))


def odd(function: Function) -> Function:
    """`f(x)/x` as a function of `z = x*x`, with its limit at 0 taken by mpmath's precision."""
    return lambda z: function(mp.sqrt(z)) / mp.sqrt(z)


def mills(t: mp.mpf) -> mp.mpf:
    """`ndtr(-t)*exp(t*t/2)`."""
    return erfcx(t / mp.sqrt(2)) / 2


def erfcx_slope(a: mp.mpf) -> mp.mpf:
    """`2/sqrt(pi) - 2*a*erfcx(a)`, positive, falling as 1/a^2."""
    if a > 1e3:
        return (1 - 3 / (2 * a * a)) / (mp.sqrt(mp.pi) * a * a)
    return 2 / mp.sqrt(mp.pi) - 2 * a * erfcx(a)


def unfold(t: mp.mpf) -> mp.mpf:
    """The argument a of `t = (a - 2)/(a + 2)`, which maps [0, inf) to [-1, 1)."""
    return 2 * (1 + t) / (1 - t)


def bessel(order: int, a: mp.mpf) -> mp.mpf:
    return mp.besseli(order, a) * mp.exp(-a)


def difference(a: mp.mpf) -> mp.mpf:
    return bessel(0, a) - bessel(1, a)


def relative(function: Function) -> tuple[Function, Function]:
    """Target and weight of a polynomial that is the value itself, up to exact factors."""
    return function, lambda v: 1 / abs(function(v))


def odd_tail(function: Function) -> tuple[Function, Function]:
    """Target and weight of P in `f(x) = x + x*z*P(z)`, `z = x*x`."""
    return lambda z: (odd(function)(z) - 1) / z, lambda z: z / odd(function)(z)


def large(function: Function, power: mp.mpf) -> tuple[Function, Function]:
    """Target and weight of P in `f(a) = v**power*P(v)`, `v = 1/a`."""
    return relative(lambda v: function(1 / v) / v**power)


HALF, SHIFT = mp.mpf(1) / 2, mp.mpf(5) / 16
ROWS = (
    Row("EXP", lambda r: (mp.expm1(r) - r) / r**2, lambda r: r * r / mp.exp(r), -0.3467, 0.3467, 4,
        "exp(r) = 1 + r + r*r*P(r)"),
    Row("LOG1P", lambda m: (mp.log1p(m) - m) / m**2, lambda m: abs(m * m / mp.log1p(m)), -0.25, 0.5, 8,
        "log1p(m) = m + m*m*P(m)"),
    Row("LOG1P_UNIT", *relative(lambda m: mp.log1p(m) / m), 0, 1, 9, "log1p(m) = m*P(m) on [0, 1]"),
    Row("SIN", *odd_tail(mp.sin), 0, 0.62, 3, "sin(r) = r + r*z*P(z), z = r*r"),
    Row("SIN_HALF_TURN", *odd_tail(mp.sin), 0, 2.53, 3, "the same for |r| <= 1.59"),
    Row("COS", lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z * z / mp.cos(mp.sqrt(z)), 0, 0.62, 2,
        "cos(r) = 1 - z/2 + z*z*P(z)"),
    Row("COS_HALF_TURN", lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z * z, 0, 2.53, 3,
        "the same for |r| <= 1.59, of which the error is absolute"),
    Row("SINC_GRAD", *relative(lambda z: (mp.cos(mp.sqrt(z)) - odd(mp.sin)(z)) / z), 0, 4, 5,
        "(cos(x) - sinc(x))/x = x*P(z) for |x| <= 2"),
    Row("SINH", *odd_tail(mp.sinh), 0, 1, 3, "sinh(x) = x + x*z*P(z) for |x| <= 1"),
    Row("TANH", *odd_tail(mp.tanh), 0, 0.36, 4, "tanh(x) = x + x*z*P(z) for |x| <= 0.6"),
    Row("ASINH", *odd_tail(mp.asinh), 0, 1, 8, "asinh(x) = x + x*z*P(z) for |x| <= 1"),
    Row("ATAN", *odd_tail(mp.atan), 0, 1, 8, "atan(x) = x + x*z*P(z) for |x| <= 1"),
    Row("ERF", lambda z: odd(mp.erf)(z) - 1, lambda z: 1 / odd(mp.erf)(z), 0, 1, 6,
        "erf(x) = x + x*P(z) for |x| <= 1"),
    Row("LOGCOSH", *relative(lambda z: mp.log(mp.cosh(mp.sqrt(z))) / z), 0, 1, 7, "log(cosh(x)) = z*P(z) for |x| <= 1"),
    Row("ERFC", *relative(lambda s: erfcx(1 / (s + HALF) - 1) / (s + HALF)), 1 / (10.5 + 1) - 0.5, 0.5, 11,
        "exp(a*a)*erfc(a) = q*P(q - 1/2), q = 1/(a + 1), a in [0, 10.5]"),
    Row("MILLS", *relative(lambda s: mills(1 / (s + SHIFT) - 7 * HALF**2) / (s + SHIFT)), 1 / 16.35 - 0.3125,
        1 / 1.75 - 0.3125, 10, "ndtr(-a)*exp(a*a/2) = q*P(q - 5/16), q = 1/(a + 7/4), a in [0, 14.6]"),
    Row("ERFCX", *relative(lambda t: erfcx(unfold(t)) * (1 + 2 * unfold(t))), -1, 1, 12,
        "erfcx(a) = P(t)/(1 + 2*a), t = (a - 2)/(a + 2), a >= 0"),
    Row("MILLS_FAR", *relative(lambda t: mills(unfold(t)) * (1 + 2 * unfold(t))), -1, 1, 12,
        "ndtr(-a)*exp(a*a/2) = P(t)/(1 + 2*a), t = (a - 2)/(a + 2), a >= 0"),
    Row("ERFCX_SLOPE", *relative(lambda t: erfcx_slope(unfold(t)) * (1 + 2 * unfold(t)) ** 2), -1, 1, 13,
        "2/sqrt(pi) - 2*a*erfcx(a) = P(t)/(1 + 2*a)^2, t = (a - 2)/(a + 2), a >= 0"),
    Row("I0", *relative(lambda z: mp.besseli(0, mp.sqrt(z))), 0, 64, 10, "i0(a) = P(a*a), a in [0, 8]"),
    Row("I1", *relative(lambda z: odd(lambda a: mp.besseli(1, a))(z)), 0, 64, 9, "i1(a) = a*P(a*a), a in [0, 8]"),
    Row("I0E_FAR", *large(lambda a: bessel(0, a), HALF), 1e-4, 0.125, 5, "i0e(a) = sqrt(v)*P(v), v = 1/a, a >= 8"),
    Row("I1E_FAR", *large(lambda a: bessel(1, a), HALF), 1e-4, 0.125, 5, "i1e(a) = sqrt(v)*P(v), v = 1/a, a >= 8"),
    Row("BESSEL", *relative(lambda t: difference(4 + 4 * t) * (5 + 4 * t)), -1, 1, 18,
        "i0e(a) - i1e(a) = P(t)/(1 + a), t = a/4 - 1, a in [0, 8]"),
    Row("BESSEL_FAR", *large(difference, 3 * HALF), 1e-4, 0.125, 6,
        "i0e(a) - i1e(a) = v*sqrt(v)*P(v), v = 1/a, a >= 8"),
)  # fmt: skip


def main() -> None:
    print("// Polynomial coefficients in float32, lowest degree first, printed by tools/fit_cpu_polynomials.py;")
    print("// the largest weighted error of each is given in units of 2^-24.")
    print("#pragma once")
    for row in ROWS:
        coefficients, error = fit(row)
        text = ", ".join(f"{float(c):.9e}f" for c in coefficients)
        print(f"\n// {row.note}; {error * 2**24:.3f}")
        print(f"static constexpr float {row.name}[] = {{{text}}};")
        print(f"{row.name}: {error * 2**24:.3f} x 2^-24", file=sys.stderr)


if __name__ == "__main__":
    main()
