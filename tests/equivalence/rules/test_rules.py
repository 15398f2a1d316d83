"""Every row of the table of rules is true wherever its guard admits its arguments, and is applied nowhere else."""

from __future__ import annotations

import itertools

import mpmath
import pytest
import sympy
from flint import arb

from symact.equivalence.exact import balls
from symact.equivalence.rules.form import NOT_NEGATIVE, NOT_POSITIVE
from symact.equivalence.rules.matching import program_of_side
from symact.equivalence.rules.normal_form import NormalForms
from symact.equivalence.rules.rules import GUARDS, RULES, Rule
from symact.expr.formula import parse_formula
from tests.equivalence.high_precision import value

# Both sides of zero, the edges themselves, and sizes at which double precision has long given up.
VALUES = ("-30", "-2.5", "-1", "-1e-9", "0", "1e-9", "0.3", "1", "2", "7.25", "30")
_NAMES = {name: sympy.Symbol(name, real=True) for name in "abc"}
_TESTS = {
    "a > 0": lambda a, b: a > 0,
    "a >= 0": lambda a, b: a >= 0,
    "a <= 0": lambda a, b: a <= 0,
    "a != 0": lambda a, b: a != 0,
    "b > 0": lambda a, b: b > 0,
    "b >= 0": lambda a, b: b >= 0,
    "a >= b": lambda a, b: a >= b,
    "a defined": lambda a, b: True,
}
# What a guard tells of the variables: sign, and whether they are never zero.
_KNOWN = {
    "a > 0": ("a", NOT_NEGATIVE, True),
    "a >= 0": ("a", NOT_NEGATIVE, False),
    "a <= 0": ("a", NOT_POSITIVE, False),
    "a != 0": ("a", 0, True),
    "b > 0": ("b", NOT_NEGATIVE, True),
    "b >= 0": ("b", NOT_NEGATIVE, False),
}

rows = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def guards(rule: Rule) -> list[str]:
    return [part.strip() for part in rule.guard.split(",") if part.strip()]


def admitted(rule: Rule) -> list[dict[str, str]]:
    """Arguments that the guard admits: all values of the variables that the rule mentions."""
    mentioned = [n for n in "abc" if any(_NAMES[n] in parse_formula(s, _NAMES.get).free_symbols for s in rule[1:3])]
    chosen = VALUES if len(mentioned) < 3 else VALUES[1:-1:2]
    found = []
    for values in itertools.product(chosen, repeat=len(mentioned)):
        at = dict(zip(mentioned, values, strict=True))
        a, b = float(at.get("a", 1)), float(at.get("b", 1))
        if all(_TESTS[guard](a, b) for guard in guards(rule)):
            found.append(at)
    return found or [{}]


@rows
def test_both_sides_agree_in_high_precision_over_the_guard(rule):
    left, right = (parse_formula(side, _NAMES.get) for side in rule[1:3])
    with mpmath.workdps(1000):
        for at in admitted(rule):
            exact = {name: mpmath.mpf(text) for name, text in at.items()}
            first, second = value(left, exact), value(right, exact)
            if first is None or second is None:
                assert first is second, at
            else:
                assert abs(first - second) <= mpmath.mpf(10) ** -60 * max(abs(first), mpmath.mpf(10) ** -700), at


@rows
def test_both_sides_agree_in_balls_over_the_guard(rule):
    left, right = (program_of_side(side) for side in rule[1:3])
    for at in admitted(rule):
        verdict = None
        for bits in balls.PRECISIONS:
            with balls.precision(bits):
                inputs = [arb(at.get(name, "1")) if "e" not in at.get(name, "1") else _tiny(at[name]) for name in "abc"]
                last = bits == balls.PRECISIONS[-1]
                verdict = balls.same(balls.evaluate(left, inputs, last), balls.evaluate(right, inputs, last))
            if verdict is not None:
                break
        assert verdict is True, at


def _tiny(text: str) -> arb:
    return arb(int(text.split("e")[0])) / 10 ** -int(text.split("e")[1])


def holes(normal: NormalForms, rule: Rule, guarded: bool) -> list:
    known = {_KNOWN[g][0]: _KNOWN[g][1:] for g in guards(rule) if g in _KNOWN} if guarded else {}
    return [normal.hole(name, *known.get(name, (0, False))) for name in "abc"]


@rows
def test_a_rule_is_applied_where_its_guard_holds(rule):
    normal = NormalForms()
    a, b, c = holes(normal, rule, guarded=True)
    if rule.guard == "a >= b":
        a = normal.add(((b, 1), (normal.power(a, 2), 1)))
    left, right = (normal.program(program_of_side(side), [a, b, c]) for side in rule[1:3])
    assert left is right


@pytest.mark.parametrize("rule", [r for r in RULES if any(g in _KNOWN for g in guards(r))], ids=lambda rule: rule.name)
def test_a_rule_is_not_applied_to_arguments_of_which_nothing_is_known(rule):
    normal = NormalForms()
    left, right = (normal.program(program_of_side(side), holes(normal, rule, guarded=False)) for side in rule[1:3])
    assert left is not right


@pytest.mark.parametrize("rule", [r for r in RULES if "a defined" in guards(r)], ids=lambda rule: rule.name)
def test_what_a_rule_drops_leaves_its_domain(rule):
    normal = NormalForms()
    partial = normal.call("log", normal.variables[0])
    left, right = (normal.program(program_of_side(s), [partial, normal.one, normal.one]) for s in rule[1:3])
    assert left.tags >= partial.tags
    if not right.tags:
        assert left is not right


def test_guards_are_of_the_listed_kinds_and_names_are_unique():
    assert {rule.guard for rule in RULES} <= set(GUARDS)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.source for rule in RULES)
