"""Running a Program under autograd: three ways to say the same thing to torch.

* eager: a fused kernel forward and backward, which saves the inputs and nothing else. A second
  derivative, and everything without a kernel, runs the Programs as plain torch operations.
* inside `torch.compile` and `torch.export`: plain operations, in a Function that Dynamo can trace.
* under `torch.func` transforms and forward mode: the same with a rule for `vmap` and for `jvp`.

Derivatives of any order come from `gradient.backward` applied again, never from autograd through
the stable forms, whose intermediate steps have kinks of their own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad
from torch.utils._python_dispatch import _disable_current_modes

from symact.activation import small_tensors
from symact.activation.float32_range import limit, reach, wide
from symact.activation.taylor import expanded
from symact.backends import select, torch_source
from symact.backends.cpu import kernel as cpu_kernel
from symact.errors import InputError
from symact.program.gradient import backward
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
    working = torch.float64 if any(t.dtype == torch.float64 for t in inputs) else torch.float32
    if working is torch.float32 and _needs_float64(program, inputs[0]):
        program, working = wide(program), torch.float64
    outputs = torch_source.function(program)(*[t.to(working) for t in inputs])
    if isinstance(outputs, tuple):
        return tuple(output.to(dtype) for output in outputs)
    return outputs.to(dtype)


def _needs_float64(program: Program, x: Tensor) -> bool:
    """Whether float32 fails somewhere; on a GPU, where float64 is slow, within 1e4 of zero."""
    with _disable_current_modes():
        bound = limit(program)
    return bound < 1e4 if x.is_cuda else math.isfinite(bound)


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


class _Traced(Function):
    """Plain operations, for Dynamo: generated functions are arguments, since it cannot trace their making."""

    @staticmethod
    def forward(values: Any, slopes: Any, *inputs: Tensor) -> Any:
        return values(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, ctx.slopes, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        tensors = ctx.saved_tensors
        terms = ctx.slopes(*tensors, grad)
        if len(tensors) == 1:
            return None, None, terms
        return (None, None, *[_reduced(term, like) for term, like in zip(terms, tensors, strict=True)])


class _Fused(Function):
    """A fused kernel. Without `setup_context`, which costs microseconds per call."""

    @staticmethod
    def forward(ctx: Any, runner: Runner, kernel: select.Kernel, wide: bool, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.arguments = runner, kernel, wide
        ctx.save_for_backward(x, *parameters)
        if wide:
            return runner.wide_forward(kernel, x, parameters)
        return kernel.forward(x, parameters)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        runner, kernel, wide = ctx.arguments
        x, *parameters = ctx.saved_tensors
        if _grad_enabled() or _transforms_active() or _batched(grad):
            return (None, None, None, *runner.gradients((x, *parameters), grad))
        if wide:
            return (None, None, None, *runner.wide_backward(kernel, grad, x, tuple(parameters)))
        return (None, None, None, *kernel.backward(grad, x, tuple(parameters)))


class Runner:
    """One Program, ready to run on tensors.

    Args:
        program: a forward Program.
        slopes: its backward Program, where it is not `backward(program)`.

    Attributes:
        forward: the Program.
        backward: its vector-Jacobian product.
    """

    def __init__(self, program: Program, slopes: Program | None = None):
        self.forward, self.backward = program, backward(program) if slopes is None else slopes
        # What kernels run: the Programs, or the same by their series near 0, where float32 needs that.
        self._forms = self.forward, self.backward
        self._kernels: dict[str, select.Kernel | None] = {}
        # The kernel for small tensors on CPU, where there are no parameters and float32 is enough everywhere.
        self._small: cpu_kernel.NativeKernel | None = None
        self._version = select.version
        self._limit: float | None = None
        # From where to where float32 is enough, where a kernel can look after the rest itself.
        self._window: tuple[float, float, bool] | None = None
        self._wide: Runner | None = None
        self._values: Any = None
        self._slopes: Any = None

    def __reduce__(self) -> Any:
        return Runner, (self.forward,)

    def __call__(self, x: Tensor, parameters: tuple[Tensor, ...] = ()) -> Tensor:
        """The values at `x`, in its dtype, shape and layout; a parameter has shape `()` or `(C,)`.

        Raises:
            InputError: `x` is no real tensor.
        """
        if _is_compiling():
            return self._traced(checked(x), parameters)
        if forward_ad._current_level >= 0 or _transforms_active() or _modes_active() or _tracing():
            return self._by_operations(checked(x), parameters)
        kernel = self._small
        if (
            kernel is not None
            and type(x) in _TENSORS
            and x.is_cpu
            and x.dtype in _TYPES
            and x.layout is _STRIDED
            and x.is_contiguous()
            and x.numel() <= _SMALL
            and not x.is_neg()
            and self._version == select.version
        ):
            if not (x.requires_grad and _grad_enabled()):
                return _small_forward(kernel, x)
            if _saved_tensors_hooks(True) is None:
                return _apply_small(self, kernel, x)
        return self._by_kernel(checked(x), parameters)

    def gradients(self, inputs: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, ...]:
        """The gradients of `x` and the parameters, differentiable themselves."""
        x, *parameters = inputs
        terms = _gradients(self.forward, (x, *[channelwise(p, x) for p in parameters]), (grad,))
        return (terms[0], *[term.reshape(p.shape) for term, p in zip(terms[1:], parameters, strict=True)])

    def _by_kernel(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        kernel = self.kernel(x.device.type)
        if kernel is None or not kernel.supports(x, parameters):
            return self._by_operations(x, parameters)
        wide = self._limit != math.inf and self.exceeds(x)
        if not parameters and (self._limit == math.inf or self._window is not None):
            # Not `kernel`: to find the limit may have been to choose another.
            found = self.kernel("cpu")
            self._small = found if isinstance(found, cpu_kernel.NativeKernel) else None
        if torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in parameters)):
            return _apply_fused(self, kernel, wide, x, *parameters)
        return self.wide_forward(kernel, x, parameters) if wide else kernel.forward(x, parameters)

    def _by_operations(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        inputs = (x, *[channelwise(p, x) for p in parameters])
        # TorchScript records operations, not Functions.
        result: Tensor = _evaluate(self.forward, inputs) if _tracing() else _Plain.apply(self.forward, *inputs)
        return result

    def kernel(self, device: str) -> select.Kernel | None:
        """The fused kernel for tensors on a device type, if there is one."""
        if self._version != select.version:
            self._kernels, self._small, self._version = {}, None, select.version
        if device not in self._kernels:
            found = select.kernel(device, *self._forms)
            if device == "cpu" and self._window is not None and isinstance(found, cpu_kernel.NativeKernel):
                found = self._mended(*self._window) or found
            self._kernels[device] = found
        return self._kernels[device]

    def _mended(self, low: float, high: float, zero: bool) -> cpu_kernel.NativeKernel | None:
        """A kernel of its own that computes some elements in float64."""
        own, exact = cpu_kernel.kernel(*self._forms), self.wide().kernel("cpu")
        if own is None or not isinstance(exact, cpu_kernel.NativeKernel):
            return None
        own.mend(exact, low, high, zero)
        return own

    def limit(self) -> float:
        """The largest |x| up to which float32 is enough, values and gradients; found at the first call."""
        if self._limit is None:
            with _disable_current_modes():  # torch.export traces whatever runs, and this is no part of the model.
                self._limit = self._find_limit()
        return self._limit

    def _find_limit(self) -> float:
        kernel = self.kernel("cpu") if len(self.forward.inputs) == 1 else None
        found = reach(self.forward, self.backward, kernel)
        if kernel is None:
            return found.limit
        forms = (expanded(self.forward), expanded(self.backward)) if found.limit < 1.0 else self._forms
        other = select.kernel("cpu", *forms) if forms != self._forms else None
        if other is not None:
            better = reach(self.forward, self.backward, other)
            if better.limit > found.limit:
                self._forms, found = forms, better
                self._kernels.clear()
        if found.limit < math.inf:
            self._window = found.window
            self._kernels.pop("cpu", None)
            chosen = self.kernel("cpu")
            if not (isinstance(chosen, cpu_kernel.NativeKernel) and chosen.mended):
                self._window = None
        return found.limit

    def exceeds(self, x: Tensor) -> bool:
        """Whether `x` has values at which float32 is not enough."""
        first = self._limit is None
        bound = self.limit()
        if x.dtype == torch.float64 or not x.numel():
            return False
        if first and (self._forms[1] is not self.backward or self._window is not None):
            return True  # The caller holds the kernel as it was.
        if bound == math.inf or (self._window is not None and x.is_cpu):
            return False
        if x.is_cuda:
            return bound < 1e4
        low, high = torch.aminmax(x)
        return bool(high > bound) or bool(low < -bound)

    def wide(self) -> Runner:
        """The same function for float64 tensors, with nothing that overflows to NaN."""
        if self._wide is None:
            self._wide = Runner(wide(self.forward), wide(self.backward))
            self._wide._limit = math.inf
        return self._wide

    def wide_forward(self, kernel: select.Kernel, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        """The values at a float32 `x` where float32 is not enough, by the kernel of `wide()`."""
        kernel = self.wide().kernel(x.device.type) or kernel
        return kernel.forward(x.double(), _double(parameters)).to(x.dtype)

    def wide_backward(
        self, kernel: select.Kernel, grad: Tensor, x: Tensor, parameters: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        """The gradients at a float32 `x` where float32 is not enough."""
        kernel = self.wide().kernel(x.device.type) or kernel
        terms = kernel.backward(grad.double(), x.double(), _double(parameters))
        return tuple(term.to(like.dtype) for term, like in zip(terms, (x, *parameters), strict=True))

    def _traced(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        wide = self._prepare(x.is_cuda, x.dtype == torch.float64)
        inputs = (x, *[channelwise(p, x) for p in parameters])
        working = torch.float64 if wide else torch.float32
        result: Tensor = _Traced.apply(self._values, self._slopes, *[t.to(working) for t in inputs])
        return result.to(x.dtype)

    @torch.compiler.assume_constant_result
    def _prepare(self, cuda: bool, double: bool) -> bool:
        """Make the plain functions, out of Dynamo's sight; whether they take float64."""
        short = not double and (self.limit() < 1e4 if cuda else math.isfinite(self.limit()))
        runner = self.wide() if short else self
        self._values, self._slopes = torch_source.function(runner.forward), torch_source.function(runner.backward)
        return double or short


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
_TENSORS, _TYPES, _STRIDED, _SMALL = (Tensor, torch.nn.Parameter), cpu_kernel.TYPES, torch.strided, small_tensors.SMALL
_apply_small, _small_forward = small_tensors.apply, small_tensors.forward


def _double(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.double() for tensor in tensors)


def channelwise(parameter: Tensor, x: Tensor) -> Tensor:
    """A parameter of shape `(C,)` viewed so that it broadcasts along dimension 1 of `x`."""
    if parameter.dim() == 0 or x.dim() <= 2:
        return parameter
    return parameter.view(-1, *[1] * (x.dim() - 2))
