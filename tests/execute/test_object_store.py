"""A whole sweep into a bucket of a real S3 API: the tables of the same sweep in a folder; every command reads it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from support.command_line import Command
from support.s3 import S3, served_s3
from support.sweeps import assert_same_tables, small_sweep, tables

import mcdist as package


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with served_s3() as server:
        yield server


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("local") / "store"
    assert package.run(small_sweep(), store=str(folder), executor="serial", out=io.StringIO()).exit_code == 0
    return tables(folder)


@pytest.fixture(scope="module")
def bucket(s3: S3) -> str:
    uri = s3.uri()
    assert package.run(small_sweep(), store=uri, executor="serial", out=io.StringIO()).exit_code == 0
    return uri


def test_the_tables_are_those_of_the_same_sweep_in_a_folder(bucket: str, expected: dict[str, pd.DataFrame]) -> None:
    assert_same_tables(tables(bucket), expected)
    assert package.run(small_sweep(), store=bucket, executor="serial", out=io.StringIO()).counts == {"done": 28}


def test_every_command_takes_it(
    mcdist: Command, bucket: str, expected: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    code, out, _ = mcdist("status", bucket)
    assert code == 0
    assert f"store {bucket}: 28 tasks" in out
    assert "sweep small: 28 tasks: 28 done" in out
    assert mcdist("failures", bucket)[:2] == (0, "no failures\n")
    code, _, err = mcdist("report", bucket)
    assert code == 2
    assert "say where the report goes, --out F.html" in err
    assert mcdist("report", bucket, "--out", tmp_path / "report.html")[0] == 0
    assert (tmp_path / "report.html").stat().st_size > 10_000
    code, out, _ = mcdist("compact", bucket)
    assert code == 0
    assert " files -> 6; " in out  # of tasks, endpoints, history, paths, path_points and barriers
    assert_same_tables(tables(bucket), expected)
    plain = pd.read_parquet(f"{bucket}/tables/barriers")
    assert len(plain) == len(expected["barriers"])


@pytest.mark.ray
@pytest.mark.slow
def test_workers_on_ray_write_there(s3: S3, expected: dict[str, pd.DataFrame]) -> None:
    uri = s3.uri()
    assert package.run(small_sweep(), store=uri, executor="ray", out=io.StringIO()).counts == {"done": 28}
    assert_same_tables(tables(uri), expected)


def test_a_bucket_that_is_not_there_is_named(mcdist: Command, s3: S3, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(str(small_sweep()))  # of plain values: YAML
    uri = "s3://no-such-bucket/store"
    code, _, err = mcdist("run", tmp_path / "sweep.yaml", "--store", uri, "--executor", "serial")
    assert code == 2
    assert f"cannot write {uri}" in err
    assert "The specified bucket does not exist" in err
