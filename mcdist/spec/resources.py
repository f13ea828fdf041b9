"""Where and how the work of a sweep is done."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator

from mcdist.spec.base import Int, Real, SpecModel, wrong

__all__ = ["ResourcesSpec", "TaskResources", "of_trials"]

Switch = Literal["auto", "on", "off"]

V = TypeVar("V")


def positive(value: V) -> V:
    """A number of workers or tasks, as it is; ValueError below 1."""
    if isinstance(value, int) and value < 1:
        raise ValueError("must be auto or at least 1")
    return value


def share(value: V) -> V:
    """A number of GPUs, as it is; ValueError where no worker can have so many."""
    if isinstance(value, (int, float)) and (value < 0 or (value > 1 and value != int(value))):
        raise ValueError("must be auto, 0, a share of one GPU, or a whole number of them")
    return value


class TaskResources(SpecModel):
    """Workers for certain kinds of task alone; what is not said is as for all others."""

    workers: Int | Literal["auto"] = Field("auto", description="auto: as many as the others leave room for")
    cpus: Real | None = Field(None, gt=0, description="CPUs per worker")
    gpus: Real | Literal["auto"] | None = Field(None, description="GPUs per worker")
    threads: Int | None = Field(None, ge=1, description="torch threads per worker")

    @field_validator("workers")
    @classmethod
    def _positive(cls, value: int | str) -> int | str:
        return positive(value)

    @field_validator("gpus")
    @classmethod
    def _share(cls, value: float | str | None) -> float | str | None:
        return share(value)

    def given(self) -> dict[str, Any]:
        """What is said, by field; `workers` always is."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class ResourcesSpec(SpecModel):
    """Where and how the work is done; no part of any task's identity."""

    workers: Int | Literal["auto"] = Field("auto", description="auto: as many as the cluster has room for")
    cpus: Real = Field(1.0, gt=0, description="CPUs per worker")
    gpus: Real | Literal["auto"] = Field("auto", description="GPUs per worker; auto: 1 where there are any, else 0")
    threads: Int = Field(1, ge=1, description="torch threads per worker")
    pack: Int | Literal["auto"] = Field(
        "auto", description="tasks of one shape computed as one stack; auto: measured, and kept in the store"
    )
    compile: Switch = Field("auto", description="training steps by a compiled library; auto: where that repays itself")
    cuda_graphs: Switch = Field("auto", description="on a GPU, a training step as one graph; auto: measured")
    channels_last: Switch = Field(
        "auto", description="memory format of images where networks run one by one; auto: measured"
    )
    retries: Int = Field(3, ge=0, description="times a pack whose worker was lost is started again")
    autoscaling: Switch = Field(
        "auto",
        description="whether nodes may be started that have what no node has; auto: as `ray up` says on its head",
    )
    tasks: dict[str, TaskResources] = Field(
        {}, description="kinds of task that get workers of their own (align: {gpus: 0}), and what those are"
    )

    @field_validator("compile", "cuda_graphs", "channels_last", "autoscaling", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value  # YAML's on and off

    @field_validator("workers", "pack")
    @classmethod
    def _positive(cls, value: int | str) -> int | str:
        return positive(value)

    @field_validator("gpus")
    @classmethod
    def _share(cls, value: float | str) -> float | str:
        return share(value)

    def crews(self) -> list[tuple[tuple[str, ...], ResourcesSpec]]:
        """The workers of each size: the kinds of task that they alone do, none for those that do all others, which
        come first; and their resources. Kinds that say the same share their workers.
        """
        said: dict[TaskResources, list[str]] = {}
        for kind, resources in self.tasks.items():
            said.setdefault(resources, []).append(kind)
        common = self.model_copy(update={"tasks": {}})
        own = [(tuple(kinds), common.model_copy(update=one.given())) for one, kinds in said.items()]
        return [((), common), *own]


def of_trials(resources: ResourcesSpec) -> ResourcesSpec:
    """The resources of a study's trials, as they are; an error where they tell kinds of task apart."""
    if resources.tasks:
        raise wrong("all trials of a study are alike: say what each of them has in resources itself", "tasks")
    return resources
