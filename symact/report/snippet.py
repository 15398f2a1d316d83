"""A candidate -> the Python that makes it an `nn.Module`, to be copied from the page."""

from __future__ import annotations

import json
from functools import lru_cache

from symact.errors import SymactError
from symact.expr.formula_text import formula_text
from symact.expr.tree import Candidate, Expr, is_mixture, sites

MIXTURE = """\
# A mixture has weights of its own in each layer. From the shell, for the best one of a study:
# symact export DIR --output mixture.py"""


def snippet(candidate: Candidate, grammar: str) -> str:
    """Lines of Python; a function without parameters is written as a formula, which needs no grammar.

    Args:
        candidate: what is to be taken home.
        grammar: what `symact.load_grammar` takes for the grammar of its parameters, a shipped name or a file.
    """
    if is_mixture(candidate):
        return MIXTURE
    made = [_activation(expression) for expression in sites(candidate)]
    needed = any(expression.parameters for expression in sites(candidate))
    lines = ["import symact", ""]
    lines += [f"grammar = symact.load_grammar({json.dumps(grammar)})"] if needed else []
    if len(made) == 1:
        lines.append(f"activation = {made[0]}  # an nn.Module")
    else:
        lines += ["activations = [  # nn.Modules, one per site", *(f"    {one}," for one in made), "]"]
    return "\n".join(lines)


@lru_cache(maxsize=1 << 15)
def _activation(expression: Expr) -> str:
    kind = "Gate" if len(expression.inputs) > 1 else "Activation"
    if expression.parameters:
        return f"symact.{kind}({json.dumps(str(expression))}, grammar)"
    try:
        text = formula_text(expression, {})
    except (SymactError, KeyError):
        text = str(expression)
    return f"symact.{kind}({json.dumps(text)})"
