"""What changed enough that somebody should know?"""

from __future__ import annotations

from collections.abc import Iterator

from service.contracts.outcome import Finding
from workers.comparison.outcome import CompareOutcome

_NAMED = 8
FEW = 30


def findings(outcome: CompareOutcome) -> tuple[Finding, ...]:
    """The gravest first."""
    return (*_lost(outcome), *_other_grounds(outcome), *_shifted(outcome), *_few(outcome))


def _lost(outcome: CompareOutcome) -> Iterator[Finding]:
    found = outcome.difference
    if found is not None and found.high is not None and found.high < -outcome.margin:
        yield Finding(
            code="accuracy-lost",
            severity="failure",
            raised_if=f"the whole interval of the paired difference lies below {-outcome.margin:g}",
            meaning="The later version is surely less accurate on the same examples.",
            advice="Keep the earlier version, or find out which examples were lost.",
            evidence=f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}] of {found.n}; {outcome.lost} lost,"
            f" {outcome.gained} gained",
        )


def _other_grounds(outcome: CompareOutcome) -> Iterator[Finding]:
    low = [each for each in outcome.layers if each.ndcg < outcome.alarm]
    whole = outcome.ndcg is not None and outcome.ndcg.value < outcome.alarm
    if low or whole:
        named = ", ".join(f"{each.layer} {each.ndcg:.3f}" for each in sorted(low, key=lambda each: each.ndcg)[:_NAMED])
        yield Finding(
            code="other-grounds",
            severity="warning",
            raised_if=f"nDCG of a ranking is below {outcome.alarm:g}",
            meaning="What matters to the later version is not what mattered to the earlier one.",
            advice="Look at the attributions side by side before relying on earlier explanations.",
            evidence=named or f"layers within an example: {outcome.ndcg.value if outcome.ndcg else 0:.3f}",
        )


def _shifted(outcome: CompareOutcome) -> Iterator[Finding]:
    over = [each for each in outcome.shifts if each.ratio > 1]
    if over:
        worst = sorted(over, key=lambda each: -each.ratio)[:_NAMED]
        yield Finding(
            code="outputs-shifted",
            severity="warning",
            raised_if="a population stability index exceeds its critical value",
            meaning="Outputs are distributed otherwise than before, by more than chance.",
            advice="Find out whether the data or the model changed.",
            evidence="; ".join(f"{each.score}: {each.index:.3f} (critical {each.critical:.3f})" for each in worst),
        )


def _few(outcome: CompareOutcome) -> Iterator[Finding]:
    if outcome.pairs < FEW:
        yield Finding(
            code="few-examples",
            severity="note",
            raised_if=f"fewer than {FEW} examples stand in both",
            meaning="Only large differences could be seen.",
            advice="Compare on more examples.",
            evidence=f"{outcome.pairs} pairs",
        )
