"""What is printed can be read in 80 columns, names stand as they are, and text of strangers is text."""

from __future__ import annotations

import io
import itertools
import json

import numpy as np
import pytest
from rich.console import Console

from symact.expr.tree import parse
from symact.program.loading import load_grammar
from symact.records import Direction, Metric, Outcome, Status, Trial
from symact.report import console
from symact.report.leaderboard import leaderboard
from symact.report.naming import titled

FUNCTIONS = (
    "relu(x)",
    "x",
    "max(relu(x),cosh(elu(x)))",
    "max(softplus(hardsigmoid(x)),mul(logsigmoid(x),softsign(x)))",
    "where(x > 0, x*tanh(softplus(0.12345678*x)), 0.6931471805599453*(exp(1.25*x) - 1))",
)
SCORES = (0.98765, -123.456789, 1e-9, 1e99, -98765.4321, 123456.789)


def printed(monkeypatch, width, show, name="OUT", **more):
    out = io.StringIO()
    monkeypatch.setattr(console, name, Console(file=out, highlight=False, emoji=False, width=width, **more))
    show()
    return out.getvalue()


def board(scores, seeds, budget, confirmed):
    trials = [
        Trial(parse(text), tuple(Outcome.finished(scale * (1 + s / 7)) for s in range(seeds)), origin, n, budget=budget)
        for n, ((text, origin), scale) in enumerate(
            zip(
                zip(FUNCTIONS, ("baseline", "surrogate", "evolution", "random", "mixture"), strict=True),
                itertools.cycle(scores),
                strict=False,
            )
        )
    ]
    fresh = [
        Trial(t.candidate, tuple(Outcome.finished(0.5 + s / 9) for s in range(5)), t.origin, t.number) for t in trials
    ]
    failed = Trial(parse("exp(x)"), (Outcome.failed("timed_out", "not finished within 3 s"),), "random", 9)
    return leaderboard([*trials, failed], fresh[:3] if confirmed else ())


@pytest.mark.parametrize("scores", [SCORES[i:] for i in range(len(SCORES))], ids=str)
@pytest.mark.parametrize(("seeds", "budget"), [(1, 1.0), (5, 1.0), (3, 1 / 9)])
@pytest.mark.parametrize("confirmed", [True, False])
def test_a_leaderboard_fits_80_columns_and_leaves_functions_whole(monkeypatch, scores, seeds, budget, confirmed):
    rows = board(scores, seeds, budget, confirmed)
    for shown in (10, 0):
        text = printed(
            monkeypatch, 80, lambda shown=shown: console.top(rows, shown, "random on my_task.py:Bug: 5 functions")
        )
        assert max(map(len, text.splitlines())) <= 80
        assert "my_task.py:Bug: 5" in text
        for function in ("relu(x)", "x"):
            # A known name may follow: `x, Identity`.
            assert any(function in line.replace(", ", " , ").split() for line in text.splitlines())
        if max(map(abs, scores)) < 1:
            assert "max(relu(x),cosh(elu(x)))"[:14] in text
        assert "…" not in text, "something was cut off"
    assert "timed_out" in text
    assert "within 3 s" in text


def test_a_usual_leaderboard_shows_a_usual_function_on_one_line(monkeypatch):
    text = printed(monkeypatch, 80, lambda: console.top(board((0.98765,), 1, 1.0, True), 10, "title"))
    assert "max(relu(x),cosh(elu(x)))" in text


