"""Fit the polynomials of the Triton device functions: writes `symact/backends/triton/polynomials.py`.

Every row is interpolated at Chebyshev points in 50 digits, once per precision, with the lowest degree whose truncation
error is below a small part of what the precision asks for: 2e-17 of the function in double, 1.2e-8 in single, 4e-7 in
half (bfloat16 and float16, computed in float32). Run it as `python tools/fit_triton_polynomials.py`; it takes a few
seconds and gives the same file each time.
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


TOLERANCES = {"half": 4e-7, "single": 1.2e-8, "double": 2e-17}
BOTH, ALL = ("single", "half"), ("double", "single", "half")


@dataclass(frozen=True)
class Fit:
    """One function to fit on [low, high].

    Attributes:
        name: of the row.
        function: in mpmath.
        low: where it begins;
        high: and ends.
        meaning: of the row, for its readers.
        precisions: which need it.
        chebyshev: those among them that take a Chebyshev series; the others take powers.
        looser: how much larger its own error may be, since it is multiplied by a small number before it is added.
    """

    name: str
    function: Callable[[mpf], mpf]
    low: mpf
    high: mpf
    meaning: str
    precisions: tuple[str, ...] = ALL
    chebyshev: tuple[str, ...] = ()
    looser: float = 1.0


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


def on_the_square(function: Callable[[mpf], mpf], order: int, limit: float) -> Callable[[mpf], mpf]:
    """(function(x)/x - 1)/x**2 in z = x**2 if `order` is 3, function(x)/x if it is 1; with the limit at 0."""

    def quotient(z: mpf) -> mpf:
        x = ROOT(z)
        return function(x) / x if order == 1 else (function(x) / x - 1) / z

    return series(quotient, limit)


def on_the_inverse(scale: str, function: Callable[[mpf], mpf]) -> Callable[[mpf], mpf]:
    """`function` of x in [0, inf) as a function of t = 1/(1 + scale*x) in (0, 1]."""
    return lambda t: function(min(FAR, (1 / max(t, mpf(10) ** -20) - 1) / mpf(scale)))


HALF_LN2 = mpmath.log(2) / 2 + mpf("1e-6")
ROOT = mpmath.sqrt
TAIL, ERFCX = "0.3", "0.4"
FITS = (
    Fit(
        "exp",
        series(lambda r: (mpmath.expm1(r) - r) / r**2, 0.5),
        -HALF_LN2,
        HALF_LN2,
        "(exp(r) - 1 - r)/r**2",
        looser=16.0,
    ),
    Fit(
        "log",
        series(atanh_rest, 2 / 3),
        mpf(0),
        mpf("0.02945"),
        "(log((1+s)/(1-s)) - 2s)/s**3 in z = s**2",
        ("double",),
        looser=50.0,
    ),
    Fit(
        "log",
        series(atanh_rest, 2 / 3),
        mpf(0),
        mpf(1) / 9,
        "(log((1+s)/(1-s)) - 2s)/s**3 in z = s**2",
        BOTH,
        looser=12.0,
    ),
    Fit(
        "atan",
        on_the_square(mpmath.atan, 3, -1 / 3),
        mpf(0),
        mpf("0.1716"),
        "(atan(u)/u - 1)/u**2 in z = u**2",
        ("double",),
        looser=6.0,
    ),
    Fit(
        "atan",
        on_the_square(mpmath.atan, 3, -1 / 3),
        mpf(0),
        mpf(1),
        "(atan(u)/u - 1)/u**2 in z = u**2",
        BOTH,
        looser=3.0,
    ),
    Fit(
        "tanh",
        on_the_square(mpmath.tanh, 3, -1 / 3),
        mpf(0),
        mpf("0.31"),
        "(tanh(x)/x - 1)/x**2 in z = x**2",
        BOTH,
        looser=6.0,
    ),
    Fit(
        "sinh",
        on_the_square(mpmath.sinh, 3, 1 / 6),
        mpf(0),
        mpf(1),
        "(sinh(x)/x - 1)/x**2 in z = x**2",
        looser=6.0,
    ),
    Fit("sinc_grad", series(sinc_slope, -1 / 3), mpf(0), mpf(4), "sinc'(x)/x in z = x**2"),
    Fit(
        "erf",
        on_the_square(mpmath.erf, 1, float(2 / ROOT(mp.pi))),
        mpf(0),
        mpf(1),
        "erf(x)/x in z = x**2",
    ),
    Fit(
        "log2_erfc",
        lambda a: mpmath.log(mpmath.erfc(a), 2),
        mpf(1),
        mpf(4),
        "log2(erfc(a)) for 1 <= a <= 4",
        BOTH,
    ),
    Fit(
        "half_erfcx",
        on_the_inverse(TAIL, lambda a: (1 + mpf(TAIL) * a) * erfcx(a / ROOT(2)) / 2),
        1 / (1 + mpf(TAIL) * 15),
        mpf(1),
        f"(1 + {TAIL}*a)*erfcx(a/sqrt(2))/2 in t = 1/(1 + {TAIL}*a), 0 <= a <= 15",
        BOTH,
    ),
    Fit(
        "erfcx",
        halfline(3, lambda x: (1 + 2 * x) * erfcx(x)),
        mpf(-1),
        mpf(1),
        "(1+2x)*erfcx(x) in t = (x-3)/(x+3)",
        ("double",),
    ),
    Fit(
        "erfcx",
        on_the_inverse(ERFCX, lambda x: (1 + mpf(ERFCX) * x) * erfcx(x)),
        mpf(0),
        mpf(1),
        f"(1 + {ERFCX}*x)*erfcx(x) in t = 1/(1 + {ERFCX}*x)",
        BOTH,
    ),
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
        chebyshev=("double",),
    ),
    Fit(
        "i1e_ratio",
        halfline(8, lambda x: bessel_ratio(x) * ROOT(x + 2) ** 3),
        mpf(-1),
        mpf(1),
        "i1e(x)/x*(x+2)**1.5 in t = (x-8)/(x+8)",
        chebyshev=("double",),
    ),
    Fit(
        "bessel_difference",
        halfline(8, lambda x: bessel_difference(x) * ROOT(x + 2) ** 3),
        mpf(-1),
        mpf(1),
        "(i0e(x) - i1e(x))*(x+2)**1.5 in t = (x-8)/(x+8)",
        chebyshev=ALL,
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


def fitted(fit: Fit) -> dict[str, tuple[float, ...]]:
    """By precision, the lowest degree whose truncation error, relative to the least value, is below its tolerance."""
    smallest = min(abs(fit.function(fit.low + (fit.high - fit.low) * mpf(k) / 40)) for k in range(1, 40))
    many = chebyshev_coefficients(fit, 56)
    found = {}
    for precision in fit.precisions:
        bound = TOLERANCES[precision] * fit.looser * smallest
        degree = next(d for d in range(55) if sum(abs(c) for c in many[d + 1 :]) < bound)
        coefficients = chebyshev_coefficients(fit, degree + 1)
        found[precision] = tuple(
            float(c) for c in (coefficients if precision in fit.chebyshev else power_series(coefficients, fit))
        )
    return found


HEADER = '''"""Coefficients of the polynomials of kernels; written by `tools/fit_triton_polynomials.py`.

