"""Spaces that nobody can list are refused with their number, an estimate and a way on; listing them never begins."""

from __future__ import annotations

import pytest

from symact.equivalence import distinct, enumerate_classes
from symact.equivalence.table.size import check_size, estimate
from symact.errors import InputError, lasting
from symact.program.loading import load_grammar, parse_grammar

HUGE = {
    "unary 20 deep": "unary(" * 20 + "x" + ")" * 20,
    "binary 4 deep": "binary(binary(unary(x), binary(unary(x), unary(x))), binary(unary(unary(x)), unary(unary(x))))",
    "wide": "nary(" + ", ".join(["unary(x)"] * 12) + ")",
    "wide and deep": "nary(" + ", ".join(["unary(unary(x))"] * 8) + ")",
}


def grammar(shape: str, parameters: bool):
    operators = "\n".join(f'f{n} = "{n + 2}*tanh({n + 1}*x)"' for n in range(40))
    more = "[parameters]\nbeta = { init = 1.0 }\n" if parameters else ""
    used = '\nscaled = "beta*x"' if parameters else ""
    return parse_grammar(
        f'name = "mine"\n{more}[unary]\n{operators}{used}\n[binary]\nadd = "a + b"\nmul = "a*b"\n'
        f'[nary]\nsum_n = "add"\n'
        f'[spaces]\nhuge = ["{shape}"]\nsmall = ["unary(x)"]\n'
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize("parameters", [False, True])
@pytest.mark.parametrize("equivalence", ["exact", "sampled", "float32"])
@pytest.mark.parametrize("shape", HUGE.values(), ids=HUGE)
def test_a_space_that_is_too_large_is_refused_at_once(shape, equivalence, parameters):
    mine = grammar(shape, parameters)
    count = mine.space("huge").count()
    assert count > 10**9
    with pytest.raises(InputError) as caught:
        enumerate_classes(mine, "huge", equivalence)
    said = str(caught.value)
    assert said.startswith(f"mine/huge: {count:,} expressions are too many to list: about ")
    assert "choose a smaller space with --space (small: 4" in said
    assert len(said.splitlines()) == 1


@pytest.mark.timeout(60)
def test_the_open_ended_space_that_is_shipped_is_refused(symact):
    code, out, err = symact("compile", "pangaea")
    assert (code, out) == (2, "")
    assert "pangaea/open: 73,642,343,537,145,411,805 expressions are too many to list" in err
    assert "years" in err
    assert "--space (start: 6,272)" in err
    with pytest.raises(InputError, match="too many to list"):
        distinct(load_grammar("pangaea").space("open"))


@pytest.mark.parametrize(("grammar", "space"), [("aquasurf", "large"), ("pangaea", "start"), ("ramachandran", "unit")])
def test_spaces_that_have_been_listed_are_let_through(grammar, space):
    chosen = load_grammar(grammar).space(space)
    check_size(chosen)
    assert estimate(chosen).expressions == chosen.count()
    assert 0 < estimate(chosen).seconds < 600


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 s"),
        (119, "119 s"),
        (121, "2 min"),
        (7300, "2 h"),
        (400_000, "5 days"),
        (1e9, "32 years"),
        (1e17, "3,168,808,781 years"),
    ],
)
def test_a_time_is_told_in_the_unit_that_fits(seconds, said):
    assert lasting(seconds) == said
