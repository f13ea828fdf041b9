"""Models: plain torch modules by name, from an input shape and a number of classes."""

from mcdist.problems.models.registry import MODELS, ModelInfo, build_model, check_model, describe_model

__all__ = ["MODELS", "ModelInfo", "build_model", "check_model", "describe_model"]
