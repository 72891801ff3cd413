"""Where datasets were read before there were several formats of them: the same names, from their new place."""

from workers.subject.data.dataset import read_dataset, rewrite_dataset

__all__ = ["read_dataset", "rewrite_dataset"]
