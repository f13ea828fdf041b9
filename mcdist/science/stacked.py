"""Any torch module as a function of K stacked points, untouched, by torch.func."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mcdist.errors import RequestError
from mcdist.science.bound import BoundModule
from mcdist.science.layout import Layout
from mcdist.science.norms import Norm, StackedNorms
from mcdist.science.points import Points

__all__ = ["Mode", "StackedModule", "convolutional"]

Mode = Literal["train", "eval", "statistics"]
"""statistics: BatchNorm alone is in train mode."""


class StackedModule:
    """A module evaluated at K points at once.

    The trainable parameters make up `theta`; everything else in the module's state (buffers, frozen parameters) is
    carried per point in `buffers`. K > 1 runs as one vmap; one point, a module that draws random numbers
    (Dropout), and convolutions on a CPU (where grouped kernels are slower than one network after the other) run
    plainly, point by point. Which way is taken changes float rounding only. channels_last: give images to what runs
    plainly in that memory format (rounding only, too).
    """

    def __init__(
        self, module: nn.Module, device: torch.device, dtype: torch.dtype, *, channels_last: bool = False
    ) -> None:
        self.module = module.to(device=device, dtype=dtype)
        self.device, self.dtype = device, dtype
        trainable = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        self.layout = Layout.of(trainable)
        self._norms = StackedNorms(self.module, dtype)
        self._state_names = self._names_of_state(trainable)
        self.random = False  # set by `probe`
        self.widest = 0  # set by `probe`
        self._mode: Mode | None = None
        self.pointwise = convolutional(self.module) and device.type == "cpu"
        self._bound = BoundModule(self.module, self.layout)
        self._channels_last = channels_last

    @property
    def norms(self) -> list[Norm]:
        """Its BatchNorm layers."""
        return self._norms.all

    def _names_of_state(self, trainable: Mapping[str, Tensor]) -> dict[str, tuple[str, str]]:
        """For each key of the state_dict: ("theta" or "buffers", name there); tied tensors share a name."""
        known = {id(p): ("theta", n) for n, p in trainable.items()}
        tensors = self.module.state_dict(keep_vars=True)
        return {key: known.setdefault(id(tensor), ("buffers", key)) for key, tensor in tensors.items()}

    def _carried(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What of a state_dict goes into the buffers of a point."""
        return {name: state[name] for kind, name in self._state_names.values() if kind == "buffers"}

    def probe(self, inputs: Tensor) -> None:
        """Find out on a few examples whether torch.func can follow the module at two points at once.

        Learns on the way whether it draws random numbers in train mode (`random`), and the most elements that one of
        its modules gives for one example (`widest`). inputs: [B, ...]. Raises RequestError with the reason where
        torch.func cannot follow, or where random numbers are drawn in eval mode too.
        """
        one = self.take()
        two = Points.stack([one, one])

        def measure(module: nn.Module, args: object, output: object) -> None:
            if isinstance(output, Tensor):
                self.widest = max(self.widest, output.numel() // len(inputs))

        hooks = [module.register_forward_hook(measure) for module in self.module.modules()]
        try:
            self.random = self._draws("train", two, inputs)
            if self.random and self._draws("statistics", two, inputs):
                name = type(self.module).__name__
                raise RequestError(f"the forward of {name} draws random numbers in eval mode: its loss is no number")
        finally:
            for hook in hooks:
                hook.remove()

    def _draws(self, mode: Mode, points: Points, inputs: Tensor) -> bool:
        """Whether the forward in this mode draws random numbers. Raises RequestError where it cannot be stacked."""
        self.switch(mode)
        try:
            with torch.no_grad():
                self._stacked(points, inputs, shared=True)
        except Exception as error:  # whatever code that is not ours raises
            if "randomness" in str(error):
                return True
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise RequestError(
                f"the forward of {type(self.module).__name__} does what torch.func cannot follow: {reason} "
                "(no .item(), no data-dependent branches, no in-place change of a constant by a weight)"
            ) from error
        return False

    def take(self) -> Points:
        """The module's own present weights as one point (K = 1), copied."""
        state = self.module.state_dict()
        theta = self.layout.flatten({n: p.detach() for n, p in self.module.named_parameters() if p.requires_grad})
        buffers = {name: b.detach().clone()[None] for name, b in self._carried(state).items()}
        return Points(theta[None].clone(), buffers)

    def state(self, points: Points, k: int) -> dict[str, Tensor]:
        """Point k as the module's state_dict, on the CPU."""
        views = self.layout.views(points.theta[k])
        sources = {"theta": views, "buffers": {name: b[k] for name, b in points.buffers.items()}}
        return {
            key: sources[kind][name].detach().cpu().clone().contiguous()
            for key, (kind, name) in self._state_names.items()
        }

    def point(self, state: Mapping[str, Tensor]) -> Points:
        """The point (K = 1) of a state_dict. Raises RequestError where it does not fit the module."""
        own = self.module.state_dict()
        missing = [key for key in own if key not in state]
        extra = [key for key in state if key not in own]
        if missing or extra:
            raise RequestError(f"these weights are not the model's: missing {missing}, unknown {extra}")
        for key, tensor in own.items():
            if state[key].shape != tensor.shape:
                raise RequestError(
                    f"these weights are not the model's: {key} is {list(state[key].shape)}, not {list(tensor.shape)}"
                )
        theta = self.layout.flatten(state).to(self.device, self.dtype)
        buffers = {name: b.to(own[name], copy=True)[None] for name, b in self._carried(state).items()}
        return Points(theta[None], buffers)

    def switch(self, mode: Mode) -> None:
        """Put the module in train or eval mode; "statistics" has BatchNorm alone in train mode."""
        if mode == self._mode:
            return
        self.module.train(mode == "train")
        if mode == "statistics":
            for norm in self.norms:
                norm.train()
        self._mode = mode

    def __call__(
        self, points: Points, inputs: Tensor, *, shared: bool = False, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Outputs [K, B, ...] at K points, in the mode that is set; differentiable in `points.theta`.

        inputs: [K, B, ...], or [B, ...] for all points (`shared`). seeds: K seeds of the module's own random
        numbers, for a module that draws any.
        """
        if len(points) > 1 and not self.pointwise and seeds is None:
            return self._stacked(points, inputs, shared)
        return torch.stack(
            [
                self._one(points, k, inputs if shared else inputs[k], None if seeds is None else seeds[k])
                for k in range(len(points))
            ]
        )

    def _stacked(self, points: Points, inputs: Tensor, shared: bool) -> Tensor:
        with self._norms.scaling(self._mode != "train"):
            outputs: Tensor = vmap(self._call, in_dims=(0, 0, None if shared else 0))(
                self.layout.views(points.theta), points.buffers, inputs
            )
        return outputs

    def _one(self, points: Points, k: int, inputs: Tensor, seed: int | None) -> Tensor:
        buffers = {name: b[k] for name, b in points.buffers.items()}  # views: what the module writes stays
        inputs = self._laid_out(inputs)
        with self._seeded(seed):
            if torch.is_grad_enabled():
                return self._call(self.layout.views(points.theta[k]), buffers, inputs)
            self._bound.bind(points.theta[k], buffers)
            return self._bound(inputs)

    def gradient(
        self,
        points: Points,
        inputs: Tensor,
        judge: Callable[[int, Tensor], tuple[Tensor, Tensor]],
        seeds: Sequence[int] | None = None,
        precision: torch.dtype | None = None,
    ) -> tuple[Tensor, Tensor, Tensor] | None:
        """Loss [K], error [K] and gradient [K, P] (written anew by the next call), point by point, plainly.

        inputs: [K, B, ...]. judge: k and outputs [B, ...] -> loss and error. None where a stack is the way.
        """
        if len(points) > 1 and not self.pointwise and seeds is None:
            return None
        found = []
        for k in range(len(points)):
            self._bound.bind(points.theta[k], {name: b[k] for name, b in points.buffers.items()})
            with self._seeded(None if seeds is None else seeds[k]):
                loss, error, grad = self._bound.gradient(self._laid_out(inputs[k]), partial(judge, k), precision)
            found.append((loss, error, grad if len(points) == 1 else grad.clone()))
        if len(found) == 1:
            loss, error, grad = found[0]
            return loss[None], error[None], grad[None]
        losses, errors, grads = (torch.stack(parts) for parts in zip(*found, strict=True))
        return losses, errors, grads

    def _laid_out(self, inputs: Tensor) -> Tensor:
        if self._channels_last and inputs.dim() == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    @contextmanager
    def _seeded(self, seed: int | None) -> Iterator[None]:
        """The module's own random numbers come from this seed; the global streams stay as they are."""
        if seed is None:
            yield
            return
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield

    def _call(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self.module, {**parameters, **buffers}, (inputs,))
        return outputs


def convolutional(module: nn.Module) -> bool:
    """Whether a module has convolutions: stacks of those are no faster on a CPU than one after the other."""
    return any(isinstance(m, nn.modules.conv._ConvNd) for m in module.modules())
