"""An expression -> typeset mathematics, as a tree that the page builds MathML elements from.

The tree is JSON: a text, or a list of an element's name and its children. SymPy's own MathML printer writes branches as
calls of `piecewise` and marks functions in no way that browsers typeset, and it gives text; a tree of known names
is nothing that a name in a stranger's grammar could turn into markup.
"""

from __future__ import annotations

import html
from typing import Any, TypeAlias

import sympy

from symact.expr.display import written
from symact.expr.tree import Expr

Node: TypeAlias = Any  # a text, or [name, *children]

GREEK = {
    "alpha": "\u03b1", "beta": "\u03b2", "gamma": "\u03b3", "delta": "\u03b4",
    "lambda": "\u03bb", "mu": "\u03bc", "sigma": "\u03c3", "omega": "\u03c9",
}  # fmt: skip
MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
RELATIONS = {
    "StrictGreaterThan": ">",
    "GreaterThan": "≥",
    "StrictLessThan": "<",
    "LessThan": "≤",
    "Equality": "=",
    "Unequality": "≠",
}
SUM, PRODUCT, POWER, ATOM = range(4)  # how tightly a form binds
LARGEST = 400  # elements; a larger formula is shown as text


def mathml(expr: Expr) -> Node | None:
    """The tree of an expression in the form that `display.latex` prints; None where it is too large to be read."""
    try:
        tree = _node(written(expr))
    except (RecursionError, ValueError, TypeError, AttributeError):
        return None
    return tree if _size(tree) <= LARGEST else None


def mathml_text(tree: Node) -> str:
    """The elements of a tree as text; what stands in them is escaped."""
    if isinstance(tree, str):
        return html.escape(tree)
    name, *children = tree
    return f"<{name}>{''.join(map(mathml_text, children))}</{name}>"


def _size(tree: Node) -> int:
    return 1 if isinstance(tree, str) else 1 + sum(map(_size, tree[1:]))


def _name(text: str) -> Node:
    stem, _, index = text.partition("_")
    if not stem or not (index.isdigit() or len(index) == 1):
        return ["mi", GREEK.get(text, text)]  # hard_sigmoid is one word, beta_1 is the first beta
    return ["msub", ["mi", GREEK.get(stem, stem)], ["mi", index]]


def _number(text: str) -> Node:
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return ["mn", text]
    power = ["mn", str(int(exponent))] if int(exponent) >= 0 else ["mrow", ["mo", MINUS], ["mn", str(-int(exponent))]]
    return ["mrow", ["mn", mantissa], ["mo", TIMES], ["msup", ["mn", "10"], power]]


def _node(form: sympy.Basic) -> Node:
    for kind, write in _WRITERS:
        if isinstance(form, kind):
            return write(form)
    if isinstance(form, sympy.Function):
        return _call(form.func.__name__, form.args)
    return ["mi", str(form)]


def _call(name: str, arguments: tuple[sympy.Basic, ...]) -> Node:
    listed: list[Node] = []
    for argument in arguments:
        listed += [["mo", ","]] if listed else []
        listed.append(_node(argument))
    return ["mrow", _name(name), ["mo", "\u2061"], ["mrow", ["mo", "("], *listed, ["mo", ")"]]]


def _bound(form: sympy.Basic) -> int:
    if isinstance(form, sympy.Add):
        return SUM
    if form.is_Number and form.is_negative:
        return SUM
    if isinstance(form, sympy.Mul) or (form.is_Rational and not form.is_Integer):
        return PRODUCT
    return POWER if isinstance(form, sympy.Pow | sympy.exp) else ATOM


def _within(form: sympy.Basic, least: int) -> Node:
    """The form, in parentheses where it binds less tightly than its surroundings ask."""
    tree = _node(form)
    return tree if _bound(form) >= least else ["mrow", ["mo", "("], tree, ["mo", ")"]]


def _sum(form: sympy.Basic) -> Node:
    parts: list[Node] = []
    # What is added comes before what is subtracted.
    for sign, rest in sorted(map(_signed, form.args), key=lambda signed: signed[0] == MINUS):
        if parts or sign == MINUS:
            parts.append(["mo", sign])
        parts.append(_within(rest, PRODUCT))
    return ["mrow", *parts]


def _signed(term: sympy.Basic) -> tuple[str, sympy.Basic]:
    if term.is_Number and term.is_negative:
        return MINUS, -term
    if isinstance(term, sympy.Mul) and term.args[0].is_Number and term.args[0].is_negative:
        first, *others = term.args
        factors = others if first == -1 else [-first, *others]
        return MINUS, factors[0] if len(factors) == 1 else sympy.Mul(*factors, evaluate=False)
    return "+", term


