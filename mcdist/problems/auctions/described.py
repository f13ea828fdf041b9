"""What is said of an end point of an auction: tables `menus` and `menu_options`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mcdist.science.auctions import (
    Atoms,
    Maximizers,
    Menus,
    Options,
    Outcome,
    Setting,
    capacity,
    choose,
    judge,
    matter,
    regions,
    shares,
)
from mcdist.science.points import Points
from mcdist.science.problem import Rows

if TYPE_CHECKING:
    from mcdist.problems.auctions.auction import Auction

__all__ = ["described"]

_MEASURED = ("revenue", "stderr", "revenue_exact", "n_active")


def described(problem: Auction, point: Points, said: Mapping[str, Any]) -> Rows:
    """The rows of one settled point (K = 1); none of one whose numbers are not finite.

    said: its row of table `endpoints`, and its metrics. What is not known is left out.
    """
    if not bool(torch.isfinite(point.theta).all()):
        return {}
    options = problem.options(point.theta.detach().double())
    outcome = options.outcome(problem.held_out)
    return {
        "menus": [
            _named(problem, said)
            | _measured(problem, options, said)
            | _optimum(problem.setting)
            | _reducible(problem, options, outcome)
        ],
        "menu_options": _options(problem, options, outcome, exact="revenue_exact" in said),
    }


def _named(problem: Auction, said: Mapping[str, Any]) -> dict[str, Any]:
    """What it is, and how it was trained."""
    trained = ("epochs", "optimizer", "lr", "momentum", "weight_decay", "batch_size", "schedule")
    row = {
        "problem": said["problem"],
        "setting": said["dataset"],
        "mechanism": said["model"],
        "n": problem.laws[0].items,
        "m": len(problem.laws),
        "menu_size": problem.size,
        "allocation": problem.allocation,
        "kappa": problem.kappa,
        "seed": said["seed"],
    } | {name: said[name] for name in trained if name in said}
    if "epochs" in said:
        row["iterations"] = said["epochs"] * problem.sampling.iterations
    return row


def _measured(problem: Auction, options: Options, said: Mapping[str, Any]) -> dict[str, Any]:
    soft = problem.soft(options, problem.held_out)
    found = {"revenue_soft": float(soft), "held_out": len(problem.held_out)}
    found |= {name: said[name] for name in _MEASURED if name in said}
    if "n_active" in found:
        found["n_active"] = int(found["n_active"])
    bound = problem.bound
    return found if math.isinf(bound) else found | {"bound": bound}


def _optimum(setting: Setting | None) -> dict[str, Any]:
    """What is known of the best revenue; nothing of a setting that has no name."""
    row: dict[str, Any] = {}
    if setting is not None and setting.revenue is not None:
        row |= {"revenue_optimal": setting.revenue, "optimal_source": setting.source}
    if setting is not None and setting.baselines:
        best = max(setting.baselines, key=lambda name: setting.baselines[name])
        row |= {"revenue_baseline": setting.baselines[best], "baseline": best}
    return row


def _reducible(problem: Auction, options: Options, outcome: Outcome) -> dict[str, Any]:
    """Options chosen on the fit sample, judged there and on the held-out one. outcome: on the latter."""
    fit = options.outcome(problem.fit)
    index = choose(fit, problem.size)
    there, here = judge(fit, index), judge(outcome, index)
    return {
        "capacity": capacity(problem.size),
        "n_kept": len(index),
        "reducibility_fit": there.eps,
        "reducibility": here.eps,
        "dropped_revenue": here.dropped,
    } | _weights(options)


def _weights(options: Options) -> dict[str, Any]:
    return {"bidder_weights": options.w[0].tolist()} if isinstance(options, Maximizers) else {}


def _options(problem: Auction, options: Options, outcome: Outcome, *, exact: bool) -> list[dict[str, Any]]:
    """A row for the default and for each option that matters on the held-out sample, or is taken by a region.

    exact: whether there are masses that are no shares of a sample.
    """
    share = shares(outcome, problem.size)[0]
    there = _regions(problem, options) if exact else {}
    some = matter(outcome, problem.size)[0]
    some[list(there)] = True
    rows = torch.nn.functional.pad(options.rows()[0], (0, 0, 1, 0))  # the default first
    last = "price" if isinstance(options, Menus) else "boost"
    return [
        {
            "option": k,
            "allocation": rows[k, :-1].tolist(),
            last: float(rows[k, -1]),
            "share": float(share[k]),
        }
        | (there.get(k, {"mass": 0.0}) if exact else {})
        for k in some.nonzero()[:, 0].tolist()
    ]


def _regions(problem: Auction, options: Options) -> dict[int, dict[str, Any]]:
    """By option, the mass of the set of valuations that take it, and its corners where it is no set of atoms."""
    law = problem.laws[0]
    assert isinstance(options, Menus)
    if isinstance(law, Atoms):
        mass = _of_atoms(options, law)
        return {k: {"mass": float(mass[k])} for k in mass.nonzero()[:, 0].tolist()}
    return {r.option: {"mass": r.mass, "corners": r.corners.tolist()} for r in regions(options, law)}


def _of_atoms(options: Menus, law: Atoms) -> Tensor:
    """[M + 1], the probability that each option is taken."""
    taken = options.outcome(torch.tensor(law.points, dtype=torch.float64)).taken[0, :, 0]
    mass = torch.zeros(options.size + 1, dtype=torch.float64, device=taken.device)
    return mass.index_add_(0, taken, torch.from_numpy(law.probabilities).to(mass.device))
