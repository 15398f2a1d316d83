"""Running a Program under autograd: three ways to say the same thing to torch.

* eager: a fused kernel forward and backward, which saves the inputs and nothing else. A second
  derivative, and everything without a kernel, runs the Programs as plain torch operations.
* under `torch.func` transforms and forward mode: plain operations, with a rule for `vmap` and for `jvp`.
* inside `torch.compile` and `torch.export`: the same, as one call that Dynamo does not look into and that
  the compiler behind it sees as operations, differentiated and transformed as outside.

Derivatives of any order come from `gradient.backward` applied again, never from autograd through
the stable forms, whose intermediate steps have kinks of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

from symact.activation import small_tensors
from symact.activation.plan import Plan, plain, plan
from symact.backends.cpu.kernel import TYPES
from symact.backends.select import SELECTOR
from symact.errors import InputError
from symact.program.gradient import backward, pushforward
from symact.program.program import Program


def checked(x: Any) -> Tensor:
    """A floating tensor of what a caller gives; whole numbers become floats.

    Raises:
        InputError: it is no tensor, or complex.
    """
    if isinstance(x, Tensor) and x.is_floating_point():
        return x
    if not isinstance(x, Tensor):
        raise InputError(f"an activation takes a torch tensor, not {type(x).__name__}")
    if x.is_complex():
        raise InputError(f"an activation is a real function; got a tensor of {x.dtype}")
    return x.to(torch.get_default_dtype())


def run(program: Program, *inputs: Tensor) -> Any:
    """The outputs of a Program by plain operations, differentiable to any order in all inputs."""
    return _Plain.apply(program, *inputs)


def _as_tuple(outputs: Any) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _reduced(gradient: Tensor, like: Tensor) -> Tensor:
    return gradient if gradient.shape == like.shape else gradient.sum_to_size(like.shape)


def _evaluate(program: Program, inputs: tuple[Tensor, ...]) -> Any:
    """Plain operations, given back in the dtype of the first input."""
    dtype = inputs[0].dtype
    function, working = plain(program, any(t.dtype == torch.float64 for t in inputs), inputs[0].is_cuda)
    outputs = function(*[t.to(working) for t in inputs])
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
        """By one Program: forward mode is switched off here, and further levels see nothing else."""
        active = {position: tangent for position, tangent in enumerate(tangents) if tangent is not None}
        return run(pushforward(ctx.program, tuple(active)), *ctx.saved_tensors, *active.values())


class _Fused(Function):
    """A fused kernel. Without `setup_context`, which costs microseconds per call."""

    @staticmethod
    def forward(ctx: Any, runner: Runner, plan: Plan, exceeds: bool, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.arguments = runner, plan, exceeds
        ctx.save_for_backward(x, *parameters)
        return plan.values(x, parameters, exceeds)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        runner, plan, exceeds = ctx.arguments
        x, *parameters = ctx.saved_tensors
        if _grad_enabled() or _transforms_active() or _batched(grad):
            return (None, None, None, *runner.gradients((x, *parameters), grad))
        return (None, None, None, *plan.slopes(grad, x, tuple(parameters), exceeds))


class Runner:
    """One Program, ready to run on tensors.

    Args:
        program: a forward Program.

    Attributes:
        forward: the Program.
    """

    def __init__(self, program: Program):
        self.forward = program
        # By device type; made at the first call for it.
        self._plans: dict[str, Plan] = {}
        # What compilers call; made at the first compilation, since it loads Dynamo.
        self._in_graph: Callable[..., Tensor] | None = None

    def __reduce__(self) -> Any:
        return shared_runner, (self.forward,)

    def __call__(self, x: Tensor, parameters: tuple[Tensor, ...] = ()) -> Tensor:
        """The values at `x`, in its dtype, shape and layout; a parameter has shape `()` or `(C,)`.

        Raises:
            InputError: `x` is no real tensor.
        """
        if _is_compiling():
            return self._compiled(checked(x), parameters)
        if forward_ad._current_level >= 0 or _transforms_active() or _modes_active() or _tracing():
            return self._by_operations(checked(x), parameters)
        plan = self._plans.get("cpu")
        if (
            plan is not None
            and (kernel := plan.small) is not None
            and type(x) in _TENSORS
            and x.is_cpu
            and x.dtype in TYPES
            and x.layout is _STRIDED
            and x.is_contiguous()
            and x.numel() <= _SMALL
            and not x.is_neg()
            and plan.generation == _SELECTOR.generation
        ):
            if not (x.requires_grad and _grad_enabled()):
                return _small_forward(kernel, x)
            if _saved_tensors_hooks(True) is None:
                return _apply_small(self, kernel, x)
        return self._by_kernel(checked(x), parameters)

    def plan(self, device: str) -> Plan:
        """How the Program runs on tensors of a device type."""
        found = self._plans.get(device)
        if found is None or found.generation != SELECTOR.generation:
            found = self._plans[device] = plan(self.forward, device)
        return found

    def gradients(self, inputs: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, ...]:
        """The gradients of `x` and the parameters, differentiable themselves."""
        x, *parameters = inputs
        terms = _gradients(self.forward, (x, *[channelwise(p, x) for p in parameters]), (grad,))
        return (terms[0], *[term.reshape(p.shape) for term, p in zip(terms[1:], parameters, strict=True)])

    def _by_kernel(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        plan = self.plan(x.device.type)
        if plan.narrow is None or not plan.narrow.supports(x, parameters):
            return self._by_operations(x, parameters)
        exceeds = plan.exceeds(x)
        if torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in parameters)):
            result: Tensor = _apply_fused(self, plan, exceeds, x, *parameters)
            return result
        return plan.values(x, parameters, exceeds)

    def _by_operations(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        inputs = (x, *[channelwise(p, x) for p in parameters])
        # TorchScript records operations, not Functions.
        result: Tensor = _evaluate(self.forward, inputs) if _tracing() else _Plain.apply(self.forward, *inputs)
        return result

    def _compiled(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        self._prepare()
        assert self._in_graph is not None
        return self._in_graph(x, *[channelwise(p, x) for p in parameters])

    @torch.compiler.assume_constant_result
    def _prepare(self) -> None:
        """Make what stands in the graph, out of Dynamo's sight."""
        if self._in_graph is None:
            program = self.forward

            def activation(*inputs: Tensor) -> Tensor:
                result: Tensor = run(program, *inputs)
                return result

            self._in_graph = torch.compiler.allow_in_graph(activation)


