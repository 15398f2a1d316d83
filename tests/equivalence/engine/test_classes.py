"""Classes: equal functions share one, different ones never do, and the evidence is that of the weakest step."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.engine.classes import CERTIFIED, NUMERIC, PROVED, ClassBuilder
from tests.equivalence.engine.builders import AQUASURF, described

CLASSES = [
    ["cosh(x)", "exp(x) - sinh(x)", "sqrt(1 + sinh(x)**2)"],
    ["relu(x)", "max(x, 0)", "(x + abs(x))/2"],
    ["sqrt(x)**2", "exp(log(x))"],
    ["x"],
    ["1/x", "x**-1"],
    ["x/0", "log(-1 - x*x)", "(-1 - x*x)**erf(1/x)"],
    ["tanh(exp(exp(x)))"],
    ["erf(exp(exp(x)))"],
    ["1", "x/x", "sigmoid(x) + sigmoid(-x)"],
    ["where(x > 1.7 and x < 1.7001, 1, 0)"],
    ["0", "x - x"],
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("certify_all", [False, True])
def test_equal_functions_share_a_class_and_no_others(seed, certify_all):
    pairs = [(text, label) for label, texts in enumerate(CLASSES) for text in texts]
    order = np.random.default_rng(seed).permutation(len(pairs))
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, [pairs[n][0] for n in order])
    with np.errstate(all="ignore"):
        found = builder.classify(terms, certify_all=certify_all)
    expected = np.array([pairs[n][1] for n in order])
    assert (found.labels[:, None] == found.labels).tolist() == (expected[:, None] == expected).tolist()
    first = [found.labels.tolist().index(label) for label in range(max(found.labels) + 1)]
    assert first == sorted(first), "classes are numbered by their first member"


def test_terms_that_are_known_to_be_different_stay_apart_and_are_met_by_new_ones():
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, ["cosh(x)", "sinh(x)", "tanh(x)", "exp(x) - sinh(x)", "sinh(x)/cosh(x)"])
    with np.errstate(all="ignore"):
        labels = builder.classify(terms, distinct=3, prove=True).labels
    assert labels.tolist() == [0, 1, 2, 0, 2]


@pytest.mark.parametrize(
    ("texts", "certify_all", "evidence"),
    [
        (["tanh(x)"], False, PROVED),
        (["cosh(x)", "exp(x) - sinh(x)"], True, CERTIFIED),
        (["exp(x)*tanh(x)", "tanh(x)*exp(x) + 0*x"], False, NUMERIC),
    ],
)
def test_the_evidence_says_by_what_a_class_was_made(texts, certify_all, evidence):
    builder = ClassBuilder((-5.0, 5.0))
    with np.errstate(all="ignore"):
        found = builder.classify(described(builder, texts), certify_all=certify_all)
    assert found.labels.tolist() == [0] * len(texts)
    assert found.evidence.tolist() == [evidence]


def test_what_is_recorded_of_arguments_is_handed_on():
    builder = ClassBuilder((-5.0, 5.0))
    inner = described(builder, ["tanh(x)"])
    builder.record(inner.numbers, np.array([CERTIFIED]))
    outer = described(builder, ["exp(tanh(x))", "exp(x)", "zero(tanh(x))"])
    assert outer.proof.tolist() == [CERTIFIED, PROVED, PROVED]


def test_without_balls_fingerprints_alone_decide():
    builder = ClassBuilder((-5.0, 5.0), certify=False)
    with np.errstate(all="ignore"):
        found = builder.classify(described(builder, ["cosh(x)", "tanh(x)", "cosh(-x)"]))
    assert found.labels.tolist() == [0, 1, 0]
    assert set(found.evidence.tolist()) == {NUMERIC}


def test_terms_are_described_alike_one_by_one_and_many_at_once():
    builder = ClassBuilder((-5.0, 5.0))
    symbols = [builder.graph.symbol(operator) for operator in AQUASURF.of_kind("unary")]
    with np.errstate(all="ignore"):
        many = builder.described([(symbol, np.zeros((1, 1), np.int64)) for symbol in symbols])
        for position, symbol in enumerate(symbols):
            one = builder.described([(symbol, np.zeros((1, 1), np.int64))])
            assert (
                one.fingerprints.projections.tolist() == many[position : position + 1].fingerprints.projections.tolist()
            )
            assert one.undefined.tolist() == many.undefined[position : position + 1].tolist()
            assert many.term(position) == (symbol, (0,))
