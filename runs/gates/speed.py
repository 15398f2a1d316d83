"""How fast are gates on CPU? Forward and backward of a module against torch.compile, in one process, in turn.

    python runs/gates/speed.py                 # writes runs/gates/speed.json

Times are CPU time of the one thread that computes, the median of interleaved rounds, in microseconds for 10^6 elements.
The C library is told to keep freed memory, and the columns come in another order every round. A column is called four
times in a row: the first call finds the caches as the others left them (`cold`), the later ones as its own (`warm`).

Two columns say what memory allows: `x*g` is the gate without a function, which reads and writes the same tensors, and
`copy` copies as many bytes as a gate reads and writes.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import json
import math
import os
import platform
import random
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


def passes(function: Callable[[Tensor, Tensor], Tensor], x: Tensor, g: Tensor, grad: Tensor) -> tuple[float, float]:
    """CPU time in microseconds of a forward without gradients, and of a forward and a backward pass."""
    start = time.thread_time()
    with torch.no_grad():
        function(x, g)
    middle = time.thread_time()
    torch.autograd.grad(function(x, g), (x, g), grad)
    end = time.thread_time()
    return (middle - start) * 1e6, (end - middle) * 1e6


def copies(x: Tensor) -> Callable[[], tuple[float, float]]:
    """The same of copies of as many bytes: three tensors forward, two read and one written, and five more backward."""
    size = x.numel()
    sources = [torch.zeros(tensors * size // 2, dtype=x.dtype) for tensors in (3, 8)]
    targets = [torch.empty_like(source) for source in sources]

    def measure() -> tuple[float, float]:
        times = [time.thread_time()]
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)
            times.append(time.thread_time())
        return (times[1] - times[0]) * 1e6, (times[2] - times[1]) * 1e6

    return measure


def measured(
    text: str, plain: Callable[[Tensor, Tensor], Tensor], dtype: torch.dtype, rounds: int
) -> dict[str, object]:
    """Medians of each column, and the ratios."""
    x, g = (torch.randn(SIZE).to(dtype).requires_grad_() for _ in range(2))
    grad = torch.randn(SIZE).to(dtype)
    functions = {"ours": symact.Gate(text), "compile": torch.compile(plain), "eager": plain, "x*g": symact.Gate("x*g")}
    columns = {name: functools.partial(passes, function, x, g, grad) for name, function in functions.items()}
    columns["copy"] = copies(x)
    for measure in columns.values():
        for _ in range(3):
            measure()
    found: dict[str, dict[str, list[float]]] = {name: {key: [] for key in KEYS} for name in columns}
    names = list(columns)
    for number in range(rounds):
        # By chance, so that no column always finds the caches as the same other one leaves them.
        for name in random.Random(number).sample(names, len(names)):
            for call in range(4):
                for key, value in zip(("forward", "both"), columns[name](), strict=True):
                    found[name][f"{key}, {'warm' if call else 'cold'}"].append(value)
    medians = {name: {key: statistics.median(v) for key, v in times.items()} for name, times in found.items()}
    quartiles = {name: {key: statistics.quantiles(v)[::2] for key, v in times.items()} for name, times in found.items()}
    ratios = {
        f"{one} / {other}": {key: medians[one][key] / medians[other][key] for key in KEYS}
        for one, other in (("ours", "compile"), ("x*g", "compile"), ("x*g", "ours"))
    }
    return {"microseconds": medians, "quartiles": quartiles, **ratios}


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
    load = os.getloadavg()[0]
    rows = {
        f"{name}, {kind}": measured(*gate, dtype, options.rounds)
        for kind, dtype in DTYPES.items()
        for name, gate in GATES.items()
    }
    means = {
        ratio: {
            key: math.exp(statistics.fmean(math.log(row[ratio][key]) for row in rows.values()))  # type: ignore[index]
            for key in KEYS
        }
        for ratio in ("ours / compile", "x*g / compile", "x*g / ours")
    }
    document = {
        "size": SIZE,
        "rounds": options.rounds,
        "machine": {
            "processor": _processor(),
            "isa": library.isa(),
            "torch": torch.__version__,
            "load": [load, os.getloadavg()[0]],
        },
        "rows": rows,
        "geometric means": means,
    }
    options.output.write_text(json.dumps(document, indent=1) + "\n")
    for name, row in rows.items():
        print(name, {k: round(v, 2) for k, v in row["ours / compile"].items()}, row["microseconds"])  # type: ignore[attr-defined]
    print("geometric means", json.dumps(means, indent=1))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
