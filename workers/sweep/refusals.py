"""Why can this model, target or budget not be swept? Every refusal is permanent and names the remedy."""

from __future__ import annotations


class SweepRefused(ValueError):
    """The sweep would not give a right number here; the text says what to change."""


class TrainingMode(SweepRefused):
    """A module still behaves as in training: it is random, or it mixes the examples of a batch."""

    def __init__(self, module: str, kind: str) -> None:
        super().__init__(f"module '{module}' ({kind}) is in training mode; call model.eval() before the export")


class NotRepeatable(SweepRefused):
    """Two forward passes of the same input gave different outputs."""

    def __init__(self) -> None:
        super().__init__(
            "two forward passes of the same input differ: a dropout or another random operation is active; "
            "export the model in evaluation mode"
        )


class CoupledExamples(SweepRefused):
    """The output for one example depends on the others in the batch."""

    def __init__(self) -> None:
        super().__init__(
            "the output for one example changes with the other examples of the batch (batch statistics, or "
            "attention across the batch); export the model in evaluation mode, with the batch as the first axis"
        )


class IntegerInputs(SweepRefused):
    """The model reads indices, between which there is no straight path."""

    def __init__(self, dtype: str) -> None:
        super().__init__(
            f"the model's input is of type {dtype}: between two indices there is no path along which to attribute; "
            "export the part of the model after its embedding, with the embedded tokens as the input"
        )


class UnusableBatch(SweepRefused):
    """No batch size was found that the model accepts."""

    def __init__(self, tried: tuple[int, ...], last: str) -> None:
        super().__init__(
            f"the model accepts none of the batch sizes {', '.join(map(str, tried))}; the last error was: {last}; "
            "state the batch size it was exported with, or export it with a dynamic batch"
        )


class BadTarget(SweepRefused):
    """The target does not name one number of the output per example."""


class UnknownTap(SweepRefused):
    """A layer was asked for that did not run, or that does not exist."""


class BudgetTooSmall(SweepRefused):
    """Not even one row at a time fits the memory budget."""

    def __init__(self, need: int, have: int) -> None:
        super().__init__(
            f"one row at a time needs {need / 2**20:.1f} MiB and the budget is {have / 2**20:.1f} MiB; "
            "raise the budget, or ask for fewer layers"
        )
        self.need, self.have = need, have


class ChangingGraph(SweepRefused):
    """The model ran other modules, or changed other tensors in place, than in the probe."""
