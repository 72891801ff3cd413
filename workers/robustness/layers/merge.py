"""What is the answer, and what is kept of every example behind it?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import JsonValue
from torch import Tensor

from workers.kind import Computed, Context, Partial
from workers.numerics.determinism import seed_for
from workers.passes.asked import ROLE
from workers.robustness.layers.case import Case
from workers.robustness.layers.compute import Landed, land
from workers.robustness.layers.findings import findings
from workers.robustness.layers.outcome import Median, RobustnessLayersOutcome, Share
from workers.robustness.layers.parameters import RobustnessLayersParameters
from workers.robustness.layers.pictures import picture
from workers.robustness.layers.told import first_flips, reports
from workers.subject.subject import Subject

UNKNOWN = -1.0
"""In an array: a number that has no meaning, where all that have one are above zero."""

ABOVE = -2.0
"""In an array of budgets: above the largest."""


def compute(case: Case, context: Context) -> Partial:
    """The outcome but for its pictures and findings, and the arrays."""
    landed = land(case, context)
    outcome = _outcome(case, landed, context.digest)
    return Partial(values={"outcome": outcome.model_dump(mode="json")}, arrays=_arrays(landed))


def merge(
    subject: Subject, parameters: RobustnessLayersParameters, partials: Sequence[Partial], _: Context
) -> Computed[RobustnessLayersOutcome]:
    """There is one part; the pictures and findings are made here."""
    (partial,) = partials
    outcome = RobustnessLayersOutcome.model_validate(partial.values["outcome"])
    drawn = picture(Case.of(subject, parameters), partial.arrays)
    outcome = outcome.model_copy(update={"pictures": tuple(shown for shown, _ in drawn)})
    outcome = outcome.model_copy(update={"findings": findings(outcome)})
    pictures = {shown.artifact: png for shown, png in drawn}
    return Computed(outcome=outcome, arrays=partial.arrays, pictures=pictures)


def _outcome(case: Case, landed: Landed, digest: str) -> RobustnessLayersOutcome:
    found, displaced, seed = landed.found, landed.displaced, seed_for(digest, 0)
    clean, held, m = int(found.clean.sum()), int(found.robust()[:, 0].sum()), len(landed.broken)
    settings = case.parameters.settings(case.epsilon)
    asked: dict[str, JsonValue] = {"forwards": found.asked.forwards, "gradients": found.asked.gradients}
    noise = landed.noise_broke
    return RobustnessLayersOutcome(
        norm=case.parameters.norm, epsilon=case.epsilon, unit=case.threat.unit, embedded=case.threat.embedded,
        labelled=case.aim.judged == "labels", examples=case.count, notes=case.threat.notes + case.aim.notes,
        available=len(case.subject.examples[ROLE].inputs),
        clean=Share.of(clean, len(found.clean)), robust=Share.of(held, len(found.clean)), broken=m,
        random_broken=None if noise is None else _mean_share(noise),
        random_length=float(landed.length.min()) if m else None,
        at_input=None if displaced is None else Median.of(displaced.at_input.numpy(), seed),
        random_at_input=None if displaced is None else Median.of(displaced.random_at_input.mean(1).numpy(), seed),
        draws=case.parameters.draws, largest=case.parameters.largest, settings=settings.as_json(), asked=asked,
        never=first_flips(case, landed).never, probe_examples=len(case.threat) if landed.probes else 0,
        layers=reports(case, landed, digest), not_applicable=(*case.layers.others, *landed.missing),
    )  # fmt: skip


def _mean_share(broke: Tensor) -> Share:
    """Of examples, in the mean over draws (draws, m); bounds are those of as many examples."""
    mean, m = float(broke.double().mean()), broke.shape[1]
    whole = Share.of(round(mean * m), m)
    assert whole is not None
    return Share(value=mean, low=min(whole.low, mean), high=max(whole.high, mean), n=m)


def _arrays(landed: Landed) -> dict[str, Tensor]:
    """Of all examples: `examples`, `clean`, `broken`; of the broken: `adversarials`, `displacement` (layers, m) and so
    on; of those right without an attack: `latent` (layers attacked, r)."""
    made = {
        "examples": landed.rows, "clean": landed.found.clean.to(torch.uint8), "broken": landed.broken,
        "adversarials": landed.made.cpu(), "right": landed.latent_rows,
    }  # fmt: skip
    if landed.displaced is not None:
        found = landed.displaced
        made |= {
            "displacement": _known(found.relative), "random_displacement": _known(found.random),
            "cosine": torch.nan_to_num(found.cosine, nan=0.0), "ratio": _known(found.ratio),
            "gain": _known(found.gain), "noise": landed.noisy[0].cpu(),
        }  # fmt: skip
    for key, budgets in landed.budgets.items():
        made[f"latent/{key}"] = torch.where(budgets.rho.isinf(), ABOVE, _known(budgets.rho))
    for key, probe in landed.probes.items():
        made[f"probe/{key}"] = probe.adversarial
    return {name: array for name, array in made.items() if array.numel()}


def _known(values: Tensor) -> Tensor:
    return torch.where(values.isnan(), UNKNOWN, values)
