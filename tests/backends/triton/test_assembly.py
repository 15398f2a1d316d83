"""Kernels compiled to PTX without a GPU: what they compute with, how they read, and how many instructions they take."""

from __future__ import annotations

import math
import re

import mpmath
import pytest
import torch

from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse
from symact.program.builder import Builder
from symact.program.gradient import backward
from symact.program.loading import load_grammar, shipped
from symact.program.pipeline import lower, operator_program
from symact.program.program import Program

pytest.importorskip("triton", reason="triton is not installed: GPU kernels are NOT tested")
from symact.backends.torch_source import execute
from symact.backends.triton.assembly import assemble, assembled, instructions, per_element
from symact.backends.triton.intrinsics import INTRINSICS
from symact.backends.triton.kernel import loaded
from symact.backends.triton.launch import LaunchSetting
from symact.backends.triton.source import module

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

DOUBLE_PRECISION = re.compile(r"\S*\.f64\S*")
PARAMETERS = Vocabulary(parameters={"beta": Parameter("beta"), "alpha": Parameter("alpha")})
COMPOSITIONS = (
    "x*tanh(softplus(x))",
    "-x*sigmoid(x)*hard_sigmoid(x)",
    "selu(sinh(exp(atan(x))-1))",
    "swish(x)*i0e(x)*erfcx(x)",
    "x*log_ndtr(abs(x)**1.5)/sqrt(1+x**2)",
    "beta*logcosh(x)*ndtr(x) + alpha*i1e(x)**3",
)
# PTX instructions of sm_90 per element, forward and backward, as `assembly` counts them.
BUDGETS = {
    ("x*sigmoid(x)", torch.float32): (20, 30),
    ("gelu(x)", torch.float32): (35, 55),
    ("x*tanh(softplus(x))", torch.float32): (35, 55),
    ("x*sigmoid(x)", torch.bfloat16): (15, 25),
    ("x*sigmoid(x)", torch.float16): (15, 25),
    ("gelu(x)", torch.bfloat16): (25, 40),
    ("gelu(x)", torch.float16): (25, 40),
}
# What an instruction of PTX is in mathematics, by the first part of its name.
MATHEMATICS = {
    "ex2": lambda x: mpmath.power(2, x),
    "lg2": lambda x: mpmath.log(x, 2) if x > 0 else mpmath.nan if x < 0 else -mpmath.inf,
    "rcp": lambda x: 1 / x if x else mpmath.inf,
    "sqrt": lambda x: mpmath.sqrt(x) if x >= 0 else mpmath.nan,
    "rsqrt": lambda x: 1 / mpmath.sqrt(x) if x > 0 else mpmath.inf if x == 0 else mpmath.nan,
    "div": lambda a, b: a / b,
    "fma": lambda a, b, c: a * b + c,
}


@pytest.fixture(autouse=True)
def _compiled(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "0")


@pytest.mark.parametrize(("text", "dtype"), BUDGETS, ids=str)
def test_instructions_per_element_stay_within_their_budgets(text, dtype):
    forward = lower(parse(text))
    texts = assemble(forward, backward(forward), 90, dtype)
    for direction, limit in zip(("forward", "backward"), BUDGETS[text, dtype], strict=True):
        assert per_element(texts[direction], dtype) <= limit, direction
        assert instructions(texts[direction])["ld.global.v4.b32"] == (2 if direction == "forward" else 4)
        assert instructions(texts[direction])["st.global.v4.b32"] == 2
        assert not re.search(r"(ld|st)\.global\.b\d+", texts[direction]), "narrow loads or stores"


