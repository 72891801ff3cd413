"""What if a network cannot answer for some samples? Those are lost, each on its own, and the others are kept.

A sample is an input that nobody has seen before: a network may divide by zero there, or refuse it.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from workers.subject.refusal import in_words, out_of_memory
from workers.surrogate.neighbourhood import Floats, Predict


class Careful:
    """`predict` that gives NaN for the rows at which the network raises; `because` is what it said first.

    A block that raises is halved until only such rows are left: of n rows that all raise 2 n passes are made.
    Running out of memory says nothing of a row, and is raised.
    """

    def __init__(self, predict: Predict, labels: int) -> None:
        self._predict, self._labels = predict, labels
        self.because = ""

    def __call__(self, inputs: tuple[Tensor, ...]) -> Floats:
        """(rows, labels), float64."""
        rows = len(inputs[0])
        try:
            return self._predict(inputs)
        except Exception as error:
            if out_of_memory(error):
                raise
            if rows == 1:
                self.because = self.because or in_words(error)
                return np.full((1, self._labels), np.nan)
        half = rows // 2
        parts = (tuple(each[:half] for each in inputs), tuple(each[half:] for each in inputs))
        return np.concatenate([self(part) for part in parts])
