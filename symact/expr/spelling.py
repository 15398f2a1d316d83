"""Names of functions: how those of papers are spelled here, and what is said about one that nobody knows.

A wrong guess does more harm than none: a function that other libraries have is never taken for a misspelt one of
ours (`asin` for `sin`), and a guess is one slip of the fingers away from what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_MISSING = """atan2 arctan2 beta zeta j0 j1 prod cumsum
    mean std var norm softmax dropout maxout glu"""
# Letters of papers that are functions where they are called; the first are none where a grammar has such a parameter.
LETTERS = frozenset({"gamma"})
_LETTERS = {"sigma": "sigmoid", "Phi": "ndtr"}

# Names of other libraries -> how the function is written here; "" where it cannot be.
ELSEWHERE = {
    "neg": "-x",
    "inv": "1/x",
    "recip": "1/x",
    "rcp": "1/x",
    "sq": "x**2",
    "sqr": "x**2",
    "cube": "x**3",
    "rsqrt": "1/sqrt(x)",
    "fabs": "abs(x)",
    "const": "a number",
    "id": "x",
    "linear": "x",
    "sec": "1/cos(x)",
    "csc": "1/sin(x)",
    "cot": "1/tan(x)",
    "logit": "log(x/(1 - x))",
    "step": "heaviside(x)",
    **dict.fromkeys(("fract",), "frac(x)"),
    **dict.fromkeys(_MISSING.split(), ""),
}

# Functions that are not here -> what can be said.
_WITHOUT = {
    **dict.fromkeys(("digamma", "psi", "polygamma"), "digamma is the derivative of lgamma(x)"),
    **dict.fromkeys(("erfinv", "ndtri", "probit"), "of the functions that there are, atanh(x) is most like it"),
    **dict.fromkeys(("lambertw", "lambert_w"), "of the functions that there are, log1p(x) is most like it"),
}


@lru_cache(maxsize=4096)
def spellings(name: str) -> tuple[str, ...]:
    """What a name may stand for, best first: as it is written, in `snake_case`, in lower case.

    So `HardSigmoid` is `hard_sigmoid` (the clipped 0.2*x + 0.5 of Keras, ONNX and AQuaSurF, which write it so), and
    `Hardsigmoid` is PyTorch's `hardsigmoid`. A called sigma is the sigmoid.
    """
    found = (name, _HUMP.sub("_", name).lower(), name.lower(), _LETTERS.get(name, name))
    return tuple(dict.fromkeys(found))


# In the order in which a misspelt name is taken for them.
_USUAL = """relu tanh sigmoid gelu swish silu elu selu softplus mish exp log sin cos abs sqrt max min erf softsign
    sinh cosh atan tan"""
USUAL = tuple(_USUAL.split())


def hint(name: str, known: Iterable[str]) -> str:
    """What to say after "unknown function": how to write it, or what may have been meant; `""` for nothing.

    Args:
        name: as typed.
        known: the names that would have been understood.
    """
    folded = name.lower()
    if folded in ELSEWHERE:
        how = ELSEWHERE[folded]
        return f"write {how}" if how else "symact has no such function"
    if folded in _WITHOUT:
        return f"symact has no such function; {_WITHOUT[folded]}"
    near = [k for k in known if len(folded) > 3 and one_slip(folded, k.lower())]
    return f"did you mean {min(near, key=lambda k: _unlikely(folded, k))!r}?" if near else ""


def _unlikely(typed: str, known: str) -> tuple[bool, bool, int, str]:
    """Letters that are all there come before one too few or too many, usual functions before others."""
    usual = USUAL.index(known) if known in USUAL else len(USUAL)
    return sorted(typed) != sorted(known.lower()), known != known.lower(), usual, known


def one_slip(typed: str, meant: str) -> bool:
    """Whether one letter was left out, doubled, added, mistaken, or exchanged with its neighbour."""
    if typed == meant:
        return True
    start = next((i for i, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant)))
    left, right = typed[start:], meant[start:]
    exchanged = left[:2] == right[1::-1] and left[2:] == right[2:]
    return exchanged or left[1:] in (right, right[1:]) or left == right[1:]
