"""The temperature of noisy dynamics, nominal and measured.

SGD on minibatches of B examples, theta <- theta - eta g_B with Cov(g_B) = Sigma / B, is an Euler step of length eta of
Langevin dynamics whose diffusion is D = eta Sigma / (2 B); isotropic noise of the same trace has the temperature
tr(D) / P. Heavy-ball momentum mu makes the effective rate eta / (1 - mu).
"""

from __future__ import annotations

from torch import Tensor

from mcdist.science.curvature.gradient_noise import gradient_noise
from mcdist.science.dynamics.walk import Dynamics

__all__ = ["gradient_noise", "measured_temperature", "nominal_temperature"]


def nominal_temperature(how: Dynamics) -> float:
    """eta / B with eta the effective rate; 0 without noise."""
    return 0.0 if how.noise == "none" else how.speed / how.batch_size


def measured_temperature(how: Dynamics, trace: Tensor, P: int) -> Tensor:
    """T = eta tr(Sigma) / (2 B P) per parameter, [K] from tr(Sigma) [K]; 0 without noise.

    Minibatches of shuffled epochs are hotter in directions that settle within an epoch than in those that do not: over
    a whole epoch their noise cancels. T is that of independent draws.
    """
    return nominal_temperature(how) * trace / (2.0 * P)
