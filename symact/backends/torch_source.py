"""Program -> Python source of plain torch operations: the portable back end, and what people read.

`source` gives the text, `function` executes it. Names come from our tables and constants are `repr`
of floats, so nothing from outside reaches the text; this is the one place that executes any.
"""

from __future__ import annotations

import hashlib
import keyword
import linecache
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from symact.backends.torch_helpers import HELPERS
from symact.program.program import Operation, Program, verify

_TWO_WORDS = ("product_rest", "sum_rest", "sin_sum", "cos_sum")
_BOOLEAN = ("lt", "le", "eq")

# Expression templates over the arguments' texts; `_name` calls a helper of `torch_helpers`.
TEMPLATES: dict[str, str] = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "abs": "torch.abs({})",
    "sign": "torch.sign({})",
    "floor": "torch.floor({})",
    "max": "torch.maximum({}, {})",
    "min": "torch.minimum({}, {})",
    "lt": "{} < {}",
    "le": "{} <= {}",
    "eq": "{} == {}",
    "where": "torch.where({}, {}, {})",
    "sqrt": "torch.sqrt({})",
    "pow": "torch.pow({}, {})",
    "exp": "torch.exp({})",
    "expm1": "torch.expm1({})",
    "log": "torch.log({})",
    "log1p": "torch.log1p({})",
    "sin": "torch.sin({})",
    "cos": "torch.cos({})",
    "tan": "torch.tan({})",
    "sinh": "torch.sinh({})",
    "cosh": "torch.cosh({})",
    "tanh": "torch.tanh({})",
    "atan": "torch.atan({})",
    "sigmoid": "torch.sigmoid({})",
    "erf": "torch.erf({})",
    "erfc": "torch.erfc({})",
    **{name: f"_{name}({{}})" for name in HELPERS if not name.startswith("_")},
    **{name: f"_{name}({{}}, {{}})" for name in _TWO_WORDS},
}


def identifiers(names: tuple[str, ...]) -> list[str]:
    """The inputs' names as Python names that clash with nothing in the generated text."""
    taken: set[str] = set()
    result = []
    for name in names:
        safe = name if name.isidentifier() and not keyword.iskeyword(name) else "p"
        if safe == "torch" or safe.startswith("_") or (safe[0] == "t" and safe[1:].isdigit()):
            safe += "_value"
        while safe in taken:
            safe += "_"
        taken.add(safe)
        result.append(safe)
    return result


def body(program: Program, name: str = "forward") -> str:
    """The function that a Program is, as Python text without its helpers."""
    program = verify(program)
    inputs = identifiers(program.inputs)
    writer = _Writer(program, inputs)
    lines = writer.lines()
    returned = ", ".join(writer.result(output) for output in program.outputs)
    if len(program.outputs) > 1:
        returned = f"({returned})"
    return "\n".join(
        [f"def {name}({', '.join(inputs)}):", *(f"    {line}" for line in lines), f"    return {returned}"]
    )


