"""Grammar files on disk -> `Grammar`: the one way in, so that every operator is tried before anybody uses it.

In: a path, a shipped grammar's name, or the text of a file. Out: what `expr.grammar` reads from it. An operator that is
finite nowhere is a mistake, and the reader says where it stands; that takes values, so files are loaded in this room.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterable
from pathlib import Path

from symact.errors import GrammarError
from symact.expr.grammar import Grammar, read_grammar
from symact.expr.operators import Operator
from symact.expr.shipped import shipped as shipped
from symact.program.mpmath_values import at
from symact.program.pipeline import operator_program

# Fractions of the interval: both sides of its middle, and no symmetric pair that would hide a cancellation.
_FRACTIONS = (0.013, 0.11, 0.23, 0.341, 0.417, 0.478, 0.506, 0.551, 0.632, 0.743, 0.871, 0.987)

_SMALL = 300


def load_grammar(path_or_name: str | Path) -> Grammar:
    """Read a grammar file, or the shipped grammar of that name.

    Raises:
        GrammarError: there is no such file, it cannot be read, or it is wrong.
    """
    path = Path(path_or_name)
    names = shipped()
    if isinstance(path_or_name, str) and path_or_name in names and not path.is_file():
        path = names[path_or_name]
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GrammarError(f"not UTF-8 text (byte {error.start})", path) from None
    except FileNotFoundError:
        close = difflib.get_close_matches(str(path_or_name), names, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise GrammarError(
            f"no such grammar file; {hint}expected a path or one of: {', '.join(names)}", path_or_name
        ) from None
    except (OSError, ValueError) as error:
        raise GrammarError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path_or_name) from None
    return parse_grammar(text, path)


def parse_grammar(text: str, path: Path | str | None = None) -> Grammar:
    """Read the text of a grammar file.

    Args:
        text: TOML.
        path: where it was read from, for messages.

    Raises:
        GrammarError: with file, line, key and column of the offending part.
    """
    return read_grammar(text, path, finite_somewhere)


def finite_somewhere(operator: Operator, interval: tuple[float, float]) -> bool:
    """Whether an operator, at its parameters' initial values, is finite at a sample point; of `nary`, its fold step."""
    program = operator_program(operator)
    start = tuple(parameter.init for parameter in operator.parameters)
    low, high = interval
    line = [low * (1 - fraction) + high * fraction for fraction in _FRACTIONS]
    if len(operator.variables) == 1:
        points: Iterable[tuple[float, ...]] = zip(line, strict=True)
    elif program.length < _SMALL:
        points = itertools.product(line, repeat=2)
    else:
        # A formula of a thousand terms is tried at fewer pairs, so that loading stays quick.
        points = zip(line, reversed(line), strict=True)
    return any(math.isfinite(at(program, *point, *start)[0]) for point in points)