@lru_cache(maxsize=4096)
def shared_runner(program: Program) -> Runner:
    """What runs a Program: one for everybody, so that the Program is examined once."""
    return Runner(program)


_is_compiling = torch.compiler.is_compiling
_transforms_active = torch._C._are_functorch_transforms_active
_batched = torch._C._functorch.is_legacy_batchedtensor
# Fake tensors, proxies and whoever else watches operations: a kernel is none that they could see.
_modes_active = torch._C._len_torch_dispatch_stack
_tracing = torch._C._is_tracing
_grad_enabled = torch.is_grad_enabled
# Whoever wants to see, or to keep elsewhere, what is saved for backward.
_saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks

# What `Function.apply` does when no transform is active, without asking again.
_apply_fused: Any = super(Function, _Fused).apply

# Names of their own for what a small tensor feels.
_TENSORS, _STRIDED, _SMALL, _SELECTOR = (Tensor, torch.nn.Parameter), torch.strided, small_tensors.SMALL, SELECTOR
_apply_small, _small_forward = small_tensors.apply, small_tensors.forward


def channelwise(parameter: Tensor, x: Tensor) -> Tensor:
    """A parameter of shape `(C,)` viewed so that it broadcasts along dimension 1 of `x`."""
    if parameter.dim() == 0 or x.dim() <= 2:
        return parameter
    return parameter.view(-1, *[1] * (x.dim() - 2))
