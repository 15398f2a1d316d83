"""Terms -> classes of equal functions: fingerprints make groups, a dense grid and ball arithmetic take them apart.

A term whose values are reliable everywhere is found by one sort; one that lost precision or left the range of
float64 at some points is compared where it is reliable. Every group is looked at again on a dense grid and certified,
at its most informative points, in ball arithmetic; so is every close pair.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from symact.arrays import Array
from symact.equivalence.engine.certification import Certification
from symact.equivalence.engine.dense_comparison import DenseComparison
from symact.equivalence.engine.formula_parts import FormulaParts
from symact.equivalence.engine.grouping import ALL, COMMON_BITS, COMMON_BLOCKS, group
from symact.equivalence.engine.neighbours import Neighbours
from symact.equivalence.engine.reliability import Reliability, ReliabilityAnalysis
from symact.equivalence.engine.term_columns import TermColumns, spans
from symact.equivalence.exact.comparison import BallComparison, Point
from symact.equivalence.numeric.fingerprints import fingerprint, project_block
from symact.equivalence.numeric.samples import BLOCKS, PER_BLOCK, POINTS, SampleGrid, sample_points
from symact.equivalence.parallel import in_threads, shares
from symact.equivalence.rules.form import Form
from symact.equivalence.rules.prover import Prover
from symact.equivalence.rules.table_rules import TableRules
from symact.equivalence.terms import TermGraph

# Batches of fewer terms than these are described together.
_BATCH = 512
Batch: TypeAlias = "tuple[int, Array, int]"

PROVED, CERTIFIED, NUMERIC = 0, 1, 2
EVIDENCE = ("proved", "certified", "numeric")


@dataclass
class Classes:
    """Attributes: ``labels`` ``(terms,)`` from 0; ``evidence`` ``(classes,)`` codes into `EVIDENCE`."""

    labels: Array
    evidence: Array


class ClassBuilder:
    """The functions known so far: distinct terms of a graph with their values, and how to compare new ones.

    Args:
        interval: (low, high), where functions are compared.
        certify: decide doubtful comparisons in ball arithmetic.
        inputs: of the functions, each in the interval.

    Attributes:
        graph: of all functions.
        base: the sample points, with the values of all terms of the graph.
        dense: what is between them.
        comparison: in balls.
        rules: what is known for sure of the terms of the graph.
        variables: the terms of the inputs, described.
    """

    def __init__(self, interval: tuple[float, float], certify: bool = True, inputs: int = 1):
        self.certify = certify
        self.graph = TermGraph(inputs)
        low, high = float(interval[0]), float(interval[1])
        self.base = SampleGrid(self.graph, sample_points(low, high), seed=1, doubled=certify)
        self.dense = DenseComparison(self.base, (low, high))
        self.comparison = BallComparison(self.graph, self.base.x)
        self._neighbours = Neighbours(self.base, self.dense, self.comparison)
        self._formula_parts = FormulaParts(self.base, (low, high))
        self._analysis = ReliabilityAnalysis(self.base)
        self._proof = np.zeros(64, np.int8)
        # Terms that float64 knows to be undefined where they are: no rounding made a root negative.
        self._sure = np.zeros(64, bool)
        self._sure[:inputs] = True
        self.rules = TableRules(self.graph)
        self._prover: Prover | None = None
        numbers = np.arange(inputs)
        self.variables = self.describe(-1 - numbers, np.zeros((inputs, 0), np.int64), self.base.values)
        self.variables.numbers[:] = numbers

    def described(self, applications: Sequence[tuple[int, Array]]) -> TermColumns:
        """Describe terms, given as symbols with arguments ``(terms, arity)``, without keeping their values."""
        batches = [batch for symbol, arguments in applications for batch in self.base.batches(symbol, arguments)]

        def describe(share: Sequence[list[Batch]]) -> TermColumns:
            return TermColumns.joined([self._described(together) for together in share])

        return TermColumns.joined(in_threads(describe, shares(list(_together(batches)))))

    def _described(self, together: list[Batch]) -> TermColumns:
        """Batches, of one symbol each, evaluated one by one and described together."""
        sizes = [len(arguments) for _, arguments, _ in together]
        values = np.empty((sum(sizes), self.base.columns))
        symbols = np.repeat([symbol for symbol, _, _ in together], sizes)
        columns = np.full((len(values), max(arguments.shape[1] for _, arguments, _ in together)), -1)
        for (symbol, arguments, first), end in zip(together, itertools.accumulate(sizes), strict=True):
            own = slice(end - len(arguments), end)
            values[own] = self.base.apply(symbol, arguments, first)
            columns[own, : arguments.shape[1]] = arguments
        return self.describe(symbols, columns, values)

    def describe(self, symbols: Array, arguments: Array, values: Array) -> TermColumns:
        """What is kept of terms with these values ``(terms, columns)``; unused arguments are -1."""
        undefined = np.isnan(values[:, :POINTS]).sum(axis=1)
        proof = np.zeros(len(values), np.int8)
        if self.certify:
            total = np.array([*[symbol.total for symbol in self.graph.symbols], *[False] * self.graph.inputs])
            for column in np.where(total[symbols][:, None], -1, arguments).T:
                np.maximum(proof, np.where(column >= 0, self._proof[column], 0), out=proof)
        numbers = np.full(len(symbols), -1)
        fingerprints = fingerprint(values, self.base.bounds)
        return TermColumns(symbols.astype(np.int32), arguments, fingerprints, undefined, proof, numbers)

    def add(self, chosen: TermColumns) -> Array:
        """Make terms that are new part of the graph, with values; gives their numbers."""
        numbers = np.empty(len(chosen), np.int64)
        for symbol in np.unique(chosen.symbols).tolist():
            where = np.flatnonzero(chosen.symbols == symbol)
            arguments = np.ascontiguousarray(chosen.arguments[where, : self.graph.symbols[symbol].arity])
            numbers[where] = self.graph.append(symbol, arguments) + np.arange(len(where))
            self.rules.learn(symbol, arguments, numbers[where])
        self._learn(chosen, numbers)
        self.base.extend()
        return numbers

    def apply(self, symbol: int, arguments: tuple[int, ...]) -> int:
        """As `TermGraph.apply`; a term that is new gets its values."""
        size = self.graph.size
        number = self.graph.apply(symbol, arguments)
        if self.graph.size > size:
            self.rules.learn(symbol, np.array([self.graph.term(number)[1]]), np.array([number]))
            self.base.extend()
            self._learn(self._columns(number), np.array([number]))
        return number

    def _learn(self, chosen: TermColumns, numbers: Array) -> None:
        """Remember what is known of new terms of the graph."""
        while len(self._proof) < self.graph.size:
            self._proof = np.concatenate([self._proof, np.zeros_like(self._proof)])
            self._sure = np.concatenate([self._sure, np.zeros_like(self._sure)])
        self._sure[numbers] = self.sure(chosen, np.arange(len(chosen)))
        if self.certify:
            self._analysis.add(chosen, numbers)

    def _columns(self, number: int) -> TermColumns:
        symbol, arguments = self.graph.term(number)
        return self.describe(np.array([symbol]), np.array([arguments]), self.base.values[number : number + 1])

    def columns_of(self, number: int) -> TermColumns:
        """A term of the graph, described, with what float64 lost at the common blocks from ball arithmetic."""
        found = self._columns(number)
        found.numbers[:] = number
        if self.certify:
            self.repair(found)
        return found

    def sure(self, terms: TermColumns, members: Array) -> Array:
        """``(members,)`` whether float64 knows for sure where some of the terms are undefined.

        It does where values are reliable, and what makes a value undefined is the sign of a reliable value, not of
        something within an operator's formula.
        """
        plain = [*[symbol.plain_domain for symbol in self.graph.symbols], *[True] * self.graph.inputs]
        simple = np.array(plain)[terms.symbols[members]]
        known = terms.arguments[members]
        arguments = (self._sure[np.maximum(known, 0)] | (known < 0)).all(axis=1)
        proved: Array = simple & arguments & (terms.fingerprints.reliable[members] == ALL)
        return proved

    def record(self, numbers: Array, evidence: Array) -> None:
        """Remember by what the classes of terms of the graph were made."""
        np.maximum.at(self._proof, numbers, evidence)

    def proof(self, numbers: Array) -> Array:
        """By what the classes of terms of the graph were made, as far as it was recorded."""
        return self._proof[numbers]

    def repair(self, terms: TermColumns) -> None:
        """Terms that float64 lost at the common blocks get these values from ball arithmetic."""
        fingerprints = terms.fingerprints
        for index in np.flatnonzero((fingerprints.reliable & COMMON_BITS) != COMMON_BITS).tolist():
            term = terms.term(index)
            for block in COMMON_BLOCKS if fingerprints.reliable[index] else range(BLOCKS):
                if fingerprints.reliable[index] >> block & 1:
                    continue
                points = range(block * PER_BLOCK, (block + 1) * PER_BLOCK)
                features = np.array([self.comparison.approximate(term, self.base, point) for point in points])
                if not np.isnan(features).any():
                    fingerprints.projections[index, block] = project_block(features, block)
                    fingerprints.reliable[index] |= 1 << block

    def classify(
        self, terms: TermColumns, distinct: int = 0, prove: bool = False, certify_all: bool = False
    ) -> Classes:
        """Class the terms; of each class the label is new, in order of its first member.

        Args:
            terms: what to class.
            distinct: so many of the first terms are known to be different functions.
            prove: use the rewriting rules on members of groups, before anything is compared.
            certify_all: decide clear comparisons in ball arithmetic, too.
        """
        if not self.certify:
            return _finished(group(terms.fingerprints)[0], np.full(len(terms), NUMERIC, np.int8))
        self.repair(terms)
        labels, doubtful, tight = group(terms.fingerprints)
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0])
        ends = np.r_[starts[1:], len(order)]
        evidence = terms.proof.copy()
        # A group of distinct terms alone has nothing to decide; members come in order, so its last one tells.
        open_groups = (ends - starts > 1) & (order[ends - 1] >= distinct)
        for start in starts[(ends - starts > 1) & ~open_groups].tolist():
            members = order[start : ends[np.searchsorted(starts, start)]]
            labels[members[1:]] = -members[1:] - 1
        starts, ends = starts[open_groups], ends[open_groups]
        followers: dict[int, int] = {}
        if prove and len(starts):
            order, starts, ends, followers = self._proved(terms, order, starts, ends, distinct)
        extra_points = self.dense.extra_points(terms, order, starts, ends)
        members = spans(order, starts, ends)
        telling = self._neighbours.points(terms, members, ends - starts)
        for member, points in self._formula_parts.points(terms, members, ends - starts).items():
            telling[member] = [*telling.get(member, ()), *points]
        reliability = self._analysis.reliability(terms, members)
        mixed = np.concatenate([[0], np.cumsum((tight[order[1:]] != tight[order[:-1]]) | doubtful[order[1:]]), [0]])
        hard = (mixed[ends - 1] > mixed[starts]) | doubtful[order[starts]]
        hard |= order[np.minimum(starts + 1, len(order) - 1)] < distinct
        clear = ~hard & (not certify_all) & _informative(reliability, order, starts, ends)
        if extra_points or telling:
            offsets = np.cumsum(ends - starts) - (ends - starts)
            clear &= ~np.logical_or.reduceat(np.isin(members, [*extra_points, *telling]), offsets)
        evidence[members] = np.maximum(evidence[members], np.repeat(np.where(clear, NUMERIC, CERTIFIED), ends - starts))
        known = np.where(doubtful, -np.arange(len(terms)) - 1, tight)

        def differences(first: int, second: int) -> list[Point]:
            return self.dense.differences(terms, first, second)

        certification = Certification(
            self.comparison, self.base, terms, reliability, known, distinct, extra_points, telling, differences
        )
        certification.certify(order, starts[~clear], ends[~clear], labels)
        if followers:
            labels[list(followers)] = labels[list(followers.values())]
        return _finished(labels, evidence)

    def _proved(
        self, terms: TermColumns, order: Array, starts: Array, ends: Array, distinct: int
    ) -> tuple[Array, Array, Array, dict[int, int]]:
        """Groups without the members that rules prove to be others, and which others: (order, starts, ends, those)."""
        if self._prover is None:
            self._prover = Prover(self.graph)
        followers: dict[int, int] = {}
        groups = []
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            leaders: dict[Form, int] = {}
            members = order[start:end].tolist()
            for member in members:
                leader = leaders.setdefault(self._prover.form_of(terms.term(member)), member)
                if leader != member and member >= distinct:
                    followers[member] = leader
            left = [member for member in members if member not in followers]
            if len(left) > 1:
                groups.append(left)
        lengths = np.array([len(group) for group in groups], np.int64)
        stops = np.cumsum(lengths)
        return np.array([member for group in groups for member in group], np.int64), stops - lengths, stops, followers

    def extend(self) -> None:
        """Find out now what comparing will ask of the terms that there are."""
        self.dense.extend()


def _together(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Batches in order, in lists of `_BATCH` terms or of one batch."""
    together: list[Batch] = []
    count = 0
    for batch in batches:
        if together and count + len(batch[1]) > _BATCH:
            yield together
            together, count = [], 0
        together.append(batch)
        count += len(batch[1])
    if together:
        yield together


def _informative(reliability: Reliability, order: Array, starts: Array, ends: Array) -> Array:
    """Per group, whether float64 agreement is agreement: no part of any member is saturated at some point.

    Groups without breakpoints are analytic and need one informative block; the others need them everywhere.
    """
    if not len(starts):
        return np.empty(0, bool)
    members = spans(order, starts, ends)
    offsets = np.cumsum(ends - starts) - (ends - starts)
    informative = np.logical_and.reduceat(reliability.informative[members], offsets, axis=0)
    piecewise = np.logical_or.reduceat(reliability.piecewise[members], offsets)
    return np.where(piecewise, informative.all(axis=1), informative.any(axis=1))


def _finished(labels: Array, evidence: Array) -> Classes:
    """Relabel in order of first member; a class has the weakest evidence of its members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    final = rank[inverse]
    weakest = np.zeros(len(first), np.int8)
    np.maximum.at(weakest, final, evidence)
    return Classes(final, weakest)
