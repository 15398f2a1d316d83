"""`symact compile EXPRESSION --certify`: a certificate as one page, or as one JSON document."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symact.files import check_output, write_text
from symact.report import console

if TYPE_CHECKING:
    from symact.certify.singles import Singles


def show_certificate(
    text: str, grammar_name: str | None, dtype: str | None, device: str, output: Path | None, as_json: bool
) -> None:
    """Certify one expression and print what was found.

    Raises:
        InputError: the expression, the grammar, the type, the device or the output is wrong.
    """
    from symact.certify.certificate import TYPES, certify
    from symact.certify.page import page
    from symact.expr.operators import NO_GRAMMAR
    from symact.expr.tree import parse
    from symact.program.loading import load_grammar

    if output is not None:
        check_output(output, (".json", ".txt", ".html"))
    expr = parse(text, load_grammar(grammar_name) if grammar_name else NO_GRAMMAR)
    types = (dtype,) if dtype else TYPES
    # What a long measurement is resumed from stands beside what it makes.
    state = output.with_name(f"{output.name}.state") if output is not None and "float32" in types else None
    start = time.perf_counter()
    with console.bar("certifying") as update:
        found = certify(
            expr,
            types,
            lambda name, done, total: update(done, total, name),
            device,
            state,
            lambda singles: _announce(singles, state),
        )
    document: dict[str, Any] = {**found.document, "seconds": round(time.perf_counter() - start, 2)}
    if output is not None:
        write_text(output, _written(document, output.suffix) + "\n")
        console.note(f"wrote {output}")
        if state is not None:
            state.unlink(missing_ok=True)
    if as_json:
        console.document(document)
    else:
        console.say(page(document))


def _written(document: dict[str, Any], suffix: str) -> str:
    """The document as the name of its file asks for."""
    if suffix == ".json":
        return json.dumps(document, indent=2, allow_nan=False)
    # Few ask for a page.
    from symact.certify.page import page
    from symact.certify.web_page import web_page

    return page(document) if suffix == ".txt" else web_page(document)


def _announce(singles: Singles, state: Path | None) -> None:
    """What is about to be measured, and about how long that takes."""
    points = f", {singles.by_points:,} of them in ball arithmetic" if singles.by_points > 1000 else ""
    kept = (
        f"a stop or a kill loses little: the same command goes on from {state}"
        if state
        else ("with --output FILE.json it could be stopped and resumed")
    )
    console.note(f"float32: {singles.inputs:,} inputs{points}: about {_duration(singles.left(state))}; {kept}")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 1):.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:,.0f} hours"
