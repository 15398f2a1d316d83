"""The table from SymPy heads to operations: one row per function that a formula may call.

A row computes with `Value`s, so it reads as the mathematics it stands for. Where a function's
definition would cancel or overflow, its row is the stable way to compute it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy

from symact.expr import functions
from symact.program.builder import Value, call

Row = Callable[..., Value]


def _operation(name: str) -> Row:
    return lambda *values: call(name, *values)


def _relu(x: Value) -> Value:
    return call("max", x, 0.0)


def _elu(x: Value, scale: float = 1.0, alpha: float = 1.0) -> Value:
    return call("where", call("lt", _zero(x), x), scale * x, scale * alpha * call("expm1", x))


def _clip(x: Value, slope: float) -> Value:
    return call("max", call("min", slope * x + 0.5, 1.0), 0.0)


def _zero(x: Value) -> Value:
    return Value(x.builder, x.builder.const(0.0))


def _mish(x: Value) -> Value:
    """`x*tanh(softplus(x))`."""
    return x * call("tanh", call("softplus", x))


def _softsign(x: Value) -> Value:
    return x / (call("abs", x) + 1.0)


# PyTorch's digits of Klambauer et al. 2017 (arXiv:1706.02515), equation 14.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

# Functions of the formula language that are one operation of the same name.
_SAME = [
    "abs",
    "sign",
    "exp",
    "expm1",
    "log",
    "log1p",
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
    "max",
    "min",
    "sigmoid",
    "logsigmoid",
    "softplus",
    "erfcx",
    "ndtr",
    "log_ndtr",
    "logcosh",
    "sinc",
]

ROWS: dict[str, Row] = {
    **{name: _operation(name) for name in _SAME},
    "relu": _relu,
    "elu": _elu,
    "selu": lambda x: _elu(x, _SELU_SCALE, _SELU_ALPHA),
    "swish": lambda x: x * call("sigmoid", x),
    "gelu": lambda x: x * call("ndtr", x),
    "mish": _mish,
    "softsign": _softsign,
    "hardsigmoid": lambda x: _clip(x, 1.0 / 6.0),
    "hard_sigmoid": lambda x: _clip(x, 0.2),
    "hardswish": lambda x: x * _clip(x, 1.0 / 6.0),
    "heaviside": lambda x: call("lt", _zero(x), x),
}

_RELATIONS: dict[type, Callable[[Value, Value], Value]] = {
    sympy.StrictLessThan: lambda a, b: call("lt", a, b),
    sympy.LessThan: lambda a, b: call("le", a, b),
    sympy.StrictGreaterThan: lambda a, b: call("lt", b, a),
    sympy.GreaterThan: lambda a, b: call("le", b, a),
    sympy.Equality: lambda a, b: call("eq", a, b),
    sympy.Unequality: lambda a, b: 1.0 - call("eq", a, b),
}


class Lowering:
    """Turns one unevaluated SymPy expression into operations.

    Args:
        symbols: symbol name -> value, for `x` (or `a`, `b`) and the parameters.
        constant: number -> value.
    """

    def __init__(self, symbols: Mapping[str, Value], constant: Callable[[float], Value]):
        self.symbols, self.constant = symbols, constant
        self._done: dict[sympy.Basic, Value] = {}

    def __call__(self, expression: sympy.Basic) -> Value:
        """The value of an expression, each sub-expression once."""
        done = self._done.get(expression)
        if done is None:
            done = self._done[expression] = self._lower(expression)
        return done

    def _lower(self, node: sympy.Basic) -> Value:
        if isinstance(node, sympy.Symbol):
            return self.symbols[node.name]
        if isinstance(node, sympy.Number | sympy.NumberSymbol):
            return self.constant(float(node))
        if isinstance(node, sympy.Add):
            return self._sum(node.args)
        if isinstance(node, sympy.Mul):
            return self._product(node.args)
        if isinstance(node, sympy.Pow):
            return self.power(self(node.args[0]), node.args[1])
        if isinstance(node, sympy.Piecewise):
            return self._piecewise(node)
        if isinstance(node, sympy.Max | sympy.Min):
            name = "max" if isinstance(node, sympy.Max) else "min"
            return self._fold(node.args, lambda a, b: call(name, a, b))
        if isinstance(node, sympy.And):
            return self._fold(node.args, lambda a, b: a * b)
        if isinstance(node, sympy.Or):
            return self._fold(node.args, lambda a, b: call("max", a, b))
        if type(node) in _RELATIONS:
            return _RELATIONS[type(node)](*map(self, node.args))
        row = functions.HEADS.get(type(node))
        if row is None or row.name not in ROWS:
            raise ValueError(f"no operations for {type(node).__name__} in {node}")
        return ROWS[row.name](*map(self, node.args))

    def _fold(self, parts: tuple[Any, ...], join: Callable[[Value, Value], Value]) -> Value:
        result = self(parts[0])
        for part in parts[1:]:
            result = join(result, self(part))
        return result

    def _sum(self, terms: tuple[Any, ...]) -> Value:
        result = self(terms[0])
        for term in terms[1:]:
            if isinstance(term, sympy.Mul) and term.args[0] == -1:
                result = result - self._product(term.args[1:])
            else:
                result = result + self(term)
        return result

    def _product(self, factors: tuple[Any, ...]) -> Value:
        """Left to right, as written; a factor `b**-1` divides."""
        result: Value | None = None
        for factor in factors:
            divides = isinstance(factor, sympy.Pow) and factor.args[1] == -1
            value = self(factor.args[0] if divides else factor)
            if result is None:
                result = self.constant(1.0) / value if divides else value
            else:
                result = result / value if divides else result * value
        assert result is not None
        return result

    def power(self, base: Value, exponent: Any) -> Value:
        """`base**exponent`; small integers and halves become multiplications and a root."""
        if isinstance(exponent, sympy.Rational) and exponent.q in (1, 2) and abs(exponent) <= 64:
            return rational_power(base, int(exponent.p), int(exponent.q))
        value = self(exponent)
        number = value.builder.number(value.number)
        if number is not None and abs(number) <= 64 and (2 * number).is_integer():
            return rational_power(base, int(2 * number), 2)
        return call("pow", base, value)

    def _piecewise(self, node: sympy.Piecewise) -> Value:
        *guarded, last = node.args
        if last.args[1] != sympy.true:
            raise ValueError(f"{node} has no last case")
        result = self(last.args[0])
        for case in reversed(guarded):
            result = call("where", self(case.args[1]), self(case.args[0]), result)
        return result


def rational_power(base: Value, numerator: int, denominator: int) -> Value:
    """`base**(numerator/denominator)` for denominator 1 or 2, by repeated squaring."""
    if numerator % denominator == 0:
        numerator, denominator = numerator // denominator, 1
    if numerator < 0:
        return 1.0 / rational_power(base, -numerator, denominator)
    whole, half = divmod(numerator, denominator)
    result: Value | None = None
    square = base
    while whole:
        if whole & 1:
            result = square if result is None else result * square
        whole >>= 1
        if whole:
            square = square * square
    if half:
        root = call("sqrt", base)
        result = root if result is None else result * root
    return result if result is not None else base * 0.0 + 1.0
