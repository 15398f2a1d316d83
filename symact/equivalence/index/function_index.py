"""`FunctionIndex`: which of the functions seen so far an expression is.

In: expressions, of operators or formulas, one by one or many at once. Out: the number of their function, counted
in order of appearance. A search asks it before it trains anything. Most questions are answered by structure; a
new structure costs its fingerprint; only where that meets a known one is anything compared: by the rewriting rules,
then as the terms of a table are, on dense points and in ball arithmetic.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.classes import CERTIFIED, NUMERIC, PROVED, ClassBuilder
from symact.equivalence.engine.domains import DOMAINS, domains
from symact.equivalence.engine.grouping import ALL, COMMON_BITS, FingerprintIndex, agreeing
from symact.equivalence.engine.term_columns import TermColumns
from symact.equivalence.index.evaluation_cache import EvaluationCache
from symact.equivalence.numeric.fingerprints import Fingerprints
from symact.equivalence.numeric.samples import BLOCKS
from symact.equivalence.rules.prover import Prover
from symact.equivalence.terms import ParameterKind, ParameterSlot, Slots, numbered_slots
from symact.errors import InputError
from symact.expr.operators import INPUTS, Parameter, Vocabulary
from symact.expr.tree import Candidate, Expr, leaf, of_x_alone, sites

_MOST_RENAMINGS = 120
_MOST_COMPARED = 20_000
_AT_ONCE = 4096
# The number of the slot that one parameter gets when the others of its kind have 0.
_OTHER = 1


class _IndexedFunction:
    """The first expression of a function, or one that is asked for.

    Attributes:
        expr: the expression.
        names: of its parameters by kind, in order of first mention.
        slots: each parameter by name, numbered within its kind.
        parameter_fingerprints: per parameter, the fingerprint when it alone differs from the others of its kind; None
            where that changes nothing. Not known until it is needed.
    """

    __slots__ = ("expr", "names", "parameter_fingerprints", "slots")

    def __init__(self, expr: Expr, parameters: tuple[Parameter, ...]):
        self.expr = expr
        self.slots = numbered_slots(parameters)
        self.names: dict[ParameterKind, list[str]] = {}
        for name, slot in self.slots.items():
            self.names.setdefault(slot.kind, []).append(name)
        self.parameter_fingerprints: dict[str, Fingerprints | None] | None = None

    @property
    def exchangeable(self) -> bool:
        """Whether several parameters are of one kind."""
        return len(self.names) < len(self.slots)

    @property
    def alike(self) -> Slots:
        """All parameters of a kind being one."""
        return {name: ParameterSlot(slot.kind, 0) for name, slot in self.slots.items()}


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
        self._cache = EvaluationCache(grammar.interval, len(grammar.inputs))
        self._fingerprints = FingerprintIndex()
        self._numbers: dict[Expr, int] = {}
        self._functions: list[_IndexedFunction] = []
        self._evidence: list[int] = []
        # First expressions of classes whose fingerprints nobody has asked for yet; they have the next numbers.
        self._waiting: list[Expr] = []
        self.forget()
        self._compare()

    @classmethod
    def of_classes(cls, grammar: Vocabulary, expressions: Sequence[Expr], labels: Sequence[int]) -> FunctionIndex:
        """An index that begins with the classes of a table.

        Args:
            grammar: of the table.
            expressions: all that it lists.
            labels: their classes, numbered by first member; these are the numbers in the index.
        """
        index = cls(grammar)
        index._numbers.update(zip(expressions, labels, strict=True))
        for expression, label in zip(expressions, labels, strict=True):
            if label == len(index._waiting):
                index._waiting.append(expression)
        return index

    def forget(self) -> None:
        """Let go of all structures; the functions and their numbers stay."""
        self._cache.forget()
        self._prover = Prover(self._cache.graph)
        self._by_term: dict[int, int] = {}
        # Remembered term -> the same in the builder's graph.
        self._compared: dict[int, int] = {n: n for n in range(len(self.grammar.inputs))}

    def _compare(self) -> None:
        """Begin with a new graph of terms that are compared."""
        inputs = len(self.grammar.inputs)
        self._builder = ClassBuilder(self.grammar.interval, self._certify, inputs)
        self._compared = {n: n for n in range(inputs)}
        self._columns: dict[int, TermColumns] = {n: self._builder.variables[n : n + 1] for n in range(inputs)}

    def __len__(self) -> int:
        """Functions known."""
        return len(self._functions) + len(self._waiting)

    def key(self, candidate: Candidate) -> tuple[int, ...]:
        """The functions of a candidate, site by site, new ones added; the same one at all sites counts as one."""
        numbers = tuple([self.add(expr) for expr in sites(candidate)])
        return numbers[:1] if len(set(numbers)) == 1 else numbers

    def add(self, expr: Expr) -> int:
        """The number of the function that `expr` is; a new one when it was not known."""
        return self._number(expr, insert=True)  # type: ignore[return-value]

    def find(self, expr: Expr) -> int | None:
        """The number of the function that `expr` is, or None when no such function was added."""
        return self._number(expr, insert=False)

    def add_different(self, expressions: Sequence[Expr]) -> list[int]:
        """The numbers of many expressions that are known to be different functions, such as those of a store.

        They are compared with the functions that are known, but not with each other: all at once, and an order of
        magnitude quicker than one by one.
        """
        new = [expr for expr in dict.fromkeys(expressions) if expr not in self._numbers]
        if new:
            self._load_waiting()
            self._load(new)
        return [self._numbers[expr] for expr in expressions]

    def domain(self, expr: Expr) -> str:
        """Where an expression is defined on the interval: `everywhere` (almost), `partly` or `nowhere`.

        The rules tell it where they can; else it is decided as it is for the classes of a table.
        """
        self._make_room()
        number = self._cache.graph.term_of(expr, numbered_slots(expr.parameters))
        form = self._prover.form(number)
        if form.kind == "nowhere" or not form.tags:
            return "nowhere" if form.kind == "nowhere" else "everywhere"
        with np.errstate(all="ignore"):
            return DOMAINS[domains(self._builder, self._described(number), np.zeros(1, np.int64))[0]]

    def domain_of(self, number: int) -> str:
        """The domain of a function that was added."""
        self._load_waiting()
        return self.domain(self._functions[number].expr)

    def evidence(self) -> Array:
        """``(functions,)`` codes into `classes.EVIDENCE`: by what the expressions added were told apart or merged."""
        self._load_waiting()
        return np.array(self._evidence, np.int8)

    def _make_room(self) -> None:
        if self._cache.full:
            self.forget()
        if self._builder.graph.size > _MOST_COMPARED:
            self._compare()

    def _number(self, expr: Expr, insert: bool) -> int | None:
        known = self._numbers.get(expr)
        if known is not None:
            return known
        self._load_waiting()
        self._make_room()
        if len(self.grammar.inputs) == 1:
            of_x_alone(expr, "a grammar of one input")
        with np.errstate(all="ignore"):
            asked = _IndexedFunction(expr, self._cache.parameters(expr))
            term = self._term(asked)
            known = self._by_term.get(term)
            if known is None:
                fingerprints = self._fingerprint(asked)
                known = self._known(asked, fingerprints)
                if known is None and insert:
                    known = self._insert(asked, fingerprints)
        if known is not None:
            self._numbers[expr] = self._by_term[term] = known
        return known

    def _term(self, asked: _IndexedFunction) -> int:
        if asked.exchangeable:
            return self._cache.graph.term_of(asked.expr, asked.slots)
        return self._cache.term(asked.expr)

    def _fingerprint(self, asked: _IndexedFunction) -> Fingerprints:
        """The fingerprint with all parameters of a kind being one: exchanging them does not change it."""
        term = self._cache.term(asked.expr)
        return self._completed(term, self._cache.fingerprint(term))

    def _completed(self, term: int, fingerprints: Fingerprints) -> Fingerprints:
        """A fingerprint with what float64 lost at the common blocks from ball arithmetic."""
        if not self._certify or int(fingerprints.reliable[0]) & COMMON_BITS == COMMON_BITS:
            return fingerprints
        return self._described(term).fingerprints

    def _described(self, term: int) -> TermColumns:
        """A remembered term as it is compared."""
        number = self._number_compared(term)
        if number not in self._columns:
            self._columns[number] = self._builder.columns_of(number)
        return self._columns[number]

    def _number_compared(self, term: int) -> int:
        number = self._compared.get(term)
        if number is None:
            symbol, arguments = self._cache.graph.term(term)
            known = self._cache.graph.symbols[symbol]
            own = self._builder.graph.symbol(known.operator, known.slots)
            number = self._builder.apply(own, tuple([self._number_compared(argument) for argument in arguments]))
            self._compared[term] = number
        return number

    def _known(self, asked: _IndexedFunction, fingerprints: Fingerprints, below: int | None = None) -> int | None:
        """The known function that is asked for, with its inputs exchanged where the grammar says so."""
        known = self._lookup(asked, fingerprints, below)
        if known is None and self.grammar.symmetric_inputs:
            other = _IndexedFunction(exchanged(asked.expr), self._cache.parameters(asked.expr))
            known = self._by_term.get(self._term(other))
            if known is None or (below is not None and known >= below):
                known = self._lookup(other, self._fingerprint(other), below)
        return known

    def _lookup(self, asked: _IndexedFunction, fingerprints: Fingerprints, below: int | None = None) -> int | None:
        """The known function that is asked for, of those with a number below some one."""
        for number in self._fingerprints.near(fingerprints):
            if below is not None and number >= below:
                continue
            evidence = self._evidence_of(self._functions[number], asked)
            if evidence is not None:
                self._evidence[number] = max(self._evidence[number], evidence)
                return number
        return None

    def _evidence_of(self, function: _IndexedFunction, asked: _IndexedFunction) -> int | None:
        """By what evidence two expressions are one function, or None."""
        ways = list(itertools.islice(self._renamings(function, asked), _MOST_RENAMINGS))
        if not self._certify and not function.exchangeable and not asked.exchangeable:
            return NUMERIC
        term = self._term(function)
        others = [self._cache.graph.term_of(asked.expr, slots) if slots else self._term(asked) for slots in ways]
        if not self._certify:
            own = self._cache.fingerprint(term)
            return NUMERIC if any(_near(own, self._cache.fingerprint(other)) for other in others) else None
        if any(self._prover.proved(term, other) for other in others):
            return PROVED
        return CERTIFIED if any(self._equal(term, other) for other in others) else None

    def _equal(self, first: int, second: int) -> bool:
        """Whether two remembered terms are the same function, decided in float64 and balls."""
        pair = [self._described(first), self._described(second)]
        if pair[0] is pair[1]:
            return True
        labels = self._builder.classify(TermColumns.joined(pair), certify_all=True).labels
        return bool(labels[0] == labels[1])

    def _renamings(self, function: _IndexedFunction, asked: _IndexedFunction) -> Iterator[Slots]:
        """Slots for the parameters of `asked`, such that it may be `function`."""
        if not function.exchangeable and not asked.exchangeable:
            yield asked.slots
            return
        ours, theirs = self._parameter_fingerprints(function), self._parameter_fingerprints(asked)
        choices = []
        for kind, names in asked.names.items():
            active = [name for name in names if theirs[name] is not None]
            known = function.names.get(kind, [])
            targets = [name for name in known if ours[name] is not None]
            spare = [name for name in names if theirs[name] is None]
            free = len(known)
            options = []
            for order in itertools.permutations(range(max(len(active), len(targets))), len(active)):
                slots, fits = {}, True
                for name, at in zip(active, order, strict=True):
                    slot = function.slots[targets[at]] if at < len(targets) else ParameterSlot(kind, free + at)
                    slots[name] = slot
                    fits &= at >= len(targets) or _near(theirs[name], ours[targets[at]])
                if fits:
                    # What changes nothing may stand anywhere.
                    slots.update({name: ParameterSlot(kind, free + len(names) + i) for i, name in enumerate(spare)})
                    options.append(slots)
                if len(options) == _MOST_RENAMINGS:
                    break
            choices.append(options)
        for chosen in itertools.product(*choices):
            yield {name: slot for slots in chosen for name, slot in slots.items()}

    def _parameter_fingerprints(self, function: _IndexedFunction) -> dict[str, Fingerprints | None]:
        if function.parameter_fingerprints is None:
            graph, found = self._cache.graph, {}
            base = graph.term_of(function.expr, function.alike)
            for name, slot in function.slots.items():
                other = graph.term_of(function.expr, {**function.alike, name: ParameterSlot(slot.kind, _OTHER)})
                pair = [self._cache.fingerprint(term) for term in (base, other)]
                same = other == base or (all(int(part.reliable[0]) == ALL for part in pair) and _near(*pair))
                found[name] = None if same else pair[1]
            function.parameter_fingerprints = found
        return function.parameter_fingerprints

    def _load_waiting(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._load(waiting)

    @np.errstate(all="ignore")
    def _load(self, expressions: Sequence[Expr]) -> None:
        """Take in expressions that are different functions."""
        known = len(self._functions)
        for start in range(0, len(expressions), _AT_ONCE):
            self._make_room()
            part = expressions[start : start + _AT_ONCE]
            found = Fingerprints(np.empty((len(part), BLOCKS)), np.empty(len(part), np.uint8))
            for numbers, fingerprints in self._cache.warm(part):
                found.projections[numbers], found.reliable[numbers] = fingerprints.projections, fingerprints.reliable
            for at, expr in enumerate(part):
                function = _IndexedFunction(expr, self._cache.parameters(expr))
                fingerprints = self._completed(self._cache.term(expr), found[at : at + 1])
                number = self._known(function, fingerprints, known) if known else None
                number = self._insert(function, fingerprints) if number is None else number
                self._numbers[expr] = self._by_term[self._term(function)] = number

    def _insert(self, function: _IndexedFunction, fingerprints: Fingerprints) -> int:
        self._functions.append(function)
        self._evidence.append(PROVED if self._certify else NUMERIC)
        return self._fingerprints.add(fingerprints)


def exchanged(expr: Expr) -> Expr:
    """The function with its inputs exchanged; to be compared, not to be read: a formula shows its text as it is."""
    if expr.operator.is_variable:
        return leaf(INPUTS[1 - INPUTS.index(expr.operator.name)])
    return Expr(expr.operator, tuple(map(exchanged, expr.arguments)))


def _near(first: Fingerprints | None, second: Fingerprints | None) -> bool:
    """Whether two fingerprints agree where both are reliable."""
    if first is None or second is None:
        return first is second
    common = int(first.reliable[0]) & int(second.reliable[0])
    return not common or bool(agreeing(first, second.projections[0], int(second.reliable[0]))[0])
