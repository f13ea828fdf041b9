"""The page of clusters: every command on it by the parser of the command itself, every file and value that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import ray
import yaml
from ray.dashboard.modules.job.cli import job_cli_group
from ray.scripts.scripts import cli as ray_cli
from typer.main import get_command

from mcdist.cli import app

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "clusters" / "README.md").read_text()
FOREIGN = {"docker", "kubectl", "make", "source", "export", "sbatch", "squeue", "scancel", "tail"}
ASSIGNMENT = re.compile(r"[A-Z_]+=\S*")


def commands() -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def parse(command: click.Command, words: list[str]) -> click.Context:
    """Down to the last subcommand, options and arguments checked, nothing run."""
    context = command.make_context(words[0], words[1:])
    while hasattr(context.command, "resolve_command"):  # a group, of click or of the click that typer brings
        name, found, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        context = found.make_context(name, rest, parent=context)
    own = words[: words.index("--")] if "--" in words else words
    known = {option for parameter in context.command.params for option in parameter.opts}
    for word in own:  # some of Ray's commands take what they do not know for words of an entry point
        if word.startswith("--") and word.partition("=")[0] not in known:
            raise click.NoSuchOption(word)
    return context


@pytest.mark.parametrize("line", list(dict.fromkeys(commands())))
def test_the_command_parses(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(line)
    while ASSIGNMENT.fullmatch(words[0]):
        words = words[1:]
    if words[:2] == ["ray", "job"]:
        parse(job_cli_group, words[1:])
    elif words[0] == "ray":
        parse(ray_cli, words)
    elif words[0] == "mcdist":
        parse(get_command(app), words)
    else:
        assert words[0] in FOREIGN
    if "--" in words:
        entry = words[words.index("--") + 1 :]
        assert entry[:3] == ["python", "-m", "mcdist"]
        parse(get_command(app), entry[2:])


def test_there_are_such_commands() -> None:
    """So that a change of the page's form does not leave the above with nothing."""
    lines = commands()
    for start in ("ray start", "ray up", "ray job submit", "ray job stop", "mcdist status", "kubectl create", "sbatch"):
        assert any(start in line for line in lines)


def test_what_is_wrong_does_not_parse() -> None:
    with pytest.raises(click.NoSuchOption):
        parse(job_cli_group, ["job", "submit", "--working-dri", ".", "--", "true"])
    with pytest.raises(Exception, match="No such option: --stroe"):
        parse(get_command(app), ["mcdist", "run", "jobs/digits.yaml", "--stroe", "x"])


def test_every_file_is_there() -> None:
    names = set(re.findall(r"(?:jobs|clusters|tests)/[\w./-]+\.(?:yaml|sh|py|md)", PAGE))
    names |= {f"clusters/{name}" for name in re.findall(r"`([\w-]+\.(?:yaml|sh))`", PAGE)}
    assert {"jobs/digits.yaml", "clusters/aws-gpu.yaml", "clusters/slurm.sh"} <= names
    assert [name for name in names if not (ROOT / name).exists()] == []
    for path in (ROOT / "clusters").iterdir():
        assert path.name in ("README.md", *re.findall(r"[\w.-]+", PAGE)), f"{path.name} is not on the page"


def test_every_setting_is_one_of_a_sweep() -> None:
    """By the spec's own loader: unknown keys are errors there."""
    from mcdist.spec import load_spec

    settings = set(re.findall(r"--set ([\w.]+=[\w.]+)", PAGE))
    assert len(settings) >= 5
    for setting in settings:
        load_spec(ROOT / "jobs" / "digits.yaml", [setting])


def test_numbers_on_the_page_are_those_of_the_code() -> None:
    from ray._private.ray_constants import DASHBOARD_CLIENT_MAX_SIZE, RAY_RUNTIME_ENV_DEFAULT_EXCLUDES
    from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE

    from mcdist.execute.progress import _LINE_EVERY_S
    from mcdist.spec.resources import ResourcesSpec

    assert f"Ray {ray.__version__}" in PAGE
    assert "`.git`, `.venv`, `venv` and `__pycache__`" in PAGE
    assert RAY_RUNTIME_ENV_DEFAULT_EXCLUDES == ".git,.venv,venv,__pycache__"
    assert (GCS_STORAGE_MAX_SIZE, DASHBOARD_CLIENT_MAX_SIZE, "100 MiB" in PAGE) == (512 * 2**20, 100 * 2**20, True)
    supervisor = Path(ray.__file__).parent / "dashboard" / "modules" / "job" / "job_supervisor.py"  # slow to import
    assert "DEFAULT_RAY_JOB_STOP_WAIT_TIME_S = 3\n" in supervisor.read_text()
    assert "within 3 s (`RAY_JOB_STOP_WAIT_TIME_S` on the head)" in PAGE
    assert (_LINE_EVERY_S, "every ten seconds" in PAGE) == (10.0, True)
    assert (ResourcesSpec().retries, "`resources.retries` (3)" in PAGE) == (3, True)
    assert (
        yaml.safe_load((ROOT / "clusters" / "kuberay-rayjob.yaml").read_text())["spec"]["ttlSecondsAfterFinished"]
        == 600
    )


def test_the_messages_on_the_page_are_those_of_the_code() -> None:
    code = (ROOT / "mcdist" / "execute" / "ray_probe.py").read_text()
    table = PAGE.partition("| message | cure |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1].strip() for row in table.splitlines()[2:]]
    assert len(rows) == 6
    for words in ("it asks for a token, and RAY_AUTH_MODE is", "is not the cluster's", "a web server answers there"):
        assert words in table
        assert words in code
    assert "is where Ray takes jobs, not where programs attach" in code
    assert "and there is no token" in code
