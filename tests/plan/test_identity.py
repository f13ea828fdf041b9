"""Ids: what they are made of, and that they stay what they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mcdist.plan import make_plan
from mcdist.problems.data.partition import DEFAULT_TEST
from mcdist.spec import DriftSpec, PairsSpec, RelaxationSpec, ScheduleSpec, load_spec
from mcdist.spec.auctions import ValuationSpec
from mcdist.spec.base import SpecModel
from mcdist.spec.paths import AlignSpec, CycleSpec, NebSpec
from mcdist.spec.tasks import TASK_SPECS
from mcdist.spec.walk import models_in
from mcdist.tasks.band import cycles_of

JOB = Path(__file__).parents[2] / "jobs" / "digits.yaml"

CHANGED = (
    "ids would come to mean other numbers: raise `version` of every task kind that uses it (mcdist/spec/tasks.py), "
    "then pin it here"
)

VERSIONS = {
    "endpoint": 1,
    "trunk": 1,
    "branch": 1,
    "finetune": 1,
    "align": 1,
    "path": 1,
    "join": 1,
    "profile": 1,
    "curvature": 1,
    "plane": 1,
    "twin": 1,
    "drift": 1,
    "relaxation": 1,
    "trial": 1,
    "trajectory": 1,
    "ensemble": 1,
    "ensemble_trial": 1,
    "pause": 1,
}

DYNAMICS: dict[str, Any] = {
    "kinds": (),
    "noise": "minibatch",
    "batch_size": None,
    "temperature": None,
    "sampling": "shuffled",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "replicas": None,
    "segments": 64,
    "samples": 1000,
    "seed": 0,
}

AUCTION: dict[str, Any] = {
    "setting": None,
    "valuation": (),
    "menu_size": 64,
    "kappa": 100.0,
    "iterations": 100,
    "samples": 131_072,
    "fit_samples": 16_384,
    "sample_seed": 0,
    "dtype": "float64",
    "allocation": None,
    "start": (),
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "DataSpec": {
        "root": None,
        "download": False,
        "validation": 0.0,
        "test": None,
        "split_seed": 0,
        "train_size": None,
        "test_size": None,
        "augment": "none",
        "crop_pad": 4,
        "digest": None,
    },
    "ModelSpec": {"args": {}},
    "ProblemSpec": {
        "kind": "classification",
        "loss": "cross_entropy",
        "dtype": "float32",
        "eval_batch": 1000,
        "statistics_size": None,
        "weight_decay": 0.0,
    },
    "ValleySpec": {
        "stiff": 8,
        "stiffness": 1.0,
        "middle": 4.0,
        "energy": 0.0,
        "wall": 100.0,
        "dtype": "float64",
    },
    "ValuationSpec": {
        "items": None,
        "low": None,
        "high": None,
        "a": None,
        "b": None,
        "rate": None,
        "edges": None,
        "density": None,
        "points": None,
        "weights": None,
        "args": {},
        "bound": None,
    },
    "MenuSpec": {},
    "MaximizerSpec": {},
    "RochetNetSpec": AUCTION | {"unit_demand": None},
    "AffineMaximizerSpec": AUCTION | {"bidders": None, "weights": "fixed", "allocation": "softmax"},
    "ScheduleSpec": {"kind": "constant", "milestones": None, "gamma": None, "floor": None},
    "TrainSpec": {
        "batch_size": 128,
        "optimizer": "sgd",
        "momentum": None,
        "nesterov": False,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": 0.0,
        "schedule": ScheduleSpec(kind="constant"),
        "precision": "full",
    },
    "AlignSpec": {"method": "none", "structure": None, "restarts": 1, "samples": 1000, "seed": 0},
    "CycleSpec": {},
    "NebSpec": {
        "pivots": None,
        "cycles": "long",
        "lr": None,
        "scale": None,
        "batch_size": 512,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "dense": 9,
        "threshold": 0.1,
        "insert": 2,
        "refine": True,
        "most": 31,
        "precision": "full",
    },
    "PathSpec": {
        "bends": 1,
        "ends": "fixed",
        "train": None,
        "draws": 1,
        "seed": 0,
        "objective": "uniform",
        "neb": None,
        "align": AlignSpec(method="none"),
        "keep": None,
        "eps": None,
        "repair": False,
    },
    "ProfileSpec": {"points": 61},
    "CurvatureSpec": {
        "measures": ("lambda_max", "fisher_trace"),
        "at": "paths",
        "kinds": (),
        "controls": False,
        "points": 21,
        "samples": 1000,
        "seed": 0,
        "labels": "data",
        "weight_decay": 0.0,
        "top_k": 10,
        "tol": 1e-4,
        "max_iterations": 100,
        "probes": 32,
        "floor": 1e-3,
        "layers": False,
    },
    "PairsSpec": {"kind": "all", "random": None, "seed": 0, "pairs": ()},
    "PlaneSpec": {"points": 21, "margin": 0.25, "through": (), "pairs": PairsSpec(kind="all"), "kinds": ()},
    "DriftSpec": DYNAMICS | {"starts": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), "steps": (100,)},
    "RelaxationSpec": DYNAMICS
    | {
        "optimizer": "sgd",
        "nesterov": False,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "project": 15,
        "buffers": "zero",
        "margin": 0.05,
        "stop": True,
        "trace": 50,
    },
    "EndpointTask": {},
    "TrunkTask": {},
    "BranchTask": {},
    "FinetuneTask": {"train": None, "neb": None, "seed": 0},
    "AlignTask": {},
    "PathTask": {},
    "JoinTask": {},
    "ProfileTask": {},
    "CurvatureTask": {"of": "path"},
    "PlaneTask": {"of": "path"},
    "TwinTask": {},
    "DriftTask": {},
    "RelaxationTask": {},
    "TrialTask": {},
    "TrajectoryTask": {"lr2": 0.0, "cycle": None, "cycles": None, "rates": (), "looks": 4},
    "EnsembleTask": {"spent": None, "points": None, "predictions": False},
    "EnsembleTrialTask": {},
    "PauseTask": {},
}


def defaults(model: type[SpecModel]) -> dict[str, dict[str, Any]]:
    """The defaults of a model and of all models inside it, by name."""
    fields = model.model_fields
    own = {
        name: field.get_default(call_default_factory=True) for name, field in fields.items() if not field.is_required()
    }
    inside = [inner for field in fields.values() for inner in models_in(field.annotation)]
    return {model.__name__: own} | {name: found for inner in inside for name, found in defaults(inner).items()}


def test_no_default_that_enters_an_id_has_changed() -> None:
    found = {name: own for spec in TASK_SPECS.values() for name, own in defaults(spec).items()}
    for model, pinned in DEFAULTS.items():
        for field, default in pinned.items():
            said = f"the default of {model}.{field} changed; {CHANGED}"
            assert repr(found[model].get(field, "no field")) == repr(default), said
    assert {model: set(own) for model, own in found.items()} == {m: set(own) for m, own in DEFAULTS.items()}, (
        "a field was added, with a default that leaves present ids alone: pin that default here"
    )


def test_no_default_that_depends_on_another_field_has_changed() -> None:
    assert ScheduleSpec.OPTIONS == {
        "constant": {},
        "cosine": {},
        "step": {"milestones": (0.5, 0.75), "gamma": 0.1},
        "piecewise": {"floor": 0.01},
    }, CHANGED
    assert DEFAULT_TEST == 0.2, f"what DataSpec.test null means changed; {CHANGED}"
    assert [NebSpec(cycles=cycles).beginning for cycles in ("long", "short", (CycleSpec(steps=1, lr=1.0),))] == [
        3,
        15,
        3,
    ], f"what NebSpec.pivots null means changed; {CHANGED}"
    long, short = (cycles_of(NebSpec(cycles=cycles)) for cycles in ("long", "short"))
    assert [(c.steps, round(c.lr, 12)) for c in short] == (
        [(2000, 0.1)] * 3 + [(2000, 0.01)] * 2 + [(2000, 0.001)] * 2
    ), f"what NebSpec.cycles short means changed; {CHANGED}"
    assert [(c.steps, round(c.lr, 12)) for c in long] == (
        [(1000, 0.1)] * 4 + [(2000, 0.1)] * 2 + [(1000, 0.01)] * 4 + [(1000, 0.001)] * 4
    ), f"what NebSpec.cycles long means changed; {CHANGED}"


def test_no_default_of_a_valuation_that_depends_on_its_law_has_changed() -> None:
    assert ValuationSpec.OPTIONS == {
        "uniform": {"low": 0.0, "high": 1.0},
        "beta": {"a": None, "b": None},
        "exponential": {"rate": 1.0},
        "steps": {"edges": None, "density": None},
        "triangle": {},
        "atoms": {"points": None, "weights": None},
    }, CHANGED


def test_no_default_of_dynamics_that_depends_on_the_noise_has_changed() -> None:
    for model, most, more in ((DriftSpec, 32, {}), (RelaxationSpec, 8, {"starts": (0.5,), "time": 1.0})):
        filled = {
            noise: (found.batch_size, found.replicas)
            for noise in ("minibatch", "isotropic", "none")
            if (model, noise) != (DriftSpec, "none")
            for found in [model.model_validate({"lr": 1.0, "noise": noise, **more})]
        }
        expected = {"minibatch": (16, most), "isotropic": (16, most), "none": (None, 1)}
        assert filled == {noise: expected[noise] for noise in filled}, CHANGED


def test_ids_of_digits() -> None:
    """If this fails and the numbers that tasks give are the same, mend the code; else raise the kinds' versions."""
    tasks = list(make_plan(load_spec(JOB)).tasks.values())
    assert {kind: spec.version for kind, spec in TASK_SPECS.items()} == VERSIONS
    assert {n: (tasks[n].kind, tasks[n].id) for n in (0, 7, 8, 35, 36, 63, 64, 119)} == {
        0: ("endpoint", "7d67050b7b799c01b8de9ed8"),
        7: ("endpoint", "ab7fcd031015e2e4e7a98f08"),
        8: ("path", "7c5d569630255836823faa0d"),
        35: ("path", "c54442ed04874c38bf5d8d4b"),
        36: ("path", "b4165c1453b2faf7e5ee036f"),
        63: ("path", "6267444362e936078a522c2d"),
        64: ("profile", "0dd66a4de54d615a6158f506"),
        119: ("profile", "f4f149b38a21a656c78d14c1"),
    }


def test_an_id_is_the_hash_of_kind_version_canonical_text_and_inputs() -> None:
    def reference(*parts: str) -> str:
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]

    problem = '"problem":{"data":{"name":"digits"},"model":{"args":{"hidden":[64,64]},"name":"mlp"}}'
    train = '"train":{"batch_size":32,"epochs":80,"lr":0.1,"momentum":0.9,"schedule":{"kind":"cosine"}}'
    ends = [reference("endpoint", "1", f'{{{problem},"seed":{seed},{train}}}') for seed in (0, 1)]
    path = reference("path", "1", f'{{"path":{{"kind":"linear"}},{problem}}}', *ends)
    profile = reference("profile", "1", f'{{{problem},"profile":{{}}}}', path)

    tasks = make_plan(load_spec(JOB)).tasks
    assert list(tasks)[:2] == ends
    assert tasks[path].inputs == tuple(ends)
    assert tasks[profile].inputs == (path,)
