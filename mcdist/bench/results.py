"""The results of a benchmark as a JSON file."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mcdist.bench.row import Aim, Number, Row
from mcdist.errors import RequestError

__all__ = ["SCHEMA", "Results", "check_can_write", "read_results", "write_results"]

SCHEMA = 1
"""Version of the file's form: fields may be added within one version, never dropped or given another meaning."""


@dataclass(frozen=True)
class Results:
    """All rows of one run, and the machine it ran on."""

    machine: Mapping[str, Any]
    rows: Sequence[Row]

    @property
    def exit_code(self) -> int:
        """0, or 1 where a suite failed; an aim that was missed is a result like any other."""
        return int(any(row.status == "failed" for row in self.rows))


def check_can_write(path: Path) -> None:
    """Raise RequestError where a file cannot be written there, before hours are spent on what it should hold."""
    if path.is_dir():
        raise RequestError(f"--out: {path} is a folder")
    if not path.parent.is_dir():
        raise RequestError(f"--out: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise RequestError(f"--out: no permission to write in {path.parent}")


def write_results(path: Path, results: Results) -> None:
    """Write the file at once: never half of it, and an earlier one stays until then."""
    rows = [asdict(row) | {"met": row.met} for row in results.rows]
    data = {"schema": SCHEMA, "machine": dict(results.machine), "rows": rows}
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        temporary.write_text(json.dumps(data, indent=1) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_results(path: Path) -> Results:
    """The results in a file; RequestError where it is none of a benchmark, or of a later version."""
    try:
        data = json.loads(path.read_text())
        if data["schema"] > SCHEMA:
            raise RequestError(f"{path} has version {data['schema']}; this mcdist reads up to {SCHEMA}: upgrade mcdist")
        return Results(data["machine"], [_row(row) for row in data["rows"]])
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RequestError(f"{path} holds no results of `mcdist bench`: {error!r}") from error


def _row(data: Mapping[str, Any]) -> Row:
    known = {name: value for name, value in data.items() if name in Row.__dataclass_fields__}
    aim = None if known["aim"] is None else Aim(**known["aim"])
    return Row(**known | {"aim": aim, "numbers": tuple(Number(**number) for number in known["numbers"])})
