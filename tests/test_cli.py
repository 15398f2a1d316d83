"""The command line: exit codes, one clear line on stderr, JSON documents, nothing half-written."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from symact import __version__, cli
from symact.errors import printable
from tests.report.browser import stored


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["bench", "--help"], ["search", "--help"]])
def test_help_and_version_load_none_of_the_large_libraries(arguments):
    large = {"torch", "sympy", "numpy", "scipy", "sklearn", "pyarrow", "matplotlib"}
    code = f"""
import sys
from symact.cli import main
sys.argv[1:] = {arguments}
try:
    main()
except SystemExit:
    print(sorted({large} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


MISSPELT = (
    (["compile", "tahn(x)"], "did you mean 'tanh'?"),
    (["export", "tahn(x)", "--output", "a.py"], "did you mean 'tanh'?"),
    (["identify", "tahn(x)"], "did you mean 'tanh'?"),
    (["compare", "tahn(x)"], "did you mean 'tanh'?"),
    (["compare", "1-2: tanh(x) ; 3: reul(x)"], "did you mean 'relu'?"),
    (["compare", "tanh(x)", "--task", "digits-dep"], "did you mean 'digits-deep'?"),
    (["search", "evoltion"], "did you mean 'evolution'?"),
    (["search", "random", "--task", "digits-dep"], "did you mean 'digits-deep'?"),
    (["search", "random", "--grammar", "aquasrf"], "did you mean 'aquasurf'?"),
    (["search", "random", "--sede", "1"], "--sede"),
)


def test_what_is_misspelt_waits_for_none_of_the_large_libraries():
    code = f"""
import sys
from symact import cli
for arguments, _ in {MISSPELT}:
    sys.argv[1:] = arguments
    print("of", arguments, file=sys.stderr)
    try:
        cli.main()
    except SystemExit as end:
        print(end.code, sorted({{"torch", "sklearn", "matplotlib"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2 []"] * len(MISSPELT)
    for said, (arguments, words) in zip(done.stderr.split("of [")[1:], MISSPELT, strict=True):
        assert words in said, arguments


def test_the_package_is_a_command_too_and_tells_its_version(symact):
    done = subprocess.run([sys.executable, "-m", "symact", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"symact {__version__}\n"
    assert symact("--version") == (0, done.stdout, "")


def test_help_names_every_subcommand(symact):
    code, out, _ = symact("--help")
    assert code == 0
    assert all(name in out for name in ("compile", "search", "resume", "top", "export", "report", "bench", "tasks"))


def test_compile_shows_the_stages(symact):
    code, out, _ = symact("compile", "x*sigmoid(x)")
    assert code == 0
    for heading in ("canonical", "gradient", "torch", "latex"):
        assert heading in out
    assert "torch.sigmoid(x)" in out


def test_compile_json_has_the_promised_keys(symact):
    code, out, _ = symact("compile", "x*sigmoid(beta*x)", "--grammar", "ramachandran", "--json")
    assert code == 0
    document = json.loads(out)
    assert {"expression", "canonical", "latex", "parameters", "domain", "torch"} <= document.keys()
    assert document["expression"] == "x*sigmoid(beta*x)"
    assert [p["name"] for p in document["parameters"]] == ["beta"]
    assert document["domain"] == "everywhere"


def test_compile_check_reports_the_worst_errors(symact):
    code, out, _ = symact("compile", "x*sigmoid(x)", "--check", "--json")
    assert code == 0
    document = json.loads(out)
    assert document["worst_value_error"] < 1e-5
    assert document["worst_gradient_error"] < 1e-5
    assert "at" in document
    assert document["passed"] is True


@pytest.mark.parametrize("options", [[], ["--json"], ["--show", "torch"]])
def test_compile_check_has_a_verdict(symact, monkeypatch, options):
    code, out, err = symact("compile", "log(-exp(x))", "--check", *options)
    assert code == 1
    assert out.strip()
    assert "log(-exp(x)): the function is defined at none of the points" in err.splitlines()[0]
    monkeypatch.setattr("symact.activation.check.error", lambda found, exact: math.inf if exact > 3 else 0.0)
    code, out, err = symact("compile", "x*sigmoid(x)", "--check", *options)
    assert code == 1
    assert "x*sigmoid(x): the value is wrong at x = 4: error inf, where 1e-05 is promised" in err.splitlines()[0]
    if options == ["--json"]:
        assert json.loads(out)["passed"] is False


def test_an_expression_may_begin_with_a_minus(symact):
    code, out, _ = symact("compile", "-x*sigmoid(x)", "--show", "torch")
    assert code == 0
    assert "def forward(x)" in out


def test_operator_notation_is_read(symact):
    code, out, _ = symact("compile", "max(relu(x),cosh(elu(x)))", "--json", "--grammar", "aquasurf")
    assert code == 0
    assert json.loads(out)["expression"] == "max(relu(x),cosh(elu(x)))"


def test_compile_a_grammar_counts_classes_and_writes_the_table(symact, tmp_path):
    code, out, _ = symact("compile", "first", "--json", "--output", "table.parquet")
    assert code == 0
    document = json.loads(out)
    assert document["expressions"] > document["classes"] >= document["everywhere_defined"] > 0
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "table.parquet")
    assert table.num_rows == document["expressions"]
    assert table.column_names == ["index", "expression", "class_id", "representative", "domain", "evidence"]
    assert sum(table["representative"].to_pylist()) == document["classes"]


WRONG_GRAMMARS = {
    "unknown function": '[unary]\nf = "frob(x)"\n[spaces]\ns = ["unary(x)"]\n',
    "wrong arity": '[unary]\nf = "exp(x, x)"\n[spaces]\ns = ["unary(x)"]\n',
    "bad toml": "[unary\nf = 1\n",
    "recursive operator": '[unary]\nf = "f(x) + 1"\n[spaces]\ns = ["unary(x)"]\n',
    "empty space": '[unary]\nf = "exp(x)"\n[spaces]\ns = []\n',
}


@pytest.mark.parametrize("text", WRONG_GRAMMARS.values(), ids=WRONG_GRAMMARS)
def test_a_wrong_grammar_is_one_clear_line_and_exit_2(symact, tmp_path, text):
    (tmp_path / "bad.toml").write_text(text)
    code, out, err = symact("compile", "bad.toml", "--output", "out.parquet")
    assert code == 2
    assert not out
    assert err.startswith("symact: ")
    assert "bad.toml" in err.splitlines()[0]
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.toml"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("compile", "foo(x)"),
        ("compile", "x*("),
        ("compile", "x", "--grammar", "no_such_grammar"),
        ("compile", "missing.toml"),
        ("compile", "x", "--output", "act.exe"),
        ("compile", "x", "--output", "missing/act.py"),
        ("compile", "first", "--output", "table.csv"),
        ("compile", "first", "--space", "nowhere"),
        ("compile", "first", "--show", "torch"),
        ("search", "random", "--task", "no-such-task"),
        ("search", "random", "--task", "missing.py:Task"),
        ("search", "no-such-optimizer"),
        ("search", "random", "--run", "/proc/nowhere/run"),
        ("search", "random", "--set", "nonsense"),
        ("search", "random", "--evaluations", "0"),
        ("search", "random", "--evaluations", "9223372036854775808"),
        ("search", "random", "--run", "file:x"),
        ("search", "random", "--run", os.fsdecode(b"run-\xff")),
        ("search", "random", "--run", "r" * 300),
        ("search", "random", "--run", "/".join(["r" * 90] * 8)),
        ("resume", ".", "--evaluations", "9223372036854775808"),
        ("top", ".", "-n", "18446744073709551616"),
        ("top", os.fsdecode(b"run-\xff")),
        ("report", "file:x"),
        ("compile", "pangaea"),
        ("compile", "pangaea", "--output", "table.parquet"),
        ("bench", "replay", "random", "--table", "t.parquet", "--evaluations", "9223372036854775808"),
        ("bench", "replay", "random", "--table", "t.parquet", "--repeats", "9223372036854775808"),
        ("bench", "build", "--task", "digits-deep", "--output", "t.parquet", "--seeds", "9223372036854775808"),
        ("top", "."),
        ("report", "."),
        ("resume", "."),
        ("export", ".", "--output", "a.py"),
        ("export", "no_such_run", "--output", "a.py"),
        ("export", "x", "--output", "a.exe"),
        ("compile", "x", "--plot", "picture.exe"),
        ("bench", "replay", "random", "--table", "missing.parquet"),
        ("bench", "import", "missing.json", "--output", "t.parquet"),
        ("frobnicate",),
    ],
    ids=lambda arguments: printable(" ".join(arguments))[:60],
)
def test_wrong_arguments_are_one_clear_line_and_exit_2(symact, tmp_path, arguments):
    code, out, err = symact(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("symact: ")
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_what_does_not_go_together_names_the_help_of_its_own_command(symact):
    code, _, err = symact("search", "random", "--tune", "rate", "--prune", "50")
    assert code == 2
    assert "see symact search --help" in err
    for option in (("--per-site",), ("--site-groups", "1;rest")):
        code, _, err = symact("search", "random", "--tune", "rate", *option)
        assert code == 2
        assert f"{option[0]} does not go with --tune, which looks for one function for all sites" in err
    functions = [node for node in ast.parse(Path(cli.__file__).read_text()).body if isinstance(node, ast.FunctionDef)]
    named = {
        (function.name.rstrip("_"), call.args[0].value)  # type: ignore[attr-defined]
        for function in functions
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "_refuse"
    }
    assert len(named) >= 6
    assert all(command == told for command, told in named), named


def test_an_unexpected_error_is_one_line_unless_debug(symact, monkeypatch):
    from symact.commands import catalogue

    def broken(as_json: bool) -> None:
        raise RuntimeError("something\nunforeseen")

    monkeypatch.setattr(catalogue, "show_tasks", broken)
    code, _, err = symact("tasks")
    assert code == 1
    assert err.splitlines()[0] == "symact: unexpected RuntimeError: something unforeseen"
    monkeypatch.setattr(sys, "argv", ["symact", "--debug", "tasks"])
    with pytest.raises(RuntimeError):
        cli.main()


def test_lists_name_what_is_there(symact):
    assert "digits-deep" in symact("tasks")[1]
    document = json.loads(symact("grammars", "--json")[1])
    spaces = {g["name"]: g["spaces"] for g in document["grammars"]}
    assert spaces["aquasurf"] == {"bench": 5103, "large": 1023516}
    assert "softplus" in symact("grammars", "--functions")[1]


@pytest.mark.slow
def test_a_search_from_start_to_export(symact, tmp_path):
    """search, a second search refused, resume, top, report, export: the whole road."""
    started = ("search", "random", "--grammar", "first", "--evaluations", "10", "--run", "run", "--seed", "3")
    code, out, _ = symact(*started)
    assert code == 0
    assert "relu(x)" in out
    code, _, err = symact(*started)
    assert code == 2
    assert "resume" in err
    assert symact("resume", "run", "--evaluations", "12")[0] == 0
    code, out, _ = symact("top", "run", "--json", "-n", "0")
    trials = json.loads(out)["trials"]
    assert code == 0
    assert len({t["expression"] for t in trials}) == len(trials) == 12
    assert sum(t["origin"] == "baseline" for t in trials) == 9
    finished = [t for t in trials if t["status"] == "finished"]
    fresh = [t["confirmed"]["score"] for t in finished if t["confirmed"] is not None]
    others = [t["score"] for t in finished if t["confirmed"] is None]
    assert fresh + others == sorted(fresh, reverse=True) + sorted(others, reverse=True)
    assert all(t["confirmed"] is not None for t in finished[: len(fresh)]), "what was confirmed does not come first"
    best = [t for t in trials if t["expression"] != "relu(x)"][:4]
    assert all(t["versus_relu"]["low"] <= t["versus_relu"]["difference"] <= t["versus_relu"]["high"] for t in best)
    assert symact("report", "run", "--output", "page.html")[0] == 0
    page = (tmp_path / "page.html").read_text()
    assert trials[0]["expression"] in json.dumps(stored(page))
    assert "Content-Security-Policy" in page, "the page may run and fetch whatever it likes"
    assert "src=" not in page.partition("<body")[0], "the page needs other files"
    assert symact("export", "run", "--output", "best.py")[0] == 0
    done = subprocess.run([sys.executable, "best.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_example_scripts_run(tmp_path):
    examples = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
    assert {"evolution.py", "rl.py"} <= {path.name for path in examples}
    for name in ("evolution.py", "rl.py"):
        path = next(p for p in examples if p.name == name)
        done = subprocess.run(
            [sys.executable, str(path), "12", str(tmp_path / path.stem)], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert "relu(x)" in done.stdout or "0." in done.stdout
