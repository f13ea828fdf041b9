"""The tables of what was measured beside profiles: alignments, elastic bands, curvature, planes."""

from __future__ import annotations

from mcdist.store.columns import (
    BOOL,
    INT,
    LOSSES,
    NATS,
    PLACE,
    REAL,
    REVENUES,
    STR,
    SUBSET,
    Column,
    Table,
)

__all__ = ["MEASURED"]

MEASURED = (
    Table(
        "alignments",
        "one end point permuted to match another",
        (
            Column("alignment_id", STR, "the task that matched them"),
            Column("problem", STR, "label of the problem"),
            Column("endpoint_a", STR, "end point that was matched"),
            Column("endpoint_b", STR, "end point whose hidden units were permuted"),
            Column("method", STR, "weights or activations"),
            Column("groups", INT, "permutations, each shared by all axes that it acts on"),
            Column("units", INT, "hidden units they permute, in all", "units"),
            Column("moved", INT, "of those, the ones that are not where they were", "units"),
            Column("sweeps", INT, "weights: passes over all groups until nothing improved; null otherwise"),
            Column("distance_before", REAL, "Euclidean distance of the parameters before"),
            Column("distance_after", REAL, "and after"),
        ),
    ),
    Table(
        "path_cycles",
        "one cycle of an AutoNEB",
        (
            Column("path_id", STR, "the path"),
            Column("cycle", INT, "from 1"),
            Column("steps", INT, "steps of all pivots", "steps"),
            Column("lr", REAL, "learning rate"),
            Column("pivots", INT, "pivots between the ends"),
            Column("mean_loss", REAL, "mean minibatch loss over pivots and steps, as trained", NATS),
            Column("saddle", REAL, "greatest training loss on the dense profile after the cycle", NATS),
            Column("argmax_t", REAL, "where that is"),
            Column("inserted", INT, "pivots inserted after the cycle"),
            Column("kept", BOOL, "whether the path is that of this cycle: the one of the lowest saddle"),
        ),
    ),
    Table(
        "curvature",
        "one measure of curvature at one point",
        (
            *PLACE,
            Column("measure", STR, "lambda_max, hessian_trace, fisher_trace, ggn_max, ggn_trace, log_det, ..."),
            Column("layer", STR, "the module whose parameters alone are meant; null for the whole network"),
            Column("value", REAL, "its value, of a loss in nats per example"),
            Column("stderr", REAL, "standard error of a random estimate, null for what has none"),
            *SUBSET,
            Column("label_mode", STR, "Fisher: labels of the data, or sampled from the model; null for others"),
            Column("iterations", INT, "products with the operator, null where there were none"),
            Column("residual", REAL, "|A v - lambda v| / |lambda| of an eigenvalue, null for others"),
            Column("floor", REAL, "log_det: eigenvalues above this were counted"),
            Column("rank", INT, "log_det: how many those were"),
            Column("truncated", BOOL, "log_det: whether all that were computed were counted: there may be more"),
            Column("left_out", REAL, "log_det: sum of the eigenvalues at or below the floor, where all are known"),
        ),
    ),
    Table(
        "spectra",
        "one leading eigenvalue at one point",
        (
            *PLACE,
            Column("operator", STR, "hessian, ggn or fisher"),
            Column("layer", STR, "the module whose parameters alone are meant; null for the whole network"),
            Column("index", INT, "from 0, the greatest first"),
            Column("eigenvalue", REAL, "the eigenvalue"),
            Column("residual", REAL, "|A v - lambda v| / |lambda|, null where it is exact"),
            *SUBSET,
        ),
    ),
    Table(
        "spectral_densities",
        "one value of the density of eigenvalues at one point",
        (
            *PLACE,
            Column("operator", STR, "hessian or ggn"),
            Column("x", REAL, "eigenvalue"),
            Column("density", REAL, "density of eigenvalues there, integrating to 1"),
            Column("stderr", REAL, "its standard error over random vectors"),
            *SUBSET,
        ),
    ),
    Table(
        "planes",
        "one grid point of a plane in weight space; nothing is measured where weights are no point of the problem",
        (
            Column("plane_id", STR, "the task that measured the plane"),
            Column("problem", STR, "label of the problem"),
            Column("path_id", STR, "the path whose ends and middle span it, or null"),
            Column("endpoint_a", STR, "end point at the origin"),
            Column("endpoint_b", STR, "end point on the axis of x"),
            Column("endpoint_c", STR, "third end point; null for the plane of a path"),
            Column("x", REAL, "Euclidean coordinate along b - a"),
            Column("y", REAL, "Euclidean coordinate along the part of c - a that is orthogonal to b - a"),
            *LOSSES,
            *REVENUES,
        ),
    ),
    Table(
        "plane_marks",
        "a point that is drawn in a plane",
        (
            Column("plane_id", STR, "the plane"),
            Column("role", STR, "a, b, c: the three points; path: a position on the path"),
            Column("t", REAL, "position on the path, null for the three points of end points"),
            Column("x", REAL, "its coordinates, or those of its projection"),
            Column("y", REAL, "its coordinates, or those of its projection"),
            Column("distance", REAL, "its Euclidean distance from the plane"),
        ),
    ),
)
