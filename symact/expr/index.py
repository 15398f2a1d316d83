"""`FunctionIndex`: which of the functions seen so far an expression is.

In: expressions, of operators or formulas, one by one. Out: the number of their function, counted in order
of appearance. A search asks it before it trains anything. The rules are those of `identity`: fingerprints
propose, dense points and ball arithmetic dispose.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left, insort
from collections.abc import Iterator

import numpy as np

from symact.errors import InputError
from symact.expr.candidates import Candidates
from symact.expr.fields import ANCHORS, POINTS, Slot
from symact.expr.kernels import Array
from symact.expr.partition import CERTIFIED, NUMERIC, PROVED, Functions
from symact.expr.proposals import ALL, BITS, CLOSE
from symact.expr.tree import Expr
from symact.expr.vocabulary import VARIABLE, Parameter, Vocabulary

_MOST_RENAMINGS = 120


class FunctionIndex:
    """Numbers functions as they come.

    Args:
        grammar: its interval is where functions are compared; expressions may come from outside it.
        equivalence: `exact`, or `sampled` to decide by float64 alone.

    Raises:
        InputError: an unknown equivalence.
    """

    def __init__(self, grammar: Vocabulary, equivalence: str = "exact"):
        if equivalence not in ("exact", "sampled"):
            raise InputError(f"an index of functions knows 'exact' and 'sampled', not {equivalence!r}")
        self.grammar = grammar
        self._functions = Functions(grammar.interval, certify=equivalence == "exact")
        self._numbers: dict[Expr, int] = {}
        self._rows: dict[tuple[int, tuple[int, ...]], int] = {}
        self._described: dict[int, Candidates] = {}
        self._evidence: list[int] = []
        self._members: list[Candidates] = []
        self._full: list[tuple[float, int]] = []
        self._partial: list[int] = []
        self._anchors = np.empty((64, ANCHORS))
        self._trusted = np.empty(64, np.int64)

    def __len__(self) -> int:
        """Functions known."""
        return len(self._members)

    def add(self, expr: Expr) -> int:
        """The number of the function that `expr` is; a new one when it was not known."""
        found = self.find(expr)
        if found is None:
            found = self._insert(self._describe(expr, next(_renamings(expr.parameters))))
            self._numbers[expr] = found
        return found

    def find(self, expr: Expr) -> int | None:
        """The number of the function that `expr` is, or None when no such function was added."""
        known = self._numbers.get(expr)
        if known is not None:
            return known
        with np.errstate(all="ignore"):
            for slots in _renamings(expr.parameters):
                number = self._lookup(self._describe(expr, slots))
                if number is not None:
                    self._numbers[expr] = number
                    self._evidence[number] = CERTIFIED if self._functions.certify else NUMERIC
                    return number
        return None

    def domain(self, expr: Expr) -> str:
        """Where an expression is defined on the interval: `everywhere` (almost), `partly` or `nowhere`."""
        with np.errstate(all="ignore"):
            return _domain(self._describe(expr, next(_renamings(expr.parameters))))

    def domain_of(self, number: int) -> str:
        """The domain of a function that was added."""
        return _domain(self._members[number])

    def evidence(self) -> Array:
        """``(functions,)`` codes into `partition.EVIDENCE`: by what the expressions added were told apart or merged."""
        return np.array(self._evidence, np.int8)

    def _describe(self, expr: Expr, slots: dict[str, Slot]) -> Candidates:
        row = self._row(expr, slots)
        if row == 0:
            return self._functions.variable
        if row not in self._described:
            head, arguments = self._functions.dag.node(row)
            described = self._functions.describe(
                head, np.array([arguments]), self._functions.base.values[row : row + 1]
            )
            if self._functions.certify:
                self._functions.repair(described)
            self._described[row] = described
        return self._described[row]

    def _row(self, expr: Expr, slots: dict[str, Slot]) -> int:
        bindings = iter(expr.bindings())

        def walk(node: Expr) -> int:
            if node.operator is VARIABLE:
                return 0
            uses = next(bindings).parameters
            own = tuple(slots[uses[p.name].name] for p in node.operator.parameters)
            arguments = [walk(argument) for argument in node.arguments]
            head = self._functions.dag.head(node.operator, own)
            if node.operator.kind != "nary":
                return self._step(head, tuple(arguments))
            row = arguments[0]
            for argument in arguments[1:]:
                row = self._step(head, (row, argument))
            return row

        with np.errstate(all="ignore"):
            return walk(expr)

    def _step(self, head: int, arguments: tuple[int, ...]) -> int:
        known = self._functions.dag.heads[head]
        if known.alias is not None:
            return arguments[known.alias]
        if known.tape.total:
            arguments = (0,) * known.arity
        elif known.commutative:
            arguments = tuple(sorted(arguments))
        row = self._rows.get((head, arguments))
        if row is None:
            one = self._functions.candidates([(head, np.array([arguments], np.int64))])
            row = self._rows[(head, arguments)] = int(self._functions.adopt(one)[0])
        return row

    def _lookup(self, asked: Candidates) -> int | None:
        trusted = int(asked.prints.trusted[0])
        anchors = asked.prints.anchors[0]
        if trusted == ALL:
            total = float(anchors.sum())
            start = bisect_left(self._full, (total - CLOSE, -1))
            numbers = list(self._partial)
            for near, number in self._full[start:]:
                if near > total + CLOSE:
                    break
                numbers.append(number)
        else:
            numbers = list(range(len(self._members)))
        if not numbers:
            return None
        rows = np.array(numbers)
        common = (self._trusted[rows] & trusted)[:, None] & BITS != 0
        near = (np.abs(self._anchors[rows] - anchors) <= CLOSE) | ~common
        for number in sorted(rows[near.all(axis=1) & common.any(axis=1)].tolist()):
            if not self._functions.certify or self._functions.equal(self._members[number], asked):
                return int(number)
        return None

    def _insert(self, member: Candidates) -> int:
        number = len(self._members)
        self._members.append(member)
        self._evidence.append(PROVED if self._functions.certify else NUMERIC)
        if number == len(self._trusted):
            self._anchors = np.concatenate([self._anchors, np.empty_like(self._anchors)])
            self._trusted = np.concatenate([self._trusted, np.empty_like(self._trusted)])
        self._anchors[number] = member.prints.anchors[0]
        self._trusted[number] = member.prints.trusted[0]
        if member.prints.trusted[0] == ALL:
            insort(self._full, (float(member.prints.anchors[0].sum()), number))
        else:
            self._partial.append(number)
        return number


def _domain(described: Candidates) -> str:
    undefined = int(described.undefined[0])
    return "everywhere" if undefined == 0 else "nowhere" if undefined == POINTS else "partly"


def _renamings(parameters: tuple[Parameter, ...]) -> Iterator[dict[str, Slot]]:
    """Every way to number the parameters of each family; order of first mention comes first."""
    families: dict[tuple, list[str]] = {}
    for parameter in parameters:
        families.setdefault(Slot.family_of(parameter), []).append(parameter.name)
    count = math.prod(math.factorial(len(names)) for names in families.values())
    orders = [
        list(itertools.permutations(names)) if count <= _MOST_RENAMINGS else [tuple(names)]
        for names in families.values()
    ]
    for chosen in itertools.product(*orders):
        yield {
            name: Slot(family, number)
            for family, names in zip(families, chosen, strict=True)
            for number, name in enumerate(names)
        }
