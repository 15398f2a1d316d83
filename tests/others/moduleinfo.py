"""PyTorch's own inputs of its activation modules (ModuleInfo): forward and backward passes of ours beside theirs.

The constructor's arguments are those of the functional form, whose formulas `opinfo.FORMULAS` has. The yardstick is
PyTorch's module in float64 on the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from symact.activation.module import Activation
from symact.expr.operators import Parameter, Vocabulary
from tests.others import opinfo

MODULES: dict[type[nn.Module], str] = {
    nn.CELU: "nn.functional.celu",
    nn.ELU: "nn.functional.elu",
    nn.GELU: "nn.functional.gelu",
    nn.Hardshrink: "nn.functional.hardshrink",
    nn.Hardsigmoid: "nn.functional.hardsigmoid",
    nn.Hardswish: "nn.functional.hardswish",
    nn.Hardtanh: "nn.functional.hardtanh",
    nn.LeakyReLU: "nn.functional.leaky_relu",
    nn.LogSigmoid: "nn.functional.logsigmoid",
    nn.Mish: "nn.functional.mish",
    nn.ReLU: "nn.functional.relu",
    nn.ReLU6: "nn.functional.relu6",
    nn.SELU: "nn.functional.selu",
    nn.SiLU: "nn.functional.silu",
    nn.Sigmoid: "sigmoid",
    nn.Softplus: "nn.functional.softplus",
    nn.Softshrink: "nn.functional.softshrink",
    nn.Softsign: "nn.functional.softsign",
    nn.Tanh: "tanh",
    nn.Tanhshrink: "nn.functional.tanhshrink",
    nn.Threshold: "nn.functional.threshold",
}
PRELU = Vocabulary(parameters={"alpha": Parameter("alpha", init=0.25, per="channel")})


@dataclass
class Count:
    """Passes that were compared, two for every input, and those that are outside the promise."""

    passes: int = 0
    failing: list[str] = field(default_factory=list)


def measure(info: Any, dtype: torch.dtype, training: bool) -> Count:
    """Compare the forward and the backward pass at every input of a module."""
    count = Count()
    given = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training)
    for number, sample in enumerate(given):
        made = sample.constructor_input
        theirs = info.module_cls(*made.args, **made.kwargs)
        ours = ours_of(theirs, made.args, made.kwargs)
        (x,) = sample.forward_input.args
        pairs = zip(passes(ours, x), passes(theirs.double(), x.detach().double()), strict=True)
        for name, (found, exact) in zip(("forward", "backward"), pairs, strict=True):
            count.passes += 1
            wrong = opinfo.outside(found, exact, x.detach(), dtype)
            if wrong is None or len(wrong):
                count.failing.append(f"{info.module_cls.__name__} {dtype} input {number} {name}")
    return count


def ours_of(theirs: nn.Module, arguments: tuple[Any, ...], given: dict[str, Any]) -> nn.Module:
    """The module in our functions."""
    if not isinstance(theirs, nn.PReLU):
        return Activation(opinfo.FORMULAS[MODULES[type(theirs)]](*arguments, **given))
    ours = Activation("where(x > 0, x, alpha*x)", PRELU, channels=theirs.num_parameters)
    with torch.no_grad():
        next(iter(ours.parameters())).copy_(theirs.weight.reshape(next(iter(ours.parameters())).shape))
    return ours


def passes(module: nn.Module, x: Tensor) -> list[Tensor]:
    """The result at `x`, and the gradient of its sum."""
    x = x.detach().clone().requires_grad_()
    y = module(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    return [y.detach(), slope]
