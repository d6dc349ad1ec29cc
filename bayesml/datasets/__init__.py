"""Small real tables of the field, with their sources, and one with a known truth."""

from bayesml.datasets.academics import ACADEMICS_TRUTH, generate_academics
from bayesml.datasets.catalogue import Column, Dataset, dataset, dataset_names
from bayesml.datasets.loading import list_datasets, load_dataset

__all__ = [
    "ACADEMICS_TRUTH",
    "Column",
    "Dataset",
    "dataset",
    "dataset_names",
    "generate_academics",
    "list_datasets",
    "load_dataset",
]
