"""What all optimizers share: patience, keyed generators, settings that are checked; the contract has the rest."""

from __future__ import annotations

from itertools import count, cycle

import numpy as np
import pytest

from symact.errors import InputError
from symact.expr.tree import parse
from symact.optimize.base import PATIENCE, Optimizer, check_settings
from symact.program.loading import parse_grammar
from symact.records import Outcome, Trial

GRAMMAR = parse_grammar(
    'name = "g"\n[unary]\nrelu = "max(x, 0)"\ntanh = "tanh(x)"\nsin = "sin(x)"\ncube = "x**3"\n'
    '[binary]\nadd = "a + b"\n[spaces]\nmain = ["binary(unary(x), unary(x))"]\nsmall = ["unary(x)"]'
)
SPACE = GRAMMAR.space("main")


class Repeating(Optimizer):
    """Proposes one expression for ever."""

    def __init__(self, space, seed=0, *, text="add(sin(x),cube(x))", features=None):
        super().__init__(space, seed, features=features)
        self.proposal, self.proposed, self.learned = parse(text, space.grammar), 0, []

    def _propose(self):
        for candidate in cycle([self.proposal]):
            self.proposed += 1
            yield candidate

    def _learn(self, trial):
        self.learned.append(trial)


def test_after_its_patience_the_rest_of_a_batch_is_drawn_at_random():
    optimizer = Repeating(SPACE)
    asked = optimizer.ask(5)
    assert asked[0] == optimizer.proposal
    assert len({optimizer.key(candidate) for candidate in asked}) == 5
    assert optimizer.proposed == PATIENCE + 1


@pytest.mark.parametrize("text", ["sin(x)", "add(add(sin(x),x),x)"])
def test_what_lies_outside_the_space_is_never_asked(text):
    optimizer = Repeating(SPACE, text=text)
    assert optimizer.proposal not in SPACE
    assert all(candidate in SPACE for candidate in optimizer.ask(4))


def test_a_function_told_in_other_words_is_known():
    optimizer = Repeating(SPACE)
    optimizer.tell([Trial(parse("cube(x) + sin(x)", GRAMMAR), (Outcome.finished(1.0),))])
    assert optimizer.told == len(optimizer.learned) == 1
    assert optimizer.proposal not in optimizer.ask(3)


def test_features_are_asked_once_for_a_function():
    asked = []

    def features(expressions):
        asked.extend(expressions)
        return {"finite": np.array([str(e) != "sin(x)" for e in expressions])}

    optimizer = Repeating(GRAMMAR.space("small"), text="sin(x)", features=features)
    sine, cube = parse("sin(x)", GRAMMAR), parse("cube(x)", GRAMMAR)
    assert [optimizer.is_finite(e) for e in (sine, cube, sine, cube)] == [False, True, False, True]
    assert asked == [sine, cube]
    assert list(optimizer.finite_only(iter([sine, cube, sine]))) == [cube]
    assert next(optimizer.finite_only(cycle([sine])), None) is None, "it would never end"


def test_a_generator_is_fixed_by_seed_and_key():
    def draw(seed, *key):
        return Repeating(SPACE, seed).generator(*key).integers(2**60)

    assert draw(0, 1, 2) == draw(0, 1, 2)
    assert len({draw(0, 1, 2), draw(1, 1, 2), draw(0, 2, 1), draw(0, 1)}) == 4
    assert draw(-(2**70), -5, 2**90) >= 0


def test_a_setting_that_is_not_offered_is_named_with_those_that_are():
    with pytest.raises(InputError, match=r"mine: mode='c' is not one of 'a', 'b'"):
        check_settings("mine", {"mode": "c"}, {"mode": ("a", "b")})
    check_settings("mine", {"mode": "a", "other": next(count())}, {"mode": ("a", "b")})
