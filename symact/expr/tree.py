"""`Expr`: a frozen tree over a grammar's operators; reading and writing it, its size and depth.

An expression is written in operators, `max(relu(x),cosh(elu(x)))`, or as a formula,
`x*sigmoid(beta*x)`. The first becomes a tree of grammar operators that searches can vary; the
second one node that holds the whole formula as its author wrote it. Both print as they are read.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import sympy

from symact.errors import FormulaError, InputError
from symact.expr import formula, functions
from symact.expr.functions import SYMBOLS, A, B, piecewise
from symact.expr.operators import INPUTS, NO_GRAMMAR, Operator, Parameter, Vocabulary, variable
from symact.expr.shipped import declaring
from symact.expr.spelling import spellings


def _as_factor(argument: Expr) -> str:
    """The text of an argument as it may stand in a formula: in parentheses, unless it is a name or one call."""
    text = str(argument)
    return text if re.fullmatch(r"\w+(\((?:[^()]|\([^()]*\))*\))?", text) else f"({text})"


class Expr:
    """An immutable expression tree.

    Attributes:
        operator: the operator at the root; at a leaf an input, `x` or `g`.
        arguments: the argument trees, left to right.
        size: operators in the tree; 0 for a leaf.
        depth: operators on the longest path; 0 for a leaf.
    """

    __slots__ = ("__weakref__", "_hash", "arguments", "depth", "operator", "size")

    operator: Operator
    arguments: tuple[Expr, ...]
    size: int
    depth: int
    _hash: int

    def __init__(self, operator: Operator, arguments: tuple[Expr, ...] = ()):
        arity = operator.arity
        if (arity is None and not arguments) or (arity is not None and len(arguments) != arity):
            raise ValueError(f"{operator.name} takes {arity or 'one or more'} arguments, got {len(arguments)}")
        leaf = operator.kind == "variable"
        size, depth = (0, 0) if leaf else (1, 0)
        for argument in arguments:
            size += argument.size
            depth = max(depth, argument.depth)
        put = object.__setattr__
        put(self, "operator", operator)
        put(self, "arguments", arguments)
        put(self, "size", size)
        put(self, "depth", depth if leaf else depth + 1)
        put(self, "_hash", hash((operator, arguments)))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("an Expr is immutable")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Expr):
            return NotImplemented
        return self._hash == other._hash and self.operator == other.operator and self.arguments == other.arguments

    def __str__(self) -> str:
        if self.operator.kind == "variable":
            return self.operator.name
        if self.operator.kind == "formula":
            given = dict(zip(self.operator.variables, map(_as_factor, self.arguments), strict=True))
            if all(name == text for name, text in given.items()):
                return self.operator.name
            return re.sub(
                r"\b[a-zA-Z_]\w*\b", lambda found: given.get(found.group(), found.group()), self.operator.name
            )
        return f"{self.operator.name}({','.join(map(str, self.arguments))})"

    def __repr__(self) -> str:
        return f"Expr({str(self)!r})"

    def _repr_latex_(self) -> str:
        return f"${sympy.latex(to_sympy(self), order='none')}$"

    def __reduce__(self) -> Any:
        return (leaf, (self.operator.name,)) if self.operator.is_variable else (Expr, (self.operator, self.arguments))

    def __copy__(self) -> Expr:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Expr:
        return self

    @property
    def is_formula(self) -> bool:
        """Whether it is one user's formula rather than a tree of grammar operators."""
        return self.operator.kind == "formula"

    @property
    def inputs(self) -> tuple[str, ...]:
        """What it is a function of: `x`, or `x` and `g`."""
        return INPUTS if any(node is G_LEAF for node in self.walk()) else INPUTS[:1]

    def walk(self) -> Iterator[Expr]:
        """Every sub-expression in prefix order, this one first, leaves included."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.arguments))

    def replaced(self, position: int, subtree: Expr) -> Expr:
        """The tree with its sub-expression at prefix `position` exchanged for `subtree`."""
        if position == 0:
            return subtree
        position -= 1
        arguments = list(self.arguments)
        for index, argument in enumerate(arguments):
            length = sum(1 for _ in argument.walk())
            if position < length:
                arguments[index] = argument.replaced(position, subtree)
                return Expr(self.operator, tuple(arguments))
            position -= length
        raise IndexError("no sub-expression at that position")

    def bindings(self) -> list[Binding]:
        """Every operator node in prefix order, with the parameters that it uses here.

        A shared parameter is the same one everywhere; one with `share = false` is numbered by
        occurrence in prefix order: `beta_1`, `beta_2`, ...
        """
        counts: dict[str, int] = {}
        bound: list[Binding] = []
        for node in self.walk():
            if node.operator.is_variable:
                continue
            uses: dict[str, Parameter] = {}
            for parameter in node.operator.parameters:
                if parameter.share or node.is_formula:
                    uses[parameter.name] = parameter
                else:
                    counts[parameter.name] = counts.get(parameter.name, 0) + 1
                    uses[parameter.name] = replace(parameter, name=f"{parameter.name}_{counts[parameter.name]}")
            bound.append(Binding(node, uses))
        return bound

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Its learnable parameters, in prefix order of first mention."""
        found = {p.name: p for binding in self.bindings() for p in binding.parameters.values()}
        return tuple(found.values())


