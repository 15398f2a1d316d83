"""Large tensors of 16 bits an element take values and slopes from tables, and nothing tells them from others."""

from __future__ import annotations

import math
import threading

import pytest
import torch
from torch import Tensor

from symact.activation.module import compile as compile_expression
from symact.backends.cpu import kernel as cpu_kernel
from symact.backends.cpu import library as cpu_library
from symact.expr.tree import parse
from symact.program.compensation import compensated
from symact.program.gradient import backward
from symact.program.pipeline import lower

LIBRARY = cpu_library.load()
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="no C++ compiler here")
HALVES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
PRODUCTS = ["x*sigmoid(x)", "x*tanh(softplus(x))", "gelu(x)", "elu(x)", "softplus(x)", "tanh(x)", "sinc(10*x)"]
# Backward programs that multiply the gradient early, or choose between it and 0.
OTHERS = ["relu(x)", "-x*sigmoid(x)*hard_sigmoid(x)", "log(x)/x"]
GRADIENTS = [1.0, -0.5, 3.14, 0.0, math.inf, math.nan, 1e-7, 6e4]


@pytest.fixture(params=["portable", "avx2", "avx512"])
def isa(request):
    if LIBRARY.symact_select(request.param.encode()) is None:
        pytest.skip(f"no {request.param} here")
    yield request.param
    LIBRARY.symact_select(b"")


@pytest.fixture
def always(monkeypatch):
    """Tables for cheap functions too."""
    monkeypatch.setattr(cpu_kernel, "_COSTLY", (0.0, 0.0))


def fresh(text: str) -> cpu_kernel.NativeKernel:
    """A kernel that no other test has."""
    program = lower(parse(text))
    kernel = cpu_kernel.kernel(compensated(program, False), compensated(backward(program), False))
    assert kernel is not None
    return kernel


def every(dtype: torch.dtype) -> Tensor:
    """All numbers of 16 bits in an order of no meaning, and some again, so that the last block is incomplete."""
    order = torch.randperm(65536, generator=torch.Generator().manual_seed(0))
    return (torch.cat([order, order[:37]]) - 32768).to(torch.int16).view(dtype)


def tables() -> int:
    """Tables made so far."""
    return cpu_kernel._tabulated.cache_info().misses


def assert_same(found: Tensor, expected: Tensor) -> None:
    """The same bits, but for those that a NaN may choose."""
    assert torch.equal(found.isnan(), expected.isnan())
    bits = [t.contiguous().view(torch.int16).masked_fill(t.isnan(), 0) for t in (found, expected)]
    assert torch.equal(*bits)


def in_pieces(run, *tensors: Tensor) -> Tensor:
    """What pieces that are too small for a table give."""
    return torch.cat([run(*parts) for parts in zip(*[t.split(20000) for t in tensors], strict=True)])


@HALVES
@pytest.mark.parametrize("text", PRODUCTS + OTHERS)
def test_every_number_and_gradient_gives_the_bits_of_the_interpreter(text, dtype, isa, always):
    kernel, x = fresh(text), every(dtype)
    before = tables()
    values = in_pieces(kernel.forward, x)
    for _ in range(2):
        assert_same(kernel.forward(x), values)
    kernel.backward(x, x)
    # All of them where the processor is quickest; elsewhere each element has one of them.
    mixed = torch.tensor(GRADIENTS)[torch.randint(len(GRADIENTS), x.shape)]
    for g in (torch.randn(x.shape), mixed, *[torch.full(x.shape, g) for g in GRADIENTS if isa == "avx512"]):
        g = g.to(dtype)
        slopes = in_pieces(lambda g, x: kernel.backward(g, x)[0], g, x)
        assert_same(kernel.backward(g, x)[0], slopes)
    assert tables() - before == (2 if text in PRODUCTS else 1)


@HALVES
@pytest.mark.parametrize("size", [65536, 65537, 65536 + 511, 65536 + 513, 100001])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_size_and_number_of_threads(size, threads, dtype, set_threads):
    kernel = fresh("gelu(x)")
    x, g = torch.randn(size).to(dtype), torch.randn(size).to(dtype)
    set_threads(threads)
    first = kernel.forward(x), kernel.backward(g, x)[0]
    second = kernel.forward(x), kernel.backward(g, x)[0]
    assert_same(second[0], first[0])
    assert_same(second[1], first[1])


