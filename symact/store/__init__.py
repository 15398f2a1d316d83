"""Trials on disk, one SQLite file per study.

Only the study that owns a run folder writes into it; everybody else reads. What comes in are
settings, candidates that were asked and the outcomes of their evaluations; what goes out are
`Trial` records whose candidates have been parsed again by the stored grammar. Everything read from
disk is checked, and nothing read from disk is ever executed.
"""

from symact.store.database import Store, check_new, holds_study
from symact.store.rows import Asked, Evaluation
from symact.store.settings import Settings, TaskSettings

__all__ = ["Asked", "Evaluation", "Settings", "Store", "TaskSettings", "check_new", "holds_study"]
