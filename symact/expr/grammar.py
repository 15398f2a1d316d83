"""`Grammar`: a grammar file, read and checked.

In: TOML from a stranger, as docs/grammar.md describes it. Out: operators as unevaluated SymPy,
parameters, constants, limits and spaces. Whatever is wrong with the file is one `GrammarError` that
names the file, the line, the key and the column, with a caret, and says what was expected.
"""

from __future__ import annotations

import difflib
import hashlib
import keyword
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import sympy

from symact.errors import FormulaError, GrammarError, InputError
from symact.expr import formula, functions, grammar_limits, spelling
from symact.expr.operators import INPUTS, VARIABLES, Limits, Operator, Parameter, Vocabulary
from symact.expr.shape import parse_shape
from symact.expr.space import Space
from symact.expr.toml_spans import Places

MAXIMUM_LENGTH = 1_000_000
DEFAULT_INTERVAL = (-100.0, 100.0)

_TABLES = ("parameters", "constants", "unary", "binary", "nary", "spaces", "identity", "limits")
_SECTIONS = ("name", "source", "inputs", *_TABLES)
_PARAMETER_KEYS = ("init", "per", "positive", "share", "range")
_RESERVED = {"x", "a", "b", "pi", "e", "where"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Whether an operator has a finite value somewhere on an interval (low, high).
Tried: TypeAlias = Callable[[Operator, tuple[float, float]], bool]


@dataclass(frozen=True, eq=False)
class Grammar(Vocabulary):
    """A vocabulary with its spaces.

    Attributes:
        source: where it comes from, in the author's words.
        path: the file that it was read from, or None.
        spaces: space name -> `Space`, in file order.
    """

    source: str = ""
    path: Path | None = None
    spaces: Mapping[str, Space] = field(default_factory=dict, repr=False)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def space(self, name: str | None = None) -> Space:
        """The space of that name; the first one without a name.

        Raises:
            InputError: there is none.
        """
        if not self.spaces:
            raise InputError(f"the grammar {self.name!r} has no space; add one under [spaces]")
        if name is None:
            return next(iter(self.spaces.values()))
        if name not in self.spaces:
            raise InputError(f"the grammar {self.name!r} has no space {name!r}; it has {', '.join(self.spaces)}")
        return self.spaces[name]


def read_grammar(text: str, path: Path | str | None, finite_somewhere: Tried) -> Grammar:
    """Read the text of a grammar file; `program.loading` has the evaluator that this room has not.

    Args:
        text: TOML.
        path: where it was read from, for messages.
        finite_somewhere: tries an operator on an interval.

    Raises:
        GrammarError: with file, line, key and column of the offending part.
    """
    return _Reader(text, None if path is None else Path(path), finite_somewhere).read()


class _Reader:
    """Reads one text; every method takes keys from `data` and raises through `fail`."""

    def __init__(self, text: str, path: Path | None, finite_somewhere: Tried):
        self.text, self.path, self.finite_somewhere = text, path, finite_somewhere
        self.data: dict[str, Any] = {}
        self.parameters: dict[str, Parameter] = {}
        self.constants: dict[str, sympy.Rational] = {}
        self.operators: dict[str, Operator] = {}
        self.inputs: tuple[str, ...] = INPUTS[:1]

    def read(self) -> Grammar:
        self.data = self._toml()
        self._known(self.data, _SECTIONS, (), "section")
        name, source = (self._text(key) for key in ("name", "source"))
        if not any(section in self.data for section in _TABLES):
            raise GrammarError(
                'the grammar is empty; expected operators, as in [unary] with relu = "max(x, 0)"', self.path
            )
        self.inputs = self._inputs()
        for section in _TABLES:
            if not isinstance(self.data.get(section, {}), dict):
                self.fail(f"expected a section, [{section}]", section)
        for key, value in self.data.get("parameters", {}).items():
            self.parameters[key] = self._parameter(key, value)
        for key, value in self.data.get("constants", {}).items():
            self.constants[key] = self._constant(key, value)
        for kind in ("unary", "binary", "nary"):
            for key, value in self.data.get(kind, {}).items():
                self.operators[key] = self._operator(kind, key, value)
        interval = self._interval()
        self._try_operators(interval)
        spaces: dict[str, Space] = {}
        grammar = Grammar(
            name=name or (self.path.stem if self.path else "unnamed"),
            operators=self.operators,
            parameters=self.parameters,
            constants=self.constants,
            limits=self._limits(),
            interval=interval,
            inputs=self.inputs,
            symmetric_inputs=self._symmetric(),
            text=self.text,
            source=source,
            path=self.path,
            spaces=spaces,
        )
        for key, value in self.data.get("spaces", {}).items():
            spaces[key] = self._space(grammar, key, value)
        return grammar

    # Messages.

    def fail(
        self, reason: str, *keys: str | int, key: bool = False, part: tuple[int, int | None] | None = None
    ) -> NoReturn:
        """Raise a `GrammarError` that points at the value of `keys`.

        Args:
            reason: what is wrong and what was expected.
            keys: path of keys and list positions.
            key: point at the key itself.
            part: columns within the string that stands there.
        """
        named = ".".join(k for k in keys if isinstance(k, str))
        span = Places(self.text).find(keys, key)
        if span is None:
            raise GrammarError(reason, self.path, named)
        start, end = span
        if part is not None and self._is_plain(keys, self.text[start:end]):
            start, end = start + 1 + part[0], start + 1 + (part[0] + 1 if part[1] is None else part[1])
        raise self._at(reason, named, start, end)

    def _at(self, reason: str, named: str, start: int, end: int) -> GrammarError:
        line_start = self.text.rfind("\n", 0, start) + 1
        line = self.text[line_start:].split("\n", 1)[0].rstrip("\r")
        number = self.text.count("\n", 0, start) + 1
        return GrammarError(reason, self.path, named, number, line, start - line_start, end - line_start)

    def _is_plain(self, keys: Sequence[str | int], written: str) -> bool:
        """Whether the string stands in the file as it is, so that its columns are those of the file."""
        value: Any = self.data
        for key in keys:
            value = value[key]
        return isinstance(value, str) and written[1:-1] == value

    def _known(self, table: Mapping[str, Any], known: Sequence[str], keys: tuple[str, ...], what: str) -> None:
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                self.fail(f"unknown {what} {key!r}; {hint}expected one of: {', '.join(known)}", *keys, key, key=True)

    # TOML and plain values.

    def _toml(self) -> dict[str, Any]:
        if len(self.text) > MAXIMUM_LENGTH:
            raise GrammarError(f"more than {MAXIMUM_LENGTH:,} characters", self.path)
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            message = str(error)
            place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
            reason = f"not TOML: {message[: place.start()] if place else message}"
            if place is None:
                raise GrammarError(reason, self.path) from None
            lines = self.text.replace("\r\n", "\n").split("\n")
            line = int(place[1]) if place[1] else len(lines)
            shown = lines[line - 1]
            column = int(place[2]) - 1 if place[2] else len(shown)
            raise GrammarError(reason, self.path, "", line, shown or " ", min(column, len(shown))) from None
        except (ValueError, RecursionError):
            raise GrammarError("not TOML: nested too deeply, or a number that is too long", self.path) from None

    def _text(self, key: str) -> str:
        value = self.data.get(key, "")
        if not isinstance(value, str):
            self.fail(f'expected text, as in {key} = "..."', key)
        return value

    def _inputs(self) -> tuple[str, ...]:
        value = self.data.get("inputs", list(INPUTS[:1]))
        if value not in (list(INPUTS[:1]), list(INPUTS)):
            self.fail('expected inputs = ["x"], or ["x", "g"] for functions of two inputs', "inputs")
        return tuple(value)

    def _number(self, value: Any, *keys: str | int) -> float:
        try:
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                self.fail("expected a finite number", *keys)
            return float(value)
        except OverflowError:
            self.fail("expected a number that is finite in float64", *keys)

    def _range(self, value: Any, *keys: str) -> tuple[float, float]:
        if not isinstance(value, list) or len(value) != 2:
            self.fail("expected two numbers, [low, high]", *keys)
        low, high = (self._number(end, *keys, i) for i, end in enumerate(value))
        if not low < high:
            self.fail("expected [low, high] with low < high", *keys)
        return low, high

    def _flag(self, table: Mapping[str, Any], key: str, default: bool, *keys: str) -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            self.fail("expected true or false", *keys, key)
        return value

    # Names, parameters, constants.

    def _new_name(self, section: str, name: str) -> None:
        if not _NAME.fullmatch(name):
            self.fail(f"{name!r} is not a name; expected letters, digits and _", section, name, key=True)
        if name in _RESERVED or name in self.inputs or keyword.iskeyword(name):
            self.fail(f"the name {name!r} is reserved; choose another", section, name, key=True)
        if len(name) > 64:
            self.fail("a name has at most 64 characters", section, name, key=True)

    def _new_letter(self, section: str, name: str) -> None:
        self._new_name(section, name)
        if name in functions.names() and name not in spelling.LETTERS:
            self.fail(f"{name!r} is the name of a function; choose another", section, name, key=True)
        if name in self.parameters:
            self.fail(f"{name!r} is a parameter already", section, name, key=True)
        for other in self.parameters.values():
            if not other.share and re.fullmatch(re.escape(other.name) + r"_\d+", name):
                self.fail(f"{name!r} is what occurrences of {other.name!r} are called", section, name, key=True)

    def _parameter(self, name: str, value: Any) -> Parameter:
        here = ("parameters", name)
        if not isinstance(value, dict):
            self.fail(f"expected a table, as in {name} = {{ init = 1.0 }}", *here)
        self._new_letter("parameters", name)
        self._known(value, _PARAMETER_KEYS, here, "key")
        positive = self._flag(value, "positive", False, *here)
        share = self._flag(value, "share", True, *here)
        init = self._number(value.get("init", 1.0), *here, "init")
        per = value.get("per", "layer")
        if per not in ("layer", "channel"):
            self.fail('expected "layer" or "channel"', *here, "per")
        low, high = (0.1, 3.0) if positive else (-3.0, 3.0)
        if "range" in value:
            low, high = self._range(value["range"], *here, "range")
        if positive and init <= 0:
            self.fail("a positive parameter starts above zero", *here, "init")
        if positive and low <= 0:
            self.fail("a positive parameter is compared above zero", *here, "range")
        if not share:
            clash = next((o for o in self.parameters if re.fullmatch(re.escape(name) + r"_\d+", o)), None)
            if clash is not None:
                self.fail(f"occurrences of {name!r} would be called like {clash!r}", *here, key=True)
        return Parameter(name, init, per, positive, share, (low, high))

    def _constant(self, name: str, value: Any) -> sympy.Rational:
        self._number(value, "constants", name)
        self._new_letter("constants", name)
        return sympy.Integer(value) if isinstance(value, int) else sympy.Rational(repr(value))

    # Operators.

    def _operator(self, kind: str, name: str, value: Any) -> Operator:
        here = (kind, name)
        self._new_name(kind, name)
        if name in self.operators:
            other = self.operators[name].kind
            self.fail(f"{name!r} stands under [{other}] already; a name is one operator only", *here, key=True)
        if not isinstance(value, str):
            expected = {
                "unary": 'a formula in x, as in "x*sigmoid(x)"',
                "binary": 'a formula in a and b, as in "a + b"',
            }
            self.fail(f"expected {expected.get(kind, 'the name of a binary operator')}", *here)
        return self._fold(name, value) if kind == "nary" else self._primitive(kind, name, value)

    def _fold(self, name: str, text: str) -> Operator:
        step = self.operators.get(text)
        if step is None or step.kind != "binary":
            binary = [o.name for o in self.operators.values() if o.kind == "binary"]
            found = f"{text!r} is not one" if step is None else f"{text!r} is {step.kind}"
            names = ", ".join(binary) or "none here"
            self.fail(f"expected the name of a binary operator ({names}); {found}", "nary", name, part=(0, len(text)))
        return Operator(name, "nary", text, step.parameters, step.formula, step.total)

    def _primitive(self, kind: str, name: str, text: str) -> Operator:
        variables = {letter: functions.SYMBOLS[letter] for letter in VARIABLES[kind]}
        mentioned: dict[str, Parameter] = {}

        def names(word: str) -> sympy.Expr | None:
            if word in self.parameters:
                mentioned.setdefault(word, self.parameters[word])
                return self.parameters[word].symbol
            return variables.get(word, self.constants.get(word))

        expected = f"{' and '.join(variables)}, pi, e, or a name of [parameters] or [constants]"
        try:
            syntax = formula.read(text)
            self._not_recursive(kind, name, text, syntax)
            built = formula.FormulaBuilder(text, names, expected=expected).build(syntax)
        except FormulaError as error:
            part = None if error.column is None else (error.column, error.end)
            self.fail(error.reason, kind, name, part=part)
        total = not built.free_symbols & set(variables.values())
        return Operator(name, kind, text, tuple(mentioned.values()), built, total)

    def _not_recursive(self, kind: str, name: str, text: str, syntax: Any) -> None:
        """Operators are made of built-in functions; one that calls an operator of the file is told so."""
        own = {key for section in ("unary", "binary", "nary") for key in self.data.get(section, {})}
        for called, start, end in formula.calls_in(syntax):
            if called in own and functions.resolve(called) is None and called != "where":
                reason = (
                    f"the operator {name!r} is recursive: it calls itself"
                    if called == name
                    else f"{called!r} is an operator of this grammar; formulas call built-in functions, so write it out"
                )
                self.fail(reason, kind, name, part=(start, end))

    def _try_operators(self, interval: tuple[float, float]) -> None:
        """An operator that is finite nowhere is a mistake."""
        # Inside an expression its arguments are what other operators give.
        for name, operator in self.operators.items():
            if not any(self.finite_somewhere(operator, tried) for tried in (interval, (-2.0, 2.0))):
                low, high = interval
                self.fail(
                    f"{name!r} is finite nowhere on [{low:g}, {high:g}], nor between -2 and 2", operator.kind, name
                )

    # Spaces, limits, interval.

    def _space(self, grammar: Grammar, name: str, value: Any) -> Space:
        here = ("spaces", name)
        if not isinstance(value, list) or not all(isinstance(shape, str) for shape in value):
            self.fail('expected a list of shapes, as in ["binary(unary(x), unary(x))"]', *here)
        shapes = []
        for index, text in enumerate(value):
            try:
                shapes.append(parse_shape(text, self.inputs))
            except FormulaError as error:
                self.fail(error.reason, *here, index, part=(error.column or 0, error.end))
        try:
            return Space(grammar, name, shapes)
        except InputError as error:
            self.fail(str(error), *here)

    def _limits(self) -> Limits:
        table = self.data.get("limits", {})
        self._known(table, grammar_limits.KEYS, ("limits",), "key")
        return grammar_limits.read_limits(table, self.operators, self.fail)

    def _interval(self) -> tuple[float, float]:
        table = self.data.get("identity", {})
        self._known(table, ("interval", "symmetric_inputs"), ("identity",), "key")
        return self._range(table["interval"], "identity", "interval") if "interval" in table else DEFAULT_INTERVAL

    def _symmetric(self) -> bool:
        symmetric = self._flag(self.data.get("identity", {}), "symmetric_inputs", False, "identity")
        if symmetric and len(self.inputs) == 1:
            self.fail('there is one input; two are inputs = ["x", "g"]', "identity", "symmetric_inputs")
        return symmetric
