"""Is a device in order? Every function and fifty compositions on it, in all dtypes, against float64; and how fast.

In: a device type. Out: rows that say what is wrong, and what a dozen functions take beside a copy, PyTorch's own
functions and `torch.compile`. `symact doctor` prints them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from symact.activation.float32_range import wide
from symact.activation.runner import shared_runner
from symact.backends import torch_source
from symact.errors import SymactError
from symact.expr.functions import FUNCTIONS
from symact.expr.tree import parse
from symact.program.gradient import backward
from symact.program.pipeline import lower

# Outer and inner functions of compositions, and what joins the two halves of others.
_OUTER = ("tanh", "asinh", "softplus", "erf", "sigmoid")
_INNER = ("swish", "elu", "atan", "sin", "gelu")
# A machine that is not in order is wrong by far more; by how little one in order is, the tests of the package tell.
TOLERANCES: dict[torch.dtype, tuple[float, float]] = {
    torch.float32: (1e-5, 5e-6),
    torch.float64: (1e-11, 1e-12),
    torch.bfloat16: (1.5 * 2.0**-8, 5e-6),
    torch.float16: (1.5 * 2.0**-11, 5e-6),
}
# The same in PyTorch's own functions.
TIMED: dict[str, Callable[[Tensor], Tensor]] = {
    "x*sigmoid(x)": F.silu,
    "gelu(x)": F.gelu,
    "x*tanh(softplus(x))": F.mish,
    "tanh(x)": torch.tanh,
    "elu(x)": F.elu,
    "softplus(x)": F.softplus,
    "x*erfc(elu(x))": lambda x: x * torch.erfc(F.elu(x)),
    "asinh(elu(swish(x)))": lambda x: torch.asinh(F.elu(F.silu(x))),
    "erfc(softplus(x))**2": lambda x: torch.erfc(F.softplus(x)) ** 2,
    "-x*sigmoid(x)*hard_sigmoid(x)": lambda x: -x * torch.sigmoid(x) * torch.clamp(0.2 * x + 0.5, 0, 1),
    "sin(30*x)": lambda x: torch.sin(30 * x),
    "x*exp(-x**2)": lambda x: x * torch.exp(-(x**2)),
}


@dataclass(frozen=True)
class Fault:
    """A function that is wrong on a device.

    Attributes:
        expression: the function.
        dtype: of the tensors.
        what: `value`, `slope`, or the words of an error.
        at: the input, NaN where there is none.
        found: the number there;
        wanted: and what float64 says.
    """

    expression: str
    dtype: str
    what: str
    at: float
    found: float
    wanted: float


@dataclass(frozen=True)
class Speed:
    """Forward and backward of one function.

    Attributes:
        expression: the function.
        nanoseconds: per element, the median.
        of_copy: which part of the bandwidth of a copy that is; it reads three tensors and writes two.
        of_eager: its time as a part of that of PyTorch's own functions.
        of_compile: and of that of `torch.compile`; None where that was not measured.
    """

    expression: str
    nanoseconds: float
    of_copy: float
    of_eager: float
    of_compile: float | None


def expressions() -> list[str]:
    """Every function of formulas, and fifty compositions."""
    ones = [f"{name}(x)" for name, row in FUNCTIONS.items() if row.arity == 1]
    twos = ["max(x, 0.3*x)", "min(x, 0.3*x)", "where(x > 0, x, 0.01*x)", "2**x"]
    nested = [f"{a}({b}(x))" for a in _OUTER for b in _INNER]
    products = [f"{a}(x)*{b}(x)" for a in _OUTER for b in _INNER]
    return [*ones, *twos, "x/(1 + abs(x))", "abs(x)**1.5", *nested, *products]


def faults(device: str, texts: list[str] | None = None) -> Iterator[Fault]:
    """What is wrong on a device, value or slope, the worst input of each function and dtype.

    Args:
        device: `cpu` or `cuda`.
        texts: which functions; by default all of `expressions()`.
    """
    points = torch.cat([torch.linspace(-9.013, 9.027, 1021), torch.tensor([-1e4, -100.0, -1e-3, 1e-3, 40.0, 3e3])])
    for text in expressions() if texts is None else texts:
        program = lower(parse(text))
        for dtype in TOLERANCES:
            x = points.to(dtype)
            exact = [
                torch_source.function(wide(program))(x.double()),
                torch_source.function(wide(backward(program)))(x.double(), torch.ones_like(x.double())),
            ]
            try:
                moved = x.clone().to(device).requires_grad_()
                value = shared_runner(program)(moved)
                value.backward(torch.ones_like(value))
                assert moved.grad is not None
                found = [value.detach().cpu().double(), moved.grad.cpu().double()]
            except (RuntimeError, SymactError, MemoryError) as error:
                yield Fault(text, _name(dtype), str(error).partition("\n")[0], *[float("nan")] * 3)
                continue
            for what, got, wanted in zip(("value", "slope"), found, exact, strict=True):
                worst = _worst(got, wanted.expand_as(got), dtype)
                if worst is not None:
                    yield Fault(text, _name(dtype), what, float(x[worst]), float(got[worst]), float(wanted[worst]))


def _worst(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> int | None:
    """Where a number is furthest from what it should be, if any is too far; what has no value does not count."""
    relative, absolute = TOLERANCES[dtype]
    error = (found - wanted).abs() / (relative * wanted.abs() + absolute)
    least = torch.finfo(dtype)
    counted = (
        wanted.isfinite()
        & (wanted.abs() < 1e-10 * least.max if dtype == torch.float64 else wanted.abs() < 0.9 * least.max)
        & ((wanted.abs() > least.tiny) | (wanted == 0))
    )
    error = torch.where(counted, error.nan_to_num(torch.inf, torch.inf, torch.inf), 0.0)
    return int(error.argmax()) if bool(error.max() > 1.0) else None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def speeds(device: str, size: int, dtype: torch.dtype, compiling: float, rounds: int = 9) -> Iterator[Speed]:
    """How fast a dozen functions are on a device, everything in turn in one process.

    Args:
        device: `cpu` or `cuda`.
        size: elements of the tensors.
        dtype: theirs.
        compiling: seconds after which no function is given to `torch.compile` any more; 0 for none.
        rounds: how often each is run; the median counts.
    """
    x = torch.randn(size).to(dtype).to(device).requires_grad_()
    grad = torch.ones_like(x)
    copied, start = torch.empty_like(grad), time.perf_counter()
    for text, plain in TIMED.items():
        runner = shared_runner(lower(parse(text)))
        columns: dict[str, Callable[[], object]] = {"copy": lambda: copied.copy_(grad)}
        columns |= {"ours": _both_ways(runner, x, grad), "eager": _both_ways(plain, x, grad)}
        if time.perf_counter() - start < compiling:
            torch._dynamo.reset()
            columns["compile"] = _both_ways(torch.compile(plain), x, grad)
        try:
            times = _medians(columns, device, rounds)
        except Exception:  # whatever a compiler that does not work raises
            times = _medians({name: call for name, call in columns.items() if name != "compile"}, device, rounds)
        compiled = times.get("compile")
        yield Speed(
            text,
            1e9 * times["ours"] / size,
            # A copy moves two tensors, forward and backward five.
            2.5 * times["copy"] / times["ours"],
            times["ours"] / times["eager"],
            times["ours"] / compiled if compiled else None,
        )


def _both_ways(function: Callable[[Tensor], Tensor], x: Tensor, grad: Tensor) -> Callable[[], object]:
    def call() -> None:
        x.grad = None
        function(x).backward(grad)

    return call


def _medians(columns: dict[str, Callable[[], object]], device: str, rounds: int) -> dict[str, float]:
    wait: Callable[[], object] = torch.cuda.synchronize if device == "cuda" else lambda: None
    times: dict[str, list[float]] = {name: [] for name in columns}
    for number in range(rounds + 2):
        for name, call in columns.items():
            wait()
            start = time.perf_counter()
            call()
            wait()
            if number >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(samples) for name, samples in times.items()}
