"""What is kept of each example, and what do all examples show together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from service.contracts.outcome import Estimate
from workers.analyses.logit_lens.case import Case
from workers.analyses.logit_lens.findings import findings
from workers.analyses.logit_lens.outcome import LensOutcome, LensParameters, Read, Said, Stage, Word
from workers.attribution.outcome import Average
from workers.kind import Computed, Context, Part, Partial
from workers.lens.run import read
from workers.numerics.intervals import mean_t, wilson
from workers.passes.asked import ROLE
from workers.subject.subject import Subject

_SHOWN = 4
_LETTERS = 64


def compute(subject: Subject, part: Part, parameters: LensParameters, context: Context) -> Partial:
    """Numbers of every example after every block."""
    case = Case.of(subject, parameters)
    size = part.plan["batch"]
    assert isinstance(size, int)
    kept: dict[str, list[Tensor]] = {}
    for block in read(case.ready, case.found, size, parameters.best):
        for name, each in {
            "token": block.token, "probability": block.probability, "rank": block.rank,
            "divergence": block.divergence, "best": block.best, "share": block.share, "decided": block.decided,
        }.items():  # fmt: skip
            kept.setdefault(name, []).append(each)
        context.progress((block.start + len(block.token)) / len(case.ready), "reading blocks")
    return Partial(values={}, arrays={name: torch.cat(many) for name, many in kept.items()})


def merge(
    subject: Subject, parameters: LensParameters, partials: Sequence[Partial], _context: Context
) -> Computed[LensOutcome]:
    """What the one part shows."""
    case = Case.of(subject, parameters)
    (partial,) = partials
    arrays, n = partial.arrays, len(case.ready)
    last = case.found.blocks[-1]
    depths = torch.tensor([case.depth(at) for at in range(len(case.found.all) + 1)], dtype=torch.float64)
    outcome = LensOutcome(
        position=parameters.position, precision=parameters.precision, examples=n,
        available=len(subject.examples[ROLE].inputs), vocabulary=case.vocabulary, tokens=last.shape[0],
        width=last.shape[1], embedding=None if case.found.embedding is None else case.found.embedding.key,
        stages=tuple(_stage(case, at, arrays) for at in range(len(case.found.all))),
        decided=_share(depths[arrays["decided"]]), read=_read(case, arrays),
    )  # fmt: skip
    return Computed(outcome=outcome.model_copy(update={"findings": findings(outcome)}), arrays=dict(arrays))


def _average(values: Tensor) -> Average:
    return Average.of(mean_t(values.double().numpy()))


def _share(values: Tensor) -> Average:
    """A mean of numbers between 0 and 1, which its bounds do not leave."""
    made = _average(values)
    if made.low is None or made.high is None:
        return made
    bounds = {"low": max(0.0, made.low), "high": min(1.0, made.high), "interval": f"{made.interval}, within 0 and 1"}
    return made.model_copy(update=bounds)


def _stage(case: Case, at: int, arrays: Mapping[str, Tensor]) -> Stage:
    ranks = arrays["rank"][:, at]
    share = wilson(int((ranks == 1).sum()), len(ranks))
    assert share.low is not None
    assert share.high is not None
    return Stage(
        key=case.found.all[at].key, depth=case.depth(at), probability=_share(arrays["probability"][:, at]),
        rank=_average(ranks), divergence=_average(arrays["divergence"][:, at]),
        first=Estimate(value=share.value, low=share.low, high=share.high, n=share.n, method="Wilson, 95 %"),
        decided=int((arrays["decided"] == at).sum()),
    )  # fmt: skip


def _read(case: Case, arrays: Mapping[str, Tensor]) -> tuple[Read, ...]:
    """The first examples, block by block."""
    texts = _texts(case.subject)

    def word(token: int, probability: float) -> Word:
        return Word(id=token, text=texts.get(token, "")[:_LETTERS], probability=probability)

    made = []
    for example in range(min(_SHOWN, len(arrays["token"]))):
        stages = tuple(
            Said(
                key=tap.key,
                words=tuple(
                    word(int(token), float(share))
                    for token, share in zip(arrays["best"][example, at], arrays["share"][example, at], strict=True)
                ),
            )
            for at, tap in enumerate(case.found.all)
        )
        final = word(int(arrays["token"][example]), float(arrays["probability"][example, -1]))
        made.append(Read(example=example, final=final, stages=stages))
    return tuple(made)


def _texts(subject: Subject) -> dict[int, str]:
    """What tokens read, as far as it is known: by declared names, or as they stand in the texts of the data."""
    if subject.facts.output.classes:
        return dict(enumerate(subject.facts.output.classes))
    data, words = subject.examples[ROLE], subject.tokenizer
    if words is None or data.texts is None:
        return {}
    found: dict[int, str] = {}
    for ids, text in zip(data.inputs.tolist(), data.texts, strict=True):
        pieces = words.pieces(text, len(ids))
        found |= {int(token): piece for token, (piece, _, _) in zip(ids, pieces, strict=False)}
    return found