class Binding(NamedTuple):
    """One operator node and its parameters: name in the operator's formula -> parameter here."""

    node: Expr
    parameters: dict[str, Parameter]


X_LEAF, G_LEAF = (Expr(variable(name)) for name in INPUTS)
_LEAVES = {"x": X_LEAF, "g": G_LEAF}


def leaf(name: str) -> Expr:
    """The expression that an input is; of each there is one."""
    return _LEAVES[name]


def of_x_alone(expr: Expr, taker: str) -> Expr:
    """The expression, where it is a function of one input.

    Args:
        expr: the expression.
        taker: who takes no other, for the message.

    Raises:
        InputError: it is a function of `x` and `g`.
    """
    if len(expr.inputs) > 1:
        raise InputError(f"{expr} is a function of {' and '.join(expr.inputs)}; {taker} takes functions of x alone")
    return expr


# What is evaluated: one expression, or one for each activation site.
Candidate: TypeAlias = "Expr | tuple[Expr, ...]"


def sites(candidate: Candidate) -> tuple[Expr, ...]:
    """The expressions of a candidate, site by site."""
    return (candidate,) if isinstance(candidate, Expr) else candidate


def candidate_text(candidate: Candidate) -> str:
    """One line for a candidate; the expressions of several activation sites are joined by ` ; `."""
    return str(candidate) if isinstance(candidate, Expr) else " ; ".join(map(str, candidate))


def site_numbers(numbers: Sequence[int]) -> str:
    """Ascending numbers with their runs in short: `1-4, 6`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def is_mixture(candidate: Expr | tuple[Expr, ...]) -> bool:
    """Whether a candidate has weights that a schedule trains apart from the rest."""
    expressions = (candidate,) if isinstance(candidate, Expr) else candidate
    return any(parameter.mixture for expression in expressions for parameter in expression.parameters)


def to_document(candidate: Candidate, vocabulary: Vocabulary) -> dict[str, Any]:
    """A candidate as JSON types: what a store keeps and what a worker process is sent.

    Parameters that the grammar does not declare (the weights of a mixture) travel with it.
    """
    expressions = sites(candidate)
    own = {
        parameter.name: asdict(parameter)
        for expression in expressions
        for node in expression.walk()
        if node.is_formula
        for parameter in node.operator.parameters
        if parameter.share and parameter.name not in vocabulary.parameters
    }
    return {"expressions": [str(e) for e in expressions], "parameters": list(own.values())}


def from_document(document: dict[str, Any], vocabulary: Vocabulary) -> Expr | tuple[Expr, ...]:
    """The inverse of `to_document`.

    Raises:
        FormulaError: it is no such document, or an expression of it cannot be read.
    """
    texts = document.get("expressions") if isinstance(document, dict) else None
    if not isinstance(texts, list) or not texts:
        raise FormulaError("a candidate is a document with a list of expressions")
    if document.get("grammar") is False:  # built-in functions are meant, whatever the grammar calls by their names
        vocabulary = NO_GRAMMAR
    parameters = document.get("parameters", [])
    if not isinstance(parameters, list):
        raise FormulaError("the parameters of a candidate are a list")
    own = {parameter.name: parameter for parameter in map(_parameter, parameters)}
    if own:
        vocabulary = replace(vocabulary, parameters={**vocabulary.parameters, **own})
    parsed = tuple(parse(text, vocabulary) for text in texts)
    return parsed[0] if len(parsed) == 1 else parsed


def _parameter(document: Any) -> Parameter:
    """A parameter that travels with a candidate, as the grammar's reader would have taken it."""
    wanted = {"name", "init", "per", "positive", "share", "range", "mixture"}
    if not isinstance(document, dict) or set(document) != wanted:
        raise FormulaError(f"a parameter has {', '.join(sorted(wanted))}")
    name, init, ends = document["name"], document["init"], document["range"]
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name) or name == "x":
        raise FormulaError(f"{str(name)[:70]!r} is not the name of a parameter")
    numbers = [init, *ends] if isinstance(ends, list | tuple) and len(ends) == 2 else []
    if len(numbers) != 3 or not all(type(n) in (int, float) and abs(n) <= sys.float_info.max for n in numbers):
        raise FormulaError(f"the parameter {name!r} has no finite init and range")
    if not all(type(document[flag]) is bool for flag in ("positive", "share", "mixture")):
        raise FormulaError(f"positive, share and mixture of the parameter {name!r} are true or false")
    low, high = map(float, ends)
    if document["per"] not in ("layer", "channel") or not low < high or (document["positive"] and min(init, low) <= 0):
        raise FormulaError(f"the parameter {name!r} cannot be as it is described")
    return Parameter(**{**document, "init": float(init), "range": (low, high)})