# The same of gates, whose backward pass gives both gradients.
GATE_BUDGETS = {
    ("x*sigmoid(x)*g", torch.float32): (22, 38),
    ("gelu(x)*g", torch.float32): (38, 60),
    ("swish(min(x,7))*(max(min(g,7),-7) + 1)", torch.float32): (27, 48),
    ("x*sigmoid(x)*g", torch.bfloat16): (18, 30),
    ("gelu(x)*g", torch.bfloat16): (29, 45),
}


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(("text", "dtype"), GATE_BUDGETS, ids=str)
def test_gates_stay_within_their_budgets(text, dtype, capability):
    forward = lower(parse(text))
    texts = assemble(forward, backward(forward), capability, dtype)
    for direction, limit in zip(("forward", "backward"), GATE_BUDGETS[text, dtype], strict=True):
        assert per_element(texts[direction], dtype) <= limit, (direction, per_element(texts[direction], dtype))
        counts = instructions(texts[direction])
        assert counts["ld.global.v4.b32"] == (2 if direction == "forward" else 3) * 2
        assert counts["st.global.v4.b32"] == (1 if direction == "forward" else 2) * 2
        assert not re.search(r"(ld|st)\.global\.b\d+", texts[direction]), "narrow loads or stores"


def test_the_count_is_that_of_a_kernel_counted_by_hand():
    ptx = """
    .visible .entry kernel(.param .u64 kernel_param_0)
    .reqntid 128
    {
    \t.reg .b32 \t%r<3>;
    $L__func_begin0:
    \t.loc\t1 108 0
    \tld.param.b64 \t%rd1, [kernel_param_0];
    \t// begin inline asm
    \tmov.u32 %r1, 0x0;
    \t@%p1 ld.global.v4.b32 { %r1, %r2 }, [ %rd1 + 0 ];
    \t// end inline asm
    \tfma.rn.f32 \t%r2, %r1, %r1, 0f3F800000;         // a comment
    \tret;
    }
    """
    assert instructions(ptx).total() == 5
    assert per_element(ptx, torch.float32) == 5 / 8


def test_of_a_ragged_tensor_only_the_last_block_looks_at_every_element():
    forward = lower(parse("x*sigmoid(x)"))
    ptx = assemble(forward, backward(forward), ragged=True)["forward"]
    counts = instructions(ptx)
    assert counts["ld.global.v4.b32"] == counts["st.global.v4.b32"] == 2
    assert counts["ld.global.b32"] == counts["st.global.b32"] == 8
    assert not re.search(r"^\s+(ld|st)\.global\.b32", ptx, re.M), "narrow loads that are not masked"


def one_instruction(name: str) -> str:
    """A kernel of one intrinsic."""
    arguments = INTRINSICS[name].arguments
    reads = "\n".join(f"    {a} = tl.load({a}_pointer + tl.arange(0, BLOCK))" for a in arguments)
    names = ", ".join(f"{a}_pointer" for a in arguments)
    return (
        f"@triton.jit\ndef one_kernel({names}, r_pointer, BLOCK: tl.constexpr):\n{reads}\n"
        f"    tl.store(r_pointer + tl.arange(0, BLOCK), {name}({', '.join(arguments)}))"
    )


@pytest.mark.parametrize("name", INTRINSICS)
def test_an_instruction_and_its_twin_are_one_function(name, monkeypatch):
    row = INTRINSICS[name]
    mathematics = MATHEMATICS[row.instruction.partition(".")[0]]
    kernel = execute(module([one_instruction(name)], "single", False), inspectable=True)["one_kernel"]
    counts = instructions(assembled(kernel, torch.float32, 90, block=128).asm["ptx"])
    # One for the one element of a thread, and nothing but that which computes.
    assert counts[row.instruction] == 1
    assert sum(number for instruction, number in counts.items() if instruction.endswith(".f32")) == 1
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    twin = loaded(module([one_instruction(name)], "single", True), True)["one_kernel"]
    edges = [0.0, 1e-39, -1e-39, 2.0**-126, 1.0, 3e38, -3e38, -2.5, -130.0, 127.9, math.inf, -math.inf, math.nan]
    generator = torch.Generator().manual_seed(0)
    columns = [
        torch.cat([torch.tensor(edges).roll(5 * place), torch.randn(51, generator=generator) * 8])
        for place in range(len(row.arguments))
    ]
    found = torch.empty(64)
    twin(LaunchSetting(1, (), (64,)), [*columns, found])
    for *arguments, result in zip(*columns, found, strict=True):
        given = [float(a) for a in arguments]
        if ".ftz" in row.instruction:
            given = [0.0 if abs(a) < 2.0**-126 else a for a in given]
        if any(map(math.isnan, given)):
            assert math.isnan(result)
        elif name in ("fused", "quotient") and not all(map(math.isfinite, given)):
            continue  # As IEEE says: these are operations of `tl`.
        elif name == "quotient" and given[1] == 0:
            continue
        else:
            with mpmath.workdps(40):
                exact = mathematics(*[mpmath.mpf(a) for a in given])
            # Reciprocals of 0 have the sign of the 0, which mpmath does not know.
            value = (
                abs(float(result)) if row.instruction.startswith(("rcp", "rsqrt")) and given == [0.0] else float(result)
            )
            close_to(value, exact, ".ftz" in row.instruction)


