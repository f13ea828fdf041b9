"""Laws of every model family: sizes as published, traceable, the same network under vmap as alone."""

import math
from collections.abc import Callable

import pytest
import torch
import torchvision.models
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from mcdist.errors import RequestError
from mcdist.problems.models import MODELS, check_model, describe_model
from mcdist.problems.models.convnet import convnet
from mcdist.problems.models.layers import ACTIVATIONS
from mcdist.problems.models.mlp import mlp
from mcdist.problems.models.preact import PreactUnit, basic, bottleneck, preact_network
from mcdist.problems.models.resnet import ZeroPadShortcut, resnet20
from mcdist.problems.models.vgg import vgg16_bn
from mcdist.problems.models.wide_resnet import wide_resnet16x4

IMAGE = (3, 8, 8)


def preact(residual: Callable[..., nn.Module]) -> nn.Module:
    return preact_network(IMAGE, 4, name="small", units=2, widths=(16, 32), residual=residual)


MEMBERS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: mlp((64,), 4, hidden=(16, 8), batch_norm=True, activation="tanh"),
    "convnet": lambda: convnet(IMAGE, 4, channels=(8, 12), hidden=(10,), batch_norm=True),
    "resnet": lambda: resnet20(IMAGE, 4),
    "preact basic": lambda: preact(basic),
    "preact bottleneck": lambda: preact(bottleneck),
    "wide_resnet": lambda: wide_resnet16x4(IMAGE, 4),
    "vgg": lambda: vgg16_bn(IMAGE, 4, dropout=0.0),
}


@pytest.mark.parametrize("member", MEMBERS)
def test_vmap_over_stacked_networks_equals_each_alone(member: str) -> None:
    torch.manual_seed(0)
    alone = [MEMBERS[member]().double() for _ in range(2)]
    shape = (64,) if member == "mlp" else IMAGE
    x = torch.randn(2, 5, *shape, dtype=torch.float64)
    params, buffers = ({k: v.detach().clone() for k, v in d.items()} for d in stack_module_state(alone))
    template = MEMBERS[member]().double().to("meta")

    for training in (True, False):  # train mode first, so that eval mode sees moved running statistics
        template.train(training)

        def call(p: dict[str, Tensor], b: dict[str, Tensor], batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            return functional_call(template, (p, b), (batch,)), b

        outputs, buffers = torch.vmap(call)(params, buffers, x)
        for k, network in enumerate(alone):
            expected = network.train(training)(x[k])
            assert expected.shape == (5, 4)
            torch.testing.assert_close(outputs[k], expected, rtol=1e-9, atol=1e-9)
            for name, buffer in network.named_buffers():
                torch.testing.assert_close(buffers[name][k], buffer, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_parameter_takes_part(member: str) -> None:
    network = MEMBERS[member]()
    network(torch.randn(4, *((64,) if member == "mlp" else IMAGE))).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
def test_every_model_takes_images_and_can_be_traced(name: str, shape: tuple[int, ...]) -> None:
    model = check_model(name, {}, shape, 7)
    traced = torch.fx.symbolic_trace(model)
    assert traced(torch.empty(2, *shape, device="meta")).shape == (2, 7)
    in_place = [m for m in model.modules() if getattr(m, "inplace", False)]
    assert not in_place


@pytest.mark.parametrize(
    ("name", "millions"),
    [  # as the papers print them; the torch code of WRN's authors: 36.48 and 2.75
        ("resnet20", "0.27"),
        ("resnet56", "0.85"),
        ("resnet110", "1.7"),
        ("preresnet110", "1.7"),
        ("preresnet164", "1.7"),
        ("wide_resnet28x10", "36.5"),
        ("wide_resnet28x10", "36.48"),
        ("wide_resnet16x4", "2.75"),
        ("convnet", "2.4"),
    ],
)
def test_parameter_counts_are_the_published_ones(name: str, millions: str) -> None:
    digits = len(millions.partition(".")[2])
    assert f"{describe_model(name, {}, (3, 32, 32), 10).n_params / 1e6:.{digits}f}" == millions


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn", "vgg19", "vgg19_bn"])
def test_vgg_has_torchvisions_convolutions_and_the_small_head(name: str) -> None:
    with torch.device("meta"):
        reference = torchvision.models.get_model(name, weights=None).features
    expected = [tuple(p.shape) for p in reference.parameters()]
    shapes = [tuple(p.shape) for p in check_model(name, {}, (3, 32, 32), 10).parameters()]
    assert shapes == [*expected, (512, 512), (512,), (512, 512), (512,), (10, 512), (10,)]


def test_dropout_of_vgg_precedes_both_hidden_layers() -> None:
    kinds = [type(m) for m in check_model("vgg16", {}, (3, 32, 32), 10).children()]
    assert kinds[-7:] == [nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Linear]


@pytest.mark.parametrize("name", ["resnet20", "preresnet164", "wide_resnet16x4", "convnet", "vgg16"])
def test_convolutions_start_as_he_et_al_2015(name: str) -> None:
    torch.manual_seed(0)
    network = MODELS[name]((3, 32, 32), 10)
    ratios = []
    for conv in (m for m in network.modules() if isinstance(m, nn.Conv2d)):
        expected = math.sqrt(2 / (conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels))
        ratios.append(float(conv.weight.detach().std()) / expected)
        assert conv.bias is None or not conv.bias.any()
    assert ratios == pytest.approx([1.0] * len(ratios), rel=0.2)
    assert sum(ratios) / len(ratios) == pytest.approx(1.0, rel=0.02)


def test_option_a_subsamples_and_appends_zero_channels() -> None:
    x = torch.arange(2 * 5 * 5.0).reshape(1, 2, 5, 5)
    out = ZeroPadShortcut(2, 4, 2)(x)
    assert out.shape == (1, 4, 3, 3)
    assert torch.equal(out[:, :2], x[:, :, ::2, ::2])
    assert not out[:, 2:].any()


@pytest.mark.parametrize("share", [False, True])
def test_a_preactivation_unit_without_residual_passes_its_shortcut(share: bool) -> None:
    residual = basic(4, 4, 1)
    nn.init.zeros_(residual[-1].weight)  # type: ignore[index]
    unit = PreactUnit(4, residual, nn.Identity(), share=share).eval()
    x = torch.randn(2, 4, 6, 6)
    expected = torch.relu(x / math.sqrt(1 + 1e-5)) if share else x
    torch.testing.assert_close(unit(x), expected)


def test_a_residual_unit_of_zeros_is_relu() -> None:
    unit = resnet20(IMAGE, 4).stage1[0].eval()  # type: ignore[union-attr, index]
    nn.init.zeros_(unit.norm2.weight)
    x = torch.randn(2, 16, 6, 6)
    torch.testing.assert_close(unit(x), torch.relu(x))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_a_layer(activation: str) -> None:
    kinds = [type(m) for m in mlp((3,), 2, hidden=(4,), activation=activation, dropout=0.1)]  # type: ignore[attr-defined]
    assert kinds == [nn.Flatten, nn.Linear, type(ACTIVATIONS[activation]()), nn.Dropout, nn.Linear]


def test_without_hidden_layers_an_mlp_is_a_linear_classifier() -> None:
    assert describe_model("mlp", {"hidden": []}, (64,), 10).n_params == 650


@pytest.mark.parametrize("name", [name for name in MODELS if name != "mlp"])
def test_convolutional_models_refuse_flat_inputs(name: str) -> None:
    with pytest.raises(RequestError, match=rf"model '{name}': input shape is \(64,\), allowed: images"):
        check_model(name, {}, (64,), 10)
