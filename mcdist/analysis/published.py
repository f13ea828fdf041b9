"""Published numbers that a sweep can be set beside, as data: what, by whom, on which data and networks.

They were taken from the papers' tables and from summaries of them; what each was published for is part of it, since
a number for CIFAR-100 is no prediction for digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

__all__ = ["PUBLISHED", "PUBLISHED_ENSEMBLES", "Published", "PublishedEnsemble"]


@dataclass(frozen=True)
class Published:
    """One published number.

    name: stable, for notebooks. quantity: what of a path it is, a key of QUANTITIES. text: the value as published.
    low, high: its range, equal for one number, None where it is open. kinds: path families of this platform that it
    is set beside; the paper's own comes first. data, models: names in this platform of what it was published for.
    setting: the same in words. note: what else a reader must know.
    """

    name: str
    source: str
    quantity: str
    text: str
    low: float | None
    high: float | None
    kinds: tuple[str, ...]
    data: tuple[str, ...]
    models: tuple[str, ...]
    setting: str
    note: str = ""


QUANTITIES = {
    "max_train_loss": "greatest train loss on the path / that of the worse end",
    "min_train_loss": "least train loss on the path / that of the better end",
    "max_test_error": "greatest test error on the path − that of the worse end",  # noqa: RUF001
    "test_error_rise": "greatest test error on the path − mean of the ends",  # noqa: RUF001
    "stretch": "length of the path / its chord",
    "fisher_trace": "Fisher trace at mid-path / mean of the ends",
    "lambda_max": "largest Hessian eigenvalue at mid-path / mean of the ends",
    "leading_spectrum": "leading Hessian eigenvalues at mid-path / mean of the ends: the least of the ratios",
}
"""What is compared, in words; errors are fractions, all else ratios."""

_WITH_DECAY = "the loss includes 0.5 x weight decay x squared norm, here that of the path's training"
_DI_CARLO = partial(
    Published,
    source="Di Carlo, Goddard, Schwab 2025",
    kinds=("autoneb", "bezier"),
    data=("cifar10", "cifar100"),
    models=("resnet20", "resnet110", "wide_resnet16x4"),
    setting="CIFAR-10 and -100; ResNet-20, ResNet-110, WRN-16-4",
    note="from summaries of the paper, which do not say which network each number is for",
)
_DRAXLER = partial(
    Published,
    source="Draxler et al. 2018",
    kinds=("autoneb",),
    data=("cifar10",),
    models=("resnet20", "resnet56", "resnet110"),
    setting="CIFAR-10, ResNets",
)

_NAMES = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "vgg16": "VGG-16",
    "preresnet164": "PreResNet-164",
    "wide_resnet28x10": "WRN-28-10",
}

# data, network, kind: train loss of the ends, least and greatest on the curve; test error % of the worse end,
# greatest on the curve (Garipov et al. 2018)
_GARIPOV = (
    ("cifar100", "vgg16", "bezier", 0.89, 0.48, 0.89, 27.5, 30.1),
    ("cifar100", "vgg16", "chain", 0.89, 0.59, 1.05, 27.5, 30.8),
    ("cifar100", "preresnet164", "bezier", 0.49, 0.26, 0.49, 21.6, 23.4),
    ("cifar100", "wide_resnet28x10", "bezier", 0.20, 0.11, 0.21, 18.9, 19.2),
    ("cifar10", "vgg16", "bezier", 0.24, 0.14, 0.24, 6.94, 7.75),
    ("cifar10", "preresnet164", "bezier", 0.18, 0.09, 0.18, 4.76, 4.97),
)


def _garipov(
    data: str, model: str, kind: str, ends: float, least: float, most: float, error: float, worst: float
) -> list[Published]:
    values = {
        "max_train_loss": (most / ends, 2, _WITH_DECAY),
        "min_train_loss": (least / ends, 2, _WITH_DECAY),
        "max_test_error": ((worst - error) / 100, 4, ""),
    }
    return [
        Published(
            name=f"garipov-{data}-{model}-{kind}-{quantity.replace('_', '-')}",
            source="Garipov et al. 2018",
            quantity=quantity,
            text=f"{value:.{places}f}",
            low=round(value, places),
            high=round(value, places),
            kinds=(kind,),
            data=(data,),
            models=(model,),
            setting=f"{_NAMES[data]}, {_NAMES[model]}",
            note=note,
        )
        for quantity, (value, places, note) in values.items()
    ]


PUBLISHED = (
    *(entry for row in _GARIPOV for entry in _garipov(*row)),
    _DRAXLER(name="draxler-stretch", quantity="stretch", text="1.5 to 2.5", low=1.5, high=2.5),
    _DRAXLER(
        name="draxler-test-error-rise",
        quantity="test_error_rise",
        text="at most 0.005",
        low=None,
        high=0.005,
    ),
    _DI_CARLO(name="di-carlo-fisher-trace", quantity="fisher_trace", text="2 to 3", low=2.0, high=3.0),
    _DI_CARLO(name="di-carlo-lambda-max", quantity="lambda_max", text="about 2", low=2.0, high=2.0),
    _DI_CARLO(
        name="di-carlo-leading-spectrum",
        quantity="leading_spectrum",
        text="above 1",
        low=1.0,
        high=None,
    ),
)
"""The published numbers, by paper."""


@dataclass(frozen=True)
class PublishedEnsemble:
    """One published accuracy of an ensemble on a test split.

    name, source, data, models, setting: as of `Published`. method: this platform's name. budget: allowed epochs as a
    multiple of what trains one network. accuracy: in percent.
    """

    name: str
    source: str
    method: str
    budget: int
    accuracy: float
    data: tuple[str, ...]
    models: tuple[str, ...]
    setting: str


# network: accuracy % on CIFAR-100 at budgets of 1, 2, 3, of independent networks and of FGE (Garipov et al. 2018)
_GARIPOV_ENSEMBLES = {
    "vgg16": {"independent": (72.5, 74.8, 75.6), "fge": (74.6, 76.1, 76.6)},
    "preresnet164": {"independent": (78.4, 80.5, 81.6), "fge": (80.3, 81.3, 81.7)},
    "wide_resnet28x10": {"independent": (80.8, 82.4, 83.0), "fge": (82.3, 82.9, 83.2)},
}

PUBLISHED_ENSEMBLES = tuple(
    PublishedEnsemble(
        name=f"garipov-cifar100-{model}-{method}-{budget}",
        source="Garipov et al. 2018",
        method=method,
        budget=budget,
        accuracy=accuracy,
        data=("cifar100",),
        models=(model,),
        setting=f"CIFAR-100, {_NAMES[model]}",
    )
    for model, methods in _GARIPOV_ENSEMBLES.items()
    for method, accuracies in methods.items()
    for budget, accuracy in enumerate(accuracies, 1)
)
"""The published accuracies of ensembles at equal budget."""
