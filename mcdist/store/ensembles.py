"""The tables of ensembles: the runs that make members, ensembles, their members, cycles of a study's trials."""

from __future__ import annotations

from mcdist.store.columns import BOOL, FRACTION, INT, NATS, REAL, STR, Column, Table

__all__ = ["ENSEMBLES", "RATES"]

RATES = (
    Column("start", INT, "epochs of usual training before the cycles; null where there are none", "epochs"),
    Column("lr1", REAL, "highest rate of a cycle; null likewise"),
    Column("lr2", REAL, "lowest rate of a triangular cycle; null for others"),
    Column("cycle", REAL, "epochs of a triangular cycle; null for others", "epochs"),
    Column("cycles", INT, "cosine cycles of a run; null for others"),
)

_JUDGED = (
    Column("val_error", REAL, "misclassified part of the validation split, null without one", FRACTION),
    Column("val_nll", REAL, "mean negative log-likelihood on the validation split, null without one", NATS),
    Column("test_error", REAL, "misclassified part of the test split", FRACTION),
    Column("test_nll", REAL, "mean negative log-likelihood on the test split", NATS),
)

ENSEMBLES = (
    Table(
        "trajectories",
        "one look at a network on its way with a cyclic rate, BatchNorm statistics re-estimated there",
        (
            Column("trajectory_id", STR, "the task that trained it"),
            Column("problem", STR, "label of the problem"),
            Column("seed", INT, "seed of initial weights and data order"),
            Column("parent_id", STR, "what it started from (table `tasks`); null where that is the seed"),
            Column("rate", STR, "triangle or cosine"),
            *RATES,
            Column("iteration", INT, "steps since the cycles began, from 0: before the first one", "steps"),
            Column("epoch", REAL, "epochs trained in all, those before the cycles included", "epochs"),
            Column("lr", REAL, "rate of the step just made; at iteration 0 of the next one"),
            Column("member", INT, "which member was taken here, from 0; null where none was"),
            Column(
                "train_loss", REAL, "mean minibatch loss since the look before, as trained; null at iteration 0", NATS
            ),
            *_JUDGED,
            Column("distance", REAL, "Euclidean distance of the weights from those at iteration 0"),
        ),
    ),
    Table(
        "ensembles",
        "one ensemble: the mean of its members' softmax probabilities, judged",
        (
            Column("ensemble_id", STR, "the task that judged it"),
            Column("problem", STR, "label of the problem"),
            Column("method", STR, "independent, snapshot, fge, swa or curve"),
            Column("seed", INT, "seed of its first network; ensembles of one seed share it, those of others nothing"),
            Column("restarts", BOOL, "whether a greater budget is several runs (else one long run); null for others"),
            *RATES,
            Column("points", INT, "positions on the curve; null for others"),
            Column("size", INT, "members (swa: averages)"),
            Column("runs", INT, "networks that were trained from seeds of their own"),
            Column("budget", INT, "allowed epochs as a multiple of what trains one end point"),
            Column("budget_epochs", INT, "allowed epochs", "epochs"),
            Column("epochs_used", REAL, "epochs of training until the last member; never more", "epochs"),
            *_JUDGED,
            Column("brier", REAL, "test: mean over examples of sum_c (p_c - [c is right])^2, in [0, 2]"),
            Column("ece", REAL, "test: expected calibration error, 15 bins of equal width", FRACTION),
            Column(
                "disagreement",
                REAL,
                "test: mean over pairs of members of the part of examples where their predictions differ; null for one",
                FRACTION,
            ),
            Column("mean_member_error", REAL, "test: mean error of the members", FRACTION),
            Column("best_member_error", REAL, "test: least error of a member (chosen on the test split)", FRACTION),
            Column("oracle_error", REAL, "test: part of examples that every member gets wrong", FRACTION),
            Column("mean_member_nll", REAL, "test: mean negative log-likelihood of the members", NATS),
        ),
    ),
    Table(
        "ensemble_members",
        "one member of one ensemble, in the order in which they were made",
        (
            Column("ensemble_id", STR, "the ensemble"),
            Column("member", INT, "its place, from 0"),
            Column("run_id", STR, "end point, trajectory or path that it comes from"),
            Column("run_member", INT, "which member of that run, from 0"),
            Column("epoch", REAL, "epochs after which it was taken; null on a curve", "epochs"),
            Column("lr", REAL, "rate of the step before; null for end points and on a curve"),
            Column("t", REAL, "position on the curve; null for others"),
            *_JUDGED,
            Column(
                "distance",
                REAL,
                "Euclidean distance from where the cycles began (of a curve: from end a); null for end points",
            ),
            Column("running_val_error", REAL, "error of the ensemble of the members up to this one", FRACTION),
            Column("running_val_nll", REAL, "its mean negative log-likelihood", NATS),
            Column("running_test_error", REAL, "error of the ensemble of the members up to this one", FRACTION),
            Column("running_test_nll", REAL, "its mean negative log-likelihood", NATS),
        ),
    ),
    Table(
        "trial_cycles",
        "one cycle of one trial of a study of ensembles: the ensemble of the members up to its end",
        (
            Column("trial_id", STR, "the trial"),
            Column("cycle", INT, "cycles finished, from 1: members of each network"),
            Column(
                "epochs_used", REAL, "epochs of training of each network, those before the cycles included", "epochs"
            ),
            Column("lr1", REAL, "highest rate on the stretch that ends here"),
            Column("lr2", REAL, "lowest rate on it; null for cosine cycles"),
            Column("val_nll", REAL, "validation negative log-likelihood, mean over the seeds", NATS),
            Column("val_error", REAL, "validation error, mean over the seeds", FRACTION),
            Column("val_nll_stderr", REAL, "standard error of val_nll over the seeds; null for one", NATS),
        ),
    ),
)
