"""Count what every instruction of Programs takes on a GPU, alone, and how well sums of that predict whole functions.

`python runs/kernel_ptx/calibrate.py` writes `calibration.json` beside itself, with the numbers that stand in
`symact/program/instructions.py`. Nothing runs on a GPU: kernels are compiled for sm_90, float32, and what one ordinary
element takes of them is counted. Functions are drawn with a fixed seed, 60 from each of two spaces.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from symact.backends.triton.assembly import assemble_pointwise, elements_per_thread, ordinary_instructions
from symact.program.compensation import compensated
from symact.program.gpu_estimate import estimated
from symact.program.gradient import backward
from symact.program.instructions import INSTRUCTIONS
from symact.program.loading import load_grammar
from symact.program.pipeline import lower
from symact.program.program import Operation, Program

DRAWN = 60
NAMES = ("x", "a", "b")


def counted(program: Program) -> float:
    """PTX instructions that an element takes."""
    return ordinary_instructions(assemble_pointwise(program)).total() / elements_per_thread(torch.float32)


def instruction(name: str, arity: int) -> Program:
    """A Program of one instruction."""
    return Program(NAMES[:arity], (Operation(name, tuple(range(arity))),), (arity,))


def table() -> dict[str, float]:
    """What each instruction takes beside reading and writing."""
    tensor = counted(Program(("x",), (), (0,))) / 2
    return {
        name: round(counted(instruction(name, row.arity)) - tensor * (row.arity + 1), 1)
        for name, row in INSTRUCTIONS.items()
        if row.arity
    }


def functions() -> list[Program]:
    """Values and gradients of what is drawn."""
    generator, found = np.random.default_rng(0), {}
    for grammar in ("aquasurf", "pangaea"):
        space = load_grammar(grammar).space()
        for expr in [space.sample(generator) for _ in range(DRAWN)]:
            program = lower(expr)
            if len(program.inputs) == 1 and program.operations:
                found[str(expr)] = program
    return [each for program in found.values() for each in (program, backward(program))]


def main() -> None:
    rows = table()
    programs = functions()
    exact = np.array([counted(compensated(program, False)) for program in programs])
    sums = np.array([estimated(program) for program in programs])
    errors = np.abs(sums / exact - 1)
    found = {
        "kernels": len(programs),
        "median error": round(float(np.median(errors)), 3),
        "error of nine in ten": round(float(np.quantile(errors, 0.9)), 3),
        "correlation of ranks": round(float(np.corrcoef(sums.argsort().argsort(), exact.argsort().argsort())[0, 1]), 3),
    }
    print(found)
    document = {"table": rows, **found}
    Path(__file__).with_name("calibration.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
