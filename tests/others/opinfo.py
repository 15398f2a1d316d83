"""PyTorch's own samples of its activations (OpInfo): inputs of all shapes and dtypes, and what PyTorch gives for them.

`FORMULAS` says each operator in our functions, with the sample's keyword arguments. The yardstick is PyTorch's operator
in float64 on the same numbers, values and derivatives of first and second order; where the two differ, ball arithmetic
decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from flint import arb
from torch import Tensor

from symact.activation.module import compile as compile_expression
from symact.certify.duals import evaluate
from symact.certify.flat import flat_program
from symact.certify.reference import Reference
from symact.equivalence.exact.balls import Marker, precision
from symact.expr.tree import parse
from symact.program.program import Program

# Operator -> our formula, from the arguments of a sample after its input.
FORMULAS: dict[str, Callable[..., str | None]] = {
    "nn.functional.relu": lambda inplace=False: "relu(x)",
    "nn.functional.relu6": lambda inplace=False: "min(max(x, 0), 6)",
    "nn.functional.hardswish": lambda inplace=False: "hardswish(x)",
    "nn.functional.leaky_relu": lambda negative_slope=0.01, inplace=False: f"where(x > 0, x, {negative_slope!r}*x)",
    "nn.functional.elu": lambda alpha=1.0, inplace=False: f"where(x > 0, x, {alpha!r}*expm1(x))",
    "nn.functional.celu": lambda alpha=1.0, inplace=False: f"where(x > 0, x, {alpha!r}*expm1(x/({alpha!r})))",
    "nn.functional.selu": lambda inplace=False: "selu(x)",
    "nn.functional.silu": lambda inplace=False: "x*sigmoid(x)",
    "nn.functional.hardsigmoid": lambda inplace=False: "hardsigmoid(x)",
    "nn.functional.logsigmoid": lambda: "logsigmoid(x)",
    "nn.functional.mish": lambda inplace=False: "mish(x)",
    "nn.functional.softsign": lambda: "softsign(x)",
    "nn.functional.tanhshrink": lambda: "x - tanh(x)",
    "nn.functional.threshold": lambda threshold, value, inplace=False: f"where(x > {threshold!r}, x, {value!r})",
    "nn.functional.softshrink": lambda lambd=0.5: (
        f"where(x > {lambd!r}, x - {lambd!r}, where(x < -{lambd!r}, x + {lambd!r}, 0*x))"
    ),
    "nn.functional.hardshrink": lambda lambd=0.5: f"where(x > {lambd!r}, x, where(x < -{lambd!r}, x, 0*x))",
    "nn.functional.hardtanh": lambda min_val=-1.0, max_val=1.0, inplace=False: f"min(max(x, {min_val!r}), {max_val!r})",
    "nn.functional.gelu": lambda approximate="none": (
        "gelu(x)" if approximate == "none" else "0.5*x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))"
    ),
    "nn.functional.softplus": lambda beta=1.0, threshold=20.0: (
        f"where({beta!r}*x > {threshold!r}, x, softplus({beta!r}*x)/({beta!r}))"
    ),
    "sigmoid": lambda: "sigmoid(x)",
    "tanh": lambda: "tanh(x)",
    "erf": lambda: "erf(x)",
    "erfc": lambda: "erfc(x)",
    "exp": lambda: "exp(x)",
    "expm1": lambda: "expm1(x)",
    "exp2": lambda: "exp2(x)",
    "log": lambda: "log(x)",
    "log1p": lambda: "log1p(x)",
    "log2": lambda: "log2(x)",
    "log10": lambda: "log10(x)",
    "sin": lambda: "sin(x)",
    "cos": lambda: "cos(x)",
    "tan": lambda: "tan(x)",
    "sinh": lambda: "sinh(x)",
    "cosh": lambda: "cosh(x)",
    "asin": lambda: "asin(x)",
    "acos": lambda: "acos(x)",
    "atan": lambda: "atan(x)",
    "asinh": lambda: "asinh(x)",
    "acosh": lambda: "acosh(x)",
    "atanh": lambda: "atanh(x)",
    "sqrt": lambda: "sqrt(x)",
    "rsqrt": lambda: "1/sqrt(x)",
    "reciprocal": lambda: "1/x",
    "square": lambda: "x**2",
    "abs": lambda: "abs(x)",
    "neg": lambda: "-x",
    "sign": lambda: "sign(x)",
    "floor": lambda: "floor(x)",
    "round": lambda decimals=0: "round(x)" if decimals == 0 else None,
    "frac": lambda: "frac(x)",
    "lgamma": lambda: "lgamma(x)",
    "special.log_ndtr": lambda: "log_ndtr(x)",
    "special.ndtr": lambda: "ndtr(x)",
    "special.erfcx": lambda: "erfcx(x)",
    "special.i0e": lambda: "i0e(x)",
    "special.i1e": lambda: "i1e(x)",
}
# Elements of the largest sample that is run; PyTorch repeats some of a million elements.
LARGEST = 20_000
# Of the elements that differ, how many ball arithmetic looks at.
_SETTLED = 40
ORDERS = ("value", "slope", "second")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
# Of a result of a type: relative, or absolute on a scale of 0.1 (float64: 1).
PROMISES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-10}


@dataclass
class Count:
    """Samples and elements that were compared, and the samples that are outside the promise, by what is compared."""

    samples: int = 0
    elements: int = 0
    failing: dict[str, list[str]] = field(default_factory=lambda: {order: [] for order in ORDERS})


def measure(operator: Any, dtype: torch.dtype) -> Count:
    """Compare every sample of an operator, values and two derivatives, with PyTorch's operator in float64."""
    count = Count()
    for number, sample in enumerate(operator.reference_inputs("cpu", dtype, requires_grad=False)):
        try:
            formula = FORMULAS[operator.name](*sample.args, **sample.kwargs)
        except TypeError:
            continue
        if formula is None or not isinstance(sample.input, Tensor) or sample.input.numel() > LARGEST:
            continue
        count.samples += 1
        count.elements += sample.input.numel()
        exact = derivatives(lambda x, s=sample: operator.op(x, *s.args, **s.kwargs), sample.input.double())
        found = derivatives(compile_expression(formula), sample.input)
        for order, (ours, theirs) in enumerate(zip(found, exact, strict=False)):
            wrong = outside(ours, theirs, sample.input, dtype)
            if wrong is None or _settled_against(formula, order, ours, sample.input, wrong, dtype):
                count.failing[ORDERS[order]].append(f"{formula} {dtype} sample {number} {tuple(sample.input.shape)}")
    return count


