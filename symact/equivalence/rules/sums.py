"""Sums in normal form: equal terms are collected, and what cancels leaves its domain behind."""

from __future__ import annotations

from collections.abc import Iterable

from symact.equivalence.rules.form import (
    NO_TAGS,
    NOT_NEGATIVE,
    NOT_POSITIVE,
    Form,
    FormTable,
    Rational,
    by_key,
    normal,
    opened,
)


def added(table: FormTable, terms: Iterable[tuple[Form, Rational]]) -> Form:
    """The sum of forms, each times a number."""
    constant: Rational = 0
    found: dict[Form, Rational] = {}
    tags = NO_TAGS
    for form, factor in terms:
        if form.kind == "restricted":
            form, tags = opened(form, tags)
        if form.kind == "const":
            constant += factor * form.data
        elif form.kind == "sum":
            constant += factor * form.data[0]
            for term, coefficient in form.data[1]:
                found[term] = found.get(term, 0) + factor * coefficient
        elif form.kind == "nowhere":
            return form
        else:
            found[form] = found.get(form, 0) + factor
    kept = []
    for form, factor in found.items():
        if factor == 0:
            tags |= form.tags
        else:
            kept.append((form, factor))
    result = _summed(table, constant, kept)
    return table.restricted(result, tags) if tags else result


def scaled(table: FormTable, form: Form, factor: Rational) -> Form:
    """A number times a form."""
    return form if factor == 1 else added(table, ((form, factor),))


def _summed(table: FormTable, constant: Rational, terms: list[tuple[Form, Rational]]) -> Form:
    if not terms:
        return table.const(constant)
    if len(terms) == 1 and constant == 0 and terms[0][1] == 1:
        return terms[0][0]
    terms.sort(key=by_key)
    sign = NOT_NEGATIVE if constant >= 0 else 0
    sign |= NOT_POSITIVE if constant <= 0 else 0
    strict = constant != 0
    for form, factor in terms:
        sign &= form.sign if factor > 0 else (form.sign >> 1) | (form.sign << 1)
        strict |= form.nonzero
    sign &= 3
    single = terms[0][0]
    diffuse = single.diffuse if len(terms) == 1 else all(_monomial(form) for form, _ in terms)
    nonzero = diffuse or bool(sign and strict) or (len(terms) == 1 and constant == 0 and single.nonzero)
    tags = NO_TAGS.union(*[form.tags for form, _ in terms])
    parts = [(form.key, factor.numerator, factor.denominator) for form, factor in terms]
    content = (constant.numerator, constant.denominator, *parts)
    return table.make("sum", content, (normal(constant), tuple(terms)), sign, nonzero, diffuse, tags)


def _monomial(form: Form) -> bool:
    if form.kind == "product":
        return all(part.kind in ("x", "slot") for part, _ in form.data)
    return form.kind in ("x", "slot")
