"""Ray: a real cluster of two nodes on this machine, one of which is killed in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from symact.errors import InputError
from symact.expr.tree import candidate_text
from symact.program.loading import parse_grammar
from symact.store.running import read_running
from symact.study import Study
from tests.execute import stub_tasks as stubs

ray = pytest.importorskip("ray")

TASK = stubs.named("Slow")


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    ray.shutdown()
    made.shutdown()


def trace(trials):
    return [(t.number, candidate_text(t.candidate), t.status, t.scores) for t in trials]


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


@pytest.mark.slow
def test_candidates_of_a_node_that_is_lost_are_evaluated_elsewhere(cluster, tmp_path):
    second = cluster.add_node(num_cpus=1)
    space = parse_grammar(stubs.grammar_text()).space("wide")
    order, lost = [], []

    def watch(progress):
        if progress.trial is not None:
            order.append(progress.trial.outcomes[0].metrics["process"])
        if progress.evaluations == 16 and progress.phase == "search" and not lost:
            lost.append(second)
            cluster.remove_node(second, allow_graceful=False)
            # The rest of the study may take less time than its processes take to notice.
            wait_until(lambda: sum(map(psutil.pid_exists, set(order))) < 2)

    study = Study(space, TASK, "random", tmp_path / "run", executor="ray", ray_address=cluster.address, confirm=1)
    found = trace(study.run(40, watch))
    assert lost
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
    with pytest.raises(InputError, match=r"has 1 CPUs and 0\.5 GPUs.*its nodes have 1 CPUs and 0 GPUs"):
        study.run(10)
    study.close()


@pytest.fixture(scope="module")
def node(request):
    """A node with four CPUs and as many GPUs; Ray keeps account of GPUs whether there are any or not."""
    ray.init(num_cpus=4, num_gpus=request.param, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


one_gpu = pytest.mark.parametrize("node", [1], indirect=True)
two_gpus = pytest.mark.parametrize("node", [2], indirect=True)


def most_at_a_time(trials):
    spans = [(o.metrics["began"], o.metrics["ended"]) for t in trials for o in t.outcomes]
    return max(sum(began <= other < ended for began, ended in spans) for other, _ in spans)


@pytest.mark.slow
@one_gpu
def test_half_a_gpu_lets_two_candidates_run_at_once_and_a_whole_one_does_not(node):
    space = parse_grammar(stubs.grammar_text()).space("wide")
    found = {}
    for gpus in (0.5, 1.0):
        options = {"executor": "ray", "cpus": 1.0, "gpus": gpus, "confirm": 0}
        with Study(space, stubs.named("Timed"), "random", **options) as study:
            trials = study.run(12)
            while gpus == 0.5 and most_at_a_time(trials) < 2 and len(trials) < 120:  # the second worker starts late
                trials = study.run(len(trials) + 12)
        found[gpus] = most_at_a_time(trials)
        assert {o.metrics["device"] for t in trials for o in t.outcomes} == {"0"}, "not the device that Ray chose"
    assert found == {0.5: 2, 1.0: 1}


@pytest.mark.slow
@one_gpu
def test_more_gpus_than_the_cluster_has_is_one_clear_line_and_a_wait_for_others_is_told(node, caplog, monkeypatch):
    from symact.execute import ray as room

    space = parse_grammar(stubs.grammar_text()).space("wide")
    with (
        Study(space, TASK, "random", executor="ray", gpus=2.0) as study,
        pytest.raises(
            InputError, match="has 1 CPUs and 2 GPUs, which a trial is to have; its nodes have 4 CPUs and 1 GPU"
        ),
    ):
        study.run(10)
    monkeypatch.setattr(room, "WAITING_SECONDS", 0.5)
    other = ray.remote(num_gpus=1)(type("Other", (), {"there": lambda self: True})).remote()
    ray.get(other.there.remote())
    threading.Timer(4.0, ray.kill, [other]).start()
    with Study(space, TASK, "random", executor="ray", gpus=1.0, confirm=0) as study:
        assert len(study.run(9)) == 9
    assert "still waiting for the Ray cluster" in caplog.text


# What is tried before the folder is made ends at once; the rest goes on until its reports have been seen.
LONG = """
import time
from pathlib import Path
from symact import Outcome

class Long:
    def evaluate(self, make_activation, seed, budget=1.0, report=None):
        tried, seen = (Path(__file__).with_name(name) for name in ("tried", "seen"))
        step = 0
        while tried.exists() and not seen.exists() and step < 900:
            time.sleep(0.1)
            step += 1
            report(step, step / 1000, of=1000)
        tried.touch()
        return Outcome.finished(0.6)