def _product(form: sympy.Basic) -> Node:
    sign, positive = _signed(form)
    if sign == MINUS:
        return ["mrow", ["mo", MINUS], _within(positive, PRODUCT)]
    above: list[sympy.Basic] = []
    below: list[sympy.Basic] = []
    for factor in form.args:
        if isinstance(factor, sympy.Pow) and factor.exp.is_Number and factor.exp.is_negative:
            power = -factor.exp
            below.append(factor.base if power == 1 else sympy.Pow(factor.base, power, evaluate=False))
        elif factor.is_Rational and not factor.is_Integer:
            above += [sympy.Integer(factor.p)] if factor.p != 1 else []
            below.append(sympy.Integer(factor.q))
        else:
            above.append(factor)
    if below:
        return ["mfrac", _factors(above or [sympy.Integer(1)]), _factors(below)]
    return _factors(above)


def _factors(factors: list[sympy.Basic]) -> Node:
    if len(factors) == 1:
        return _node(factors[0])
    parts: list[Node] = []
    for place, factor in enumerate(factors):
        if place:
            calls = isinstance(factor, sympy.Function) and isinstance(factors[place - 1], sympy.Function)
            parts.append(["mo", "·" if factor.is_Number or calls else "\u2062"])
        parts.append(_within(factor, POWER if not isinstance(factor, sympy.Mul) else ATOM))
    return ["mrow", *parts]


def _power(form: sympy.Basic) -> Node:
    base, exponent = form.base, form.exp
    if exponent == sympy.Rational(1, 2):
        return ["msqrt", _node(base)]
    if exponent.is_Number and exponent.is_negative:
        positive = base if exponent == -1 else sympy.Pow(base, -exponent, evaluate=False)
        return ["mfrac", ["mn", "1"], _node(positive)]
    inner = _node(base) if _bound(base) == ATOM and not isinstance(base, sympy.Function) else _within_always(base)
    return ["msup", inner, _node(exponent)]


def _within_always(form: sympy.Basic) -> Node:
    return ["mrow", ["mo", "("], _node(form), ["mo", ")"]]


def _exponential(form: sympy.Basic) -> Node:
    return ["msup", ["mi", "e"], _node(form.args[0])]


def _absolute(form: sympy.Basic) -> Node:
    return ["mrow", ["mo", "|"], _node(form.args[0]), ["mo", "|"]]


def _branches(form: sympy.Basic) -> Node:
    rows: list[Node] = []
    for value, condition in form.args:
        words = ["mtext", "otherwise"] if condition == sympy.true else ["mrow", ["mtext", "if "], _node(condition)]
        rows.append(["mtr", ["mtd", _node(value)], ["mtd", words]])
    return ["mrow", ["mo", "{"], ["mtable", *rows]]


def _relation(form: sympy.Basic) -> Node:
    left, right = form.args
    return ["mrow", _node(left), ["mo", RELATIONS.get(type(form).__name__, "?")], _node(right)]


def _joined(word: str) -> Any:
    def write(form: sympy.Basic) -> Node:
        parts: list[Node] = []
        for argument in form.args:
            parts += [["mtext", word]] if parts else []
            parts.append(_node(argument))
        return ["mrow", *parts]

    return write


def _rational(form: sympy.Basic) -> Node:
    whole: Node = ["mfrac", ["mn", str(abs(form.p))], ["mn", str(form.q)]]
    return ["mrow", ["mo", MINUS], whole] if form.p < 0 else whole


def _plain_number(form: sympy.Basic) -> Node:
    text = str(form) if form.is_Integer else f"{float(form):.6g}"
    return ["mrow", ["mo", MINUS], _number(text[1:])] if text.startswith("-") else _number(text)


# The first row whose class fits writes the form.
_WRITERS: tuple[tuple[Any, Any], ...] = (
    (sympy.Integer, _plain_number),
    (sympy.Rational, _rational),
    (sympy.Float, _plain_number),
    (sympy.Symbol, lambda form: _name(form.name)),
    (type(sympy.pi), lambda form: ["mi", "π"]),
    (type(sympy.E), lambda form: ["mi", "e"]),
    (sympy.Add, _sum),
    (sympy.Mul, _product),
    (sympy.Pow, _power),
    (sympy.exp, _exponential),
    (sympy.Abs, _absolute),
    (sympy.Piecewise, _branches),
    (sympy.Max, lambda form: _call("max", form.args)),
    (sympy.Min, lambda form: _call("min", form.args)),
    (sympy.And, _joined(" and ")),
    (sympy.Or, _joined(" or ")),
    (sympy.core.relational.Relational, _relation),
)
