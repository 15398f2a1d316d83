"""Other people's expressions: where they are, at which inputs they are tried, and how far compiled functions are off.

`fpcore.tsv` holds the expressions of one and of two variables of FPBench and of Herbie's benchmarks that our
functions can say, translated: which suite, which file, the formula in `x` (and `p`, which becomes a parameter), and the
ranges that their preconditions give, where they do. The truth is ball arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np
import torch

from symact.activation.check import POINTS
from symact.activation.module import compile as compile_expression
from symact.certify.reference import Reference
from symact.expr.tree import Expr, parse
from symact.program.loading import parse_grammar

LIST = Path(__file__).with_name("fpcore.tsv")
GRAMMAR = 'name = "two"\n[parameters]\np = { init = 1.0 }\n[unary]\nscaled = "p*x"\n'
# What is promised: relative, or absolute on the scale below which errors count as absolute.
PROMISES = {torch.float32: (1e-5, 0.1), torch.float64: (1e-12, 1.0)}
_THEIRS = 136


@dataclass(frozen=True)
class Case:
    """One expression.

    Attributes:
        suite: FPBench or Herbie.
        file: its file there.
        formula: our translation.
        ranges: of x, and of p where there is one; None where the suite gives none.
    """

    suite: str
    file: str
    formula: str
    ranges: tuple[tuple[float, float] | None, ...]

    @property
    def expr(self) -> Expr:
        """The expression."""
        return parse(self.formula, parse_grammar(GRAMMAR) if len(self.ranges) == 2 else None)

    def inputs(self, dtype: torch.dtype) -> tuple[np.ndarray, ...]:
        """The inputs, as float64 numbers of the type: their range and ours for one variable, pairs of both for two."""
        random = np.random.default_rng(crc32(self.formula.encode()))
        theirs = [_sample(random, known, _THEIRS) for known in self.ranges]
        ours = [np.resize(np.array(POINTS), 74)] if len(self.ranges) == 1 else []
        wide = [_logarithmic(random, 1e-30, 1e30, 126) for _ in self.ranges]
        if len(self.ranges) == 1:
            columns = [np.concatenate([theirs[0], ours[0], wide[0][:63]])]
        else:
            columns = [np.concatenate(pair) for pair in zip(theirs, wide, strict=True)]
        return tuple(torch.tensor(column).to(dtype).double().numpy() for column in columns)


def cases(variables: int) -> list[Case]:
    """The expressions of one or of two variables."""
    found = []
    for line in LIST.read_text().splitlines():
        if not line.startswith("#"):
            suite, file, formula, *ranges = line.split("\t")
            if len(ranges) == variables:
                found.append(Case(suite, file, formula, tuple(_range(text) for text in ranges)))
    return found


def _range(text: str) -> tuple[float, float] | None:
    low, high = text.split(":")
    return (float(low or -1e30), float(high or 1e30)) if low or high else None


def _logarithmic(random: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    sizes = np.exp(random.uniform(math.log(low), math.log(high), count))
    return sizes * random.choice([-1.0, 1.0], count)


def _sample(random: np.random.Generator, known: tuple[float, float] | None, count: int) -> np.ndarray:
    """Half of them even, half of them by magnitude, within a known range; without one, ordinary numbers."""
    if known is None:
        return np.concatenate([random.normal(size=count // 2) * 3, _logarithmic(random, 1e-8, 1e4, count - count // 2)])
    low, high = known
    even = (
        random.uniform(max(low, -1e4), min(high, 1e4), count // 2)
        if max(low, -1e4) < min(high, 1e4)
        else np.full(1, low)
    )
    sizes = _logarithmic(random, 1e-12, max(abs(low), abs(high), 1e-9), 4 * count)
    inside = sizes[(sizes >= low) & (sizes <= high)][: count - len(even)]
    return np.resize(np.concatenate([even, inside]), count)


@dataclass
class Count:
    """How many values and slopes were compared, and which are outside the promise."""

    values: int = 0
    slopes: int = 0
    wrong_values: list[tuple[float, ...]] = field(default_factory=list)
    wrong_slopes: list[tuple[float, ...]] = field(default_factory=list)


def measure(case: Case, dtype: torch.dtype) -> Count:
    """Compare values and slopes in `x` with the truth, in one tensor."""
    columns = case.inputs(dtype)
    expr = case.expr
    x, *others = (torch.tensor(column, dtype=dtype) for column in columns)
    x.requires_grad_()
    parameters = {"p": others[0]} if others and expr.parameters else {}
    values = compile_expression(expr)(x, **parameters)
    (slopes,) = torch.autograd.grad(values.sum(), x)
    count = Count()
    for place, (value, slope) in enumerate(zip(values.tolist(), slopes.tolist(), strict=True)):
        point = tuple(float(column[place]) for column in columns)
        true_value, true_slope = _truth(case, expr, point)
        if not math.isnan(true_value):
            count.values += 1
            if not near(value, true_value, dtype):
                count.wrong_values.append((*point, value, true_value))
            if not math.isnan(true_slope):
                count.slopes += 1
                if not near(slope, true_slope, dtype):
                    count.wrong_slopes.append((*point, slope, true_slope))
    return count


def _truth(case: Case, expr: Expr, point: tuple[float, ...]) -> tuple[float, float]:
    known = {"p": point[1]} if len(point) == 2 else None
    value, slope, _ = Reference(expr, known).point(point[0])
    return value, slope


def near(found: float, exact: float, dtype: torch.dtype) -> bool:
    """Whether a number is as promised; where the type cannot hold the exact one, infinite or the largest."""
    promised, scale = PROMISES[dtype]
    largest = torch.finfo(dtype).max
    if abs(exact) > 0.999 * largest:
        return abs(found) >= 0.99 * largest and math.copysign(1.0, found) == math.copysign(1.0, exact)
    return math.isfinite(found) and abs(found - exact) <= promised * max(abs(exact), scale)


def run(variables: int, dtype: torch.dtype) -> Iterator[tuple[Case, Count]]:
    """All expressions of so many variables."""
    for case in cases(variables):
        yield case, measure(case, dtype)
