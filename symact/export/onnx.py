"""Expression -> ONNX model: torch's exporter writes the graph of what an activation computes for it.

The packages of the extra `onnx` are imported when a model is made.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from symact.activation.channels import place_of_channels
from symact.activation.runner import shared_runner
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


def function_model(
    expr: Expr, values: Mapping[str, float | list[float]], channel_dim: int = 1, variables: int = 1
) -> Any:
    """A function as an `onnx.ModelProto` of float32 with input `x`, of a gate also `g`, and output `y`.

    Args:
        expr: the function.
        values: the value of each parameter, a number or one per channel.
        channel_dim: the dimension of `x` that counts channels.
        variables: of how many tensors it is a function at least: 2 for a gate.
    """
    module = _Module(expr, values, channel_dim, variables).eval()
    model = module_model(module, ["y"], module.channels, channel_dim, module.inputs)
    model.doc_string = f"{expr}, written by symact"
    return model


def save(model: Any, path: Path | str) -> None:
    """Write a model to a file."""
    import onnx

    onnx.save(model, path)


def module_model(
    module: nn.Module,
    outputs: list[str],
    channels: int = 0,
    channel_dim: int = 1,
    inputs: Sequence[str] = ("x",),
) -> Any:
    """A module of elementwise functions of tensors of one shape as an `onnx.ModelProto`.

    Args:
        module: gives one tensor, or a tuple of them.
        outputs: their names.
        channels: how many, where the constants are per channel; then the input has four dimensions.
        channel_dim: which of them counts channels.
        inputs: the names of the tensors.

    Raises:
        InputError: four dimensions have no such dimension.
    """
    dynamic = torch.export.Dim.DYNAMIC
    example, shape = torch.linspace(-1.0, 1.0, 6), {0: dynamic}
    if channels:
        sizes = [2, 5, 3, 4]
        place = place_of_channels(torch.empty(sizes), channel_dim)
        sizes[place] = channels
        example = torch.zeros(sizes)
        shape = {dim: dynamic for dim in range(4) if dim != place}
    # The exporter takes one tensor that is given twice for one input.
    with _quiet():
        # Its optimizer gives the bounds of two clips of one tensor one name, and the model does not load;
        # runtimes optimize for themselves.
        program = torch.onnx.export(
            module, tuple(example.clone() for _ in inputs), dynamo=True, dynamic_shapes=(shape,) * len(inputs),
            input_names=list(inputs), output_names=outputs,
            opset_version=OPSET, verbose=False, optimize=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    if not channels or channel_dim == -1:
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
    """A Program with its constants baked in."""

    def __init__(self, expr: Expr, values: Mapping[str, float | list[float]], channel_dim: int = 1, variables: int = 1):
        super().__init__()
        self.channel_dim = channel_dim
        program = lower(expr, variables)
        self.runner, self.inputs = shared_runner(program), program.inputs[: program.variables]
        given = [torch.tensor(values[name], dtype=torch.float32) for name in program.parameters]
        self.channels = max((len(value) for value in given if value.dim()), default=0)
        self.given = tuple(given)

    def forward(self, x: Tensor, g: Tensor | None = None) -> Tensor:
        """The function at `x`, or at `x` and `g`."""
        if g is not None:
            return self.runner.of_two(x, g, self.given, self.channel_dim)
        return self.runner(x, self.given, self.channel_dim)
