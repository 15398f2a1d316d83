"""`symact compile EXPRESSION --certify`: a certificate as one page, or as one JSON document."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from symact.files import check_output, write_text
from symact.report import console


def show_certificate(text: str, grammar_name: str | None, output: Path | None, as_json: bool) -> None:
    """Certify one expression and print what was found.

    Raises:
        InputError: the expression, the grammar or the output is wrong.
    """
    from symact.certify.certificate import certify
    from symact.certify.page import page
    from symact.expr.operators import NO_GRAMMAR
    from symact.expr.tree import parse
    from symact.program.loading import load_grammar

    if output is not None:
        check_output(output, (".json", ".txt"))
    expr = parse(text, load_grammar(grammar_name) if grammar_name else NO_GRAMMAR)
    start = time.perf_counter()
    with console.bar("certifying") as update:
        found = certify(expr, progress=lambda name, done, total: update(done, total, name))
    document: dict[str, Any] = {**found.document, "seconds": round(time.perf_counter() - start, 2)}
    if output is not None:
        shown = page(document) if output.suffix == ".txt" else json.dumps(document, indent=2, allow_nan=False)
        write_text(output, shown + "\n")
        console.note(f"wrote {output}")
    if as_json:
        console.document(document)
    else:
        console.say(page(document))
