"""What tables are made of: columns with type, meaning and unit, and those that several tables share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

__all__ = [
    "BOOL",
    "FRACTION",
    "INT",
    "LOSSES",
    "MADE",
    "NATS",
    "PATH",
    "PLACE",
    "REAL",
    "REVENUES",
    "SCHEMA_VERSION",
    "STR",
    "STRS",
    "SUBSET",
    "TASK_ID",
    "TRAIN",
    "Column",
    "Table",
]

SCHEMA_VERSION = 1

STR, INT, REAL, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
STRS = pa.list_(pa.field("element", STR))  # as Parquet calls it, so that a schema read back is the same


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, what it means, and its unit (empty for a pure number or a name)."""

    name: str
    type: pa.DataType
    doc: str
    unit: str = ""


NATS, FRACTION = "nats per example", "fraction"

TASK_ID = Column("task_id", STR, "the task that wrote the row")
PACK_ID = Column("pack_id", STR, "the pack it was computed and committed in; (task_id, pack_id) joins to `tasks`")


@dataclass(frozen=True)
class Table:
    """One table: what a row is, the columns after the keys `task_id` and `pack_id`, which come first.

    The store fills `pack_id` in: it tells which of two computations of a task a row belongs to.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    keys: tuple[Column, ...] = (TASK_ID, PACK_ID)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, the keys first, documentation and units as field metadata."""
        fields = [
            pa.field(c.name, c.type, nullable=True, metadata={"doc": c.doc, "unit": c.unit})
            for c in (*self.keys, *self.columns)
        ]
        return pa.schema(fields, metadata={"mcdist.table": self.name, "mcdist.schema": str(SCHEMA_VERSION)})


LOSSES = (
    Column(
        "train_loss",
        REAL,
        "mean loss on the whole training split, without weight decay or augmentation; auctions: -surrogate revenue",
        NATS,
    ),
    Column("train_error", REAL, "misclassified part of the training split", FRACTION),
    Column("val_loss", REAL, "mean loss on the validation split, null without one", NATS),
    Column("val_error", REAL, "misclassified part of the validation split, null without one", FRACTION),
    Column("test_loss", REAL, "mean loss on the test split", NATS),
    Column("test_error", REAL, "misclassified part of the test split", FRACTION),
    Column("l2_norm", REAL, "Euclidean norm of the parameters"),
)

TRAIN = (
    Column("epochs", INT, "passes over the training split", "epochs"),
    Column("optimizer", STR, "sgd, adam or adamw"),
    Column("lr", REAL, "base learning rate"),
    Column("momentum", REAL, "heavy-ball momentum"),
    Column("weight_decay", REAL, "coefficient of 0.5 |w|^2, the problem's own included (decoupled for adamw)"),
    Column("batch_size", INT, "examples per step", "examples"),
    Column("schedule", STR, "learning-rate schedule"),
)

REVENUES = (
    Column("revenue", REAL, "auctions: revenue on the held-out valuations, by the hard choice", "value"),
    Column("stderr", REAL, "standard error of the revenue over these valuations", "value"),
    Column("revenue_exact", REAL, "revenue without sampling: one item, or two with a density in steps", "value"),
    Column("n_active", INT, "options that matter for any of these valuations, the default counted"),
)

MADE = (
    Column("pieces", INT, "pieces of a path that is made of its ends; null where they mean nothing each"),
    Column("kept_a", INT, "|K1|, options kept of end a, the default counted"),
    Column("kept_b", INT, "|K2|, likewise of end b"),
    Column(
        "eps_promised",
        REAL,
        "most revenue that the path loses, as promised on the fit sample; eps_sharp where values have no bound",
        "value",
    ),
    Column("eps_sharp", REAL, "the same from the revenue of the options given up, on that sample", "value"),
    Column("eps_measured", REAL, "what the promise would be on the held-out valuations", "value"),
    Column("shortfall", REAL, "lesser revenue of the ends less the least on the path, held out; >= 0", "value"),
    Column("shortfall_stderr", REAL, "its standard error, the two compared valuation by valuation", "value"),
    Column("shortfall_t", REAL, "where the least revenue is"),
    Column("promise_kept", BOOL, "whether shortfall - eps_promised is no more than 3 standard errors"),
    Column("middle_deviation", REAL, "greatest |payments - straight line| of a valuation on the middle piece", "value"),
    Column("outer_changed", REAL, "part of the valuations whose payments change on the pieces beside it", FRACTION),
)

PATH = (
    Column("path_id", STR, "the task that made the path"),
    Column("kind", STR, "path family: linear, bezier, chain, autoneb; logits, three_pieces, five_pieces, large_menu"),
    Column("aligned", BOOL, "whether end point b was permuted to match a first"),
    Column("alignment", STR, "by what it was matched: weights or activations; null where it was not"),
    Column("repair", BOOL, "whether activation statistics were put right at every position (REPAIR)"),
    Column("endpoint_a", STR, "end point at t = 0"),
    Column("endpoint_b", STR, "end point at t = 1"),
    Column("via", STRS, "end points on the way, in order; null for a path between two"),
)

PLACE = (
    Column("problem", STR, "label of the problem"),
    Column("path_id", STR, "the path, or null"),
    Column("endpoint_id", STR, "the end point (of a control: the one that was trained on), or null"),
    Column(
        "role",
        STR,
        "path: a position on a path; control: an end of the path after it was trained on as the path's interior was; "
        "endpoint: an end point by itself",
    ),
    Column("t", REAL, "curve parameter in [0, 1]; of a control 0 or 1; null for an end point by itself"),
    Column("s", REAL, "arclength from end a over total length, in [0, 1]; null likewise"),
)

SUBSET = (
    Column("n_samples", INT, "training examples it was measured on", "examples"),
    Column("subset_seed", INT, "seed of the choice of those, of probes and of sampled labels"),
    Column("weight_decay", REAL, "coefficient of 0.5 |w|^2 in the loss whose curvature it is; 0: without"),
)
