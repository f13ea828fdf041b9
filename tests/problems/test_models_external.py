"""Models from elsewhere: torchvision's, and factories of one's own."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mcdist.errors import RequestError
from mcdist.problems.models import build_model, check_model, describe_model

FACTORIES = """
import torch
from torch import nn

def plain(width=3):
    return nn.Sequential(nn.Linear(4, width), nn.Linear(width, 2))

def sized(input_shape, n_classes, *, width: int):
    return nn.Sequential(nn.Linear(input_shape[0], width), nn.Linear(width, n_classes))

def torchlike(num_classes, **options):
    return nn.Linear(options["features"], num_classes)

def computing(n_classes):
    widths = [int(w) for w in torch.linspace(4, n_classes, 3)]
    return nn.Sequential(*(nn.Linear(a, b) for a, b in zip(widths, widths[1:])))

class Family:
    @staticmethod
    def small(n_classes):
        return nn.Linear(4, n_classes)

class DataDependent(nn.Module):
    def forward(self, x):
        return x[:, :2] if x.sum() > 0 else -x[:, :2]

def broken():
    raise RuntimeError("out of ideas")

def nothing():
    return None

number = 3
"""


@pytest.fixture(autouse=True)
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_models.py").write_text(FACTORIES)
    (tmp_path / "own_broken.py").write_text("raise ValueError('on import')")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "args", "n_params"),
    [
        ("own_models:plain", {}, 23),
        ("own_models:plain", {"width": 5}, 37),
        ("own_models:sized", {"width": 5}, 37),
        ("own_models:torchlike", {"features": 4}, 10),
        ("own_models:computing", {}, 15 + 8),
        ("own_models:Family.small", {}, 10),
        ("torch.nn:Linear", {"in_features": 4, "out_features": 2}, 10),
    ],
)
def test_factories_get_their_arguments_and_the_sizes_they_name(
    name: str, args: dict[str, object], n_params: int
) -> None:
    assert build_model(name, args, (4,), 2)(torch.zeros(3, 4)).shape == (3, 2)
    assert describe_model(name, args, (4,), 2).n_params == n_params


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("own_modelz:plain", {}, "ModuleNotFoundError: No module named 'own_modelz'.*PYTHONPATH"),
        ("own_broken:plain", {}, r"cannot be imported \(ValueError: on import\)"),
        ("own_models:plane", {}, "no attribute 'plane'"),
        ("own_models:", {}, "cannot be imported"),
        ("own_models:number", {}, "'number' is int, allowed: a callable"),
        (
            "own_models:plain",
            {"wdth": 3},
            "unknown argument of model 'own_models:plain' 'wdth'; did you mean 'width'",
        ),
        ("own_models:sized", {"width": 3, "n_classes": 4}, "'n_classes'.* allowed: width"),
        ("own_models:sized", {}, "TypeError: .*missing .*'width'"),
        ("own_models:broken", {}, "RuntimeError: out of ideas"),
        ("own_models:nothing", {}, "returned NoneType, allowed: a torch.nn.Module"),
        ("own_models:DataDependent", {}, r"fails on inputs of shape \(4,\)"),
        ("torch.nn:Identity", {}, r"returns \[2, 4\] for a batch of 2, allowed: a tensor \[2, 2\]"),
        ("torch.nn:LSTM", {"input_size": 4, "hidden_size": 2}, "returns tuple"),
    ],
)
def test_what_is_no_model_for_the_data_is_refused(name: str, args: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_model(name, args, (4,), 2)


def test_checking_a_factory_that_needs_real_tensors_leaves_the_generator_alone() -> None:
    before = torch.get_rng_state()
    assert all(p.is_meta for p in check_model("own_models:computing", {}, (4,), 2).parameters())
    assert torch.equal(before, torch.get_rng_state())


def test_torchvision_classifiers_by_name() -> None:
    model = check_model("torchvision:resnet18", {}, (3, 32, 32), 7)
    assert isinstance(model.fc, nn.Linear)
    assert model.fc.out_features == 7
    assert describe_model("torchvision:squeezenet1_1", {"dropout": 0.1}, (3, 64, 64), 10).n_params == 727_626


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("torchvision:resnet19", {}, "unknown model of torchvision 'resnet19'; did you mean 'resnet1"),
        ("torchvision:fcn_resnet50", {}, "unknown model of torchvision"),
        ("torchvision:resnet18", {"weights": "DEFAULT"}, "'weights' is set by mcdist"),
        ("torchvision:resnet18", {"wings": 2}, "wings"),
    ],
)
def test_wrong_requests_to_torchvision_are_refused(name: str, args: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_model(name, args, (3, 32, 32), 10)


def test_torchvision_models_want_three_channels() -> None:
    with pytest.raises(RequestError, match=r"torchvision:resnet18': fails on inputs of shape \(1, 32, 32\)"):
        check_model("torchvision:resnet18", {}, (1, 32, 32), 10)
