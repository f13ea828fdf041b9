"""The file of results: it gives back what was put in, and is written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcdist.bench.machine import describe_machine
from mcdist.bench.results import SCHEMA, Results, check_can_write, read_results, write_results
from mcdist.errors import RequestError

from .examples import ROWS


def test_a_file_gives_back_the_results(tmp_path: Path) -> None:
    results = Results(describe_machine(), list(ROWS))
    write_results(tmp_path / "F.json", results)
    assert read_results(tmp_path / "F.json") == results
    assert [path.name for path in tmp_path.iterdir()] == ["F.json"]


def test_a_file_is_plain_json_with_a_version(tmp_path: Path) -> None:
    write_results(tmp_path / "F.json", Results({"cpu": "abacus"}, list(ROWS)))
    data = json.loads((tmp_path / "F.json").read_text())
    assert data["schema"] == SCHEMA == 1
    assert data["machine"] == {"cpu": "abacus"}
    first = data["rows"][0]
    assert (first["value"], first["low"], first["high"], first["unit"], first["rounds"]) == (3.0, 3.0, 4.0, "x", 3)
    assert (first["aim"], first["met"]) == ({"bound": 2.5, "at_least": True}, True)
    assert first["numbers"][0] == {"name": "plain", "value": 6.0, "unit": "s"}
    assert (data["rows"][3]["status"], data["rows"][3]["reason"]) == ("skipped", "no GPU")


def test_fields_of_a_later_mcdist_are_passed_over_a_later_version_is_not(tmp_path: Path) -> None:
    file = tmp_path / "F.json"
    write_results(file, Results({}, list(ROWS)))
    data = json.loads(file.read_text())
    data["rows"][0]["colour"] = "blue"
    file.write_text(json.dumps(data))
    assert read_results(file).rows[0] == ROWS[0]
    file.write_text(json.dumps(data | {"schema": SCHEMA + 1}))
    with pytest.raises(RequestError, match=f"version {SCHEMA + 1}; this mcdist reads up to {SCHEMA}"):
        read_results(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1, "machine": {}, "rows": [{}]}'])
def test_another_file_is_no_results(tmp_path: Path, text: str) -> None:
    (tmp_path / "F.json").write_text(text)
    with pytest.raises(RequestError, match=r"F\.json holds no results"):
        read_results(tmp_path / "F.json")


def test_where_nothing_can_be_written_is_said_and_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is a folder"):
        check_can_write(tmp_path)
    with pytest.raises(RequestError, match="there is no folder"):
        check_can_write(tmp_path / "no" / "F.json")
    check_can_write(tmp_path / "F.json")
    assert list(tmp_path.iterdir()) == []


def test_the_machine_is_described() -> None:
    machine = describe_machine()
    assert set(machine) == {
        *("cpu", "cores", "memory_gib", "gpus", "os", "python", "torch", "ray", "mcdist", "date"),
    }
    assert machine["cpu"]
    assert machine["cores"] >= 1
    assert machine["memory_gib"] > 0.1
    assert machine["torch"]
