"""The type of NumPy arrays whose element type a docstring states."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
