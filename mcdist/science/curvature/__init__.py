"""Curvature of a loss at stacked points: eigenvalues, traces, log-determinants, densities."""

from mcdist.science.curvature.measure import curvature
from mcdist.science.curvature.measures import MEASURES
from mcdist.science.curvature.records import Curvature, CurvatureRecipe, Density, Eigenvalue, Value

__all__ = ["MEASURES", "Curvature", "CurvatureRecipe", "Density", "Eigenvalue", "Value", "curvature"]
