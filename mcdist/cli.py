"""The command line: parse, call, print. Exit codes: 0 all done, 1 some tasks failed, 2 the request is wrong."""

from __future__ import annotations

import contextlib
import enum
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from mcdist.errors import McdistError, RequestError
from mcdist.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    help="Distributed sweeps of mode-connectivity experiments on Ray; results in Parquet tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
export = typer.Typer(help="Write the tables of a store in a form of other programs.", no_args_is_help=True)
app.add_typer(export, name="export")

StudyFile = Annotated[Path, typer.Argument(metavar="SPEC", help="the study, a YAML file")]
SpecFile = Annotated[Path, typer.Argument(metavar="SPEC", help="the sweep, a YAML file")]
StoreUri = Annotated[str, typer.Argument(metavar="STORE", help="folder or URI of the results")]
OutFolder = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="where a file of each table goes")]
StoreOption = Annotated[str | None, typer.Option("--store", metavar="URI", help="in place of the spec's own store")]
Address = Annotated[
    str | None, typer.Option(metavar="A", help="Ray cluster (default: $RAY_ADDRESS, else this machine)")
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change the spec: endpoints.train.epochs=2")
]


class ExecutorChoice(str, enum.Enum):
    """What does the work."""

    ray = "ray"
    serial = "serial"


def main() -> NoReturn:
    """Run the command line; a wrong request is one message and exit code 2, no traceback."""
    try:
        app()
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except McdistError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"mcdist {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="show it")] = False,
) -> None: ...


@app.command("plan")
def plan_command(spec: SpecFile, store: StoreOption = None, changes: Changes = None) -> None:
    """Check a spec; show what there is to do and what it costs. Runs and writes nothing."""
    from mcdist.api import plan
    from mcdist.execute.progress import duration

    kinds = plan(spec, store=store, changes=changes or ())
    rows = [
        (k.kind, k.tasks, k.done, k.failed, k.todo, f"{k.cost:.3g}", "-" if k.seconds is None else duration(k.seconds))
        for k in kinds
    ]
    _show(("kind", "tasks", "done", "failed", "to do", "forward passes", "worker time"), rows)
    print("forward passes: of one example, to do; a training step counts three per example.")
    print("worker time: of one worker, to do, reckoned from the done tasks of that kind; '-' before there are any.")


@app.command("run")
def run_command(
    spec: SpecFile,
    store: StoreOption = None,
    executor: Annotated[ExecutorChoice, typer.Option(help="ray, or serial: all in this process")] = ExecutorChoice.ray,
    address: Address = None,
    changes: Changes = None,
) -> None:
    """Do what is missing of a sweep. Kill it at any moment: the same command goes on."""
    from mcdist.api import run

    summary = run(spec, store=store, executor=executor.value, address=address, changes=changes or ())
    where = store or _store_of(spec, changes)
    if summary.interrupted is not None:
        print("stopped; what is finished is kept, and the same command goes on from there", file=sys.stderr)
    elif summary.failed:
        counts = ", ".join(f"{n} {status}" for status, n in summary.counts.items())
        print(f"{counts}; see: mcdist failures {where}", file=sys.stderr)
    else:
        print(f"all {summary.counts.total()} tasks done; next: mcdist report {where}", file=sys.stderr)
    raise typer.Exit(summary.exit_code)


@app.command("tune")
def tune_command(
    spec: StudyFile,
    store: StoreOption = None,
    executor: Annotated[
        ExecutorChoice, typer.Option(help="ray: trials side by side, by Ray Tune; serial: in this process")
    ] = ExecutorChoice.ray,
    address: Address = None,
    changes: Changes = None,
) -> None:
    """Try noise levels over the paths of a sweep, or settings of ensembles. Kill it at any moment: the same command
    goes on.
    """
    from mcdist.api import tune

    summary = tune(spec, store=store, executor=executor.value, address=address, changes=changes or ())
    where = store or _store_of_study(spec, changes)
    if summary.interrupted is not None:
        print("stopped; complete trials are kept, and the same command goes on from there", file=sys.stderr)
    elif summary.failed:
        print(
            f"{len(summary.failed)} of {summary.counts.total()} {summary.what} failed: {', '.join(summary.failed)}",
            file=sys.stderr,
        )
        print(f"see: mcdist failures {where}", file=sys.stderr)
    else:
        stopped = f", {summary.counts['stopped']} of them stopped early" if summary.counts["stopped"] else ""
        print(f"all {summary.counts.total()} trials done{stopped}; next: mcdist report {where}", file=sys.stderr)
    raise typer.Exit(summary.exit_code)


@app.command()
def status(
    store: StoreUri,
    watch: Annotated[bool, typer.Option("--watch", help="again and again, until Ctrl-C")] = False,
    every: Annotated[float, typer.Option(metavar="S", min=0.1, help="seconds between two looks of --watch")] = 10.0,
) -> None:
    """How a store and its sweeps stand, also while they run elsewhere: tasks by kind and status, speed, time left."""
    from mcdist.execute.status import StatusReader
    from mcdist.store import open_store

    reader = StatusReader(open_store(store))
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            seen = reader.look()
            if watch and sys.stdout.isatty():
                Console().clear()
            print(seen.head())
            _show(("kind", "tasks", "done", "failed", "blocked"), seen.rows())
            print("\n".join(seen.lines()), flush=True)
            if not watch:
                break
            time.sleep(every)


