"""Program -> bytecode for the C++ block interpreter: the back end of CPU tensors.

One library (`library`) runs every Program, so nothing is compiled per function. A `Kernel`
holds the bytecode of a forward and a backward Program and checks dtype, device and layout before an
address is handed over.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import struct
import threading
import weakref
from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from symact.backends.cpu import library as cpu_library
from symact.backends.cpu.layout import RowLayout, fitting, inner_of_channels, result_of
from symact.backends.layout import dense, like, reordered
from symact.program.instructions import INSTRUCTIONS
from symact.program.program import Program

TYPES: dict[torch.dtype, int] = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
_empty_like, _is_contiguous = torch.empty_like, Tensor.is_contiguous
_STRIDED = torch.strided
_TENSORS = (Tensor, torch.nn.Parameter)
# The fields of `symact_call` in library.cpp: program, type, size, threads, x, grad, y, parameters, their gradients.
fields = struct.Struct("9q").pack
# What a run gives, as run.h has it: it went well; float32 is not enough, and how to compute in float64 is not said yet.
DONE, _NEEDS_EXACT = 1, 2
# What `compare` finds at an input, as compare.h has it.
DIFFERS, UNDEFINED, NOT_FINITE = 1, 2, 4
# Held while somebody makes what computes in float64: other threads may run the kernel that waits for it.
_COMPLETING = threading.RLock()
# From which |x| to which float32 is enough, and whether it is at 0.
Window: TypeAlias = tuple[float, float, bool]
# Elements times cost of a Program (in additions) that are worth a thread, some 20 microseconds.
_WORK = 400_000
# Numbers of 16 bits are 65,536, so where a tensor has as many elements or more, values and slopes come from tables.
# They take 0.33 and 0.5 ns per element, more where others use the caches, which pays from these costs of a forward
# and of a backward Program on (`gelu` has 29 and 45).
_HALVES, _EVERY, _COSTLY = (torch.bfloat16, torch.float16), 65536, (20.0, 40.0)
# Elements to look up that are worth a thread.
_LOOKUPS = 40_000
# The fields of `symact_look_up`: table, type, size, threads, x, grad, y.
_lookup_fields = struct.Struct("7q").pack


# Three arguments stand in the code of every operation.
_NO_MORE = ((0, 0, 0), (0, 0), (0,), ())


@lru_cache(maxsize=1)
def _operations() -> dict[str, int]:
    """Operation -> its number in the library; operations that the library does not know are left out."""
    library = cpu_library.load()
    numbers = {name: library.symact_operation(name.encode()) for name in INSTRUCTIONS} if library else {}
    return {name: number for name, number in numbers.items() if number >= 0}


def _encode(library: ctypes.CDLL, program: Program) -> int | None:
    """The library's handle of a Program, or None where it cannot run it."""
    numbers = _operations()
    try:
        rows = [(numbers[name], *arguments, *_NO_MORE[len(arguments)]) for name, arguments, _ in program.operations]
    except KeyError:
        return None
    code = array("i", itertools.chain.from_iterable(rows))
    values = array("d", [value for _, _, value in program.operations])
    outputs = array("i", program.outputs)
    addresses = [buffer.buffer_info()[0] for buffer in (code, values, outputs)]
    handle: int | None = library.symact_compile(
        len(program.inputs), len(values), addresses[0], addresses[1], len(outputs), addresses[2]
    )
    return handle


def kernel(forward: Program, backward: Program) -> NativeKernel | None:
    """The fused kernel of a Program on CPU, or None where there is no library or no such operation."""
    library = cpu_library.load()
    if library is None:
        return None
    handles = _encode(library, forward), _encode(library, backward)
    if handles[0] is None or handles[1] is None:
        for handle in handles:
            if handle is not None:
                library.symact_free(handle)
        return None
    costs = forward.cost, backward.cost
    if forward.variables > 1:
        return JointKernel(library, handles[0], handles[1], costs, forward.variables)
    return NativeKernel(library, handles[0], handles[1], costs)


def pointwise(program: Program) -> PointwiseKernel | None:
    """A Program over tensors of one shape as one fused kernel; None without a library or an operation."""
    library = cpu_library.load()
    handle = None if library is None else _encode(library, program)
    return None if library is None or handle is None else PointwiseKernel(library, handle, program)


