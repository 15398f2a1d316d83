"""Program -> Triton source: one fused kernel forward and one backward, for CUDA tensors.

In: the forward and the backward Program of an expression. Out: `source`, the text of a self-contained
module; `kernel`, which runs it. Mathematics is `tl` operations alone (`math`), so Triton's
interpreter runs the same text on CPU tensors when `TRITON_INTERPRET=1`, and `assemble` makes PTX
where no GPU is. bfloat16 and float16 are computed in float32. Gradients of parameters are summed in
a fixed order: each program its part, then one `torch.sum`.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import os
from contextlib import nullcontext
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from symact.backends.torch_source import execute
from symact.backends.triton.polynomials import POLYNOMIALS, Polynomial
from symact.program.program import Program, verify

# One row per instruction: how it is written, over the texts of its arguments. Names that are not of
# `tl` are functions of `math`.
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

# Elements per program. A tile of several channels is used where channels are next to each other.
BLOCK = 1024
TILE_CHANNELS = 64

# From this many elements on, offsets are 64 bits wide.
WIDE_FROM = 2**31

_DTYPES = {torch.float32: "fp32", torch.float64: "fp64", torch.bfloat16: "bf16", torch.float16: "fp16"}


def kernel(forward: Program, backward: Program) -> TritonKernel | None:
    """The fused kernel of a Program, or None where Triton cannot run."""
    if not _available() or not (torch.cuda.is_available() or _interpreted()):
        return None
    return TritonKernel(forward, backward)


@cache
def _available() -> bool:
    return importlib.util.find_spec("triton") is not None


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET", "0") not in ("", "0")


class TritonKernel:
    """A fused forward and backward on the GPU; the source is made and compiled at the first call.

    Args:
        forward: inputs `x`, then parameters.
        backward: inputs of `forward`, then `grad`; one output per input of `forward`.
    """

    def __init__(self, forward: Program, backward: Program):
        self._programs = forward, backward
        self._names = forward.inputs[1:]

    def supports(self, x: Tensor, parameters: tuple[Tensor, ...]) -> bool:
        """Whether `x` is a CUDA tensor (or any, interpreted) of a dtype that kernels know, parameters beside it."""
        on_device = x.is_cuda or _interpreted()
        channels = x.shape[min(1, x.dim() - 1)] if x.dim() else -1
        return (
            on_device
            and x.dtype in _DTYPES
            and len(parameters) == len(self._names)
            and all(p.device == x.device and p.dtype in _DTYPES for p in parameters)
            and all(p.dim() == 0 or (p.dim() == 1 and p.shape[0] == channels) for p in parameters)
        )

    def forward(self, x: Tensor, parameters: tuple[Tensor, ...]) -> Tensor:
        """The values, in the dtype, shape and layout of `x`."""
        x, parameters, layout = _prepared(x, parameters)
        result = torch.empty_like(x)
        if x.numel():
            blocks = -(-x.numel() // BLOCK)
            launch = _loaded(*self._programs, _interpreted())["forward_kernel"][(blocks,)]
            with _device(x):
                launch(x, result, *_with_strides(parameters), *layout.sizes, **layout.settings, BLOCK=BLOCK)
        return result

    def backward(self, grad: Tensor, x: Tensor, parameters: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The gradient of `x`, then of each parameter, summed to its shape."""
        shapes = [(p.shape, p.dtype) for p in parameters]
        x, parameters, layout = _prepared(x, parameters)
        grad = grad.to(x.dtype).contiguous(memory_format=layout.memory_format)
        result = torch.empty_like(x)
        rows, columns, row_blocks, column_blocks = layout.tiles()
        width = layout.channels if layout.channelwise else 1
        working = torch.float64 if x.dtype == torch.float64 else torch.float32
        parts = [torch.empty(row_blocks, width, dtype=working, device=x.device) for _ in parameters]
        if x.numel():
            launch = _loaded(*self._programs, _interpreted())["backward_kernel"][(row_blocks * column_blocks,)]
            with _device(x):
                launch(
                    x, grad, result, *_with_strides(parameters), *parts, *layout.sizes, **layout.settings,
                    ROWS=rows, COLUMNS=columns,
                )  # fmt: skip
        sums = (part.sum(0) if shape else part.sum() for part, (shape, _) in zip(parts, shapes, strict=True))
        return result, *(s.reshape(shape).to(dtype) for s, (shape, dtype) in zip(sums, shapes, strict=True))


