"""Functions of the space `bench`, described as regressors see them."""

from __future__ import annotations

import numpy as np

from symact.expr.tree import parse
from symact.optimize.function_features import Frame, Raw, outputs
from symact.program.loading import load_grammar

GRAMMAR = load_grammar("aquasurf")
SPACE = GRAMMAR.space("bench")


def expressions(*texts):
    return [parse(text, GRAMMAR) for text in texts]


def described(members, fisher=None):
    features = None if fisher is None else {"fisher": fisher, "fisher_weights": np.array([2.0, 1.0])}
    raw = Raw.of(members, features)
    return Frame(raw)(raw), raw


def likeness(expression, target):
    return -float(np.sqrt(((outputs([expression]).clip(-5, 5) - target) ** 2).mean()))
