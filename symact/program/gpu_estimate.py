"""What a Program costs on a GPU, by a table: PTX instructions an element, in microseconds and with nothing compiled.

A sum over the operations. What each takes is counted: `runs/kernel_ptx/calibrate.py` compiles every instruction alone
for sm_90 in float32. Beside the PTX of 110 functions drawn from two
grammars, forward and backward (220 kernels), half of the sums are within 8 % and nine in ten within 62 %; ranks
correlate by 0.97. They are too high where functions share work (`i0e` and `i1e` of one argument) or the compiler finds
that a product is 0. Where a candidate is worth compiling, `activation.gpu_cost` counts.
"""

from __future__ import annotations

from collections import Counter

from symact.program.compensation import compensated
from symact.program.instructions import INSTRUCTIONS
from symact.program.long_angles import in_three_words
from symact.program.program import Program

# To read or write a tensor, addresses included.
TENSOR = 1.6


def estimated(program: Program) -> float:
    """PTX instructions an element, for float32 tensors."""
    program = in_three_words(program) or compensated(program, False)
    first = len(program.inputs)
    uses = Counter(argument for operation in program.operations for argument in operation.arguments)
    uses.update(program.outputs)
    summed = {a for operation in program.operations if operation.name in ("add", "sub") for a in operation.arguments}
    known = [False] * first
    total = TENSOR * (first + len(program.outputs))
    for number, operation in enumerate(program.operations, first):
        # What is made of constants is computed by the compiler; a product that is added is part of that instruction.
        known.append(all(known[argument] for argument in operation.arguments))
        if not known[-1] and not (operation.name == "mul" and number in summed and uses[number] == 1):
            total += INSTRUCTIONS[operation.name].ptx
    return round(total, 1)