class _Layout:
    """How elements lie in memory: `outer` x `channels` x `inner`; one channel where no parameter has several."""

    def __init__(self, x: Tensor, parameters: tuple[Tensor, ...]):
        self.count = x.numel()
        self.memory_format = torch.contiguous_format
        if not x.is_contiguous():
            self.memory_format = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
        self.channelwise = any(p.dim() for p in parameters)
        self.channels = max((p.shape[0] for p in parameters if p.dim()), default=1)
        adjacent = x.dim() <= 2 or not x.is_contiguous()
        self.inner = 1 if adjacent or not self.channelwise else math.prod(x.shape[2:])
        wide = self.count + BLOCK * max(self.channels, 1) >= WIDE_FROM
        self.sizes = self.count, self.inner, self.channels
        self.settings = {
            "COMPUTE": x.dtype == torch.float64,
            "CHANNELWISE": self.channelwise,
            "ADJACENT": self.inner == 1,
            "WIDE": wide,
        }

    def tiles(self) -> tuple[int, int, int, int]:
        """Rows and columns of a tile of the backward kernel, and how many blocks of each there are."""
        if not self.channelwise or not self.count:
            return BLOCK, 1, -(-self.count // BLOCK), 1
        columns = min(TILE_CHANNELS, 1 << (self.channels - 1).bit_length()) if self.inner == 1 else 1
        rows = BLOCK // columns
        return rows, columns, -(-(self.count // self.channels) // rows), -(-self.channels // columns)


def _prepared(x: Tensor, parameters: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...], _Layout]:
    dense = (
        x.is_contiguous()
        or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last))
        or (x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d))
    )
    x = x if dense else x.contiguous()
    parameters = tuple(p.contiguous() for p in parameters)
    return x, parameters, _Layout(x, parameters)


def _with_strides(parameters: tuple[Tensor, ...]) -> list[Tensor | int]:
    return [item for p in parameters for item in (p, int(p.dim() > 0))]


