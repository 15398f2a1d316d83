"""Names that nobody knows: capitals do not matter, and a hint never names another function."""

from __future__ import annotations

import random

import pytest

from symact.errors import FormulaError
from symact.expr import functions
from symact.expr.spelling import ELSEWHERE, USUAL, hint, one_slip
from symact.expr.tree import parse, to_sympy
from symact.program.loading import parse_grammar

PUBLISHED = """ReLU GELU SiLU ELU SELU Swish Mish Softplus SoftPlus Sigmoid Tanh Hardsigmoid HardSwish LeakyReLU
    Softsign LogSigmoid SOFTSIGN Erf ERFC Exp Log Sin COS Sinc Expm1 Log1p Sqrt ABS Leaky_ReLU Hard_Swish"""


@pytest.mark.parametrize("name", PUBLISHED.split())
def test_capitals_do_not_matter_where_no_name_is_exactly_that(name):
    assert to_sympy(parse(f"{name}(x)")) == to_sympy(parse(f"{name.lower()}(x)"))
    assert str(parse(f"{name}(x)")) == f"{name}(x)", "it prints as it was written"


def test_a_grammars_own_function_comes_before_a_built_in_one_in_capitals_too():
    grammar = parse_grammar('name = "g"\n[unary]\nrelu = "max(x, 0.5)"\nSin = "sin(2*x)"\n')
    assert to_sympy(parse("1 + ReLU(x)", grammar)) == to_sympy(parse("1 + relu(x)", grammar))
    assert to_sympy(parse("1 + Sin(x)", grammar)) == to_sympy(parse("1 + sin(2*x)"))
    assert to_sympy(parse("1 + sin(x)", grammar)) == to_sympy(parse("1 + sin(x)"))


def test_no_function_stands_among_those_that_are_missing() -> None:
    assert [name for name in ELSEWHERE if functions.find(name) is not None] == []


@pytest.mark.parametrize("name", [*ELSEWHERE, "Neg", "MOD", "Clip"])
def test_a_function_of_other_libraries_is_never_taken_for_a_misspelt_one(name):
    if functions.resolve(name) is not None:
        return
    with pytest.raises(FormulaError) as caught:
        parse(f"x + {name}(x)")
    assert "did you mean" not in str(caught.value)
    how = ELSEWHERE[name.lower()]
    assert how in caught.value.reason


@pytest.mark.parametrize("how", sorted({how for how in ELSEWHERE.values() if how and how != "a number"}))
def test_how_a_function_is_written_is_itself_understood(how):
    for letter, number in (("low", "-1"), ("high", "1"), ("a**", "x**"), ("b**", "1**")):
        how = how.replace(letter, number)
    parse(how)


def slips(name: str, generator: random.Random) -> list[str]:
    at = generator.randrange(1, len(name) - 1)
    letter = generator.choice("qzjv")
    return [
        name[:at] + name[at + 1 :],
        name[:at] + letter + name[at:],
        name[:at] + letter + name[at + 1 :],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    ]


def test_one_slip_of_the_fingers_is_understood():
    generator, known, tried = random.Random(0), functions.names(), 0
    for name in known:
        if len(name) < 6:
            continue
        for typed in slips(name, generator):
            assert one_slip(typed, name)
            if functions.resolve(typed) is None and typed not in ELSEWHERE:
                tried += 1
                said = hint(typed, known)
                assert any(one_slip(typed.lower(), k) and repr(k) in said for k in known), (typed, said)
    assert tried > 60


@pytest.mark.parametrize("name", ["frob", "foo", "abc", "xyz", "sun", "tin", "ox", "f", "mad", "new", "ink"])
def test_what_resembles_nothing_is_not_guessed_at(name):
    assert hint(name, functions.names()) == ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tahn", "tanh"),
        ("tann", "tanh"),
        ("gleu", "gelu"),
        ("geul", "gelu"),
        ("reul", "relu"),
        ("rleu", "relu"),
        ("sinn", "sin"),
        ("cosx", "cos"),
        ("cohs", "cosh"),
        ("sihn", "sinh"),
        ("expp", "exp"),
    ],
)
def test_of_several_near_names_the_one_of_the_same_letters_comes_first_and_then_the_usual_one(typed, meant):
    assert hint(typed, functions.names()) == f"did you mean {meant!r}?"


def test_the_usual_names_are_functions():
    assert all(functions.find(name) for name in USUAL)
