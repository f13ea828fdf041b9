"""What a GPU makes of it: packs against one network after the other, and steps of networks that fill it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from mcdist.bench.plain import PlainNetwork, sgd_batches
from mcdist.bench.problems import digits_mlp, image_problem
from mcdist.bench.row import Number, Row, at_least, compared
from mcdist.bench.stepping import Stepping
from mcdist.bench.suite import Skipped, Suite
from mcdist.bench.timing import Contender, interleaved
from mcdist.execute.compilation import Compiler, cache_folder
from mcdist.execute.programs import Programs
from mcdist.problems.classification import Classification
from mcdist.tasks.work import Way

__all__ = ["GPU", "alone_row", "pack_row"]

SMALL = {"channels": [16, 32], "convs": 1, "hidden": [32]}
WAYS = {"stack": None, "stack, one graph": Way(graphed=True)}


def rows(repeats: int) -> Iterator[Row]:
    """Packs first, then networks alone, each with the share of the device's matrix rate that it gets."""
    if not torch.cuda.is_available():
        raise Skipped("no GPU")
    yield pack_row("MLP end points", digits_mlp("cuda"), 32, 512, 100, repeats, 20.0)
    small = image_problem("convnet", device="cuda", args=SMALL, size=16, train=2560)
    yield pack_row("small ConvNet end points", small, 32, 128, 50, repeats, 20.0)
    for name, model in (("ResNet-20", "resnet20"), ("WRN-16-4", "wide_resnet16x4")):
        yield alone_row(name, image_problem(model, device="cuda", channels_last=True, train=5120), 128, 20, repeats)


def pack_row(name: str, problem: Classification, batch: int, K: int, steps: int, repeats: int, aim: float) -> Row:
    """K networks as one stack, over plain PyTorch: time per network of so many steps."""
    device = problem.device
    programs = Programs(Compiler(cache_folder()))
    contenders: dict[str, Contender] = {"plain": _plain(problem, batch, steps, channels_last=False)}
    for label, way in WAYS.items():
        if way is not None and device.type != "cuda":
            continue
        accelerate = None if way is None else programs.accelerate(f"{name} {label}", way)
        stepping = Stepping(problem, K, batch, accelerate=accelerate)
        contenders[label] = _per(K, _timed(partial(stepping.run, steps), device))
    taken = interleaved(contenders, repeats, warm_up=1)
    best = min((label for label in contenders if label != "plain"), key=taken.median)
    rates = [Number(f"{label}, steps a second and network", steps / taken.median(label), "/s") for label in contenders]
    return compared(f"{name}, {K} packed", taken, "plain", best, aim=at_least(aim), numbers=rates)


def alone_row(name: str, problem: Classification, batch: int, steps: int, repeats: int) -> Row:
    """One network, mcdist over plain PyTorch in the same memory format, and its share of the matrix rate."""
    device = problem.device
    contenders: dict[str, Contender] = {"plain": _plain(problem, batch, steps, channels_last=True)}
    stepping = Stepping(problem, 1, batch, weight_decay=5e-4)
    contenders["mcdist"] = _timed(partial(stepping.run, steps), device)
    if device.type == "cuda":
        accelerate = Programs(Compiler(cache_folder())).accelerate(name, Way(graphed=True))
        graphed = Stepping(problem, 1, batch, accelerate=accelerate, weight_decay=5e-4)
        contenders["mcdist, one graph"] = _timed(partial(graphed.run, steps), device)
    taken = interleaved(contenders, repeats, warm_up=1)
    best = min((label for label in contenders if label != "plain"), key=taken.median)
    numbers = [Number(f"{label}, steps a second", steps / taken.median(label), "/s") for label in contenders]
    rate = _matrix_rate(device)
    achieved = _flops(problem, batch) * steps / taken.median(best)
    numbers += [Number("matrix rate, float32", rate / 1e12, "TFLOP/s"), Number("of it", achieved / rate, "x")]
    return compared(f"{name}, batch {batch}", taken, "plain", best, numbers=numbers)


def _plain(problem: Classification, batch: int, steps: int, *, channels_last: bool) -> Contender:
    x, y = problem.data_of("train")
    network = problem.fresh_module()
    if channels_last and x.dim() == 4:
        x, network = x.to(memory_format=torch.channels_last), network.to(memory_format=torch.channels_last)
    plain = PlainNetwork(network, 0.01, 5e-4 if channels_last else 0.0)
    return _timed(lambda: plain.train(sgd_batches(x, y, batch, steps)), problem.device)


def _timed(work: Callable[[], None], device: torch.device) -> Contender:
    """Seconds until the device has done what the work started."""

    def contender() -> float:
        started = time.perf_counter()
        work()
        _wait(device)
        return time.perf_counter() - started

    return contender


def _per(number: int, contender: Contender) -> Contender:
    return lambda: contender() / number


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _flops(problem: Classification, batch: int) -> float:
    """Multiplications and additions of a training step, counted by torch."""
    x, y = (part[:batch] for part in problem.data_of("train"))
    module = problem.fresh_module()
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(module(x), y).backward()
    return float(counter.get_total_flops())


def _matrix_rate(device: torch.device, size: int = 4096) -> float:
    """Operations a second of a large product of float32 matrices, with torch's settings as they are."""
    n = size if device.type == "cuda" else 512
    a, b = (torch.randn(n, n, device=device) for _ in range(2))

    def multiply() -> None:
        for _ in range(10):
            a @ b

    product = _timed(multiply, device)
    product()
    return 10 * 2.0 * n**3 / min(product() for _ in range(3))


GPU = Suite("on a GPU: packs / one by one; networks alone / plain PyTorch", repeats=5, rows=rows)
