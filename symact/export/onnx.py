"""Expression -> ONNX model, in operations that ONNX has and onnxruntime computes well.

torch's exporter writes the graph; functions that ONNX has not, or computes badly, are written in simpler
ones here. The packages of the extra `onnx` are imported when a model is made.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from symact.activation.float32_range import form
from symact.activation.plan import ORDINARY
from symact.backends import torch_source
from symact.backends.triton.polynomials import POLYNOMIALS
from symact.errors import InputError
from symact.expr.tree import Expr
from symact.program.pipeline import lower

OPSET = 18


def require() -> None:
    """Nothing, where the packages of the extra `onnx` are there.

    Raises:
        InputError: they are not.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise InputError("ONNX needs the packages onnx and onnxscript: pip install 'symact[onnx]'") from None


def function_model(expr: Expr, values: Mapping[str, float | list[float]]) -> Any:
    """A function as an `onnx.ModelProto` of one float32 input `x` and output `y`.

    Args:
        expr: the function.
        values: the value of each parameter, a number or one per channel.
    """
    module = _Module(expr, values).eval()
    model = module_model(module, ["y"], module.channels)
    model.doc_string = f"{expr}, written by symact"
    return model


def save(model: Any, path: Path | str) -> None:
    """Write a model to a file."""
    import onnx

    onnx.save(model, path)


def module_model(module: nn.Module, outputs: list[str], channels: int = 0) -> Any:
    """A module of elementwise functions of one tensor as an `onnx.ModelProto` with input `x`.

    Args:
        module: gives one tensor, or a tuple of them.
        outputs: their names.
        channels: how many, where the constants are per channel; then the input has four dimensions.
    """
    dynamic = torch.export.Dim.DYNAMIC
    example, shape = torch.linspace(-1.0, 1.0, 6), {0: dynamic}
    if channels:
        example = torch.zeros(2, channels, 3, 4)
        shape = {0: dynamic, 2: dynamic, 3: dynamic}
    with _quiet():
        program = torch.onnx.export(
            module, (example,), dynamo=True, dynamic_shapes=(shape,), input_names=["x"], output_names=outputs,
            opset_version=OPSET, verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    if not channels:
        # Elementwise: the shape in the model is that of the example, and any other will do.
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.ClearField("shape")
        del model.graph.value_info[:]
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and deprecation notes of its own parts off the screen."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class _Module(nn.Module):
    """A Program in operations that ONNX has, with its constants baked in."""

    def __init__(self, expr: Expr, values: Mapping[str, float | list[float]]):
        super().__init__()
        program = lower(expr)
        program = form(program) or form(program, ORDINARY) or program
        text = "\n\n\n".join([*torch_source.helpers(program), torch_source.body(program, "program")])
        self.run = torch_source.execute(text, operations=_Operations())["program"]
        given = [torch.tensor(values[name], dtype=torch.float32) for name in program.inputs[1:]]
        self.channels = max((len(value) for value in given if value.dim()), default=0)
        self.given = [value.view(-1, 1, 1) if value.dim() else value for value in given]

    def forward(self, x: Tensor) -> Tensor:
        """The function at `x`, in its shape whatever the formula mentions."""
        y: Tensor = self.run(x, *self.given)
        return y + torch.zeros_like(x) if not y.dim() else y


class _Operations:
    """torch, but for the functions that ONNX has not or computes badly: those are written in simpler ones."""

    def __init__(self) -> None:
        self.special = SimpleNamespace(erfcx=_erfcx, i0e=_i0e, i1e=_i1e)
        self.expm1, self.log1p, self.erfc = _expm1, _log1p, _erfc
        self.sigmoid, self.copysign = _sigmoid, _copysign

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


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
    row = POLYNOMIALS[name]
    coefficients = row.float32
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
    return _series("erfcx", 1.0 - 6.0 / (a + 3.0)) / (1.0 + 2.0 * a)


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
