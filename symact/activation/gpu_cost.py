"""What a function costs on a GPU, with no GPU: its kernels compiled to PTX, and what a GPU has time for.

Counted is what one ordinary element of a large tensor takes in a forward and in a backward pass. A kernel takes at
least the time to move its bytes, to issue its instructions, and to run those of its special-function units; the longest
of the three is its bound. Published peaks stand for a GPU, so a real one is slower, by memory and by computing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from symact.activation.float32_range import wide
from symact.activation.plan import undisturbed, unseen_forms
from symact.backends.triton.kernel import available, interpreted
from symact.errors import InputError
from symact.program.gpu_estimate import estimated
from symact.program.gradient import backward
from symact.program.program import Program


@dataclass(frozen=True)
class GPU:
    """What a GPU does in a second.

    Attributes:
        bytes: read and written in its memory.
        instructions: of single threads, by the precision that they compute in.
        special: of these, those of the special-function units.
        source: of the figures.
    """

    bytes: float
    instructions: Mapping[str, float]
    special: float
    source: str


# Fused multiply-adds are two operations of a data sheet's FLOPS each, and one instruction. Special-function units give
# 16 results a clock in each multiprocessor, beside 64 (A100) and 128 (H200) fused multiply-adds.
_UNITS = "CUDA C++ Programming Guide 12, table of throughput of native arithmetic instructions (8.0: 64, 9.0: 128, 16)"
GPUS: dict[str, GPU] = {
    "H200": GPU(
        4.8e12,
        {"float32": 67e12 / 2, "float64": 34e12 / 2},
        67e12 / 2 * 16 / 128,
        f"NVIDIA H200 data sheet, SXM: 4.8 TB/s, FP32 67 TFLOPS, FP64 34 TFLOPS; {_UNITS}",
    ),
    "A100": GPU(
        2.039e12,
        {"float32": 19.5e12 / 2, "float64": 9.7e12 / 2},
        19.5e12 / 2 * 16 / 64,
        f"NVIDIA A100 data sheet, SXM 80 GB: 2,039 GB/s, FP32 19.5 TFLOPS, FP64 9.7 TFLOPS; {_UNITS}",
    ),
}
DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class PassCost:
    """One pass over one element.

    Attributes:
        instructions: of PTX.
        special: of these, those of the special-function units.
        machine: about how many machine instructions they are.
        bytes: read and written.
        precision: that it is computed in.
    """

    instructions: float
    special: float
    machine: float
    bytes: int
    precision: str

    def picoseconds(self, gpu: GPU) -> dict[str, float]:
        """The least time of an element by memory, by instructions, and by special-function units."""
        return {
            "memory": 1e12 * self.bytes / gpu.bytes,
            "compute": 1e12 * self.machine / gpu.instructions[self.precision],
            "special-function units": 1e12 * self.special / gpu.special,
        }

    def bound(self, gpu: GPU) -> str:
        """Which of the three takes longest."""
        times = self.picoseconds(gpu)
        return max(times, key=lambda name: times[name])


@lru_cache(maxsize=1024)
def gpu_cost(program: Program, dtype: torch.dtype = torch.float32, capability: int = 90) -> dict[str, PassCost]:
    """What a function costs on a GPU, from the PTX of the kernels that run it there.

    Args:
        program: a forward Program.
        dtype: of its tensors: float32, bfloat16 or float16.
        capability: 80 for sm_80, 90 for sm_90.

    Returns:
        `"forward"` and `"backward"` -> what one element takes.

    Raises:
        InputError: Triton is not installed, or interprets kernels.
    """
    if not available():
        raise InputError("the cost on a GPU is counted in what Triton compiles: pip install triton")
    if interpreted():
        raise InputError("Triton interprets kernels and compiles none: unset TRITON_INTERPRET")
    from symact.backends.triton.assembly import assemble, elements_per_thread, machine, ordinary_instructions, special

    with undisturbed():
        forms = unseen_forms(program)
    precision = "float32" if forms is not None else "float64"
    given = forms or (wide(program), wide(backward(program)))
    texts = assemble(*given, capability, dtype if forms is not None else torch.float64)
    share = elements_per_thread(dtype if forms is not None else torch.float64)
    tensors = {"forward": program.variables + 1, "backward": 2 * program.variables + 1}
    counts: dict[str, Counter[str]] = {name: ordinary_instructions(text) for name, text in texts.items()}
    # Tensors that are computed in float64 are brought there first, and back.
    moved = dtype.itemsize if forms is not None else dtype.itemsize + 2 * torch.float64.itemsize
    return {
        name: PassCost(
            found.total() / share,
            special(found) / share,
            machine(found) / share,
            tensors[name] * moved,
            precision,
        )
        for name, found in counts.items()
    }


def described(program: Program) -> dict[str, Any]:
    """The cost of a function as a document of JSON types: by dtype and pass, with each GPU's bound."""
    found: dict[str, Any] = {"sources": {name: gpu.source for name, gpu in GPUS.items()}}
    found["estimate"] = {"forward": estimated(program), "backward": estimated(backward(program))}
    for name, dtype in DTYPES.items():
        found[name] = {}
        for direction, cost in gpu_cost(program, dtype).items():
            found[name][direction] = {
                "instructions": round(cost.instructions, 1),
                "special": round(cost.special, 2),
                "machine": round(cost.machine, 1),
                "bytes": cost.bytes,
                "precision": cost.precision,
                "gpus": {
                    gpu: {
                        "bound": cost.bound(row),
                        "picoseconds": {key: round(value, 2) for key, value in cost.picoseconds(row).items()},
                    }
                    for gpu, row in GPUS.items()
                },
            }
    return found


def shown(program: Program) -> str:
    """The same for people."""
    document, lines = described(program), []
    for name in DTYPES:
        lines.append(f"{name}, one element{'forward':>16}{'backward':>10}")
        passes = [document[name][direction] for direction in ("forward", "backward")]
        for title, key in (
            ("PTX instructions", "instructions"),
            ("special functions", "special"),
            ("machine instructions", "machine"),
            ("bytes", "bytes"),
            ("computed in", "precision"),
        ):
            lines.append(f"  {title:<27}{passes[0][key]:>10}{passes[1][key]:>10}")
        for gpu in GPUS:
            bounds = [each["gpus"][gpu] for each in passes]
            for title in bounds[0]["picoseconds"]:
                mark = ["*" if each["bound"] == title else " " for each in bounds]
                times = [each["picoseconds"][title] for each in bounds]
                lines.append(f"  {gpu} {title + ', ps':<27}{times[0]:>5.2f}{mark[0]}{times[1]:>9.2f}{mark[1]}")
    estimate = document["estimate"]
    lines.append(f"  {'estimate by the table':<27}{estimate['forward']:>10}{estimate['backward']:>10}")
    lines.append("*: the bound, the longest of the three. Instructions of sm_90. Peaks are published ones:")
    lines += [f"  {source}" for source in document["sources"].values()]
    return "\n".join(lines)
