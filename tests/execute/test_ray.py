"""Ray: a real cluster of two nodes on this machine, one of which is killed in the middle."""

from __future__ import annotations

import threading

import pytest

from symact.errors import InputError
from symact.expr.grammar import parse_grammar
from symact.expr.tree import candidate_text
from symact.study import Study

ray = pytest.importorskip("ray")
import stub_tasks as stubs  # noqa: E402 after the skip

TASK = f"{stubs.__file__}:Slow"


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    ray.shutdown()
    made.shutdown()


def trace(trials):
    return [(t.number, candidate_text(t.candidate), t.status, t.scores) for t in trials]


@pytest.mark.slow
def test_candidates_of_a_node_that_is_lost_are_evaluated_elsewhere(cluster, tmp_path):
    second = cluster.add_node(num_cpus=1)
    space = parse_grammar(stubs.grammar_text()).space("wide")
    order, removing = [], threading.Thread(target=cluster.remove_node, args=(second,), kwargs={"allow_graceful": False})

    def watch(progress):
        if progress.trial is not None:
            order.append(progress.trial.outcomes[0].metrics["process"])
        if progress.evaluations == 16 and progress.phase == "search" and not removing.ident:
            removing.start()

    study = Study(space, TASK, "random", tmp_path / "run", executor="ray", ray_address=cluster.address, confirm=1)
    found = trace(study.run(40, watch))
    removing.join()
    assert found == trace(Study(space, stubs.Quick(), "random", confirm=0).run(40))
    assert len(order) == 40
    assert len(set(order)) >= 2, "one node did all the work"
    assert len(set(order[-5:])) == 1, "the node was not lost in the middle"
    assert len(study.confirmations) >= 5
    study.close()


@pytest.mark.slow
def test_a_trial_that_no_node_has_room_for_is_refused(cluster, tmp_path):
    space = parse_grammar(stubs.grammar_text()).space("wide")
    study = Study(space, TASK, "random", tmp_path / "run", executor="ray", ray_address=cluster.address, gpus=0.5)
    with pytest.raises(InputError, match=r"has 1 CPUs and 0\.5 GPUs"):
        study.run(10)
    study.close()


def test_a_cluster_that_is_not_there_is_one_clear_line():
    from symact.execute.job import WorkerSettings
    from symact.execute.ray import RayWorkers

    with pytest.raises(InputError, match="cannot be reached"):
        RayWorkers(WorkerSettings(""), 1, "127.0.0.1:1", 1.0, 0.0)
