"""The C++ block interpreter: every operation against float64 and mpmath, layouts, dtypes, threads, and its building."""

from __future__ import annotations

import math
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from functools import lru_cache
from pathlib import Path

import mpmath
import numpy
import pytest
import torch

from symact.backends import torch_source
from symact.backends.cpu import kernel as cpu_kernel
from symact.backends.cpu import library as cpu_library
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.builder import Builder
from symact.program.gradient import backward
from symact.program.instructions import INSTRUCTIONS
from symact.program.mpmath_values import MEANING
from symact.program.pipeline import lower
from symact.program.program import Program

LIBRARY = cpu_library.load()
pytestmark = [
    pytest.mark.skipif(LIBRARY is None, reason="no C++ compiler here"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

# Largest error in units in the last place of the float32 result; 2.5 where nothing is said.
ULPS = {
    "tan": 4.0,
    "i0e": 4.5,
    "i1e": 4.0,
    "i1e_ratio": 5.0,
    "erfc": 4.5,
    "erfcx": 4.0,
    "ndtr": 5.5,
    "log_ndtr": 5.5,
    "erfcx_grad": 7.0,
    "i0e_minus_i1e": 6.0,
}
# Operations that are computed as float64 of the same method in both paths have no independent check but mpmath.
UNARY = [name for name, row in INSTRUCTIONS.items() if row.arity == 1]
TWO_WORDS = ("product_rest", "sum_rest", "sin_sum", "cos_sum")
BINARY = [name for name, row in INSTRUCTIONS.items() if row.arity == 2 and name not in TWO_WORDS]
ISAS = ("portable", "avx2", "avx512")


@pytest.fixture(params=ISAS)
def isa(request):
    """Each instruction set that this processor has, chosen for one test."""
    if LIBRARY.symact_select(request.param.encode()) is None:
        pytest.skip(f"no {request.param} here")
    yield request.param
    LIBRARY.symact_select(b"")


def alone(name: str) -> Program:
    """A Program of one operation, whose arguments are all x."""
    one = Builder(("x",))
    return one.build(one.emit(name, *[0] * INSTRUCTIONS[name].arity))


def single(name: str) -> cpu_kernel.NativeKernel:
    """A kernel of one operation; a second argument comes as the gradient."""
    arity = INSTRUCTIONS[name].arity
    forward = alone(name)
    two = Builder(("x", "grad"))
    kernel = cpu_kernel.kernel(
        forward, two.build(two.emit(name, *range(arity)) if arity < 3 else two.emit(name, 0, 1, 0))
    )
    assert kernel is not None, f"{name} is not in the C++ library"
    return kernel


def grid() -> numpy.ndarray:
    wide = numpy.concatenate([sign * numpy.logspace(-38, 38, 4001) for sign in (1, -1)])
    near = numpy.concatenate([sign * numpy.logspace(-3, 3, 8001) for sign in (1, -1)])
    tiny = numpy.array([1.4e-45, 1e-44, 1e-40, 1.17e-38, 1e-30, 1e30, 3.4e38])
    return numpy.concatenate([numpy.linspace(-20, 20, 20001), wide, near, tiny, -tiny, [0.0, -0.0]]).astype(
        numpy.float32
    )


def ulps(value: torch.Tensor, exact: numpy.ndarray) -> numpy.ndarray:
    """Errors in units in the last place; infinite where NaN or an infinity is wrong."""
    y = value.numpy()
    with numpy.errstate(all="ignore"):
        rounded = exact.astype(numpy.float32)
        spacing = numpy.maximum(numpy.spacing(numpy.abs(rounded)), 1.4e-45).astype(numpy.float64)
        spacing[~numpy.isfinite(spacing)] = 2.0**104
        error = numpy.abs(y.astype(numpy.float64) - exact) / spacing
    error[(y == rounded) | (numpy.isnan(y) & numpy.isnan(exact))] = 0.0
    error[numpy.isnan(error)] = numpy.inf
    return error


@pytest.mark.parametrize("name", UNARY)
def test_every_unary_operation_is_within_its_ulps(name, isa):
    kernel = single(name)
    x = torch.from_numpy(grid())
    error = ulps(kernel.forward(x), kernel.forward(x.double()).numpy())
    if name == "sinc_grad":  # It has roots, where the error is that of its parts.
        error = error * 0 + (kernel.forward(x) - kernel.forward(x.double())).abs().numpy() / 2.0**-23
    worst = int(error.argmax())
    assert error[worst] <= ULPS.get(name, 2.5), f"{name}({x[worst]:.9g}): {error[worst]:.2f} ulp"


def double_points() -> list[float]:
    """Special numbers, both sides of where the functions of float64 take another way, overflows, roots of sines."""
    switches = [0.34657359, math.tan(math.pi / 8), 0.70710678, 1.0, 2.0, math.tan(3 * math.pi / 8), 8.0, 10.0, 20.0]
    switches += [26.5, 37.5, 38.5, 40.0, 708.4, 709.78, 710.47, 745.13, 1e6, 1e10, 4503599627370496.0, 2.0**53]
    sizes = [0.0, 5e-324, 1e-310, 1e-300, 1e-30, 1e-8, 0.03, 0.3, 2.5, 4.7, 7.9, 90.0, 600.0, 1e4, 1e8, 1e15]
    sizes += [size * side for size in switches for side in (1.0 - 1e-9, 1.0, 1.0 + 1e-9)]
    sizes += [k * math.pi / 2 for k in (1, 2, 3, 4, 7, 100, 44444, 300001, 636000, 700001)]
    random = numpy.random.default_rng(5)
    sizes += [*(10.0 ** random.uniform(-12, 7, 60)).tolist(), *random.uniform(0, 12, 60).tolist()]
    return [*sizes, *[-size for size in sizes]]


@lru_cache(maxsize=1)
def of_mpmath(name: str) -> list[mpmath.mpf]:
    with mpmath.mp.workprec(250):
        return [MEANING[name](mpmath.mpf(point)) for point in double_points()]


# All but these in units in the last place of float64; near roots of `sinc_grad` its parts count.
DOUBLE_ULPS = {"erfcx_grad": 7.0}
ISAS_OF = [(name, isa) for name in UNARY for isa in ISAS]


@pytest.mark.parametrize(("name", "isa"), ISAS_OF, indirect=["isa"])
def test_every_unary_operation_in_float64_is_within_its_ulps(name, isa):
    points = double_points()
    values = single(name).forward(torch.tensor(points, dtype=torch.float64)).tolist()
    with mpmath.mp.workprec(250):
        for point, value, exact in zip(points, values, of_mpmath(name), strict=True):
            if mpmath.isnan(exact):
                assert math.isnan(value), point
            elif abs(exact) > sys.float_info.max:
                assert value == math.copysign(math.inf, exact), point
            else:
                allowed = DOUBLE_ULPS.get(name, 3.0) * math.ulp(float(exact)) + (1e-15 if name == "sinc_grad" else 0.0)
                assert abs(value - exact) <= allowed, f"{name}({point!r}) = {value!r}, not {mpmath.nstr(exact, 17)}"


@pytest.mark.parametrize("name", UNARY)
def test_the_sign_of_zero_in_float64_is_that_of_plain_torch(name, isa):
    plainly = torch_source.function(alone(name))
    x = torch.tensor([0.0, -0.0, 0.0, -0.0], dtype=torch.float64)
    # That of `torch.special.i1e`, which is odd, is lost.
    wanted = x if name == "i1e" else plainly(x)
    if (wanted == 0).all():
        assert torch.equal(single(name).forward(x).signbit(), wanted.signbit())


@pytest.mark.parametrize("name", BINARY)
def test_every_binary_operation_in_float64_is_that_of_plain_torch(name, isa):
    special = [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, 1e-310, 1e300, -1e300, 2.0**53 - 1, math.inf, -math.inf, math.nan]
    pairs = torch.cartesian_prod(*[torch.tensor(special, dtype=torch.float64)] * 2)
    random = torch.randn(500, 2, generator=torch.manual_seed(0), dtype=torch.float64)
    a, b = torch.cat([pairs, random, random.abs()]).T.contiguous()
    two = Builder(("x", "grad"))
    plainly = torch_source.function(two.build(two.emit(name, 0, 1)))
    torch.testing.assert_close(single(name).backward(b, a)[0], plainly(a, b), rtol=4e-16, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", UNARY)
def test_infinities_and_nan_are_those_of_float64(name, isa):
    kernel = single(name)
    x = torch.tensor([math.inf, -math.inf, math.nan] * 11)
    torch.testing.assert_close(kernel.forward(x), kernel.forward(x.double()).float(), equal_nan=True, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", TWO_WORDS)
def test_rests_are_exact_and_sums_of_angles_are_right(name, isa):
    generator = torch.Generator().manual_seed(3)
    a = torch.randn(4099, generator=generator) * 10.0 ** torch.randint(-3, 5, (4099,), generator=generator)
    b = torch.randn(4099, generator=generator) * 10.0 ** torch.randint(-3, 5, (4099,), generator=generator)
    if name in ("sin_sum", "cos_sum"):
        b = a.abs() * 2.0**-24 * torch.rand(4099, generator=generator)
    found = single(name).backward(b, a)[0].double()
    x, y = a.double(), b.double()
    wanted = {
        "product_rest": x * y - (a * b).double(),
        "sum_rest": x + y - (a + b).double(),
        "sin_sum": torch.sin(x + y),
        "cos_sum": torch.cos(x + y),
    }[name]
    assert torch.allclose(found, wanted, rtol=1e-6, atol=2e-7 if name.endswith("_sum") else 0.0)


@pytest.mark.parametrize("name", BINARY)
def test_every_binary_operation_matches_float64_on_special_and_random_pairs(name, isa):
    kernel = single(name)
    special = [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, 1e-40, 1e-30, 1e30, -1e30, 16777215.0, 1e9, math.inf, -math.inf]
    pairs = torch.cartesian_prod(torch.tensor([*special, math.nan]), torch.tensor([*special, math.nan]))
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(20000, 2, generator=generator) * torch.tensor([5.0, 3.0])
    positive = random.abs() + 1e-3
    a, b = torch.cat([pairs, random, positive]).T.contiguous()
    ours, exact = kernel.backward(b, a)[0], kernel.backward(b.double(), a.double())[0]
    if name in ("lt", "le", "eq", "max", "min"):
        assert torch.equal(ours.nan_to_num(7.0), exact.float().nan_to_num(7.0))
    else:
        assert ulps(ours, exact.numpy()).max() <= 2.5


def test_pow_is_the_real_power():
    a = torch.tensor([-2.0, -2.0, -2.0, 0.0, 0.0, -0.0, -1.0, 4.0])
    b = torch.tensor([3.0, 2.0, 0.5, 0.0, -1.0, 3.0, 16777217.0, 0.5])
    expected = torch.tensor([-8.0, 4.0, math.nan, 1.0, math.inf, -0.0, 1.0, 2.0])
    torch.testing.assert_close(single("pow").backward(b, a)[0], expected, equal_nan=True, rtol=0, atol=0)


def test_where_takes_one_branch_and_not_the_nan_of_the_other(isa):
    builder = Builder(("x", "grad"))
    zero = builder.const(0.0)
    chosen = builder.emit("where", builder.emit("lt", zero, 0), 0, builder.emit("log", 0))
    plain = builder.emit("where", 0, 1, builder.emit("sqrt", 1))
    program = builder.build(builder.emit("add", chosen, plain))
    kernel = cpu_kernel.kernel(program, program)
    x, g = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([-1.0, 3.0, 4.0])
    result = kernel.backward(g, x)[0]
    assert result[0] == 1.0
    assert result[1].isnan()
    assert result[2] == -math.inf


def kernel_of(text: str, vocabulary: Vocabulary | None = None) -> tuple[cpu_kernel.NativeKernel, Program]:
    program = lower(parse(text, vocabulary))
    kernel = cpu_kernel.kernel(program, backward(program))
    assert kernel is not None
    return kernel, program


def plain(program: Program, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Plain torch operations in float64."""
    outputs = torch_source.function(program)(*[t.double() for t in inputs])
    return outputs if isinstance(outputs, tuple) else (outputs,)


FUNCTIONS = (
    "x*sigmoid(x)",
    "mish(x)",
    "gelu(x)",
    "elu(x)",
    "selu(x)",
    "softplus(x)",
    "logsigmoid(x)",
    "tanh(x)",
    "erf(x)*cos(x)",
    "erfc(softplus(x))**2",
    "-x*sigmoid(x)*hard_sigmoid(x)",
    "hardswish(x) - hardsigmoid(-x)",
    "asinh(elu(swish(x)))",
    "selu(sinh(exp(atan(x))-1))",
    "swish(x)*erfc(i0e(x))",
    "x*erfc(elu(x))",
    "sin(x)*cos(x) + tan(tanh(x))",
    "sinh(x)/cosh(x)*exp(-x**2)",
    "mish(gelu(x)) - swish(mish(x))*elu(-x)",
    "abs(x)**1.5 - max(x, 0.3*x)*i1e(x)",
    "gelu(x)*ndtr(x) + sigmoid(x)*sigmoid(-x) + logsigmoid(x)*x",
    "where(x > 1, log(x), x**3 - 1)*sinc(x)",
)


@pytest.mark.parametrize("text", FUNCTIONS)
def test_values_and_gradients_are_those_of_plain_torch_in_float64(text, isa):
    kernel, program = kernel_of(text)
    generator = torch.Generator().manual_seed(1)
    x, g = torch.randn(4099, generator=generator) * 3, torch.randn(4099, generator=generator)
    (value,), (slope,) = plain(program, x), plain(backward(program), x, g)
    torch.testing.assert_close(kernel.forward(x).double(), value, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(kernel.backward(g, x)[0].double(), slope, rtol=2e-5, atol=2e-6)
    torch.testing.assert_close(kernel.forward(x.double()), value, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(kernel.backward(g.double(), x.double())[0], slope, rtol=1e-11, atol=1e-12)


def test_the_derivatives_of_common_activations_are_single_steps():
    for text, step in (("x*sigmoid(x)", "silu"), ("mish(x)", "mish"), ("gelu(x)", "gelu"), ("elu(x)", "elu")):
        forward, back = kernel_of(text)[0].steps()
        assert [line.split()[0] for line in forward.splitlines()] == [step]
        assert [line.split()[0] for line in back.splitlines()] == [f"times_{step}_slope"]


def test_the_gradient_is_multiplied_once_and_last():
    for text, steps in (
        ("-x*sigmoid(x)*hard_sigmoid(x)", ["clip_line_pair", "silu_pair", "where_inside_times", "chain3"]),
        ("x*erfc(elu(x))", ["elu_pair", "erfc_pair", "chain3", "chain3"]),
    ):
        back = [line.split() for line in kernel_of(text)[0].steps()[1].splitlines()]
        assert [line[0] for line in back] == steps
        assert [line[2:].count("1") for line in back] == [0, 0, 0, 1]


@pytest.mark.parametrize("text", ["hardswish(x)", "x*hard_sigmoid(x) + tanh(x)", "max(x, 0)*hardsigmoid(x) - elu(x)"])
def test_gradients_at_infinities_are_finite_where_those_of_plain_torch_are(text, isa):
    kernel, program = kernel_of(text)
    x = torch.tensor([math.inf, -math.inf, 3e38, -3e38, 0.0, -0.0])
    g = torch.ones_like(x)
    plainly = torch_source.function(backward(program))(x, g)
    fused = kernel.backward(g, x)[0]
    assert fused[plainly.isfinite()].isfinite().all()


def random_program(generator: numpy.random.Generator) -> Program:
    builder = Builder(("x", "grad"))
    numbers, constants = [0, 1], [builder.const(0.7), builder.const(-1.3)]
    bounded = ["tanh", "sigmoid", "atan", "erf", "sin", "cos", "ndtr", "i0e", "neg", "abs", "sech", "add", "sub", "mul"]
    for _ in range(int(generator.integers(3, 40))):
        name = bounded[generator.integers(len(bounded))]
        second = [*numbers, *constants]
        pick = [numbers[generator.integers(len(numbers))], second[generator.integers(len(second))]]
        if name == "sech":
            numbers.append(builder.emit("div", builder.const(1.0), builder.emit("cosh", builder.emit("tanh", pick[0]))))
        elif INSTRUCTIONS[name].arity == 2 and name == "mul":
            numbers.append(builder.emit("mul", builder.emit("tanh", pick[0]), pick[1]))
        else:
            numbers.append(builder.emit(name, *pick[: INSTRUCTIONS[name].arity]))
    return builder.build(numbers[-1])


def test_random_programs_agree_with_plain_torch(isa):
    generator = numpy.random.default_rng(7)
    x, g = torch.randn(1000, generator=torch.manual_seed(2)), torch.randn(1000, generator=torch.manual_seed(3))
    for _ in range(60):
        program = random_program(generator)
        kernel = cpu_kernel.kernel(program, program)
        expected = torch.broadcast_to(plain(program, x, g)[0], x.shape)
        torch.testing.assert_close(kernel.backward(g, x)[0].double(), expected, rtol=3e-4, atol=3e-5, msg=str(program))


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("high", [0.75, 4.0], ids=["most", "few"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_a_mended_kernel_computes_in_float64_what_lies_outside_and_nothing_else(dtype, high, zero, isa):
    """Another function stands for float64, so that one sees which was taken; of most elements of a block, or of few."""
    kernel, exact = kernel_of("2*x")[0], kernel_of("3*x + 1/8")[0]
    kernel.mend(lambda: exact, (0.25, high, zero))
    assert kernel.mended
    generator = torch.Generator().manual_seed(4)
    for size in (1, 15, 16, 700, 5000):
        x = (torch.randn(size, generator=generator) * 3).to(dtype)
        x[:: max(size // 7, 2)] = 0.0
        special = torch.tensor([math.inf, -math.inf, 0.25, -4.0, 4.25, -0.125], dtype=dtype)
        x[: min(size, 6)] = special[: min(size, 6)]
        g = torch.randn(size, generator=generator).to(dtype)
        outside = (x.abs() < 0.25) | (x.abs() > high)
        if zero:
            outside &= x != 0
        outside &= dtype is not torch.float64
        wide, slope = x.double(), g.double()
        expected = torch.where(outside, 3 * wide + 0.125, 2 * wide)
        torch.testing.assert_close(kernel.forward(x), expected.to(dtype), rtol=1e-6, atol=0)
        torch.testing.assert_close(kernel.backward(g, x)[0], torch.where(outside, 3 * slope, 2 * slope).to(dtype))
    assert kernel.forward(torch.tensor([math.nan], dtype=dtype)).isnan().all()


@pytest.mark.parametrize("high", [0.75, 4.0], ids=["most", "few"])
@pytest.mark.parametrize("channels", [0, 12])
def test_parameters_of_a_mended_kernel_and_their_gradients_are_those_of_each_element(channels, high, isa):
    def with_parameter(number: float) -> Program:
        builder = Builder(("x", "p"))
        return builder.build(builder.emit("mul", builder.emit("mul", 0, 1), builder.const(number)))

    kernel, exact = [cpu_kernel.kernel(p, backward(p)) for p in map(with_parameter, (2.0, 3.0))]
    kernel.mend(lambda: exact, (0.25, high, True))
    generator = torch.Generator().manual_seed(6)
    for shape in ((50, 12), (3, 12, 37), (700, 12)):
        x, g = torch.randn(*shape, generator=generator) * 3, torch.randn(*shape, generator=generator)
        p = torch.randn(12, generator=generator) if channels else torch.tensor(0.7)
        wide = p.reshape(12, *[1] * (len(shape) - 2)) if channels else p
        factor = torch.where(((x.abs() < 0.25) & (x != 0)) | (x.abs() > high), 3.0, 2.0)
        torch.testing.assert_close(kernel.forward(x, (p,)), factor * x * wide)
        slope, of_parameter = kernel.backward(g, x, (p,))
        torch.testing.assert_close(slope, factor * g * wide)
        terms = factor.double() * g * x
        sums = terms.transpose(0, 1).reshape(12, -1).sum(1) if channels else terms.sum()
        torch.testing.assert_close(of_parameter.double(), sums, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17, 31, 33, 511, 512, 513, 1025, 5003])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_every_size_and_dtype_touches_its_own_elements_only(size, dtype, isa):
    kernel, program = kernel_of("x*sigmoid(x) - 0.5")
    room = torch.full((size + 64,), 7.0, dtype=dtype)
    x = torch.randn(size + 3).to(dtype)[3:]
    result = kernel.forward(x)
    expected = plain(program, x)[0].to(dtype)
    torch.testing.assert_close(result, expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-6)
    buffers = x.data_ptr(), 0, room[32:].data_ptr()
    assert LIBRARY.symact_call(cpu_kernel.fields(kernel.forward_code, cpu_kernel.TYPES[dtype], size, 1, *buffers, 0, 0))
    assert torch.equal(room[32 : 32 + size], result)
    assert bool((room[:32] == 7).all())
    assert bool((room[32 + size :] == 7).all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_conversions_round_to_nearest_even_with_subnormals_and_nan(dtype, isa):
    every = torch.arange(-32768, 32768, dtype=torch.int32).to(torch.int16).view(dtype)
    builder = Builder(("x",))
    program = builder.build(builder.emit("mul", 0, builder.const(1.0)))
    kernel = cpu_kernel.kernel(program, program)
    result = kernel.forward(every)
    assert torch.equal(result.nan_to_num(3.0), every.nan_to_num(3.0))
    assert torch.equal(result.isnan(), every.isnan())
    third = Builder(("x",))
    scaled = third.build(third.emit("mul", 0, third.const(1.0 / 3.0)))
    kernel = cpu_kernel.kernel(scaled, scaled)
    expected = (every.float() * torch.tensor(1.0 / 3.0)).to(dtype)
    assert torch.equal(kernel.forward(every).nan_to_num(3.0), expected.nan_to_num(3.0))


VOCABULARY = Vocabulary(parameters={"beta": Parameter("beta"), "alpha": Parameter("alpha")})


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(6, 5), (3, 5, 7), (2, 5, 4, 9), (2, 5, 3, 4, 2), (4, 5, 40, 33)])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_parameters_per_layer_and_per_channel_in_every_layout(shape, last, per_channel, threads, set_threads):
    if last and len(shape) not in (4, 5):
        pytest.skip("channels_last is for 4 and 5 dimensions")
    kernel, program = kernel_of("x*sigmoid(beta*x) + alpha*x**2", VOCABULARY)
    x, g = torch.randn(shape), torch.randn(shape)
    if last:
        layout = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
        x, g = x.contiguous(memory_format=layout), g.contiguous(memory_format=layout)
    names = program.inputs[1:]
    values = tuple(torch.randn(5 if per_channel else ()) for _ in names)
    broadcast = [v.view(-1, *[1] * (len(shape) - 2)) if per_channel else v for v in values]
    set_threads(threads)
    assert kernel.supports(x, values)
    y = kernel.forward(x, values)
    gradients = kernel.backward(g, x, values)
    assert y.stride() == x.stride()
    assert gradients[0].stride() == x.stride()
    torch.testing.assert_close(y.double(), plain(program, x, *broadcast)[0], rtol=1e-5, atol=1e-6)
    terms = plain(backward(program), x, *broadcast, g)
    torch.testing.assert_close(gradients[0].double(), terms[0], rtol=1e-5, atol=1e-5)
    for gradient, term, value in zip(gradients[1:], terms[1:], broadcast, strict=True):
        expected = torch.broadcast_to(term, x.shape).sum_to_size(value.shape).reshape(gradient.shape)
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-5, atol=1e-4)


def test_parameter_gradients_do_not_lose_what_float32_sums_would():
    kernel, _ = kernel_of("alpha*x", VOCABULARY)
    x = torch.full((3_000_000,), 0.1)
    gradient = kernel.backward(torch.ones_like(x), x, (torch.tensor(1.0),))[1]
    assert float(gradient) == pytest.approx(3_000_000 * float(torch.tensor(0.1)), rel=1e-7)


def test_a_gradient_in_another_layout_is_laid_out_like_x():
    kernel, program = kernel_of("x*sigmoid(x)")
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    for g in (torch.randn(2, 3, 4, 5), torch.ones(1).expand(2, 3, 4, 5), torch.randn(2, 3, 5, 4).transpose(2, 3)):
        torch.testing.assert_close(kernel.backward(g, x)[0].double(), plain(backward(program), x, g)[0])


def test_what_the_library_cannot_read_is_not_supported():
    kernel, _ = kernel_of("alpha*x", VOCABULARY)
    scalar = (torch.tensor(1.0),)
    assert kernel.supports(torch.ones(3), scalar)
    refused = (torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.complex64), torch.ones(3, device="meta"))
    for x in (*refused, torch.ones(3).to_sparse(), torch.ones(3, dtype=torch.bool)):
        assert not kernel.supports(x, scalar)
    assert not kernel.supports(torch.ones(2, 3), (torch.ones(2),))
    assert not kernel.supports(torch.ones(2, 3), (torch.ones(3, device="meta"),))
    with pytest.raises(KeyError):
        kernel.forward(torch.ones(3, dtype=torch.int64), scalar)


def test_transposed_and_sliced_tensors_are_made_contiguous():
    kernel, program = kernel_of("gelu(x)")
    for x in (torch.randn(30, 20).T, torch.randn(50)[::2], torch.randn(3, 4, 5)[:, 1]):
        torch.testing.assert_close(kernel.forward(x).double(), plain(program, x)[0], rtol=1e-5, atol=1e-6)
        assert kernel.forward(x).shape == x.shape


def test_threads_change_nothing_and_may_be_called_from_several_python_threads(set_threads):
    kernel, _ = kernel_of("x*erfc(elu(x))")
    x = torch.randn(1_000_003)
    set_threads(1)
    expected = kernel.forward(x)
    set_threads(4)
    results: list[torch.Tensor] = []
    workers = [threading.Thread(target=lambda: results.append(kernel.forward(x))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(results) == 4
    assert all(torch.equal(result, expected) for result in results)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_the_threads_are_those_that_torch_has(set_threads):
    kernel, _ = kernel_of("x*erfc(elu(x))")
    x = torch.randn(2_000_000)
    set_threads(2)
    torch.tanh(x)
    threads = set(os.listdir("/proc/self/task"))
    kernel.forward(x)
    assert set(os.listdir("/proc/self/task")) <= threads


def _in_child(queue, kernel, x) -> None:
    # Only our own threads: those of torch's OpenMP do not survive a fork.
    queue.put([kernel.forward(x)[i].item() for i in (0, 250_000, -1)])


def test_a_forked_child_runs_threads_of_its_own(set_threads):
    kernel, _ = kernel_of("x*sigmoid(x)")
    x = torch.ones(500_000)
    set_threads(2)
    kernel.forward(x)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue, kernel, x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    try:
        assert queue.get(timeout=60) == [pytest.approx(1 / (1 + math.exp(-1)), rel=1e-6)] * 3
    finally:
        child.join(10)
        child.kill()


def test_programs_are_encoded_in_a_moment_and_freed():
    programs = [(p := lower(parse(f"x*erfc(elu({i}.5*x))*sigmoid(x)"))) and (p, backward(p)) for i in range(50)]
    start = time.thread_time()
    kernels = [cpu_kernel.kernel(*pair) for pair in programs]
    assert time.thread_time() - start < 5.0
    assert all(kernels)
    del kernels


LOAD = "import symact.backends.cpu.library as n; l = n.load(); print(None if l is None else n.build())"


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SYMACT") and k != "CXX"}
    return subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **environment}, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_several_processes_that_start_at_once_share_one_library(tmp_path):
    cache = tmp_path / "fresh"
    inherited = {**os.environ, "SYMACT_CACHE": str(cache)}
    command = [sys.executable, "-c", LOAD]
    running = [subprocess.Popen(command, env=inherited, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = {process.communicate(timeout=300)[0].strip() for process in running}
    assert len(outputs) == 1
    assert Path(outputs.pop()).parent == cache
    assert len(list(cache.glob("*.so"))) == 1
    assert not list(cache.glob("build-*"))


def test_without_a_compiler_one_warning_and_plain_torch(tmp_path):
    code = (
        "import warnings; warnings.simplefilter('always')\n"
        "import torch, symact\n"
        "f = symact.compile('x*sigmoid(x)'); g = symact.compile('tanh(x)')\n"
        "print(float(f(torch.tensor([1.0]))), float(g(torch.tensor([0.0]))))"
    )
    result = run_python(code, SYMACT_CACHE=str(tmp_path), CXX="no-such-compiler")
    assert result.stdout.startswith("0.731058"), result.stderr
    assert result.stderr.count("plain torch operations on CPU") == 1
    assert "no-such-compiler" in result.stderr


def test_an_instruction_set_is_forced_by_the_environment():
    code = "import symact.backends.cpu.library as n; print(n.isa())"
    assert run_python(code, SYMACT_ISA="portable").stdout.strip() == "portable"


@pytest.mark.slow
def test_the_wheel_carries_the_sources_and_builds_from_them(tmp_path):
    root = Path(__file__).parents[3]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    wheels, target = tmp_path / "wheels", tmp_path / "site"
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "symact", "grammars"):
        if (root / name).exists():
            subprocess.run(["cp", "-r", str(root / name), str(source)], check=True)
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "-w", str(wheels), str(source)]
    subprocess.run(build, check=True, timeout=300, capture_output=True)
    wheel = next(wheels.glob("symact-*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True, timeout=300)
    environment = {"SYMACT_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(target)}
    code = f"import os; os.chdir({str(tmp_path)!r}); {LOAD}; print(n.__file__)"
    result = run_python(code, **environment)
    assert str(tmp_path / "cache") in result.stdout, result.stderr
    assert str(target) in result.stdout


@pytest.mark.parametrize("text", ["max(min(x,7),-7) + 1", "1.5 + max(min(x,0.25),-0.5)", "max(min(x,0.1),-7) + 1"])
def test_a_clip_and_a_shift_are_one_step_where_that_rounds_alike(text):
    program = lower(parse(text))
    kernel = cpu_kernel.kernel(program, backward(program))
    assert len(kernel.steps()[0].splitlines()) == (2 if "0.1" in text else 1)
    x = torch.cat([torch.linspace(-9, 9, 4001), torch.tensor([math.inf, -math.inf, 0.0, -0.0, 1e-30, 7.0, 6.9999995])])
    assert torch.equal(kernel.forward(x), torch_source.function(program)(x))
    assert kernel.forward(torch.tensor([math.nan])).isnan()
