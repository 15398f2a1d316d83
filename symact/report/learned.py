"""What an optimizer learned during a study, as panels of plain charts, one function per optimizer.

In: a `StudyView`. Out: `Panel`s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symact.equivalence.shorter import shorter
from symact.errors import counted
from symact.expr.per_site import same_sites
from symact.expr.tree import Expr, candidate_text, is_mixture, site_numbers
from symact.optimize.base import rank_values
from symact.optimize.mixture import BANSAL
from symact.records import Status, Trial
from symact.report import curves, mixtures
from symact.report.naming import known_name, shown, titled
from symact.report.panel import Chart, Panel, lines, table
from symact.report.view import StudyView

# Why there are no notes: a search begins with known and with random functions. (Very old studies have none at all.)
NO_NOTES = {
    "evolution": "No breeding is recorded: the functions so far were known ones, or drawn at random.",
    "rl": "Nothing is recorded of the policy: the functions so far were known ones, or not drawn from it.",
    "surrogate": "No prediction is recorded: the functions so far were known ones, or came before the first model.",
}
MOST_LINES = 8
MOST_SITES = 12
MOST_COLUMNS = 8  # of a table of shares
SCALES = (3, 1, 10, 100)
ANCESTORS = 40


def panels(view: StudyView, winner: Trial | None) -> list[Panel]:
    """What the optimizer learned, and what successive halving decided, as far as the store holds it."""
    made = [*view.panels]
    made += [] if winner is None or isinstance(winner.candidate, Expr) else [_sites(winner)]
    if any(trial.origin != "baseline" for trial in view.trials):  # else it has proposed nothing yet
        made += _OPTIMIZERS.get(view.optimizer, _nothing)(view, winner)
    if len({trial.budget for trial in view.trials}) > 1:
        made.append(_rungs(view))
    return made


def _nothing(view: StudyView, winner: Trial | None) -> list[Panel]:
    return []


def _batches(view: StudyView) -> list[tuple[int, list[Trial]]]:
    """The batches that the optimizer asked for, with their trials."""
    found: dict[int, list[Trial]] = {}
    for trial in view.trials:
        if trial.batch >= 0 and trial.origin == view.optimizer:
            found.setdefault(trial.batch, []).append(trial)
    return sorted(found.items())


def _evolution(view: StudyView, winner: Trial | None) -> list[Panel]:
    title = "Family tree of the winner"
    if winner is None:
        return []
    if not view.notes:
        return [Panel(title, NO_NOTES["evolution"], [])]
    by_number = {trial.number: trial for trial in view.trials}
    if not _parents(view, winner.number):
        return [Panel(title, "The winner has no parents: it was a baseline, or drawn at random.", [])]
    nodes: list[dict[str, Any]] = []
    seen: dict[int, int] = {}

    def visit(number: int) -> int:
        if number in seen:
            return seen[number]
        seen[number] = place = len(nodes)
        trial = by_number[number]
        note = view.notes.get(number, {})
        node = {"number": number, "text": shown(trial.candidate), "score": trial.score}
        nodes.append({**node, "origin": trial.origin, "how": str(note.get("operation", "")), "parents": []})
        for parent in _parents(view, number):
            if parent in by_number and parent < number and len(nodes) < ANCESTORS:
                nodes[place]["parents"].append(visit(parent))
        return place

    visit(winner.number)
    text = "Each function stands above what it was bred from; the word in between is the mutation, or crossover."
    return [Panel(title, text, [{"kind": "tree", "nodes": nodes}])]


def _parents(view: StudyView, number: int) -> list[int]:
    parents = view.notes.get(number, {}).get("parents", ())
    return [p for p in parents if type(p) is int] if isinstance(parents, list | tuple) else []


def _reinforcement(view: StudyView, winner: Trial | None) -> list[Panel]:
    batches = _batches(view)
    if not batches:
        return []
    ends = [max(trial.number for trial in trials) + 1 for _, trials in batches]
    scores = [[t.score for t in trials if t.score is not None] for _, trials in batches]
    reward = {
        "mean of the batch": [_mean(s) for s in scores],
        "best of the batch": [_best(s, view) for s in scores],
    }
    charts = [lines(ends, reward, "functions evaluated", "score", "Reward")]
    notes = [[view.notes.get(trial.number, {}) for trial in trials] for _, trials in batches]
    if not any(any(batch) for batch in notes):
        return [Panel("What the controller learned", NO_NOTES["rl"], charts)]
    entropy = [_mean([note.get("entropy") for note in batch]) for batch in notes]
    charts.append(lines(ends, {"entropy": entropy}, "functions evaluated", "nats per choice", "Entropy of the policy"))
    shares: list[Mapping[str, float]] = [
        next((note["operators"] for note in batch if "operators" in note), {}) for batch in notes
    ]
    names = {name for share in shares for name in share}
    last = sorted(names, key=lambda name: -sum(share.get(name, 0.0) for share in shares[-3:]))[:MOST_LINES]
    chosen = {name: [share.get(name, 0.0) if share else None for share in shares] for name in last}
    charts.append(lines(ends, chosen, "functions evaluated", "share of all operators", "Operators that it prefers"))
    text = (
        "A policy that learns gives up entropy for reward. The shares are those of the operators in candidates "
        "drawn from the policy as it stood; shown are the ones it uses most at the end."
    )
    return [Panel("What the controller learned", text, charts)]


def _best(scores: Sequence[float], view: StudyView) -> float | None:
    return max(scores, key=view.metric.merit, default=None)


def _mean(values: Sequence[Any]) -> float | None:
    known = [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    return sum(known) / len(known) if known else None


def _surrogate(view: StudyView, winner: Trial | None) -> list[Panel]:
    title = "Predicted and measured"
    if not view.notes:
        return [Panel(title, NO_NOTES["surrogate"], [])]
    found: list[tuple[float, float, int]] = []
    for trial in view.trials:
        note = view.notes.get(trial.number, {})
        value = note.get("predicted") if note.get("targets") == "rank" else None
        if not isinstance(value, int | float) or trial.merit is None:
            continue
        before = [other.merit for other in view.trials if other.batch < trial.batch]
        found.append((float(value), float(rank_values([*before, trial.merit])[-1]), trial.number))
    predicted, measured, numbers = (
        (list(column) for column in zip(*sorted(found), strict=True)) if found else ([], [], [])
    )
    if len(found) < 3:
        return [Panel(title, "Fewer than three functions were predicted before they were trained.", [])]
    order = _rank_correlation(predicted, measured)
    chart = {
        "kind": "scatter",
        "title": "",
        "x": curves.numbers(predicted),
        "y": curves.numbers(measured),
        "numbers": numbers,
        "across": "predicted rank",
        "up": "measured rank",
        "diagonal": True,
    }
    count = counted(len(found), "function")
    text = (
        f"Ranks among all that was trained before, from -1 (worst) to 1 (best), for {count}. Rank "
        f"correlation {order:.2f}. Only functions that were predicted to be good are trained, so a weak correlation "
        "among them is no proof of a weak predictor."
    )
    return [Panel(title, text, [chart])]


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    a, b = rank_values(first), rank_values(second)
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / size) if size > 0 else 0.0


def _mixture(view: StudyView, winner: Trial | None) -> list[Panel]:
    found = best_mixture(view, winner)
    if found is None:
        return []
    best, learned = found
    layers = mixtures.shares(learned)
    groups = [
        {
            "name": f"layer {number}",
            "parts": [[term(name, view), round(float(v.mean()), 4)] for name, v in list(layer.items())[:10]],
        }
        for number, layer in enumerate(layers[:MOST_SITES], 1)
    ]
    charts: list[Chart] = [{"kind": "shares", "title": "Shares of each layer", "groups": groups}]
    head, rows = mixtures.table(layers, lambda name: term(name, view))
    if len(head) <= MOST_COLUMNS:
        charts.append(table(head, rows))
    for scale in SCALES:
        x, drawn = mixtures.mean_curves(best.candidate, learned, scale)
        series = {f"layer {number}": curves.numbers(y) for number, y in enumerate(drawn[:MOST_LINES], 1)}
        charts.append(lines(curves.numbers(x), series, "x", "", f"Learned function on [-{scale}, {scale}]"))
    score = view.metric.text(best.score)
    text = f"The best mixture (score {score}) has weights of its own in each of {counted(len(layers), 'layer')}. "
    count = len(learned)
    text += f"Means of {count} trainings, with the deviation in the table." if count > 1 else "One training tells."
    return [Panel("What the mixture learned", text, charts)]


def best_mixture(view: StudyView, winner: Trial | None) -> tuple[Trial, list[list[Mapping[str, Any]]]] | None:
    """The mixture that is shown, one function for all sites, and what each of its trainings has learned; or None."""
    mixed = [
        t for t in view.trials if t.status is Status.finished and is_mixture(t.candidate) and t.outcomes[0].constants
    ]
    best = (
        winner if winner in mixed else max(mixed, key=lambda t: -math.inf if t.merit is None else t.merit, default=None)
    )
    if best is None or not isinstance(best.candidate, Expr):
        return None
    again = next((trial for trial in view.confirmations if trial.candidate == best.candidate), None)
    return best, mixtures.trainings(best, again)


def term(name: str, view: StudyView) -> str:
    """What a weight belongs to: `w0_sinh` to sinh, `w0_f1` to the second of the functions mixed first."""
    slot, _, term = name.partition("_")
    given = list(view.functions or BANSAL)
    if term[:1] == "f" and term[1:].isdigit() and int(term[1:]) < len(given):
        return given[int(term[1:])]
    return term if slot == "w0" else f"slot {slot[1:]}: {term}"


def _sites(winner: Trial) -> Panel:
    """The functions of the activation sites, where they have their own: which stands where, and their curves."""
    parts = same_sites(tuple(map(shorter, winner.candidate)))
    rows, drawn, x = [], dict[str, list[float | None]](), np.zeros(0)
    for function, numbers in parts:
        where = f"site{'s' * (len(numbers) > 1)} {site_numbers(numbers)}"
        rows.append([where, titled(str(function), known_name(function)), _values(winner, numbers)])
        if len(drawn) < MOST_LINES and len(function.inputs) == 1:
            values = curves.learned(winner, numbers[0] - 1)
            x, y, _ = curves.samples(function, -3, 3, values, 201)
            drawn[where] = curves.numbers(y)
    shown_values = any(row[2] for row in rows)
    head = ("where", "function", "learned values") if shown_values else ("where", "function")
    placed = table(head, [row[: len(head)] for row in rows])
    chart = [lines(curves.numbers(x), drawn, "x", "", "The functions, site by site")] if drawn else []
    text = "The best candidate has functions of its own at the activation sites of the network, counted from the input."
    return Panel("One function per site", text, [placed, *chart])


def _values(trial: Trial, numbers: Sequence[int]) -> str:
    """What the sites have learned: name and value, or the ends of the values."""
    learned = [curves.learned(trial, number - 1) for number in numbers]
    said = []
    for name in learned[0]:
        values = [values[name] for values in learned if isinstance(values.get(name), int | float)]
        if values:
            low, high = f"{min(values):.4g}", f"{max(values):.4g}"
            said.append(f"{name} = {low}" if low == high else f"{name} = {low} to {high}")
    return ", ".join(said)


def _rungs(view: StudyView) -> Panel:
    """Successive halving: how many functions reached each rung, and the scores of those that went on."""
    steps = sorted({(trial.budget, len(trial.outcomes)) for trial in view.trials if trial.score is not None})
    rows, paths = [], dict[str, dict[tuple[float, int], float]]()
    for step in steps:
        here = [t for t in view.trials if (t.budget, len(t.outcomes)) == step]
        best = max(here, key=lambda t: -math.inf if t.merit is None else t.merit)
        for trial in here:
            if trial.score is not None:
                paths.setdefault(candidate_text(trial.candidate), {})[step] = trial.score
        rows.append(
            [
                f"{step[0]:.3g}",
                str(step[1]),
                str(len(here)),
                view.metric.text(best.score),
                candidate_text(best.candidate),
            ]
        )
    whole = sorted((p for p in paths.items() if steps[-1] in p[1]), key=lambda p: -view.metric.merit(p[1][steps[-1]]))[
        :MOST_LINES
    ]
    series = {text: [path.get(step) for step in steps] for text, path in whole}
    failed = sum(t.score is None for t in view.trials)
    rungs = table(("budget", "seeds", "functions", "best score", "best function"), rows, expressions="best function")
    chart = lines([step[0] for step in steps], series, "budget (share of a full training)", "score", "Up the rungs")
    text = f"Many functions are trained a little, the best of them longer; {failed} failed and went no further."
    return Panel("Successive halving", text, [rungs, chart])


_OPTIMIZERS: Mapping[str, Callable[[StudyView, Trial | None], list[Panel]]] = {
    "evolution": _evolution,
    "rl": _reinforcement,
    "surrogate": _surrogate,
    "mixture": _mixture,
}
