"""What a sweep asks for against the registries and the models: what a look at the spec alone cannot see."""

from __future__ import annotations

import json
import math
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
from mcdist.tasks.problem_kinds.kind import Facts, Need

__all__ = [
    "at",
    "check_kinds",
    "check_measures",
    "check_path",
    "check_paths",
    "check_possible",
    "check_resources",
    "check_samples",
    "check_symmetry",
    "of_problems",
]


_NEEDS: dict[str, Need] = {"ggn": "outputs", "fisher": "likelihood", "gradient": "examples"}
"""What measures of these operators need of a problem."""


def check_resources(spec: SweepSpec, kinds: Collection[str], source: str) -> None:
    """Raise RequestError where workers are asked for a kind of task that does not exist."""
    for kind in spec.resources.tasks:
        if kind not in kinds:
            raise RequestError(f"{source}: resources.tasks: {unknown_name('kind of task', kind, kinds)}")


@contextmanager
def at(where: str) -> Iterator[None]:
    """Say where a wrong request is; nothing where that is empty."""
    try:
        yield
    except RequestError as error:
        raise RequestError(f"{where}: {error}" if where else str(error)) from error


def of_problems(facts: Sequence[Facts]) -> Iterator[tuple[str, Facts]]:
    """What is known of each problem of a sweep, and what messages call it; nothing where it is the only one."""
    for i, fact in enumerate(facts):
        yield f"problem.{i}" if len(facts) > 1 else "", fact


def check_paths(spec: SweepSpec, source: str) -> None:
    """Raise RequestError for a kind of path that does not exist, or that is asked for what it has not."""
    for i, path in enumerate(spec.paths):
        with at(f"{source}: paths.{i}"):
            check_path(path)
            if spec.tours and path.ends == "free":
                raise RequestError("ends: free moves the end points, so that the legs of a tour would not meet")


def check_path(path: PathSpec) -> None:
    """Raise RequestError for a path of a kind that does not exist, or that is asked for what it has not."""
    if path.kind not in FAMILIES:
        raise RequestError(unknown_name("path kind", path.kind, FAMILIES))
    given = path.model_fields_set - {"kind", "align", "repair", "keep", "eps"}
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


def check_possible(paths: Sequence[PathSpec], facts: Facts) -> None:
    """Raise RequestError for paths that a problem of this kind has not, whatever it is like."""
    why = facts.lacks.get("symmetry")
    for i, path in enumerate(paths):
        if why is not None and (path.aligned or path.repair):
            raise RequestError(f"paths.{i}: {'align' if path.aligned else 'repair'} {why}")
        if FAMILIES[path.kind].made and (lack := facts.lacks.get("menus")) is not None:
            raise RequestError(f"paths.{i}: a path of kind {path.kind!r} {lack}")


def check_symmetry(spec: SweepSpec, make: Callable[[], nn.Module], example: Tensor, train_size: int) -> None:
    """Raise RequestError where paths want a model aligned or repaired that cannot be.

    make: builds the model, with numbers in it. example: inputs [B, ...].
    """
    paths = {f"paths.{i}": path for i, path in enumerate(spec.paths)}
    paths |= {f"ensembles.{i}.path": each.path for i, each in enumerate(spec.ensembles) if each.path is not None}
    for name, path in paths.items():
        if path.align.method == "activations" and path.align.samples > train_size:
            raise RequestError(
                f"{name}: align: samples: {path.align.samples} are more than the {train_size} training examples"
            )
    if not any(path.aligned or path.repair for path in paths.values()):
        return
    module, known = make().to(example.dtype), dict[str, Structure]()
    for name, path in paths.items():
        given = path.align.structure
        if not (path.aligned or path.repair):
            continue
        with at(name):
            key = json.dumps(given)
            if key not in known:
                known[key] = structure_of(module, example, given)
            if path.repair:
                check_repair(module, example, known[key])


