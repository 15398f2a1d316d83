"""The road back: a trained expression as formula text with its learned constants.

The text is ordinary mathematics in `x` over the functions of the formula language, so that it parses
again with no grammar, and means the same function.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from symact.errors import FormulaError, InputError
from symact.expr import functions
from symact.expr.tree import Expr, parse, to_sympy

_RELATIONS: dict[type, str] = {
    sympy.StrictLessThan: "<",
    sympy.LessThan: "<=",
    sympy.StrictGreaterThan: ">",
    sympy.GreaterThan: ">=",
    sympy.Equality: "==",
    sympy.Unequality: "!=",
}


def formula_text(expr: Expr, constants: Mapping[str, float | list[float]]) -> str:
    """An expression as one formula, with numbers for its parameters.

    Without any it stays as it is written, unless its words mean something in its grammar alone.

    Raises:
        InputError: a parameter has one value per channel, which no single formula holds.
    """
    for name, value in constants.items():
        if isinstance(value, list):
            raise InputError(
                f"{name} has {len(value)} values, one per channel; no single formula holds them: read constants()"
            )
    if not constants and _needs_no_grammar(expr):
        return str(expr)
    values = {name: float(value) for name, value in constants.items() if not isinstance(value, list)}
    return _bare(_Printer(values)(to_sympy(expr)))


def _needs_no_grammar(expr: Expr) -> bool:
    try:
        return bool(to_sympy(parse(str(expr))) == to_sympy(expr))
    except FormulaError:
        return False


def _bare(text: str) -> str:
    """The text without parentheses round all of it."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:-1] if place > 0 and place == len(text) - 1 and text[0] == "(" else text
    return text


class _Printer:
    """Writes unevaluated SymPy as formula text, with parentheses round every compound part.

    Args:
        values: parameter name -> number.
    """

    def __init__(self, values: Mapping[str, float]):
        self.values = values

    def __call__(self, node: sympy.Basic) -> str:
        if isinstance(node, sympy.Symbol):
            return self._number(self.values[node.name]) if node.name in self.values else node.name
        if isinstance(node, sympy.Integer):
            return f"({node})" if node < 0 else str(node)
        if isinstance(node, sympy.Rational):
            return f"({node.p}/{node.q})"
        if isinstance(node, sympy.NumberSymbol):
            return "e" if node == sympy.E else "pi"
        if isinstance(node, sympy.Add):
            return self._sum(node.args)
        if isinstance(node, sympy.Mul):
            return self._product(node.args)
        if isinstance(node, sympy.Pow):
            base, exponent = node.args
            return f"(1/{self(base)})" if exponent == -1 else f"({self(base)}**{self(exponent)})"
        if isinstance(node, sympy.Piecewise):
            return self._piecewise(node)
        if isinstance(node, sympy.And | sympy.Or):
            return "(" + (" and " if isinstance(node, sympy.And) else " or ").join(map(self, node.args)) + ")"
        if type(node) in _RELATIONS:
            left, right = node.args
            return f"{self(left)} {_RELATIONS[type(node)]} {self(right)}"
        return f"{functions.HEADS[type(node)].name}({', '.join(_bare(self(argument)) for argument in node.args)})"

    def _number(self, value: float) -> str:
        text = repr(value)
        return f"({text})" if text.startswith("-") else text

    def _sum(self, terms: tuple[sympy.Basic, ...]) -> str:
        text = self(terms[0])
        for term in terms[1:]:
            if isinstance(term, sympy.Mul) and term.args[0] == -1:
                text += f" - {self._product(term.args[1:])}"
            elif isinstance(term, sympy.Rational) and term < 0:
                text += f" - {self(-term)}"
            else:
                text += f" + {self(term)}"
        return f"({text})"

    def _product(self, factors: tuple[sympy.Basic, ...]) -> str:
        first, *others = factors
        if first == -1 and others and not _is_reciprocal(others[0]):
            text, others = f"-{self(others[0])}", others[1:]
        else:
            text = self(first)
        for factor in others:
            if _is_reciprocal(factor):
                text += f"/{self(factor.args[0])}"
            else:
                text += f"*{self(factor)}"
        return f"({text})" if len(factors) > 1 else text

    def _piecewise(self, node: sympy.Piecewise) -> str:
        *guarded, last = node.args
        text = self(last.args[0])
        for case in reversed(guarded):
            text = f"where({self(case.args[1])}, {self(case.args[0])}, {text})"
        return text


def _is_reciprocal(node: sympy.Basic) -> bool:
    return isinstance(node, sympy.Pow) and node.args[1] == -1
