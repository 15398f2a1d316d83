"""`NormalForms`: Programs of forms -> normal forms, by the table of rules.

In: a Program and the forms of its inputs. Out: a `Form`; two terms with the same form are proved to be the same
function. Forms are no way to compute: `1 - erf(x)` stands for erfc(x).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import isqrt
from typing import Any

import sympy

from symact.equivalence.rules.form import (
    NO_TAGS,
    NOT_NEGATIVE,
    NOT_POSITIVE,
    Form,
    FormTable,
    Rational,
    leads_with_minus,
    normal,
    opened,
    ratio,
)
from symact.equivalence.rules.matching import MatchedRule
from symact.equivalence.rules.products import multiplied
from symact.equivalence.rules.rules import RULES
from symact.equivalence.rules.sums import added, scaled
from symact.expr.functions import FUNCTIONS, Function
from symact.program.program import Program

# Functions that never vanish and have one sign, and those that have the sign of their argument.
_SIGNS = {name: NOT_NEGATIVE for name, row in FUNCTIONS.items() if row.sign == "1"}
_SIGNS |= {name: NOT_POSITIVE for name, row in FUNCTIONS.items() if row.sign == "-1"}
_SIGN_KEEPING = frozenset(name for name, row in FUNCTIONS.items() if row.sign == "x")


class NormalForms(FormTable):
    """Makes normal forms, each once."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: dict[tuple[str, Form], Form] = {}
        # What a maximum, or the negative of a minimum, was made of.
        self._parts: dict[Form, frozenset[Form]] = {}
        self._matched_rules: dict[str, list[MatchedRule]] = {}
        for rule in RULES:
            row = MatchedRule.compiled(self, self.program, rule)
            if row is not None:
                self._matched_rules.setdefault(row.head, []).append(row)

    def program(self, program: Program, inputs: Sequence[Form]) -> Form:
        """The form of a program's result."""
        values = list(inputs)
        for step in program.value_operations:
            if step.name == "const":
                values.append(self._constant(step.value))
            else:
                operands = [values[number] for number in step.arguments]
                builder = _BUILDERS.get(step.name)
                if builder is not None:
                    values.append(builder(self, *operands))
                elif step.name == "ipow":
                    values.append(self.power(operands[0], int(step.number)))
                else:
                    values.append(self.call(step.name, *operands))
        return values[program.output]

    def _constant(self, value: Any) -> Form:
        if value == sympy.E:
            return self.call("exp", self.one)
        if value == sympy.pi:
            return self.make("call", ("pi",), ("pi",), NOT_NEGATIVE, True)
        return self.const(normal(Fraction(int(value.p), int(value.q))))

    def add(self, terms: Iterable[tuple[Form, Rational]]) -> Form:
        """The sum of forms, each times a number."""
        return added(self, terms)

    def scaled(self, form: Form, factor: Rational) -> Form:
        """A number times a form."""
        return scaled(self, form, factor)

    def multiply(self, factors: Iterable[tuple[Form, int]]) -> Form:
        """The product of forms, each to a whole power; undefined where a factor with a negative one is zero."""
        return multiplied(self, self.call, factors)

    def power(self, form: Form, exponent: int) -> Form:
        """A form to a whole power; the power 0 is 1 where the form is defined."""
        return form if exponent == 1 else self.multiply(((form, exponent),))

    def call(self, name: str, *arguments: Form) -> Form:
        """A function at arguments."""
        if len(arguments) > 1:
            if any(argument.kind == "nowhere" for argument in arguments):
                return self.nowhere
            return self._free(name, *sorted(arguments, key=lambda argument: argument.key))
        (argument,) = arguments
        place = (name, argument)
        found = self._calls.get(place)
        if found is None:
            found = self._calls[place] = self._called(name, argument)
        return found

    def _called(self, name: str, argument: Form) -> Form:
        if argument.kind == "nowhere":
            return argument
        argument, tags = opened(argument, NO_TAGS)
        result = self._rewritten(name, argument)
        if result is None:
            special = _SPECIAL.get(name)
            result = special(self, argument) if special else self._free(name, argument)
        elif name in _SIGNS:
            _learn(result, _SIGNS[name], nonzero=True)
        elif name in _SIGN_KEEPING:
            _learn(result, argument.sign, argument.nonzero)
        return self.restricted(result, tags) if tags else result

    def _rewritten(self, name: str, argument: Form) -> Form | None:
        for row in self._matched_rules.get(name, ()):
            found = row.match(self, argument)
            if found is not None:
                return self.program(row.right, [found.get(hole, self.zero) for hole in "abc"])
        return None

    def _free(self, name: str, *arguments: Form) -> Form:
        """A call that no rule changes, with what is known of it."""
        tags = frozenset().union(*[argument.tags for argument in arguments])
        first = arguments[0]
        sign, nonzero, diffuse = 0, False, first.diffuse and len(arguments) == 1
        content = (name, *[argument.key for argument in arguments])
        row = FUNCTIONS.get(name)
        if row is not None and row.arity == 1:
            diffuse &= not row.flat
            if name in _SIGNS:
                sign, nonzero = _SIGNS[name], True
            elif name in _SIGN_KEEPING:
                sign, nonzero = first.sign, first.nonzero
            elif row.sign == "abs(x)":
                sign, nonzero = NOT_NEGATIVE, first.nonzero
            else:
                nonzero = diffuse and not row.pieces
            tags |= self._edge(row, first, content)
        else:
            diffuse = False
            if name in _CONDITIONS:
                sign = NOT_NEGATIVE
            elif name == "where":
                sign = arguments[1].sign & arguments[2].sign
                nonzero = arguments[1].nonzero and arguments[2].nonzero
                partial = arguments[1].tags | arguments[2].tags
                tags = first.tags | ({self._made_key(content)} if partial else NO_TAGS)
            elif name == "max":
                sign = _largest_sign(arguments)
            elif name == "pow":
                tags |= {self._made_key(content)}
        return self.make("call", content, (name, *arguments), sign, nonzero, diffuse, tags)

    def _edge(self, row: Function, argument: Form, content: tuple[Any, ...]) -> frozenset[int]:
        """What names where a function of an argument is defined."""
        quantity, relation = row.edge
        if not quantity:
            return NO_TAGS
        if quantity != "x":
            return frozenset([self._made_key(content)])
        if argument.positive or (relation == ">=" and argument.sign & NOT_NEGATIVE):
            return NO_TAGS
        # Where the argument almost never vanishes, `> 0` and `>= 0` are one.
        one = relation == ">=" or (relation == ">" and argument.nonzero)
        return frozenset([self._sign_tag(argument) if one else self._made_key(content)])

    def _sign_tag(self, form: Form) -> int:
        # sqrt and log of what is almost nowhere zero have one domain, and so have those of multiples.
        constant, terms = form.data if form.kind == "sum" else (0, ((form, 1),))
        size = abs(terms[0][1])
        return self._made_key(("above", self.add([(form, Fraction(1) / size)]).key if constant or terms else form.key))

    def _made_key(self, content: tuple[Any, ...]) -> int:
        return self.make("call", ("domain", *content), ("domain",)).key

    # Functions with rules of their own.

    def _exp(self, argument: Form) -> Form:
        if argument.kind == "const" and argument.data == 0:
            return self.one
        constant, terms = argument.data if argument.kind == "sum" else (0, ((argument, 1),))
        factors: list[tuple[Form, int]] = []
        rest: list[tuple[Form, Rational]] = []
        for term, coefficient in terms:
            if term.name in _LOGARITHMS and coefficient.denominator == 1 and abs(coefficient) <= 8:
                factors += [(part, int(coefficient)) for part in self._undone(term)]
            else:
                rest.append((term, coefficient))
        if not factors:
            known = NOT_NEGATIVE, True, argument.diffuse, argument.tags
            return self.make("call", ("exp", argument.key), ("exp", argument), *known)
        left = self.add([*rest, (self.one, constant)])
        product = self.multiply([*factors, (self.call("exp", left), 1)])
        return self.restricted(product, argument.tags)

    def _undone(self, term: Form) -> list[Form]:
        """exp of a logarithm."""
        name, argument = term.data
        if name == "log":
            return [argument]
        if name == "softplus":
            return [self.add(((self.one, 1), (self.call("exp", argument), 1)))]
        square = self.add(((self.power(argument, 2), 1), (self.one, 1)))
        return [self.add(((argument, 1), (self.call("sqrt", square), 1)))]

    def _log(self, argument: Form) -> Form:
        if argument.kind == "const":
            return (
                self.zero if argument.data == 1 else self.nowhere if argument.data <= 0 else self._free("log", argument)
            )
        coefficient: Rational = 1
        if argument.kind == "sum" and argument.data[0] == 0 and len(argument.data[1]) == 1:
            argument, coefficient = argument.data[1][0]
        if argument.sign and argument.sign == (NOT_POSITIVE if coefficient > 0 else NOT_NEGATIVE):
            return self.nowhere
        if argument.kind == "product" and all(f.positive or (f.nonzero and e % 2 == 0) for f, e in argument.data):
            sizes = [(form if form.positive else self.call("abs", form), power) for form, power in argument.data]
            logs = [(self.call("log", form), power) for form, power in sizes]
            return self.add([*logs, (self.call("log", self.const(coefficient)), 1)])
        if argument.positive and coefficient > 0 and coefficient != 1:
            return self.add(((self.call("log", argument), 1), (self.call("log", self.const(coefficient)), 1)))
        if argument.name == "exp" and coefficient == 1:
            inner: Form = argument.data[1]
            return inner
        return self._free("log", self.scaled(argument, coefficient))

    def _sqrt(self, argument: Form) -> Form:
        if argument.kind == "const":
            return self._root_of_number(argument.data)
        if argument.kind == "call" and argument.data[0] == "exp":
            return self.call("exp", self.scaled(argument.data[1], Fraction(1, 2)))
        coefficient: Rational = 1
        core = argument
        if argument.kind == "sum" and argument.data[0] == 0 and len(argument.data[1]) == 1:
            core, coefficient = argument.data[1][0]
        if coefficient > 0 and coefficient != 1:
            return self.multiply(((self._root_of_number(coefficient), 1), (self.call("sqrt", core), 1)))
        if core.kind == "product" and coefficient == 1:
            even = [(self.call("abs", form), power // 2) for form, power in core.data if power % 2 == 0]
            odd = [(form, power) for form, power in core.data if power % 2]
            if all(form.sign & NOT_NEGATIVE for form, _ in odd) and (even or len(odd) > 1 or odd[0][1] != 1):
                return self.multiply([*even, *[(self.call("sqrt", form), power) for form, power in odd]])
        return self.nowhere if argument.sign == NOT_POSITIVE and argument.nonzero else self._free("sqrt", argument)

    def _root_of_number(self, value: Rational) -> Form:
        if value < 0:
            return self.nowhere
        top, bottom = isqrt(value.numerator), isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return self.const(normal(Fraction(top, bottom)))
        if bottom * bottom != value.denominator:
            # sqrt(p/q) is sqrt(p*q)/q.
            root = self._root_of_number(value.numerator * value.denominator)
            return self.scaled(root, Fraction(1, value.denominator))
        return self.scaled(self._free("sqrt", self.const(value.numerator)), Fraction(1, bottom))

    def _abs(self, argument: Form) -> Form:
        if argument.kind == "const":
            return self.const(abs(argument.data))
        if argument.sign:
            return argument if argument.sign & NOT_NEGATIVE else self.scaled(argument, -1)
        if argument.kind == "sum":
            lead = argument.data[1][0][1]
            if lead != 1:
                inner = self.scaled(argument, Fraction(1) / lead)
                return self.scaled(self.call("abs", inner), abs(lead))
        if argument.kind == "product":
            return self.multiply([(self.call("abs", form), exponent) for form, exponent in argument.data])
        return self._free("abs", argument)

    def _sign(self, argument: Form) -> Form:
        if argument.kind == "const":
            return self.const((argument.data > 0) - (argument.data < 0))
        if leads_with_minus(argument):
            return self.scaled(self.call("sign", self.scaled(argument, -1)), -1)
        return self._free("sign", argument)

    # Steps of several arguments.

    def _max(self, first: Form, second: Form) -> Form:
        return self._extreme(first, second)

    def _min(self, first: Form, second: Form) -> Form:
        turned = self._extreme(self.scaled(first, -1), self.scaled(second, -1))
        result = self.scaled(turned, -1)
        _learn(result, _mirrored(turned.sign))
        return result

    def _extreme(self, first: Form, second: Form) -> Form:
        tags = NO_TAGS
        parts: set[Form] = set()
        for form in (first, second):
            form, tags = opened(form, tags)
            if form.kind == "nowhere":
                return form
            parts |= self._parts.get(form, {form})
            tags |= form.tags
        numbers = [form for form in parts if form.kind == "const"]
        if len(numbers) > 1:
            parts -= set(numbers)
            parts.add(max(numbers, key=lambda form: form.data))
        for form in list(parts):
            if any(other is not form and self._exceeds(other, form) for other in parts):
                parts.discard(form)
        ordered = sorted(parts, key=lambda form: form.key)
        if len(ordered) == 1:
            result = ordered[0]
        elif len(ordered) == 2:
            difference = self.call("abs", self.add(((ordered[0], 1), (ordered[1], -1))))
            half = Fraction(1, 2)
            result = self.add(((ordered[0], half), (ordered[1], half), (difference, half)))
        else:
            result = self._free("max", *ordered)
        if len(ordered) > 1:
            self._parts[opened(result, NO_TAGS)[0]] = frozenset(parts)
            _learn(result, _largest_sign(ordered))
        return self.restricted(result, tags)

    def _exceeds(self, form: Form, other: Form) -> bool:
        """Whether one is known to be at least the other."""
        return bool(self.add(((form, 1), (other, -1))).sign & NOT_NEGATIVE)

    def _pow(self, base: Form, exponent: Form) -> Form:
        if exponent.kind == "const" and base.kind != "nowhere":
            value = exponent.data
            if value.denominator == 1 and abs(value) <= 64:
                return self.power(base, int(value))
            if abs(value) == Fraction(1, 2):
                return self.power(self.call("sqrt", base), 1 if value > 0 else -1)
        core, tags = opened(base, NO_TAGS)
        power, tags = opened(exponent, tags)
        if "nowhere" in (core.kind, power.kind):
            return self.nowhere
        if core.kind == "const" and (core.data == 1 or (core.data == 0 and power.positive)):
            return self.restricted(core, tags | power.tags)
        if core.positive:
            grown = self.call("exp", self.multiply(((power, 1), (self.call("log", core), 1))))
            return self.restricted(grown, tags)
        return self.restricted(self._free("pow", core, power), tags)

    def _less(self, first: Form, second: Form) -> Form:
        """0 < second - first."""
        difference = self.add(((second, 1), (first, -1)))
        core, tags = opened(difference, NO_TAGS)
        if core.kind == "const":
            return self.restricted(self.const(int(core.data > 0)), tags)
        if core.sign & NOT_POSITIVE or core.positive:
            return self.restricted(self.one if core.positive else self.zero, tags | core.tags)
        if leads_with_minus(core) and core.nonzero:
            flipped = self._less(self.zero, self.scaled(core, -1))
            return self.restricted(self.add(((self.one, 1), (flipped, -1))), tags)
        if core.kind == "sum":
            core = self.scaled(core, Fraction(1) / abs(core.data[1][0][1]))
        return self.restricted(self._free("lt", core), tags)

    def _less_equal(self, first: Form, second: Form) -> Form:
        return self.add(((self.one, 1), (self._less(second, first), -1)))

    def _where(self, condition: Form, then: Form, otherwise: Form) -> Form:
        core, tags = opened(condition, NO_TAGS)
        if core.kind == "nowhere":
            return core
        if core.kind == "const":
            return self.restricted(otherwise if core.data == 0 else then, tags)
        if core.kind == "sum" and core.data[0] == 1 and len(core.data[1]) == 1 and core.data[1][0][1] == -1:
            return self.restricted(self._where(core.data[1][0][0], otherwise, then), tags)
        if then is otherwise:
            return self.restricted(then, tags | core.tags)
        if core.name == "lt":
            argument = core.data[1]
            slopes = [0 if branch is self.zero else ratio(branch, argument) for branch in (then, otherwise)]
            if None not in slopes:
                above, below = self._max(argument, self.zero), self._min(argument, self.zero)
                return self.restricted(self.add(((above, slopes[0]), (below, slopes[1]))), tags)  # type: ignore[arg-type]
        if "nowhere" in (then.kind, otherwise.kind) and then.kind == otherwise.kind:
            return then
        return self.restricted(self._free("where", core, then, otherwise), tags)


def _learn(form: Form, sign: int, nonzero: bool = False) -> None:
    """A sum that stands for a function shows less of its sign than the function did."""
    if form.kind == "sum":
        form.sign |= sign
        form.nonzero |= nonzero


def _mirrored(sign: int) -> int:
    return (sign >> 1) | ((sign << 1) & 2)


def _largest_sign(arguments: Sequence[Form]) -> int:
    signs = [argument.sign for argument in arguments]
    some = NOT_NEGATIVE if any(sign & NOT_NEGATIVE for sign in signs) else 0
    return some | (NOT_POSITIVE if all(sign & NOT_POSITIVE for sign in signs) else 0)


_CONDITIONS = frozenset(["lt", "le", "eq", "ne", "and", "or"])
_LOGARITHMS = frozenset(["log", "softplus", "asinh"])

_SPECIAL: dict[str, Callable[[NormalForms, Form], Form]] = {
    "exp": NormalForms._exp,
    "log": NormalForms._log,
    "sqrt": NormalForms._sqrt,
    "abs": NormalForms._abs,
    "sign": NormalForms._sign,
}

_BUILDERS: dict[str, Callable[..., Form]] = {
    "add": lambda n, a, b: n.add(((a, 1), (b, 1))),
    "sub": lambda n, a, b: n.add(((a, 1), (b, -1))),
    "neg": lambda n, a: n.add(((a, -1),)),
    "mul": lambda n, a, b: n.multiply(((a, 1), (b, 1))),
    "div": lambda n, a, b: n.multiply(((a, 1), (b, -1))),
    "max": NormalForms._max,
    "min": NormalForms._min,
    "pow": NormalForms._pow,
    "lt": NormalForms._less,
    "le": NormalForms._less_equal,
    "where": NormalForms._where,
}
