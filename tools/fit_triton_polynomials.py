"""Fit the polynomials of the Triton device functions: writes `symact/backends/triton/polynomials.py`.

Every row is interpolated at Chebyshev points in 50 digits, for float32 and for float64, with the lowest
degree whose truncation error is below a small part of the format's rounding error. Run it as
`python tools/fit_triton_polynomials.py`; it takes about ten seconds and gives the same file each time.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mpmath
from mpmath import mp, mpf

mp.dps = 50
FAR = mpf(10) ** 14
TARGET = Path(__file__).parents[1] / "symact" / "backends" / "triton" / "polynomials.py"


@dataclass(frozen=True)
class Fit:
    """One function to fit: `function` on [low, high], a power series or a Chebyshev series."""

    name: str
    function: Callable[[mpf], mpf]
    low: mpf
    high: mpf
    meaning: str
    chebyshev: bool = False


def erfcx(x: mpf) -> mpf:
    if x < 30:
        return mpmath.exp(x * x) * mpmath.erfc(x)
    return sum((-1) ** k * mpmath.fac2(2 * k - 1) / (2 * x * x) ** k for k in range(25)) / (x * mpmath.sqrt(mp.pi))


def scaled_bessel(order: int, x: mpf) -> mpf:
    if x < 300:
        return mpmath.exp(-x) * mpmath.besseli(order, x)
    total = term = mpf(1)
    for k in range(1, 40):
        term *= -(4 * order * order - (2 * k - 1) ** 2) / (8 * k * x)
        total += term
    return total / mpmath.sqrt(2 * mp.pi * x)


def bessel_difference(x: mpf) -> mpf:
    with mpmath.workdps(100):
        return scaled_bessel(0, x) - scaled_bessel(1, x)


def bessel_ratio(x: mpf) -> mpf:
    return scaled_bessel(1, x) / x if x > mpf(10) ** -12 else mpf(1) / 2


def erfcx_decline(x: mpf) -> mpf:
    with mpmath.workdps(100):
        return 2 / mpmath.sqrt(mp.pi) - 2 * x * erfcx(x)


def halfline(center: int, function: Callable[[mpf], mpf]) -> Callable[[mpf], mpf]:
    """`function` of x in [0, inf) as a function of t = (x - center)/(x + center) in [-1, 1]."""
    return lambda t: function(min(FAR, center * (1 + t) / max(1 - t, mpf(10) ** -20)))


def series(function: Callable[[mpf], mpf], limit: float) -> Callable[[mpf], mpf]:
    """`function`, with its limit at 0 where the quotient cannot be formed."""
    return lambda x: function(x) if abs(x) > mpf(10) ** -12 else mpf(limit)


def atanh_rest(z: mpf) -> mpf:
    s = mpmath.sqrt(z)
    return (2 * mpmath.atanh(s) / s - 2) / z


def sinc_slope(z: mpf) -> mpf:
    x = mpmath.sqrt(z)
    return (mpmath.cos(x) - mpmath.sin(x) / x) / z


HALF_LN2 = mpmath.log(2) / 2 + mpf("1e-6")
ROOT = mpmath.sqrt
FITS = (
    Fit("exp", series(lambda r: (mpmath.expm1(r) - r) / r**2, 0.5), -HALF_LN2, HALF_LN2, "(exp(r) - 1 - r)/r**2"),
    Fit("log", series(atanh_rest, 2 / 3), mpf(0), mpf("0.02945"), "(log((1+s)/(1-s)) - 2s)/s**3 in z = s**2"),
    Fit(
        "atan",
        series(lambda z: (mpmath.atan(ROOT(z)) / ROOT(z) - 1) / z, -1 / 3),
        mpf(0),
        mpf("0.1716"),
        "(atan(u)/u - 1)/u**2 in z = u**2",
    ),
    Fit(
        "sinh",
        series(lambda z: (mpmath.sinh(ROOT(z)) / ROOT(z) - 1) / z, 1 / 6),
        mpf(0),
        mpf(1),
        "(sinh(x)/x - 1)/x**2 in z = x**2",
    ),
    Fit("sinc_grad", series(sinc_slope, -1 / 3), mpf(0), mpf(4), "sinc'(x)/x in z = x**2"),
    Fit(
        "erf",
        series(lambda z: mpmath.erf(ROOT(z)) / ROOT(z), float(2 / ROOT(mp.pi))),
        mpf(0),
        mpf(1),
        "erf(x)/x in z = x**2",
    ),
    Fit("erfcx", halfline(3, lambda x: (1 + 2 * x) * erfcx(x)), mpf(-1), mpf(1), "(1+2x)*erfcx(x) in t = (x-3)/(x+3)"),
    Fit(
        "erfcx_decline",
        halfline(3, lambda x: (1 + 2 * x) ** 2 * erfcx_decline(x)),
        mpf(-1),
        mpf(1),
        "(1+2x)**2*(2/sqrt(pi) - 2x*erfcx(x)) in t = (x-3)/(x+3)",
    ),
    Fit(
        "i0e",
        halfline(8, lambda x: scaled_bessel(0, x) * ROOT(x + 2)),
        mpf(-1),
        mpf(1),
        "i0e(x)*(x+2)**0.5 in t = (x-8)/(x+8)",
        True,
    ),
    Fit(
        "i1e_ratio",
        halfline(8, lambda x: bessel_ratio(x) * ROOT(x + 2) ** 3),
        mpf(-1),
        mpf(1),
        "i1e(x)/x*(x+2)**1.5 in t = (x-8)/(x+8)",
        True,
    ),
    Fit(
        "bessel_difference",
        halfline(8, lambda x: bessel_difference(x) * ROOT(x + 2) ** 3),
        mpf(-1),
        mpf(1),
        "(i0e(x) - i1e(x))*(x+2)**1.5 in t = (x-8)/(x+8)",
        True,
    ),
)


def chebyshev_coefficients(fit: Fit, count: int) -> list[mpf]:
    nodes = [mpmath.cos(mp.pi * (k + mpf(1) / 2) / count) for k in range(count)]
    values = [fit.function((fit.high - fit.low) / 2 * x + (fit.high + fit.low) / 2) for x in nodes]
    found = [
        2 * sum(v * mpmath.cos(mp.pi * j * (k + mpf(1) / 2) / count) for k, v in enumerate(values)) / count
        for j in range(count)
    ]
    return [found[0] / 2, *found[1:]]


def power_series(coefficients: list[mpf], fit: Fit) -> list[mpf]:
    """Coefficients of powers of the variable itself, lowest first."""
    width, middle = (fit.high - fit.low) / 2, (fit.high + fit.low) / 2
    before, here = [mpf(1)], [-middle / width, 1 / width]
    total = [mpf(0)] * len(coefficients)
    for number, coefficient in enumerate(coefficients):
        polynomial = before if number == 0 else here
        for power, value in enumerate(polynomial):
            total[power] += coefficient * value
        if number:
            following = [mpf(0)] * (len(here) + 1)
            for power, value in enumerate(here):
                following[power] -= 2 * middle / width * value
                following[power + 1] += 2 / width * value
            for power, value in enumerate(before):
                following[power] -= value
            before, here = here, following
    return total


def fitted(fit: Fit, tolerance: float) -> tuple[float, ...]:
    """Lowest degree whose truncation error, relative to the function's least value, is below `tolerance`."""
    smallest = min(abs(fit.function(fit.low + (fit.high - fit.low) * mpf(k) / 40)) for k in range(1, 40))
    many = chebyshev_coefficients(fit, 56)
    degree = next(d for d in range(55) if sum(abs(c) for c in many[d + 1 :]) < tolerance * smallest)
    coefficients = chebyshev_coefficients(fit, degree + 1)
    return tuple(float(c) for c in (coefficients if fit.chebyshev else power_series(coefficients, fit)))


