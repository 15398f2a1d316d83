"""Small studies for the tests of reports, made without training anything."""

from __future__ import annotations

from symact.expr.tree import parse
from symact.program.loading import load_grammar
from symact.records import Outcome, Status, Trial
from symact.report.view import StudyView

EVIL = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>"
FUNCTIONS = ("tanh(x)", "mul(identity(x),sigmoid(x))", "add(tanh(x),relu(x))", "max(relu(x),tanh(x))", "sin(x)")


def finished(text: str, *scores: float, number: int = 0, origin: str = "random", batch: int = -1) -> Trial:
    """A trial of a function of the grammar `first` with a training curve per seed."""
    expr = parse(text, load_grammar("first"))
    outcomes = tuple(
        Outcome.finished(s, curve=[{"epoch": 1, "score": s / 2}, {"epoch": 2, "score": s}], train_seconds=0.5)
        for s in scores
    )
    return Trial(expr, outcomes, origin, number, batch, seconds=1.0)


def failure(text: str, number: int) -> Trial:
    """A trial that crashed with a reason full of markup."""
    return Trial(parse(text), (Outcome.failed(Status.crashed, EVIL),), "random", number)


def view(label: str = "study", extra: tuple[Trial, ...] = (), **known: object) -> StudyView:
    """A study of ReLU, a better function, a few others and a failure."""
    trials = [
        finished("relu(x)", 0.8, 0.82, 0.81, origin="baseline"),
        finished("mul(identity(x),sigmoid(x))", 0.9, 0.91, 0.92, number=1),
        failure("1/x", 2),
        *(finished(text, 0.1 * place, number=3 + place) for place, text in enumerate(FUNCTIONS)),
        *extra,
    ]
    facts = [("task", EVIL), ("machine", "a & b")]
    return StudyView(label, trials, [], facts, grammar="first", **known)  # type: ignore[arg-type]
