"""Running a Program under autograd: three ways to say the same thing to torch.

* eager: a fused kernel forward and backward, which saves the inputs and nothing else, and one for each
  pass over derivatives of derivatives. What has no kernel runs the Programs as plain torch operations.
* under `torch.func` transforms and forward mode: plain operations, with a rule for `vmap` and for `jvp`.
* inside `torch.compile` and `torch.export`: the same, as one call that Dynamo does not look into and that
  the compiler behind it sees as operations, differentiated and transformed as outside.

Derivatives of any order come from `gradient.backward` applied again, never from autograd through
the stable forms, whose intermediate steps have kinks of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.fx import Proxy

from symact.activation import higher, small_tensors
from symact.activation.channels import channels_second, channelwise, place_of_channels
from symact.activation.packed import Layout, halves
from symact.activation.plan import Plan, for_onnx, ordinary, plain, plan, undisturbed
from symact.backends import torch_source
from symact.backends.cpu.kernel import TYPES
from symact.backends.select import SELECTOR, Pointwise
from symact.errors import InputError
from symact.program.gradient import backward, pushforward
from symact.program.higher import DerivativeChain, chained, derivatives, gradient, joined, partial, tower
from symact.program.program import Program


def checked(x: Any) -> Tensor:
    """A dense floating tensor of what a caller gives; whole numbers become floats.

    Raises:
        InputError: it is no tensor, complex, or sparse.
    """
    if not isinstance(x, Tensor):
        raise InputError(f"an activation takes a torch tensor, not {type(x).__name__}")
    if x.layout is not _STRIDED and x.layout is not torch.jagged:
        raise InputError(f"an activation takes a dense tensor, not one of layout {x.layout}: give x.to_dense()")
    if x.is_floating_point():
        return x
    if x.is_complex():
        raise InputError(f"an activation is a real function; got a tensor of {x.dtype}")
    return x.to(torch.get_default_dtype())


def run(program: Program, *inputs: Tensor) -> Any:
    """The outputs of a Program by plain operations, differentiable to any order in all inputs."""
    return _Plain.apply(program, *inputs)


def _together(x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors of one dtype and shape."""
    if x.dtype != g.dtype:
        dtype = torch.result_type(x, g)
        x, g = x.to(dtype), g.to(dtype)
    if not x.is_nested and x.shape != g.shape:
        try:
            x, g = torch.broadcast_tensors(x, g)
        except RuntimeError:
            raise InputError(f"tensors of shapes {tuple(x.shape)} and {tuple(g.shape)} do not broadcast") from None
    return x, g


def _as_tuple(outputs: Any) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _reduced(gradient: Tensor, like: Tensor) -> Tensor:
    return gradient if gradient.shape == like.shape else gradient.sum_to_size(like.shape)


def _evaluate(program: Program, inputs: tuple[Tensor, ...]) -> Any:
    """Plain operations, given back in the dtype of the first input."""
    dtype = inputs[0].dtype
    if torch.onnx.is_in_onnx_export():
        function, working = for_onnx(program)
    else:
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
        grad = small_tensors.stored(grad)
        if _grad_enabled() or _transforms_active() or _batched(grad):
            return (None, None, None, *runner.gradients((x, *parameters), grad))
        return (None, None, None, *plan.slopes(grad, x, tuple(parameters), exceeds))


# The node calls `backward` itself, not by way of a method that asks whether it is there: a microsecond.
_Fused._backward_cls.apply = _Fused.backward  # type: ignore[attr-defined]


