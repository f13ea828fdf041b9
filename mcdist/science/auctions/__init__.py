"""Auctions: menus of one buyer and affine maximizers of several, what they earn, and how two of them are connected."""

from mcdist.science.auctions.affine import Maximizers
from mcdist.science.auctions.exact import Region, regions
from mcdist.science.auctions.exact import revenue as exact_revenue
from mcdist.science.auctions.marginals import Beta, Exponential, Marginal, Steps, Uniform
from mcdist.science.auctions.matching import match
from mcdist.science.auctions.options import Options, Outcome
from mcdist.science.auctions.pieces import (
    Pieces,
    five_pieces,
    large_maximizer,
    large_menu,
    large_menu_pieces,
    three_pieces,
)
from mcdist.science.auctions.reducibility import Kept, capacity, choose, judge, matter, prune, shares
from mcdist.science.auctions.rochet import Menus
from mcdist.science.auctions.settings import SETTINGS, Setting
from mcdist.science.auctions.valuations import Atoms, Items, Law, Scaled, Triangle, box, profiles

__all__ = [
    "SETTINGS",
    "Atoms",
    "Beta",
    "Exponential",
    "Items",
    "Kept",
    "Law",
    "Marginal",
    "Maximizers",
    "Menus",
    "Options",
    "Outcome",
    "Pieces",
    "Region",
    "Scaled",
    "Setting",
    "Steps",
    "Triangle",
    "Uniform",
    "box",
    "capacity",
    "choose",
    "exact_revenue",
    "five_pieces",
    "judge",
    "large_maximizer",
    "large_menu",
    "large_menu_pieces",
    "match",
    "matter",
    "profiles",
    "prune",
    "regions",
    "shares",
    "three_pieces",
]
