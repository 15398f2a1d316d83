"""Functions and patterns whose naive evaluation overflows or cancels, against high precision."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import mpmath
import pytest
import torch

import symact
from symact.activation.high_precision import evaluate
from symact.activation.module import CompiledFunction
from symact.backends.select import SELECTOR
from symact.expr.tree import parse, to_sympy

EXPRESSIONS = Path(__file__).with_name("hard_cases.txt").read_text().splitlines()
ALWAYS = (0.0, 1e-30, -1e-30, 1e-5, -1e-5, 1.0, -1.0, 20.0, -20.0, 100.0, -100.0, 1e30, -1e30)
# One of these per expression and side, in turn, so that the whole file meets all of them quickly.
IN_TURN = (1e-15, 1e-10, 1e-8, 1e-3, 1e-2, 0.1, 0.5, 0.75, 1.5, 2.5, 3.0, 5.0, 8.0, 10.0, 15.0, 30.0, 50.0, 88.0, 89.0)
FAR = (104.0, 200.0, 500.0, 1e3, 3e3, 1e4, 1e5, 1e6, 1e8, 1e10, 1e15, 1e20, 1e25)


def shard(parts: int) -> list[str]:
    """One of so many parts of the expressions: another whenever the package changes. `runs/hard_cases` ran all."""
    sources = sorted(Path(symact.__file__).parent.rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest()
    return EXPRESSIONS[digest[0] % parts :: parts]


def points(expression: str) -> list[float]:
    number = EXPRESSIONS.index(expression)
    near, far = IN_TURN[number % len(IN_TURN)], FAR[number % len(FAR)]
    other = IN_TURN[(7 * number + 5) % len(IN_TURN)]
    return torch.tensor([*ALWAYS, near, -near, other, -other, far, -far], dtype=torch.float32).tolist()


@cache
def exact(expression: str) -> list[tuple[float, float, float]]:
    """(x, value, derivative) where the function is defined; a derivative that does not exist is NaN."""
    formula = to_sympy(parse(expression))
    rows = []
    for x in points(expression):
        found = evaluate(formula, x)
        if found is not None and not mpmath.isnan(found.value):
            rows.append((x, rounded(found.value), rounded(found.slope)))
    return rows


def rounded(value: mpmath.mpf) -> float:
    if mpmath.isnan(value):
        return math.nan
    return float(mpmath.sign(value)) * math.inf if abs(value) > 3.4028235e38 else float(value)


def differing(
    name: str, rows: Sequence[tuple[float, float, float]], values: torch.Tensor, slopes: torch.Tensor
) -> list[str]:
    """What is not as it is exactly, a line each; `rows` are those of `exact`."""
    wrong = []
    for (at, value, slope), y, g in zip(rows, values.tolist(), slopes.tolist(), strict=True):
        if not close(y, value):
            wrong.append(f"{name} at {at:g}: {y}, not {value}")
        if not close(g, slope):
            wrong.append(f"slope of {name} at {at:g}: {g}, not {slope}")
    return wrong


def close(found: float, wanted: float) -> bool:
    if math.isnan(wanted) or found == wanted:
        return True
    if math.isinf(wanted) or math.isinf(found):
        return abs(wanted) > 3.3e38 and abs(found) > 3.3e38 and found * wanted > 0
    return abs(found - wanted) <= max(1e-6, 1e-5 * abs(wanted))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_values_and_gradients_are_right_from_zero_to_1e30(expression: str) -> None:
    rows = exact(expression)
    x = torch.tensor([row[0] for row in rows], dtype=torch.float32, requires_grad=True)
    wrong = []
    for name in ("plain", "fused"):
        function = CompiledFunction(parse(expression))
        if name == "plain":
            with SELECTOR.only_plain():
                values = function(x)
                (slopes,) = torch.autograd.grad(values.sum(), x)
        else:
            values = function(x)
            (slopes,) = torch.autograd.grad(values.sum(), x)
        wrong += differing(name, rows, values, slopes)
    assert not wrong, "\n".join(wrong)


def test_the_reference_is_right_where_it_can_be_said_by_hand() -> None:
    formula = to_sympy(parse("exp(x**2)*erfc(x)"))
    found = evaluate(formula, 1e30)
    assert found is not None
    assert float(found.value) == pytest.approx(1e-30 / math.sqrt(math.pi), rel=1e-12)
    assert evaluate(to_sympy(parse("log(x)")), -1.0) is None
    kink = evaluate(to_sympy(parse("max(x, -x)")), 0.0)
    assert kink is not None
    assert mpmath.isnan(kink.slope)


@pytest.mark.slow
def test_compiled_programs_are_right_as_well() -> None:
    # One program of a tenth, by what torch.compile traces; the code that Inductor generates is no part of it.
    some = shard(10)
    functions = [CompiledFunction(parse(expression)) for expression in some]
    rows = [exact(expression) for expression in some]
    xs = [torch.tensor([at for at, _, _ in each], requires_grad=True) for each in rows]

    def everything(xs: list[torch.Tensor]) -> list[torch.Tensor]:
        return [function(x) for function, x in zip(functions, xs, strict=True)]

    values = torch.compile(everything, backend="aot_eager", fullgraph=True)(xs)
    slopes = torch.autograd.grad([y.sum() for y in values], xs)
    wrong = []
    for expression, each, ys, gs in zip(some, rows, values, slopes, strict=True):
        wrong += differing(expression, each, ys, gs)
    assert not wrong, "\n".join(wrong)
