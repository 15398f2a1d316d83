"""Triton kernels: values and gradients in Triton's interpreter."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy
import pytest
import torch

from symact.backends import torch_source
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.builder import Builder
from symact.program.compensation import compensated
from symact.program.gradient import backward
from symact.program.instructions import INSTRUCTIONS
from symact.program.mpmath_values import MEANING
from symact.program.pipeline import lower
from symact.program.program import Operation, Program

pytest.importorskip("triton", reason="triton is not installed: GPU kernels are NOT tested")
from symact.backends.triton import kernel as triton_code
from symact.backends.triton import launch
from symact.backends.triton.values import TEMPLATES

# NumPy warns about infinities and NaN in the interpreter, which are what is tested.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

COMPOSITIONS = (
    "x*sigmoid(x)",
    "x*tanh(softplus(x))",
    "gelu(x)",
    "erfc(softplus(x))**2",
    "-x*sigmoid(x)*hard_sigmoid(x)",
    "asinh(elu(swish(x)))",
    "selu(sinh(exp(atan(x))-1))",
    "swish(x)*i0e(x)*erfcx(x)",
    "x*log_ndtr(abs(x)**1.5)/sqrt(1+x**2)",
    "beta*logcosh(x)*ndtr(x) + alpha*i1e(x)**3",
)
PARAMETERS = Vocabulary(parameters={"beta": Parameter("beta"), "alpha": Parameter("alpha")})

# What a function tends to; a row that is not here has no limit, or keeps the sign of the infinity.
LIMITS: dict[str, tuple[float, float]] = {
    "floor": (-math.inf, math.inf),
    **dict.fromkeys(("abs", "cosh", "logcosh", "hypot1"), (math.inf, math.inf)),
    **dict.fromkeys(("i0e", "i1e", "i1e_ratio", "i0e_minus_i1e"), (0.0, 0.0)),
    **dict.fromkeys(("sinh", "asinh"), (-math.inf, math.inf)),
    **dict.fromkeys(("sigmoid", "ndtr"), (0.0, 1.0)),
    **dict.fromkeys(("tanh", "erf", "sign"), (-1.0, 1.0)),
    **dict.fromkeys(("logsigmoid", "log_ndtr", "erfcx_grad"), (-math.inf, 0.0)),
    **dict.fromkeys(("sqrt", "log", "log1p"), (math.nan, math.inf)),
    **dict.fromkeys(("exp", "softplus"), (0.0, math.inf)),
    "neg": (math.inf, -math.inf),
    "expm1": (-1.0, math.inf),
    "erfc": (2.0, 0.0),
    "erfcx": (math.inf, 0.0),
    "atan": (-math.pi / 2, math.pi / 2),
}


# How far from mpmath: in the interpreter, and with every approximation of the GPU as wrong as it may be, which is 1e-6.
ULP, DISTURBED_ULP = 4.0, 8.4
FURTHER = {"log_ndtr": 9.2}


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")


def program_of(name: str) -> Program:
    """The Program that is one instruction of its inputs."""
    arity = INSTRUCTIONS[name].arity
    builder = Builder(("x", "b", "c")[: max(arity, 1)])
    return builder.build(builder.emit(name, *range(arity)))


def run(program: Program, x: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
    """The values of a Program whose further inputs are tensors of the shape of x, one parameter per column."""
    kernel = triton_code.TritonKernel(program, backward(program))
    return kernel.forward(x, others)


def unary_points(dtype: torch.dtype) -> torch.Tensor:
    size = numpy.concatenate(
        [[0.0], numpy.logspace(-30, 30, 31), numpy.linspace(0.05, 12, 60), [30, 80, 88.5, 95, 104]]
    )
    return torch.tensor(numpy.concatenate([-size[::-1], size]), dtype=dtype)


def error_in_ulp(value: float, exact: mpmath.mpf, dtype: torch.dtype) -> float:
    """Distance in units in the last place; infinite where one is not finite and the other is."""
    information = torch.finfo(dtype)
    if mpmath.isnan(exact) or abs(exact) > information.max * (1 + information.eps):
        right = math.isnan(value) if mpmath.isnan(exact) else value == math.copysign(math.inf, exact)
        return 0.0 if right else math.inf
    if math.isinf(value) and abs(exact) > information.max * (1 - 8 * information.eps):
        return 0.0
    if not math.isfinite(value):
        return math.inf
    return float(abs(mpmath.mpf(value) - exact) / (max(abs(exact), information.tiny) * information.eps))


def test_every_instruction_has_a_row_and_every_row_is_an_instruction():
    assert set(TEMPLATES) == set(INSTRUCTIONS) - {"const"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", [name for name, row in INSTRUCTIONS.items() if row.arity == 1])
def test_values_of_an_instruction_are_within_a_few_ulp_of_mpmath(name, dtype, disturbed):
    x = unary_points(dtype)
    if name in ("sinc_grad", "tan", "sin", "cos") and dtype == torch.float32:
        x = x[x.abs() < 1e5]
    with mpmath.workdps(60):
        exact = [MEANING[name](mpmath.mpf(point)) for point in x.tolist()]
    further = FURTHER.get(name, DISTURBED_ULP)
    for sign, limit in ((0, ULP if dtype == torch.float32 else 6.0), (1, further), (-1, further)):
        disturbed(sign)
        values = run(program_of(name), x).tolist()
        with mpmath.workdps(60):
            wanted = exact
            # Close to the zeros of sinc' the terms cancel; an absolute error of 1e-7 is what is left there.
            if name == "sinc_grad":
                near_zero = 1e-7 if dtype == torch.float32 else 1e-15
                wanted = [mpmath.mpf(v) if abs(v - e) < near_zero else e for v, e in zip(values, exact, strict=True)]
            errors = [error_in_ulp(v, e, dtype) for v, e in zip(values, wanted, strict=True)]
        worst = max(range(len(errors)), key=errors.__getitem__)
        assert errors[worst] <= limit, f"{name}({x[worst].item()!r}) = {values[worst]!r}, {errors[worst]:.1f} ulp off"
        if dtype == torch.float64:
            break  # No approximations there.


@pytest.mark.parametrize("text", ["sin(30*x)", "cos(1.7*x)", "sin(10*(abs(x) + 1)*x)", "sinc(10*x)"])
def test_angles_in_two_words_are_right_at_high_frequency(text):
    program = lower(parse(text))
    forms = compensated(program, False), compensated(backward(program), False)
    kernel = triton_code.TritonKernel(*forms)
    largest = 99.0 if "abs" in text else 3e3
    x = torch.linspace(-largest, largest, 1001)
    wide = x.double().requires_grad_()
    exact = torch_source.function(compensated(program, True))(wide.detach())
    slopes = torch_source.function(compensated(backward(program), True))(wide.detach(), torch.ones_like(wide))
    assert torch.allclose(kernel.forward(x, ()).double(), exact, rtol=1e-5, atol=1e-6)
    found = kernel.backward(torch.ones_like(x), x, ())[0].double()
    assert torch.allclose(found, slopes, rtol=1e-5, atol=1e-6 * float(slopes.abs().max()))


@pytest.mark.parametrize("name", [name for name, row in INSTRUCTIONS.items() if row.arity == 1])
def test_nan_stays_nan_and_infinities_give_the_limit(name):
    values = run(program_of(name), torch.tensor([math.nan, -math.inf, math.inf]))
    assert math.isnan(values[0])
    low, high = LIMITS.get(name, (math.nan, math.nan))
    torch.testing.assert_close(values[1:], torch.tensor([low, high]), equal_nan=True)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "min", "lt", "le", "eq"])
def test_instructions_of_two_arguments_are_those_of_ieee(name):
    numbers = [0.0, 1.0, -2.5, 3e38, 1e-40, math.inf, -math.inf, math.nan]
    a, b = (torch.tensor(column) for column in zip(*itertools.product(numbers, numbers), strict=True))
    value = run(program_of(name), a, b)
    plain = torch_source.function(program_of(name))(a, b).to(a.dtype)
    torch.testing.assert_close(value, plain, rtol=0, atol=0, equal_nan=True)


def test_where_reads_only_the_branch_that_is_taken():
    condition = torch.tensor([1.0, 0.0, 0.5, -0.0])
    a, b = torch.tensor([1.0, math.nan, 2.0, math.inf]), torch.tensor([math.nan, 5.0, math.inf, 7.0])
    assert run(program_of("where"), condition, a, b).tolist() == [1.0, 5.0, 2.0, 7.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_powers_are_within_a_few_ulp_of_mpmath_up_to_the_largest_results(dtype):
    generator = numpy.random.default_rng(0)
    size = 80.0 if dtype == torch.float32 else 650.0
    base = torch.tensor(numpy.exp(generator.uniform(-8, 8, 500)), dtype=dtype)
    exponent = torch.tensor(generator.uniform(-1, 1, 500), dtype=dtype) * size / base.log().abs().clamp(min=0.05)
    values = run(program_of("pow"), base, exponent).tolist()
    with mpmath.workdps(40):
        errors = [
            error_in_ulp(value, mpmath.power(mpmath.mpf(a), mpmath.mpf(b)), dtype)
            for value, a, b in zip(values, base.tolist(), exponent.tolist(), strict=True)
        ]
    assert max(errors) <= (4.0 if dtype == torch.float32 else 20.0)


def test_powers_of_special_numbers_are_those_of_c():
    numbers = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5, -0.5, -3.0, 1e30, -1e30, math.inf, -math.inf, math.nan]
    a, b = (torch.tensor(column) for column in zip(*itertools.product(numbers, numbers), strict=True))
    torch.testing.assert_close(run(program_of("pow"), a, b), torch.pow(a, b), rtol=1e-6, atol=0, equal_nan=True)


def gradients_agree(forward: Program, x: torch.Tensor, parameters: tuple[torch.Tensor, ...]) -> None:
    """Kernel values and gradients against the Programs run as plain torch operations in float64."""
    derivative = backward(forward)
    kernel = triton_code.TritonKernel(forward, derivative)
    assert kernel.supports(x, parameters)
    grad = torch.linspace(-1, 2, x.numel()).reshape(x.shape).to(x.dtype)
    view = [p.double().reshape(-1, *[1] * (x.dim() - 2)) if p.dim() and x.dim() > 2 else p.double() for p in parameters]
    value = torch_source.function(forward)(x.double(), *view)
    terms = torch_source.function(derivative)(x.double(), *view, grad.double())
    terms = terms if isinstance(terms, tuple) else (terms,)
    result = kernel.forward(x, parameters)
    found, *sums = kernel.backward(grad, x, parameters)
    rtol, atol = {torch.float64: (1e-10, 1e-12), torch.float32: (1e-5, 1e-6)}.get(x.dtype, (1.6e-2, 1e-2))
    assert result.stride() == x.stride()
    assert found.stride() == x.stride()
    assert result.dtype == found.dtype == x.dtype
    torch.testing.assert_close(result.double(), value.expand(x.shape), rtol=rtol, atol=atol, equal_nan=True)
    torch.testing.assert_close(found.double(), terms[0].expand(x.shape), rtol=rtol, atol=atol, equal_nan=True)
    for total, parameter, like, term in zip(sums, parameters, view, terms[1:], strict=True):
        assert total.shape == parameter.shape
        assert total.dtype == parameter.dtype
        exact = term.expand(x.shape).sum_to_size(like.shape).reshape(parameter.shape)
        torch.testing.assert_close(total.double(), exact, rtol=max(rtol, 1e-4), atol=max(atol, 1e-4))


@pytest.mark.parametrize("name", [name for name, row in INSTRUCTIONS.items() if row.arity == 1])
def test_gradient_of_every_instruction(name):
    low = {"log": 0.1, "sqrt": 0.1, "log1p": -0.9}.get(name, -6.0)
    gradients_agree(program_of(name), torch.linspace(low, 6.0, 100), ())


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "min", "pow"])
def test_gradient_of_two_arguments_in_x_and_a_parameter(name):
    gradients_agree(program_of(name), torch.linspace(0.1, 6.0, 101), (torch.tensor(1.7),))


@pytest.mark.parametrize("text", COMPOSITIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_values_and_gradients_of_compositions(text, dtype):
    forward = lower(parse(text, PARAMETERS))
    parameters = tuple(torch.tensor(0.7 + 0.4 * number) for number, _ in enumerate(forward.inputs[1:]))
    gradients_agree(forward, torch.linspace(-6, 6, 301).to(dtype), parameters)


SHAPES = [(), (7,), (0, 3), (600, 3), (5, 70), (2, 5, 9), (3, 5, 4, 4), (2, 3, 2, 2, 2)]
OTHERS = [(torch.float64, (3, 5, 4, 4)), (torch.float16, (600, 3)), (torch.float16, (3, 5, 4, 4))]


@pytest.mark.parametrize(("dtype", "shape"), [*((torch.float32, shape) for shape in SHAPES), *OTHERS], ids=str)
def test_parameters_per_layer_and_per_channel_on_every_shape(dtype, shape, monkeypatch):
    monkeypatch.setattr(launch, "block", lambda count, itemsize: 32)  # Many blocks, and ragged ones, of few elements.
    monkeypatch.setattr(launch, "TILE_COLUMNS", 4)
    forward = lower(parse("x*sigmoid(beta*x) + alpha*erfc(x)", PARAMETERS))
    working = torch.float64 if dtype == torch.float64 else torch.float32
    channels = shape[min(1, len(shape) - 1)] if shape else 0
    x = torch.linspace(-3, 3, math.prod(shape)).reshape(shape).to(dtype)
    single, several = torch.tensor(1.3, dtype=working), torch.linspace(0.5, 2, channels, dtype=working)
    choices = [(single, single)] if not shape else [(single, single), (several, single), (several, several)]
    for parameters in choices:
        gradients_agree(forward, x, parameters)
        if len(shape) == 4:
            gradients_agree(forward, x.contiguous(memory_format=torch.channels_last), parameters)


def test_offsets_beyond_32_bits_use_wide_integers(monkeypatch):
    monkeypatch.setattr(launch, "WIDE_FROM", 0)
    forward = lower(parse("x*sigmoid(beta*x)", PARAMETERS))
    for parameter in (torch.tensor(1.5), torch.linspace(1, 2, 5)):
        gradients_agree(forward, torch.linspace(-3, 3, 240).reshape(3, 5, 16), (parameter,))


def test_a_tensor_with_gaps_is_read_right():
    forward = lower(parse("tanh(x)", PARAMETERS))
    x = torch.linspace(-3, 3, 40).reshape(4, 10)[:, ::2].t()
    torch.testing.assert_close(run(forward, x), torch.tanh(x))


def test_sums_of_gradients_are_the_same_each_time():
    forward = lower(parse("beta*tanh(x)", PARAMETERS))
    kernel = triton_code.TritonKernel(forward, backward(forward))
    x, grad = torch.randn(5000), torch.randn(5000)
    sums = {kernel.backward(grad, x, (torch.tensor(1.0),))[1].item() for _ in range(3)}
    assert len(sums) == 1


def test_constants_outside_float32_and_unfolded_constants_are_written():
    builder = Builder(("x",))
    huge, tiny, nothing = builder.const(1e300), builder.const(1e-42), builder.const(math.nan)
    chosen = builder.emit("where", builder.emit("lt", huge, 0), nothing, builder.emit("mul", tiny, huge))
    program = builder.build(builder.emit("add", 0, chosen))
    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert run(program, x).tolist() == [1.0 + 1e-42 * 1e300, 2.0 + 1e-42 * 1e300]


def test_names_of_parameters_never_reach_the_text_as_they_are():
    program = Program(("x", "exp"), (Operation("exp", (1,)), Operation("mul", (0, 2))), (3,))
    torch.testing.assert_close(run(program, torch.ones(3), torch.tensor(0.5)), torch.full((3,), math.exp(0.5)))


def test_no_kernel_without_a_gpu_or_the_interpreter(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    forward = lower(parse("tanh(x)"))
    assert triton_code.kernel(forward, backward(forward)) is None


def test_tensors_that_a_kernel_cannot_take_are_refused():
    forward = lower(parse("beta*x", PARAMETERS))
    kernel = triton_code.TritonKernel(forward, backward(forward))
    one, x = torch.tensor(1.0), torch.ones(2, 3)
    assert kernel.supports(x, (one,))
    assert not kernel.supports(x.int(), (one,))
    assert not kernel.supports(x, (torch.ones(2),))
    assert not kernel.supports(x, ())