class _Packed(Function):
    """The same of the two halves of one tensor, whose gradients are written into one, too."""

    @staticmethod
    def forward(
        ctx: Any, runner: Runner, plan: Plan, exceeds: bool, layout: Layout, h: Tensor, *parameters: Tensor
    ) -> Tensor:
        ctx.arguments = runner, plan, exceeds, layout
        ctx.save_for_backward(h, *parameters)
        x, g = halves(h, layout)
        first, second = _channels_last(x, parameters), _channels_last(g, parameters)
        return plan.values(first, (second, *parameters), exceeds).reshape(x.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        runner, plan, exceeds, layout = ctx.arguments
        h, *parameters = ctx.saved_tensors
        grad = small_tensors.stored(grad)
        x, g = halves(h, layout)
        first, second, coming = (_channels_last(t, parameters) for t in (x, g, grad))
        if _grad_enabled() or _transforms_active() or _batched(grad):
            to_x, to_g, *rest = runner.gradients((first, second, *parameters), coming)
            pair = to_x.reshape(x.shape), to_g.reshape(x.shape)
            pair = pair[::-1] if layout.x_last else pair
            joined = torch.stack(pair, -1).flatten(-2) if layout.interleaved else torch.cat(pair, -1)
            return (None, None, None, None, joined, *rest)
        slopes = torch.empty(h.shape, dtype=h.dtype, device=h.device)
        places = tuple([_channels_last(half, parameters) for half in halves(slopes, layout)])
        rest = plan.slopes_into(places, coming, first, (second, *parameters), exceeds)
        return (None, None, None, None, slopes, *rest)


def _channels_last(t: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """A tensor whose channels are the last dimension, as kernels take it: the second, where parameters need it."""
    return t.reshape(-1, t.shape[-1]) if t.dim() > 2 and any(p.dim() for p in parameters) else t


class Runner:
    """One Program, ready to run on tensors.

    Args:
        program: a forward Program.

    Attributes:
        forward: the Program.
    """

    def __init__(self, program: Program):
        self.forward = program
        # By device type, and of it for float64; made at the first call for it.
        self._plans: dict[str, Plan] = {}
        # By chain, device type, whether of float64, and generation of back ends.
        self._chains: dict[tuple[DerivativeChain, str, bool, int], Pointwise | None] = {}
        # By the order of the last derivative, what compilers call; made when they do, since it loads Dynamo.
        self._in_graph: dict[int, Callable[..., tuple[Tensor, ...]]] = {}

    def __reduce__(self) -> Any:
        return shared_runner, (self.forward,)

    def __call__(self, x: Tensor, parameters: tuple[Tensor, ...] = (), channel_dim: int = 1) -> Tensor:
        """The values at `x`, in its dtype, shape and layout.

        Args:
            x: any shape and floating dtype.
            parameters: of shape `()`, `(1,)`, or `(C,)` with one value per channel.
            channel_dim: the dimension of `x` that counts channels; of a vector it is the only one.

        Raises:
            InputError: `x` is no real dense tensor, or a parameter has another number of channels.
        """
        if _is_compiling():
            return self._compiled(checked(x), parameters, channel_dim)[0]
        if _unseen():
            return self._by_operations(checked(x), parameters, channel_dim)
        if (
            type(x) in _TENSORS
            and x.is_cpu
            and (plan := self._plans.get(_KINDS.get(x.dtype, ""))) is not None
            and (kernel := plan.small) is not None
            and x.layout is _STRIDED
            and x.is_contiguous()
            and x.numel() <= _SMALL
            and not x.is_neg()
            and (address := x.data_ptr())
            and plan.generation == _SELECTOR.generation
        ):
            if not (x.requires_grad and _grad_enabled()):
                return _small_forward(kernel, x, address)
            if _saved_tensors_hooks(True) is None and not x.is_nested:
                return _apply_small(self, kernel, x, address)
        if isinstance(x, Proxy):
            return self.symbolically((x,), parameters)
        return self._by_kernel(checked(x), parameters, channel_dim)

    def of_two(self, x: Tensor, g: Tensor, parameters: tuple[Tensor, ...] = (), channel_dim: int = -1) -> Tensor:
        """The values of a function of two tensors, whose shapes and dtypes go together as for `torch.mul`.

        Raises:
            InputError: one of them is no real dense tensor, or a parameter has another number of channels.
        """
        x, g = _together(checked(x), checked(g))
        if _is_compiling():
            return self._compiled(x, (g, *parameters), channel_dim)[0]
        ready = None if _unseen() else self._ready(x, g, parameters, channel_dim)
        if ready is None:
            return self._by_operations(x, (g, *parameters), channel_dim)
        plan, exceeds, first, others = ready
        if _grad_enabled() and any(t.requires_grad for t in (first, *others)):
            result: Tensor = _apply_fused(self, plan, exceeds, first, *others)
        else:
            result = plan.values(first, others, exceeds)
        return result.reshape(x.shape)

    def packed(self, h: Tensor, layout: Layout, parameters: tuple[Tensor, ...] = (), channel_dim: int = -1) -> Tensor:
        """The values of a function of two tensors that are the halves of one; see `halves`.

        Raises:
            InputError: as for two.
        """
        x, g = halves(h, layout)
        if h.requires_grad and _grad_enabled() and not (_is_compiling() or _unseen()) and h.is_floating_point():
            # The gradients of both halves are then written into one tensor.
            last = channel_dim in (-1, h.dim() - 1) or not any(p.dim() for p in parameters)
            ready = self._ready(x.detach(), g.detach(), parameters, -1) if last else None
            if ready is not None:
                plan, exceeds, _, others = ready
                result: Tensor = _apply_packed(self, plan, exceeds, layout, h, *others[1:])
                return result
        return self.of_two(x, g, parameters, channel_dim)

    def _ready(
        self, x: Tensor, g: Tensor, parameters: tuple[Tensor, ...], channel_dim: int
    ) -> tuple[Plan, bool, Tensor, tuple[Tensor, ...]] | None:
        """The plan for tensors of one shape, what it says of them, and they, channels second; None without a kernel."""
        plan = self.plan(x.device.type, x.dtype == torch.float64)
        if plan.narrow is None or x.is_nested or any(t._is_zerotensor() for t in (x, g, *parameters)):
            return None
        parameters = tuple(p.reshape(()) if p.dim() and p.numel() == 1 else p for p in parameters)
        if channel_dim != 1 and x.dim() > 1 and any(p.dim() for p in parameters):
            x, g = channels_second(x, channel_dim), channels_second(g, channel_dim)
        others = g, *parameters
        return (plan, plan.exceeds(x, others), x, others) if plan.narrow.supports(x, others) else None

    def plan(self, device: str, double: bool = False) -> Plan:
        """How the Program runs on tensors of a device type, of float64 or else of a smaller type."""
        kind = device + _DOUBLE if double else device
        found = self._plans.get(kind)
        if found is None or found.generation != SELECTOR.generation:
            found = self._plans[kind] = plan(self.forward, device, double)
        return found

    def gradients(self, inputs: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, ...]:
        """The gradients of `x` and the parameters (channels along dimension 1), differentiable themselves."""
        x, *others = inputs
        operands = self._inputs(x, tuple(others), 1) if others else inputs
        terms = self.fused_chain(gradient(len(inputs)), (x, *[p.expand_as(x) for p in operands[1:]], grad))
        if terms is not None:
            terms = tuple([_reduced(term, like) for term, like in zip(terms, operands, strict=True)])
        else:
            terms = _gradients(self.forward, operands, (grad,))
        return (terms[0], *[term.reshape(p.shape) for term, p in zip(terms[1:], others, strict=True)])

    def jet(self, x: Tensor, parameters: tuple[Tensor, ...], order: int, channel_dim: int = 1) -> tuple[Tensor, ...]:
        """The values at `x` and the derivatives in `x` up to an order, differentiable in all inputs.

        Raises:
            InputError: as for a call.
        """
        x = checked(x)
        if _is_compiling():
            return self._compiled(x, parameters, channel_dim, order)
        inputs = (x, *[channelwise(p, x, channel_dim) for p in parameters])
        if not _tracing():
            expanded = [p.expand_as(x) for p in inputs]
            return self.chain(derivatives(order, len(inputs)), tuple(expanded))
        return tuple([t.expand_as(x) for t in _as_tuple(run(tower(self.forward, order), *inputs))])

    def chain(self, chain: DerivativeChain, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What a chain computes of x, parameters expanded to it, and gradients that came in, differentiable in all."""
        found = self.fused_chain(chain, tensors)
        if found is not None:
            return found
        parts = joined([partial(self.forward, by) for by in chain.partials])
        return _as_tuple(run(chained(chain, parts), *tensors))

    def fused_chain(self, chain: DerivativeChain, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """The same by a fused kernel; None where none can see these tensors, or no transform would see it."""
        if _transforms_active() or forward_ad._current_level >= 0 or _modes_active() or any(map(_batched, tensors)):
            return None
        x = tensors[0]
        key = chain, "cpu" if x.is_cpu else x.device.type, x.dtype is _FLOAT64, _SELECTOR.generation
        kernel: Pointwise | None = self._chains.get(key, _NEW)
        if kernel is _NEW:
            with undisturbed():
                kernel = self._chains[key] = higher.kernel(self.forward, *key[:3])
        if kernel is None or not kernel.supports(tensors):
            return None
        parameters = tensors[self.forward.variables : chain.own]
        if parameters and x.is_cpu and x.dtype is not _FLOAT64 and not all(map(ordinary, parameters)):
            return None
        if _grad_enabled() and any(t.requires_grad for t in tensors):
            return _as_tuple(_apply_chain(self, chain, kernel, *tensors))
        return kernel(*tensors)

    def _by_kernel(self, x: Tensor, parameters: tuple[Tensor, ...], channel_dim: int) -> Tensor:
        if x.is_nested:
            return self._nested(x, parameters, channel_dim)
        plan = self.plan(x.device.type, x.dtype == torch.float64)
        if plan.narrow is None or x._is_zerotensor() or any(p._is_zerotensor() for p in parameters):
            return self._by_operations(x, parameters, channel_dim)
        if parameters:
            parameters = tuple([p.reshape(()) if p.dim() and p.numel() == 1 else p for p in parameters])
            if channel_dim != 1 and x.dim() > 1 and any(p.dim() for p in parameters):
                return self._by_kernel(channels_second(x, channel_dim), parameters, 1).reshape(x.shape)
        if not plan.narrow.supports(x, parameters):
            return self._by_operations(x, parameters, channel_dim)
        exceeds = plan.exceeds(x, parameters)
        if _grad_enabled() and (x.requires_grad or any(p.requires_grad for p in parameters)):
            result: Tensor = _apply_fused(self, plan, exceeds, x, *parameters)
            return result
        return plan.values(x, parameters, exceeds)

    def _nested(self, x: Any, parameters: tuple[Tensor, ...], channel_dim: int) -> Tensor:
        """Part by part, or all rows of a jagged tensor at once: neither has the first dimension."""
        inner = max(place_of_channels(x, channel_dim) - 1, 0)
        result: Tensor
        if x.layout is _STRIDED:
            result = torch.nested.as_nested_tensor([self(part, parameters, inner) for part in x.unbind()])
        elif getattr(x, "_ragged_idx", 1) == 1:
            rows = self(x.values(), parameters, inner)
            result = torch.nested.nested_tensor_from_jagged(rows, x.offsets(), x.lengths())
        else:
            result = self._by_operations(x, parameters, channel_dim)
        return result

    def _by_operations(self, x: Tensor, others: tuple[Tensor, ...], channel_dim: int) -> Tensor:
        inputs = self._inputs(x, others, channel_dim)
        # TorchScript records operations, not Functions.
        result: Tensor = _evaluate(self.forward, inputs) if _tracing() else _Plain.apply(self.forward, *inputs)
        return result

    def _inputs(self, x: Tensor, others: tuple[Tensor, ...], channel_dim: int) -> tuple[Tensor, ...]:
        """All inputs of the Program, as they broadcast: behind the variables, parameters are along the channels."""
        variables = self.forward.variables - 1
        return (x, *others[:variables], *[channelwise(p, x, channel_dim) for p in others[variables:]])

    def symbolically(self, tensors: tuple[Proxy, ...], parameters: tuple[Tensor, ...]) -> Any:
        """The operations, for torch.fx: what it traces has no shape, so parameters cannot be per channel."""
        if any(isinstance(p, Tensor) and p.numel() != 1 for p in parameters):
            raise InputError("torch.fx traces parameters per channel in a symact.Activation that is part of a module")
        return torch_source.function(self.forward)(*tensors, *parameters)

    def _compiled(self, x: Tensor, others: tuple[Tensor, ...], channel_dim: int, order: int = 0) -> tuple[Tensor, ...]:
        self._prepare(order)
        return self._in_graph[order](*self._inputs(x, others, channel_dim))

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def _prepare(self, order: int) -> None:
        """Make what stands in the graph, out of Dynamo's sight."""
        if order not in self._in_graph:
            program = tower(self.forward, order) if order else self.forward

            def activation(*inputs: Tensor) -> tuple[Tensor, ...]:
                return _as_tuple(run(program, *inputs))

            # Code of its own: by that, and not by what a closure holds, Dynamo tells one function from another.
            activation.__code__ = activation.__code__.replace(co_name=f"activation_{next(_numbers)}")
            self._in_graph[order] = torch.compiler.allow_in_graph(activation)


@lru_cache(maxsize=4096)
def shared_runner(program: Program) -> Runner:
    """What runs a Program: one for everybody, so that the Program is examined once."""
    return Runner(program)


_numbers = itertools.count()
_is_compiling = torch.compiler.is_compiling
_transforms_active = torch._C._are_functorch_transforms_active
_batched = torch._C._functorch.is_legacy_batchedtensor
# Fake tensors, proxies and whoever else watches operations: a kernel is none that they could see.
_modes_active = torch._C._len_torch_dispatch_stack
_tracing = torch._C._is_tracing


def _unseen() -> bool:
    """Whether somebody transforms or watches operations, who would not see a kernel."""
    return forward_ad._current_level >= 0 or _transforms_active() or _modes_active() > 0 or _tracing()


_grad_enabled = torch.is_grad_enabled
# Whoever wants to see, or to keep elsewhere, what is saved for backward.
_saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks

# What `Function.apply` does when no transform is active, without asking again.
_apply_fused: Any = super(Function, _Fused).apply
_apply_packed: Any = super(Function, _Packed).apply

# Names of their own for what a small tensor feels.
_TENSORS, _STRIDED, _SMALL, _SELECTOR = (Tensor, torch.nn.Parameter), torch.strided, small_tensors.SMALL, SELECTOR
_DOUBLE = " float64"
_KINDS = {dtype: "cpu" + _DOUBLE * (dtype == torch.float64) for dtype in TYPES}
_FLOAT64 = torch.float64
_apply_small: Callable[..., Tensor] = small_tensors.apply
_apply_chain: Any = higher.apply
# In place of the kernel of a chain that nobody has asked for yet; None is that there is none.
_NEW: Any = object()
_small_forward = small_tensors.forward
