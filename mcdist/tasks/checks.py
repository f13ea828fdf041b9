"""What a sweep asks for against the registries and the models: what a look at the spec alone cannot see."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from mcdist.errors import RequestError, unknown_name
from mcdist.problems.symmetry import check_repair, structure_of
from mcdist.science.alignment import Structure
from mcdist.science.curvature import MEASURES
from mcdist.science.paths import FAMILIES
from mcdist.spec.measures import CurvatureSpec, PlaneSpec
from mcdist.spec.paths import PathSpec
from mcdist.spec.sweep import SweepSpec

__all__ = ["at", "check_measures", "check_paths", "check_symmetry"]


@contextmanager
def at(where: str) -> Iterator[None]:
    """Say where a wrong request is."""
    try:
        yield
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error


def check_paths(spec: SweepSpec, source: str) -> None:
    """Raise RequestError for a kind of path that does not exist, or that is asked for what it has not."""
    for i, path in enumerate(spec.paths):
        with at(f"{source}: paths.{i}"):
            _check_path(path)
            if spec.tours and path.ends == "free":
                raise RequestError("ends: free moves the end points, so that the legs of a tour would not meet")


def _check_path(path: PathSpec) -> None:
    if path.kind not in FAMILIES:
        raise RequestError(unknown_name("path kind", path.kind, FAMILIES))
    given = path.model_fields_set - {"kind", "align", "repair"}
    if not FAMILIES[path.kind].trained:
        _refuse(path, given, f"a path of kind {path.kind!r} has no bends to train")
        return
    if path.repair:
        raise RequestError(f"repair is for straight lines; a path of kind {path.kind!r} is trained")
    if path.neb is not None:
        _refuse(path, given - {"neb", "seed"}, "autoneb is trained as its neb says")
    elif path.train is None:
        raise RequestError(f"a path of kind {path.kind!r} needs train: {{epochs: ..., lr: ...}} for its bends")


def _refuse(path: PathSpec, names: Collection[str], why: str) -> None:
    """Raise where one of these fields says anything but its default."""
    fields = PathSpec.model_fields
    said = sorted(name for name in names if getattr(path, name) != fields[name].default)
    if said:
        raise RequestError(f"{why}; got {', '.join(said)}")


def check_symmetry(paths: Sequence[PathSpec], make: Callable[[], nn.Module], example: Tensor, train_size: int) -> None:
    """Raise RequestError where paths want a model aligned or repaired that cannot be.

    make: builds the model, with numbers in it. example: inputs [B, ...].
    """
    for i, path in enumerate(paths):
        if path.align.method == "activations" and path.align.samples > train_size:
            raise RequestError(
                f"paths.{i}: align: samples: {path.align.samples} are more than the {train_size} training examples"
            )
    if not any(path.aligned or path.repair for path in paths):
        return
    module, known = make().to(example.dtype), dict[str, Structure]()
    for i, path in enumerate(paths):
        given = path.align.structure
        if not (path.aligned or path.repair):
            continue
        with at(f"paths.{i}"):
            key = json.dumps(given)
            if key not in known:
                known[key] = structure_of(module, example, given)
            if path.repair:
                check_repair(module, example, known[key])


def check_measures(spec: SweepSpec, train_sizes: Sequence[int], source: str) -> None:
    """Raise RequestError for measures that do not exist, or of what the sweep does not have."""
    kinds = list(dict.fromkeys(path.kind for path in spec.paths))
    for i, curvature in enumerate(spec.measure.curvature):
        with at(f"{source}: measure.curvature.{i}"):
            _check_curvature(curvature, kinds, train_sizes)
            _check_likelihood(curvature, spec)
    for i, plane in enumerate(spec.measure.plane):
        with at(f"{source}: measure.plane.{i}"):
            _check_plane(plane, kinds)


def _check_curvature(curvature: CurvatureSpec, kinds: Sequence[str], train_sizes: Sequence[int]) -> None:
    for name in curvature.measures:
        if name not in MEASURES:
            raise RequestError(unknown_name("measure", name, MEASURES))
    _check_kinds(curvature.kinds, kinds)
    if curvature.at == "paths" and not kinds:
        raise RequestError("there are no paths; for end points say at: endpoints")
    if curvature.at == "endpoints" and (curvature.controls or curvature.kinds):
        raise RequestError("controls and kinds are of paths; got them with at: endpoints")
    if curvature.controls and not any(FAMILIES[kind].trained for kind in curvature.kinds or kinds):
        raise RequestError("controls are ends trained on as their path was; these paths are straight, and not trained")
    if curvature.samples is not None and curvature.samples > min(train_sizes):
        raise RequestError(f"samples: {curvature.samples} are more than the {min(train_sizes)} training examples")


def _check_likelihood(curvature: CurvatureSpec, spec: SweepSpec) -> None:
    """Raise where the Fisher matrix is wanted of a loss that is no likelihood."""
    losses = [problem.loss for problem in spec.problem if problem.loss != "cross_entropy"]
    fisher = [name for name in curvature.measures if MEASURES[name].operator == "fisher"]
    if losses and fisher:
        others = ", ".join(sorted(name for name, measure in MEASURES.items() if measure.operator != "fisher"))
        raise RequestError(
            f"{fisher[0]} is of cross_entropy alone: {losses[0]} is no likelihood, and has no Fisher matrix; "
            f"allowed: {others}"
        )


def _check_plane(plane: PlaneSpec, kinds: Sequence[str]) -> None:
    _check_kinds(plane.kinds, kinds)
    if plane.through:
        return
    if any(not FAMILIES[kind].trained for kind in plane.kinds):
        raise RequestError("kinds: a straight line spans no plane: its ends and its middle are on one line")
    if not any(FAMILIES[kind].trained for kind in kinds):
        raise RequestError(
            "every path of the sweep is a straight line, which spans no plane; say through: [[i, j, k]] for planes "
            "through three end points"
        )


def _check_kinds(wanted: Sequence[str], kinds: Sequence[str]) -> None:
    for name in wanted:
        if name not in kinds:
            raise RequestError(f"kinds: {unknown_name('path kind', name, kinds)}")
