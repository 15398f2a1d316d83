"""`Program`: a short list of elementwise operations in SSA form; the narrow waist of the compiler.

Everything before it makes Programs, every back end reads them, nothing else crosses. Value numbers:
the inputs come first (`x`, then the parameters, then `grad` in a backward program), then one value
per operation. An operation only reads smaller numbers. `OPERATIONS` is the whole instruction set:
to be a row there is to be implemented by every back end, differentiated by `gradient.py`, and
checked against mpmath by the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Instruction:
    """A row of the instruction set.

    Attributes:
        arity: number of arguments.
        cost: deterministic cost in the time of one float32 addition on the block interpreter;
            what multi-objective search minimizes.
        commutative: the two arguments may be exchanged.
    """

    arity: int
    cost: float
    commutative: bool = False


# Comparisons give 1.0 or 0.0; `where(c, a, b)` is a where c != 0 and only propagates NaN of the
# branch that is taken. max and min propagate NaN. pow is the real power: NaN for a negative base
# with a non-integer exponent. sinc is sin(x)/x. Names are those of SciPy or PyTorch.
OPERATIONS: dict[str, Instruction] = {
    "const": Instruction(0, 0.0),
    "add": Instruction(2, 1.0, True),
    "sub": Instruction(2, 1.0),
    "mul": Instruction(2, 1.0, True),
    "div": Instruction(2, 3.0),
    "neg": Instruction(1, 1.0),
    "abs": Instruction(1, 1.0),
    "sign": Instruction(1, 2.0),
    "max": Instruction(2, 1.0, True),
    "min": Instruction(2, 1.0, True),
    "lt": Instruction(2, 1.0),
    "le": Instruction(2, 1.0),
    "eq": Instruction(2, 1.0, True),
    "where": Instruction(3, 1.0),
    "sqrt": Instruction(1, 4.0),
    "pow": Instruction(2, 40.0),
    "exp": Instruction(1, 10.0),
    "expm1": Instruction(1, 14.0),
    "log": Instruction(1, 12.0),
    "log1p": Instruction(1, 15.0),
    "sin": Instruction(1, 14.0),
    "cos": Instruction(1, 14.0),
    "tan": Instruction(1, 20.0),
    "sinh": Instruction(1, 16.0),
    "cosh": Instruction(1, 14.0),
    "tanh": Instruction(1, 16.0),
    "asinh": Instruction(1, 22.0),
    "atan": Instruction(1, 16.0),
    "sigmoid": Instruction(1, 13.0),
    "logsigmoid": Instruction(1, 26.0),
    "softplus": Instruction(1, 26.0),
    "erf": Instruction(1, 22.0),
    "erfc": Instruction(1, 26.0),
    "erfcx": Instruction(1, 24.0),
    "ndtr": Instruction(1, 28.0),
    "log_ndtr": Instruction(1, 40.0),
    "logcosh": Instruction(1, 26.0),
    "i0e": Instruction(1, 30.0),
    "i1e": Instruction(1, 30.0),
    "sinc": Instruction(1, 18.0),
    # Helpers that rewrites and derivatives need, so that nothing cancels or overflows on the way.
    "sinc_grad": Instruction(1, 24.0),  # (cos(x) - sinc(x))/x, 0 at 0
    "erfcx_grad": Instruction(1, 26.0),  # 2*x*erfcx(x) - 2/sqrt(pi)
    "i1e_ratio": Instruction(1, 30.0),  # i1e(x)/x, 1/2 at 0
    "i0e_minus_i1e": Instruction(1, 30.0),  # i0e(x) - i1e(x)
    "hypot1": Instruction(1, 5.0),  # sqrt(1 + x*x), without overflow: |x| for |x| > 1e9
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One step: `value = name(arguments)`. `value` is the number of a `const`, else 0."""

    name: str
    arguments: tuple[int, ...] = ()
    value: float = 0.0


