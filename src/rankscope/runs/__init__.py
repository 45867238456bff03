"""Runs: folders, locks, resuming; `evaluate`, `align`, `respond`, `compare`."""

from rankscope.runs.addresses import Place, child
from rankscope.runs.alignment import align
from rankscope.runs.comparison import Comparison, compare
from rankscope.runs.difference import Difference
from rankscope.runs.engine import opened_engine
from rankscope.runs.evaluation import evaluate, evaluate_each
from rankscope.runs.job import Job
from rankscope.runs.kept_checkpoints import KeptCheckpoints, MeasuredCheckpoint
from rankscope.runs.likeness import Differing, Effect, differing, effect_of, folder_names
from rankscope.runs.merge import merge
from rankscope.runs.preparation import load_text_sets, prepare
from rankscope.runs.progress import Bar, Lines, Progress, Silent, bar_on_stderr
from rankscope.runs.responses import respond
from rankscope.runs.run import Run
from rankscope.runs.scores import LESS_IS_BETTER, Score, row_facts, scores_of
from rankscope.runs.session import first_session
from rankscope.runs.shards import Shard
from rankscope.runs.shared_twins import SharedTwinCache
from rankscope.runs.storage import Storage, file_at, local_path, storage_of
from rankscope.runs.tracking import log_run
from rankscope.runs.twin_cache import TwinCache, default_twin_cache, key_of
from rankscope.runs.watching import Watch, open_watch

__all__ = [
    "LESS_IS_BETTER",
    "Bar",
    "Comparison",
    "Difference",
    "Differing",
    "Effect",
    "Job",
    "KeptCheckpoints",
    "Lines",
    "MeasuredCheckpoint",
    "Place",
    "Progress",
    "Run",
    "Score",
    "Shard",
    "SharedTwinCache",
    "Silent",
    "Storage",
    "TwinCache",
    "Watch",
    "align",
    "bar_on_stderr",
    "child",
    "compare",
    "default_twin_cache",
    "differing",
    "effect_of",
    "evaluate",
    "evaluate_each",
    "file_at",
    "first_session",
    "folder_names",
    "key_of",
    "load_text_sets",
    "local_path",
    "log_run",
    "merge",
    "open_watch",
    "opened_engine",
    "prepare",
    "respond",
    "row_facts",
    "scores_of",
    "storage_of",
]
