"""Candidates with a function for each activation site as text: `relu(x) ; tanh(x)`, `1-3: relu(x) ; 4: tanh(x)`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from symact.errors import FormulaError
from symact.expr.operators import Vocabulary
from symact.expr.tree import Candidate, Expr, candidate_text, parse, site_numbers

_NUMBERS = r"\d{1,4}(?:\s*-\s*\d{1,4})?"
_PART = re.compile(rf"\s*({_NUMBERS}(?:\s*,\s*{_NUMBERS})*)\s*:(.*)", re.DOTALL)
MOST = 1000  # sites


def grouped_text(candidate: Candidate) -> str:
    """One line for a candidate, as people are shown it: each function of sites once, with the numbers of its sites."""
    if isinstance(candidate, Expr):
        return candidate_text(candidate)
    return " ; ".join(f"{site_numbers(numbers)}: {function}" for function, numbers in same_sites(candidate))


def same_sites(functions: Sequence[Expr]) -> list[tuple[Expr, list[int]]]:
    """The distinct functions of a candidate, each with the numbers of its sites, in the order of the first of these."""
    found: dict[Expr, list[int]] = {}
    for number, function in enumerate(functions, 1):
        found.setdefault(function, []).append(number)
    return list(found.items())


def parse_candidate(text: str, grammar: Vocabulary | None = None) -> Candidate:
    """Read a line that `candidate_text` or `grouped_text` wrote; one expression is a candidate as well.

    Raises:
        FormulaError: an expression cannot be read, or the numbers are not those of all sites, each once.
    """
    parts = text.split(";")
    numbered = [_PART.fullmatch(part) for part in parts]
    if not any(numbered):
        functions = [parse(part.strip(), grammar) for part in parts]
        return functions[0] if len(functions) == 1 else tuple(functions)
    at: dict[int, Expr] = {}
    for part, match in zip(parts, numbered, strict=True):
        if match is None:
            raise FormulaError(f"{part.strip()!r} does not say which sites it is for; write 1-3: {part.strip()}")
        function = parse(match[2].strip(), grammar)
        own = list[int]()
        for piece in match[1].split(","):
            first, _, last = piece.partition("-")
            if int(last or first) < int(first):
                raise FormulaError(f"sites {piece.strip()}: a range begins with the smaller number")
            own += range(int(first), int(last or first) + 1)
        for number in own:
            if number in at:
                raise FormulaError(f"site {number} has two functions")
        if len(set(own)) < len(own):
            raise FormulaError(f"sites {match[1].strip()}: a site is named twice")
        at.update(dict.fromkeys(own, function))
    if sorted(at) != list(range(1, len(at) + 1)) or len(at) > MOST:
        raise FormulaError(f"functions for the sites {site_numbers(sorted(at))}; they are numbered from 1 without gaps")
    return tuple(at[number] for number in sorted(at)) if len(at) > 1 else at[1]
