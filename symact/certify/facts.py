"""Facts of a function as a function of real numbers: where it rises and falls, its zeros, range, slope, limits.

They hold for every real number up to 2**128, which is more than any float32: the line is covered by intervals, and
bounds over each (`intervals`) decide. Where they do not, an interval is halved; what stays undecided is said to be.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flint import arb

from symact.certify.duals import EDGE, evaluate
from symact.certify.interval import Interval
from symact.certify.intervals import Bounds, over
from symact.equivalence.exact.balls import UNDEFINED, Marker, precision
from symact.program.program import Program

# Intervals of one width between -CORE and CORE, and beyond it ever longer ones, whose exponents double.
CORE, EDGE_OF_RANGE = 128.0, 2.0**128
_STEP = 0.25
_TAIL = tuple(2.0**k for k in (7, 8, 10, 14, 21, 28, 42, 56, 84, 112, 128))
# Bits near 0; far from it, where exponents of exponentials have to be exact.
_NEAR, _FAR = 96, 1280
# An undecided interval is halved down to this width, while there are that many evaluations left.
_NARROW, _EVALUATIONS = 2.0**-26, 6000
# Bounds of ranges and slopes are refined to this relative width.
_TIGHT, _REFINEMENTS = 1e-6, 1500


@dataclass(frozen=True)
class Stretch:
    """An interval of real numbers, and what has one sign on it.

    Attributes:
        low: its ends.
        high: its ends.
        sign: 1, 0, -1; None where that is not decided.
        defined: whether the function may be defined there.
    """

    low: float
    high: float
    sign: int | None
    defined: bool = True


class Analysis:
    """Bounds of one function over intervals, each computed once.

    Args:
        program: its exact Program in `x`.
    """

    def __init__(self, program: Program):
        self.program = program
        self.over = lru_cache(maxsize=None)(self._over)
        self._left = _EVALUATIONS

    def _over(self, low: float, high: float) -> Bounds:
        self._left -= 1
        with precision(_NEAR if max(abs(low), abs(high)) <= CORE else _FAR):
            return over(self.program, arb(low), arb(high))

    def at(self, x: float) -> tuple[Any, Any]:
        """Value and derivative at a point, as balls or markers."""
        with precision(256 if abs(x) <= CORE else _FAR):
            return evaluate(self.program, arb(x))

    def signs(self, of: Callable[[Bounds], int | None]) -> list[Stretch]:
        """The whole range in order, by the sign of something; neighbours of one sign are one piece."""
        self._left = _EVALUATIONS
        pieces: list[Stretch] = []
        for low, high in cover():
            for piece in self._refined(low, high, of):
                last = pieces[-1] if pieces else None
                if last is not None and (last.sign, last.defined) == (piece.sign, piece.defined):
                    pieces[-1] = Stretch(last.low, piece.high, piece.sign, piece.defined)
                else:
                    pieces.append(piece)
        return pieces

    def _refined(self, low: float, high: float, of: Callable[[Bounds], int | None]) -> Iterator[Stretch]:
        waiting = [(low, high)]
        while waiting:
            low, high = waiting.pop()
            bounds = self.over(low, high)
            defined = bounds.value is not UNDEFINED
            sign = of(bounds) if defined else None
            middle = _middle(low, high)
            if sign is not None or not defined or self._left <= 0 or not _wide(low, high):
                yield Stretch(low, high, sign, defined)
            else:
                waiting += [(middle, high), (low, middle)]

    def supremum(self, of: Callable[[Any, Any], Any]) -> tuple[float, float] | None:
        """Bounds of the largest value of something over the range, or None where there are none.

        Args:
            of: (value, slope), both intervals or both balls -> the quantity, likewise; a `Marker` where it is unknown.
        """
        heap: list[tuple[float, float, float]] = []
        best = -math.inf

        def push(low: float, high: float) -> bool:
            nonlocal best
            bounds = self.over(low, high)
            if bounds.value is UNDEFINED:
                return True
            found = of(bounds.value, bounds.slope)
            if isinstance(found, Marker):
                return False
            for x in (low, high):
                point = of(*self.at(x))
                if isinstance(point, arb):
                    best = max(best, _down(point))
            heapq.heappush(heap, (-_up(found.high), low, high))
            return True

        for low, high in cover():
            if not push(low, high):
                return None
        settled = -math.inf
        for _ in range(_REFINEMENTS):
            if not heap or -heap[0][0] - best <= _TIGHT * max(abs(best), 1e-3):
                break
            top, low, high = heapq.heappop(heap)
            if not _wide(low, high):
                settled = max(settled, -top)
                continue
            middle = _middle(low, high)
            if not (push(low, middle) and push(middle, high)):
                return None
        highest = max([settled, *(-top for top, _, _ in heap[:1])])
        return (best, max(best, highest)) if highest > -math.inf else None


def cover() -> Iterator[tuple[float, float]]:
    """The intervals that the range is first cut into, in order."""
    tail = list(itertools.pairwise(_TAIL))
    yield from ((-high, -low) for low, high in reversed(tail))
    count = int(2 * CORE / _STEP)
    yield from ((-CORE + k * _STEP, -CORE + (k + 1) * _STEP) for k in range(count))
    yield from tail


def _wide(low: float, high: float) -> bool:
    return high - low > _NARROW * max(1.0, abs(low), abs(high)) if max(abs(low), abs(high)) <= CORE else False


def _middle(low: float, high: float) -> float:
    return (low + high) / 2


def _down(ball: arb) -> float:
    low = ball.lower()
    found = float(low)
    return found if low >= found else math.nextafter(found, -math.inf)


def _up(ball: arb) -> float:
    high = ball.upper()
    found = float(high)
    return found if high <= found else math.nextafter(found, math.inf)


def simplest(low: float, high: float) -> float:
    """The number with the fewest binary places between two."""
    for places in range(0, 60):
        candidate = math.ldexp(round(math.ldexp((low + high) / 2, places)), -places)
        if low <= candidate <= high:
            return candidate
    return (low + high) / 2


# The sign of the derivative before and after a point -> what the point is.
_KINDS: dict[tuple[int | None, int | None], str] = {(1, -1): "maximum", (-1, 1): "minimum"}


def turning_points(analysis: Analysis, pieces: list[Stretch]) -> list[dict[str, Any]]:
    """What is between two pieces on which the derivative has a sign."""
    found = []
    for before, here, after in zip(pieces, pieces[1:], pieces[2:], strict=False):
        if (
            here.sign is not None
            or not here.defined
            or here.high - here.low > 1e-3
            or None in (before.sign, after.sign)
        ):
            continue
        x = simplest(here.low, here.high)
        value, slope = analysis.at(x)
        same = "inflection" if before.sign == after.sign else "joint"
        kind = _KINDS.get((before.sign, after.sign), same)
        if isinstance(analysis.over(here.low, here.high).slope, Marker):
            # Without a bound of the derivative it may jump here, or have a pole.
            kind = BREAK
        exact = slope is EDGE or (isinstance(slope, arb) and slope.is_zero())
        found.append(
            {
                "kind": kind + (" at a kink" if slope is EDGE and kind != BREAK else ""),
                "x": x,
                "between": [here.low, here.high],
                "exact": exact,
                "value": None if isinstance(value, Marker) else float(value.mid()),
            }
        )
    return found


def zeros(analysis: Analysis, pieces: list[Stretch]) -> list[dict[str, Any]]:
    """Zeros, and intervals that may hold some: of the function's sign where it changes or is not decided."""
    found: list[dict[str, Any]] = []
    for position, piece in enumerate(pieces):
        if not piece.defined or piece.sign not in (0, None):
            continue
        if piece.sign == 0:
            found.append({"x": None, "between": [piece.low, piece.high], "known": "zero on all of it"})
            continue
        x = simplest(piece.low, piece.high)
        value, _ = analysis.at(x)
        around = [pieces[other].sign if 0 <= other < len(pieces) else None for other in (position - 1, position + 1)]
        if isinstance(value, arb) and value.is_zero() and piece.high - piece.low < 1e-3:
            found.append({"x": x, "between": [piece.low, piece.high], "known": "exactly zero"})
        elif None not in around and around[0] != around[1] and 0 not in around:
            found.append({"x": x, "between": [piece.low, piece.high], "known": "a change of sign"})
        elif 0 not in around:
            found.append({"x": None, "between": [piece.low, piece.high], "known": "not decided"})
    return found