def _device(x: Tensor) -> Any:
    """The launch goes to the current stream of the tensor's device, whatever device is current."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


@lru_cache(maxsize=4096)
def _loaded(forward: Program, backward: Program, interpreted: bool) -> dict[str, Any]:
    """The kernels of a Program. `interpreted` is part of the key: Triton decides by it at definition."""
    return execute(source(forward, backward), inspectable=True)


def source(forward: Program, backward: Program) -> str:
    """The text of a module with `forward_kernel` and `backward_kernel`, all that they call included."""
    names = [f"p{number}_{name}" if name.isascii() else f"p{number}" for number, name in enumerate(forward.inputs[1:])]
    values = [
        _values("forward_values", forward, ["x", *names]),
        _values("backward_values", backward, ["x", *names, "grad"]),
    ]
    kernels = [_forward_kernel(names), _backward_kernel(names)]
    header = '"""Generated by symact: fused kernels of one activation, forward and backward."""\n\n'
    header += "import triton\nimport triton.language as tl"
    return "\n\n\n".join([header, *_functions("\n".join([*values, *kernels])), *values, *kernels]) + "\n"


def _values(name: str, program: Program, inputs: list[str]) -> str:
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


@cache
def _library() -> dict[str, tuple[str, frozenset[str]]]:
    """Function name -> its text and the names that it uses, in the order of `math`."""
    text = Path(__file__).with_name("math.py").read_text(encoding="utf-8")
    library = {f"polynomial_{name}": (_polynomial(name, row), frozenset[str]()) for name, row in POLYNOMIALS.items()}
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            start = node.decorator_list[0].lineno - 1
            called = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
            library[node.name] = "\n".join(lines[start : node.end_lineno]), called
    return library


def _functions(text: str) -> list[str]:
    """The library functions that a text needs, each after those that it calls."""
    library = _library()
    called = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    wanted, waiting = set[str](), [name for name in called if name in library]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting.extend(other for other in library[name][1] if other in library)
    return [library[name][0] for name in library if name in wanted]


def _polynomial(name: str, row: Polynomial) -> str:
    """One row of `POLYNOMIALS` as a Triton function: Horner's rule, or Clenshaw's for a Chebyshev series."""
    write = _clenshaw if row.chebyshev else _horner
    return "\n".join(
        [
            "@triton.jit",
            f"def polynomial_{name}(x):",
            f'    """{row.meaning}."""',
            "    if x.dtype == tl.float64:",
            *(f"        {line}" for line in write(row.float64)),
            "    else:",
            *(f"        {line}" for line in write(row.float32)),
            "    return p",
        ]
    )


def _horner(coefficients: tuple[float, ...]) -> list[str]:
    *lower, second, highest = coefficients
    return [f"p = x * {highest!r} + {second!r}", *(f"p = p * x + {c!r}" for c in reversed(lower))]


def _clenshaw(coefficients: tuple[float, ...]) -> list[str]:
    constant, *others = coefficients
    highest, second, *rest = reversed(others)
    lines = [f"double = x + x\na = double * {highest!r} + {second!r}", f"b = x * 0.0 + {highest!r}"]
    names = ["a", "b"]
    for coefficient in rest:
        names.reverse()
        lines.append(f"{names[0]} = (double * {names[1]} + {coefficient!r}) - {names[0]}")
    lines.append(f"p = (x * {names[0]} + {constant!r}) - {names[1]}")
    return "\n".join(lines).splitlines()


def _indented(lines: list[str], depth: int = 1) -> list[str]:
    return ["    " * depth + line for line in lines]


def _signature(name: str, pointers: list[str], names: list[str], partial: list[str], settings: list[str]) -> list[str]:
    arguments = [*pointers, *(text for n in names for text in (f"{n}_pointer", f"{n}_stride")), *partial]
    arguments += ["count", "inner", "channels"]
    arguments += [f"{s}: tl.constexpr" for s in ("COMPUTE", "CHANNELWISE", "ADJACENT", "WIDE", *settings)]
    return ["@triton.jit", f"def {name}(", *(f"    {argument}," for argument in arguments), "):"]


_WORKING = "dtype: tl.constexpr = tl.float64 if COMPUTE else tl.float32"


def _forward_kernel(names: list[str]) -> str:
    load_channel = [
        f"{n} = tl.load({n}_pointer + channel * {n}_stride, mask=inside, other=1.0).to(dtype)" for n in names
    ]
    load_whole = [f"{n} = tl.full([BLOCK], 1.0, dtype) * tl.load({n}_pointer).to(dtype)" for n in names]
    parameters = []
    if names:
        parameters = ["if CHANNELWISE:", "    channel = (offset // inner) % channels", *_indented(load_channel)]
        parameters += ["else:", *_indented(load_whole)]
    lines = [
        _WORKING,
        "program = tl.program_id(0)",
        "if WIDE:",
        "    program = program.to(tl.int64)",
        "offset = program * BLOCK + tl.arange(0, BLOCK)",
        "inside = offset < count",
        "x = tl.load(x_pointer + offset, mask=inside, other=0.0).to(dtype)",
        *parameters,
        f"tl.store(result_pointer + offset, forward_values({', '.join(['x', *names])}), mask=inside)",
    ]
    signature = _signature("forward_kernel", ["x_pointer", "result_pointer"], names, [], ["BLOCK"])
    return "\n".join([*signature, *_indented(lines)])


def _backward_kernel(names: list[str]) -> str:
    """Tiles of rows x channels, so that a channel's sum stays inside a column."""
    load = []
    for n in names:
        load.append(f"{n} = tl.load({n}_pointer + column * {n}_stride, mask=column < channels, other=1.0).to(dtype)")
        load.append(f"{n} = tl.broadcast_to({n}[None, :], (ROWS, COLUMNS))")
    sums = []
    for n in names:
        sums.append(f"{n}_sum = tl.reduce(tl.where(inside, d_{n}, 0.0), 0, added)")
        sums.append(f"tl.store({n}_part + row_block * channels + column, {n}_sum, mask=column < channels)")
    outputs = ", ".join(["d_x", *(f"d_{n}" for n in names)])
    lines = [
        _WORKING,
        "column_blocks = (channels + COLUMNS - 1) // COLUMNS",
        "program = tl.program_id(0)",
        "if WIDE:",
        "    program = program.to(tl.int64)",
        "row_block = program // column_blocks",
        "row = row_block * ROWS + tl.arange(0, ROWS)",
        "column = (program % column_blocks) * COLUMNS + tl.arange(0, COLUMNS)",
        "inside = (row < count // channels)[:, None] & (column < channels)[None, :]",
        "if ADJACENT:",
        "    offset = (row * channels)[:, None] + column[None, :]",
        "else:",
        "    offset = (row // inner * channels * inner + row % inner)[:, None] + (column * inner)[None, :]",
        "x = tl.load(x_pointer + offset, mask=inside, other=0.0).to(dtype)",
        "grad = tl.load(grad_pointer + offset, mask=inside, other=0.0).to(dtype)",
        *load,
        f"{outputs} = backward_values({', '.join(['x', *names, 'grad'])})",
        "tl.store(result_pointer + offset, d_x, mask=inside)",
        *sums,
    ]
    pointers = ["x_pointer", "grad_pointer", "result_pointer"]
    signature = _signature("backward_kernel", pointers, names, [f"{n}_part" for n in names], ["ROWS", "COLUMNS"])
    return "\n".join([*signature, *_indented(lines)])