HEADER = '''"""Coefficients of the Triton device functions; written by `tools/fit_triton_polynomials.py`.

Rows give the function that the polynomial stands for, whether it is a power series (lowest power
first) or a Chebyshev series, and the coefficients for float32 and for float64 arithmetic.
"""

from __future__ import annotations

from typing import NamedTuple


class Polynomial(NamedTuple):
    """What it approximates, the kind of series, and its coefficients per format."""

    meaning: str
    chebyshev: bool
    float32: tuple[float, ...]
    float64: tuple[float, ...]


# fmt: off
POLYNOMIALS = {
'''

# The rest terms of exp, log, atan and sinh are multiplied by a small number before they are added, so
# their own error may be larger than that of the sum.
LOOSER = {"exp": 16.0, "log": 50.0, "atan": 6.0, "sinh": 6.0}


def numbers(values: tuple[float, ...]) -> str:
    lines = textwrap.wrap(", ".join(map(repr, values)), 104, break_on_hyphens=False)
    return "(\n" + "".join(f"            {line.removesuffix(',')},\n" for line in lines) + "        )"


def main() -> None:
    lines = [HEADER]
    for fit in FITS:
        looser = LOOSER.get(fit.name, 1.0)
        single, double = fitted(fit, looser * 1.2e-8), fitted(fit, looser * 2e-17)
        print(f"{fit.name:18s} degree {len(single) - 1:2d} (float32), {len(double) - 1:2d} (float64)")
        lines.append(
            f'    "{fit.name}": Polynomial(\n        "{fit.meaning}",\n        {fit.chebyshev},\n'
            f"        {numbers(single)},\n        {numbers(double)},\n    ),\n"
        )
    TARGET.write_text("".join(lines) + "}\n")


if __name__ == "__main__":
    main()