def limit(analysis: Analysis, side: int) -> dict[str, Any]:
    """What becomes of the function far out on one side, by bounds over the outermost intervals."""
    found = [analysis.over(*sorted((side * low, side * high))) for low, high in itertools.pairwise(_TAIL)]
    values = [bounds.value for bounds in found]
    beyond = side * _TAIL[-2]
    if values[-1] is UNDEFINED:
        return {"value": "undefined", "known": f"undefined for every x from {beyond:.3g} on"}
    if any(isinstance(value, Marker) for value in values[-3:]):
        return {"value": None, "known": "not decided"}
    last: Interval = values[-1]
    low, high = _down(last.low), _up(last.high)
    known = f"bounds for every x from {beyond:.3g} to {side * EDGE_OF_RANGE:.3g}"
    width = high - low
    if math.isfinite(width) and width <= 1e-12 * max(1.0, abs(low)):
        middle = (low + high) / 2
        return {"value": round(middle, 12) + 0.0, "within": [low, high], "known": known}
    growing = [(_down(value.low), _up(value.high)) for value in values[-3:]]
    rising = all(first[0] < second[0] for first, second in itertools.pairwise(growing))
    falling = all(first[1] > second[1] for first, second in itertools.pairwise(growing))
    if rising and low > 1e9:
        return {"value": "inf", "within": [low, high], "known": known}
    if falling and high < -1e9:
        return {"value": "-inf", "within": [low, high], "known": known}
    return {"value": None, "within": [low, high], "known": known + "; no limit is decided"}


