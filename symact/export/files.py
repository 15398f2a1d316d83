"""Files to take home: a standalone Python module, an ONNX model, a picture.

Every file is written under a temporary name and then renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from symact.activation.gate import Gate
from symact.activation.module import FormulaModule
from symact.errors import InputError
from symact.export import onnx, standalone
from symact.export.plot import draw, draw_gate
from symact.export.standalone import Constants
from symact.expr.operators import Vocabulary
from symact.expr.tree import Expr, parse
from symact.files import write_file, write_text


def write(
    expr: Expr | str | FormulaModule,
    path: Path | str,
    constants: Constants | None = None,
    grammar: Vocabulary | None = None,
    sites: Mapping[int, Constants] | None = None,
    note: str = "",
) -> None:
    """Write a standalone module (`.py`) or an ONNX model (`.onnx`).

    Args:
        expr: an expression, its text, or a trained `Activation` or `Gate`, whose constants are then taken.
        path: the file.
        constants: parameter name -> learned value, a number or one per channel; else its `init`.
        grammar: the grammar of an expression given as text.
        sites: number of a site of a network -> the values learned there, for a standalone module.
        note: a sentence for its readers, likewise.

    Raises:
        InputError: another suffix, a file that cannot be written, unknown or infinite constants.
    """
    suffix = Path(path).suffix
    if suffix == ".py":
        write_standalone(expr, path, constants, grammar, sites, note)
    elif suffix == ".onnx":
        if sites:
            raise InputError(f"{path}: an ONNX model is one function; choose the site whose values it takes")
        write_onnx(expr, path, constants, grammar)
    else:
        raise InputError(f"{path}: a function is written as FILE.py or FILE.onnx")


def write_standalone(
    expr: Expr | str | FormulaModule,
    path: Path | str,
    constants: Constants | None = None,
    grammar: Vocabulary | None = None,
    sites: Mapping[int, Constants] | None = None,
    note: str = "",
) -> None:
    """Write a readable Python module that needs torch alone; arguments as for `write`."""
    if Path(path).suffix != ".py":
        raise InputError(f"{path}: a standalone module is written as FILE.py")
    given = expr
    expr, constants = _resolved(expr, constants, grammar)
    channel_dim, variables = _layout(given, expr)
    write_text(
        path,
        standalone.source(expr, constants, channel_dim, sites, variables, note),
    )


def plot(
    expr: Expr | str | FormulaModule,
    path: Path | str,
    constants: Constants | None = None,
    grammar: Vocabulary | None = None,
) -> None:
    """Draw a function and its derivative, or a gate (`.png`, `.svg`, `.pdf`); arguments as for `write`."""
    if Path(path).suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{path}: a picture is written as FILE.png, FILE.svg or FILE.pdf")
    expr, constants = _resolved(expr, constants, grammar)
    values, drawn = standalone.parameter_values(expr, constants), draw_gate if len(expr.inputs) > 1 else draw
    write_file(path, lambda temporary: drawn(expr, values, temporary))


def write_onnx(
    expr: Expr | str | FormulaModule,
    path: Path | str,
    constants: Constants | None = None,
    grammar: Vocabulary | None = None,
) -> None:
    """Write an ONNX model of float32 with input `x`, of a gate also `g`, and output `y`; arguments as for `write`.

    The input may have any shape; with constants per channel it has four dimensions, channels second or where
    `channel_dim` of an `Activation` says, and any number of dimensions where they come last.

    Raises:
        InputError: the packages of the extra `onnx` are missing, or as for `write`.
    """
    if Path(path).suffix != ".onnx":
        raise InputError(f"{path}: an ONNX model is written as FILE.onnx")
    given = expr
    expr, constants = _resolved(expr, constants, grammar)
    channel_dim, variables = _layout(given, expr)
    onnx.require()
    values = standalone.parameter_values(expr, constants)
    model = onnx.function_model(expr, values, channel_dim, variables)
    write_file(path, lambda temporary: onnx.save(model, temporary))


def _resolved(
    expr: Expr | str | FormulaModule, constants: Constants | None, grammar: Vocabulary | None
) -> tuple[Expr, Constants | None]:
    if isinstance(expr, FormulaModule):
        return expr.expr, {**expr.constants(), **(constants or {})}
    return parse(expr, grammar) if isinstance(expr, str) else expr, constants


def _layout(given: Expr | str | FormulaModule, expr: Expr) -> tuple[int, int]:
    """Where channels are, unless a module says: second, or last in a gate; and how many tensors it takes."""
    variables = 2 if isinstance(given, Gate) else len(expr.inputs)
    said = given.channel_dim if isinstance(given, FormulaModule) else None
    return (-1 if variables > 1 else 1) if said is None else said, variables