def derivatives(function: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """The values, and the first and second derivative where autograd gives one."""
    x = x.detach().clone().requires_grad_()
    found = [function(x)]
    for _ in range(2):
        if not found[-1].requires_grad or not x.numel():
            break
        ones = torch.ones_like(found[-1])
        try:
            (slope,) = torch.autograd.grad(found[-1], x, ones, create_graph=True, allow_unused=True)
        except RuntimeError as error:
            # PyTorch has no second derivative of some of its own.
            if "not implemented" not in str(error):
                raise
            break
        if slope is None:
            break
        found.append(slope)
    return [each.detach() for each in found]


def outside(found: Tensor, exact: Tensor, x: Tensor, dtype: torch.dtype) -> Tensor | None:
    """Places of elements that are not as PyTorch has them, None where the shapes differ.

    NaN and infinities, of the input or of PyTorch's result, are not compared.
    """
    if found.shape != exact.shape:
        return None
    compared = exact.isfinite() & x.isfinite() & (exact.abs() <= torch.finfo(dtype).max)
    error = (found.double() - exact).abs()
    return torch.nonzero((compared & ~(error <= _room(exact, dtype))).reshape(-1)).reshape(-1)


def _room(exact: Tensor, dtype: torch.dtype) -> Tensor:
    scale = 1.0 if dtype == torch.float64 else 0.1
    return PROMISES[dtype] * exact.abs().clamp(min=scale) + float(torch.finfo(dtype).smallest_normal)


def _settled_against(formula: str, order: int, found: Tensor, x: Tensor, places: Tensor, dtype: torch.dtype) -> bool:
    """Whether any of these elements is outside the promise beside the truth, where there is one."""
    program = flat_program(parse(formula))
    reference = Reference(parse(formula))
    for place in places.tolist()[:_SETTLED]:
        at = float(x.reshape(-1)[place])
        value, slope, _ = reference.point(at)
        exact = (value, slope, _second(program, at) if order == 2 else math.nan)[order]
        if math.isnan(value) or not math.isfinite(exact) or abs(exact) > torch.finfo(dtype).max:
            continue
        wanted = torch.tensor(exact, dtype=torch.float64)
        if not abs(float(found.reshape(-1)[place]) - exact) <= float(_room(wanted, dtype)):
            return True
    return False


def _second(program: Program, x: float) -> float:
    """The second derivative, as the quotient of two slopes at points that are very close; NaN at an edge."""
    with precision(2000):
        step = arb(2) ** -300
        slopes = [evaluate(program, arb(x) + side * step).slope for side in (-1, 0, 1)]
        if any(isinstance(slope, Marker) for slope in slopes):
            return math.nan
        before, after = (slopes[1] - slopes[0]) / step, (slopes[2] - slopes[1]) / step
        return float(after.mid()) if abs(before - after) < 1e-30 * (1 + abs(after)) else math.nan
