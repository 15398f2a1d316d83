"""All hard cases where values cannot be looked at: under torch.compile, and by the Triton kernels in the interpreter.

    python runs/hard_cases/run.py compile     # aot_eager: what torch.compile traces, forward and backward
    python runs/hard_cases/run.py inductor    # and the code that it generates
    python runs/hard_cases/run.py triton      # Triton's interpreter, in the form that a GPU would run

Every expression of `tests/activation/hard_cases.txt` at the 19 points of `tests/activation/test_hard_cases.py`, value
and gradient, against mpmath: within 1e-5 of the truth, or 1e-6. Writes `results/PATH.json`; a run that is stopped goes
on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ["TRITON_INTERPRET"] = "1"

import torch

from symact.activation.float32_range import ORDINARY, wide
from symact.activation.module import CompiledFunction
from symact.activation.plan import unseen_forms
from symact.expr.tree import parse
from symact.files import write_text
from symact.program.gradient import backward
from symact.program.pipeline import lower
from tests.activation.test_hard_cases import EXPRESSIONS, differing, exact

HERE = Path(__file__).parent
# Functions that are compiled as one program.
TOGETHER = 12
Wrong = dict[str, list[str]]


def by_compiler(expressions: Sequence[str], backend: str) -> Wrong:
    """What is wrong of some expressions that are compiled as one program."""
    functions = [CompiledFunction(parse(expression)) for expression in expressions]
    rows = [exact(expression) for expression in expressions]
    xs = [torch.tensor([at for at, _, _ in each], requires_grad=True) for each in rows]

    def everything(xs: list[torch.Tensor]) -> list[torch.Tensor]:
        return [function(x) for function, x in zip(functions, xs, strict=True)]

    torch._dynamo.reset()
    values = torch.compile(everything, backend=backend, fullgraph=True)(xs)
    slopes = torch.autograd.grad([y.sum() for y in values], xs)
    found = zip(expressions, rows, values, slopes, strict=True)
    return {expression: differing(expression, each, ys, gs) for expression, each, ys, gs in found}


def by_triton(expressions: Sequence[str]) -> Wrong:
    """What is wrong of some expressions in the form that a GPU runs: in float64 where no other is right."""
    from symact.backends.triton.kernel import TritonKernel

    found = {}
    for expression in expressions:
        program = lower(parse(expression))
        forms = unseen_forms(program)
        rows = exact(expression)
        x = torch.tensor([at for at, _, _ in rows])
        if forms is None:
            kernel, x = TritonKernel(wide(program), wide(backward(program))), x.double()
        else:
            kernel = TritonKernel(*forms)
        values, (slopes,) = kernel.forward(x, ()), kernel.backward(torch.ones_like(x), x, ())
        found[expression] = differing(expression, rows, values.float(), slopes.float())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", choices=("compile", "inductor", "triton"))
    path = parser.parse_args().path
    torch.set_num_threads(1)
    place = HERE / "results" / f"{path}.json"
    done: Wrong = json.loads(place.read_text())["wrong"] if place.exists() else {}
    left = [expression for expression in EXPRESSIONS if expression not in done]
    for start in range(0, len(left), TOGETHER):
        some = left[start : start + TOGETHER]
        began = time.process_time()
        if path == "triton":
            done |= by_triton(some)
        else:
            done |= by_compiler(some, "aot_eager" if path == "compile" else "inductor")
        print(len(done), f"{time.process_time() - began:.1f} s", [w for e in some for w in done[e]], flush=True)
        versions = {"torch": torch.__version__, "python": platform.python_version()}
        wrong = {expression: done[expression] for expression in EXPRESSIONS if expression in done}
        document = {"path": path, **versions, "expressions": len(wrong), "ordinary": ORDINARY, "wrong": wrong}
        place.parent.mkdir(exist_ok=True)
        write_text(place, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
