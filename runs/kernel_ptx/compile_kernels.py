"""Compile the Triton kernels of 50 compositions ahead of time, with no GPU, and count instructions.

`python runs/kernel_ptx/compile_kernels.py` writes `results.json` beside itself. Per composition and architecture,
forward and backward: PTX instructions per element, and of float64, which a float32 kernel must not have outside the
slow path of sin and cos. For sm_90 also the machine instructions (SASS) that `ptxas` makes of them, and how many of
those go to the special-function units. `budgets` has the same for functions that everybody uses, in three dtypes.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections import Counter
from pathlib import Path

import numpy
import torch
import triton

from symact.backends.torch_source import execute
from symact.backends.triton import launch
from symact.backends.triton.assembly import assembled, instructions, per_element
from symact.backends.triton.library import PRECISIONS
from symact.backends.triton.source import source
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
BUDGETS = ("x*sigmoid(x)", "gelu(x)", "x*tanh(softplus(x))", "x*erfc(elu(x))", "tanh(x)", "elu(x)")
SAMPLED = 40
ARCHITECTURES = (80, 90)
# A line of SASS as Triton prints it: control codes, a tab, perhaps a predicate, the instruction.
MACHINE = re.compile(r"^\S+\t(?:@!?U?P\w+ )?([A-Z][A-Z0-9_.]*)", re.M)


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


def counted(expr: Expr, dtype: torch.dtype, architecture: int) -> dict[str, object]:
    """What both kernels of a function take per element."""
    forward, found = lower(expr), {}
    names = execute(source(forward, backward(forward), PRECISIONS[dtype]), inspectable=True)
    share = launch.block(2**24, dtype.itemsize) / (32 * launch.WARPS)
    for direction in ("forward", "backward"):
        texts = assembled(names[f"{direction}_kernel"], dtype, architecture).asm
        float64 = sum(number for name, number in instructions(texts["ptx"]).items() if ".f64" in name)
        found[direction] = {"ptx": round(per_element(texts["ptx"], dtype), 1), "float64": float64}
        if architecture == ARCHITECTURES[-1]:
            machine = Counter(MACHINE.findall(texts["sass"]))
            special = sum(number for name, number in machine.items() if name.startswith("MUFU"))
            found[direction] |= {"sass": round((machine.total() - machine["NOP"]) / share, 1)}
            found[direction] |= {"special": round(special / share, 2)}
    return found


def measure(expr: Expr) -> dict[str, object]:
    """One composition on every architecture."""
    forward = lower(expr)
    row: dict[str, object] = {"expression": str(expr), "parameters": list(forward.inputs[1:])}
    operations = {operation.name for operation in (*forward.operations, *backward(forward).operations)}
    row["trigonometric"] = bool(operations & {"sin", "cos", "tan", "sinc", "sinc_grad"})
    for architecture in ARCHITECTURES:
        start = time.perf_counter()
        found = counted(expr, torch.float32, architecture)
        row[f"sm_{architecture}"] = {**found, "seconds": round(time.perf_counter() - start, 2)}
    return row


def main() -> None:
    budgets = {
        text: {str(d).removeprefix("torch."): counted(parse(text), d, 90) for d in list(PRECISIONS)[1:]}
        for text in BUDGETS
    }
    rows = []
    for expr in compositions():
        rows.append(measure(expr))
        print(rows[-1], flush=True)
    found = {"python": platform.python_version(), "torch": torch.__version__, "triton": triton.__version__}
    document = {"versions": found, "budgets": budgets, "rows": rows}
    Path(__file__).with_name("results.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
