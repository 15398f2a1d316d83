"""`Shape`: the form of a set of expressions, and how it is read.

In: text such as `binary(unary(x), unary(x))`. Out: a frozen tree of operator slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symact.errors import FormulaError
from symact.expr.operators import INPUTS, Operator
from symact.expr.tree import Expr, leaf

MAXIMUM_DEPTH = 100


@dataclass(frozen=True)
class Shape:
    """The form of a set of expressions.

    Attributes:
        kind: `unary`, `binary` or `nary`; an input, `x` or `g`; or `tree` for any tree of unary and binary operators.
        children: the shapes of the arguments, left to right; none for an input; for a `tree` what its leaves may be.
    """

    kind: str
    children: tuple[Shape, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.children))})" if self.children else self.kind

    @property
    def is_leaf(self) -> bool:
        """Whether it is an input."""
        return self.kind in INPUTS

    @property
    def size(self) -> int:
        """Operators in it; of a `tree`, 1, the least that it has."""
        return sum(child.size for child in self.children) + (not self.is_leaf)

    @property
    def depth(self) -> int:
        """Operators on its longest path; of a `tree`, 1, the least that it has."""
        return max((child.depth for child in self.children), default=0) + (not self.is_leaf)

    def walk(self) -> Iterator[Shape]:
        """Every part in prefix order, itself first, leaves included."""
        yield self
        for child in self.children:
            yield from child.walk()

    def slots(self) -> tuple[Shape, ...]:
        """The operator slots in prefix order; a `tree`, whose slots are not fixed, is one."""
        return tuple(part for part in self.walk() if not part.is_leaf)

    def build(self, operators: Sequence[Operator]) -> Expr:
        """The expression with these operators in the slots, in prefix order."""
        remaining = iter(operators)

        def fill(shape: Shape) -> Expr:
            if shape.is_leaf:
                return leaf(shape.kind)
            operator = next(remaining)
            return Expr(operator, tuple(fill(child) for child in shape.children))

        return fill(self)


X_SHAPE, G_SHAPE = map(Shape, INPUTS)
TREE = Shape("tree", (X_SHAPE,))


def parse_shape(text: str, inputs: tuple[str, ...] = INPUTS[:1]) -> Shape:
    """Read a shape such as `binary(unary(x), unary(x))`; `n-ary(...)` is read as `nary(...)`.

    Args:
        text: one shape.
        inputs: what may stand at its leaves.

    Raises:
        FormulaError: with the column of the offending part.
    """
    return _ShapeReader(text, inputs).read()


class _ShapeReader:
    """A recursive descent over one line: kind, parenthesis, arguments."""

    arity = {"unary": 1, "binary": 2, "nary": None, "tree": None}

    def __init__(self, text: str, inputs: tuple[str, ...]):
        self.text, self.at, self.inputs = text, 0, inputs
        self.expected = f"expected {', '.join(inputs)}, unary(...), binary(..., ...), nary(..., ...) or {self.tree}"

    @property
    def tree(self) -> str:
        return f"tree({', '.join(self.inputs)})"

    def read(self) -> Shape:
        if len(self.text) > 10_000:
            raise FormulaError("a shape has at most 10,000 characters")
        shape = self._shape(0)
        if self._peek():
            raise self._error("the shape ends before this")
        if any(part.kind == "tree" for child in shape.children for part in child.walk()):
            raise FormulaError(
                f"{self.tree} stands alone, not inside another shape", self.text, self.text.index("tree")
            )
        return shape

    def _error(self, reason: str, start: int | None = None) -> FormulaError:
        column = self.at if start is None else start
        return FormulaError(reason, self.text or " ", column, max(self.at, column + 1))

    def _peek(self) -> str:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def _take(self, character: str) -> None:
        if self._peek() != character:
            raise self._error(f"expected {character!r}" + ("" if self._peek() else " before the end"))
        self.at += 1

    def _shape(self, depth: int) -> Shape:
        if depth > MAXIMUM_DEPTH:
            raise self._error(f"a shape may be at most {MAXIMUM_DEPTH} operators deep")
        self._peek()
        start = self.at
        while self.at < len(self.text) and (self.text[self.at].isalnum() or self.text[self.at] in "_-"):
            self.at += 1
        word = self.text[start : self.at]
        if word in self.inputs:
            return Shape(word)
        kind = "nary" if word == "n-ary" else word
        if kind not in self.arity:
            hint = '; g is an input where the grammar says inputs = ["x", "g"]' if word in INPUTS else ""
            raise self._error(f"unknown kind {word!r}; {self.expected}{hint}" if word else self.expected, start)
        self._take("(")
        children = [self._shape(depth + 1)]
        while self._peek() == ",":
            self.at += 1
            children.append(self._shape(depth + 1))
        self._take(")")
        wanted = self.arity[kind]
        if wanted is not None and len(children) != wanted:
            raise self._error(f"{kind} takes {wanted} argument{'s' * (wanted > 1)}, got {len(children)}", start)
        if kind == "tree" and children not in ([X_SHAPE], list(map(Shape, self.inputs))):
            raise self._error(f"tree is written {' or '.join(dict.fromkeys((str(TREE), self.tree)))}", start)
        return Shape(kind, tuple(children))
