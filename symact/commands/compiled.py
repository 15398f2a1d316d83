"""`symact compile`: one expression through the stages of the compiler, or a grammar into its classes."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symact.errors import SymactError, lasting
from symact.files import check_output
from symact.report import console

if TYPE_CHECKING:
    from symact.expr.tree import Expr


WORTH_SAYING = 10.0  # seconds from which on an estimate is given before the work


def is_grammar(target: str) -> bool:
    """Whether `compile` was given a grammar (a `.toml` file, or a shipped name) and not an expression."""
    from symact.program.loading import shipped

    return target.strip().endswith(".toml") or target.strip() in shipped()


def show_expression(
    text: str,
    grammar_name: str | None,
    stage: str | None,
    check: bool,
    plot: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compile one expression and print its stages; write what was asked for.

    Raises:
        InputError: the expression, the grammar or an output is wrong.
        SymactError: the check found a value or a gradient that is not as promised.
    """
    from symact.expr.operators import NO_GRAMMAR
    from symact.expr.tree import parse
    from symact.program.loading import load_grammar

    for path, suffixes in ((output, (".py", ".onnx")), (plot, (".png", ".svg", ".pdf"))):
        if path is not None:
            check_output(path, suffixes)
    grammar = load_grammar(grammar_name) if grammar_name else NO_GRAMMAR
    expr = parse(text, grammar)
    report = _checked(expr) if check else None
    if output is not None or plot is not None:
        from symact.export import files

        if output is not None:
            files.write(expr, output)
            console.note(f"wrote {output}")
        if plot is not None:
            files.plot(expr, plot)
            console.note(f"wrote {plot}")
    if as_json:
        console.document(_document(expr, grammar, stage, report))
    elif stage is not None:
        print(stages()[stage](expr).rstrip())
        _say_checked(report)
    else:
        console.stage("expression", str(expr))
        for name in ("canonical", "gradient", "torch", "latex"):
            console.stage(name, stages()[name](expr))
        _say_checked(report)
    if report is not None and not report["passed"]:
        raise SymactError(f"{expr}: {report['verdict']}")


def stages() -> dict[str, Callable[[Expr], str]]:
    """What `--show STAGE` prints of an expression, by the name of the stage."""
    from symact.activation import gpu_cost
    from symact.backends.torch_source import source as torch_source
    from symact.backends.triton.source import source as triton_source
    from symact.expr.display import canonical, latex
    from symact.program.gradient import backward
    from symact.program.pipeline import lower

    def triton(expr: Expr) -> str:
        forward = lower(expr)
        return triton_source(forward, backward(forward))

    return {
        "canonical": lambda expr: str(canonical(expr)),
        "program": lambda expr: str(lower(expr)),
        "gradient": lambda expr: str(backward(lower(expr))),
        "torch": lambda expr: torch_source(lower(expr)),
        "triton": triton,
        "cost": lambda expr: gpu_cost.shown(lower(expr)),
        "latex": latex,
    }


def _checked(expr: Any) -> dict[str, Any]:
    from symact.activation.check import check

    with console.bar("checking against high precision"):
        report = check(expr)
    return {
        "worst_value_error": report.worst_value_error,
        "worst_gradient_error": report.worst_gradient_error,
        "at": report.at,
        "passed": report.passed,
        "verdict": report.verdict,
    }


def _say_checked(report: dict[str, Any] | None) -> None:
    if report is not None:
        console.facts(report, "check against high precision (float32)")


def _document(expr: Any, grammar: Any, stage: str | None, report: dict[str, Any] | None) -> dict[str, Any]:
    from symact.equivalence import domain

    show = stages()
    wanted = {stage} - {"cost"} if stage is not None else set()
    shown: dict[str, Any] = {n: show[n](expr).rstrip() for n in ("canonical", "latex", "torch", *sorted(wanted))}
    if stage == "cost":
        from symact.activation import gpu_cost
        from symact.program.pipeline import lower

        shown["cost"] = gpu_cost.described(lower(expr))
    parameters = [
        {"name": p.name, "init": p.init, "per": p.per, "positive": p.positive, "range": list(p.range)}
        for p in expr.parameters
    ]
    return {
        "expression": str(expr),
        **shown,
        "parameters": parameters,
        "domain": domain(expr, grammar),
        # JSON has no infinity; the verdict says it.
        **{k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in (report or {}).items()},
    }


def show_grammar(name: str, space_name: str | None, equivalence: str, output: Path | None, as_json: bool) -> None:
    """Find the distinct functions of a space, print a summary, and write the table.

    Raises:
        InputError: the grammar, the space or the output is wrong.
    """
    from symact.equivalence import enumerate_classes, write_table
    from symact.equivalence.table.size import check_size, estimate
    from symact.program.loading import load_grammar

    grammar = load_grammar(name.strip())
    space = grammar.space(space_name)
    if output is not None:
        check_output(output, (".parquet",))
    check_size(space)
    expected = estimate(space)
    if expected.seconds > WORTH_SAYING:
        console.note(
            f"{grammar.name}/{space.name}: {expected.expressions:,} expressions, roughly {lasting(expected.seconds)} "
            f"of one core and {max(0.1, expected.bytes / 2**30):.1f} GiB"
        )
    start = time.perf_counter()

    def left(done: int, total: int) -> str:
        passed = time.perf_counter() - start
        return f"about {lasting(passed / done * (total - done))} left" if done and passed > 1 else ""

    with console.bar(f"{grammar.name}/{space.name}", expected.expressions) as update:
        table = enumerate_classes(
            grammar, space, equivalence, progress=lambda done, total: update(done, total, left(done, total))
        )
        if output is not None:
            write_table(table, output)
    summary = _summary(table, grammar, space, equivalence, time.perf_counter() - start, output)
    if as_json:
        console.document(summary)
    else:
        console.facts({**summary, "sha256": summary["sha256"][:16]})


def _summary(
    table: Any, grammar: Any, space: Any, equivalence: str, seconds: float, output: Path | None
) -> dict[str, Any]:
    representatives = table.filter(table["representative"])
    domains = Counter(representatives["domain"].to_pylist())
    return {
        "grammar": grammar.name,
        "sha256": grammar.sha256,
        "space": space.name,
        "equivalence": equivalence,
        "expressions": table.num_rows,
        "classes": representatives.num_rows,
        "everywhere_defined": domains["everywhere"],
        "partly_defined": domains["partly"],
        "nowhere_defined": domains["nowhere"],
        "evidence": dict(Counter(representatives["evidence"].to_pylist())),
        "seconds": round(seconds, 3),
        "output": None if output is None else str(output),
    }
