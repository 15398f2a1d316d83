"""`Tape`: an operator's formula as a short list of elementary steps, read by every evaluator of this room.

In: an `Operator` with its unevaluated SymPy formula. Out: steps in SSA form over its inputs (`x`, or `a` and
`b`, then its parameters). float64, float32 and ball arithmetic walk the same steps, so that they disagree
only in rounding. A tape also lists the formula's *switches*: the quantities at whose sign changes the
function may pass from one analytic piece to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import sympy
from sympy.core.relational import Relational

from symact.expr import functions
from symact.expr.formula import expand_definition
from symact.expr.functions import A, B, X
from symact.expr.operators import Operator

# Heads that evaluators implement themselves; all others are walked through their definition.
ELEMENTARY = frozenset(
    [
        "abs",
        "sign",
        "exp",
        "log",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "atan",
        "erf",
        "erfc",
        "i0e",
        "i1e",
        "expm1",
        "log1p",
        "sigmoid",
        "logsigmoid",
        "softplus",
        "relu",
        "elu",
        "selu",
        "swish",
        "gelu",
        "erfcx",
        "ndtr",
        "log_ndtr",
        "logcosh",
        "sinc",
        "heaviside",
    ]
)

_RELATIONS = {
    sympy.StrictGreaterThan: ("lt", True),
    sympy.StrictLessThan: ("lt", False),
    sympy.GreaterThan: ("le", True),
    sympy.LessThan: ("le", False),
    sympy.Equality: ("eq", False),
    sympy.Unequality: ("ne", False),
}

# These are analytic, or defined, on either side of zero of their argument only.
_SWITCHED_AT_ZERO = frozenset(["abs", "sign", "i0e", "i1e", "relu", "elu", "selu", "heaviside", "log", "sqrt"])


@dataclass(frozen=True)
class Step:
    """One step: `name` of earlier values. `constant` is the exact number of a `const`, the exponent of an `ipow`."""

    name: str
    arguments: tuple[int, ...] = ()
    constant: sympy.Expr | int | None = None

    @cached_property
    def number(self) -> float:
        """The constant in float64."""
        return float(self.constant)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Tape:
    """Steps in SSA form.

    Attributes:
        inputs: names of the inputs; the arguments first, then the parameters.
        steps: step i defines the value number `len(inputs) + i`.
        output: the value number of the result.
        switches: value numbers at whose sign changes the function may change its analytic piece.
        value_steps: how many steps the result needs; those after it serve the switches alone.
        total: the arguments are not mentioned.
    """

    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    output: int
    switches: tuple[int, ...]
    value_steps: int
    total: bool

    @cached_property
    def switch_steps(self) -> tuple[int, ...]:
        """The steps that the switches need, by number; those that only the result needs are left out."""
        needed: set[int] = set()
        waiting = list(self.switches)
        while waiting:
            number = waiting.pop() - len(self.inputs)
            if number >= 0 and number not in needed:
                needed.add(number)
                waiting += self.steps[number].arguments
        return tuple(sorted(needed))

    @property
    def length(self) -> int:
        """Elementary operations that the result takes, constants free."""
        return sum(step.name != "const" for step in self.steps[: self.value_steps])


@lru_cache(maxsize=16384)
def tape_of(operator: Operator) -> Tape:
    """The tape of an operator; of `nary` it is the fold step in `a` and `b`."""
    names = ("x",) if operator.kind in ("unary", "formula") else ("a", "b")
    return compile_formula(operator.formula, names, tuple(parameter.name for parameter in operator.parameters))


def compile_formula(formula: sympy.Expr, arguments: tuple[str, ...], parameters: tuple[str, ...] = ()) -> Tape:
    """The tape of unevaluated SymPy in the symbols `arguments` and `parameters`.

    Raises:
        ValueError: the formula holds something that no evaluator knows.
    """
    compiler = _Compiler(arguments + parameters)
    output = compiler.walk(formula)
    value_steps = len(compiler.steps)
    switches = tuple(dict.fromkeys(compiler.switch(*pending) for pending in compiler.pending))
    used = {symbol.name for symbol in formula.free_symbols if symbol in (X, A, B)}
    total = not used.intersection(arguments)
    return Tape(compiler.inputs, tuple(compiler.steps), output, switches, value_steps, total)


class _Compiler:
    def __init__(self, inputs: tuple[str, ...]):
        self.inputs = inputs
        self.steps: list[Step] = []
        self.pending: list[tuple[str, tuple[int, ...]]] = []
        self._emitted: dict[Step, int] = {}
        self._walked: dict[sympy.Basic, int] = {}

    def emit(self, name: str, *arguments: int, constant: sympy.Expr | int | None = None) -> int:
        step = Step(name, arguments, constant)
        if step not in self._emitted:
            self._emitted[step] = len(self.inputs) + len(self.steps)
            self.steps.append(step)
        return self._emitted[step]

    def const(self, value: sympy.Expr | int) -> int:
        return self.emit("const", constant=sympy.Integer(value) if isinstance(value, int) else value)

    def switch(self, name: str, arguments: tuple[int, ...]) -> int:
        """The value number of a switch; it is made after the result so that values alone can skip it."""
        return arguments[0] if name == "sign" else self.emit(name, *arguments)

    def walk(self, node: sympy.Basic) -> int:
        if node not in self._walked:
            self._walked[node] = self._walk(node)
        return self._walked[node]

    def _walk(self, node: sympy.Basic) -> int:
        if isinstance(node, sympy.Symbol):
            return self.inputs.index(node.name)
        if not node.free_symbols:
            exact = _exact(node)
            if exact is not None:
                return self.const(exact)
        if isinstance(node, sympy.Add):
            return self._sum(node)
        if isinstance(node, sympy.Mul):
            return self._product(node)
        if isinstance(node, sympy.Pow):
            return self._power(node.base, node.exp)
        if isinstance(node, (sympy.Max, sympy.Min)):
            return self._extremum("max" if isinstance(node, sympy.Max) else "min", node)
        if isinstance(node, sympy.Piecewise):
            return self._piecewise(node)
        row = functions.HEADS.get(type(node))
        if row is None:
            raise ValueError(f"no evaluator knows {type(node).__name__}")
        return self._call(row, node)

    def _sum(self, node: sympy.Add) -> int:
        total: int | None = None
        for term in node.args:
            negative = _negated(term)
            if total is None or negative is None:
                value = self.walk(term)
                total = value if total is None else self.emit("add", total, value)
            else:
                total = self.emit("sub", total, self.walk(negative))
        assert total is not None
        return total

    def _product(self, node: sympy.Mul) -> int:
        factors, divisors, sign = [], [], 1
        for factor in node.args:
            if factor == -1:
                sign = -sign
            elif isinstance(factor, sympy.Pow) and factor.exp == -1:
                divisors.append(self.walk(factor.base))
            elif factor != 1:
                factors.append(self.walk(factor))
        result = factors[0] if factors else self.const(1)
        for factor in factors[1:]:
            result = self.emit("mul", result, factor)
        for divisor in divisors:
            result = self._divide(result, divisor)
        return result if sign > 0 else self.emit("neg", result)

    def _divide(self, value: int, divisor: int) -> int:
        self.pending.append(("sign", (divisor,)))
        return self.emit("div", value, divisor)

    def _power(self, base: sympy.Expr, exponent: sympy.Expr) -> int:
        if base is sympy.E:
            return self.emit("exp", self.walk(exponent))
        value = self.walk(base)
        if exponent == sympy.Rational(1, 2):
            self.pending.append(("sign", (value,)))
            return self.emit("sqrt", value)
        if exponent == sympy.Rational(-1, 2):
            self.pending.append(("sign", (value,)))
            return self._divide(self.const(1), self.emit("sqrt", value))
        if isinstance(exponent, sympy.Integer) and 1 <= abs(int(exponent)) <= 64:
            power = value if abs(int(exponent)) == 1 else self.emit("ipow", value, constant=abs(int(exponent)))
            return power if exponent > 0 else self._divide(self.const(1), power)
        self.pending.append(("sign", (value,)))
        return self.emit("pow", value, self.walk(exponent))

    def _extremum(self, name: str, node: sympy.Expr) -> int:
        values = [self.walk(argument) for argument in sorted(node.args, key=lambda a: bool(a.is_number))]
        result = values[0]
        for value in values[1:]:
            self.pending.append(("sub", (result, value)))
            result = self.emit(name, result, value)
        return result

    def _piecewise(self, node: sympy.Piecewise) -> int:
        result: int | None = None
        for then, condition in reversed(node.args):
            value = self.walk(then)
            if condition == sympy.true:
                result = value
            elif condition != sympy.false:
                otherwise = result if result is not None else self._divide(self.const(0), self.const(0))
                result = self.emit("where", self._condition(condition), value, otherwise)
        assert result is not None
        return result

    def _condition(self, node: sympy.Basic) -> int:
        if isinstance(node, (sympy.And, sympy.Or)):
            parts = [self._condition(argument) for argument in node.args]
            result = parts[0]
            for part in parts[1:]:
                result = self.emit("and" if isinstance(node, sympy.And) else "or", result, part)
            return result
        if node in (sympy.true, sympy.false):
            return self.const(int(node == sympy.true))
        if not isinstance(node, Relational) or type(node) not in _RELATIONS:
            raise ValueError(f"no evaluator knows the condition {node}")
        name, swapped = _RELATIONS[type(node)]
        left, right = self.walk(node.lhs), self.walk(node.rhs)
        self.pending.append(("sub", (left, right)))
        return self.emit(name, right, left) if swapped else self.emit(name, left, right)

    def _call(self, row: functions.Function, node: sympy.Basic) -> int:
        if row.name not in ELEMENTARY:
            return self.walk(expand_definition(row, *node.args))
        value = self.walk(node.args[0])
        if row.name in _SWITCHED_AT_ZERO:
            self.pending.append(("sign", (value,)))
        elif row.name == "log1p":
            self.pending.append(("add", (value, self.const(1))))
        elif row.name == "tan":
            self.pending.append(("cos", (value,)))
        return self.emit(row.name, value)


def _exact(node: sympy.Basic) -> sympy.Expr | None:
    """The rational number or constant that a symbol-free expression is at sight, else None."""
    if node in (sympy.pi, sympy.E):
        return node
    if isinstance(node, sympy.Rational):
        return node
    if isinstance(node, (sympy.Add, sympy.Mul)) or (
        isinstance(node, sympy.Pow) and isinstance(node.exp, sympy.Integer)
    ):
        parts = [_exact(argument) for argument in node.args]
        if all(isinstance(part, sympy.Rational) for part in parts):
            value = node.func(*parts)
            return value if isinstance(value, sympy.Rational) else None
    return None


def _negated(term: sympy.Expr) -> sympy.Expr | None:
    """`y` where `term` is `-1*y`, else None."""
    if isinstance(term, sympy.Mul) and len(term.args) == 2 and term.args[0] == -1:
        return term.args[1]
    return None
