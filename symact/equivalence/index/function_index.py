"""`FunctionIndex`: which of the functions seen so far an expression is.

In: expressions, of operators or formulas, one by one or many at once. Out: the number of their function, counted
in order of appearance. A search asks it before it trains anything. Most questions are answered by structure; a
new structure costs its fingerprint; only where that meets a known one is anything compared: by the rules of
`rewriting`, then on dense points and in ball arithmetic.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.classes import CERTIFIED, NUMERIC, PROVED
from symact.equivalence.engine.grouping import ALL, BITS, CLOSE
from symact.equivalence.index.evaluation_cache import MEETING_BITS, Catalogue, Sketches
from symact.equivalence.index.judge import Judge
from symact.equivalence.terms import ANCHORS, Fingerprints, Slot, Slots
from symact.errors import InputError
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import Expr

_MOST_RENAMINGS = 120
_AT_ONCE = 4096
# The number of the slot that one parameter gets when the others of its family have 0.
_OTHER = 1


class _Member:
    """The first expression of a function, or one that is asked for.

    Attributes:
        expr: the expression.
        families: of its parameters: what they are -> their names, in order of first mention.
        slots: each parameter by name, numbered within its family.
        marks: per parameter, the fingerprint when it alone differs from the others of its family; None where that
            changes nothing. Not known until it is needed.
    """

    __slots__ = ("expr", "families", "marks", "slots")

    def __init__(self, expr: Expr, parameters: tuple[Parameter, ...]):
        self.expr = expr
        self.families: dict[tuple, list[str]] = {}
        for parameter in parameters:
            self.families.setdefault(Slot.family_of(parameter), []).append(parameter.name)
        self.slots: Slots = {
            name: Slot(family, number) for family, names in self.families.items() for number, name in enumerate(names)
        }
        self.marks: dict[str, Fingerprints | None] | None = None

    @property
    def exchangeable(self) -> bool:
        """Whether several parameters are of one family."""
        return any(len(names) > 1 for names in self.families.values())

    @property
    def alike(self) -> Slots:
        """All parameters of a family being one."""
        return {name: Slot(family, 0) for family, names in self.families.items() for name in names}


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
        self._certify = equivalence == "exact"
        self._sketches = Sketches(grammar.interval)
        self._judge = Judge(grammar.interval, self._certify)
        self._catalogue = Catalogue()
        self._numbers: dict[Expr, int] = {}
        self._by_row: dict[int, int] = {}
        self._members: list[_Member] = []
        self._evidence: list[int] = []

    def __len__(self) -> int:
        """Functions known."""
        return len(self._members)

    def add(self, expr: Expr) -> int:
        """The number of the function that `expr` is; a new one when it was not known."""
        return self._number(expr, insert=True)  # type: ignore[return-value]

    def find(self, expr: Expr) -> int | None:
        """The number of the function that `expr` is, or None when no such function was added."""
        return self._number(expr, insert=False)

    def add_different(self, expressions: Sequence[Expr]) -> list[int]:
        """The numbers of many expressions that are known to be different functions, such as those of a store.

        They are taken at their word, all at once and an order of magnitude quicker than one by one; an
        expression that is known already keeps its number.
        """
        new = [expr for expr in dict.fromkeys(expressions) if expr not in self._numbers]
        with np.errstate(all="ignore"):
            self._load(new)
        return [self._numbers[expr] for expr in expressions]

    def domain(self, expr: Expr) -> str:
        """Where an expression is defined on the interval: `everywhere` (almost), `partly` or `nowhere`."""
        return self._judge.domain(expr, _Member(expr, expr.parameters).slots)

    def domain_of(self, number: int) -> str:
        """The domain of a function that was added."""
        return self.domain(self._members[number].expr)

    def evidence(self) -> Array:
        """``(functions,)`` codes into `partition.EVIDENCE`: by what the expressions added were told apart or merged."""
        return np.array(self._evidence, np.int8)

    def _number(self, expr: Expr, insert: bool) -> int | None:
        known = self._numbers.get(expr)
        if known is not None:
            return known
        if self._sketches.full:
            self._sketches.forget()
            self._by_row = {}
        with np.errstate(all="ignore"):
            asked = _Member(expr, self._sketches.parameters(expr))
            row = self._row(asked)
            known = self._by_row.get(row)
            if known is None:
                prints = self._prints(asked)
                known = self._lookup(asked, prints)
                if known is None and insert:
                    known = self._insert(asked, prints)
        if known is not None:
            self._numbers[expr] = self._by_row[row] = known
        return known

    def _row(self, asked: _Member) -> int:
        if asked.exchangeable:
            return self._sketches.row_under(asked.expr, asked.slots)
        return self._sketches.row(asked.expr)

    def _prints(self, asked: _Member) -> Fingerprints:
        """The fingerprint with all parameters of a family being one: exchanging them does not change it."""
        prints = self._sketches.print_of(self._sketches.row(asked.expr))
        if self._certify and int(prints.trusted[0]) & MEETING_BITS != MEETING_BITS:
            return self._judge.prints(asked.expr, asked.alike)
        return prints

    def _lookup(self, asked: _Member, prints: Fingerprints) -> int | None:
        for number in self._catalogue.near(prints.anchors[0], int(prints.trusted[0])):
            how = self._compared(self._members[number], asked)
            if how is not None:
                self._evidence[number] = max(self._evidence[number], how)
                return number
        return None

    def _compared(self, member: _Member, asked: _Member) -> int | None:
        """By what evidence two expressions are one function, or None."""
        ways = list(itertools.islice(self._renamings(member, asked), _MOST_RENAMINGS))
        if not self._certify:
            return NUMERIC if any(self._alike_in_float64(member, asked, others) for others in ways) else None
        for others in ways:
            if self._judge.rules.proved(member.expr, member.slots, asked.expr, others):
                return PROVED
        for others in ways:
            if self._judge.equal(member.expr, member.slots, asked.expr, others):
                return CERTIFIED
        return None

    def _alike_in_float64(self, member: _Member, asked: _Member, others: Slots) -> bool:
        if not member.exchangeable and not asked.exchangeable:
            return True
        rows = self._sketches.row_under(member.expr, member.slots), self._sketches.row_under(asked.expr, others)
        return _near(*[self._sketches.print_of(row) for row in rows])

    def _renamings(self, member: _Member, asked: _Member) -> Iterator[Slots]:
        """Slots for the parameters of `asked`, such that it may be `member`."""
        if not member.exchangeable and not asked.exchangeable:
            yield asked.slots
            return
        ours, theirs = self._marks(member), self._marks(asked)
        choices = []
        for family, names in asked.families.items():
            active = [name for name in names if theirs[name] is not None]
            places = [name for name in member.families.get(family, []) if ours[name] is not None]
            spare = [name for name in names if theirs[name] is None]
            free = len(member.families.get(family, []))
            options = []
            for order in itertools.permutations(range(max(len(active), len(places))), len(active)):
                slots, fits = {}, True
                for name, at in zip(active, order, strict=True):
                    slot = member.slots[places[at]] if at < len(places) else Slot(family, free + at)
                    slots[name] = slot
                    fits &= at >= len(places) or _near(theirs[name], ours[places[at]])
                if fits:
                    # What changes nothing may stand anywhere.
                    slots.update({name: Slot(family, free + len(names) + i) for i, name in enumerate(spare)})
                    options.append(slots)
                if len(options) == _MOST_RENAMINGS:
                    break
            choices.append(options)
        for chosen in itertools.product(*choices):
            yield {name: slot for slots in chosen for name, slot in slots.items()}

    def _marks(self, member: _Member) -> dict[str, Fingerprints | None]:
        if member.marks is None:
            member.marks = {}
            base = self._sketches.row_under(member.expr, member.alike)
            for name, slot in member.slots.items():
                row = self._sketches.row_under(member.expr, {**member.alike, name: Slot(slot.family, _OTHER)})
                prints = [self._sketches.print_of(r) for r in (base, row)]
                same = row == base or (all(int(p.trusted[0]) == ALL for p in prints) and _near(*prints))
                member.marks[name] = None if same else prints[1]
        return member.marks

    def _load(self, expressions: Sequence[Expr]) -> None:
        """Insert expressions that are different functions."""
        for start in range(0, len(expressions), _AT_ONCE):
            if self._sketches.full:
                self._sketches.forget()
                self._by_row = {}
            part = expressions[start : start + _AT_ONCE]
            anchors = np.empty((len(part), ANCHORS))
            trusted = np.empty(len(part), np.int64)
            for numbers, prints in self._sketches.warm(part):
                anchors[numbers], trusted[numbers] = prints.anchors, prints.trusted
            for number, expr in enumerate(part):
                member = _Member(expr, self._sketches.parameters(expr))
                prints = Fingerprints(anchors[number : number + 1], trusted[number : number + 1])
                if self._certify and int(trusted[number]) & MEETING_BITS != MEETING_BITS:
                    prints = self._judge.prints(expr, member.alike)
                self._numbers[expr] = self._by_row[self._row(member)] = self._insert(member, prints)

    def _insert(self, member: _Member, prints: Fingerprints) -> int:
        self._members.append(member)
        self._evidence.append(PROVED if self._certify else NUMERIC)
        return self._catalogue.add(prints.anchors[0], int(prints.trusted[0]))


def _near(first: Fingerprints | None, second: Fingerprints | None) -> bool:
    """Whether two fingerprints agree where both are trusted."""
    if first is None or second is None:
        return first is second
    common = (int(first.trusted[0]) & int(second.trusted[0]) & BITS) != 0
    return bool(((np.abs(first.anchors[0] - second.anchors[0]) <= CLOSE) | ~common).all())
