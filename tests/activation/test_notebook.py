"""What a notebook shows of a function: mathematics and curves, and nothing that could run."""

from __future__ import annotations

import re

import pytest

import symact


@pytest.mark.parametrize("text", ["x*sigmoid(x)", "sqrt(x)", "1/x", "log(x)", "exp(exp(x))", "0*x + 1", "heaviside(x)"])
def test_a_function_is_shown_with_its_mathematics_and_curves(text):
    for shown in (symact.Activation(text)._repr_html_(), symact.compile(text)._repr_html_()):
        assert shown.startswith('<div><math display="block">')
        assert shown.count("<path") >= 3
        assert "nan" not in shown
        assert "inf" not in shown.replace("infinity", "")
        for path in re.findall(r' d="([^"]*)"', shown):
            assert all(-1 <= float(y) <= 131 for y in re.findall(r"[ML][-\d.]+ ([-\d.]+)", path))


def test_a_learned_constant_changes_the_curve_and_stands_below():
    grammar = symact.load_grammar("ramachandran")
    module = symact.Activation("x*sigmoid(beta*x)", grammar)
    before = module._repr_html_()
    module.beta.data.fill_(3.0)
    after = module._repr_html_()
    assert before != after
    assert "beta = 1.0" in before
    assert "beta = 3.0" in after


def test_a_function_per_channel_is_shown_by_its_formula():
    grammar = symact.parse_grammar(
        'name = "c"\n[parameters]\nbeta = { init = 1.0, per = "channel" }\n[unary]\nswish = "x*sigmoid(beta*x)"\n'
        '[spaces]\nall = ["unary(x)"]\n'
    )
    shown = symact.Activation("swish(x)", grammar, channels=3)._repr_html_()
    assert "<math" in shown
    assert "beta = [1.0, 1.0, 1.0]" in shown
