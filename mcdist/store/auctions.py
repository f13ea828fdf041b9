"""The tables of auctions: menus and their options."""

from __future__ import annotations

import pyarrow as pa

from mcdist.store.columns import FRACTION, INT, REAL, REVENUES, STR, TRAIN, Column, Table

__all__ = ["AUCTIONS"]

_NUMBERS = pa.list_(pa.field("element", REAL))
_CORNERS = pa.list_(pa.field("element", _NUMBERS))

AUCTIONS = (
    Table(
        "menus",
        "one end point of an auction: a buyer's menu, or an affine maximizer",
        (
            Column("endpoint_id", STR, "the task that trained it"),
            Column("problem", STR, "label of the problem"),
            Column("setting", STR, "who values what"),
            Column("mechanism", STR, "rochetnet or affine_maximizer"),
            Column("n", INT, "items"),
            Column("m", INT, "bidders"),
            Column("menu_size", INT, "options, besides the default"),
            Column("allocation", STR, "trained by projection, sigmoid or softmax"),
            Column("kappa", REAL, "sharpness of the surrogate's softmax"),
            Column("iterations", INT, "steps it was trained for", "steps"),
            Column("seed", INT, "seed of the initial menu and of the valuations"),
            *TRAIN,
            Column("revenue_soft", REAL, "the surrogate's revenue on the held-out valuations", "value"),
            *REVENUES,
            Column("revenue_optimal", REAL, "the best of any truthful mechanism, where it is known", "value"),
            Column("optimal_source", STR, "who says so"),
            Column("revenue_baseline", REAL, "the best of the simple auctions whose revenue is known", "value"),
            Column("baseline", STR, "which that is"),
            Column("bound", REAL, "greatest |v|_1 of a bidder; null where there is none", "value"),
            Column("capacity", INT, "floor(sqrt(menu_size + 1)): the most options that a reducible menu keeps"),
            Column("n_kept", INT, "of these, those that were kept: with the fewest valuations lost on the fit sample"),
            Column("reducibility_fit", REAL, "least eps for which it is eps-reducible, on the fit sample", FRACTION),
            Column("reducibility", REAL, "the same with the options kept, on the held-out valuations", FRACTION),
            Column("dropped_revenue", REAL, "revenue from the valuations lost, held out", "value"),
            Column("held_out", INT, "valuations held out", "valuations"),
            Column("bidder_weights", _NUMBERS, "weights of the bidders; null for a menu"),
        ),
    ),
    Table(
        "menu_options",
        "one option of a menu that matters for some valuation",
        (
            Column("endpoint_id", STR, "the menu"),
            Column("option", INT, "its number, from 1; 0 is the default"),
            Column("allocation", _NUMBERS, "of each item (of several bidders: bidder after bidder)"),
            Column("price", REAL, "what it costs; null for an affine maximizer", "value"),
            Column("boost", REAL, "what is added to its welfare; null for a menu", "value"),
            Column("share", REAL, "part of the held-out valuations that take it", FRACTION),
            Column("mass", REAL, "probability that it is taken, exact where revenue_exact is", FRACTION),
            Column("corners", _CORNERS, "corners of the set of valuations that take it, 1 or 2 items", "value"),
        ),
    ),
)
