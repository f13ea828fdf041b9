"""Data sets: raw arrays, their scaling and split, and augmentation."""

from mcdist.problems.data.augment import random_crop_flip
from mcdist.problems.data.dataset import Dataset, Split
from mcdist.problems.data.registry import DATASETS, check_dataset_name, fingerprint, load_dataset

__all__ = [
    "DATASETS",
    "Dataset",
    "Split",
    "check_dataset_name",
    "fingerprint",
    "load_dataset",
    "random_crop_flip",
]