def assemble(
    forward: Program,
    backward: Program,
    capability: int = 80,
    dtype: torch.dtype = torch.float32,
    channelwise: bool = False,
    block: int = BLOCK,
) -> dict[str, str]:
    """PTX of both kernels, compiled ahead of time with no GPU; Triton keeps its own cache by source hash.

    Args:
        forward: the forward Program.
        backward: its derivative.
        capability: 80 for sm_80, 90 for sm_90.
        dtype: of the tensors.
        channelwise: as for parameters of shape `(C,)`.
        block: elements per program.

    Returns:
        `"forward"` and `"backward"` -> PTX text.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    loaded = _loaded(forward, backward, False)
    working = "*fp64" if dtype == torch.float64 else "*fp32"
    texts = {}
    for direction in ("forward", "backward"):
        function = loaded[f"{direction}_kernel"]
        settings: dict[str, int] = {
            "COMPUTE": dtype == torch.float64,
            "CHANNELWISE": channelwise,
            "ADJACENT": not channelwise,
        }
        settings |= {"WIDE": False, "BLOCK": block, "ROWS": block, "COLUMNS": 1}
        constants = {name: value for name, value in settings.items() if name in function.arg_names}
        signature = {}
        for name in function.arg_names:
            if name in constants:
                signature[name] = "constexpr"
            elif name.endswith("_part") or (name.startswith("p") and name.endswith("_pointer")):
                signature[name] = working
            else:
                signature[name] = f"*{_DTYPES[dtype]}" if name.endswith("_pointer") else "i32"
        unit = ASTSource(fn=function, signature=signature, constexprs=constants)
        texts[direction] = triton.compile(unit, target=GPUTarget("cuda", capability, 32)).asm["ptx"]
    return texts