def value_sign(bounds: Bounds) -> int | None:
    """The sign of the function."""
    return bounds.value.sign if isinstance(bounds.value, Interval) else None


# The kind of a point at which continuity is not shown.
BREAK = "break"
_DIRECTIONS = {1: "increasing", -1: "decreasing", 0: "constant"}


def facts(program: Program) -> dict[str, Any]:
    """All of it, as a document."""
    analysis = Analysis(program)
    slopes = analysis.signs(lambda bounds: bounds.slope_sign)
    turns = turning_points(analysis, slopes)
    highest = analysis.supremum(lambda value, slope: value)
    lowest = analysis.supremum(lambda value, slope: _negated(value))
    steepest = analysis.supremum(lambda value, slope: _size(slope))
    return {
        "of": [-EDGE_OF_RANGE, EDGE_OF_RANGE],
        "monotonicity": _monotonicity(slopes, turns),
        "turning_points": turns,
        "zeros": zeros(analysis, analysis.signs(value_sign)),
        "infimum": None if lowest is None else [-lowest[1], -lowest[0]],
        "supremum": None if highest is None else list(highest),
        "lipschitz": None if steepest is None or math.isinf(steepest[1]) else list(steepest),
        "known": "bounds over intervals that cover the range; what they leave open is 'not decided'",
        "limits": {"-inf": limit(analysis, -1), "inf": limit(analysis, 1)},
    }


def _monotonicity(pieces: list[Stretch], turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pieces on which it rises, falls or stays; the points between them are no pieces."""
    points = {tuple(turn["between"]): turn["x"] for turn in turns}
    breaks = {turn["x"] for turn in turns if turn["kind"] == BREAK}
    kept = [piece for piece in pieces if (piece.low, piece.high) not in points]
    ends = {low: x for (low, _), x in points.items()} | {high: x for (_, high), x in points.items()}
    merged: list[dict[str, Any]] = []
    for piece in kept:
        word = _DIRECTIONS[piece.sign] if piece.sign is not None else ("not decided" if piece.defined else "undefined")
        low, high = ends.get(piece.low, piece.low), ends.get(piece.high, piece.high)
        if merged and merged[-1]["direction"] == word and merged[-1]["to"] == low and low not in breaks:
            merged[-1]["to"] = high
        else:
            merged.append({"from": low, "to": high, "direction": word})
    return merged


def _negated(value: Any) -> Any:
    if isinstance(value, Marker):
        return value
    return Interval(-value.high, -value.low) if isinstance(value, Interval) else -value


def _size(slope: Any) -> Any:
    if isinstance(slope, Marker):
        return slope
    return Interval(slope.smallest, slope.largest) if isinstance(slope, Interval) else abs(slope)
