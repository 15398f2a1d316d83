"""Twins of the GPU's instructions that err by as much as those may."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def disturbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """A function of a sign: from then on all twins err upwards (1), downwards (-1), or not (0)."""
    pytest.importorskip("triton", reason="triton is not installed: GPU kernels are NOT tested")
    from symact.backends.triton import library
    from symact.backends.triton.intrinsics import INTRINSICS

    def disturb(sign: int) -> None:
        rows = {n: row._replace(twin=f"({row.twin}) * {1.0 + sign * row.error!r}") for n, row in INTRINSICS.items()}
        monkeypatch.setattr(library, "INTRINSICS", rows)
        library.library_of.cache_clear()

    yield disturb
    library.library_of.cache_clear()
