"""Are the classes of a space of gates right? Checked from outside, in ball arithmetic.

Every expression is evaluated by a reader of its own: operators are replaced in the text by their formulas, which
Python's `ast` reads. At thousands of points of the box that symact does not use, NumPy computes them in float64;
python-flint's `arb` computes with 256 bits at some of these points, and wherever float64 shows two members of a class
apart. Members of a class whose balls lie apart anywhere are a wrong merge; classes whose first members agree at every
point are reported as merges that may have been missed.

    python runs/gates/check_classes.py [--space large] [--points 4000] [--balls 24]
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb, ctx
from scipy import special

from symact import load_grammar
from symact.equivalence import enumerate_classes

HERE = Path(__file__).parent
GRAMMAR = HERE.parents[1] / "grammars" / "gates.toml"


def sigmoid(a: arb) -> arb:
    return 1 / (1 + (-a).exp())


def gelu(a: arb) -> arb:
    return a * (1 + (a / arb(2).sqrt()).erf()) / 2


def clipped(a: arb, low: arb, high: arb) -> arb:
    return a.max(low).min(high)


# What the formulas of the grammar call, written down anew.
CALLS: dict[str, Callable[..., arb]] = {
    "abs": abs,
    "min": arb.min,
    "max": arb.max,
    "exp": arb.exp,
    "sin": arb.sin,
    "tanh": arb.tanh,
    "atan": arb.atan,
    "sigmoid": sigmoid,
    "softplus": lambda a: (1 + a.exp()).log(),
    "swish": lambda a: a * sigmoid(a),
    "gelu": gelu,
    "gelu_tanh": lambda a: a / 2 * (1 + ((2 / arb.pi()).sqrt() * (a + arb("0.044715") * a**3)).tanh()),
    "elu": lambda a: a if a > 0 else a.exp() - 1 if a <= 0 else a.union(a.exp() - 1),
    "leakyrelu": lambda a: a if a > 0 else a / 100 if a <= 0 else a.union(a / 100),
    "mish": lambda a: a * (1 + a.exp()).log().tanh(),
    "hardsigmoid": lambda a: clipped(a / 6 + arb("0.5"), arb(0), arb(1)),
    "hardswish": lambda a: a * clipped(a / 6 + arb("0.5"), arb(0), arb(1)),
}


NUMPY: dict[str, Callable[..., np.ndarray]] = {
    **{name: getattr(np, name) for name in ("abs", "exp", "sin", "tanh")},
    "min": np.minimum,
    "max": np.maximum,
    "atan": np.arctan,
    "sigmoid": special.expit,
    "softplus": lambda a: np.logaddexp(0, a),
    "swish": lambda a: a * special.expit(a),
    "gelu": lambda a: a * special.ndtr(a),
    "gelu_tanh": lambda a: a / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3))),
    "elu": lambda a: np.where(a > 0, a, np.expm1(np.minimum(a, 0))),
    "leakyrelu": lambda a: np.where(a > 0, a, a / 100),
    "mish": lambda a: a * np.tanh(np.logaddexp(0, a)),
    "hardsigmoid": lambda a: np.clip(a / 6 + 0.5, 0, 1),
    "hardswish": lambda a: a * np.clip(a / 6 + 0.5, 0, 1),
}
# Further apart than rounding.
APART = 1e-9


class Reader:
    """Expressions of one grammar as functions of two balls, or arrays; parts are computed once at each place."""

    def __init__(self, text: str, calls: dict[str, Callable[..., Any]], number: Callable[[str], Any], pi: Any):
        self.calls, self.number, self.pi = calls, number, pi
        tables = tomllib.loads(text)
        self.operators = {
            name: (letters, ast.parse(formula, mode="eval").body)
            for kind, letters in (("unary", "x"), ("binary", "ab"))
            for name, formula in tables[kind].items()
        }
        self.known: dict[str, Any] = {}

    def at(self, x: Any, g: Any) -> None:
        """Go to a place."""
        self.known = {"x": x, "g": g}

    def value(self, text: str) -> Any:
        """The value of an expression, `mul(swish(x),g)`, at the place; what has one operator of two is not kept."""
        found = self.known.get(text)
        if found is None:
            name, _, inner = text.partition("(")
            letters, formula = self.operators[name]
            arguments = [self.value(part) for part in split(inner[:-1])]
            found = self.formula(formula, dict(zip(letters, arguments, strict=True)))
            if len(arguments) == 1:
                self.known[text] = found
        return found

    def formula(self, node: Any, names: dict[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return self.number(repr(value))
            case ast.Name(id="pi"):
                return self.pi
            case ast.Name(id=name):
                return names[name]
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self.formula(inner, names)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self.calls[name](*[self.formula(argument, names) for argument in arguments])
            case ast.BinOp(left=left, op=operation, right=right):
                a, b = self.formula(left, names), self.formula(right, names)
                match operation:
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Mult():
                        return a * b
                    case ast.Div():
                        return a / b
                    case ast.Pow():
                        return a * a
        raise ValueError(ast.dump(node))


def split(text: str) -> list[str]:
    """The arguments of a call."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="large")
    parser.add_argument("--points", type=int, default=4000)
    parser.add_argument("--balls", type=int, default=24)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    ctx.prec = 256
    grammar = load_grammar(GRAMMAR)
    begun = time.perf_counter()
    table = enumerate_classes(grammar, options.space)
    seconds = time.perf_counter() - begun
    texts, labels = table["expression"].to_pylist(), table["class_id"].to_pylist()
    first: dict[int, str] = {}
    for text, label in zip(texts, labels, strict=True):
        first.setdefault(label, text)
    low, high = grammar.interval
    x, g = np.random.default_rng(options.seed).uniform(low, high, (2, options.points))
    in_balls = Reader(GRAMMAR.read_text(), CALLS, arb, arb.pi())
    in_float64 = Reader(GRAMMAR.read_text(), NUMPY, float, np.pi)
    wrong: dict[tuple[str, str], tuple[float, float]] = {}

    def apart(point: int, one: str, other: str) -> bool:
        in_balls.at(arb(float(x[point])), arb(float(g[point])))
        return not in_balls.value(one).overlaps(in_balls.value(other))

    # Members of a class, at every point in float64; where that shows them apart, in balls.
    in_float64.at(x, g)
    doubtful = 0
    shown: dict[int, np.ndarray] = {}
    for text, label in zip(texts, labels, strict=True):
        value = np.broadcast_to(in_float64.value(text), x.shape)
        if text == first[label]:
            shown[label] = value[:SHOWN].copy()
            continue
        other = np.broadcast_to(in_float64.value(first[label]), x.shape)
        away = np.abs(value - other) > APART * np.maximum(1, np.abs(other))
        if away.any():
            doubtful += 1
            point = int(away.argmax())
            if apart(point, first[label], text):
                wrong[first[label], text] = float(x[point]), float(g[point])
    # All of them, at some points in balls.
    for point in range(options.balls):
        in_balls.at(arb(float(x[point])), arb(float(g[point])))
        firsts: dict[int, arb] = {}
        for text, label in zip(texts, labels, strict=True):
            value = in_balls.value(text)
            if not value.overlaps(firsts.setdefault(label, value)):
                wrong[first[label], text] = float(x[point]), float(g[point])
    # First members of different classes.
    groups: dict[bytes, list[int]] = defaultdict(list)
    for label, value in shown.items():
        groups[np.round(value, 6).tobytes()].append(label)
    missed = []
    for group in groups.values():
        for one, other in itertools.combinations(group, 2):
            values = [np.broadcast_to(in_float64.value(first[label]), x.shape) for label in (one, other)]
            away = np.abs(values[0] - values[1]) / np.maximum(np.maximum(*map(np.abs, values)), 1e-300)
            # Where they differ most, and some other points: a difference may be too small for float64.
            places = [int(np.nan_to_num(away).argmax()), *range(LOOKED)]
            if (away > APART).any() or any(apart(place, first[one], first[other]) for place in places):
                continue
            if not near_zero(in_float64, first[one], first[other], high):
                missed.append([first[one], first[other]])
            in_float64.at(x, g)
    found = {
        "space": options.space,
        "expressions": len(texts),
        "classes": len(first),
        "seconds": round(seconds, 2),
        "evidence": dict(Counter(table["evidence"].to_pylist())),
        "points": options.points,
        "points_in_balls": options.balls,
        "bits": ctx.prec,
        "apart_in_float64_alone": doubtful - len(wrong),
        "wrong_merges": [[*pair, *place] for pair, place in wrong.items()],
        "perhaps_missed": missed,
    }
    (HERE / f"classes_{options.space}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({**found, "wrong_merges": len(wrong), "perhaps_missed": len(missed)}, indent=1))


def near_zero(reader: Reader, one: str, other: str, high: float) -> bool:
    """Whether two expressions differ where an input, or both, are small: random points hardly ever are."""
    generator = np.random.default_rng(11)
    size = 10 ** generator.uniform(-9, np.log10(high), (2, 200_000))
    x, g = size * generator.choice([-1, 1], size.shape)
    for pair in ((x, g), (generator.uniform(-high, high, x.shape), g), (x, generator.uniform(-high, high, x.shape))):
        reader.at(*pair)
        values = [np.broadcast_to(reader.value(text), x.shape) for text in (one, other)]
        if (np.abs(values[0] - values[1]) > APART * np.maximum(*map(np.abs, values))).any():
            return True
    return False


# So many values are compared at a glance, and two functions in balls at so many points.
SHOWN, LOOKED = 64, 200


if __name__ == "__main__":
    main()
