"""Fit the polynomials of the block interpreter for float64 and print `double_coefficients.h`.

Interpolation at Chebyshev nodes with 40 digits, which errs by little more than the minimax polynomial; coefficients are
rounded to float64 at the end.

    python tools/fit_double_polynomials.py > symact/backends/cpu/src/double_coefficients.h
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mpmath as mp

Function = Callable[[mp.mpf], mp.mpf]
DIGITS = 40


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


def fit(row: Row) -> tuple[list[float], float]:
    """The coefficients of a row, lowest degree first, and the largest weighted error."""
    centre, half = (mp.mpf(row.high) + row.low) / 2, (mp.mpf(row.high) - row.low) / 2
    nodes = [centre + half * mp.cospi((k + mp.mpf(1) / 2) / (row.degree + 1)) for k in range(row.degree + 1)]
    powers = mp.matrix(len(nodes), len(nodes))
    for i, node in enumerate(nodes):
        for k in range(len(nodes)):
            powers[i, k] = node**k
    rounded = [float(c) for c in mp.lu_solve(powers, mp.matrix([row.target(node) for node in nodes]))]
    places = [row.low + (mp.mpf(row.high) - row.low) * (k + mp.mpf(1) / 3) / 200 for k in range(200)]
    errors = [(mp.polyval(rounded[::-1], p) - row.target(p)) * row.weight(p) for p in places]
    return rounded, float(max(map(abs, errors)))


def tail_of_erfcx(a: mp.mpf, first: int) -> mp.mpf:
    """`a*sqrt(pi)*erfcx(a)` for a > 1e3 by its series (DLMF 7.12.1), from a term on."""
    z, term, total = 1 / (2 * a * a), mp.mpf(1), mp.mpf(0)
    for k in range(12):
        total += term if k >= first else 0
        term *= -(2 * k + 1) * z
    return total


def erfcx(a: mp.mpf) -> mp.mpf:
    return mp.exp(a * a) * mp.erfc(a) if a < 1e3 else tail_of_erfcx(a, 0) / (a * mp.sqrt(mp.pi))


def erfcx_slope(a: mp.mpf) -> mp.mpf:
    """`2/sqrt(pi) - 2*a*erfcx(a)`, positive, falling as 1/a^2."""
    return 2 / mp.sqrt(mp.pi) * (1 - mp.sqrt(mp.pi) * a * erfcx(a) if a < 1e3 else -tail_of_erfcx(a, 1))


def unfold(t: mp.mpf) -> mp.mpf:
    """The `a` of which `t = (a - 2)/(a + 2)`."""
    return 2 * (1 + t) / (1 - t)


def odd(function: Function) -> Function:
    """`f(x)/x` as a function of `z = x*x`."""
    return lambda z: function(mp.sqrt(z)) / mp.sqrt(z)


def odd_tail(function: Function) -> Function:
    """`(f(x)/x - 1)/z` as a function of `z = x*x`."""
    return lambda z: (odd(function)(z) - 1) / z


ROWS = (
    Row("EXP", lambda r: (mp.expm1(r) - r) / r**2, lambda r: r * r, -0.3467, 0.3467, 9, "exp(r) = 1 + r + r*r*P(r)"),
    Row("LOG", lambda z: (mp.log((1 + mp.sqrt(z)) / (1 - mp.sqrt(z))) / mp.sqrt(z) - 2) / z, lambda z: z, 0, 0.02945, 6,
        "log((1 + s)/(1 - s)) = 2*s + s*z*P(z), z = s*s"),
    Row("SIN", odd_tail(mp.sin), lambda z: z, 0, 0.6169, 5, "sin(r) = r + r*z*P(z), z = r*r"),
    Row("COS", lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, lambda z: z * z, 0, 0.6169, 5,
        "cos(r) = 1 - z/2 + z*z*P(z)"),
    Row("SINC_GRAD", lambda z: (mp.cos(mp.sqrt(z)) - odd(mp.sin)(z)) / z, lambda _: mp.mpf(1), 0, 4, 10,
        "(cos(x) - sinc(x))/x = x*P(z) for |x| <= 2"),
    Row("ATAN", odd_tail(mp.atan), lambda z: z, 0, 0.17158, 11, "atan(t) = t + t*z*P(z) for |t| <= tan(pi/8)"),
    Row("ERF", lambda z: odd(mp.erf)(z) - 1, lambda _: mp.mpf(1), 0, 1, 12, "erf(x) = x + x*P(z) for |x| <= 1"),
    Row("ERFCX", lambda t: (erfcx(unfold(t)) * (1 + 2 * unfold(t)) - 1) / (1 + t), lambda t: 1 + t, -1, 1, 26,
        "erfcx(a) = (1 + u*P(u - 1))/(1 + 2*a), u = 2*a/(a + 2), a >= 0"),
    Row("ERFCX_SLOPE", lambda t: erfcx_slope(unfold(t)) * (1 + 2 * unfold(t)) ** 2, lambda _: mp.mpf(1), -1, 1, 29,
        "2/sqrt(pi) - 2*a*erfcx(a) = P(t)/(1 + 2*a)^2, t = (a - 2)/(a + 2), a >= 0"),
)  # fmt: skip


def main() -> None:
    mp.mp.dps = DIGITS
    print("// Polynomial coefficients in float64, lowest degree first, printed by tools/fit_double_polynomials.py;")
    print("// the largest weighted error of each is given in units of 2^-53.")
    print("#pragma once")
    for row in ROWS:
        coefficients, error = fit(row)
        text = ", ".join(f"{c:.17g}" for c in coefficients)
        print(f"\n// {row.note}; {error * 2**53:.3f}")
        print(f"static constexpr double {row.name}[] = {{{text}}};")


if __name__ == "__main__":
    main()
