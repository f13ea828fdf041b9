"""The tables of a store: one explicit, versioned Arrow schema each, with units and meaning in the field metadata.

Columns may be added (nullable); none is ever dropped or retyped, so that a notebook written today reads every later
store.
"""

from __future__ import annotations

import pyarrow as pa

from mcdist.store.auctions import AUCTIONS
from mcdist.store.columns import (
    FRACTION,
    INT,
    LOSSES,
    MADE,
    NATS,
    PATH,
    REAL,
    REVENUES,
    SCHEMA_VERSION,
    STR,
    STRS,
    TASK_ID,
    TRAIN,
    Column,
    Table,
)
from mcdist.store.ensembles import ENSEMBLES
from mcdist.store.measured import MEASURED
from mcdist.store.moved import MOVED

__all__ = ["SCHEMA_VERSION", "TABLES", "Column", "Table"]

_TABLES = (
    Table(
        "tasks",
        "one task, written last: the commit",
        (
            Column("kind", STR, "endpoint, path, profile, ..."),
            Column("status", STR, "done, failed, or blocked (an input failed)"),
            Column("attempts", INT, "times the task was started until this outcome"),
            Column("error", STR, "message and traceback of a failed task, the failed inputs of a blocked one"),
            Column("error_kind", STR, "diverged, raised, memory, lost or blocked; null when done"),
            Column("host", STR, "machine that did the work"),
            Column("device", STR, "device that did the work"),
            Column("pack_size", INT, "tasks in that pack"),
            Column(
                "way", STR, "how the pack was computed: plain, or of compiled, graphed, channels_last those that were"
            ),
            Column("wall_s", REAL, "the pack's wall time divided by its tasks", "s"),
            Column("started_at", pa.timestamp("us", tz="UTC"), "when the pack was started"),
            Column("mcdist_version", STR, "version of mcdist"),
            Column("torch_version", STR, "version of torch"),
            Column("spec", STR, "the task's whole specification, JSON"),
            Column("inputs", STRS, "ids of the tasks whose results went in"),
        ),
    ),
    Table(
        "sweep_tasks",
        "one task that a sweep asked for",
        (Column("sweep", STR, "name of the sweep"),),
        keys=(TASK_ID,),
    ),
    Table(
        "endpoints",
        "one trained end point",
        (
            Column("endpoint_id", STR, "the task that trained it"),
            Column("problem", STR, "label of the problem"),
            Column("dataset", STR, "data set"),
            Column("model", STR, "model"),
            Column("n_params", INT, "trainable parameters"),
            Column("seed", INT, "seed of initial weights and data order"),
            Column(
                "parent_id",
                STR,
                "network that it was split from (table `tasks`), or end point that it was trained on from, or null",
            ),
            Column("spawn_epoch", INT, "epoch of the parent after which it was split, or null", "epochs"),
            Column("branch", INT, "which branch of its parent at that epoch, from 0; null where it is none"),
            *TRAIN,
            *LOSSES,
        ),
    ),
    Table(
        "history",
        "one epoch of training of an end point or a path",
        (
            Column("endpoint_id", STR, "the end point (or the network that was split into several), or null"),
            Column("path_id", STR, "the path, or null"),
            Column("epoch", INT, "epochs finished, from 1", "epochs"),
            Column("lr", REAL, "learning rate of the epoch's last step"),
            Column(
                "train_loss",
                REAL,
                "mean minibatch loss over the epoch, as trained (augmented, train mode)",
                NATS,
            ),
            Column("train_error", REAL, "mean minibatch error over the epoch, as trained", FRACTION),
        ),
    ),
    Table(
        "paths",
        "one path between two end points",
        (
            *PATH,
            Column("n_points", INT, "control points, ends included"),
            Column("length", REAL, "Euclidean length of the path"),
            Column("chord", REAL, "Euclidean distance of its ends"),
            Column("ends", STR, "fixed or free"),
            Column("draws", INT, "positions t per minibatch"),
            Column("objective", STR, "uniform: trained on the loss averaged over t; arclength: over arclength"),
            Column("seed", INT, "seed of t and data order"),
            *TRAIN,
            *MADE,
        ),
    ),
    Table(
        "path_points",
        "one position on one path",
        (
            Column("path_id", STR, "the path"),
            Column("t", REAL, "curve parameter in [0, 1]"),
            Column("s", REAL, "arclength from end a over total length, in [0, 1]"),
            *LOSSES,
            Column("piece", INT, "of a path that is made in pieces: which, from 1"),
            *REVENUES,
        ),
    ),
    Table(
        "barriers",
        "one metric along one path",
        (
            *PATH,
            Column("problem", STR, "label of the problem"),
            Column("ends", STR, "fixed or free: a path with free ends has other values there than its end points"),
            Column("metric", STR, "column of path_points: train_loss, test_error, ..."),
            Column("n_points", INT, "positions that the profile had"),
            Column("value_a", REAL, "the metric at t = 0"),
            Column("value_b", REAL, "the metric at t = 1"),
            Column("min", REAL, "least value over the positions"),
            Column("max", REAL, "greatest value: the saddle"),
            Column("mean", REAL, "mean over the positions"),
            Column("integral", REAL, "trapezoid integral over normalised arclength s"),
            Column("argmax_t", REAL, "t of the greatest value"),
            Column("barrier_linear", REAL, "max_t [m(t) - ((1 - t) m(0) + t m(1))], >= 0"),
            Column("barrier_mean", REAL, "max - (m(0) + m(1)) / 2"),
            Column("barrier_max", REAL, "max - max(m(0), m(1)), >= 0; barriers of revenue are those of -m"),
            Column("argmin_t", REAL, "t of the least value"),
            Column(
                "stderr",
                REAL,
                "of a mean over a sample: standard error of the difference between the worst position and the worse "
                "end, example by example; null for others",
            ),
        ),
    ),
    *MEASURED,
    *MOVED,
    *ENSEMBLES,
    *AUCTIONS,
)

TABLES: dict[str, Table] = {table.name: table for table in _TABLES}
