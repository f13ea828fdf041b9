"""Models from elsewhere: torchvision's classifiers by name, and any factory that can be imported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from torch import nn

from mcdist.errors import RequestError, unknown_name
from mcdist.problems.elsewhere import imported

__all__ = ["from_factory", "from_torchvision"]

SIZES = ("input_shape", "n_classes", "num_classes")


def from_torchvision(name: str, args: Mapping[str, object], n_classes: int) -> nn.Module:
    """torchvision's classifier `name`, untrained, with `args` for its own builder.

    Raises RequestError for a name that torchvision lacks, or arguments that its builder rejects.
    """
    import torchvision.models  # takes seconds to import

    allowed = torchvision.models.list_models(module=torchvision.models)  # others would download their backbones
    if name not in allowed:
        raise RequestError(unknown_name("model of torchvision", name, allowed))
    fixed = [key for key in ("weights", "num_classes") if key in args]
    if fixed:
        raise RequestError(f"model 'torchvision:{name}': argument {fixed[0]!r} is set by mcdist, leave it out")
    return _call(f"torchvision:{name}", torchvision.models.get_model, name, weights=None, num_classes=n_classes, **args)


def from_factory(name: str, args: Mapping[str, object], input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """The module that the factory `name` = "package.module:factory" returns for `args`.

    input_shape, n_classes and num_classes are added where the factory's signature names them. Raises
    RequestError where the factory cannot be imported, rejects the arguments, raises, or returns something
    else than a torch.nn.Module.
    """
    factory = _import(name)
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError) as error:
        raise RequestError(f"model {name!r}: not a function with a signature ({error})") from error
    sizes = dict(zip(SIZES, (input_shape, n_classes, n_classes), strict=True))
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for key in args:
        if key in sizes or (key not in parameters and not open_ended):
            own = [p for p in parameters if p not in sizes]
            raise RequestError(unknown_name(f"argument of model {name!r}", key, own))
    return _call(name, factory, **args, **{key: value for key, value in sizes.items() if key in parameters})


def _import(name: str) -> Callable[..., object]:
    factory = imported(name, f"model {name!r}:", "package.module:factory")
    if not callable(factory):
        attribute = name.partition(":")[2]
        raise RequestError(f"model {name!r}: {attribute!r} is {type(factory).__name__}, allowed: a callable")
    called: Callable[..., object] = factory
    return called


def _call(name: str, build: Callable[..., object], *args: object, **kwargs: object) -> nn.Module:
    try:
        module = build(*args, **kwargs)
    except Exception as error:  # code that is not ours
        raise RequestError(f"model {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise RequestError(f"model {name!r}: returned {type(module).__name__}, allowed: a torch.nn.Module")
    return module