def parse(text: str, grammar: Vocabulary | None = None) -> Expr:
    """Read an expression, in operators of the grammar or as a formula.

    A text that uses nothing but inputs and calls of the grammar's operators becomes a tree of them;
    every other text becomes a formula, in which the grammar's operators, parameters and constants
    may be named as well (they come before built-in functions of the same name).

    Raises:
        FormulaError: with the column of the offending part.
    """
    vocabulary = NO_GRAMMAR if grammar is None else grammar
    syntax = formula.read(text)
    tree = _in_operators(text, syntax, vocabulary, 0)
    return tree if tree is not None else _as_formula(text, syntax, vocabulary)


def _in_operators(text: str, node: ast.expr, vocabulary: Vocabulary, depth: int) -> Expr | None:
    match node:
        case ast.Name(id=name) if name in vocabulary.inputs and name not in vocabulary.parameters:
            return leaf(name)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if operator := _meant(name, vocabulary):
            if depth > formula.MAXIMUM_DEPTH:
                raise FormulaError(f"nested more than {formula.MAXIMUM_DEPTH} deep", text, node.col_offset)
            children = [_in_operators(text, argument, vocabulary, depth + 1) for argument in arguments]
            if any(child is None for child in children):
                return None
            if not children or operator.arity not in (None, len(children)):
                raise _wrong_arity(text, node, operator, len(children))
            return Expr(operator, tuple(child for child in children if child is not None))
    return None


def _meant(name: str, vocabulary: Vocabulary) -> Operator | None:
    """The operator that a name of a paper means (`ReLU` is `relu`), unless a built-in function is spelled just so."""
    for spelled in spellings(name):
        if spelled in vocabulary.operators:
            return vocabulary.operators[spelled]
        if functions.find(spelled) is not None:
            return None
    return None


def _wrong_arity(text: str, node: ast.Call, operator: Operator, count: int) -> FormulaError:
    wanted = {1: "1 argument", 2: "2 arguments", None: "1 or more arguments"}[operator.arity]
    return FormulaError(f"{operator.name} takes {wanted}, got {count}", text, node.col_offset, node.end_col_offset)


@dataclass
class _Mentions:
    """The parameters that a formula mentions, each numbered by occurrence unless it is shared."""

    vocabulary: Vocabulary
    found: dict[str, Parameter]
    counts: dict[str, int]

    def mention(self, parameter: Parameter) -> sympy.Symbol:
        if not parameter.share:
            self.counts[parameter.name] = self.counts.get(parameter.name, 0) + 1
            parameter = replace(parameter, name=f"{parameter.name}_{self.counts[parameter.name]}")
        self.found.setdefault(parameter.name, parameter)
        return parameter.symbol

    def name(self, name: str) -> sympy.Expr | None:
        if name in self.vocabulary.parameters:
            return self.mention(self.vocabulary.parameters[name])
        if name in self.vocabulary.inputs:
            return SYMBOLS[name]
        return self.vocabulary.constants.get(name)

    def call(self, name: str, count: int) -> Callable[..., sympy.Expr] | None:
        operator = self.vocabulary.operators.get(name)
        if operator is None or operator.arity not in (None, count):
            return None
        return lambda *arguments: apply_operator(operator, arguments, self.mention)


