"""Which rows are attacked, under which rules, and what is read of the answers?"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from service.contracts.facts import Column, InputFacts
from workers.attack.victim import Victim
from workers.kind import AnalysisError
from workers.neighbourhoods.columns import refuse_not_finite
from workers.passes.asked import ROLE
from workers.passes.attacked import BACKGROUND, Attacked, Inputs
from workers.recheck.constraints import unlawful
from workers.robustness.tabular.declared import declared_of
from workers.robustness.tabular.parameters import TabularParameters
from workers.robustness.tabular.reading import Judged, judged
from workers.robustness.tabular.repair import Repaired, repaired
from workers.robustness.tabular.rules import Floats, Rules, rules_of
from workers.subject.subject import Subject

ROLES = (*BACKGROUND, ROLE)
_MOST_ROWS = 20_000


@dataclass(eq=False)
class Case:
    """x: (n, F), the rows attacked, raw; kept: int64 (n,), their numbers in the data. aside: rows that are not
    attacked, with the reason. given: (n, ...), the model's outputs of x. role: of the background.
    """

    subject: Subject
    parameters: TabularParameters
    attacked: Attacked
    rules: Rules
    judged: Judged
    x: Tensor
    given: Tensor
    kept: Tensor
    aside: tuple[tuple[int, str], ...]
    role: str

    @classmethod
    def of(cls, subject: Subject, parameters: TabularParameters) -> Case:
        """Made once for each question. Raises AnalysisError, SweepRefused, NotFinite; each says what to change."""
        known = _READY.setdefault(subject.model, {})
        held = tuple((role, data.digest, id(data.inputs)) for role, data in sorted(subject.examples.items()))
        if (parameters, held) not in known:
            known[parameters, held] = cls._made(subject, parameters)
        return known[parameters, held]

    @classmethod
    def _made(cls, subject: Subject, parameters: TabularParameters) -> Case:
        _refuse_other_inputs(subject)
        attacked = Attacked.of(
            subject, norm="linf", examples=parameters.examples, precision=parameters.precision
        )  # fmt: skip
        role, background = background_of(subject, attacked.input)
        declared = columns_declared(subject)
        rules = rules_of(attacked.facts, declared, parameters, background)
        refuse_not_finite(background, rules.columns, f"the {role} data")
        read = judged(subject, attacked.given, attacked.labels, parameters.shift)
        finite = torch.isfinite(read.scores(attacked.given)).reshape(len(attacked), -1).all(1).tolist()
        reasons = unlawful(
            declared_of(attacked.facts, declared, parameters, background), attacked.x.cpu().numpy()
        )  # fmt: skip
        aside = tuple(
            (at, why or "the model's output for it is not finite")
            for at, (why, known) in enumerate(zip(reasons, finite, strict=True))
            if why or not known
        )
        _refuse_aside(aside, len(attacked), parameters)
        kept = torch.tensor([at for at in range(len(attacked)) if at not in dict(aside)], device=attacked.x.device)
        return cls(
            subject=subject, parameters=parameters, attacked=attacked, rules=rules, judged=read.among(kept),
            x=attacked.x[kept], given=attacked.given[kept], kept=kept, aside=aside, role=role,
        )  # fmt: skip

    def __len__(self) -> int:
        """How many rows are attacked."""
        return len(self.x)

    def rows(self, memory_bytes: int) -> int:
        """Rows in one forward pass; it hangs on the network and the memory, never on a clock."""
        return self.parameters.rows or self.attacked.rows(memory_bytes)

    def victim(self, rows: int) -> Victim:
        """The network as it is asked of rows that are legal already."""
        asked = self.attacked.victim(self._read, rows)
        network = asked.network
        asked.network = lambda made, index: network(made, self.kept[index])
        return asked

    def within_rules(self, rows: int, around: Tensor, index: Tensor, count: Repaired) -> Victim:
        """The network behind the repair: whatever is proposed, a legal row near it is what is decided upon.

        around: (k, F), the rows that are changed; index: int64 (k,), which of x each is.
        """
        plain = self.victim(rows)
        network = plain.network
        plain.network = lambda made, at: network(repaired(self.rules, around[at], made, count), index[at])
        return plain

    def _read(self, output: Tensor, _inputs: Inputs, _index: Tensor) -> Tensor:
        return self.judged.scores(output)


_READY: WeakKeyDictionary[
    nn.Module, dict[tuple[TabularParameters, tuple[tuple[str, str, int], ...]], Case]
] = WeakKeyDictionary()  # fmt: skip


def _refuse_other_inputs(subject: Subject) -> None:
    data = subject.examples[ROLE]
    pairs = zip(subject.declared, (data.inputs, *data.further), strict=False)
    facts: InputFacts | None = next((facts for facts, raw in pairs if raw.is_floating_point()), None)
    if facts is None or facts.kind != "table" or len(facts.shape) != 1:
        reads = ", ".join(f"{each.kind} {each.layout}" for each in subject.declared)
        raise AnalysisError(
            "not-applicable",
            f"the model reads {reads}: its first floating-point input is no table of columns",
            remedy="Ask for robustness, or robustness_text.",
        )


def background_of(subject: Subject, position: int) -> tuple[str, Floats]:
    """The role that tells how columns spread, and its rows (rows, F), raw; evenly spaced ones of many."""
    role = next(each for each in ROLES if each in subject.examples)
    data = subject.examples[role]
    rows = (data.inputs, *data.further)[position]
    spaced = np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).round().astype(int)
    return role, np.asarray(rows[torch.from_numpy(spaced)].double().cpu().numpy())


def columns_declared(subject: Subject) -> tuple[Column, ...]:
    """As the data's file declares them, which are those of the first input."""
    found = (subject.examples[role].columns for role in (ROLE, *ROLES) if role in subject.examples)
    return next((each for each in found if each), ())


def _refuse_aside(aside: tuple[tuple[int, str], ...], n: int, parameters: TabularParameters) -> None:
    if not aside or (len(aside) < n and parameters.broken_rules == "set_aside"):
        return
    index, why = aside[0]
    raise AnalysisError(
        "constraints",
        f"{len(aside)} of {n} rows of the data break a rule themselves: row {index}, because {why}",
        remedy="Correct the rule or the rows"
        + ("." if len(aside) == n else "; or set broken_rules to set_aside, and the others are attacked."),
    )
