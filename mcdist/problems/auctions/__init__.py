"""Auctions as problems: a point of weight space is a menu, or an affine maximizer."""

from mcdist.problems.auctions.affine_maximizer import AffineMaximizer
from mcdist.problems.auctions.auction import Auction, Sampling
from mcdist.problems.auctions.rochetnet import RochetNet

__all__ = ["AffineMaximizer", "Auction", "RochetNet", "Sampling"]
