"""Where results live: Parquet tables, safetensors weights, and what makes them survive any kill."""

from mcdist.store.commit import PackResult
from mcdist.store.compaction import Compacted
from mcdist.store.schemas import TABLES
from mcdist.store.store import Store, TaskState, check_target, open_store

__all__ = ["TABLES", "Compacted", "PackResult", "Store", "TaskState", "check_target", "open_store"]