NAMES = (
    ":bug:",
    "my_task.py:Bug: 3",
    "[red]",
    "[/]",
    ":smile:x",
    "a:+1:b",
    "[link=http://x]",
    "\x1b[31m",
    "日本:cat:",
    "\\[x]",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_stand_as_they_are(monkeypatch, name):
    shown = console.printable(name)
    for show in (
        lambda: console.say(name),
        lambda: console.stage(name, name),
        lambda: console.facts({name: name}, name),
        lambda: console.listing([(name, name)], (name.strip("[]"), "b")),
        lambda: console.top([], 3, name),
    ):
        assert shown in printed(monkeypatch, 80, show)
    assert shown in printed(monkeypatch, 80, lambda: console.note(name), "ERR")


@pytest.mark.parametrize("width", [60, 80, 132])
@pytest.mark.parametrize("description", ["search", "evolution on my_task.py:Bug:", "a" * 200])
@pytest.mark.parametrize("note", ["", "3 s left, best 0.9420 " + FUNCTIONS[3], ":bug: [red] 日本 " * 20])
def test_the_bar_is_one_line(monkeypatch, width, description, note):
    def show():
        with console.bar(description, 60) as update:
            update(7, 60, note)
            update(59, 60, note)

    text = printed(monkeypatch, width, show, "ERR", force_terminal=True, color_system=None)
    lines = [line for line in text.replace("\r", "\n").split("\n") if "/60" in line]
    assert lines
    from rich.cells import cell_len

    clean = [line.replace("\x1b[2K", "").replace("\x1b[?25l", "").replace("\x1b[1A", "") for line in lines]
    assert all(cell_len(line.rstrip()) <= width for line in clean), clean
    assert any("59/60" in line for line in clean)
    if note.startswith("3 s") and width >= 80:
        assert "3 s left, best 0.9420" in text


@pytest.mark.parametrize("width", range(14, 60, 7))
@pytest.mark.parametrize("text", [*FUNCTIONS, "x" * 100, "a,b", ",".join("abcdefgh" * 9)])
def test_a_folded_expression_loses_nothing_and_fits(width, text):
    lines = console.folded(text, width).split("\n")
    assert all(0 < len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", "a[0]", "\x1b[2Jgone", "tab\tbed", "\u202eback"])
def test_no_text_becomes_markup_or_an_escape_sequence(text, capsys):
    console.say(text)
    console.facts({text: text}, text)
    console.listing([(text,)], ("heading",))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert out.count("[red]") == text.count("[red]") * 5


def test_a_document_is_json_and_nothing_else(capsys):
    console.document({"a": np.arange(3), "b": np.float64(0.5), "c": parse("tanh(x)")})
    assert json.loads(capsys.readouterr().out) == {"a": [0, 1, 2], "b": 0.5, "c": "tanh(x)"}


def test_not_a_number_is_no_json():
    with pytest.raises(ValueError, match="JSON"):
        console.document({"a": float("nan")})


def test_progress_and_notes_go_to_standard_error(capsys):
    with console.bar("working", 3) as update:
        update(1, 3, "[bold]note")
    console.note("[bold]careful")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "[bold]careful\n"


def test_the_leaderboard_counts_failures_below_the_table(capsys):
    trials = [
        Trial(parse("tanh(x)"), (Outcome.finished(0.5), Outcome.finished(0.7)), "random", 0),
        Trial(parse("sin(x)"), (Outcome.finished(0.9),), "random", 1, budget=0.25),
        Trial(parse("exp(x)"), (Outcome.failed(Status.diverged, "no"),), "random", 2),
        Trial(parse("sinh(x)"), (Outcome.failed(Status.diverged, "no"),), "random", 3),
    ]
    console.top(leaderboard(trials, []), 1, "title")
    out = capsys.readouterr().out
    assert "title" in out
    assert "0.6000  2" in out
    assert "sin(x)" not in out, "one row was asked for"
    assert "2 failed: 2 diverged" in out
    console.top(leaderboard(trials, []), 0)
    out = capsys.readouterr().out
    assert "sin(x)" in out
    assert "0.25" in out


def losses(count=5):
    def made(text, base, origin, number, seeds=count):
        found = tuple(Outcome.finished(base + s / 100) for s in range(seeds))
        return Trial(parse(text, load_grammar("aquasurf")), found, origin, number, direction=Direction.minimize)

    listed = [("relu(x)", 0.5, "baseline"), ("elu(x)", 0.4, "baseline"), ("add(zero(x),erfc(x))", 0.3, "random")]
    return leaderboard([made(*row, number) for number, row in enumerate(listed)])


@pytest.mark.parametrize("width", [80, 132])
def test_a_loss_is_headed_by_its_name_and_ranked_from_the_lowest(monkeypatch, width):
    metric = Metric("RMSE", Direction.minimize, "mm", ".2f")
    text = printed(monkeypatch, width, lambda: console.top(losses(), 10, "title", metric))
    lines = text.splitlines()
    assert "RMSE (mm)" in lines[1]
    assert [line.split()[1] for line in lines if line[:1].isdigit()] == ["erfc(x)", "elu(x)", "relu(x)"]
    assert "0.32" in text
    assert "-0.20 ± 0.00" in text
    assert "lower is better" in text
    assert "zero" not in text, "words that do nothing are not shown"
    assert "-0.10 ± 0.00" in text, "the difference to the best baseline is not told"


@pytest.mark.parametrize(
    ("words", "name", "room", "expected"),
    [
        ("relu(x)", None, 80, "relu(x)"),
        ("relu(x)", "ReLU (Fukushima 1969)", None, "relu(x)"),
        ("x*sigmoid(x)", "SiLU (Elfwing 2017)", None, "x*sigmoid(x), SiLU (Elfwing 2017)"),
        ("x*sigmoid(x)", "SiLU (Elfwing 2017)", 33, "x*sigmoid(x), SiLU (Elfwing 2017)"),
        ("x*sigmoid(x)", "SiLU (Elfwing 2017)", 32, "x*sigmoid(x)"),
    ],
)
def test_a_known_function_has_its_name_behind_its_words_where_there_is_room(words, name, room, expected):
    assert titled(words, name, room) == expected


def test_what_was_tried_stands_in_the_document_beside_what_is_shown():
    first = losses()[0].document()
    assert (first["expression"], first["shown"], first["name"]) == ("add(zero(x),erfc(x))", "erfc(x)", None)
    assert first["versus_relu"]["better"]
    assert first["versus_best_baseline"]["difference"] == pytest.approx(-0.1)