"""


@pytest.mark.slow
def test_what_a_training_on_a_node_reports_is_told_while_it_goes_on(cluster, tmp_path):
    (tmp_path / "task.py").write_text(LONG)
    space, run = parse_grammar(stubs.grammar_text()).space("wide"), tmp_path / "run"
    options = {"executor": "ray", "ray_address": cluster.address, "confirm": 0}

    def watch(now):
        if any(len(training.curve) > 5 and training.end == 1000 for training in read_running(run) or []):
            (tmp_path / "seen").touch()

    with Study(space, f"{tmp_path / 'task.py'}:Long", "random", run, **options) as study:
        trials = study.run(2, watch)
    assert [trial.score for trial in trials] == [0.6, 0.6]
    assert max(len(trial.outcomes[0].metrics.get("reported", ())) for trial in trials) < 900, "nobody has seen them"


def test_a_cluster_that_is_not_there_is_one_clear_line():
    from symact.execute.job import WorkerSettings
    from symact.execute.ray import RayWorkers

    with pytest.raises(InputError, match="cannot be reached"):
        RayWorkers(WorkerSettings(""), 1, "127.0.0.1:1", 1.0, 0.0)


@pytest.mark.slow
@two_gpus
def test_each_trial_has_a_gpu_of_its_own_and_none_where_none_is_asked_for(node):
    space = parse_grammar(stubs.grammar_text()).space("wide")
    for workers, gpus, devices, at_a_time in ((2, None, {"0", "1"}, 2), (0, None, {"0", "1"}, 2), (2, 0.0, {""}, 2)):
        options = {"executor": "ray", "workers": workers, "gpus": gpus, "confirm": 0}
        with Study(space, stubs.named("Timed"), "random", **options) as study:
            outcomes = [o for trial in study.run(12) for o in trial.outcomes]
        assert {o.metrics["device"] for o in outcomes} == devices
        spans = [(o.metrics["began"], o.metrics["ended"], o.metrics["device"]) for o in outcomes]
        both = [(a, b) for a in spans for b in spans if a < b < (a[1],)]
        assert most_at_a_time_of(spans) == at_a_time
        assert all(a[2] != b[2] for a, b in both) or devices == {""}, "two trainings at a time on one device"


def most_at_a_time_of(spans):
    return max(sum(began <= other < ended for began, ended, _ in spans) for other, _, _ in spans)


STRANGER = """
import sys
import ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False)
except BaseException as error:
    print("refused", type(error).__name__)
else:
    print("let in")
"""

# In a process of its own, as on the command line: which Ray modes are in force is decided once in each.
OWN = """
import json, os, subprocess, sys
from pathlib import Path
import psutil
from symact.program.loading import parse_grammar
from symact.store.running import read_running
from symact.study import Study
from tests.execute import stub_tasks as stubs

seen = {}

def watch(progress):
    if progress.evaluations < 10 or seen:
        return
    import ray
    node = ray._private.worker._global_node
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = {c.laddr.ip for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    folder = Path(os.path.realpath(node.get_session_dir_path())).parents[1]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    command = [sys.executable, "-c", sys.argv[1], node.gcs_address]
    with subprocess.Popen(command, env=clean, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as other:
        try:
            answer = other.communicate(timeout=15)[0]
        except subprocess.TimeoutExpired:  # it goes on trying
            other.kill()
            answer = ""
    seen.update(listening=sorted(listening), mode=folder.stat().st_mode & 0o777, answer=answer, folder=str(folder))

space = parse_grammar(stubs.grammar_text()).space("wide")
with Study(space, stubs.named("Slow"), "random", executor="ray", workers=2, confirm=0) as study:
    seen["scores"] = [t.score for t in study.run(12, watch)]
seen["left"] = [name for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE") if name in os.environ]
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_without_an_address_a_cluster_of_ones_own_is_started_that_only_this_process_can_use():
    """Whatever the environment names; on the loopback interface alone; with a token; in a folder that is closed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    environment["RAY_ADDRESS"] = "192.0.2.77:6379"
    command = [sys.executable, "-c", OWN, STRANGER]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr[-2000:]
    seen = json.loads(found.stdout.splitlines()[-1])
    space = parse_grammar(stubs.grammar_text()).space("wide")
    assert seen["scores"] == [t.score for t in Study(space, stubs.Quick(), "random", confirm=0).run(12)]
    assert seen["listening"], "nobody listened, so this shows nothing"
    assert {address.removeprefix("::ffff:") for address in seen["listening"]} <= {"127.0.0.1", "::1"}
    assert seen["mode"] == 0o700
    assert "let in" not in seen["answer"]
    assert seen["left"] == []
    assert not Path(seen["folder"]).exists()


@pytest.mark.slow
@two_gpus
@pytest.mark.filterwarnings("ignore")
def test_a_task_that_changes_all_it_can_makes_the_same_rows_on_ray(node, monkeypatch):
    from tests.execute import meddling_tasks as meddling

    monkeypatch.setenv("MEDDLING_FOLDER", os.getcwd())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    space, task = parse_grammar(stubs.grammar_text()).space("wide"), f"{meddling.__file__}:MeddlingStudy"
    with Study(space, task, "random", executor="ray", workers=2, confirm=0, seed=3) as study:
        found = trace(study.run(24))
    with Study(space, task, "random", workers=1, confirm=0, seed=3) as study:
        assert trace(study.run(24)) == found


def test_an_address_that_asks_for_no_token_is_told(caplog, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    from symact.execute.ray_cluster import RayCluster

    with pytest.raises(InputError, match="cannot be reached"):
        RayCluster("127.0.0.1:1")
    assert "asks for no token" in caplog.text
