"""The instruction set of Programs: `INSTRUCTIONS`, which every back end runs, and `MACROS`, which are expanded first.

To be a row of `INSTRUCTIONS` is to be implemented by every back end, differentiated by `gradient`, and checked against
mpmath by the tests. A row of `MACROS` only occurs in exact Programs: identity evaluates it in one piece, and `expand`
writes it out for the back ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from symact.expr.functions import SELU_ALPHA, SELU_SCALE


@dataclass(frozen=True, slots=True)
class Instruction:
    """A row of the instruction set.

    Attributes:
        arity: number of arguments.
        cost: deterministic cost in the time of one float32 addition on the block interpreter;
            what multi-objective search minimizes.
        ptx: PTX instructions of one float32 element on a GPU, as `runs/kernel_ptx/calibrate.py` counts them.
        commutative: the two arguments may be exchanged.
        chooses: it gives one of its arguments, or a whole number, and rounds nothing.
    """

    arity: int
    cost: float
    ptx: float
    commutative: bool = False
    chooses: bool = False


@dataclass(frozen=True, slots=True)
class Macro:
    """An instruction of exact Programs that back ends do not know.

    Attributes:
        arity: number of arguments.
        expansion: how back ends compute it, in `u` and `v` (see `patterns`); `""` where `expand` has code for it.
        commutative: the two arguments may be exchanged.
        chooses: it gives one of its arguments, or a whole number, and rounds nothing.
    """

    arity: int
    expansion: str
    commutative: bool = False
    chooses: bool = False


# What rewrites and derivatives need, so that nothing cancels or overflows on the way; no formula names them.
HELPERS: dict[str, Instruction] = {
    "sinc_grad": Instruction(1, 24.0, 66.2),  # (cos(x) - sinc(x))/x, 0 at 0
    "erfcx_grad": Instruction(1, 26.0, 58.1),  # 2*x*erfcx(x) - 2/sqrt(pi)
    "i1e_ratio": Instruction(1, 30.0, 29.0),  # i1e(x)/x, 1/2 at 0
    "i0e_minus_i1e": Instruction(1, 30.0, 103.0),  # i0e(x) - i1e(x)
    "hypot1": Instruction(1, 5.0, 6.0),  # sqrt(1 + x*x), without overflow: |x| for |x| > 1e9
    # What `compensation` emits. A rest is what rounding takes from a result, so it is 0 in mathematics.
    "product_rest": Instruction(2, 2.0, 6.0, True),  # of a*b
    "sum_rest": Instruction(2, 5.0, 6.0, True),  # of a + b
    "sin_sum": Instruction(2, 16.0, 65.5),  # sin(a + b) for an angle in two words, the second small beside the first
    "cos_sum": Instruction(2, 16.0, 66.5),  # cos(a + b) likewise
}

# Comparisons give 1.0 or 0.0; `where(c, a, b)` is a where c != 0 and only propagates NaN of the
# branch that is taken. max and min propagate NaN. pow is the real power: NaN for a negative base
# with a non-integer exponent. sinc is sin(x)/x. Names are those of SciPy or PyTorch.
INSTRUCTIONS: dict[str, Instruction] = {
    "const": Instruction(0, 0.0, 0.0),
    "add": Instruction(2, 1.0, 1.0, True),
    "sub": Instruction(2, 1.0, 1.0),
    "mul": Instruction(2, 1.0, 1.0, True),
    "div": Instruction(2, 3.0, 1.0),
    "neg": Instruction(1, 1.0, 1.0),
    "abs": Instruction(1, 1.0, 1.0, chooses=True),
    "sign": Instruction(1, 2.0, 4.0, chooses=True),
    "floor": Instruction(1, 1.0, 1.0, chooses=True),
    "max": Instruction(2, 1.0, 1.0, True, chooses=True),
    "min": Instruction(2, 1.0, 1.0, True, chooses=True),
    "lt": Instruction(2, 1.0, 2.0, chooses=True),
    "le": Instruction(2, 1.0, 2.0, chooses=True),
    "eq": Instruction(2, 1.0, 2.0, True, chooses=True),
    "where": Instruction(3, 1.0, 3.0, chooses=True),
    "sqrt": Instruction(1, 4.0, 1.0),
    "pow": Instruction(2, 40.0, 95.1),
    "exp": Instruction(1, 10.0, 6.1),
    "expm1": Instruction(1, 14.0, 17.0),
    "log": Instruction(1, 12.0, 26.0),
    "log1p": Instruction(1, 15.0, 24.0),
    "sin": Instruction(1, 14.0, 30.2),
    "cos": Instruction(1, 14.0, 30.2),
    "tan": Instruction(1, 20.0, 53.2),
    "sinh": Instruction(1, 16.0, 21.0),
    "cosh": Instruction(1, 14.0, 11.1),
    "tanh": Instruction(1, 16.0, 14.0),
    "asinh": Instruction(1, 22.0, 38.0),
    "atan": Instruction(1, 16.0, 20.1),
    "sigmoid": Instruction(1, 13.0, 11.1),
    "logsigmoid": Instruction(1, 26.0, 22.0),
    "softplus": Instruction(1, 26.0, 22.0),
    "erf": Instruction(1, 22.0, 24.2),
    "erfc": Instruction(1, 26.0, 31.1),
    "erfcx": Instruction(1, 24.0, 32.1),
    "ndtr": Instruction(1, 28.0, 30.1),
    "log_ndtr": Instruction(1, 40.0, 98.1),
    "logcosh": Instruction(1, 26.0, 44.0),
    "i0e": Instruction(1, 30.0, 28.0),
    "i1e": Instruction(1, 30.0, 32.0),
    "sinc": Instruction(1, 18.0, 35.2),
    **HELPERS,
}


def _log_gamma() -> str:
    """log(abs(Gamma(u))): reflection (DLMF 5.5.3), recurrence (5.5.1) and Stirling's series (5.11.1) from 15/2 on."""
    v = "where(u < 0.5, 1 - u, u)"
    y = f"where({v} < 8, {v} + 7, {v})"
    product = "*".join(f"(min({v}, 8) + {k})" for k in range(7))
    bernoulli = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
    series = "0"
    for number in reversed(bernoulli):
        series = f"({number!r} + ({series})/(({y})*({y})))"
    stirling = f"(({y} - 0.5)*(log({y}) - 1) + {math.log(2 * math.pi) / 2 - 0.5!r} + {series}/({y}))"
    right = f"({stirling} - where({v} < 8, log({product}), 0))"
    rest = "(u - floor(u))"
    turn = f"where(-0.5 < u, abs(u), where({rest} < 0.5, {rest}, 1 - {rest}))"  # how far the next pole is
    return f"where(u < 0.5, {math.log(math.pi)!r} - log(sin({math.pi!r}*{turn})) - {right}, {right})"


MACROS: dict[str, Macro] = {
    "ipow": Macro(1, ""),  # a whole power from 2 to 64, the operation's `value`; by repeated squaring
    "ne": Macro(2, "1 - (u == v)", True, chooses=True),
    "and": Macro(2, "u*v", True, chooses=True),
    "or": Macro(2, "max(u, v)", True, chooses=True),
    "relu": Macro(1, "max(u, 0)", chooses=True),
    "elu": Macro(1, "where(0 < u, u, expm1(u))"),
    "selu": Macro(1, f"where(0 < u, u*{SELU_SCALE}, expm1(u)*({SELU_SCALE}*{SELU_ALPHA}))"),
    "swish": Macro(1, "u*sigmoid(u)"),
    "gelu": Macro(1, "u*ndtr(u)"),
    "heaviside": Macro(1, "0 < u", chooses=True),
    "lgamma": Macro(1, _log_gamma()),
}

EXACT: dict[str, Instruction | Macro] = {**INSTRUCTIONS, **MACROS}
CHOOSING = frozenset(name for name, row in EXACT.items() if row.chooses)
COMMUTATIVE = frozenset(name for name, row in EXACT.items() if row.commutative)
