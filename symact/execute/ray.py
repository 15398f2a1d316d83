"""Evaluation on a Ray cluster: workers on any node, nodes that come and go.

Each Ray actor keeps one worker process under a supervisor, exactly as on this machine, so limits and
crashes are handled where they happen. Text goes in and text comes out. A job on a node that is lost
is done again elsewhere; what counts is what the study has stored. `ray_cluster.py` says which cluster.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from symact.errors import InputError, SymactError
from symact.execute.heard import Hearer, Nobody
from symact.execute.job import Job, Result, WorkerSettings
from symact.execute.ray_cluster import RayCluster, first_line
from symact.execute.reporting import Report
from symact.records import Outcome, Status
from symact.store import outcomes

LOST_TRIES = 10  # a job is given up as crashed after so many nodes or actors were lost under it
WAITING_SECONDS = 30.0  # without a place for any trial, after which this is told
REPORT_SECONDS = 1.0  # after which a node tells what its training has reported
LOG = logging.getLogger("symact")


class _Host:
    """Runs on a node: one worker process and the pipe to it."""

    def __init__(self, settings: str, gpus: float, sharing: int):
        import ray

        from symact.execute.local import WorkerProcesses
        from symact.execute.processes import memory_limit

        known = WorkerSettings(**json.loads(settings))
        known = replace(known, memory=known.memory or memory_limit(sharing))
        # The devices that Ray has chosen; it leaves all to be seen by whom it has given none.
        seen = ",".join(map(str, ray.get_gpu_ids())) if gpus else ""
        self._pool = WorkerProcesses(known, 1, [seen])
        self._pool.hearer = self
        self._reports: list[Report] = []

    def ready(self) -> bool:
        """Answers once the actor has found a place."""
        return True

    def do(self, text: str) -> str:
        """Begin with a job, given as JSON text; the answer is that of `go_on`."""
        self._reports = []
        self._pool.submit(Job(**outcomes.load(text)))
        return self.go_on()

    def go_on(self) -> str:
        """The result, or after a while what the training has reported meanwhile, as JSON text."""
        try:
            result = self._pool.next(REPORT_SECONDS)
        except SymactError as error:
            return outcomes.dump({"failed": str(error), "input": isinstance(error, InputError)})
        if result is None:
            reports, self._reports = self._reports, []
            return outcomes.dump({"reports": reports})
        return outcomes.dump({"result": outcomes.to_document(result.outcome), "seconds": result.seconds})

    def begun(self, job: Job) -> None:
        """The worker has begun with the job, which whoever gave it knows."""

    def heard(self, job: Job, reports: Sequence[Report]) -> None:
        """The training has reported."""
        self._reports += reports


class RayWorkers:
    """Evaluates jobs on a cluster.

    Args:
        settings: what workers must know.
        workers: trials at a time; 0 for as many as the cluster has room for.
        address: of a running cluster, such as `auto` or `host:6379`; None starts one on this machine.
        cpus: CPUs per trial.
        gpus: GPUs per trial; 0.25 has four trials share a device, 0 hides them. None gives each trial one where the
            cluster has any, or the fraction that `workers` leave for each.

    Raises:
        InputError: Ray is not installed, the cluster cannot be reached, or has no room for a trial.
    """

    def __init__(
        self, settings: WorkerSettings, workers: int, address: str | None, cpus: float, gpus: float | None = None
    ):
        self.hearer: Hearer = Nobody()
        self._telling: Callable[[], object] | None = None
        self._cluster = RayCluster(address)
        self._ray = self._cluster.ray
        rooms, gpus = self._rooms(cpus, workers, gpus)
        self._needs = f"{cpus:g} CPUs and {gpus:g} GPUs"
        if sum(rooms) < 1:
            have = self._largest()
            self.close()
            raise InputError(f"no node of the Ray cluster has {self._needs}, which a trial is to have; {have}")
        self.capacity = min(workers, sum(rooms)) if workers else sum(rooms)
        self._arguments = (json.dumps(asdict(settings)), gpus, min(self.capacity, max(rooms)))
        # An actor that dies is started again by us, with its job: Ray would know nothing of the job.
        self._actor = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Host)
        self._waiting: deque[Job] = deque()
        self._results: deque[Result] = deque()
        self._busy: dict[Any, tuple[Any, Job]] = {}
        self._idle: list[Any] = []
        # An actor gets jobs only when it has found a place: one that waits for a node that never
        # comes back would keep its job for ever.
        self._starting: dict[Any, Any] = {}
        self._failed_starts, self._waiting_since = 0, time.monotonic()
        self._lost: dict[tuple[str, int, int], int] = {}
        for _ in range(self.capacity):
            self._start()

    def _rooms(self, cpus: float, workers: int, gpus: float | None) -> tuple[list[int], float]:
        """Trials that fit on each living node at a time, and the GPUs of each."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if gpus is None:
            total = int(sum(have.get("GPU", 0.0) for have in nodes))
            gpus = 0.0 if not total else 1.0 if workers <= total else 1 / math.ceil(workers / total)
        rooms = []
        for have in nodes:
            fits = [have.get("CPU", 0.0) / cpus] if cpus else []
            fits += [have.get("GPU", 0.0) / gpus] if gpus else []
            rooms.append(math.floor(min(fits) + 1e-9) if fits else os.cpu_count() or 1)
        return rooms, gpus

    def _largest(self) -> str:
        """What the nodes have, for a message."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        have = sorted({(have.get("CPU", 0.0), have.get("GPU", 0.0)) for have in nodes}, reverse=True)[:5]
        return "its nodes have " + ", ".join(f"{cpus:g} CPUs and {gpus:g} GPUs" for cpus, gpus in have)

    def submit(self, job: Job) -> None:
        """Take a job in."""
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting.append(job)
        self._distribute()

    def next(self, seconds: float | None = None) -> Result | None:
        """The next finished job, waited for at most `seconds`; None without one.

        Raises:
            InputError: the task cannot be loaded on a node.
            SymactError: workers cannot be started there.
        """
        while not self._results:
            if not self._busy and not self._waiting:
                return None
            patience = seconds if seconds is not None or self._busy else WAITING_SECONDS
            done, _ = self._ray.wait([*self._busy, *self._starting], num_returns=1, timeout=patience)
            self._warn(bool(done))
            for reference in done:
                self._collect(reference)
            telling, self._telling = self._telling, None
            if telling is not None:
                telling()
            if seconds is not None and not self._results:
                return None
        return self._results.popleft()

    def _warn(self, anything: bool) -> None:
        """Tell now and then that no trial has a place."""
        now = time.monotonic()
        if anything or self._busy:
            self._waiting_since = now
        elif now - self._waiting_since >= WAITING_SECONDS:
            self._waiting_since = now
            LOG.warning("still waiting for the Ray cluster: others hold what a trial needs (%s)", self._needs)

    def close(self) -> None:
        """End the actors, and the cluster if it was started here."""
        actors = [actor for actor, _ in getattr(self, "_busy", {}).values()]
        for actor in [*actors, *getattr(self, "_idle", []), *getattr(self, "_starting", {}).values()]:
            with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
                self._ray.kill(actor)
        self._cluster.close()

    def _start(self) -> None:
        actor: Any = self._actor.remote(*self._arguments)
        self._starting[actor.ready.remote()] = actor

    def _distribute(self) -> None:
        while self._waiting and self._idle:
            actor, job = self._idle.pop(), self._waiting.popleft()
            self._busy[actor.do.remote(outcomes.dump(asdict(job)))] = (actor, job)
            self.hearer.begun(job)

    def _collect(self, reference: Any) -> None:
        if reference in self._starting:
            self._arrive(reference)
            return
        actor, job = self._busy.pop(reference)
        try:
            message = outcomes.load(self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            self._elsewhere(actor, job, error)
            return
        if "failed" in message:
            raise (InputError if message["input"] else SymactError)(message["failed"])
        if "reports" in message:
            self._busy[actor.go_on.remote()] = (actor, job)
            reports = [(step, score, of) for step, score, of in message["reports"]]
            self._telling = (self.hearer.heard(job, reports) if reports else None) or self._telling
            return
        self._idle.append(actor)
        self._lost.pop(job.key, None)
        outcome = outcomes.from_document(message["result"])
        self._results.append(Result(job, outcome, float(message["seconds"])))
        self._distribute()

    def _arrive(self, reference: Any) -> None:
        """An actor has found a place, or died before."""
        actor = self._starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts > LOST_TRIES:
                raise SymactError(f"Ray workers cannot be started: {first_line(error)}") from None
            self._start()
            return
        self._failed_starts = 0
        self._idle.append(actor)
        self._distribute()

    def _elsewhere(self, actor: Any, job: Job, error: Exception) -> None:
        """The node or the actor is gone: another actor takes its place, wherever there is room."""
        with contextlib.suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(actor)
        self._start()
        lost = self._lost[job.key] = self._lost.get(job.key, 0) + 1
        if lost < LOST_TRIES:
            self._waiting.appendleft(job)
        else:
            reason = f"its Ray worker was lost {lost} times: {first_line(error)}"
            self._results.append(Result(job, Outcome.failed(Status.crashed, reason), 0.0))
        self._distribute()
