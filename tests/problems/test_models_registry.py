"""Models by name: arguments are checked, wrong requests are named, checking costs nothing."""

import pytest
import torch

from mcdist.errors import RequestError
from mcdist.problems.models import MODELS, ModelInfo, build_model, check_model, describe_model


def test_the_same_seed_builds_the_same_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in build_model("mlp", {"hidden": [5]}, (64,), 10).parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_checking_leaves_the_generator_alone_and_allocates_nothing() -> None:
    before = torch.get_rng_state()
    model = check_model("wide_resnet28x10", {"dropout": 0.3}, (3, 32, 32), 100)
    assert all(p.is_meta for p in model.parameters())
    assert torch.equal(before, torch.get_rng_state())


def test_sizes_of_a_small_network() -> None:
    info = describe_model("mlp", {"hidden": (3,), "batch_norm": True}, (2,), 2)
    assert info == ModelInfo(n_params=(2 * 3 + 3) + 2 * 3 + (3 * 2 + 2), n_buffers=3 + 3 + 1)


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("resnet21", {}, "unknown model 'resnet21'; did you mean 'resnet20'.* torchvision:NAME"),
        ("mlp", {"hiden": [3]}, "unknown argument of model 'mlp' 'hiden'; did you mean 'hidden'"),
        ("mlp", {"input_shape": (3,)}, "unknown argument of model 'mlp' 'input_shape'"),
        ("mlp", {"hidden": 64}, "model 'mlp': hidden is 64: Input should be"),
        ("mlp", {"hidden": "64"}, "hidden is '64'"),
        ("mlp", {"hidden": [64, 0]}, r"hidden is \[64, 0\]: Input should be greater than 0"),
        ("mlp", {"hidden": [6.0]}, "valid integer"),
        ("mlp", {"dropout": 1.0}, "dropout is 1.0: Input should be less than 1"),
        ("mlp", {"batch_norm": 1}, "batch_norm is 1: Input should be a valid boolean"),
        ("mlp", {"activation": "rely"}, "unknown activation 'rely'; did you mean 'relu'"),
        ("resnet20", {"depth": 3}, "unknown argument of model 'resnet20' 'depth'"),
    ],
)
def test_wrong_requests_are_refused(name: str, args: dict[str, object], message: str) -> None:
    for function in (build_model, check_model):
        with pytest.raises(RequestError, match=message):
            function(name, args, (3, 8, 8), 10)


def test_lists_and_tuples_and_whole_numbers_for_fractions_are_fine() -> None:
    for args in ({"hidden": [8]}, {"hidden": (8,)}, {"hidden": [8], "dropout": 0}):
        assert describe_model("mlp", args, (4,), 2).n_params == 58


def test_every_entry_documents_itself() -> None:
    assert all(builder.__doc__ for builder in MODELS.values())