@app.command()
def failures(
    store: StoreUri,
    full: Annotated[bool, typer.Option("--full", help="whole tracebacks")] = False,
) -> None:
    """Tasks that failed or are blocked by one that did, and why. Exit code 1 if there are any."""
    from mcdist.store import open_store

    tasks = open_store(store).table("tasks", ["task_id", "kind", "status", "error_kind", "error", "spec"])
    failed, blocked = (tasks[tasks["status"] == status] for status in ("failed", "blocked"))
    if failed.empty and blocked.empty:
        print("no failures")
        return
    for row in failed.itertuples():
        text = str(row.error).strip()
        what = text if full else text.splitlines()[-1]
        print(f"{row.task_id} {row.kind} ({_describe(str(row.spec))}) {row.error_kind}: {what}")
    for kind, count in blocked["kind"].value_counts().items():
        print(f"blocked by them: {count} of kind {kind}")
    print(f"{len(failed)} failed, {len(blocked)} blocked of {len(tasks)}; all of it in table 'tasks'", file=sys.stderr)
    raise typer.Exit(1)


def _describe(spec: str) -> str:
    """What tells a task from others of its kind: problem, seed or path, learning rate."""
    data = json.loads(spec)
    problem = data["problem"]
    parts = [f"{problem['data']['name']}/{problem['model']['name']}"]
    parts += [f"seed {data['seed']}"] if "seed" in data else []
    path = data.get("path") or {}
    parts += [path["kind"]] if path else []
    train = data.get("train") or path.get("train")
    return ", ".join([*parts, *([f"lr {train['lr']:g}"] if train else [])])


@app.command()
def report(
    store: StoreUri,
    out: Annotated[Path | None, typer.Option("--out", metavar="F.html", help="default: STORE/report.html")] = None,
    sweep: Annotated[str | None, typer.Option(help="which sweep, where the store has several")] = None,
) -> None:
    """Write the HTML report of a store: one file, readable without a network."""
    from mcdist.analysis import write_report
    from mcdist.store import open_store

    opened = open_store(store)
    if out is None and "://" in opened.uri:
        raise RequestError(f"{opened.uri} is not a local folder: say where the report goes, --out F.html")
    path = write_report(opened, out or Path(opened.uri) / "report.html", sweep)
    print(f"report: {path}")


@app.command()
def compact(store: StoreUri) -> None:
    """Merge the many small files of a store into few; loses and doubles nothing, killed at any moment."""
    from mcdist.store import open_store

    done = open_store(store).compact()
    print(f"{done.files_before} files -> {done.files_after}; {done.bytes_before} bytes -> {done.bytes_after}")


@export.command("csv")
def export_csv_command(store: StoreUri, out: OutFolder) -> None:
    """Write the tables of a store as CSV files, one each."""
    from mcdist.store import open_store
    from mcdist.store.export import export_csv

    written = export_csv(open_store(store), out)
    print(f"{sum(written.values())} rows of {len(written)} tables: {out}")


@app.command()
def bench(
    suite: Annotated[
        list[str] | None, typer.Option("--suite", metavar="NAME", help="measure this alone; may be given several times")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="F.json", help="keep the results in a file")] = None,
    repeats: Annotated[
        int | None, typer.Option(metavar="N", help="rounds, in place of each suite's own number")
    ] = None,
) -> None:
    """Measure what mcdist promises about speed, on this machine. Exit code 1 if a suite failed."""
    from mcdist.bench.results import check_can_write, write_results
    from mcdist.bench.runner import chosen, run_suites
    from mcdist.bench.table import HEADS, cells, on

    suites = chosen(suite)
    if out is not None:
        check_can_write(out)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # commands under way are stopped, too
    results = run_suites(suites, sys.stderr, repeats)
    _show(HEADS, [cells(row) for row in results.rows])
    print(on(dict(results.machine)))
    if out is not None:
        write_results(out, results)
        print(f"results: {out}")
    raise typer.Exit(results.exit_code)


@app.command()
def schema(
    study: Annotated[bool, typer.Option("--study", help="of a study of either kind, what 'tune' takes")] = False,
) -> None:
    """Print the JSON schema of a spec, for editors."""
    from mcdist.spec.schema import any_study_schema, json_schema

    print(json.dumps(any_study_schema() if study else json_schema(), indent=2))


def _store_of(spec: Path, changes: list[str] | None) -> str:
    from mcdist.spec import load_spec

    return load_spec(spec, changes or ()).store or ""


def _store_of_study(spec: Path, changes: list[str] | None) -> str:
    from mcdist.spec import load_any_study

    return load_any_study(spec, changes or ()).store or ""


def _show(heads: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    table = Table(box=None, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
