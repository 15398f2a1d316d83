"""Instructions of the GPU that Triton's language has no word for, each with a twin that its interpreter can run.

A row says one function twice: `text` becomes one PTX instruction, and `twin`, in plain `tl` operations, takes its
place where kernels are interpreted. The twin is correctly rounded; by how much the instruction may differ from it is
`error`, as NVIDIA documents it (PTX ISA 8.8, section 9.7.3: 2 ulp for `ex2` and `div.full`, 1 ulp for `rcp`, and so
on; an ulp is at most 2**-23 of the result). Tests disturb the twins by that much.

`.ftz` instructions take subnormal numbers for 0, and so do their twins. They are one machine instruction each;
`ex2.approx.f32` and `sqrt.approx.f32` are four, `div.full.f32` is seven, `div.rn.f32` ten and a branch.
`tanh.approx.f32` is not here: its error of 2**-11 alone is an eighth of an ulp of bfloat16.
"""

from __future__ import annotations

from typing import NamedTuple


class Intrinsic(NamedTuple):
    """One instruction.

    Attributes:
        arguments: their names.
        instruction: what it is in PTX.
        text: for the compiler, in `tl`.
        twin: for the interpreter, in `tl`.
        error: the largest relative error, beside the correctly rounded result.
    """

    arguments: tuple[str, ...]
    instruction: str
    text: str
    twin: str
    error: float


def _unary(instruction: str, twin: str, error: float) -> Intrinsic:
    text = f'tl.inline_asm_elementwise("{instruction} $0, $1;", "=r,r", [x], dtype=tl.float32, is_pure=True, pack=1)'
    return Intrinsic(("x",), instruction, text, twin, error)


INTRINSICS: dict[str, Intrinsic] = {
    # a*b + c, rounded once. The twin is, too, but where the float64 lies halfway between two float32.
    "fused": Intrinsic(
        ("a", "b", "c"), "fma.rn.f32", "tl.fma(a, b, c)", "(a.to(tl.float64) * b + c).to(tl.float32)", 0.0
    ),
    "quotient": Intrinsic(("a", "b"), "div.full.f32", "tl.fdiv(a, b)", "a / b", 2.0**-22),
    "ex2": _unary("ex2.approx.ftz.f32", "without_subnormals(tl.exp2(x))", 2.0**-22),
    "ex2_full": _unary("ex2.approx.f32", "tl.exp2(x)", 2.0**-22),
    # Its error is absolute near 1; used only where x is not positive and finite.
    "lg2_full": _unary("lg2.approx.f32", "tl.log2(x)", 2.0**-22),
    "reciprocal": _unary("rcp.approx.ftz.f32", "without_subnormals(1.0 / without_subnormals(x))", 2.0**-23),
    "root": _unary("sqrt.approx.ftz.f32", "tl.sqrt(without_subnormals(x))", 2.0**-23),
    "root_full": _unary("sqrt.approx.f32", "tl.sqrt(x)", 2.0**-23),
    "inverse_root": _unary("rsqrt.approx.ftz.f32", "1.0 / tl.sqrt(without_subnormals(x))", 2.0**-22.9),
}


def text_of(name: str, row: Intrinsic, twins: bool) -> str:
    """An intrinsic as a Triton function, for the compiler or, with its twin, for the interpreter."""
    body = row.twin if twins else row.text
    return f"@triton.jit\ndef {name}({', '.join(row.arguments)}):\n    return {body}"
