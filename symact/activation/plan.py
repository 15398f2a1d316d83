"""How one Program runs on one kind of device: settled before anything runs, and never changed.

In: a Program and a type of device. Out: a `Plan`, which holds the fused kernels and says for which inputs
each is right; or, where no kernel runs, the torch function and the precision of plain operations. `runner`
asks for a plan and obeys it, so a call computes the same bits whatever ran before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from symact.activation.float32_range import (
    ORDINARY,
    ParameterValues,
    Reach,
    double_form,
    form,
    grid,
    mending_form,
    reach,
    reach_alone,
    reach_of_cancellations,
    rounded_angles,
    samples,
    wide,
)
from symact.activation.joint_range import Box, box
from symact.backends import onnx_operations, torch_source
from symact.backends.cpu import kernel as cpu_kernel
from symact.backends.cpu.kernel import JointKernel, NativeKernel
from symact.backends.select import SELECTOR, Kernel
from symact.program.collection import no_collection
from symact.program.compensation import compensated, has_angles, with_exact_sums
from symact.program.gradient import backward
from symact.program.program import Program
from symact.program.taylor import expanded

Pair: TypeAlias = tuple[Program, Program]
_Fits: TypeAlias = Callable[[Tensor], bool]


@dataclass(frozen=True)
class Plan:
    """The kernels of one Program for tensors on one type of device.

    Attributes:
        generation: that of the back ends that were chosen from; a plan of another is out of date.
        forms: the forward and the backward Program that `narrow` runs: the given ones, or the same by
            their series near 0.
        narrow: the kernel for any dtype; None where plain operations run.
        wide: the kernel that computes in float64 the tensors for which `narrow` is not right; None where it always is.
        bound: the largest |x| up to which `narrow` is right for a tensor of float32 or less: inf where it
            always is, and negative where it never is.
        seen: whether the values of parameters can be looked at; then `narrow` is for those that `fits` alone.
        fits: whether it is for these values of a parameter.
        small: `narrow`, where small tensors may take their own path.
    """

    generation: int
    forms: tuple[Program, Program]
    narrow: Kernel | None = None
    wide: Kernel | None = None
    bound: float = math.inf
    seen: bool = False
    fits: _Fits = lambda _: True
    small: NativeKernel | None = None

    def allows(self, parameters: Iterable[Tensor]) -> bool:
        """Whether the parameters have values for which `bound` was examined."""
        return not self.seen or all(map(self.fits, parameters))

    @property
    def variables(self) -> int:
        """Of how many tensors it is a function; they stand before the parameters."""
        return self.forms[0].variables

    def exceeds(self, x: Tensor, others: tuple[Tensor, ...]) -> bool:
        """Whether `x` or the parameters have values at which float32 is not enough."""
        if x.dtype != torch.float64 and not self.allows(others[self.variables - 1 :]):
            return True
        if self.bound == math.inf or x.dtype == torch.float64 or not x.numel():
            return False
        if self.bound < 0:
            return True
        low, high = torch.aminmax(x)
        return bool(high > self.bound) or bool(low < -self.bound)

    def values(self, x: Tensor, others: tuple[Tensor, ...], exceeds: bool) -> Tensor:
        """The function at `x`, further variables and parameters, in its dtype, by the kernel that `exceeds` says."""
        assert self.narrow is not None
        if not exceeds:
            return self.narrow.forward(x, others)
        assert self.wide is not None
        return self.wide.forward(x.double(), _double(others)).to(x.dtype)

    def slopes(self, grad: Tensor, x: Tensor, others: tuple[Tensor, ...], exceeds: bool) -> tuple[Tensor, ...]:
        """The gradients of `x` and of the others, by the kernel that `exceeds` asks for."""
        assert self.narrow is not None
        if not exceeds:
            return self.narrow.backward(grad, x, others)
        assert self.wide is not None
        terms = self.wide.backward(grad.double(), x.double(), _double(others))
        return tuple(term.to(like.dtype) for term, like in zip(terms, (x, *others), strict=True))

    def slopes_into(
        self, places: tuple[Tensor, ...], grad: Tensor, x: Tensor, others: tuple[Tensor, ...], exceeds: bool
    ) -> tuple[Tensor, ...]:
        """The same; those of the variables are written to places that are given, and not among what comes out."""
        if not exceeds and isinstance(self.narrow, JointKernel):
            return self.narrow.backward(grad, x, others, places)[self.variables :]
        terms = self.slopes(grad, x, others, exceeds)
        for place, term in zip(places, terms, strict=False):
            place.copy_(term)
        return terms[self.variables :]


def plan(program: Program, device: str = "cpu", double: bool = False) -> Plan:
    """Decide how a Program runs on tensors of a device type.

    Args:
        program: a forward Program.
        device: a key of `BACKENDS`, or any other type, where plain operations run.
        double: whether for tensors of float64.
    """
    with no_collection():
        return _double_plan(program, device) if double else _single_plan(program, device)


def _single_plan(program: Program, device: str) -> Plan:
    """For tensors of float32 or less."""
    generation, given = SELECTOR.generation, (program, backward(program))
    forms = compensated(given[0], False), compensated(given[1], False)
    kernel = SELECTOR.kernel(device, *forms)
    if kernel is None:
        return Plan(generation, forms)
    if device != "cpu":
        with undisturbed():
            return _unseen_plan(program, device, kernel)
    if program.variables > 1:
        return _joint_plan(program, forms, kernel)
    exact, has_parameters, fits = None, len(program.inputs) > 1, _RANKS[0]
    if has_parameters:
        forms, kernel, found, fits = _examined_with_parameters(given, forms, kernel)
    else:
        forms, kernel, found = _examined(given, forms, kernel)
    if has_angles(program):
        with undisturbed():
            found = Reach(found.bad | rounded_angles(program))
    bound = found.limit
    if isinstance(kernel, NativeKernel):
        bound = math.inf
        if found.limit < bound:
            kernel.mend(lambda: _exact(program, forms), *found.windows)
    if has_parameters or bound < math.inf:
        exact = SELECTOR.kernel(device, wide(program), wide(backward(program))) or kernel
    small = None if has_parameters else _as_native(kernel)
    return Plan(generation, forms, kernel, exact, bound, seen=has_parameters, fits=fits, small=small)


def _joint_plan(program: Program, forms: Pair, kernel: Kernel) -> Plan:
    """Of several variables, on CPU: elements that are outside of the box where float32 is enough get float64."""
    given = program, backward(program)
    with undisturbed():
        exact = SELECTOR.kernel("cpu", *map(wide, given)) or kernel
        found = _box(program, kernel, exact)
        near_zero = compensated(expanded(given[0]), False), compensated(expanded(given[1]), False)
        if found.bad.any() and near_zero != forms and (other := SELECTOR.kernel("cpu", *near_zero)) is not None:
            better = _box(program, other, exact)
            if better.bad.sum() < found.bad.sum():
                forms, kernel, found = near_zero, other, better
    if found.bad.any() and isinstance(kernel, NativeKernel):
        kernel.mend(lambda: _exact(program, forms), *found.windows)
    seen = bool(program.parameters)
    return Plan(SELECTOR.generation, forms, kernel, exact if seen else None, seen=seen, fits=ordinary)


def _box(program: Program, kernel: Kernel, exact: Kernel) -> Box:
    assert isinstance(kernel, NativeKernel)
    assert isinstance(exact, NativeKernel)
    return box(program, kernel, lambda: exact)


def _as_native(kernel: Kernel | None) -> NativeKernel | None:
    return kernel if isinstance(kernel, NativeKernel) else None


def _exact(program: Program, forms: Pair) -> NativeKernel:
    """What computes in float64; the narrow forms, where the others are too long."""
    with undisturbed():
        right = mending_form(program), mending_form(backward(program))
    found = cpu_kernel.kernel(*right) or cpu_kernel.kernel(*forms)
    assert found is not None
    return found


def _unseen_plan(program: Program, device: str, kernel: Kernel) -> Plan:
    """Where values cannot be looked at: forms that are right in float32 everywhere, else float64 for all of them."""
    forms = unseen_forms(program)
    if forms is not None:
        return Plan(SELECTOR.generation, forms, SELECTOR.kernel(device, *forms) or kernel)
    given = program, backward(program)
    return Plan(SELECTOR.generation, given, kernel, SELECTOR.kernel(device, *map(wide, given)) or kernel, -1.0)


def unseen_forms(program: Program) -> Pair | None:
    """The Programs for float32 where values cannot be looked at; None where that takes float64."""
    values, slopes = [form(each) or form(each, ORDINARY) for each in (program, backward(program))]
    return None if values is None or slopes is None else (values, slopes)


def _double_plan(program: Program, device: str) -> Plan:
    """For tensors of float64: by the forms that are right in it."""
    generation, forms = SELECTOR.generation, (program, backward(program))
    if SELECTOR.kernel(device, *forms) is None:
        return Plan(generation, forms)
    with undisturbed():
        forms = double_form(forms[0]), double_form(forms[1])
        kernel = SELECTOR.kernel(device, *forms)
    return Plan(generation, forms, kernel, small=_as_native(kernel) if len(program.inputs) == 1 else None)


def _examined(given: Pair, forms: Pair, kernel: Kernel) -> tuple[Pair, Kernel, Reach]:
    """The forms of a function of x alone that reach furthest in float32, and how far, by the CPU kernel."""
    found = _reach(given, kernel)
    if found.limit >= 1.0 or (expanded(given[0]), expanded(given[1])) == given:
        return forms, kernel, found
    others = compensated(expanded(given[0]), False), compensated(expanded(given[1]), False)
    other = SELECTOR.kernel("cpu", *others)
    if other is None:
        return forms, kernel, found
    better = _reach(given, other)
    return (others, other, better) if better.limit > found.limit else (forms, kernel, found)


def _examined_with_parameters(given: Pair, forms: Pair, kernel: Kernel) -> tuple[Pair, Kernel, Reach, _Fits]:
    """The forms of a function with parameters that reach furthest, how far, and for which values of them."""
    with undisturbed():
        found, fits = _of_many_values(given, forms)
        others = with_exact_sums(given[0]), with_exact_sums(given[1])
        if fits is ordinary or others == forms:
            return forms, kernel, found, fits
        better, its_fits = _of_many_values(given, others)
        rank, its_rank = _RANKS.index(fits), _RANKS.index(its_fits)
        if its_rank < rank or (its_rank == rank and better.bad.sum() < found.bad.sum()):
            other = SELECTOR.kernel("cpu", *others)
            if other is not None:
                return others, other, better, its_fits
    return forms, kernel, found, fits


# What a window holds at least, so that elements outside of it are few.
_MIDDLE = (0.01, 100.0)


@cache
def _middle() -> np.ndarray:
    return (grid() >= _MIDDLE[0]) & (grid() <= _MIDDLE[1])


def _of_positive(given: Pair, forms: Pair) -> Reach:
    """Where float32 is enough for parameters that are positive and of ordinary size."""
    tried = samples(given[0]) + _POSITIVE.drawn(len(given[0].parameters))
    cancels = reach_of_cancellations(*given, tried, _POSITIVE, forms)
    return Reach(reach(*given, tried=tried, forms=forms).bad | cancels.bad)


def _of_many_values(given: Pair, forms: Pair) -> tuple[Reach, _Fits]:
    """Where float32 is enough for many values of the parameters, and which those are.

    Args:
        given: the forward and the backward Program.
        forms: what runs for them.
    """
    positive, count = _of_positive(given, forms), len(given[0].parameters)
    for values, fits in _MORE_VALUES:
        bad, draws = positive.bad.copy(), values.drawn(count)
        bad |= reach_of_cancellations(*given, draws, values, forms).bad
        for draw in draws:
            if (bad & _middle()).any():
                break
            bad |= reach(*given, tried=(draw,), forms=forms).bad
        if not (bad & _middle()).any():
            return Reach(bad), fits
    return positive, _positive


def _reach(given: Pair, kernel: Kernel) -> Reach:
    alone = reach_alone(kernel, has_angles(given[0])) if isinstance(kernel, NativeKernel) else None
    if alone is not None:
        return alone
    with undisturbed():
        return reach(*given, kernel)


@lru_cache(maxsize=65536)
def plain(program: Program, double: bool, gpu: bool) -> tuple[Callable[..., Any], torch.dtype]:
    """The function of torch operations that a Program runs as, and the dtype that its inputs are brought to.

    Args:
        program: forward, backward, or a derivative of those.
        double: whether an input has float64.
        gpu: whether the inputs are on one.
    """
    with undisturbed():
        found = double_form(program) if double else form(program)
        if found is None and gpu:
            found = form(program, ORDINARY)
    if found is None:
        return torch_source.function(wide(program)), torch.float64
    return torch_source.function(found), torch.float64 if double else torch.float32


@lru_cache(maxsize=4096)
def for_onnx(program: Program) -> tuple[Callable[..., Any], torch.dtype]:
    """The same for ONNX: float64 where no form is right in float32 and onnxruntime has all operations in float64."""
    with undisturbed():
        found, exact = form(program), wide(program)
        if found is None and all(operation.name in onnx_operations.DOUBLE for operation in exact.operations):
            return onnx_operations.function(exact), torch.float64
        return onnx_operations.function(found or form(program, ORDINARY) or program), torch.float32


@contextmanager
def undisturbed() -> Iterator[None]:
    """Plain CPU tensors inside, whoever traces or transforms operations: to look at a Program is no part of it."""
    set_tracing: Any = getattr(torch._C, "_set_tracing_state")  # noqa: B009 (missing from the stubs)
    tracing = torch._C._get_tracing_state()
    set_tracing(None)
    try:
        # Modes go first: `torch.export` records even that gradients are switched off.
        with (
            torch._C.DisableTorchFunction(),
            _disable_current_modes(),
            torch._C._DisableFuncTorch(),
            torch.inference_mode(False),
            torch.no_grad(),
        ):
            yield
    finally:
        set_tracing(tracing)


# What a parameter may be, beside 0, so that float32 is as good as for those that were examined.
_SMALLEST, _GREATEST = 1e-6, 100.0


def ordinary(parameter: Tensor) -> bool:
    """Whether a parameter, also an expanded one, has values for which forms for float32 were examined."""
    if 0 in parameter.stride():
        parameter = parameter.detach()[tuple([slice(None) if step else 0 for step in parameter.stride()])]
    if parameter.dim() == 0:
        size = abs(parameter.item())
        return size == 0.0 or _SMALLEST <= size <= _GREATEST
    sizes = parameter.detach().abs()
    return bool((((sizes >= _SMALLEST) & (sizes <= _GREATEST)) | (sizes == 0.0)).all())


def _of_tried_size(parameter: Tensor) -> bool:
    """Whether all values of a parameter are 0, or of a size that forms were tried at with others."""
    sizes = parameter.detach().abs()
    return bool((((sizes >= _POSITIVE.low) & (sizes <= _POSITIVE.high)) | (sizes == 0.0)).all())


def _positive(parameter: Tensor) -> bool:
    """The same, where none is negative."""
    return bool((parameter.detach() >= 0.0).all()) and _of_tried_size(parameter)


# What parameters are tried at in any case; and what beside that, the most first, with what they then may be.
_POSITIVE = ParameterValues(0.05, 25.0, False, 3)
_MORE_VALUES = (
    (ParameterValues(1e-3, 80.0, True, 24), ordinary),
    (ParameterValues(0.05, 25.0, True, 24), _of_tried_size),
)
_RANKS: tuple[_Fits, ...] = (ordinary, _of_tried_size, _positive)


def _double(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(tensor.double() for tensor in tensors)
