"""A certificate as one page of text, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from symact.certify.facts import EDGE_OF_RANGE
from symact.certify.tally import counted_beyond

WIDTH = 80
_LABEL = 14
_SHOWN = 6


def page(document: dict[str, Any]) -> str:
    """The document of a certificate as text, for a person."""
    blocks = [
        "\n".join([*_filled("", heading), *(line for label, text in rows for line in _row(label, text))])
        for heading, rows in sections(document)
    ]
    return "\n\n".join(blocks)


def sections(document: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a page says: headings, and under each, labels with their text: verdict, every type, the function."""
    first = [("verdict", document["verdict"])]
    if document["parameters"]:
        shown = ", ".join(f"{name} = {value:g}" for name, value in document["parameters"].items())
        first.insert(0, ("parameters", shown))
    found = [(f"Certificate of {document['expression']}", first)]
    found += [(_heading(name, each), [*_of_type(each)]) for name, each in document["dtypes"].items()]
    whole = "The function itself, for every real x from -2^128 to 2^128"
    return [*found, (whole, [*_of_function(document["function"])])]


def _filled(indent: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)


def _row(label: str, text: str) -> list[str]:
    first = f"  {label:<{_LABEL}} "
    rest = " " * len(first)
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _number(value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if value and abs(value) == EDGE_OF_RANGE:
        return "2^128" if value > 0 else "-2^128"
    return f"{value + 0.0:.7g}"


def _errors(found: dict[str, Any]) -> str:
    if not found["counted"]:
        return "nowhere defined"
    text = f"{_number(found['worst'])} ulp at {_number(found['at'])}: "
    text += f"{_number(found['found'])} for {_number(found['exact'])}"
    further = {float(step): count for step, count in found.get("further_than_ulp", {}).items()}
    if further:
        shares = [f"{count / found['counted']:.2%} > {step:g}" for step, count in further.items() if step in (1, 2, 4)]
        text += f"; ulp: {', '.join(shares)}"
    if found["beyond"]:
        places = ", ".join(map(_number, found["beyond_at"]))
        text += f"; {found['beyond']:,} beyond, at {places}" + (
            ", ..." if found["beyond"] > len(found["beyond_at"]) else ""
        )
    return text


def _ranges(found: dict[str, Any]) -> str:
    if "first" not in found:
        return f"{found['inputs']:,} inputs"
    parts = [
        _number(low) if low == high else f"{_number(low)} to {_number(high)}" for low, high in found["first"][:_SHOWN]
    ]
    if found["ranges"] > len(parts):
        parts.append(f"... ({found['ranges']} ranges)")
    return f"{found['inputs']:,} inputs: {', '.join(parts)}" if parts else "none"


def _heading(name: str, found: dict[str, Any]) -> str:
    return (
        f"{name}: {'' if 'between' in found else 'all '}{found['inputs']:,} inputs ({found['finite']:,} finite), "
        f"{found['backend']} kernel"
    )


def _of_type(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "between" in found:
        yield ("between", " and ".join(map(_number, found["between"])))
    yield ("worst value", _errors(found["values"]))
    yield ("worst slope", _errors(found["slopes"]))
    for label, other in found.get("other_backends", {}).items():
        text = f"value {_number(other['worst_value_ulp'])} ulp, slope {_number(other['worst_slope_ulp'])} ulp"
        beyond = counted_beyond(other)
        yield (f"on {label}", text + (f"; beyond: {beyond}" if beyond else ""))
    special = found["at_infinities"]
    yield (
        "at -inf, inf",
        f"{special['-inf']['value']}, {special['inf']['value']} (slopes {special['-inf']['slope']}, "
        f"{special['inf']['slope']}); at nan {special['nan']['value']}",
    )
    if found.get("nan_inputs", {}).get("inputs"):
        nans = found["nan_inputs"]
        yield ("NaN", f"{nans['give_nan']:,} of {nans['inputs']:,} NaNs give NaN, as value and as slope")
    truth = found.get("truth", {})
    if found["undefined"]:
        counts = ", ".join(f"{count:,} {what}" for what, count in found["at_undefined_inputs"].items() if count)
        places = _ranges(truth.get("undefined", {"inputs": found["undefined"]}))
        yield ("undefined at", f"{places}; the kernel gives {counts}")
    if found["without_derivative"]:
        places = _ranges(truth.get("no_derivative", {"inputs": found["without_derivative"]}))
        yield ("no derivative", places)
    reversed_ = found["order_kept"]["reversed"]
    yield ("order", f"{reversed_ or 'no'} neighbours of {found['order_kept']['neighbours']:,} are reversed")
    extent = found["range"]
    yield (
        "range",
        f"{_number(extent['low'])} (at {_number(extent.get('low_at'))}) to {_number(extent['high'])} "
        f"(at {_number(extent.get('high_at'))})",
    )
    largest = found["largest_slope"]
    yield ("largest slope", f"{_number(largest['size'])} in size, at {_number(largest['at'])}")
    yield ("zero at", _ranges(found["zeros"]))
    yield ("slope zero at", _ranges(found["zero_slopes"]))
    yield ("known by", found["known"])


def _bounds(pair: Sequence[float] | None) -> str:
    if pair is None:
        return "not bounded by this analysis"
    low, high = pair
    if abs(low) > 1e30:
        return "infinite, as far as looked"
    return _number(low) if f"{low:.5g}" == f"{high:.5g}" and high - low < 1e-6 else f"between {low:.9g} and {high:.9g}"


def _of_function(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    pieces = [
        f"{piece['direction']} from {_number(piece['from'])} to {_number(piece['to'])}"
        for piece in found["monotonicity"]
    ]
    yield ("monotonicity", _listed(pieces))
    turns = [
        f"{turn['kind']} at {_number(turn['x'])} (value {_number(turn['value'])})" for turn in found["turning_points"]
    ]
    yield ("slope zero at", _listed(turns) if turns else "no change of direction was found")
    zeros = [
        f"{_number(zero['x'])} ({zero['known']})"
        if zero["x"] is not None
        else f"{_number(zero['between'][0])} to {_number(zero['between'][1])} ({zero['known']})"
        for zero in found["zeros"]
    ]
    yield ("zeros", _listed(zeros) if zeros else "none")
    yield ("infimum", _bounds(found["infimum"]))
    yield ("supremum", _bounds(found["supremum"]))
    yield ("Lipschitz", _bounds(found["lipschitz"]))
    for side, limit in found["limits"].items():
        yield (f"limit at {side}", f"{_number(limit['value'])} ({limit['known']})")
    yield ("known by", found["known"])


def _listed(parts: list[str]) -> str:
    shown = parts if len(parts) <= _SHOWN + 1 else [*parts[:_SHOWN], f"... ({len(parts)} in all)"]
    return "; ".join(shown)