class _Writer:
    """Names the values of one Program and writes its statements."""

    def __init__(self, program: Program, inputs: list[str]):
        self.program, self.inputs = program, inputs
        self.operations: list[Operation | None] = [None] * len(inputs) + list(program.operations)
        self.names = list(inputs)
        # Variables and gradients have the full shape, parameters need not.
        self._full = [i < program.variables or name.startswith("grad") for i, name in enumerate(program.inputs)]
        for operation in program.operations:
            self._full.append(any(self._full[argument] for argument in operation.arguments))

    def lines(self) -> list[str]:
        lines = []
        step = 0
        for operation in self.program.operations:
            if operation.name == "const":
                self.names.append(number_text(operation.value))
                continue
            step += 1
            self.names.append(f"t{step}")
            lines.append(f"t{step} = {self._expression(operation)}")
        return lines

    def result(self, output: int) -> str:
        """An output as text: always a new float tensor of the full shape."""
        text = self.value(output)
        operation = self.operations[output]
        if operation is None and self._full[output]:
            return f"{text}.clone()"
        if operation is not None and operation.name == "const":
            return f"torch.full_like({self.inputs[0]}, {text})"
        return text if self._full[output] else f"torch.zeros_like({self.inputs[0]}) + {text}"

    def value(self, number: int) -> str:
        operation = self.operations[number]
        if operation is not None and operation.name in _BOOLEAN:
            return f"{self.names[number]}.to({self.inputs[0]}.dtype)"
        return self.names[number]

    def _is_constant(self, number: int) -> bool:
        operation = self.operations[number]
        return operation is not None and operation.name == "const"

    def _expression(self, operation: Operation) -> str:
        name, arguments = operation.name, operation.arguments
        if name == "where":
            condition, *branches = arguments
            source = self.operations[condition]
            test = self.names[condition]
            if source is None or source.name not in _BOOLEAN:
                test = f"({test} != 0)"
            texts = [test, *(self._tensor(b, all(map(self._is_constant, branches))) for b in branches)]
        elif name in ("max", "min") and any(map(self._is_constant, arguments)):
            value, bound = arguments if self._is_constant(arguments[1]) else arguments[::-1]
            side = "min" if name == "max" else "max"
            return f"torch.clamp({self._tensor(value)}, {side}={self.value(bound)})"
        elif name in ("add", "sub", "mul", "div", "lt", "le", "eq", "pow"):
            texts = [self._operand(a) if name != "pow" else self.value(a) for a in arguments]
            # Of two constants, which stand here where the result is not finite, one has to be a tensor.
            if all(map(self._is_constant, arguments)):
                texts[0] = self._tensor(arguments[0])
        else:
            texts = [self._tensor(a) for a in arguments]
        return TEMPLATES[name].format(*texts)

    def _operand(self, number: int) -> str:
        text = self.value(number)
        return f"({text})" if text.startswith("-") else text

    def _tensor(self, number: int, needed: bool = True) -> str:
        if needed and self._is_constant(number):
            return f"torch.full_like({self.inputs[0]}, {self.names[number]})"
        return self.value(number)


def number_text(value: float) -> str:
    """A constant as Python text."""
    if math.isfinite(value):
        return repr(value)
    return f'float("{value}")'


def helpers(*programs: Program) -> list[str]:
    """The source of the helper functions that Programs call, in an order that defines before use."""
    called = [operation.name for program in programs for operation in program.operations]
    wanted: list[str] = []

    def want(name: str) -> None:
        text = HELPERS[name]
        for other in HELPERS:
            key = other if other.startswith("_") else f"_{other}"
            if other != name and f"{key}(" in text and other not in wanted:
                want(other)
        if name not in wanted:
            wanted.append(name)

    for name in called:
        if name in HELPERS:
            want(name)
    return [HELPERS[name] for name in wanted]


def source(program: Program, name: str = "forward") -> str:
    """A Program as the text of a Python module: helpers, then one function of tensors."""
    return "\n\n\n".join(["import torch", *helpers(program), body(program, name)]) + "\n"


@lru_cache(maxsize=4096)
def function(program: Program) -> Callable[..., Any]:
    """A callable of tensors, one per input; gives a tensor, or a tuple for several outputs.

    All inputs have one floating dtype and shapes that broadcast.
    """
    result: Callable[..., Any] = execute(source(program, "program"))["program"]
    return result


def execute(text: str, inspectable: bool = False, operations: Any = torch) -> dict[str, Any]:
    """The names that a generated module defines: the one place where generated text is executed.

    Args:
        text: the module, generated from a checked Program.
        inspectable: whether `inspect` has to find the source, as Triton's compiler does.
        operations: what the name `torch` stands for where the text does not import it.
    """
    filename = "<symact program>"
    if inspectable:
        filename = f"<symact program {hashlib.sha256(text.encode()).hexdigest()[:16]}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"torch": operations, "__name__": "symact_generated"}
    exec(compile(text, filename, "exec"), namespace)
    return namespace