def _release(library: ctypes.CDLL, *handles: int) -> None:
    for handle in handles:
        library.symact_free(handle)


class NativeKernel:
    """A forward and a backward Program in the block interpreter; see `backend.Kernel`."""

    __slots__ = (
        *("__weakref__", "_exact", "_grain", "_large", "_library", "_make_exact", "_run", "_tabular"),
        *("backward_code", "forward_code", "run_small"),
    )

    def __init__(self, library: ctypes.CDLL, forward: int, backward: int, costs: tuple[float, float]):
        self._run: Any = library.symact_call
        self.run_small: Any = cpu_library.small_run()
        self.forward_code, self.backward_code = forward, backward
        self._grain = max(2048, int(_WORK / max(*costs, 1.0)))
        self._library: Any = library
        self._tabular = {code for code, cost, least in zip(self.handles, costs, _COSTLY, strict=True) if cost >= least}
        self._exact: NativeKernel | None = None
        self._make_exact: Callable[[], NativeKernel] | None = None
        # By program and type, how many large tensors there were of 16 bits an element.
        self._large: dict[tuple[int, int], int] = {}
        # The library outlives its kernels, so handles are given back whenever that is.
        weakref.finalize(self, _release, library, forward, backward).atexit = False

    @property
    def handles(self) -> tuple[int, int]:
        """The library's handles of the forward and the backward Program, good while this object lives."""
        return self.forward_code, self.backward_code

    def mend(self, exact: Callable[[], NativeKernel], *windows: Window) -> None:
        """From now on, compute in float64 the elements of smaller tensors' types for which float32 is not enough.

        Args:
            exact: makes the same function for float64, when an element needs it first.
            windows: for each variable, where float32 is enough.
        """
        self._make_exact = exact
        self._tabular = set()
        for own in self.handles:
            for variable, window in enumerate(windows):
                self._library.symact_mend(own, variable, *window)

    @property
    def mended(self) -> bool:
        """Whether `mend` was called, so that float32 is enough for whoever calls."""
        return self._make_exact is not None

    @property
    def exact(self) -> NativeKernel | None:
        """What computes in float64, made now if it is not there yet; None where `mend` was not called."""
        if self._exact is None and self._make_exact is not None:
            with _COMPLETING:
                if self._exact is None:
                    # The library reads it through the handles of this kernel, so it stays.
                    self._exact = self._make_exact()
                    for own, other in zip(self.handles, self._exact.handles, strict=True):
                        self._library.symact_complete(own, other)
        return self._exact

    def finish(self, outcome: int, call: bytes) -> None:
        """Do what a run asks for that is not done, and run it again.

        Args:
            outcome: what it gave.
            call: its fields.

        Raises:
            MemoryError: there is no memory for its blocks.
        """
        if outcome != _NEEDS_EXACT or self.exact is None or self._run(call) != DONE:
            raise short_of_memory()

    def marks(
        self, exact: NativeKernel, inputs: tuple[np.ndarray, ...], relative: float, absolute: float
    ) -> np.ndarray:
        """What is found of values and slopes at inputs of float64.

        Args:
            exact: what is compared with, in float64; perhaps this kernel.
            inputs: ``(n,)`` of each variable, of each parameter, and of ones, the gradient that comes in.
            relative: by which part of what it should be a number may be wrong,
            absolute: or by how much.

        Returns:
            ``(2, n)`` of the values and of the slopes, sums of `DIFFERS`, `UNDEFINED` and `NOT_FINITE`.
        """
        size = len(inputs[0])
        found = np.zeros((2, size), np.uint8)
        places = (ctypes.c_void_p * len(inputs))(*[array.ctypes.data for array in inputs])
        rest = places, size, relative, absolute
        for own, other, row in zip(self.handles, exact.handles, found, strict=True):
            if self._library.symact_compare(own, other, *rest, row.ctypes.data) != DONE:
                raise short_of_memory()
        return found

    def supports(self, x: Tensor, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these tensors can be given to `forward` and `backward`."""
        if type(x) not in _TENSORS or x.dtype not in TYPES or not _plain(x):
            return False
        if not parameters:
            return True
        channels = _channels(x)
        return all(
            type(p) in _TENSORS and p.is_floating_point() and _plain(p) and (p.dim() == 0 or p.shape == (channels,))
            for p in parameters
        )

    def forward(self, x: Tensor, parameters: tuple[Tensor, ...] = ()) -> Tensor:
        """The values, in the dtype, shape and layout of `x`."""
        if reordered(x, parameters):
            return _empty_like(x).copy_(self.forward(x.contiguous(), parameters))
        x = dense(x)
        y = _empty_like(x)
        if parameters:
            _keep, numbers, _ = _table(x, parameters, _inner(x))
            self._call(self.forward_code, x, 0, y, ctypes.addressof(numbers), 0)
        else:
            self._call(self.forward_code, x, 0, y, 0, 0)
        return y

    def backward(self, grad: Tensor, x: Tensor, parameters: tuple[Tensor, ...] = ()) -> tuple[Tensor, ...]:
        """The gradient of `x`, then of each parameter, summed to its shape."""
        if reordered(x, parameters):
            slope, *sums = self.backward(grad, x.contiguous(), parameters)
            return (_empty_like(x).copy_(slope), *sums)
        x = dense(x)
        if grad.dtype is not x.dtype or grad.shape != x.shape:
            grad = grad.to(x.dtype).expand_as(x)
        grad = like(grad.resolve_neg(), x)
        y = _empty_like(x)
        if not parameters:
            self._call(self.backward_code, x, grad.data_ptr(), y, 0, 0)
            return (y,)
        if not x.numel():
            return (y, *map(torch.zeros_like, parameters))
        _keep, numbers, sums = _table(x, parameters, _inner(x))
        places = (ctypes.c_void_p * len(sums))(*[s.data_ptr() for s in sums])
        self._call(self.backward_code, x, grad.data_ptr(), y, ctypes.addressof(numbers), ctypes.addressof(places))
        return (y, *[s.to(p.dtype) for s, p in zip(sums, parameters, strict=True)])

    def _call(self, program: int, x: Tensor, grad: int, y: Tensor, table: int, places: int) -> None:
        size = x.numel()
        tabular = size >= _EVERY and program in self._tabular and not table and x.dtype in _HALVES
        if tabular and self._look_up(program, x, grad, y):
            return
        threads = 1 if size < 2 * self._grain else min(torch.get_num_threads(), size // self._grain)
        call = fields(program, TYPES[x.dtype], size, threads, x.data_ptr(), grad, y.data_ptr(), table, places)
        if (outcome := self._run(call)) != DONE:
            self.finish(outcome, call)

    def _look_up(self, program: int, x: Tensor, grad: int, y: Tensor) -> bool:
        """Whether the result came from a table, which is filled at the second call: a first may be the only one."""
        key = program, TYPES[x.dtype]
        calls = self._large[key] = self._large.get(key, 0) + 1
        if calls == 1:
            return False
        if grad and not self._library.symact_has_slope(program):
            self._tabular.discard(program)
            return False
        table, size = _tabulated(self, *key), x.numel()
        threads = min(torch.get_num_threads(), max(size // _LOOKUPS, 1))
        self._library.symact_look_up(
            _lookup_fields(ctypes.addressof(table), key[1], size, threads, x.data_ptr(), grad, y.data_ptr())
        )
        return True

    def steps(self) -> tuple[str, str]:
        """The steps of the forward and the backward program as the interpreter runs them, one a line."""
        return _steps(self._library, self.forward_code), _steps(self._library, self.backward_code)


def _steps(library: Any, handle: int) -> str:
    buffer = ctypes.create_string_buffer(1 << 16)
    library.symact_describe(handle, buffer, len(buffer))
    return buffer.value.decode()


class JointKernel(NativeKernel):
    """The same for functions of several variables, which are whole tensors of one shape and dtype.

    They may lie in memory as they like: the halves of one tensor, and what is broadcast, are not copied.
    """

    __slots__ = ("_variables",)

    def __init__(self, library: ctypes.CDLL, forward: int, backward: int, costs: tuple[float, float], variables: int):
        super().__init__(library, forward, backward, costs)
        self._run = library.symact_map
        self._variables = variables

    def _split(self, x: Tensor, others: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        count = self._variables - 1
        return (x, *others[:count]), others[count:]

    def supports(self, x: Tensor, parameters: tuple[Tensor, ...]) -> bool:
        """Whether these tensors can be given: the further variables stand before the parameters."""
        variables, parameters = self._split(x, parameters)
        return super().supports(x, parameters) and all(
            type(t) in _TENSORS and _plain(t) and t.dtype is x.dtype and t.shape == x.shape for t in variables[1:]
        )

    def forward(self, x: Tensor, parameters: tuple[Tensor, ...] = ()) -> Tensor:
        """The values, in the layout of the first variable that is not broadcast."""
        variables, parameters = self._split(x, parameters)
        y = result_of(variables)
        self._map(self.forward_code, variables, (y,), parameters)
        return y

    def backward(
        self, grad: Tensor, x: Tensor, parameters: tuple[Tensor, ...] = (), into: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, ...]:
        """The gradients of the variables, of full shape, then of each parameter, summed to its shape.

        Args:
            grad: that of the values.
            x: the first variable.
            parameters: the further variables, then the parameters.
            into: where the gradients of the variables go; else they are new tensors.
        """
        variables, parameters = self._split(x, parameters)
        if grad.dtype is not x.dtype or grad.shape != x.shape:
            grad = grad.to(x.dtype).expand_as(x)
        results = into or tuple([result_of(variables) for _ in variables])
        sums = self._map(self.backward_code, (*variables, grad.resolve_neg()), results, parameters)
        return (*results, *[s.to(p.dtype) for s, p in zip(sums, parameters, strict=True)])

    def _map(
        self, program: int, tensors: tuple[Tensor, ...], results: tuple[Tensor, ...], parameters: tuple[Tensor, ...]
    ) -> list[Tensor]:
        """Run a program; gives the sums of its further outputs, one a parameter, which the forward program leaves."""
        x = tensors[0]
        _keep, numbers, sums = _table(x, parameters, inner_of_channels(results[0]) if parameters else 1)
        size = x.numel()
        if not size:
            return sums
        found, tensors = fitting(results, tensors)
        places = (ctypes.c_void_p * len(sums))(*[s.data_ptr() for s in sums])
        threads = 1 if size < 2 * self._grain else min(torch.get_num_threads(), size // self._grain)
        call = mapped(program, found, (tensors, self._variables), results, threads, (numbers, places))
        if (outcome := self._run(call)) != DONE:
            self.finish(outcome, call)
        return sums


@lru_cache(maxsize=64)
def _map_fields(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"{count}q").pack


def mapped(
    program: int,
    rows: RowLayout,
    inputs: tuple[tuple[Tensor, ...], int],
    results: tuple[Tensor, ...],
    threads: int,
    parameters: tuple[Any, Any] | None = None,
) -> bytes:
    """The fields of `symact_map` in library.cpp.

    Args:
        program: a handle.
        rows: how the results and the inputs lie.
        inputs: the tensors, and how many of them are variables; the others are gradients.
        results: the tensors that come out.
        threads: how many work.
        parameters: the table of their places and strides, and the places of their sums.
    """
    tensors, variables = inputs
    outs = len(results)
    table, sums = map(ctypes.addressof, parameters) if parameters is not None else (0, 0)
    numbers = [program, TYPES[tensors[0].dtype], tensors[0].numel(), rows.inner, threads]
    numbers += [len(tensors), variables, outs, table, sums]
    for t, strides in zip(tensors, rows.strides[outs:], strict=True):
        numbers += [t.data_ptr(), *strides]
    for t, strides in zip(results, rows.strides[:outs], strict=True):
        numbers += [t.data_ptr(), *strides]
    return _map_fields(len(numbers))(*numbers)


class PointwiseKernel:
    """A Program in the block interpreter all of whose inputs and outputs are whole tensors."""

    __slots__ = ("__weakref__", "_code", "_exact", "_grain", "_library", "_make_exact", "_outputs")

    def __init__(self, library: ctypes.CDLL, code: int, program: Program):
        self._library: Any = library
        self._code, self._outputs = code, len(program.outputs)
        self._grain = max(2048, int(_WORK / max(program.cost, 1.0)))
        self._exact: PointwiseKernel | None = None
        self._make_exact: Callable[[], PointwiseKernel] | None = None
        weakref.finalize(self, _release, library, code).atexit = False

    def mend(self, exact: Callable[[], PointwiseKernel], *windows: Window) -> None:
        """From now on, compute in float64 what `NativeKernel.mend` says, by the first inputs."""
        self._make_exact = exact
        for variable, window in enumerate(windows):
            self._library.symact_mend(self._code, variable, *window)

    def steps(self) -> str:
        """The steps of the program as the interpreter runs them, one a line."""
        return _steps(self._library, self._code)

    def supports(self, tensors: tuple[Tensor, ...]) -> bool:
        """Whether these can be given: dense CPU tensors of one known dtype and one shape."""
        dtype, shape = tensors[0].dtype, tensors[0].shape
        if dtype not in TYPES:
            return False
        for t in tensors:
            if type(t) not in _TENSORS or t.dtype is not dtype or t.shape != shape:
                return False
            if not t.is_cpu or t.layout is not _STRIDED or t.is_neg():
                return False
        return True

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """One tensor an output, in the dtype, shape and layout of the first input."""
        x, given = tensors[0], tensors
        if not all(map(_is_contiguous, tensors)):
            x = dense(x)
            given = (x, *[like(t, x) for t in tensors[1:]])
        results = tuple([_empty_like(x) for _ in range(self._outputs)])
        size, count = x.numel(), len(given)
        threads = 1 if size < 2 * self._grain else min(torch.get_num_threads(), size // self._grain)
        # What `mapped` writes where all lie in one piece.
        numbers = [self._code, TYPES[x.dtype], size, max(size, 1), threads, count, count, self._outputs, 0, 0]
        for t in (*given, *results):
            numbers += (t.data_ptr(), 0, 1)
        call = _map_fields(len(numbers))(*numbers)
        outcome = self._library.symact_map(call)
        if outcome == _NEEDS_EXACT and self._make_exact is not None:
            with _COMPLETING:
                if self._exact is None:
                    self._exact = self._make_exact()
                    self._library.symact_complete(self._code, self._exact._code)
            outcome = self._library.symact_map(call)
        if outcome != DONE:
            raise short_of_memory()
        return results


@lru_cache(maxsize=64)
def _tabulated(kernel: NativeKernel, program: int, kind: int) -> Any:
    """The values of a forward program by the bits of x, or the slopes of a backward program in float32.

    The last tables that were asked for are kept, of 128 or 256 kB each, and while they are, the kernel.
    """
    table = ((ctypes.c_uint16 if program == kernel.forward_code else ctypes.c_float) * _EVERY)()
    if not kernel._library.symact_tabulate(program, kind, table):
        raise short_of_memory()
    return table


def short_of_memory() -> MemoryError:
    """The error of a kernel that could not allocate its blocks."""
    return MemoryError("the block interpreter has no memory for its blocks")


def _plain(x: Tensor) -> bool:
    """Memory that can be read by address."""
    return x.is_cpu and x.layout is _STRIDED and not x.is_neg()


def _channels(x: Tensor) -> int:
    return x.shape[1] if x.dim() > 1 else x.shape[-1] if x.dim() else 1


def _inner(x: Tensor) -> int:
    """How many elements of one channel lie beside each other."""
    return math.prod(x.shape[2:]) if x.dim() > 2 and x.is_contiguous() else 1


def _table(x: Tensor, parameters: tuple[Tensor, ...], inner: int) -> tuple[list[Tensor], Any, list[Tensor]]:
    """Parameters in the interpreter's precision, their addresses and strides, and places for their sums."""
    working = torch.float64 if x.dtype == torch.float64 else torch.float32
    keep, numbers, sums = [], [], []
    for parameter in parameters:
        values = parameter.detach().to(working).contiguous()
        keep.append(values)
        numbers += [values.data_ptr(), values.numel(), inner]
        sums.append(torch.zeros(parameter.shape, dtype=torch.float64))
    return keep, (ctypes.c_int64 * len(numbers))(*numbers), sums
