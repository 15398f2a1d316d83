"""Quotients, roots and logarithms with parameters: right at infinity, beside it, near 0 and where their forms change.

Other tests ask for what float32 promises up to 1e30; here formulas are held to what they are beyond that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from mpmath import mp, mpf

from symact.activation.runner import shared_runner
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.pipeline import lower

LEARNED = Vocabulary(parameters={name: Parameter(name, 0.7) for name in ("alpha", "beta")})
BETAS = ((1.0,), (20.0,), (0.05,), (-2.0,))
POSITIVE = ((1.0,), (20.0,), (0.05,))
PAIRS = ((1.0, 1.0), (0.5, 20.0), (0.3, 0.05))
SIZES = (1e-20, 1e-3, 0.2, 0.998, 1.002, 5.0, 20.0, 1e30, 1e36, 3e38)
LARGEST = 3.4e38


@dataclass(frozen=True)
class Case:
    """A function, and what it is at infinity.

    Attributes:
        text: the formula; parameters in the order of their names.
        meaning: the same of x and the parameters in that order, by mpmath.
        draws: values of the parameters.
        limits: of the sign of x and the parameters: value, slope in x and slopes in parameters; None where
            the limit is not defined, or the formula itself gives no number.
        sides: the signs of x at which it is defined.
        scale: of the parameters, what x is multiplied with: beyond the largest float there is nothing to hold.
    """

    text: str
    meaning: Callable[..., mpf]
    draws: tuple[tuple[float, ...], ...]
    limits: Callable[..., tuple[float | None, ...]]
    sides: tuple[float, ...] = (-1.0, 1.0)
    scale: Callable[..., float] = lambda *_: 1.0


def _line(x: mpf, alpha: mpf, beta: mpf) -> mpf:
    return alpha * x + beta


CASES = (
    Case(
        "tanh(beta*x)/beta",
        lambda x, b: mp.tanh(b * x) / b,
        BETAS,
        lambda s, b: (s / abs(b), 0.0, -s / (b * abs(b))),
    ),
    Case(
        "tanh(0.5*beta*x)/beta",
        lambda x, b: mp.tanh(b * x / 2) / b,
        BETAS,
        lambda s, b: (s / abs(b), 0.0, -s / (b * abs(b))),
    ),
    Case(
        "log1p(beta*abs(x))/beta",
        lambda x, b: mp.log1p(b * abs(x)) / b,
        POSITIVE,
        lambda s, b: (math.inf, 0.0, None),
        scale=lambda b: b,
    ),
    Case("tanh(x)/x", lambda x: mp.tanh(x) / x, ((),), lambda s: (0.0, 0.0)),
    *(
        Case(text, lambda x, a, b: mp.sqrt(_line(x, a, b)), PAIRS, lambda s, a, b: (math.inf, 0.0, None, 0.0), (1.0,))
        for text in ("sqrt(alpha*x + beta)", "(alpha*x + beta)**0.5")
    ),
    Case(
        "sqrt(abs(alpha*x) + beta)",
        lambda x, a, b: mp.sqrt(_line(abs(x), a, b)),
        PAIRS,
        lambda s, a, b: (math.inf, 0.0, None, 0.0),
    ),
    Case(
        "log(alpha*x + beta)",
        lambda x, a, b: mp.log(_line(x, a, b)),
        PAIRS,
        lambda s, a, b: (math.inf, 0.0, None, 0.0),
        (1.0,),
    ),
    Case(
        "x/(beta + abs(x))",
        lambda x, b: x / (b + abs(x)),
        POSITIVE,
        lambda s, b: (None, 0.0, None),
    ),
)


def _found(case: Case, points: list[float], draw: tuple[float, ...], dtype: torch.dtype) -> list[torch.Tensor]:
    """The value, the slope in x and the slopes in the parameters, every point with parameters of its own."""
    program = lower(parse(case.text, LEARNED))
    order = sorted(program.parameters)
    x = torch.tensor([points], dtype=dtype, requires_grad=True)
    own = {n: torch.full((len(points),), v, dtype=dtype, requires_grad=True) for n, v in zip(order, draw, strict=True)}
    y = shared_runner(program)(x, tuple(own[name] for name in program.parameters), 1)
    slopes = torch.autograd.grad(y.sum(), [x, *own.values()])
    return [each.detach().double().flatten() for each in (y, *slopes)]


def _exact(case: Case, point: float, draw: tuple[float, ...]) -> list[float]:
    place = [mpf(v) for v in (point, *draw)]
    slopes = []
    for position in range(len(place)):
        orders = [0] * len(place)
        orders[position] = 1
        # With one variable mpmath wants plain numbers.
        slopes.append(mp.diff(case.meaning, place[0]) if len(place) == 1 else mp.diff(case.meaning, place, orders))
    return [float(each) for each in (case.meaning(*place), *slopes)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.text)
def test_values_and_slopes_are_right_near_0_far_out_and_at_infinity(case: Case, dtype: torch.dtype) -> None:
    relative, absolute = (1e-5, 1e-6) if dtype is torch.float32 else (1e-12, 1e-14)
    for draw in case.draws:
        held = torch.tensor(draw, dtype=dtype).tolist()
        sizes = [size for size in SIZES if size * case.scale(*draw) < LARGEST]
        # Also where the argument of a scaled quotient is beside 1.
        sizes += [size / abs(draw[-1]) for size in (0.998, 1.002) if draw]
        points = torch.tensor([side * size for side in case.sides for size in sizes], dtype=dtype).tolist()
        wanted = []
        with mp.workdps(150):
            wanted = [_exact(case, point, tuple(held)) for point in points]
        wanted += [list(case.limits(side, *held)) for side in case.sides]
        points += [side * math.inf for side in case.sides]
        largest = max(1.0, *(abs(v) for v in held)) if held else 1.0
        for number, found in enumerate(_found(case, points, tuple(held), dtype)):
            for point, exact, value in zip(points, wanted, found.tolist(), strict=True):
                expected = exact[number]
                if expected is not None:
                    close = abs(value - expected) <= relative * abs(expected) + absolute * largest
                    assert value == expected or close, (draw, number, point, value, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("(1 + beta*exp(-x))**(-1/beta)", (0.0, 1.0)),
        ("(1 + beta*exp(x))**(-1/beta)", (1.0, 0.0)),
        ("x/(beta + abs(x))", (-1.0, 1.0)),
    ],
)
def test_what_is_no_number_at_infinity_is_not_taken_for_another(
    text: str, limits: tuple[float, float], dtype: torch.dtype
) -> None:
    program = lower(parse(text, LEARNED))
    x = torch.tensor([[-math.inf, math.inf]], dtype=dtype)
    for beta in (1.0, 20.0, 0.05):
        values = shared_runner(program)(x, (torch.full((2,), beta, dtype=dtype),), 1)[0].tolist()
        for value, limit in zip(values, limits, strict=True):
            assert math.isnan(value) or value == pytest.approx(limit), (beta, values)