By name and precision: the function that the polynomial stands for, whether it is a power series (lowest power first) or
a Chebyshev series, and the coefficients.
"""

from __future__ import annotations

from typing import NamedTuple


class Polynomial(NamedTuple):
    """What it approximates, the kind of series, and its coefficients."""

    meaning: str
    chebyshev: bool
    coefficients: tuple[float, ...]


# fmt: off
POLYNOMIALS: dict[str, dict[str, Polynomial]] = {
'''


def numbers(values: tuple[float, ...]) -> str:
    lines = textwrap.wrap(", ".join(map(repr, values)), 104, break_on_hyphens=False)
    return "(\n" + "".join(f"                {line.removesuffix(',')},\n" for line in lines) + "            )"


def main() -> None:
    rows: dict[str, list[str]] = {}
    for fit in FITS:
        found = fitted(fit)
        print(f"{fit.name:18s} degrees", {precision: len(values) - 1 for precision, values in found.items()})
        for precision, values in found.items():
            rows.setdefault(fit.name, []).append(
                f'        "{precision}": Polynomial(\n            "{fit.meaning}",\n'
                f"            {precision in fit.chebyshev},\n            {numbers(values)},\n        ),\n"
            )
    lines = [f'    "{name}": {{\n{"".join(entries)}    }},\n' for name, entries in rows.items()]
    TARGET.write_text(HEADER + "".join(lines) + "}\n")


if __name__ == "__main__":
    main()
