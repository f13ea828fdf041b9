"""The chains that AutoNEB finds."""

from __future__ import annotations

from mcdist.science.paths.chain import Chain

__all__ = ["AutoNeb"]


class AutoNeb(Chain):
    """Piecewise linear through the pivots, equal t per segment (Draxler et al. 2018).

    How it is found is told in `mcdist.science.autoneb`; how many pivots it has is an outcome.
    """