def close_to(found: float, exact: mpmath.mpf, flushed: bool) -> None:
    """Correctly rounded but for the last bit, and 0 where a subnormal result is flushed."""
    if mpmath.isnan(exact):
        assert math.isnan(found)
    elif abs(exact) > 3.4028235e38:
        assert math.isinf(found)
        assert (found > 0) == (exact > 0)
    elif flushed and abs(exact) < 2.0**-126:
        assert found == 0
    else:
        assert abs(found - exact) <= max(2.0**-23 * abs(exact), 2.0**-149)


def grammar_operators() -> list[Program]:
    """Every operator of every shipped grammar that is a formula, once; `atlas` has too many for one kernel."""
    found = {}
    for name in sorted({*shipped()} - {"atlas"}):
        for operator in load_grammar(name).operators.values():
            if operator.kind in ("unary", "binary"):
                program = operator_program(operator)
                found[program] = program
    return list(found)


def summed(programs: list[Program]) -> tuple[Program, Program]:
    """One Program that adds the results of all, and one that adds all their derivatives."""
    parameters = sorted({name for p in programs for name in p.inputs if name not in ("x", "a", "b")})
    position = {name: number for number, name in enumerate(["x", "b", *parameters, "grad"])} | {"a": 0}
    joined = []
    for derivative in (False, True):
        builder = Builder(("x", "b", *parameters, "grad")[: len(parameters) + 2 + derivative])
        totals = [builder.const(0.0)] * (len(parameters) + 2)
        for program in programs:
            step = backward(program) if derivative else program
            outputs = builder.inline(step, tuple(position[name] for name in step.inputs))
            for name, output in zip(program.inputs, outputs, strict=False):
                totals[position[name]] = builder.emit("add", totals[position[name]], output)
        joined.append(builder.build(*(totals if derivative else totals[:1])))
    # A forward Program has one output: operators of a first argument `a` or `x` all add to the first total.
    return joined[0], joined[1]


@pytest.mark.parametrize("capability", [80, 90])
def test_every_operator_of_every_grammar_compiles_to_ptx(capability):
    trigonometric = {"sin", "cos", "tan", "sinc", "sinc_grad"}
    programs = grammar_operators()
    assert len(programs) > 45
    plain = [p for p in programs if not trigonometric & {operation.name for operation in p.operations}]
    for text in assemble(*summed(plain), capability, block=128).values():
        assert f".target sm_{capability}" in text
        assert ".entry" in text
        assert not DOUBLE_PRECISION.findall(text), "a float32 kernel computes in float64"
    rest = [p for p in programs if p not in plain]
    for text in assemble(*summed(rest), capability, block=128).values():
        # The slow path of sin and cos, for |x| > 1e5, reduces its argument by one float64 product.
        assert set(DOUBLE_PRECISION.findall(text)) <= {"cvt.rn.f64.s64", "mul.f64", "cvt.rn.f32.f64"}


@pytest.mark.parametrize("capability", [80, 90])
def test_compositions_compile_to_ptx_without_float64(capability):
    for text in COMPOSITIONS:
        forward = lower(parse(text, PARAMETERS))
        for ptx in assemble(forward, backward(forward), capability, block=128).values():
            assert f".target sm_{capability}" in ptx
            assert not DOUBLE_PRECISION.findall(ptx), text


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_dtypes_and_parameters_per_channel_compile_to_ptx(dtype):
    forward = lower(parse("x*sigmoid(beta*x)", PARAMETERS))
    texts = assemble(forward, backward(forward), 80, dtype, channels=True, block=128)
    assert all(bool(DOUBLE_PRECISION.findall(text)) == (dtype == torch.float64) for text in texts.values())
