"""Program -> a Triton function of blocks, one line per operation."""

from __future__ import annotations

import math

from symact.program.program import Program, verify

# One row per instruction: how it is written, over the texts of its arguments. Names that are not of
# `tl` are functions of `library`.
TEMPLATES: dict[str, str] = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "quotient({}, {})",
    "neg": "-{}",
    "abs": "tl.abs({})",
    "sign": "sign({})",
    "floor": "tl.floor({})",
    "max": "maximum({}, {})",
    "min": "minimum({}, {})",
    "lt": "({} < {}).to(x.dtype)",
    "le": "({} <= {}).to(x.dtype)",
    "eq": "({} == {}).to(x.dtype)",
    "where": "tl.where({} != 0.0, {}, {})",
    "sqrt": "square_root({})",
    "pow": "power({}, {})",
    "sin": "tl.sin({})",
    "cos": "tl.cos({})",
    **{name: f"{name}({{}}, {{}})" for name in ("product_rest", "sum_rest", "sin_sum", "cos_sum")},
    **{
        name: f"{name}({{}})"
        for name in (
            *("exp", "expm1", "log", "log1p", "tan", "sinh", "cosh", "tanh", "asinh", "atan", "sigmoid"),
            *("logsigmoid", "softplus", "erf", "erfc", "erfcx", "ndtr", "log_ndtr", "logcosh", "hypot1"),
            *("i0e", "i1e", "sinc", "sinc_grad", "erfcx_grad", "i1e_ratio", "i0e_minus_i1e"),
        )
    },
}

# Where a number may stand as a literal, since it takes the type of the tensor beside it.
_LITERALS = ("add", "sub", "mul", "lt", "le", "eq")


def values_of(name: str, program: Program, inputs: list[str]) -> str:
    """A Program as a Triton function of blocks."""
    verify(program)
    names, literals = list(inputs), [""] * len(inputs)
    lines = []
    used_whole = {
        argument
        for operation in program.operations
        for position, argument in enumerate(operation.arguments)
        if not _literal_at(operation.name, position)
    } | set(program.outputs)
    for operation in program.operations:
        number = len(names)
        names.append(f"v{number}")
        literals.append("")
        if operation.name == "const":
            literals[-1] = _literal(operation.value)
            if number in used_whole or not literals[-1]:
                lines.append(f"v{number} = tl.full(x.shape, {_number(operation.value)}, x.dtype)")
            continue
        texts = [literals[a] if _literal_at(operation.name, p) else "" for p, a in enumerate(operation.arguments)]
        if texts and all(texts):
            first = operation.arguments[0]
            lines.append(f"v{first} = tl.full(x.shape, {texts[0]}, x.dtype)")
            texts[0] = ""
        texts = [text or names[a] for text, a in zip(texts, operation.arguments, strict=True)]
        lines.append(f"v{number} = {TEMPLATES[operation.name].format(*texts)}")
    lines.append("return " + ", ".join(names[output] for output in program.outputs))
    return "\n".join(["@triton.jit", f"def {name}({', '.join(inputs)}):", *(f"    {line}" for line in lines)])


def _literal_at(operation: str, position: int) -> bool:
    return operation in _LITERALS or (operation == "where" and position > 0)


def _literal(value: float) -> str:
    """A number as a literal, or "" where Triton would not give it the type of the tensor beside it."""
    fits = value == 0.0 or 2.0**-126 <= abs(value) <= 3.4e38
    return repr(value) if fits else ""


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'
