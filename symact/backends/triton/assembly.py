"""Kernels compiled ahead of time, with no GPU: PTX, and how many instructions of it an element takes.

Kernels are compiled as for nearly all tensors: pointers to multiples of 16 bytes, a multiple of a block of elements.
Every PTX instruction counts as one: addresses, loads, stores and `mov` as well, and in `instructions` those in branches
that are not taken, too. Their number divided by the elements that one thread takes is what an element takes.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from typing import Any

import torch

from symact.backends.torch_source import execute
from symact.backends.triton import launch
from symact.backends.triton.library import DTYPES, PRECISIONS
from symact.backends.triton.source import elementwise, module, source
from symact.program.program import Program

# The size of a large tensor.
_MANY = 2**24
# A line of PTX: a label, or perhaps a predicate, the instruction, its operands.
_LABEL = re.compile(r"^(\$L__BB\w+):")
_INSTRUCTION = re.compile(r"^\s+(@!?%p\d+\s+)?([a-z][A-Za-z0-9_.]*)(\s[^\n]*)?;\s*(?://.*)?$")
# What a special-function unit computes, by the first parts of its name; a quotient takes one reciprocal.
_SPECIAL = ("ex2.", "lg2.", "rcp.", "rsqrt.", "sqrt.", "sin.", "cos.", "tanh.", "div.full.f32", "div.rn.f32")
# How many machine instructions `ptxas` makes of one of PTX, where more than one (runs/kernel_ptx).
_MACHINE = {"ex2.approx.f32": 4, "sqrt.approx.f32": 4, "div.full.f32": 7, "div.rn.f32": 10}


def assemble(
    forward: Program,
    backward: Program,
    capability: int = 90,
    dtype: torch.dtype = torch.float32,
    channels: bool = False,
    ragged: bool = False,
    block: int | None = None,
) -> dict[str, str]:
    """PTX of the kernels of a function.

    Args:
        forward: the forward Program.
        backward: its derivative.
        capability: 80 for sm_80, 90 for sm_90.
        dtype: of the tensors.
        channels: as for parameters of shape `(C,)`.
        ragged: as for a number of elements that is no multiple of a block.
        block: elements of one; by default as many as of a large tensor.

    Returns:
        `"forward"` and `"backward"` -> PTX text.
    """
    names = execute(source(forward, backward, PRECISIONS[dtype]), inspectable=True)
    kernel = "channels_kernel" if channels else "kernel"
    return {
        direction: assembled(names[f"{direction}_{kernel}"], dtype, capability, ragged, block).asm["ptx"]
        for direction in ("forward", "backward")
    }


def assemble_pointwise(
    program: Program, capability: int = 90, dtype: torch.dtype = torch.float32, block: int | None = None
) -> str:
    """PTX of the kernel of a Program over tensors of one shape."""
    precision = PRECISIONS[dtype]
    names = execute(module(elementwise("pointwise", program, precision), precision, False), inspectable=True)
    text: str = assembled(names["pointwise_kernel"], dtype, capability, False, block).asm["ptx"]
    return text


def assembled(
    function: Any, dtype: torch.dtype, capability: int, ragged: bool = False, block: int | None = None
) -> Any:
    """What Triton's compiler made of one kernel; its `asm` has `ptx` and `sass`."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    size = block or launch.block(_MANY, dtype.itemsize)
    constants: dict[str, int] = {"EVEN": not ragged, "WIDE": False, "BLOCK": size, "BY_ROW": False}
    columns = min(size, launch.TILE_COLUMNS)
    constants |= {"ROWS": size // columns, "COLUMNS": columns}
    constants = {name: value for name, value in constants.items() if name in function.arg_names}
    working = "*fp64" if dtype == torch.float64 else "*fp32"
    signature, attributes = {}, {}
    for place, name in enumerate(function.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name.endswith(("_pointer", "_part")):
            own = re.match(r"p\d", name) or name.endswith("_part")
            signature[name] = working if own else f"*{DTYPES[dtype]}"
            attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "i32"
            if name != "count" or not ragged:
                attributes[(place,)] = [["tt.divisibility", 16]]
    unit = ASTSource(fn=function, signature=signature, constexprs=constants, attrs=attributes)
    options = {"num_warps": launch.WARPS}
    return triton.compile(unit, target=GPUTarget("cuda", capability, 32), options=options)


def instructions(ptx: str) -> Counter[str]:
    """How many of each PTX instruction a kernel has; directives, labels and comments are none."""
    return Counter(name for block in _blocks(ptx)[0] for name, _ in block)


def ordinary_instructions(ptx: str) -> Counter[str]:
    """How many of each an ordinary element meets: those on the shortest way through the kernel.

    Branches are for what is rare: the reduction of angles beyond 1e5.
    """
    blocks, places = _blocks(ptx)
    lengths, before, waiting = {0: len(blocks[0])}, {0: 0}, [(len(blocks[0]), 0)]
    while waiting:
        length, here = heapq.heappop(waiting)
        name, target = blocks[here][-1] if blocks[here] else ("", "")
        if name == "ret":
            found = Counter(n for n, _ in blocks[here])
            while here:
                here = before[here]
                found.update(n for n, _ in blocks[here])
            return found
        following = [places[target]] if name.startswith("bra") else []
        # `bra.uni` alone has no predicate; the block after any other one may follow, too.
        for block in [*following, *([] if name == "bra.uni" else [here + 1])]:
            if length + len(blocks[block]) < lengths.get(block, len(ptx)):
                lengths[block], before[block] = length + len(blocks[block]), here
                heapq.heappush(waiting, (lengths[block], block))
    raise ValueError("a kernel without an end")


def _blocks(ptx: str) -> tuple[list[list[tuple[str, str]]], dict[str, int]]:
    """Instructions and their operands between labels and branches, and which block a label begins."""
    blocks: list[list[tuple[str, str]]] = [[]]
    places: dict[str, int] = {}
    for line in ptx.splitlines():
        label, found = _LABEL.match(line), _INSTRUCTION.match(line)
        if label:
            blocks.append([])
            places[label[1]] = len(blocks) - 1
        elif found:
            blocks[-1].append((found[2], (found[3] or "").strip()))
            if found[2].startswith(("bra", "ret")):
                blocks.append([])
    return blocks, places


def special(counts: Counter[str]) -> int:
    """How many of these the special-function units compute."""
    return sum(number for name, number in counts.items() if name.startswith(_SPECIAL))


def machine(counts: Counter[str]) -> int:
    """About how many machine instructions these are."""
    return sum(number * _MACHINE.get(name, 1) for name, number in counts.items())


def elements_per_thread(dtype: torch.dtype) -> int:
    """How many elements of a large tensor a thread takes."""
    return launch.block(_MANY, dtype.itemsize) // (32 * launch.WARPS)


def per_element(ptx: str, dtype: torch.dtype) -> float:
    """PTX instructions of a kernel per element of a tensor of a dtype."""
    return instructions(ptx).total() / elements_per_thread(dtype)
