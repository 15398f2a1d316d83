"""Grouping: what may be equal is in one group, by one rule for tables and for the index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symact.equivalence.engine.grouping import ALL, CLOSE, COMMON_BITS, FingerprintIndex, agreeing, group
from symact.equivalence.numeric.fingerprints import Fingerprints
from symact.equivalence.numeric.samples import BLOCKS


def made(projections, reliable) -> Fingerprints:
    return Fingerprints(np.array(projections, float), np.array(reliable, np.uint8))


def drawn(seed: int, count: int, functions: int) -> tuple[Fingerprints, np.ndarray]:
    """Terms of a few functions, with rounding, some of them unreliable in some blocks, where their values are wrong."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(-50, 50, (functions, BLOCKS))
    own = generator.integers(functions, size=count)
    reliable = np.where(generator.random(count) < 0.6, ALL, generator.integers(1, ALL, size=count) | COMMON_BITS)
    wrong = (reliable[:, None] >> np.arange(BLOCKS)) & 1 == 0
    projections = truth[own] + generator.uniform(-1e-13, 1e-13, (count, BLOCKS))
    projections[wrong] = generator.uniform(-50, 50, int(wrong.sum()))
    return made(projections, reliable), own


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 6))
def test_terms_of_one_function_are_in_one_group_and_no_others(seed, count, functions):
    fingerprints, own = drawn(seed, count, functions)
    labels, doubtful, tight = group(fingerprints)
    assert (labels[:, None] == labels[None]).tolist() == (own[:, None] == own[None]).tolist()
    assert doubtful.tolist() == (fingerprints.reliable != ALL).tolist()
    reliable = np.flatnonzero(~doubtful)
    assert (tight[reliable][:, None] == tight[reliable]).tolist() == (own[reliable][:, None] == own[reliable]).tolist()


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 6))
def test_the_index_finds_what_a_table_groups(seed, count, functions):
    fingerprints, own = drawn(seed, count, functions)
    index = FingerprintIndex()
    numbers: dict[int, int] = {}
    for term in range(count):
        one = fingerprints[term : term + 1]
        near = index.near(one)
        assert near == ([numbers[own[term]]] if own[term] in numbers else [])
        if not near:
            numbers[own[term]] = index.add(one)
    assert len(index) == len(set(own.tolist()))


def test_many_functions_are_kept():
    index = FingerprintIndex()
    for number in range(300):
        assert index.add(made([[number * 10.0] * BLOCKS], [ALL])) == number
    assert index.near(made([[1730.0] * BLOCKS], [ALL])) == [173]
    assert index.near(made([[1735.0] * BLOCKS], [ALL])) == []


@pytest.mark.parametrize("reliable", [1, 3, ALL & ~COMMON_BITS])
def test_what_is_lost_in_the_common_blocks_is_compared_with_everything(reliable):
    index = FingerprintIndex()
    projections = np.arange(BLOCKS) * 7.0
    index.add(made([projections], [ALL]))
    index.add(made([projections + 100], [ALL]))
    lost = made([np.where((reliable >> np.arange(BLOCKS)) & 1, projections, -1e4)], [reliable])
    assert index.near(lost) == [0]
    assert index.add(lost) == 2
    assert index.near(made([projections], [ALL])) == [0, 2]
    labels = group(Fingerprints.joined([made([projections, projections + 100], [ALL, ALL]), lost]))[0]
    assert labels[0] == labels[2] != labels[1]


def test_nothing_agrees_where_no_block_is_reliable_in_both():
    fingerprints = made([[1.0] * BLOCKS, [1.0] * BLOCKS], [0b1111, ALL])
    assert agreeing(fingerprints, fingerprints.projections[0], 0b11110000).tolist() == [False, True]
    apart = fingerprints.projections[1] + 3 * CLOSE
    assert agreeing(fingerprints, apart, ALL).tolist() == [False, False]
