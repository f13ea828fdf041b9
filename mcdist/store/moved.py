"""The tables of noisy dynamics: mean drifts, relaxations, their traces, trials of studies."""

from __future__ import annotations

from mcdist.store.columns import BOOL, FRACTION, INT, NATS, REAL, STR, Column, Table
from mcdist.store.ensembles import RATES

__all__ = ["MOVED"]

_TEMPERATURE = (
    Column(
        "t_nominal",
        REAL,
        "nominal temperature: lr / batch_size / (1 - momentum) of minibatches and of noise that stands for them, T of "
        "isotropic noise of a given one, 0 without noise",
    ),
    Column(
        "t_measured",
        REAL,
        "temperature per parameter at the start: lr tr(Sigma) / (2 batch_size P) / (1 - momentum) with Sigma the "
        "covariance of the gradients of single examples; T of isotropic noise; 0 without noise",
    ),
    Column("gradient_noise", REAL, "tr(Sigma) at the start, of the loss in nats per example; null without examples"),
    Column("gradient_noise_stderr", REAL, "its standard error over examples; null likewise"),
)

_HOW = (
    Column("lr", REAL, "learning rate"),
    Column("batch_size", INT, "examples per step; null with full batches and a given T", "examples"),
    Column("momentum", REAL, "heavy-ball momentum"),
    Column("weight_decay", REAL, "coefficient of 0.5 |w|^2 in the loss that is followed, the problem's own included"),
    Column("noise", STR, "minibatch, isotropic or none (full batches)"),
    Column("sampling", STR, "minibatch: shuffled epochs or independent draws; null for others"),
)

_START = (
    Column("problem", STR, "label of the problem"),
    Column("path_id", STR, "the path"),
)

_OUTWARD = "towards the nearer end (from the middle: towards end b), as a part of the path's length"

