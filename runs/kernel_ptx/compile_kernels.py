"""Compile the Triton kernels of 50 compositions ahead of time, with no GPU, and read the PTX.

`python runs/kernel_ptx/compile_kernels.py` writes `results.json` beside itself: per composition and
architecture the number of PTX instructions forward and backward, and of float64 instructions, which a
float32 kernel must not have outside the slow path of sin and cos.
"""

from __future__ import annotations

import json
import platform
import re
import time
from pathlib import Path

import numpy
import torch
import triton

from symact.backends.triton.source import assemble
from symact.expr.tree import Expr, parse
from symact.program.gradient import backward
from symact.program.loading import load_grammar
from symact.program.pipeline import lower

NAMED = (
    "x*sigmoid(x)",
    "x*tanh(softplus(x))",
    "gelu(x)",
    "erfc(softplus(x))**2",
    "-x*sigmoid(x)*hard_sigmoid(x)",
    "asinh(elu(swish(x)))",
    "selu(sinh(exp(atan(x))-1))",
    "swish(x)*erfc(i0e(x))",
    "x*erfc(elu(x))",
    "sinc(x)*log_ndtr(x)",
)
SAMPLED = 40
ARCHITECTURES = (80, 90)
INSTRUCTION = re.compile(r"^\s+(?:@!?%p\d+ )?([a-z][a-z0-9_.]*)\s.*;$", re.M)


def compositions() -> list[Expr]:
    """The named ones, then distinct draws from the first space of a grammar without and of one with parameters."""
    found = {str(e): e for e in map(parse, NAMED)}
    generator = numpy.random.default_rng(0)
    for name, count in (("aquasurf", 30), ("pangaea", SAMPLED + len(NAMED))):
        space = load_grammar(name).space()
        while len(found) < (len(NAMED) + count if name == "aquasurf" else count):
            expr = space.sample(generator)
            if lower(expr).operations:
                found.setdefault(str(expr), expr)
    return list(found.values())


def measure(expr: Expr) -> dict[str, object]:
    """One composition on every architecture."""
    forward = lower(expr)
    row: dict[str, object] = {"expression": str(expr), "parameters": list(forward.inputs[1:])}
    operations = {operation.name for operation in (*forward.operations, *backward(forward).operations)}
    row["trigonometric"] = bool(operations & {"sin", "cos", "tan", "sinc", "sinc_grad"})
    for architecture in ARCHITECTURES:
        start = time.perf_counter()
        texts = assemble(forward, backward(forward), architecture, torch.float32)
        counts = {direction: INSTRUCTION.findall(text) for direction, text in texts.items()}
        row[f"sm_{architecture}"] = {
            "forward": len(counts["forward"]),
            "backward": len(counts["backward"]),
            "float64": sum(".f64" in name for names in counts.values() for name in names),
            "seconds": round(time.perf_counter() - start, 2),
        }
    return row


def main() -> None:
    rows = []
    for expr in compositions():
        rows.append(measure(expr))
        print(rows[-1], flush=True)
    found = {"python": platform.python_version(), "torch": torch.__version__, "triton": triton.__version__}
    document = {"versions": found, "block": 1024, "rows": rows}
    Path(__file__).with_name("results.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
