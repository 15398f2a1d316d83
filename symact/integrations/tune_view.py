"""A tuned search as a report shows it: each function at its own best settings, and how these were found.

In: a folder of `symact search --tune`, ended or not. Out: a `StudyView` with one trial per function, its best training,
and, once there are fresh seeds, its scores on them at its best settings; panels with the verdict, the best score
so far, and every training with its settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symact.errors import SymactError, counted
from symact.expr.grammar import Grammar
from symact.expr.tree import parse
from symact.integrations.tune_log import TuneLog
from symact.integrations.tune_result import HEADINGS, settings_text
from symact.program.loading import parse_grammar
from symact.records import Direction, Metric, Outcome, Status, Trial
from symact.report.leaderboard import Row, leaderboard, winner
from symact.report.panel import Chart, Panel, lines, table
from symact.report.view import StudyView, grammar_file
from symact.store import TaskSettings
from symact.store.running import read_running

MOST_TRAININGS = 500  # in the table of all


def tuning_view(run: Path) -> StudyView:
    """The tuned search in a folder as it stands.

    Raises:
        InputError: there is none, or its file is damaged.
    """
    log = TuneLog(run, writing=False)
    plan, grammar = log.header, parse_grammar(log.header["grammar"])
    metric = Metric(**{**plan["metric"], "direction": Direction(plan["metric"]["direction"])})
    rows = [row for key, row in log.kept.items() if key.startswith(("search/", "tune/"))]
    result = log.kept.get("result", {}).get("document")
    label = f"{plan['optimizer']}, tuned, on {_task(plan)} ({Path(run).resolve().name})"
    best = _best(rows, metric)
    trials = [
        Trial(
            parse(expression, grammar),
            (Outcome(Status(row["status"]), row["score"], row["reason"]),),
            "baseline" if expression in plan["baselines"] else plan["optimizer"],
            number,
            seconds=float(row["seconds"]),
            direction=metric.direction,
        )
        for number, (expression, row) in enumerate(best.items())
    ]
    chosen = {row["expression"]: row for row in result["functions"]} if result else {}
    settings = {text: chosen[text]["settings"] if text in chosen else best[text]["train"] for text in best}
    return StudyView(
        label=label,
        trials=trials,
        confirmations=[_fresh(row, grammar, metric) for row in chosen.values() if row["tuned"]],
        facts=_facts(plan, grammar, len(rows), sum(float(row["seconds"]) for row in rows)),
        optimizer=f"{plan['optimizer']}, tuned",
        task=_task(plan),
        grammar=grammar_file(grammar),
        seed=plan["seed"],
        notes={number: {"settings": settings_text(settings[text])} for number, text in enumerate(best)},
        metric=metric,
        goal=len(trials) if result else 0,
        panels=_panels(plan, rows, result, metric),
        running=read_running(run),
    )


def tuned_winner(run: Path) -> tuple[Row, str]:
    """The function that was best on the fresh seeds at its own best settings, and these settings in words.

    Raises:
        InputError: there is no tuned search, or its file is damaged.
        SymactError: it has not ended, or nothing finished on the fresh seeds.
    """
    view = tuning_view(run)
    best = winner(leaderboard(view.trials, view.confirmations))
    if best is None or best.confirmation is None:
        raise SymactError(
            f"{run}: no function has finished on the fresh seeds; `symact resume {run}` goes on with the tuned search"
        )
    return best, str(view.notes[best.trial.number]["settings"])


def _task(plan: Mapping[str, Any]) -> str:
    return TaskSettings(**plan["task"]).shown


def _best(rows: Sequence[Mapping[str, Any]], metric: Metric) -> dict[str, Mapping[str, Any]]:
    """Expression -> its best training, in the order in which functions came."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        known = found.setdefault(row["expression"], row)
        if row["score"] is not None and (known["score"] is None or metric.merit(row["score"] - known["score"]) > 0):
            found[row["expression"]] = row
    return found


def _fresh(row: Mapping[str, Any], grammar: Grammar, metric: Metric) -> Trial:
    outcomes = tuple(Outcome(Status.finished, score) for score in row["tuned"])
    return Trial(parse(row["expression"], grammar), outcomes, row["origin"], direction=metric.direction)


