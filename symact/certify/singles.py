"""What a compiled function gives for all 2**32 numbers of float32, beside the truth.

In: an expression. Out: a document of counts, worst errors and places, as of the smaller types. The function runs at
every input. The truth is a polynomial on each piece of the line, proved (`pieces`) to be the exact function to a small
part of an ulp; where it is known less well than that, balls at the number itself say it. The work is cut at the powers
of two, and after each part what was counted can be kept, so that it goes on after a stop.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from symact.activation.check import PROMISED
from symact.activation.plan import plan
from symact.arrays import Array
from symact.certify.backends import Backend, backend, backends_of
from symact.certify.flat import parameter_values
from symact.certify.formats import FORMATS
from symact.certify.pieces import BINADE, INFINITY, Span, pieces
from symact.certify.reference import Reference
from symact.certify.tally import LOOSE, STEPS, Tally, inverse_ulp
from symact.errors import InputError
from symact.expr.tree import Expr
from symact.files import write_text
from symact.program.pipeline import lower

KIND = FORMATS["float32"]
# The parts of the work: a sign and the place of the first number; then what is no finite number.
UNITS = tuple((sign, binade * BINADE) for binade in range(INFINITY // BINADE) for sign in (1, -1))
# Numbers that the function gets at a time, and that are compared at a time, which the cache holds.
_CALL, _BLOCK = 1 << 17, 1 << 14


class Singles:
    """The measurement of one expression, ready to run.

    Args:
        expr: an expression.
        reference: of it.
        device: where it runs.
        between: the ends of the range of inputs, if not all are asked for; exact in float32.

    Attributes:
        inputs: how many inputs there are.
        by_points: for how many of them balls are needed, as far as is known before.
    """

    def __init__(
        self, expr: Expr, reference: Reference, device: str = "cpu", between: tuple[float, float] | None = None
    ):
        self.expr, self.reference, self.between = expr, reference, between
        self.name = backends_of(expr, device)[0]
        self._run: Backend = backend(expr, self.name, device)
        self._device = device
        self._units = [
            (unit, list(pieces(reference.program, unit[0], first, last)))
            for unit in UNITS
            for first, last in [_within(unit, between)]
            if first < last
        ]
        every = [piece for _, found in self._units for piece in found]
        self.inputs = sum(piece.last - piece.first for piece in every) + (0 if between else 2 * (BINADE))
        self.pieces = sum(not piece.by_points for piece in every)
        self.by_points = sum(piece.last - piece.first for piece in every if piece.by_points)
        self._every = every

    def left(self, state: Path | None = None) -> float:
        """About how many seconds it takes from where a state is, by a little of it.

        Raises:
            InputError: the state is of something else.
        """
        done, tally, _ = self._known(state)
        return self._seconds() * (1 - tally.inputs / self.inputs) if done else self._seconds()

    def _seconds(self) -> float:
        trial = Tally()
        smooth = [piece for piece in self._every if piece.value is not None]
        spent = counted = 0.0
        for piece in smooth[:: max(1, len(smooth) // 24)]:
            part = Span(
                piece.sign, piece.first, min(piece.last, piece.first + _CALL), piece.middle, piece.scale, piece.value,
                piece.slope,
            )  # fmt: skip
            start = time.perf_counter()
            self._measure(part, trial)
            spent += time.perf_counter() - start
            counted += part.last - part.first
        # The first calls of all are slow, and belong to it as well.
        total = spent / counted * (self.inputs - self.by_points) if counted else 0.0
        pointwise = [piece for piece in self._every if piece.by_points]
        if pointwise:
            long = max(pointwise, key=lambda piece: piece.last - piece.first)
            start = time.perf_counter()
            count = min(long.last - long.first, 64)
            self._measure(Span(long.sign, long.first, long.first + count, by_points=True), trial)
            total += (time.perf_counter() - start) / count * self.by_points
        return total

    def run(self, state: Path | None = None, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
        """Measure everything.

        Args:
            state: a file that what was counted is kept in, whole or not at all, after every part; what it holds of an
                earlier run of the same is not done again.
            progress: told how many inputs are done, of how many.

        Raises:
            InputError: the state is of something else.
        """
        done, tally, seconds = self._known(state)
        start = time.perf_counter() - seconds
        for position, (_, found) in enumerate(self._units):
            if position < done:
                continue
            if progress is not None:
                progress(tally.inputs, self.inputs)
            for piece in found:
                self._measure(piece, tally)
            if state is not None:
                self._keep(state, position + 1, tally, time.perf_counter() - start)
        if self.between is None:
            self._not_finite(tally)
        return self._document(tally, time.perf_counter() - start, len(self._units) - done)

    def _known(self, state: Path | None) -> tuple[int, Tally, float]:
        if state is None or not state.exists():
            return 0, Tally(), 0.0
        try:
            kept = json.loads(state.read_text(encoding="utf-8"))
            key, done, tally = kept["of"], int(kept["parts"]), Tally.of(kept["tally"])
            seconds = float(kept["seconds"])
        except (ValueError, KeyError, TypeError, OSError):
            raise InputError(f"{state}: not the state of a certificate; remove it to begin anew") from None
        if key != self._key():
            raise InputError(f"{state}: of another expression or version; remove it to begin anew")
        return done, tally, seconds

    def _keep(self, state: Path, parts: int, tally: Tally, seconds: float) -> None:
        kept = {"of": self._key(), "parts": parts, "seconds": seconds, "tally": tally.document()}
        write_text(state, json.dumps(kept) + "\n")

    def _key(self) -> str:
        """What the counts are of: the function, the kernels, and the versions of what ran."""
        from symact import __version__

        forms = plan(lower(self.expr), self._device).forms
        parts = (
            str(self.expr), parameter_values(self.expr), forms, self.name, self._device, self.between,
            __version__, torch.__version__,
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _measure(self, piece: Span, tally: Tally) -> None:
        tally.pieces += not piece.by_points
        for first in range(piece.first, piece.last, _CALL):
            last = min(first + _CALL, piece.last)
            x = _numbers(piece.sign, first, last)
            values, slopes = (part.numpy() for part in self._run(torch.from_numpy(x)))
            for start in range(0, len(x), _BLOCK):
                part = slice(start, start + _BLOCK)
                self._compare(piece, x[part], values[part].astype(float), slopes[part].astype(float), tally)

    def _compare(self, piece: Span, x: Array, values: Array, slopes: Array, tally: Tally) -> None:
        tally.inputs += len(x)
        tally.extremes(x, values, slopes)
        if piece.value is None or piece.slope is None:
            return self._by_balls(piece, x, values, slopes, tally)
        wide = x.astype(float)
        np.subtract(wide, piece.middle, out=wide)
        np.multiply(wide, 1.0 / piece.scale, out=wide)
        exact = piece.value.at(wide, np.empty(len(x)))
        steep = piece.slope.at(wide, np.empty(len(x)))
        tally.order(values, exact, piece.value.bound)
        loose = np.zeros(len(x), bool)
        for truth, errors, bound, found in (
            (exact, tally.values, piece.value.bound, values),
            (steep, tally.slopes, piece.slope.bound, slopes),
        ):
            inverse = inverse_ulp(KIND, truth)
            uncertain = float(inverse.max()) * bound
            if uncertain > LOOSE:
                here = inverse * bound > LOOSE
                known = self.reference.at(x[here].astype(float))
                errors.add(KIND, x[here], found[here], known.values if truth is exact else known.slopes)
                loose |= here
                rest = ~here
                uncertain = float(inverse[rest].max(initial=0.0)) * bound
                errors.add(KIND, x[rest], found[rest], truth[rest], inverse[rest])
            else:
                errors.add(KIND, x, found, truth, inverse)
            errors.uncertainty = max(errors.uncertainty, uncertain)
        by_balls = int(loose.sum())
        tally.by_balls += by_balls
        tally.by_polynomials += len(x) - by_balls

    def _by_balls(self, piece: Span, x: Array, values: Array, slopes: Array, tally: Tally) -> None:
        """Where no polynomial is: at each number, or where the function is surely undefined on all of the piece."""
        if piece.by_points:
            truth = self.reference.at(x.astype(float))
            tally.by_balls += len(x)
            exact, steep = truth.values, truth.slopes
        else:
            tally.by_polynomials += len(x)
            exact = steep = np.full(len(x), np.nan)
        undefined = np.isnan(exact)
        tally.undefined += int(undefined.sum())
        kinds = {"nan": np.isnan(values), "infinite": np.isinf(values), "finite": np.isfinite(values)}
        for kind, here in kinds.items():
            tally.at_undefined[kind] += int((here & undefined).sum())
        smooth = ~np.isnan(steep)
        tally.without_derivative += int((~smooth & ~undefined).sum())
        tally.values.add(KIND, x[~undefined], values[~undefined], exact[~undefined])
        tally.slopes.add(KIND, x[smooth], slopes[smooth], steep[smooth])

    def _not_finite(self, tally: Tally) -> None:
        for sign in (0, 1):
            for first in range(INFINITY + 1, INFINITY + BINADE, _CALL):
                last = min(first + _CALL, INFINITY + BINADE)
                x = _numbers(-1 if sign else 1, first, last)
                values, slopes = self._run(torch.from_numpy(x))
                tally.nans += len(x)
                tally.nans_kept += int((values.isnan() & slopes.isnan()).sum())
                tally.inputs += len(x)

    def _document(self, tally: Tally, seconds: float, parts: int) -> dict[str, Any]:
        ends = torch.tensor([float("-inf"), float("inf"), float("nan")])
        values, slopes = self._run(ends)
        special = {
            label: {"value": _plain(float(values[i])), "slope": _plain(float(slopes[i]))}
            for i, label in enumerate(("-inf", "inf", "nan"))
        }
        of_values, of_slopes = self._errors(tally, "values"), self._errors(tally, "slopes")
        balls = f"ball arithmetic at {tally.by_balls:,} inputs"
        worse = max(of_values, of_slopes, key=lambda errors: float(errors["worst"]))
        return {
            "inputs": tally.inputs + (0 if self.between else 2),
            "finite": tally.by_polynomials + tally.by_balls,
            **({"between": list(self.between)} if self.between else {}),
            "backend": self.name,
            "worst_value_ulp": of_values["worst"],
            "worst_slope_ulp": of_slopes["worst"],
            "at": worse["at"],
            "values": of_values,
            "slopes": of_slopes,
            "within": not tally.values.broken and not tally.slopes.broken,
            "asked": f"{PROMISED:g} relative or {PROMISED / 10:g} absolute",
            "undefined": tally.undefined,
            "at_undefined_inputs": tally.at_undefined,
            "without_derivative": tally.without_derivative,
            "at_infinities": special,
            "nan_inputs": {"inputs": tally.nans, "give_nan": tally.nans_kept},
            "order_kept": {"neighbours": tally.neighbours, "reversed": tally.reversed},
            "range": {
                "low": _end(tally.low, 0), "low_at": _end(tally.low, 1),
                "high": _end(tally.high, 0), "high_at": _end(tally.high, 1),
            },
            "largest_slope": {"size": _end(tally.steepest, 0), "at": _end(tally.steepest, 1)},
            "zeros": {"inputs": tally.zeros},
            "zero_slopes": {"inputs": tally.zero_slopes},
            "seconds": round(seconds, 1),
            "coverage": {
                "evaluated": tally.inputs,
                "truth_by_polynomials": tally.by_polynomials,
                "polynomials": tally.pieces,
                "truth_by_balls": tally.by_balls,
            },
            "known": f"the function ran at every input; the exact one is a polynomial on each of {tally.pieces:,} "
            f"pieces, with a bound proved in ball arithmetic, or {balls}",
        }  # fmt: skip

    def _errors(self, tally: Tally, which: str) -> dict[str, Any]:
        """The errors of one kind; the worst of them by balls at its input."""
        errors = getattr(tally, which)
        exact, worst = None, errors.worst
        if errors.at is not None:
            value, slope, _ = self.reference.point(errors.at)
            exact = value if which == "values" else slope
            worst = float(KIND.errors(np.array([errors.found]), np.array([exact]))[0])
        return {
            "counted": errors.counted,
            "worst": _plain(worst),
            "at": errors.at,
            "found": None if errors.found is None else _plain(errors.found),
            "exact": None if exact is None else _plain(exact),
            "truth_within_ulp": errors.uncertainty,
            "further_than_ulp": {f"{step:g}": count for step, count in zip(STEPS, errors.beyond, strict=True)},
            "beyond": errors.broken,
            "beyond_at": errors.broken_at,
        }


def _within(unit: tuple[int, int], between: tuple[float, float] | None) -> tuple[int, int]:
    """The places of a part that are in the range; the first is not before the second where there are none."""
    sign, first = unit
    if between is None:
        return first, first + BINADE
    low, high = between if sign > 0 else (-between[1], -between[0])
    if high < 0:
        return first, first
    lowest = int(np.float32(max(low, 0.0)).view(np.uint32))
    highest = int(np.float32(high).view(np.uint32))
    return max(first, lowest), min(first + BINADE, highest + 1)


def _numbers(sign: int, first: int, last: int) -> Array:
    bits = np.arange(first, last, dtype=np.uint32)
    if sign < 0:
        bits |= np.uint32(1 << 31)
    found: Array = bits.view(np.float32)
    return found


def _plain(number: float) -> float | str:
    return number if np.isfinite(number) else str(number)


def _end(pair: tuple[float, float] | None, position: int) -> float | str | None:
    return None if pair is None else _plain(pair[position])