@dataclass(frozen=True)
class Program:
    """Elementwise operations in SSA form.

    Attributes:
        inputs: names of the inputs: `x`, then parameter names; a backward program adds `grad` last.
        operations: operation i defines the value number `len(inputs) + i`.
        outputs: value numbers; a forward program has one, a backward program one per
            differentiable input (`x`, then each parameter).
    """

    inputs: tuple[str, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[int, ...]
    _hash: int = field(default=0, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.inputs, self.operations, self.outputs)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def cost(self) -> float:
        """Deterministic cost, the sum over the instruction set's costs."""
        return sum(OPERATIONS[operation.name].cost for operation in self.operations)

    def __str__(self) -> str:
        names = [*self.inputs]
        lines = []
        for operation in self.operations:
            names.append(f"%{len(names)}")
            shown = (
                repr(operation.value) if operation.name == "const" else ", ".join(names[a] for a in operation.arguments)
            )
            lines.append(f"{names[-1]} = {operation.name}({shown})")
        lines.append("return " + ", ".join(names[output] for output in self.outputs))
        return "\n".join(lines)


def verify(program: Program) -> Program:
    """Check a Program and give it back; the gate between the stages of the compiler.

    Raises:
        ValueError: naming the operation that is wrong: unknown, wrong arity, reading a value that
            is not defined yet, or a constant that is not a float.
    """
    defined = len(program.inputs)
    for operation in program.operations:
        row = OPERATIONS.get(operation.name)
        if row is None:
            raise ValueError(f"%{defined}: unknown operation {operation.name!r}")
        if len(operation.arguments) != row.arity:
            raise ValueError(f"%{defined}: {operation.name} takes {row.arity} arguments")
        if any(not 0 <= argument < defined for argument in operation.arguments):
            raise ValueError(f"%{defined}: {operation.name} reads a value that is not defined yet")
        if operation.name == "const" and not isinstance(operation.value, float):
            raise ValueError(f"%{defined}: a constant is a float, not {operation.value!r}")
        defined += 1
    if any(not 0 <= output < defined for output in program.outputs):
        raise ValueError("an output is not defined")
    return program


class Builder:
    """Appends operations, sharing those that are already there (value numbering).

    Args:
        inputs: names of the inputs.
    """

    def __init__(self, inputs: tuple[str, ...]):
        self.inputs = inputs
        self.operations: list[Operation] = []
        self._known: dict[tuple[str, tuple[int, ...], str], int] = {}

    def emit(self, name: str, *arguments: int) -> int:
        """The value number of `name(arguments)`, new or shared."""
        if OPERATIONS[name].commutative and arguments[0] > arguments[1]:
            arguments = (arguments[1], arguments[0])
        return self._share(Operation(name, arguments), "")

    def const(self, value: float) -> int:
        """The value number of a constant; 0.0 and -0.0 are two, every NaN is one."""
        value = math.nan if math.isnan(value) else float(value)
        return self._share(Operation("const", (), value), value.hex())

    def inline(self, program: Program, values: tuple[int, ...]) -> tuple[int, ...]:
        """Append a whole program with `values` for its inputs; gives the numbers of its outputs."""
        numbers = list(values)
        for operation in program.operations:
            if operation.name == "const":
                numbers.append(self.const(operation.value))
            else:
                numbers.append(self.emit(operation.name, *[numbers[a] for a in operation.arguments]))
        return tuple(numbers[output] for output in program.outputs)

    def build(self, *outputs: int) -> Program:
        """The Program that was built, verified, without operations that no output needs."""
        offset, operations = len(self.inputs), self.operations
        needed = [False] * (offset + len(operations))
        for output in outputs:
            needed[output] = True
        for number in range(len(needed) - 1, offset - 1, -1):
            if needed[number]:
                for argument in operations[number - offset].arguments:
                    needed[argument] = True
        renumber = list(range(offset))
        kept: list[Operation] = []
        for operation, wanted in zip(operations, needed[offset:], strict=True):
            renumber.append(offset + len(kept))
            if wanted:
                arguments = tuple([renumber[argument] for argument in operation.arguments])
                if arguments != operation.arguments:
                    operation = Operation(operation.name, arguments, operation.value)
                kept.append(operation)
        return verify(Program(self.inputs, tuple(kept), tuple([renumber[output] for output in outputs])))

    def _share(self, operation: Operation, constant: str) -> int:
        key = (operation.name, operation.arguments, constant)
        if key not in self._known:
            self._known[key] = len(self.inputs) + len(self.operations)
            self.operations.append(operation)
        return self._known[key]
