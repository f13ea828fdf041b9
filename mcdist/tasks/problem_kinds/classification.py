"""Problem kind `classification`: a data set, a network, a loss."""

from __future__ import annotations

import json
from functools import cache, partial

import torch
from torch import Tensor, nn

from mcdist.errors import RequestError
from mcdist.problems.classification import Classification
from mcdist.problems.data import Dataset, fingerprint, load_dataset
from mcdist.problems.losses import resolve_loss
from mcdist.problems.models import build_model, check_model
from mcdist.problems.part import divide
from mcdist.science.norms import Norm
from mcdist.science.problem import Problem
from mcdist.science.stacked import StackedModule, convolutional
from mcdist.spec.base import canonical
from mcdist.spec.problem import DataSpec, ProblemSpec
from mcdist.spec.sweep import SweepSpec
from mcdist.tasks.checks import at, check_symmetry
from mcdist.tasks.problem_kinds.kind import DTYPES, Datasets, Facts, Need, ProblemKind

__all__ = ["CLASSIFICATION", "data_key"]


def data_key(spec: DataSpec) -> str:
    """A name of the arrays that a data specification stands for."""
    said = canonical(spec)
    return json.dumps({k: v for k, v in said.items() if k not in ("augment", "crop_pad")}, sort_keys=True)


def _prepare(
    problem: ProblemSpec, sweep: SweepSpec, datasets: dict[str, Dataset], where: str
) -> tuple[ProblemSpec, Facts]:
    with at(f"{where}.data"):
        resolved, dataset = _load(problem, datasets)
    with at(f"{where}.model"):
        module = _module(resolved, dataset)
    with at(where):
        facts = _facts(resolved, dataset, module)
        check_symmetry(sweep, partial(_built, resolved, dataset), _two(resolved, dataset), len(dataset.train))
    return resolved, facts


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
    return torch.zeros(2, *data.input_shape, dtype=DTYPES[problem.dtype])


def _built(problem: ProblemSpec, data: Dataset) -> nn.Module:
    return build_model(problem.model.name, problem.model.args, data.input_shape, data.n_classes)


def _facts(problem: ProblemSpec, data: Dataset, module: nn.Module) -> Facts:
    resolve_loss(problem.loss, data.n_classes)
    if problem.statistics_size is not None and problem.statistics_size > len(data.train):
        raise RequestError(
            f"statistics_size: {problem.statistics_size} is more than the {len(data.train)} training examples"
        )
    lacks: dict[Need, str] = {"menus": "is made of the menus of auctions; a network has none"}
    if problem.loss != "cross_entropy":
        lacks["likelihood"] = f"is of cross_entropy alone: {problem.loss} is no likelihood, and has no Fisher matrix"
    normed = any(isinstance(m, Norm) for m in module.modules())
    splits = {"train": data.train, "val": data.validation, "test": data.test}
    return Facts(
        n_params=sum(p.numel() for p in module.parameters() if p.requires_grad),
        train=len(data.train),
        evaluated=sum(len(part) for part in (data.train, data.validation, data.test) if part is not None),
        convolutional=convolutional(module),
        note=f"{data.name}: {data.note}",
        lacks=lacks,
        noisy=cache(partial(_why_noisy, problem, data)),
        steps=lambda batch_size: len(divide(len(data.train), batch_size, normed=normed)),
        splits=tuple(name for name, part in splits.items() if part is not None),
    )


def _why_noisy(problem: ProblemSpec, data: Dataset) -> str | None:
    """See `Facts`: other examples at each step make another objective, random numbers in the model make noise."""
    if problem.data.augment != "none":
        return f"data.augment: {problem.data.augment} makes other examples at each step, and so another objective"
    stacked = StackedModule(_built(problem, data), torch.device("cpu"), DTYPES[problem.dtype])
    stacked.probe(_two(problem, data))
    if stacked.random:
        return f"the model {problem.model.name} draws random numbers in training (Dropout)"
    return None


def _module(problem: ProblemSpec, data: Dataset) -> nn.Module:
    """The model, known to run on the data; without memory for its weights unless it is the user's own."""
    name, args = problem.model.name, problem.model.args
    if ":" not in name or name.startswith("torchvision:"):
        return check_model(name, args, data.input_shape, data.n_classes)
    # a factory from elsewhere may do what no built-in does: see on real numbers whether torch.func can follow
    module = _built(problem, data)
    StackedModule(module, torch.device("cpu"), DTYPES[problem.dtype]).probe(_two(problem, data))
    return module


def _build(problem: ProblemSpec, datasets: Datasets, device: torch.device, channels_last: bool) -> Problem:
    data = datasets(data_key(problem.data))
    return Classification(
        partial(_built, problem, data),
        data,
        device=device,
        dtype=DTYPES[problem.dtype],
        loss=resolve_loss(problem.loss, data.n_classes),
        augment_pad=problem.data.crop_pad if problem.data.augment == "crop_flip" else None,
        eval_batch=problem.eval_batch,
        statistics_size=problem.statistics_size,
        channels_last=channels_last,
        weight_decay=problem.weight_decay,
    )


CLASSIFICATION = ProblemKind(_prepare, _build)