def check_measures(spec: SweepSpec, facts: Sequence[Facts], source: str) -> None:
    """Raise RequestError for measures that do not exist, or of what the sweep does not have."""
    kinds = list(dict.fromkeys(path.kind for path in spec.paths))
    for i, profile in enumerate(spec.measure.profile):
        with at(f"{source}: measure.profile.{i}"):
            _check_corners(profile.points, kinds, [len(tour) - 1 for tour in spec.tours])
    for i, curvature in enumerate(spec.measure.curvature):
        with at(f"{source}: measure.curvature.{i}"):
            _check_curvature(curvature, kinds)
            for name, fact in of_problems(facts):
                with at(name):
                    _check_needs(curvature, fact)
    for i, plane in enumerate(spec.measure.plane):
        with at(f"{source}: measure.plane.{i}"):
            _check_plane(plane, kinds)


def _check_corners(points: int, kinds: Sequence[str], legs: Sequence[int]) -> None:
    """Raise where equally spaced positions miss corners of paths in pieces: what they do is least known between them.

    legs: of each tour.
    """
    pieces = {kind: count for kind in kinds if (count := FAMILIES[kind].pieces) is not None}
    missed = [kind for kind, count in pieces.items() for L in (1, *legs) if (points - 1) % (count * L)]
    if missed:
        every = math.lcm(*(count * L for count in pieces.values() for L in (1, *legs)))
        raise RequestError(
            f"points: {points} positions miss corners of {', '.join(dict.fromkeys(missed))}; a multiple of {every}, "
            f"and 1, hit them all: {math.ceil((points - 1) / every) * every + 1}"
        )


def _check_curvature(curvature: CurvatureSpec, kinds: Sequence[str]) -> None:
    for name in curvature.measures:
        if name not in MEASURES:
            raise RequestError(unknown_name("measure", name, MEASURES))
    check_kinds(curvature.kinds, kinds)
    if curvature.at == "paths" and not kinds:
        raise RequestError("there are no paths; for end points say at: endpoints")
    if curvature.at == "endpoints" and (curvature.controls or curvature.kinds):
        raise RequestError("controls and kinds are of paths; got them with at: endpoints")
    if curvature.controls and not any(FAMILIES[kind].trained for kind in curvature.kinds or kinds):
        raise RequestError("controls are ends trained on as their path was; these paths are not trained")


def _check_needs(curvature: CurvatureSpec, facts: Facts) -> None:
    """Raise for what the problem does not have: so many examples, outputs, a likelihood."""
    for name in curvature.measures:
        need = _NEEDS.get(MEASURES[name].operator)
        if need is not None and need in facts.lacks:
            others = (n for n, m in MEASURES.items() if _NEEDS.get(m.operator) not in facts.lacks)
            raise RequestError(f"{name} {facts.lacks[need]}; allowed: {', '.join(sorted(others))}")
    check_samples(curvature.samples, facts)


def check_samples(samples: int | None, facts: Facts) -> None:
    """Raise where more training examples are asked for than there are; a problem that has none takes any number."""
    known = not facts.unlimited and "examples" not in facts.lacks
    if samples is not None and known and samples > facts.train:
        raise RequestError(f"samples: {samples} are more than the {facts.train} training examples")


def _check_plane(plane: PlaneSpec, kinds: Sequence[str]) -> None:
    check_kinds(plane.kinds, kinds)
    if plane.through:
        return
    if any(FAMILIES[kind].straight for kind in plane.kinds):
        raise RequestError("kinds: a straight line spans no plane: its ends and its middle are on one line")
    if all(FAMILIES[kind].straight for kind in kinds):
        raise RequestError(
            "every path of the sweep is a straight line, which spans no plane; say through: [[i, j, k]] for planes "
            "through three end points"
        )


def check_kinds(wanted: Sequence[str], kinds: Sequence[str]) -> None:
    """Raise RequestError for a kind of path that the sweep does not have."""
    for name in wanted:
        if name not in kinds:
            raise RequestError(f"kinds: {unknown_name('path kind', name, kinds)}")