def _as_formula(text: str, syntax: ast.expr, vocabulary: Vocabulary) -> Expr:
    mentions = _Mentions(vocabulary, {}, {})
    expected = _expected(syntax, vocabulary)
    built = formula.FormulaBuilder(text, mentions.name, mentions.call, expected, _declared).build(syntax)
    written, named = text.strip(), built.free_symbols
    gated = SYMBOLS["g"] in named and "g" not in mentions.found
    inputs = INPUTS if gated else INPUTS[:1]
    total = not named.intersection(SYMBOLS[name] for name in inputs)
    operator = Operator(written, "formula", written, tuple(mentions.found.values()), built, total, inputs)
    return Expr(operator, tuple(map(leaf, inputs)))


def _declared(name: str) -> str:
    """Which shipped grammars declare a parameter that is not known, for the message; `""` if none."""
    grammars = declaring(name)
    if not grammars:
        return ""
    which = f"grammar{'s' * (len(grammars) > 1)} {', '.join(grammars)}"
    return f"; {name} is a parameter of the {which}: --grammar {grammars[0]}"


def _expected(syntax: ast.expr, vocabulary: Vocabulary) -> str:
    """What a name may be, for the message about one that is not known."""
    expected = f"{', '.join(vocabulary.inputs)}, pi, e, or a parameter or constant of the grammar"
    named = any(isinstance(node, ast.Name) and node.id == INPUTS[1] for node in ast.walk(syntax))
    if named and vocabulary.inputs != INPUTS:
        expected += f'; {INPUTS[1]} is an input where the grammar says inputs = ["x", "g"]'
    return expected


def substituted(expression: sympy.Basic, values: dict[sympy.Basic, sympy.Basic]) -> sympy.Basic:
    """`expression` with symbols exchanged, rebuilt without evaluation (`xreplace` would evaluate)."""
    if expression in values:
        return values[expression]
    if not expression.args:
        return expression
    arguments = [substituted(argument, values) for argument in expression.args]
    if all(new is old for new, old in zip(arguments, expression.args, strict=True)):
        return expression
    if isinstance(expression, sympy.functions.elementary.piecewise.ExprCondPair):
        return sympy.Tuple.__new__(type(expression), *arguments)
    if isinstance(expression, sympy.Piecewise):
        return piecewise(*(pair.args for pair in arguments))
    return expression.func(*arguments, evaluate=False)


def apply_operator(
    operator: Operator, arguments: tuple[sympy.Expr, ...], mention: Callable[[Parameter], sympy.Expr]
) -> sympy.Expr:
    """The unevaluated SymPy expression of one operator at `arguments`.

    Args:
        operator: of any kind but `variable`.
        arguments: one SymPy expression per argument; `nary` operators fold them from the left.
        mention: parameter -> the symbol that stands for it here.
    """
    values: dict[Any, Any] = {p.symbol: mention(p) for p in operator.parameters}
    if operator.kind != "nary":
        values.update(zip((SYMBOLS[name] for name in operator.variables), arguments, strict=True))
        return substituted(operator.formula, values)
    result = arguments[0]
    for argument in arguments[1:]:
        result = substituted(operator.formula, {**values, A: result, B: argument})
    return result


def to_sympy(expr: Expr) -> sympy.Expr:
    """An expression as one unevaluated SymPy expression in its inputs and parameters.

    Raises:
        FormulaError: it is too large to be written out.
    """
    bindings = iter(expr.bindings())
    measure = formula.Measure()

    def build(node: Expr) -> sympy.Expr:
        if node.operator.is_variable:
            return SYMBOLS[node.operator.name]
        uses = next(bindings).parameters
        arguments = tuple(build(argument) for argument in node.arguments)
        built = apply_operator(node.operator, arguments, lambda parameter: uses[parameter.name].symbol)
        if measure.of(built)[0] > formula.MAXIMUM_PARTS:
            raise FormulaError(f"written out, the expression has more than {formula.MAXIMUM_PARTS:,} parts")
        return built

    return build(expr)
