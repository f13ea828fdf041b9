"""From the specification of a problem to the problem, and to what is known of it before any work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.problems.classification import Classification
from mcdist.problems.data import Dataset, fingerprint, load_dataset
from mcdist.problems.losses import resolve_loss
from mcdist.problems.models import build_model, check_model
from mcdist.science.problem import Problem
from mcdist.science.stacked import StackedModule, convolutional
from mcdist.spec.base import canonical
from mcdist.spec.problem import DataSpec, ProblemSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at, check_measures, check_paths, check_symmetry

__all__ = ["Facts", "Prepared", "build_problem", "data_key", "prepare"]

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Facts:
    """What a problem amounts to: parameters, examples by split, convolutions or not, its data set in words."""

    n_params: int
    train: int
    evaluated: int
    convolutional: bool
    note: str


@dataclass(frozen=True)
class Prepared:
    """A sweep that was checked against the registries and the data.

    spec: with the digests of data files filled in. datasets: by `data_key`. facts: one per problem, in order.
    """

    spec: SweepSpec
    datasets: Mapping[str, Dataset]
    facts: tuple[Facts, ...]


def data_key(spec: DataSpec) -> str:
    """A name of the arrays that a data specification stands for."""
    said = canonical(spec)
    return json.dumps({k: v for k, v in said.items() if k not in ("augment", "crop_pad")}, sort_keys=True)


def prepare(spec: SweepSpec, source: str = "spec") -> Prepared:
    """Load the data and check every name and argument. Raises RequestError; writes nothing.

    source: what messages call the spec.
    """
    datasets: dict[str, Dataset] = {}
    problems, facts = [], []
    check_paths(spec, source)
    for i, problem in enumerate(spec.problem):
        where = f"{source}: problem" + (f".{i}" if len(spec.problem) > 1 else "")
        with at(f"{where}.data"):
            resolved, dataset = _load(problem, datasets)
        with at(f"{where}.model"):
            module = _module(resolved, dataset)
        with at(where):
            problems.append(resolved)
            facts.append(_facts(resolved, dataset, module))
            check_symmetry(spec.paths, partial(_built, resolved, dataset), _two(resolved, dataset), len(dataset.train))
    check_measures(spec, [fact.train for fact in facts], source)
    return Prepared(spec.model_copy(update={"problem": tuple(problems)}), datasets, tuple(facts))


def _load(problem: ProblemSpec, datasets: dict[str, Dataset]) -> tuple[ProblemSpec, Dataset]:
    data = problem.data
    found = fingerprint(data.name, data.root)
    if data.digest not in (None, found):
        raise RequestError(f"{data.name}: the file has changed: SHA-256 {found}, not {data.digest} as specified")
    problem = problem.model_copy(update={"data": data.model_copy(update={"digest": found})})
    key = data_key(problem.data)
    if key not in datasets:
        datasets[key] = load_dataset(
            data.name,
            root=data.root,
            download=data.download,
            validation=data.validation,
            test=data.test,
            split_seed=data.split_seed,
            train_size=data.train_size,
            test_size=data.test_size,
        )
    shape = datasets[key].input_shape
    if data.augment != "none" and len(shape) != 3:
        raise RequestError(f"augment: {data.augment} needs images [C, H, W]; {data.name} has shape {list(shape)}")
    return problem, datasets[key]


def _two(problem: ProblemSpec, data: Dataset) -> Tensor:
    """Two inputs of zeros."""
    return torch.zeros(2, *data.input_shape, dtype=_DTYPES[problem.dtype])


def _built(problem: ProblemSpec, data: Dataset) -> nn.Module:
    return build_model(problem.model.name, problem.model.args, data.input_shape, data.n_classes)


def _facts(problem: ProblemSpec, data: Dataset, module: nn.Module) -> Facts:
    resolve_loss(problem.loss, data.n_classes)
    if problem.statistics_size is not None and problem.statistics_size > len(data.train):
        raise RequestError(
            f"statistics_size: {problem.statistics_size} is more than the {len(data.train)} training examples"
        )
    return Facts(
        n_params=sum(p.numel() for p in module.parameters() if p.requires_grad),
        train=len(data.train),
        evaluated=sum(len(part) for part in (data.train, data.validation, data.test) if part is not None),
        convolutional=convolutional(module),
        note=f"{data.name}: {data.note}",
    )


def _module(problem: ProblemSpec, data: Dataset) -> nn.Module:
    """The model, known to run on the data; without memory for its weights unless it is the user's own."""
    name, args = problem.model.name, problem.model.args
    if ":" not in name or name.startswith("torchvision:"):
        return check_model(name, args, data.input_shape, data.n_classes)
    # a factory from elsewhere may do what no built-in does: see on real numbers whether torch.func can follow
    module = _built(problem, data)
    StackedModule(module, torch.device("cpu"), _DTYPES[problem.dtype]).probe(_two(problem, data))
    return module


def build_problem(spec: ProblemSpec, data: Dataset, device: torch.device, channels_last: bool = False) -> Problem:
    """The problem, its data copied to the device. channels_last: images in that memory format."""
    return Classification(
        partial(_built, spec, data),
        data,
        device=device,
        dtype=_DTYPES[spec.dtype],
        loss=resolve_loss(spec.loss, data.n_classes),
        augment_pad=spec.data.crop_pad if spec.data.augment == "crop_flip" else None,
        eval_batch=spec.eval_batch,
        statistics_size=spec.statistics_size,
        channels_last=channels_last,
        weight_decay=spec.weight_decay,
    )
