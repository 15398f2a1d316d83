"""Domains: everywhere, partly or nowhere, whatever rounding or the choice of points say."""

from __future__ import annotations

import numpy as np
import pytest

from symact.equivalence.engine.classes import ClassBuilder
from symact.equivalence.engine.domains import DOMAINS, domains
from tests.equivalence.engine.builders import described

WHERE = {
    "everywhere": ["x", "tanh(x)", "1/x", "sqrt(cosh(x)**2 - sinh(x)**2 - 1 + exp(x))", "log(1 - tanh(20 + x))"],
    "partly": [
        "log(x)",
        "sqrt(x - 4.99)",
        "1/where(x > 1.70001 and x < 1.70002, 0, 1)",
        "x**erf(1/x)",
        "(-1 - x*x)**where(x > 0, cosh(x)**2 - sinh(x)**2, erf(1/x))",
    ],
    "nowhere": ["x/0", "log(tanh(20 + x) - 1)", "log(x)/log(-x)", "(-1 - x*x)**tanh(exp(exp(x)))"],
}


@pytest.mark.parametrize("domain", DOMAINS)
def test_domains_of_many_are_told_at_once(domain):
    texts = WHERE[domain]
    builder = ClassBuilder((-5.0, 5.0))
    terms = described(builder, texts)
    with np.errstate(all="ignore"):
        codes = domains(builder, terms, np.arange(len(texts)))
    assert dict(zip(texts, [DOMAINS[code] for code in codes], strict=True)) == dict.fromkeys(texts, domain)


def test_without_balls_the_sample_points_tell():
    builder = ClassBuilder((-5.0, 5.0), certify=False)
    terms = described(builder, ["tanh(x)", "log(x)", "x/0"])
    assert [DOMAINS[code] for code in domains(builder, terms, np.arange(3))] == ["everywhere", "partly", "nowhere"]