MOVED = (
    Table(
        "drifts",
        "the mean drift of noisy replicas from one point of a path, against their noise-free twin, after so many steps",
        (
            *_START,
            Column("s", REAL, "where they started: arclength from end a over total length, in (0, 1)"),
            Column("t", REAL, "curve parameter there"),
            *_HOW,
            Column("seed", INT, "seed of minibatches and noise"),
            Column("steps", INT, "steps made", "steps"),
            Column("t_eff", REAL, "effective time: steps x lr / (1 - momentum)"),
            Column("replicas", INT, "independent runs whose numbers stayed finite"),
            Column("diverged", INT, "those whose did not: left out"),
            Column("outward", INT, "1 where the nearer end is b, -1 where it is a, null in the middle"),
            Column(
                "drift_full_batch",
                REAL,
                f"displacement along the tangent of the noise-free twin (full batches, as many steps), {_OUTWARD}",
            ),
            Column(
                "drift_noise",
                REAL,
                f"mean displacement along the tangent of the replicas less that of the twin, {_OUTWARD}",
            ),
            Column("stderr", REAL, "standard error of drift_noise over replicas"),
            Column("spread", REAL, "standard deviation of that displacement over replicas, as a part of the length"),
            Column(
                "excursion",
                REAL,
                "root mean square distance of the replicas from the tangent line, as a part of the path's length",
            ),
            Column("excursion_full_batch", REAL, "distance of the twin from the tangent line, likewise"),
            Column("path_length", REAL, "Euclidean length of the path"),
            Column("n_params", INT, "parameters P"),
            Column("value", REAL, "mean training loss of the twin over its steps, weight decay left out", NATS),
            *_TEMPERATURE,
        ),
    ),
    Table(
        "relaxations",
        "one noisy run from one point of a path, held to the path",
        (
            *_START,
            Column("s0", REAL, "where it started: arclength from end a over total length, in (0, 1)"),
            Column("replica", INT, "which of the runs from there, from 0"),
            Column("optimizer", STR, "sgd, adam or adamw"),
            Column("nesterov", BOOL, "whether its momentum was Nesterov's"),
            *_HOW,
            Column("temperature", REAL, "T that was given; null for others"),
            Column("k_project", INT, "steps between projections onto the path; null: never projected", "steps"),
            Column("buffers", STR, "what became of momentum and moments at a projection: keep, zero or project"),
            Column("seed", INT, "seed of minibatches and noise"),
            *_TEMPERATURE,
            Column("time_limit", REAL, "effective time after which a run is broken off"),
            Column("steps", INT, "steps made", "steps"),
            Column("t_eff", REAL, "effective time of those"),
            Column("margin", REAL, "it has arrived where s < margin or s > 1 - margin"),
            Column("end", STR, "the end that it reached first, a or b; null where it reached none"),
            Column("t_first_passage", REAL, "effective time of the first look that found it there; null if none did"),
            Column("censored", BOOL, "whether it was broken off before it arrived"),
            Column("diverged", BOOL, "whether its loss or weights left the finite numbers; it then counts as neither"),
            Column("s_last", REAL, "where it was at the last look"),
            Column("drift", REAL, f"s_last less s0, {_OUTWARD}"),
            Column("residual", REAL, "root mean square distance from the path at looks, as a part of its length"),
            Column("path_length", REAL, "Euclidean length of the path"),
            Column("n_params", INT, "parameters P"),
        ),
    ),
    Table(
        "relaxation_traces",
        "one look at one run",
        (
            Column("path_id", STR, "the path"),
            Column("s0", REAL, "where the run started"),
            Column("replica", INT, "which of the runs from there"),
            Column("step", INT, "steps made", "steps"),
            Column("t_eff", REAL, "effective time of those"),
            Column("s", REAL, "arclength fraction of the nearest point of the path"),
            Column("residual", REAL, "distance from it before the projection, as a part of the path's length"),
            Column(
                "train_loss", REAL, "mean loss over the steps since the look before, as trained, decay left out", NATS
            ),
        ),
    ),
    Table(
        "trials",
        "one trial of a study: many runs at one setting, or trajectories of several seeds",
        (
            Column("trial_id", STR, "the task that summed it up"),
            Column("problem", STR, "label of the problem"),
            Column("subject", STR, "what was tried: relaxation or ensemble"),
            Column("parameters", STR, "the whole setting, JSON"),
            Column("optimizer", STR, "sgd, adam or adamw"),
            *_HOW,
            Column("k_project", INT, "steps between projections onto the path; null: never projected", "steps"),
            Column("t_nominal", REAL, "nominal temperature, as in relaxations"),
            Column("t_measured", REAL, "mean of the measured temperatures"),
            Column("time_limit", REAL, "effective time after which a run is broken off"),
            Column("paths", INT, "paths"),
            Column("runs", INT, "runs that did not diverge"),
            Column("arrived", INT, "runs that reached an end"),
            Column("censored", INT, "runs that were broken off before"),
            Column("diverged", INT, "runs that left the finite numbers"),
            Column("exposure", REAL, "effective time that all runs spent on the way, censored ones included"),
            Column(
                "relaxation_time",
                REAL,
                "exposure / arrived: mean time of an exponential law, censoring accounted for; null if none arrived",
            ),
            Column("method", STR, "ensemble: fge or snapshot; null for others, as the columns that follow"),
            *RATES,
            Column("seeds", INT, "networks, each from a seed of its own"),
            Column("members", INT, "members of each network when it ended"),
            Column("members_planned", INT, "members that the budget holds"),
            Column(
                "complete",
                BOOL,
                "whether it was given its whole budget; trials that were stopped early are not at "
                "random, and enter no statistic",
            ),
            Column(
                "epochs_used", REAL, "epochs of training of each network, those before the cycles included", "epochs"
            ),
            Column(
                "val_nll", REAL, "validation negative log-likelihood of the ensemble at the end, mean over seeds", NATS
            ),
            Column("val_nll_stderr", REAL, "its standard error over the seeds; null for one", NATS),
            Column("val_error", REAL, "validation error, likewise", FRACTION),
        ),
    ),
)