def _facts(plan: Mapping[str, Any], grammar: Grammar, done: int, seconds: float) -> list[tuple[str, str]]:
    own = ", ".join(f"{name} = {value}" for name, value in plan["own"].items() if value is not None)
    return [
        ("task", _task(plan)),
        ("metric", f"{plan['metric']['name']}, {plan['metric']['direction']}"),
        ("optimizer", f"{plan['optimizer']}, settings of the training by Optuna's TPE sampler"),
        ("tuned", ", ".join(plan["ranges"])),
        ("the task's own settings", own or "not shown by the task"),
        ("grammar, space", f"{grammar.name}, {plan['space']}"),
        ("study seed", str(plan["seed"])),
        ("trainings", f"{done} of {plan['evaluations']}: half to search, half to tune the best; then the fresh seeds"),
        ("fresh seeds", f"{plan['fresh']} for each of the tuned functions, at its own best and the task's settings"),
        ("time in training", f"{seconds:.0f} s of one worker, without the fresh seeds"),
    ]


def _panels(
    plan: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any] | None, metric: Metric
) -> list[Panel]:
    charts = [_so_far(rows, metric), *_tuned(rows, metric), _every(rows, metric)]
    how = Panel(
        "The settings that were tried",
        f"Tuned: {', '.join(plan['ranges'])}. Each function that was tuned has equally many trainings, the first at "
        "the task's own settings. These scores are on the seed of the search, which flatters the best of many.",
        charts,
    )
    if result is None:
        return [Panel("Does the lead survive tuning?", "The search has not ended: the fresh seeds will tell.", []), how]
    lead = [list(row[:5]) for row in result["table"]]
    said = "".join(_lead(name, found, metric) for name, found in result["leads"].items())
    text = f"{result['verdict']}{said} The table has means of {result['fresh']} fresh seeds, which chose nobody."
    return [Panel("Does the lead survive tuning?", text, [table(HEADINGS, lead)]), how]


def _lead(name: str, lead: Mapping[str, Any], metric: Metric) -> str:
    if "low" not in lead:
        return ""
    gap = ", ".join(metric.text(lead[end], signed=True) for end in ("low", "high"))
    difference = metric.text(lead["difference"], signed=True)
    return f" {name.capitalize()}, {lead['function']} against {lead['rival']}: {difference} [{gap}]."


def _climb(scores: Sequence[float | None], metric: Metric) -> list[float | None]:
    """The best so far after each score."""
    best: float | None = None
    climbed = []
    for score in scores:
        if score is not None and (best is None or metric.merit(score - best) > 0):
            best = score
        climbed.append(best)
    return climbed


def _so_far(rows: Sequence[Mapping[str, Any]], metric: Metric) -> Chart:
    """The best score after each training, of the search and then of the tuning."""
    stages = [row["key"].partition("/")[0] for row in rows]
    best = _climb([row["score"] for row in rows], metric)
    searched = [score if stage == "search" else None for score, stage in zip(best, stages, strict=True)]
    tuned = [score if stage == "tune" else None for score, stage in zip(best, stages, strict=True)]
    series = {"search": searched, **({"tuning of the best": tuned} if "tune" in stages else {})}
    return lines(range(1, len(rows) + 1), series, "trainings", metric.heading, "Best so far")


def _tuned(rows: Sequence[Mapping[str, Any]], metric: Metric) -> list[Chart]:
    """The best score of each tuned function after each of its trainings."""
    found: dict[str, list[float | None]] = {}
    for row in rows:
        if row["key"].startswith("tune/"):
            found.setdefault(row["expression"], []).append(row["score"])
    if not found:
        return []
    longest = max(map(len, found.values()))
    series = {text: (_climb(scores, metric) + [None] * longest)[:longest] for text, scores in found.items()}
    title = "Best so far of each function that was tuned"
    return [lines(range(1, longest + 1), series, "trainings of the function", metric.heading, title)]


def _every(rows: Sequence[Mapping[str, Any]], metric: Metric) -> Chart:
    """The table of trainings, best first, what failed last."""
    order = sorted(rows, key=lambda row: (row["score"] is None, -metric.merit(row["score"] or 0.0)))[:MOST_TRAININGS]
    shown = [
        [
            row["key"].rpartition("/")[0].replace("/", " "),
            metric.text(row["score"]) if row["score"] is not None else row["status"],
            settings_text(row["train"]),
            row["expression"],
        ]
        for row in order
    ]
    what = (
        f"All {counted(len(rows), 'training')}"
        if len(rows) == len(shown)
        else f"The best {len(shown)} of {counted(len(rows), 'training')}"
    )
    return table(("training", "score", "settings", "function"), shown, f"{what}, with their settings")
