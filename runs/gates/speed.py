"""How fast are gates on CPU? Forward and backward of a module against torch.compile, in one process, in turn.

    python runs/gates/speed.py                 # writes runs/gates/speed.json

Times are CPU time of the one thread that computes, the median of interleaved rounds, in microseconds for 10^6 elements.
The C library is told to keep freed memory, and the order of the columns changes every round. A column is called four
times in a row: the first call finds the caches as the others left them (`cold`), the later ones as its own (`warm`).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import symact
from symact.backends.cpu import library

SIZE = 10**6
GATES: dict[str, tuple[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "SwiGLU": ("x*sigmoid(x)*g", lambda x, g: F.silu(x) * g),
    "GEGLU": ("gelu(x)*g", lambda x, g: F.gelu(x) * g),
    "clipped SwiGLU": (
        "swish(min(x,7))*(max(min(g,7),-7) + 1)",
        lambda x, g: F.silu(x.clamp(max=7)) * (g.clamp(-7, 7) + 1),
    ),
}
KEYS = ("forward, cold", "forward, warm", "both, cold", "both, warm")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def passes(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, g: Tensor, grad: Tensor) -> dict[str, float]:
    """CPU time of a forward without gradients, and of a forward and a backward pass."""
    start = time.thread_time()
    with torch.no_grad():
        function(x, g)
    middle = time.thread_time()
    torch.autograd.grad(function(x, g), (x, g), grad)
    end = time.thread_time()
    return {"forward": (middle - start) * 1e6, "both": (end - middle) * 1e6}


def measured(
    text: str, plain: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype, rounds: int
) -> dict[str, object]:
    """Medians of each column, and the ratios."""
    x, g = (torch.randn(SIZE).to(dtype).requires_grad_() for _ in range(2))
    grad = torch.randn(SIZE).to(dtype)
    columns = {"ours": symact.Gate(text), "compile": torch.compile(plain), "eager": plain}
    for function in columns.values():
        for _ in range(3):
            passes(function, x, g, grad)
    found: dict[str, dict[str, list[float]]] = {name: {key: [] for key in KEYS} for name in columns}
    names = list(columns)
    for number in range(rounds):
        for name in names[number % 3 :] + names[: number % 3]:
            for call in range(4):
                for key, value in passes(columns[name], x, g, grad).items():
                    found[name][f"{key}, {'warm' if call else 'cold'}"].append(value)
    medians = {name: {key: statistics.median(v) for key, v in times.items()} for name, times in found.items()}
    quartiles = {name: {key: statistics.quantiles(v)[::2] for key, v in times.items()} for name, times in found.items()}
    ratios = {key: medians["ours"][key] / medians["compile"][key] for key in KEYS}
    return {"microseconds": medians, "quartiles": quartiles, "ours / compile": ratios}


def main() -> None:
    """Measure everything and write the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("speed.json"))
    options = parser.parse_args()
    # Memory that is given back to the system and taken again costs more than most functions.
    libc = ctypes.CDLL(None)
    libc.mallopt(-1, 2**30)
    libc.mallopt(-3, 2**30)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = {
        f"{name}, {kind}": measured(*gate, dtype, options.rounds)
        for kind, dtype in DTYPES.items()
        for name, gate in GATES.items()
    }
    means = {
        key: math.exp(statistics.fmean(math.log(row["ours / compile"][key]) for row in rows.values()))  # type: ignore[index]
        for key in KEYS
    }
    document = {
        "size": SIZE,
        "rounds": options.rounds,
        "machine": {"processor": _processor(), "isa": library.isa(), "torch": torch.__version__},
        "rows": rows,
        "geometric mean of ours / compile": means,
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n")
    for name, row in rows.items():
        print(name, {k: round(v, 2) for k, v in row["ours / compile"].items()}, row["microseconds"])  # type: ignore[attr-defined]
    print("geometric mean", means)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
