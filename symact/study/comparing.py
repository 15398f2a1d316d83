"""`compare`: functions that are given, on one task, on the same seeds. A comparison is a study without an optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from symact.errors import FormulaError, InputError, counted
from symact.execute import task_loading as tasks
from symact.expr.grammar import Grammar
from symact.expr.operators import KINDS
from symact.expr.per_site import grouped_text, parse_candidate
from symact.expr.shape import parse_shape
from symact.expr.space import Space
from symact.expr.tree import Candidate, Expr, candidate_text, sites
from symact.program.loading import load_grammar, parse_grammar
from symact.report.comparison import Comparison
from symact.study import setup
from symact.study.loop import Study
from symact.study.progress import Listener
from symact.tasks.declaration import GATES, is_gated, sites_of, task_name

# The reference where none is given: for activations of x, and for gates of x and g.
REFERENCES = {False: "relu(x)", True: GATES[0]}
MOST = 20_000  # candidates of a comparison
MOST_COSTS = 200  # functions whose cost is measured

_PLAIN = """
name = "given"
inputs = {inputs}
[unary]
identity = "x"
[spaces]
given = ["unary(x)"]
"""


def compare(
    functions: Iterable[str | Expr],
    task: Any,
    seeds: int = 5,
    against: str | Expr | None = None,
    *,
    grammar: Grammar | str | Path | None = None,
    each_site: bool = False,
    run: Path | str | None = None,
    progress: Listener | None = None,
    **options: Any,
) -> Comparison:
    """Train every function on the same seeds, and say which are better than a reference.

    Args:
        functions: expressions or their texts; `"relu(x) ; tanh(x)"` or a tuple has a function for each site.
        task: name of a task, `FILE.py:Class`, or an object with `evaluate`.
        seeds: trainings per function; intervals need three.
        against: the reference, which is compared as well; None means `relu(x)`, and SwiGLU where the task has gates.
        grammar: whose operators and parameters the expressions name; none for ordinary formulas.
        each_site: put each function at one activation site at a time, with the reference at the others.
        run: folder to keep the study in, which goes on with `symact resume`; None keeps it in memory.
        progress: called with a `Progress` whenever a function has finished.
        options: other arguments of `Study`: `seed`, `workers`, `halving`, `timeout`, `data`, ...

    Returns:
        the table; it has `rows`, `to_pandas()`, `document()`, and shows itself in a notebook.

    Raises:
        InputError: an expression cannot be read, an argument is wrong, or `run` holds a study.
    """
    with begin(functions, task, seeds, against, grammar=grammar, each_site=each_site, run=run, **options) as study:
        study.run(goal(study), progress)
        return finished(study)


def begin(
    functions: Iterable[str | Expr],
    task: Any,
    seeds: int = 5,
    against: str | Expr | None = None,
    *,
    grammar: Grammar | str | Path | None = None,
    each_site: bool = False,
    run: Path | str | None = None,
    **options: Any,
) -> Study:
    """The study of a comparison, ready to run; the arguments are those of `compare`."""
    opened = tasks.opened(task, options.get("train"), options.get("data"))
    gated = is_gated(opened.task)
    grammar = grammar_of(grammar, gated)
    setup.check_inputs(opened.task, grammar, opened.settings.name)
    if isinstance(functions, str | Expr):
        functions = [functions]
    reference = read(REFERENCES[gated] if against is None else against, grammar, "against")
    given: list[Candidate] = [read(function, grammar, "functions") for function in functions]
    if not given:
        raise InputError("there is nothing to compare; name at least one expression")
    if not isinstance(reference, Expr):
        raise InputError(f"{candidate_text(reference)}: the reference is one function for all sites")
    _check_sites(given, opened)
    if each_site:
        given = _at_each_site(given, reference, _sites(opened.task))
    if len(given) > MOST:
        raise InputError(f"{len(given):,} functions to compare; at most {MOST:,}")
    unary = bool(grammar.of_kind("unary"))
    space = Space(grammar, "given", [parse_shape("unary(x)")]) if unary else grammar.space()
    settings = {"repeats": seeds, "confirm": 0, "batch": len(given), **options}
    return Study(space, opened, "given", run=run, given=given, against=str(reference), each_site=each_site, **settings)


def goal(study: Study) -> int:
    """How many evaluations a comparison has at most."""
    return len(study.settings.given) + 1


def finished(study: Study) -> Comparison:
    """The table of a comparison, with the costs of its functions where these are not too many."""
    table = Comparison.of(study.store)
    if len(table.rows) > MOST_COSTS:
        return table
    from symact.activation.cost import costs

    return table.with_costs(costs([sites(row.function)[0] for row in table.rows], study.space.grammar))


def grammar_of(grammar: Grammar | str | Path | None, gated: bool) -> Grammar:
    """The grammar in whose words the expressions of a comparison are read.

    Args:
        grammar: itself, its file or its name; None for ordinary formulas.
        gated: such formulas may be functions of x and g.

    Raises:
        GrammarError: there is no such file, or it is wrong.
    """
    if grammar is None:
        return parse_grammar(_PLAIN.format(inputs='["x", "g"]' if gated else '["x"]'))
    return grammar if isinstance(grammar, Grammar) else load_grammar(grammar)


def read(function: str | Expr | Sequence[Expr], grammar: Grammar, what: str) -> Any:
    """An expression as the grammar of a comparison means it.

    Raises:
        InputError: it cannot be read, or is an expression in operators of another grammar.
    """
    if isinstance(function, tuple):
        return tuple(read(part, grammar, what) for part in function)
    if isinstance(function, Expr):
        operators = [node.operator for node in function.walk() if node.operator.kind in KINDS]
        if any(grammar.operators.get(operator.name) != operator for operator in operators):
            raise InputError(f"{function}: its operators are not those of the grammar; give grammar=")
        return function
    if not isinstance(function, str):
        raise InputError(f"{what}: expressions or their texts are compared, not {type(function).__name__}")
    try:
        return parse_candidate(function, grammar)
    except FormulaError as error:
        raise InputError(f"{function}: {error}") from None


def _check_sites(given: Sequence[Candidate], opened: Any) -> None:
    """Refuse candidates with functions for another number of sites than the task has."""
    count = sites_of(opened.task)
    for candidate in given:
        if not isinstance(candidate, Expr) and count not in (None, len(candidate)):
            raise InputError(
                f"{grouped_text(candidate)}: it has functions for {counted(len(candidate), 'site')}, and the task "
                f"{opened.settings.name} has {count}"
            )


def _sites(task: Any) -> int:
    count = sites_of(task)
    if count is None:
        raise InputError(f"{task_name(task)}: it must say with `sites` how many activation sites it has")
    return count


def _at_each_site(functions: list[Candidate], reference: Expr, count: int) -> list[Candidate]:
    if any(not isinstance(function, Expr) for function in functions):
        raise InputError("a candidate with one function per site cannot be put at each site")
    placed: list[Candidate] = []
    for site in range(count):
        for function in functions:
            if function != reference and isinstance(function, Expr):
                placed.append(tuple(function if at == site else reference for at in range(count)))
    if not placed:
        raise InputError("there is nothing to compare with the reference at each site")
    return placed
