"""What kernels call: the mathematics of a precision as text, of which `functions_for` gives what a kernel needs.

`blocks`, `math`, `math64`, `math32` and `math16` are source text, never imported: their functions are copied, so that a
kernel is one self-contained module. Polynomials are written out from `polynomials`, instructions of the GPU from
`intrinsics`.
"""

from __future__ import annotations

import ast
from functools import cache, lru_cache
from pathlib import Path

import torch

from symact.backends.triton.intrinsics import INTRINSICS, text_of
from symact.backends.triton.polynomials import POLYNOMIALS, Polynomial

# Of a precision the files whose functions it has; a later one replaces functions of an earlier.
FILES: dict[str, tuple[str, ...]] = {
    "double": ("blocks.py", "math.py", "math64.py"),
    "single": ("blocks.py", "math.py", "math32.py"),
    "half": ("blocks.py", "math.py", "math32.py", "math16.py"),
}
# In which precision tensors of a dtype are computed, and what Triton calls the dtype.
PRECISIONS: dict[torch.dtype, str] = {
    torch.float64: "double",
    torch.float32: "single",
    torch.bfloat16: "half",
    torch.float16: "half",
}
DTYPES: dict[torch.dtype, str] = {
    torch.float64: "fp64",
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
}


def working(precision: str) -> str:
    """The type that a precision is computed in."""
    return "tl.float64" if precision == "double" else "tl.float32"


def functions_for(text: str, precision: str, twins: bool) -> list[str]:
    """The functions that a text needs.

    Args:
        text: of a kernel.
        precision: a key of `FILES`.
        twins: whether it is for the interpreter, and takes twins for instructions of the GPU.
    """
    library = library_of(precision, twins)
    called = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    wanted, waiting = set[str](), [name for name in called if name in library]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting.extend(other for other in library[name][1] if other in library)
    return [library[name][0] for name in library if name in wanted]


@lru_cache(maxsize=8)
def library_of(precision: str, twins: bool) -> dict[str, tuple[str, frozenset[str]]]:
    """Of a precision, function name -> its text and the names that it uses."""
    texts = {f"polynomial_{name}": _polynomial(name, precision) for name in POLYNOMIALS if _row(name, precision)}
    texts |= {name: text_of(name, row, twins) for name, row in INTRINSICS.items() if precision != "double"}
    for file in FILES[precision]:
        texts |= _functions(file)
    return {name: (text, _names(text)) for name, text in texts.items()}


@cache
def _functions(file: str) -> dict[str, str]:
    text = Path(__file__).with_name(file).read_text(encoding="utf-8")
    lines = text.splitlines()
    return {
        node.name: "\n".join(lines[node.decorator_list[0].lineno - 1 : node.end_lineno])
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    }


def _names(text: str) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))


def _row(name: str, precision: str) -> Polynomial | None:
    return POLYNOMIALS[name].get(precision)


def _polynomial(name: str, precision: str) -> str:
    """One row of `POLYNOMIALS` as a Triton function: Horner's rule, or Clenshaw's for a Chebyshev series."""
    row = POLYNOMIALS[name][precision]
    lines = _clenshaw(row.coefficients) if row.chebyshev else _horner(row.coefficients)
    head = ["@triton.jit", f"def polynomial_{name}(x):", f'    """{row.meaning}."""']
    return "\n".join([*head, *(f"    {line}" for line in lines), "    return p"])


def _horner(coefficients: tuple[float, ...]) -> list[str]:
    *lower, second, highest = coefficients
    return [f"p = x * {highest!r} + {second!r}", *(f"p = p * x + {c!r}" for c in reversed(lower))]


def _clenshaw(coefficients: tuple[float, ...]) -> list[str]:
    constant, *others = coefficients
    highest, second, *rest = reversed(others)
    lines = ["double = x + x", f"a = double * {highest!r} + {second!r}", f"b = x * 0.0 + {highest!r}"]
    names = ["a", "b"]
    for coefficient in rest:
        names.reverse()
        lines.append(f"{names[0]} = (double * {names[1]} + {coefficient!r}) - {names[0]}")
    return [*lines, f"p = (x * {names[0]} + {constant!r}) - {names[1]}"]
