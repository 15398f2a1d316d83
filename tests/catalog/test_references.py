"""Every row that another library computes equals it in float64, where that library is installed."""

from __future__ import annotations

import ast
import importlib
import warnings

import numpy as np
import pytest
import torch

from symact.catalog.curves import curves
from symact.catalog.rows import expression_of
from symact.expr.published import published

REFERENCED = [row for row in published().values() if row.reference]
POINTS = np.concatenate([np.linspace(-6.0, 6.0, 97) + 0.0123, np.linspace(-30.0, 30.0, 31) + 0.0077])
# Where a library clamps, adds a small number or switches to a limit, it is right to these digits alone.
LOOSE = {"logarithmic": 1e-4, "gelu_tanh": 1e-9}


def computed(reference: str, x: torch.Tensor) -> torch.Tensor:
    """What a class or function of another library makes of `x`."""
    path, _, arguments = reference.partition("(")
    module, name = path.rsplit(".", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = pytest.importorskip(module, reason=f"{module.split('.')[0]} is not installed")
    call = ast.parse(f"f({arguments or ')'}", mode="eval").body
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    found = getattr(loaded, name, None) or getattr(importlib.import_module(path), name)
    if module.startswith("jax"):
        importlib.import_module("jax").config.update("jax_enable_x64", True)
        return torch.from_numpy(np.array(found(x.numpy(), **given)))
    if not isinstance(found, type):
        return found(x, **given)
    made = found(**given)
    if isinstance(made, torch.nn.Module):
        made = made.double().eval()
    return made(x)


@pytest.mark.parametrize("row", REFERENCED, ids=lambda row: row.key)
def test_a_row_equals_its_reference_implementation(row):
    x = torch.from_numpy(POINTS.copy())
    with torch.no_grad():
        theirs = computed(row.reference, x).numpy()
    ours = curves([expression_of(row.key)], POINTS)[0]
    both = np.isfinite(ours) & np.isfinite(theirs) & (np.abs(ours) < 1e30)
    assert both.mean() > 0.4
    tolerance = LOOSE.get(row.key, 1e-6)
    equal = np.abs(ours - theirs)[both] <= tolerance * (1 + np.abs(ours[both]))
    if row.differs:
        assert not equal.all(), f"{row.reference} agrees now: {row.differs}"
    else:
        worst = np.argmax(np.abs(ours - theirs)[both])
        assert equal.all(), (POINTS[both][worst], ours[both][worst], theirs[both][worst])
