"""A callback that writes a study as a run of MLflow: parameters, metrics per step, the leaderboard as an artifact."""

from __future__ import annotations

from typing import Any

from symact.expr.tree import candidate_text
from symact.integrations.logged import imported, leaderboard_csv, parameters, scalars
from symact.study.progress import Progress


class MLflow:
    """For `Study.run(callbacks=[MLflow("activations")])`; it touches no active run of yours.

    Args:
        experiment: its name; made if there is none.
        tracking_uri: where to; None for MLflow's own default (`MLFLOW_TRACKING_URI`).
        run_name: of the run; None for a name by MLflow.

    Raises:
        InputError: MLflow is not installed.
    """

    def __init__(self, experiment: str = "symact", tracking_uri: str | None = None, run_name: str | None = None):
        self._client = imported("mlflow", "mlflow").MlflowClient(tracking_uri)
        known = self._client.get_experiment_by_name(experiment)
        self._experiment = self._client.create_experiment(experiment) if known is None else known.experiment_id
        self._name = run_name
        self._run = ""
        self._study: Any = None

    def __call__(self, study: Any, progress: Progress) -> None:
        """Log one report."""
        if not self._run:
            self._run, self._study = self._client.create_run(self._experiment, run_name=self._name).info.run_id, study
            for name, value in parameters(study).items():
                self._client.log_param(self._run, name, value)
        for name, value in scalars(progress).items() if progress.trial is not None else ():
            self._client.log_metric(self._run, name, value, step=progress.evaluations)
        if progress.best is not None:
            self._client.set_tag(self._run, "best function", candidate_text(progress.best.candidate))

    def close(self) -> None:
        """End the run, with the leaderboard as `leaderboard.csv`."""
        if self._run:
            self._client.log_text(self._run, leaderboard_csv(self._study), "leaderboard.csv")
            self._client.set_terminated(self._run)
            self._run = ""
