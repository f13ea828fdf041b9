"""Auctions: menus of one buyer and affine maximizers of several, what they earn, and how two of them are connected."""
