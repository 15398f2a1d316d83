"""Which expressions are the same function: known counts, constructed pairs, random rewrites, the table."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import pytest

from symact.equivalence import FunctionIndex, distinct, domain, enumerate_classes, screen, write_table
from symact.errors import InputError
from symact.expr.tree import X_LEAF, Expr, parse
from symact.program.loading import load_grammar, parse_grammar

AQUASURF = load_grammar("aquasurf")


@pytest.fixture(scope="module")
def bench():
    return enumerate_classes(AQUASURF, "bench")


def classes_of(table) -> dict[str, int]:
    return dict(zip(table["expression"].to_pylist(), table["class_id"].to_pylist(), strict=True))


def representatives(table) -> dict[int, str]:
    chosen = table.filter(table["representative"])
    return dict(zip(chosen["class_id"].to_pylist(), chosen["expression"].to_pylist(), strict=True))


def small_grammar(unary: str, space: str, extra: str = "") -> object:
    return parse_grammar(f'name = "small"\n{extra}\n[unary]\n{unary}\n[spaces]\nall = {space}\n')


class TestBench:
    def test_it_has_exactly_the_known_number_of_classes(self, bench):
        assert (bench.num_rows, bench["representative"].to_numpy().sum()) == (5103, 2769)

    def test_the_published_rule_gives_the_published_number(self):
        table = enumerate_classes(AQUASURF, "bench", "float32")
        assert table["representative"].to_numpy().sum() == 2913

    def test_rows_stand_in_enumeration_order(self, bench):
        assert bench["expression"].to_pylist() == [str(expression) for expression in AQUASURF.space("bench")]
        assert bench["index"].to_pylist() == list(range(5103))

    def test_classes_are_numbered_by_their_first_member(self, bench):
        labels = bench["class_id"].to_numpy()
        first = np.unique(labels, return_index=True)[1]
        assert (np.diff(first) > 0).all()

    def test_every_class_has_one_representative_in_it(self, bench):
        assert set(Counter(bench.filter(bench["representative"])["class_id"].to_pylist()).values()) == {1}

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("max(cosh(x),zero(x))", "sub(exp(x),sinh(x))"),
            ("add(erfc(x),zero(x))", "sub(one(x),erf(x))"),
            ("div(identity(x),identity(x))", "add(one(x),zero(x))"),
            ("max(identity(x),negative(x))", "mul(abs(x),one(x))"),
            ("div(one(x),zero(x))", "div(identity(x),zero(x))"),
            ("add(sigmoid(x),sigmoid(x))", "div(expm1(x),sinh(x))"),
        ],
    )
    def test_equal_functions_share_a_class(self, bench, first, second):
        known = classes_of(bench)
        assert known[first] == known[second]

    def test_relu_over_relu_is_not_one(self, bench):
        known = classes_of(bench)
        assert known["div(relu(x),relu(x))"] != known["add(one(x),zero(x))"]

    def test_the_representative_is_the_simplest_and_most_accurate(self, bench):
        known, chosen = classes_of(bench), representatives(bench)
        assert chosen[known["div(expm1(x),sinh(x))"]] == "add(sigmoid(x),sigmoid(x))"
        assert chosen[known["sub(exp(x),sinh(x))"]] == "add(zero(x),cosh(x))"

    def test_domains_are_told(self, bench):
        where = dict(zip(bench["expression"].to_pylist(), bench["domain"].to_pylist(), strict=True))
        assert where["div(one(x),zero(x))"] == "nowhere"
        assert where["pow(identity(x),sigmoid(x))"] == "partly"
        assert where["div(one(x),identity(x))"] == "everywhere"

    def test_sampling_separates_only_what_float64_computes_less_well(self, bench):
        sampled = enumerate_classes(AQUASURF, "bench", "sampled")
        own, exact = classes_of(sampled), classes_of(bench)
        first = {label: own[name] for name, label in reversed(exact.items())}
        apart = {name: number for name, number in own.items() if first[exact[name]] != number}
        assert set(apart) == {"sub(one(x),erf(x))", "sub(erf(x),one(x))"}
        assert len(set(own.values())) == 2769 + len(apart)
        assert set(sampled["evidence"].to_pylist()) == {"numeric"}


@pytest.mark.slow
class TestLarge:
    def test_it_has_exactly_the_known_number_of_classes(self):
        table = enumerate_classes(AQUASURF, "large")
        assert (table.num_rows, table["representative"].to_numpy().sum()) == (1_023_516, 386_623)
        known = table.filter(pc.equal(table["expression"], "pow(log_sigmoid(x),erf(reciprocal(x)))"))
        assert known["domain"].to_pylist() == ["nowhere"]
        gone = table.filter(pc.equal(table["expression"], "identity(identity(reciprocal(zero(x))))"))
        assert known["class_id"].to_pylist() == gone["class_id"].to_pylist()


PAIRS = [
    ("cosh(x)", "exp(x)-sinh(x)", True),
    ("erfc(x)", "1-erf(x)", True),
    ("x/x", "1", True),
    ("sqrt(x*x)", "abs(x)", True),
    ("log(exp(x))", "x", True),
    ("arcsinh(sinh(exp(reciprocal(x))))", "exp(reciprocal(x))", True),
    ("log(exp(exp(exp(exp(x)))))", "exp(exp(exp(x)))", True),
    ("log(-1-x*x)", "x/0", True),
    ("sigmoid(x)+sigmoid(-x)", "1", True),
    ("relu(x)/relu(x)", "1", False),
    ("sqrt(x)**2", "x", False),
    ("exp(log(x))", "x", False),
    ("max(erfc(cosh(x)),hard_sigmoid(x))", "hard_sigmoid(x)", False),
    ("max(hard_sigmoid(x),erf(exp(x)))", "erf(exp(x))", False),
    ("min(hard_sigmoid(x),erf(cosh(x)))", "hard_sigmoid(x)", False),
    ("sinh(exp(exp(one(x))))", "cosh(exp(exp(one(x))))", False),
    ("erf(exp(exp(one(x))))", "one(x)", False),
    ("min(hard_sigmoid(x),erf(exp(x)))", "hard_sigmoid(x)", False),
    ("tanh(erfc(exp(one(x))))", "arctan(erfc(exp(one(x))))", False),
    ("erf(reciprocal(square(bessel_i1e(x))))", "one(x)", False),
    ("pow(x,tanh(cosh(x)))", "pow(relu(x),tanh(cosh(x)))", False),
    ("where(x > 3.2 and x < 3.3, 1, 0)", "0", False),
    ("where(x > 4.5, x, 0)", "where(x > 4.6, x, 0)", False),
    ("max(x, 4.5)", "4.5", False),
    ("x*(1 + 1e-9)", "x", False),
    ("x + 1e-9", "x", False),
    ("tanh(x) + 1e-9*sin(x)", "tanh(x)", False),
    ("where(x > 1.70001 and x < 1.70002, 1, 0)", "0", False),
]


class TestIndex:
    @pytest.mark.parametrize(("first", "second", "equal"), PAIRS)
    def test_constructed_pairs_are_decided(self, first, second, equal):
        index = FunctionIndex(AQUASURF)
        assert (index.add(parse(first, AQUASURF)) == index.add(parse(second, AQUASURF))) is equal

    def test_it_numbers_functions_in_order_and_finds_only_what_was_added(self):
        index = FunctionIndex(AQUASURF)
        assert index.find(parse("relu(x)", AQUASURF)) is None
        assert [index.add(parse(text, AQUASURF)) for text in ("relu(x)", "x", "max(x,zero(x))")] == [0, 1, 0]
        assert len(index) == 2
        assert index.find(parse("max(x, 0)", AQUASURF)) == 0

    def test_it_agrees_with_the_table_on_bench(self, bench):
        index = FunctionIndex(AQUASURF)
        numbers = [index.add(expression) for expression in AQUASURF.space("bench")]
        assert numbers == bench["class_id"].to_pylist()

    def test_random_rewrites_keep_the_function(self):
        generator = np.random.default_rng(3)
        index = FunctionIndex(AQUASURF)
        for _ in range(60):
            original = _random_tree(generator, 3)
            if index.domain(original) == "nowhere":
                continue
            assert index.add(original) == index.add(_rewritten(original, generator)), original


def _operator(name: str, *arguments: Expr) -> Expr:
    return Expr(AQUASURF.operators[name], arguments)


def _random_tree(generator: np.random.Generator, depth: int) -> Expr:
    if depth == 0:
        return X_LEAF
    if generator.random() < 0.5:
        names = [o.name for o in AQUASURF.of_kind("unary")]
        return _operator(str(generator.choice(names)), _random_tree(generator, depth - 1))
    name = str(generator.choice(["add", "mul", "max", "min", "sub", "div"]))
    return _operator(name, _random_tree(generator, depth - 1), _random_tree(generator, depth - 1))


def _rewritten(tree: Expr, generator: np.random.Generator) -> Expr:
    """Commute, reassociate, distribute, insert identities; the function stays."""
    if not tree.arguments:
        return tree
    parts = [_rewritten(argument, generator) for argument in tree.arguments]
    name = tree.operator.name
    if name in ("add", "mul", "max", "min") and generator.random() < 0.5:
        parts.reverse()
    inner = tree.arguments[0]
    if name in ("add", "mul", "max", "min") and inner.operator.name == name and generator.random() < 0.7:
        first, second = inner.arguments
        return _operator(name, first, _operator(name, second, parts[-1 if parts[0] is not inner else 1]))
    rebuilt = Expr(tree.operator, tuple(parts))
    kind = generator.integers(0, 6)
    if kind == 0:
        return _operator("add", _operator("zero", X_LEAF), rebuilt)
    if kind == 1:
        return _operator("mul", rebuilt, _operator("one", X_LEAF))
    if kind == 2:
        return _operator("negative", _operator("negative", rebuilt))
    if name == "sub":
        return _operator("add", parts[0], _operator("negative", parts[1]))
    return rebuilt


class TestAnyGrammar:
    def test_parameters_are_compared_over_their_ranges_and_renamed_freely(self):
        grammar = small_grammar(
            'scale = "beta*x"\nother = "gamma*x"\nback = "-beta*x"\ncube = "delta*x"\nidentity = "x"',
            '["unary(x)", "unary(unary(x))"]',
            "[parameters]\nbeta = { init = 1.0 }\ngamma = { init = 1.0 }\ndelta = { init = 2.0 }",
        )
        known = classes_of(enumerate_classes(grammar, "all"))
        assert known["scale(x)"] == known["other(x)"] == known["scale(identity(x))"]
        assert len({known["scale(x)"], known["back(x)"], known["cube(x)"], known["identity(x)"]}) == 4
        assert known["scale(other(x))"] == known["other(scale(x))"] != known["scale(scale(x))"]

    def test_unshared_parameters_are_each_their_own(self):
        text = 'scale = "beta*x"\nidentity = "x"'
        space = '["unary(unary(x))"]'
        shared = small_grammar(text, space, "[parameters]\nbeta = { init = 1.0 }")
        own = small_grammar(text, space, "[parameters]\nbeta = { init = 1.0, share = false }")
        for grammar in (shared, own):
            known = classes_of(enumerate_classes(grammar, "all"))
            assert known["scale(identity(x))"] == known["identity(scale(x))"] != known["scale(scale(x))"]
        index = FunctionIndex(own)
        assert index.add(parse("scale(scale(x))", own)) == index.add(parse("beta*(beta*x)", own))
        assert index.add(parse("scale(scale(x))", shared)) != index.add(parse("scale(scale(x))", own))

    def test_forbidden_nestings_are_left_out(self):
        grammar = load_grammar("first")
        table = enumerate_classes(grammar, "small")
        assert table["expression"].to_pylist() == [str(expression) for expression in grammar.space("small")]
        known, index = table["class_id"].to_pylist(), FunctionIndex(grammar)
        assert known == [index.add(expression) for expression in grammar.space("small")]

    def test_partial_functions_keep_their_domain(self):
        grammar = small_grammar(
            'sqrt = "sqrt(x)"\nsquare = "x**2"\nlog = "log(x)"\nexp = "exp(x)"\nabs = "abs(x)"\nid = "x"',
            '["unary(unary(x))"]',
        )
        known = classes_of(enumerate_classes(grammar, "all"))
        assert known["sqrt(square(x))"] == known["abs(id(x))"]
        assert known["square(sqrt(x))"] == known["exp(log(x))"] != known["id(id(x))"]
        assert known["log(exp(x))"] == known["id(id(x))"]

    def test_nary_folds_do_not_depend_on_order(self):
        grammar = parse_grammar(
            'name = "n"\n[unary]\nsin = "sin(x)"\nexp = "exp(x)"\nid = "x"\n[binary]\nadd = "a + b"\nmul = "a*b"\n'
            '[nary]\nsum_n = "add"\nprod_n = "mul"\n[spaces]\nall = ["nary(unary(x), unary(x), unary(x))"]\n'
        )
        known = classes_of(enumerate_classes(grammar, "all"))
        assert known["sum_n(sin(x),exp(x),x)".replace(",x)", ",id(x))")] == known["sum_n(id(x),sin(x),exp(x))"]
        assert len(set(known.values())) == 20

    def test_domain_of_a_single_expression(self):
        assert domain(parse("sqrt(x)"), None) == "partly"
        assert domain(parse("1/x"), None) == "everywhere"
        assert domain(parse("log(-1-x*x)"), None) == "nowhere"

    def test_unknown_words_are_input_errors(self):
        with pytest.raises(InputError, match="exact, sampled, float32"):
            enumerate_classes(AQUASURF, "bench", "nearly")
        with pytest.raises(InputError, match="no space"):
            enumerate_classes(AQUASURF, "wide")


class TestScreen:
    @pytest.mark.parametrize("text", ["relu(x)", "x*sigmoid(x)", "tanh(x)", "abs(x)", "where(x > 0, x, 0.01*x)"])
    def test_usable_functions_pass(self, text):
        assert screen([parse(text)]).tolist() == [True]

    @pytest.mark.parametrize(
        "text", ["x", "1", "x/x", "0*x", "1/x", "log(x)", "sqrt(abs(x))", "exp(exp(x))", "sqrt(x)"]
    )
    def test_affine_constant_infinite_or_steep_functions_do_not(self, text):
        assert screen([parse(text)]).tolist() == [False]

    def test_distinct_lists_usable_functions_once(self):
        grammar = load_grammar("first")
        found = distinct(grammar.space("small"))
        index = FunctionIndex(grammar)
        assert len({index.add(expression) for expression in found}) == len(found) > 100
        assert screen(found).all()


class TestTable:
    def test_the_file_carries_grammar_rule_and_versions(self, bench, tmp_path):
        write_table(bench, tmp_path / "bench.parquet")
        read = parquet.read_table(tmp_path / "bench.parquet")
        about = {key.decode(): value.decode() for key, value in read.schema.metadata.items()}
        assert about["symact.grammar_sha256"] == AQUASURF.sha256
        assert about["symact.equivalence"] == "exact"
        assert "numpy" in about["symact.versions"]
        assert read.column_names == ["index", "expression", "class_id", "representative", "domain", "evidence"]
        assert read["expression"].to_pylist() == bench["expression"].to_pylist()

    def test_grammars_and_spaces_may_be_named(self, tmp_path):
        path = tmp_path / "own.toml"
        path.write_text(load_grammar("first").text)
        small = load_grammar("first").space("small")
        tables = [enumerate_classes("first", "small"), enumerate_classes(path, small), enumerate_classes(path, "small")]
        assert all(table.equals(tables[0]) for table in tables)

    @pytest.mark.parametrize(
        ("grammar", "space", "message"),
        [
            ("aquasrf", "bench", "did you mean 'aquasurf'"),
            ("aquasurf", "wide", "no space 'wide'"),
            ("aquasurf", 3, "not int"),
            (3, "bench", "not int"),
            ("ramachandran", AQUASURF.space("bench"), "belongs to grammar 'aquasurf'"),
        ],
    )
    def test_what_is_no_grammar_or_space_is_an_input_error(self, grammar, space, message):
        with pytest.raises(InputError, match=message):
            enumerate_classes(grammar, space)

    def test_progress_ends_at_the_total(self):
        seen: list[tuple[int, int]] = []
        enumerate_classes(AQUASURF, "bench", progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (5103, 5103)
        assert all(done <= total for done, total in seen)

    def test_a_killed_process_leaves_no_table(self, tmp_path):
        target = tmp_path / "large.parquet"
        code = (
            "import sys\nfrom symact.program.loading import load_grammar\n"
            "from symact.equivalence import enumerate_classes, write_table\n"
            "print('ready', flush=True)\ngrammar = load_grammar('aquasurf')\n"
            f"write_table(enumerate_classes(grammar, 'large'), {str(target)!r})\n"
        )
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1.0)
        process.kill()
        process.wait()
        process.stdout.close()
        assert not target.exists()
