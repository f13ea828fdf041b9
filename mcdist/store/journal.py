"""The journal of a compaction: which files stand for which, from the moment it is written until it is gone.

Merged files lie beside their sources under hidden names. Writing the journal is the commit of the whole compaction:
from then on a merged file, hidden or not, stands for its sources, whichever of them are still there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from mcdist.errors import StoreError
from mcdist.store.files import Files
from mcdist.store.layout import JOURNAL, hidden

__all__ = ["Merge", "finish", "read_journal", "start"]


@dataclass(frozen=True)
class Merge:
    """One merged file (its final name) and the files whose rows it holds; never among them."""

    target: str
    sources: tuple[str, ...]


def read_journal(files: Files) -> tuple[Merge, ...]:
    """The merges under way, none where no compaction is."""
    try:
        data = files.read(JOURNAL)
    except FileNotFoundError:
        return ()
    try:
        return tuple(Merge(merge["target"], tuple(merge["sources"])) for merge in json.loads(data)["merges"])
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{files.uri}/{JOURNAL} is damaged: {error}") from error


def start(files: Files, merges: tuple[Merge, ...]) -> None:
    """Commit the merges; StoreError if another compaction did so first."""
    data = json.dumps({"merges": [asdict(merge) for merge in merges]}, indent=1).encode()
    if not files.create(JOURNAL, data):
        raise StoreError(f"another compaction of {files.uri} is under way")


def finish(files: Files) -> None:
    """Carry out what the journal says, if there is one: also after a kill, and beside another that does the same."""
    if not (merges := read_journal(files)):
        return
    for merge in merges:
        # Once the hidden file is gone the sources are, too: whatever bears such a name by now is something
        # new.
        if files.exists(hidden(merge.target)):
            files.together(files.delete, merge.sources)
            try:
                files.move(hidden(merge.target), merge.target)
            except FileNotFoundError:  # the other was quicker
                continue
    if read_journal(files) == merges:
        files.delete(JOURNAL)
