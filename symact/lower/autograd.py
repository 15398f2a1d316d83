"""Running a Program under autograd: three ways to say the same thing to torch.

* eager: a fused kernel forward and backward, which saves the inputs and nothing else. A second
  derivative, and everything without a kernel, runs the Programs as plain torch operations.
* inside `torch.compile` and `torch.export`: plain operations, in a Function that Dynamo can trace.
* under `torch.func` transforms and forward mode: the same with a rule for `vmap` and for `jvp`.

Derivatives of any order come from `gradient.backward` applied again, never from autograd through
the stable forms, whose intermediate steps have kinks of their own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from symact.lower import backend, torch_code
from symact.lower.gradient import backward
from symact.lower.program import Program


def run(program: Program, *inputs: Tensor) -> Any:
    """The outputs of a Program, differentiable to any order in all inputs."""
    return _Plain.apply(program, *inputs)


def _as_tuple(outputs: Any) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _reduced(gradient: Tensor, like: Tensor) -> Tensor:
    return gradient if gradient.shape == like.shape else gradient.sum_to_size(like.shape)


def _evaluate(program: Program, inputs: tuple[Tensor, ...]) -> Any:
    """Plain operations in float32 (float64 where an input is), given back in the first input's dtype."""
    dtype = inputs[0].dtype
    working = torch.float64 if any(t.dtype == torch.float64 for t in inputs) else torch.float32
    outputs = torch_code.function(program)(*[t.to(working) for t in inputs])
    if isinstance(outputs, tuple):
        return tuple(output.to(dtype) for output in outputs)
    return outputs.to(dtype)


def _gradients(program: Program, inputs: tuple[Tensor, ...], grads: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    terms = _as_tuple(run(backward(program), *inputs, *grads))
    return tuple(_reduced(term, like).to(like.dtype) for term, like in zip(terms, inputs, strict=True))


class _Plain(Function):
    """Plain operations with our own derivative; transforms of `torch.func` apply."""

    generate_vmap_rule = True

    @staticmethod
    def forward(program: Program, *inputs: Tensor) -> Any:
        return _evaluate(program, inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.program, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return (None, *_gradients(ctx.program, ctx.saved_tensors, grads))

    @staticmethod
    def jvp(ctx: Any, _program: Any, *tangents: Tensor | None) -> Any:
        """Elementwise, so the Jacobian is diagonal: the tangent stands in for the gradient."""
        total = None
        for position, tangent in enumerate(tangents):
            if tangent is None:
                continue
            term = _as_tuple(run(backward(ctx.program), *ctx.saved_tensors, tangent))[position]
            total = term if total is None else total + term
        return total


class Runner:
    """One Program, ready to run on tensors.

    Args:
        program: a forward Program.
    """

    def __init__(self, program: Program):
        self.forward, self.backward = program, backward(program)

    def __call__(self, x: Tensor, parameters: tuple[Tensor, ...] = ()) -> Tensor:
        """The values at `x`, in its dtype, shape and layout."""
        result: Tensor = _Plain.apply(self.forward, x, *[channelwise(p, x) for p in parameters])
        return result


def channelwise(parameter: Tensor, x: Tensor) -> Tensor:
    """A parameter of shape `(C,)` viewed so that it broadcasts along dimension 1 of `x`."""
    if parameter.dim() == 0 or x.dim() <= 2:
        return parameter
    return parameter.view(-1, *[1] * (x.dim() - 2))
