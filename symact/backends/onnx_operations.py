"""torch's operations as ONNX has them and onnxruntime computes them well.

What generated source calls `torch` is an object here: functions that ONNX has not, or computes badly, are
written in simpler ones. Values only, in float32; `DOUBLE` names what may run in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from symact.backends import torch_source
from symact.backends.triton.polynomials import POLYNOMIALS
from symact.program.program import Program

# Operations of which onnxruntime has kernels for float64, or that are written in those here.
DOUBLE = frozenset(("const", "add", "sub", "mul", "div", "neg", "abs", "sign", "max", "min", "lt", "le", "eq", "where"))
DOUBLE |= {"sqrt", "pow", "exp", "expm1", "log", "log1p", "sigmoid", "tanh", "softplus", "logsigmoid", "hypot1"}


@lru_cache(maxsize=4096)
def function(program: Program) -> Callable[..., Any]:
    """A Program as a callable of tensors that `torch.onnx.export` translates well."""
    text = "\n\n\n".join([*torch_source.helpers(program), torch_source.body(program, "program")])
    names = torch_source.execute(text, operations=_Operations())
    names["_upper"] = _upper
    result: Callable[..., Any] = names["program"]
    return result


class _Operations:
    """torch, but for the functions that ONNX has not or computes badly: those are written in simpler ones."""

    def __init__(self) -> None:
        self.special = SimpleNamespace(erfcx=_erfcx, i0e=_i0e, i1e=_i1e)
        self.expm1, self.log1p, self.erfc = _expm1, _log1p, _erfc
        self.sigmoid, self.copysign = _sigmoid, _copysign

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def _upper(x: Tensor) -> Tensor:
    """x without the lower half of its digits, by T. J. Dekker's multiplication: ONNX cannot look at bits."""
    scaled = 4097.0 * x
    return scaled - (scaled - x)


def _sigmoid(x: Tensor) -> Tensor:
    """onnxruntime's own is wrong by half a unit in 1e-6 of the tail."""
    return 1.0 / (1.0 + torch.exp(-x))


def _copysign(size: Tensor, x: Tensor) -> Tensor:
    return torch.where(x < 0.0, -torch.abs(size), torch.abs(size))


def _expm1(x: Tensor) -> Tensor:
    """W. Kahan's form: the errors of u - 1 and log(u) are the same and cancel."""
    u = torch.exp(x)
    v = u - 1.0
    middle = (v != 0.0) & (x.abs() < 20.0)
    ratio = v * x / torch.log(torch.where(middle, u, 2.0))
    return torch.where(middle, ratio, torch.where(v == 0.0, x, v))


def _log1p(x: Tensor) -> Tensor:
    """W. Kahan's form, as for expm1."""
    u = 1.0 + x
    v = u - 1.0
    ratio = torch.log(u) * (x / torch.where(v == 0.0, 1.0, v))
    return torch.where(v == 0.0, x, torch.where(x > 1e8, torch.log(x), ratio))


def _series(name: str, t: Tensor) -> Tensor:
    """A row of `POLYNOMIALS`: Horner's rule, or Clenshaw's for a Chebyshev series."""
    row = POLYNOMIALS[name]["single"]
    coefficients = row.coefficients
    if not row.chebyshev:
        total = torch.full_like(t, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = total * t + coefficient
        return total
    before = here = torch.zeros_like(t)
    for coefficient in reversed(coefficients[1:]):
        before, here = here, 2.0 * t * here - before + coefficient
    return t * here - before + coefficients[0]


def _erfcx_positive(a: Tensor) -> Tensor:
    t = 1.0 / (1.0 + 0.4 * a)
    return t * _series("erfcx", t)


def _exp_square(a: Tensor, sign: float) -> Tensor:
    """exp(sign*a**2), the square in two words: a multiple of 1/128, exact, and a rest."""
    a = torch.clamp(a, max=12.0)
    high = torch.floor(a * 128.0) / 128.0
    return torch.exp(sign * high * high) * torch.exp(sign * (a - high) * (a + high))


def _erfc(x: Tensor) -> Tensor:
    a = torch.abs(x)
    y = _exp_square(a, -1.0) * _erfcx_positive(a)
    return torch.where(x < 0.0, 2.0 - y, y)


def _erfcx(x: Tensor) -> Tensor:
    a = torch.abs(x)
    y = _erfcx_positive(a)
    return torch.where(x < 0.0, 2.0 * _exp_square(a, 1.0) - y, y)


def _i0e(x: Tensor) -> Tensor:
    a = torch.abs(x)
    return _series("i0e", 1.0 - 16.0 / (a + 8.0)) / torch.sqrt(a + 2.0)


def _i1e(x: Tensor) -> Tensor:
    w = torch.abs(x) + 2.0
    return _series("i1e_ratio", 1.0 - 16.0 / (w + 6.0)) * (x / w) / torch.sqrt(w)
