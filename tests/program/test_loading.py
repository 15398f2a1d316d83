"""Grammar files on disk: which are found, and that no way of loading one leaves an operator untried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import symact
from symact.bench.table import parse_grammar as of_a_table
from symact.errors import GrammarError
from symact.expr.operators import Operator
from symact.program.loading import finite_somewhere, load_grammar, parse_grammar

NOWHERE = '[binary]\nfirst = "a"\n[unary]\nroot = "sqrt(x)"\nlost = "log(-1 - x**2)"\n'


def test_a_missing_grammar_names_what_there_is() -> None:
    with pytest.raises(GrammarError, match=r"no such grammar file; did you mean 'aquasurf'. expected a path or one of"):
        load_grammar("aquasurv")


def test_unreadable_files_are_grammar_errors(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    for path in (tmp_path, tmp_path / "latin.toml", "nul\0byte"):
        with pytest.raises(GrammarError):
            load_grammar(path)


def test_windows_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b'\xef\xbb\xbf[unary]\r\nf = "x"\r\n[spaces]\r\ns = ["unary(x)"]\r\n')
    assert load_grammar(path).space().count() == 1


@pytest.mark.parametrize("load", [parse_grammar, symact.parse_grammar, symact.load_grammar, of_a_table])
def test_every_way_of_loading_says_where_an_operator_stands_that_is_finite_nowhere(load, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(NOWHERE)
    with pytest.raises(GrammarError) as caught:
        load(tmp_path / "mine.toml" if load is symact.load_grammar else NOWHERE)
    message = str(caught.value)
    assert "5:8: [unary.lost]" in message
    assert "'lost' is finite nowhere on [-100, 100], nor between -2 and 2" in message


def test_a_grammar_is_made_by_the_reader_alone_which_asks_for_the_trial() -> None:
    package = Path(symact.__file__).parent
    calls = [path for path in package.rglob("*.py") if "read_grammar(" in path.read_text()]
    assert sorted(path.name for path in calls) == ["grammar.py", "loading.py"]
    assert [path.name for path in package.rglob("*.py") if " Grammar(" in path.read_text()] == ["grammar.py"]


def operator(formula: str, kind: str = "unary") -> Operator:
    """An operator of a grammar whose interval does not matter: the reader tries it between -2 and 2, too."""
    return parse_grammar(f'[{kind}]\nf = "{formula}"\n').operators["f"]


@pytest.mark.parametrize("formula", ["tanh(x)", "gelu(x)", "bessel_i0e(x)", "where(x > 0, x, exp(x))", "1", "log(x)"])
def test_a_function_with_values_is_finite_somewhere(formula: str) -> None:
    assert finite_somewhere(operator(formula), (-5.0, 5.0))


def test_points_lie_in_the_interval() -> None:
    assert finite_somewhere(operator("log(x - 1)"), (1.0, 2.0))
    assert not finite_somewhere(operator("log(x - 1)"), (0.0, 1.0))
    assert not finite_somewhere(operator("exp(x)"), (1000.0, 2000.0)), "it overflows"


def test_an_operator_is_tried_on_the_interval_and_on_what_other_operators_give() -> None:
    parse_grammar('[unary]\nf = "sqrt(1 - x**2)"\n[identity]\ninterval = [10, 20]\n')
    parse_grammar('[unary]\nf = "log(x - 10)"\n')
    with pytest.raises(GrammarError, match="finite nowhere"):
        parse_grammar('[unary]\nf = "log(x - 10)"\n[identity]\ninterval = [-5, 5]\n')


def test_parameters_are_tried_at_their_initial_values() -> None:
    for init, wrong in ((1.0, False), (-1.0, True)):
        text = f'[parameters]\nbeta = {{ init = {init} }}\n[unary]\nf = "log(beta*(1 + x**2))"\n'
        if wrong:
            with pytest.raises(GrammarError, match="finite nowhere"):
                parse_grammar(text)
        else:
            parse_grammar(text)


@pytest.mark.parametrize("terms", [1, 200])
def test_two_arguments_are_tried_apart(terms: int) -> None:
    assert finite_somewhere(operator(" + ".join(["log(a - b)"] * terms), "binary"), (-5.0, 5.0))
    assert finite_somewhere(operator(" + ".join(["log(b - a)"] * terms), "binary"), (-5.0, 5.0))


def test_loading_a_grammar_loads_neither_torch_nor_scipy() -> None:
    code = """
import sys, symact
symact.load_grammar("aquasurf")
print(sorted({"torch", "scipy", "symact.equivalence", "symact.backends"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
