"""`symact tasks` and `symact grammars`: what is there."""

from __future__ import annotations

from symact.report import console


def show_tasks(as_json: bool) -> None:
    """List the built-in tasks with what their score is and the first line of what they say of themselves."""
    from symact.tasks import TASKS

    rows = [
        {
            "name": name,
            "metric": TASKS.declared(name, "metric") or "score",
            "unit": TASKS.declared(name, "unit") or "",
            "direction": TASKS.declared(name, "direction") or "maximize",
            "description": TASKS.summary(name),
        }
        for name in TASKS
    ]
    if as_json:
        console.document({"tasks": rows})
        return
    shown = []
    for row in rows:
        better = "lower" if row["direction"] == "minimize" else "higher"
        metric = f"{row['metric']} ({row['unit']})" if row["unit"] else row["metric"]
        shown.append((row["name"], metric, better, row["description"]))
    console.listing(shown, ("task", "score", "better", "what it is"))


def show_grammars(as_json: bool) -> None:
    """List the shipped grammars, their operators and their spaces."""
    from symact.program.loading import load_grammar, shipped

    grammars = [load_grammar(name) for name in sorted(shipped())]
    if as_json:
        console.document(
            {
                "grammars": [
                    {
                        "name": g.name,
                        "source": g.source,
                        "operators": list(g.operators),
                        "parameters": list(g.parameters),
                        "spaces": {name: space.count() for name, space in g.spaces.items()},
                    }
                    for g in grammars
                ]
            }
        )
        return
    rows = [
        (g.name, str(len(g.operators)), "\n".join(f"{n}: {s.count():,}" for n, s in g.spaces.items()), g.source)
        for g in grammars
    ]
    console.listing(rows, ("grammar", "operators", "spaces (expressions)", "source"))


def show_functions(as_json: bool) -> None:
    """List the functions that a formula may call."""
    from symact.expr.functions import FUNCTIONS

    if as_json:
        console.document(
            {
                "functions": [
                    {"name": f.name, "arity": f.arity, "definition": f.definition, "aliases": list(f.aliases)}
                    for f in FUNCTIONS.values()
                ]
            }
        )
        return
    rows = [
        (f.name, "2 or more" if f.arity is None else str(f.arity), f.definition, ", ".join(f.aliases))
        for f in FUNCTIONS.values()
    ]
    rows.append(("where", "3", "where(condition, then, otherwise)", ""))
    console.listing(rows, ("function", "arguments", "definition", "also accepted"))
