"""A function under a name of its own in Hugging Face's `ACT2FN`, so that a model's config can name it."""

from __future__ import annotations

from symact.activation.module import Activation
from symact.errors import InputError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr, parse
from symact.integrations.logged import imported


def register(name: str, expr: Expr | str, grammar: Vocabulary | None = None, replace: bool = False) -> None:
    """Make `hidden_act=NAME` (or `hidden_activation`, `activation_function`) mean this function in Transformers.

    Every place of a model that asks for it gets a module of its own, so learnable parameters are not shared.

    Args:
        name: as in a config; the config that is saved with a model names it, so register it again before loading.
        expr: an expression or its text.
        grammar: of the text.
        replace: take a name that is in use.

    Raises:
        InputError: Transformers is not installed, or the name is in use.
        FormulaError: the text cannot be read.
    """
    found = parse(expr, grammar) if isinstance(expr, str) else expr
    table = imported("transformers.activations", "transformers").ACT2FN
    if not name or not isinstance(name, str):
        raise InputError(f"a name such as 'mine' is needed, not {name!r}")
    if name in table and not replace:
        raise InputError(f"Transformers has an activation {name!r} already; choose another name, or replace=True")
    table[name] = (Activation, {"expr": found})