def test_a_table_writes_its_own_elements_only():
    kernel, room = fresh("gelu(x)"), torch.full((70064,), 7.0, dtype=torch.bfloat16)
    x = torch.randn(70003).to(torch.bfloat16)[3:]
    for program, kind, grad in ((kernel.forward_code, 2, 0), (kernel.backward_code, 2, x.data_ptr())):
        table = cpu_kernel._tabulated(kernel, program, kind)
        place = cpu_kernel.ctypes.addressof(table)
        LIBRARY.symact_look_up(
            cpu_kernel._lookup_fields(place, kind, 70000, 2, x.data_ptr(), grad, room[32:].data_ptr())
        )
        assert bool((room[:32] == 7).all())
        assert bool((room[70032:] == 7).all())
        assert not bool((room[32:70032] == 7).all())


@HALVES
@pytest.mark.parametrize("layout", ["channels last", "transposed", "sliced", "expanded gradient"])
def test_any_layout_of_input_and_gradient(layout, dtype):
    function = compile_expression("gelu(x)")
    x, g = torch.randn(2, 8, 64, 100).to(dtype), torch.randn(2, 8, 64, 100).to(dtype)
    if layout == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    elif layout == "transposed":
        x, g = x.transpose(2, 3), g.transpose(2, 3)
    elif layout == "sliced":
        x, g = x[..., 2:99], g[..., 2:99]
    else:
        g = torch.full((), 3.14, dtype=dtype).expand(x.shape)
    x.requires_grad_()
    before = tables()
    results = [(y := function(x), torch.autograd.grad(y, x, g)[0]) for _ in range(3)]
    assert results[2][0].stride() == results[0][0].stride()
    for again in results[1:]:
        assert_same(again[0], results[0][0])
        assert_same(again[1], results[0][1])
    assert tables() - before in (0, 2)  # None, where another test has made them.
    flat = x.detach().flatten().contiguous()
    assert_same(results[2][0].flatten(), in_pieces(function, flat))


def test_second_derivatives_do_not_come_from_tables():
    function = compile_expression("gelu(x)")
    x, g = torch.randn(70000).to(torch.bfloat16), torch.randn(70000).to(torch.bfloat16)

    def second(x: Tensor, g: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(function(x), x, g, create_graph=True)
        return torch.autograd.grad(slope.sum(), x)[0]

    for _ in range(3):
        function(x.requires_grad_()).backward(g)
    found = second(x.detach(), g)
    assert_same(found, in_pieces(second, x.detach(), g))
    exact = x.detach().double()
    density = torch.exp(-exact * exact / 2) / math.sqrt(2 * math.pi)
    torch.testing.assert_close(found.double(), g.double() * density * (2 - exact * exact), rtol=0.02, atol=0.01)


def test_only_the_second_large_tensor_of_16_bits_makes_a_table():
    kernel, before = fresh("gelu(x)"), tables()
    for dtype, size in ((torch.float32, 70000), (torch.float64, 70000), (torch.bfloat16, 65535)):
        for _ in range(3):
            x = torch.randn(size).to(dtype)
            kernel.backward(x, kernel.forward(x))
    assert tables() == before
    x = torch.randn(65536).to(torch.bfloat16)
    kernel.forward(x)
    assert tables() == before
    kernel.forward(x)
    assert tables() == before + 1
    cheap = fresh("relu(x)")
    for _ in range(3):
        cheap.forward(x)
    assert tables() == before + 1


def test_tables_are_few_and_made_again_when_forgotten(always):
    x = torch.randn(65536).to(torch.bfloat16)
    kernels = [fresh(f"x*sigmoid(x) + {k}") for k in range(70)]
    for _ in range(2):
        for kernel in kernels:
            kernel.forward(x)
    info = cpu_kernel._tabulated.cache_info()
    assert info.currsize == info.maxsize == 64
    assert_same(kernels[0].forward(x), in_pieces(kernels[0].forward, x))


def test_threads_may_ask_for_a_table_at_once():
    kernel, x = fresh("gelu(x)"), every(torch.bfloat16)
    expected, wrong = in_pieces(kernel.forward, x), []

    def work() -> None:
        for _ in range(20):
            y = kernel.forward(x)
            if not torch.equal(y.nan_to_num(3.0), expected.nan_to_num(3.0)):
                wrong.append(y)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong
