"""What a compiled function gives for every number of a type of 16 bits, beside the truth.

In: an expression and a type. Out: a document of counts, worst errors and places. The function is called as a user
calls it, values and gradient, on every back end that a device has (`backends`); the first is what a call takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from symact.arrays import Array
from symact.certify.backends import backend, backends_of
from symact.certify.formats import Format
from symact.certify.reference import Reference, Truth
from symact.expr.tree import Expr

# What is asked of a 16-bit type: a result is the rounded truth, or its neighbour where the truth is all but halfway.
WITHIN = 0.51
_LISTED = 8


def every_input(
    expr: Expr,
    reference: Reference,
    kind: Format,
    progress: Callable[[int, int], None] | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """The document of one type.

    Args:
        expr: an expression.
        reference: of it.
        kind: a type of 16 bits.
        progress: told how many inputs are done, of how many.
        device: where it runs.
    """
    x = kind.every()
    numbers = x.double().numpy()
    finite = np.flatnonzero(np.isfinite(numbers))
    # In ascending order, so that neighbours are neighbours.
    finite = finite[np.argsort(numbers[finite], kind="stable")]
    truth = reference.at(numbers[finite], progress)
    names = backends_of(expr, device)
    backends = {name: _measured(expr, kind, x, finite, truth, name, device) for name in names}
    name, chosen = next(iter(backends.items()))
    return {
        "inputs": len(numbers),
        "finite": len(finite),
        "backend": name,
        **chosen,
        "undefined": int(np.isnan(truth.values).sum()),
        "without_derivative": int((np.isnan(truth.slopes) & ~np.isnan(truth.values)).sum()),
        "truth": _of_truth(numbers[finite], truth),
        "other_backends": {other: found for other, found in backends.items() if other != name},
        "known": "ball arithmetic at every input"
        + (f", {truth.searched:,} of them by the formula in high precision" if truth.searched else ""),
    }


def outputs(expr: Expr, x: torch.Tensor, name: str, device: str = "cpu") -> tuple[Array, Array]:
    """Values and slopes (of a gradient of ones) of a back end at `x`, as float64."""
    values, slopes = backend(expr, name, device)(x)
    return values.double().numpy(), slopes.double().numpy()


def _measured(
    expr: Expr, kind: Format, x: torch.Tensor, finite: Array, truth: Truth, name: str, device: str
) -> dict[str, Any]:
    values, slopes = outputs(expr, x, name, device)
    numbers = x.double().numpy()
    at = numbers[finite]
    of_values = _errors(kind, at, values[finite], truth.values)
    of_slopes = _errors(kind, at, slopes[finite], truth.slopes)
    again = zip(outputs(expr, x, name, device), (values, slopes), strict=True)
    special = {label: int(np.flatnonzero(_is(numbers, label))[0]) for label in ("-inf", "inf", "nan")}
    undefined = np.isnan(truth.values)
    return {
        "worst_value_ulp": of_values["worst"],
        "worst_slope_ulp": of_slopes["worst"],
        "at": of_values["at"] if _size(of_values["worst"]) >= _size(of_slopes["worst"]) else of_slopes["at"],
        "values": of_values,
        "slopes": of_slopes,
        "within": max(_size(of_values["worst"]), _size(of_slopes["worst"])) <= WITHIN,
        "at_undefined_inputs": _counted(values[finite][undefined]),
        "at_infinities": {
            label: {"value": _plain(values[place]), "slope": _plain(slopes[place])} for label, place in special.items()
        },
        "order_kept": _order(values[finite], truth.values),
        "range": _range(at, values[finite]),
        "largest_slope": _largest(at, slopes[finite]),
        "zeros": _places(at, values[finite] == 0),
        "zero_slopes": _places(at, slopes[finite] == 0),
        "same_bits_again": all(np.array_equal(a, b, equal_nan=True) for a, b in again),
    }


def _is(numbers: Array, label: str) -> Array:
    return np.isnan(numbers) if label == "nan" else numbers == float(label)


def _size(worst: float | str) -> float:
    return float(worst)


def _plain(number: float) -> float | str:
    """A number as JSON has it; `inf`, `-inf` and `nan` are words."""
    return float(number) if math.isfinite(number) else str(float(number))


def _errors(kind: Format, x: Array, found: Array, exact: Array) -> dict[str, Any]:
    """Where results are furthest from the truth, and how many are further than half a unit and a little."""
    errors = kind.errors(found, exact)
    counted = ~np.isnan(errors)
    if not counted.any():
        return {"counted": 0, "worst": 0.0, "at": None, "found": None, "exact": None, "beyond": 0, "beyond_at": []}
    place = int(np.argmax(np.where(counted, errors, -1.0)))
    beyond = counted & (errors > WITHIN)
    return {
        "counted": int(counted.sum()),
        "worst": _plain(errors[place]),
        "at": float(x[place]),
        "found": _plain(found[place]),
        "exact": _plain(exact[place]),
        "beyond": int(beyond.sum()),
        "beyond_at": x[beyond][:_LISTED].tolist(),
    }


def _counted(found: Array) -> dict[str, int]:
    return {
        "nan": int(np.isnan(found).sum()),
        "infinite": int(np.isinf(found).sum()),
        "finite": int(np.isfinite(found).sum()),
    }


def _order(found: Array, exact: Array) -> dict[str, int]:
    """Pairs of neighbouring inputs whose results are in the opposite order of the exact values."""
    with np.errstate(invalid="ignore", over="ignore"):
        steps, true = np.sign(np.diff(found)), np.sign(np.diff(exact))
    known = ~(np.isnan(steps) | np.isnan(true))
    return {"neighbours": int(known.sum()), "reversed": int((steps * true < 0)[known].sum())}


def _range(x: Array, values: Array) -> dict[str, Any]:
    defined = ~np.isnan(values)
    if not defined.any():
        return {"low": None, "high": None}
    low, high = np.nanargmin(values), np.nanargmax(values)
    return {
        "low": _plain(values[low]),
        "low_at": float(x[low]),
        "high": _plain(values[high]),
        "high_at": float(x[high]),
    }


def _largest(x: Array, slopes: Array) -> dict[str, Any]:
    if np.isnan(slopes).all():
        return {"size": None, "at": None}
    place = int(np.nanargmax(np.abs(slopes)))
    return {"size": _plain(abs(slopes[place])), "at": float(x[place])}


def _places(x: Array, here: Array) -> dict[str, Any]:
    """How many inputs, and the ranges of neighbours that they form, the first of them."""
    edges = np.flatnonzero(np.diff(np.r_[0, here.astype(np.int8), 0]))
    starts, ends = edges[::2], edges[1::2] - 1
    pairs = [[float(x[a]), float(x[b])] for a, b in zip(starts[:_LISTED], ends[:_LISTED], strict=True)]
    return {"inputs": int(here.sum()), "ranges": len(starts), "first": pairs}


def _of_truth(x: Array, truth: Truth) -> dict[str, Any]:
    """What the exact function does at these inputs: the sign of its slope, and where it has none."""
    with np.errstate(invalid="ignore"):
        signs = np.sign(truth.slopes)
    none = np.isnan(truth.slopes) & ~np.isnan(truth.values)
    return {
        "rises": _places(x, signs > 0),
        "falls": _places(x, signs < 0),
        "slope_zero": _places(x, signs == 0),
        "no_derivative": _places(x, none),
        "undefined": _places(x, np.isnan(truth.values)),
    }
