"""`identify`: which published function an expression is.

In: an expression. Out: matches, best first: rows that are the same function exactly, at their default values or at
others, which are found by a fit and decided by the identity engine; rows of which it is an affine map, which the
layers before and after absorb; else the nearest by root mean square difference on a standard normal sample.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from symact.arrays import Array
from symact.catalog.affine import affine, apart
from symact.catalog.curves import NORMAL, bending, curves, distances
from symact.catalog.families import fitted
from symact.catalog.gates import near_gates, same_gate
from symact.catalog.index import Class, age, index
from symact.catalog.rows import VOCABULARY, expression_of
from symact.equivalence.engine.classes import EVIDENCE
from symact.equivalence.index.function_index import FunctionIndex
from symact.expr.formula_text import formula_text
from symact.expr.operators import Vocabulary
from symact.expr.published import Published, gates, published
from symact.expr.tree import Expr, parse

# Curves this near may be one function; the engine decides. Of the others so many are named, and so many fitted.
_SAME, _NEAREST, _FITTED = 1e-6, 5, 100


@dataclass(frozen=True)
class Match:
    """A published function that an expression is, or is near to.

    Attributes:
        row: of the table.
        kind: `exact`, `affine` or `near`.
        settings: values of its parameters for which that holds, as formula text.
        form: the expression in terms of the row, `2*atlas.sigmoid(2*x) - 1`; "" where a function of one number is near
            only; of a gate its name with its inputs in order, `swiglu(g, x)`.
        evidence: `proved`, `certified` or `numeric`; of an affine map `exact` (the engine decided) or `numeric`.
        distance: root mean square difference on a standard normal sample; 0 unless it is near.
        line: it is an affine map of the row with a multiple of x added.
    """

    row: Published
    kind: str
    settings: dict[str, str]
    form: str
    evidence: str
    distance: float = 0.0
    line: bool = False

    @property
    def name(self) -> str:
        """Its name, as its authors write it."""
        return self.row.name

    def document(self) -> dict[str, Any]:
        """The match as JSON types."""
        row = self.row
        return {
            "name": row.name,
            "key": row.key,
            "aliases": list(row.aliases),
            "source": row.source,
            "year": row.year,
            "by": row.by,
            "kind": self.kind,
            "parameters": self.settings,
            "form": self.form,
            "evidence": self.evidence,
            "distance": self.distance,
            "line": self.line,
        }


def identify(expression: Expr | str, grammar: Vocabulary | None = None) -> list[Match]:
    """The published functions that an expression is, or else is near to; best first.

    Learnable parameters are taken at their initial values. Of a function of `x` and `g` the gates are compared.

    Raises:
        FormulaError: the expression cannot be read.
    """
    given = parse(expression, grammar or _vocabulary(expression)) if isinstance(expression, str) else expression
    expr = _fixed(given)
    if len(expr.inputs) > 1:
        return [*_gates(expr)]
    values = curves([expr], NORMAL)[0]
    exact = [*_exact(expr, values)]
    same = {match.row.key for match in exact}
    if not exact:
        exact = [*_fitted(expr, values)]
    absorbed = [match for match in _affine(expr) if match.row.key not in same]
    if exact or absorbed:
        return [*sorted(exact, key=lambda match: age(match.row)), *absorbed]
    return [*_near(values)]


def _vocabulary(text: str) -> Vocabulary | None:
    """The grammar of the published gates where one is called by its name."""
    if not any(re.search(rf"\b{name}\s*\(", text) for name in gates()):
        return None
    from symact.program.loading import load_grammar  # pydantic reads grammars

    return load_grammar("gates")


def name_of(expression: Expr) -> Published | None:
    """The row that was published first of those that an expression is exactly, or None. Without parameters only."""
    if expression.parameters:
        return None
    return _name_of(expression)


@cache
def _name_of(expr: Expr) -> Published | None:
    if len(expr.inputs) > 1:
        same = same_gate(expr)
        return None if same is None else same[0]
    found = _class_of(expr, curves([expr], NORMAL)[0])
    return None if found is None else found[0].first


def _fixed(expr: Expr) -> Expr:
    initial = {parameter.name: parameter.init for parameter in expr.parameters}
    return parse(formula_text(expr, initial)) if initial else expr


def _class_of(expr: Expr, values: Array) -> tuple[Class, str] | None:
    """The class of an expression with its evidence, or None."""
    engine = _engine()
    for number in np.flatnonzero(distances(values, index().curves) <= _SAME * (1 + np.abs(values).max())).tolist():
        found = index().classes[number]
        known = engine.add(expression_of(found.keys[0]))
        if engine.find(expr) == known:
            return found, EVIDENCE[engine.evidence()[known]]
    return None


@cache
def _engine() -> FunctionIndex:
    return FunctionIndex(VOCABULARY)


def _exact(expr: Expr, values: Array) -> Iterator[Match]:
    found = _class_of(expr, values)
    if found is not None:
        for key in found[0].keys:
            row = published()[key]
            settings = {name: str(value) for name, value in row.defaults.items()}
            yield Match(row, "exact", settings, f"atlas.{key}(x)", found[1])


def _fitted(expr: Expr, values: Array) -> Iterator[Match]:
    """Rows that are the same function at other values of their parameters."""
    for number in np.argsort(distances(values, index().curves), kind="stable")[:_FITTED].tolist():
        for key in index().classes[number].keys:
            settings = fitted(expr, key) if published()[key].settings else None
            if settings is not None:
                given = ", ".join(f"{name}={value}" for name, value in settings.items())
                yield Match(published()[key], "exact", settings, f"atlas.{key}(x, {given})", "certified")


def _affine(expr: Expr) -> Iterator[Match]:
    """The row of which it is an affine map: the simplest of its group."""
    bends, known = bending(expr), index().classes
    sought = [(near, n) for n, c in enumerate(known) if c.base == n and (near := apart(bends, c.shape)) is not None]
    for _, number in sorted(sought):
        row = known[number].first
        made = affine(expr, expression_of(row.key), (bends, known[number].shape), slow=True)
        if made is not None:
            settings = {name: str(value) for name, value in row.defaults.items()}
            yield Match(row, "affine", settings, made.form(f"atlas.{row.key}"), made.evidence, line=made.adds_line)
            return


def _gates(expr: Expr) -> Iterator[Match]:
    """The gate that it is, or the nearest ones."""
    same = same_gate(expr)
    if same is not None:
        row, form, evidence = same
        yield Match(row, "exact", {}, form, evidence)
        return
    for away, row, form in near_gates(expr)[:_NEAREST]:
        yield Match(row, "near", {}, form, "numeric", away)


def _near(values: Array) -> Iterator[Match]:
    away = distances(values, index().curves)
    for number in np.argsort(away, kind="stable")[:_NEAREST].tolist():
        row = index().classes[number].first
        settings = {name: str(value) for name, value in row.defaults.items()}
        if np.isfinite(away[number]):
            yield Match(row, "near", settings, "", "numeric", float(away[number]))
