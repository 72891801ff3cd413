"""What is kept of each example's rows, and what do all examples show together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.analyses.attention_rollout.case import Case
from workers.analyses.attention_rollout.figures import pictures, sequence
from workers.analyses.attention_rollout.findings import findings
from workers.analyses.attention_rollout.outcome import (
    MOST_POSITIONS,
    Attended,
    Depth,
    Position,
    RolloutOutcome,
    RolloutParameters,
)
from workers.attention.run import Block, attentions, follow, keys
from workers.attention.spread import entropy_of
from workers.attention.structure import Stack
from workers.attribution.outcome import Average
from workers.kind import Computed, Context, Part, Partial
from workers.numerics.intervals import mean_of_sums_t, mean_t
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

_ARTIFACT_BYTES = 64 << 20


def compute(subject: Subject, part: Part, parameters: RolloutParameters, context: Context) -> Partial:
    """Scalars of every example, sums over examples for every token, and whole rows as far as they fit."""
    case = Case.of(subject, parameters)
    size = part.plan["batch"]
    assert isinstance(size, int)
    kept: dict[str, list[Tensor]] = {}
    sums: dict[str, Tensor] = {}
    room = _ARTIFACT_BYTES
    for block in follow(case.ready, case.structure, parameters.question, size, case.places):
        shares = _shares(block.rows)
        for name, each in _scalars(block, shares).items():
            kept.setdefault(name, []).append(each)
        last = shares[:, -1]
        for name, each in (("share_sum", last.sum(0)), ("share_square", last.square().sum(0))):
            sums[name] = sums[name] + each if name in sums else each
        whole = {"rows": block.rows.float()} | ({} if block.own is None else {"own": block.own.float()})
        taken = sum(each.numel() * 4 for each in whole.values())
        if room >= taken:
            room -= taken
            for name, each in whole.items():
                kept.setdefault(name, []).append(each)
        else:
            room = 0
        context.progress((block.start + len(block.rows)) / len(case.ready), "following attention")
    return Partial(values={}, arrays={**{name: torch.cat(many) for name, many in kept.items()}, **sums})


def _scalars(block: Block, shares: Tensor) -> dict[str, Tensor]:
    return {
        "attention_entropy": block.entropy, "attention_distance": block.distance,
        "row_total": block.rows.sum(-1), "row_entropy": entropy_of(shares), "row_largest": shares.amax(-1),
        "reached": block.reached.sum(1), "read": (block.read > 0).sum(1),
    }  # fmt: skip


def _shares(rows: Tensor) -> Tensor:
    """Each row brought to a sum of one; zeros where there is nothing."""
    total = rows.sum(-1, keepdim=True)
    return torch.where(total > 0, rows / total.where(total > 0, torch.ones_like(total)), torch.zeros_like(rows))


def merge(
    subject: Subject, parameters: RolloutParameters, partials: Sequence[Partial], _context: Context
) -> Computed[RolloutOutcome]:
    """What the one part shows."""
    case = Case.of(subject, parameters)
    (partial,) = partials
    arrays, n = partial.arrays, len(case.ready)
    some = arrays["row_total"][:, -1] > 0
    made = tuple((shown, png) for shown, png in pictures(case, arrays))
    outcome = RolloutOutcome(
        rule=parameters.rule, heads=parameters.heads, read=parameters.read, target=parameters.target,
        target_unit="probability" if parameters.scale == "probability" else subject.facts.output.unit,
        precision=parameters.precision, examples=n, available=len(subject.examples[ROLE].inputs),
        arrangement="stack" if isinstance(case.structure, Stack) else "encoder and decoder", tokens=case.tokens,
        grid=case.grid, attentions=_attended(case, arrays), depths=_depths(case, arrays),
        positions=_positions(arrays, int(some.sum())), reached=_average(arrays["reached"]),
        read_tokens=_average(arrays["read"]), irrelevant=n - int(some.sum()),
        kept=len(arrays["rows"]) if "rows" in arrays else 0, sequence=sequence(case, arrays),
        pictures=tuple(shown for shown, _ in made), not_applicable=_aside(case),
    )  # fmt: skip
    outcome = outcome.model_copy(update={"findings": findings(outcome)})
    stored = {name: each for name, each in arrays.items() if not name.startswith("share_")}
    return Computed(outcome=outcome, arrays=stored, pictures={shown.artifact: png for shown, png in made})


def _average(values: Tensor) -> Average:
    return Average.of(mean_t(values.double().numpy()))


def _within(made: Average) -> Average:
    """A mean of numbers between 0 and 1, which its bounds do not leave."""
    if made.low is None or made.high is None:
        return made
    bounds = {"low": max(0.0, made.low), "high": min(1.0, made.high), "interval": f"{made.interval}, within 0 and 1"}
    return made.model_copy(update=bounds)


def _attended(case: Case, arrays: Mapping[str, Tensor]) -> tuple[Attended, ...]:
    return tuple(
        Attended(
            key=each.key, reads=each.reads, heads=each.heads, queries=each.queries, keys=each.keys, causal=each.causal,
            entropy=_average(arrays["attention_entropy"][:, at]),
            distance=_average(arrays["attention_distance"][:, at]) if each.reads == "self" else None,
        )
        for at, each in enumerate(attentions(case.structure))
    )  # fmt: skip


def _depths(case: Case, arrays: Mapping[str, Tensor]) -> tuple[Depth, ...]:
    made = []
    for at, key in enumerate(keys(case.structure)):
        total = arrays["row_total"][:, at]
        known = total > 0
        shared = (
            [_average(arrays[name][:, at][known]) for name in ("row_entropy", "row_largest")] if known.any() else []
        )
        entropy, largest = shared or (None, None)
        made.append(Depth(key=key, entropy=entropy, largest=largest, total=_average(total)))
    return tuple(made)


def _positions(arrays: Mapping[str, Tensor], n: int) -> tuple[Position, ...]:
    if not n:
        return ()
    pairs = zip(arrays["share_sum"].tolist(), arrays["share_square"].tolist(), strict=True)
    return tuple(
        Position(position=at, share=_within(Average.of(mean_of_sums_t(total, square, n))))
        for at, (total, square) in enumerate(pairs)
        if at < MOST_POSITIONS
    )


def _aside(case: Case) -> tuple[NotApplicable, ...]:
    if not isinstance(case.structure, Stack):
        return ()
    return tuple(
        NotApplicable(
            subject=each.key or "the network's own attention",
            because="it reads the tokens after the last layer by weights of its own, which are not followed: the tokens"
            " that it reads count alike",
        )
        for each in case.structure.aside
    )
