"""Pictures are drawn, and curves are broken where the function jumps."""

from __future__ import annotations

import matplotlib.image
import numpy as np
import pytest

from symact.export import files, plot
from symact.expr.operators import Parameter, Vocabulary
from symact.expr.tree import parse

LEARNABLE = Vocabulary(
    parameters={"beta": Parameter("beta", init=0.8, positive=True), "alpha": Parameter("alpha", init=-0.5)}
)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_is_drawn(tmp_path, suffix):
    path = tmp_path / f"act{suffix}"
    files.plot("alpha*x*sigmoid(beta*x)", path, grammar=LEARNABLE)
    assert path.stat().st_size > 5000
    if suffix == ".png":
        pixels = matplotlib.image.imread(path)
        assert pixels[..., :3].std() > 0.02, "an empty picture"


def test_a_curve_is_broken_at_jumps_and_not_where_it_is_only_steep():
    def breaks(text: str, which: int) -> list[float]:
        x, y, _ = plot.sampled(plot.curves(parse(text), {})[which])
        return [float(v) for v in x[np.isnan(y)] if abs(v) < 4.9]

    assert breaks("where(x > 1, x, -1)", 0) == pytest.approx([1.0], abs=1e-6)
    assert breaks("relu(x)", 0) == []
    assert breaks("relu(x)", 1) == pytest.approx([0.0], abs=1e-6)
    assert breaks("hardswish(x)", 1) == pytest.approx([-3.0, 3.0], abs=1e-6)
    assert breaks("tanh(100*x)", 0) == []
    assert breaks("1/(x - 0.5)", 0) == pytest.approx([0.5], abs=1e-3)
