"""What does a network say of samples around an example? What methods need that only ask and never look inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from workers.kind import AnalysisError
from workers.passes.asked import ROLE, Precision
from workers.passes.case import refused
from workers.passes.targets import compared_input, network_of, target_of
from workers.subject.refusal import in_words, out_of_memory
from workers.subject.subject import Subject
from workers.surrogate.neighbourhood import Floats, Predict
from workers.sweep.block import padded
from workers.sweep.copies import in_precision
from workers.sweep.refusals import SweepRefused
from workers.sweep.run import outputs
from workers.sweep.target import Beside, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is asked of a network: targets, as `targets.TARGET` has them, all of one output; examples from the beginning
    of the evaluation data."""

    targets: tuple[str, ...]
    scale: Literal["output", "probability"]
    examples: int
    precision: Precision


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Predicting:
    """A network that is asked about examples.

    raw: the examples' inputs in raw units, x: as the network reads them; a tensor each, (n, ...). labels: (n,).
    targets: what is read of an output. values: what they are at the examples, (n, targets), float64 on the CPU.
    batch: the one batch size that the network takes, None if any. lost: the examples at which the network raises, and
    what it says; their values are NaN.
    """

    subject: Subject
    network: nn.Module
    raw: tuple[Tensor, ...]
    x: tuple[Tensor, ...]
    labels: Tensor | None
    targets: tuple[Target, ...]
    values: Tensor
    batch: int | None
    lost: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many examples."""
        return len(self.values)

    @classmethod
    def of(cls, subject: Subject, asking: Asking) -> Predicting:
        """An example at which the network raises is lost, and the others are kept. Raises AnalysisError, NotFinite;
        each says what to change."""
        data, batch = subject.examples[ROLE], subject.manifest.batch
        dtype = getattr(torch, asking.precision)
        x = subject.arguments(data, stop=asking.examples, dtype=dtype)
        (network, position), *others = [network_of(subject, each) for each in asking.targets]
        if any(other[1] != position for other in others):
            raise refused("the targets are of several outputs", "Ask for those of one output at a time.")
        network = in_precision(network, dtype)
        given, lost = _given(network, x, batch, replace(Target.value(), output=position))
        labels = None if data.labels is None else data.labels[: asking.examples]
        targets = tuple(target_of(subject, each, asking.scale, x, given, labels, position) for each in asking.targets)
        for target in targets:
            target.check(given.shape, len(given))
        made = cls(
            subject=subject, network=network, x=x, labels=labels, targets=targets, batch=batch,
            raw=tuple(each[: asking.examples] for each in (data.inputs, *data.further)),
            values=torch.full((len(given), len(targets)), torch.nan, dtype=torch.float64), lost=lost,
        )  # fmt: skip
        for index in (index for index in range(len(made)) if index not in lost):
            made.values[index] = torch.from_numpy(made.at(index)(tuple(each[index : index + 1] for each in x))[0])
        return made

    @property
    def first(self) -> int:
        """The first example at which the network answers."""
        return next(index for index in range(len(self)) if index not in self.lost)

    def at(self, index: int) -> Predict:
        """The targets of example `index`, read from samples around it."""
        own = tuple(target.of(index, index + 1) for target in self.targets)

        def predict(inputs: tuple[Tensor, ...]) -> Floats:
            rows = len(inputs[0])
            size = self.batch or rows
            parts = [tuple(each[start : start + size] for each in inputs) for start in range(0, rows, size)]
            with torch.no_grad():
                return np.concatenate([self._numbers(part, own) for part in parts])

        return predict

    def _numbers(self, inputs: tuple[Tensor, ...], targets: tuple[Target, ...]) -> Floats:
        rows = len(inputs[0])
        output = self.network(*padded(inputs, self.batch or 1))
        if _alike(targets):
            return _elements(targets, output, rows)
        read = [self._read(target, output, inputs, rows) for target in targets]
        return np.stack([each.double().cpu().numpy() for each in read], axis=1)

    def _read(self, target: Target, output: object, inputs: tuple[Tensor, ...], rows: int) -> Tensor:
        if target.compares:
            chosen = target.read(output)[:rows]
            return target.select(Beside(chosen, inputs[compared_input(inputs)]), rows)
        return target.select(output, rows)


def _given(
    network: nn.Module, x: tuple[Tensor, ...], batch: int | None, target: Target
) -> tuple[Tensor, dict[int, str]]:
    """The output (n, ...), and the examples at which the network raises, whose rows are those of another example.

    Raises AnalysisError where it raises at all of them.
    """
    try:
        return outputs(network, x, batch, target), {}
    except (SweepRefused, AnalysisError):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
    rows, lost = dict[int, Tensor](), dict[int, str]()
    for index in range(len(x[0])):
        try:
            rows[index] = outputs(network, tuple(each[index : index + 1] for each in x), batch, target)
        except (SweepRefused, AnalysisError):
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            lost[index] = in_words(error)
    if not rows:
        raise AnalysisError(
            "network",
            f"the network fails at each of the {len(lost)} examples themselves: {lost[0]}",
            remedy="Give examples that the network can read.",
        )
    instead = next(iter(rows.values()))
    return torch.cat([rows.get(index, instead) for index in range(len(x[0]))]), lost


def _alike(targets: tuple[Target, ...]) -> bool:
    """Whether all name one element, on one scale, the same for all rows: they are then read together."""
    return all(
        target.scale in ("logit", "probability") and not target.places and target.count == 1
        and (target.scale, target.output, target.axis) == (targets[0].scale, targets[0].output, targets[0].axis)
        for target in targets
    )  # fmt: skip


def _elements(targets: tuple[Target, ...], output: object, rows: int) -> Floats:
    """(rows, targets), of targets that are alike: one softmax for all."""
    chosen = targets[0].read(output)[:rows]
    if targets[0].scale == "probability":
        chosen = torch.softmax(chosen, dim=targets[0].axis)
    named = [target.index for target in targets if target.index is not None]
    where = np.ravel_multi_index(tuple(torch.cat(named).T.cpu().numpy()), tuple(chosen.shape[1:]))
    return np.asarray(chosen.flatten(1)[:, torch.from_numpy(where)].double().cpu().numpy())
