"""Every key and value of a TOML text is found where it stands."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.expr.toml_spans import Places

TEXT = """
name = "mine"   # a comment with = and [ in it
[unary]
relu = 'max(x, 0)'
"quoted key" = \"\"\"x +
1\"\"\"
[parameters]
beta = { init = 1.0, range = [0.5, 2] }
[limits]
forbid = [
    "a(b)",  # why
    "c(d)",
]
a.b = true
"""


def shown(span):
    return TEXT[span[0] : span[1]]


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("name",), "name", '"mine"'),
        (("unary", "relu"), "relu", "'max(x, 0)'"),
        (("unary", "quoted key"), '"quoted key"', '"""x +\n1"""'),
        (("parameters", "beta", "init"), "init", "1.0"),
        (("parameters", "beta", "range"), "range", "[0.5, 2]"),
        (("parameters", "beta", "range", 1), None, "2"),
        (("limits", "forbid", 1), None, '"c(d)"'),
        (("limits", "a", "b"), "b", "true"),
    ],
)
def test_keys_and_values_are_found(path, key, value):
    places = Places(TEXT)
    assert shown(places.find(path)) == value
    assert key is None or shown(places.find(path, key=True)) == key


def test_what_is_not_there_is_shown_by_what_encloses_it():
    places = Places(TEXT)
    assert shown(places.find(("parameters", "beta", "colour"))) == "{ init = 1.0, range = [0.5, 2] }"
    assert shown(places.find(("unary", "swish"))) == "unary"
    assert places.find(("nowhere", "at all")) is None


NAMES = st.text("abcdefgh_-", min_size=1, max_size=6)
SCALARS = st.one_of(st.integers(0, 10**6), st.booleans(), st.text("abc #=[]{},.x+*", max_size=8))


def written(value):
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(NAMES, st.dictionaries(NAMES, SCALARS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_span_of_every_value_reads_as_the_value(document):
    text = "\n".join(
        f"[{table}]\n" + "\n".join(f"{key} = {written(value)}  # x = [1]" for key, value in rows.items())
        for table, rows in document.items()
    )
    assert tomllib.loads(text) == document
    places = Places(text)
    for table, rows in document.items():
        for key, value in rows.items():
            start, end = places.find((table, key))
            assert tomllib.loads(f"v = {text[start:end]}")["v"] == value
            start, end = places.find((table, key), key=True)
            assert text[start:end] == key


@settings(max_examples=80, deadline=None)
@given(st.text("ab=[]{}\"'#.,\n 1", max_size=40))
def test_any_text_is_scanned_without_an_error(text):
    places = Places(text)
    for start, end in (*places.keys.values(), *places.values.values()):
        assert 0 <= start <= end <= len(text)
