"""What does a reader see of attention rollout: in words, tables and figures?"""

from __future__ import annotations

from math import exp

from service.contracts.section import Block, Measure, Picture, Prose, Section
from workers.analyses.attention_rollout import figures
from workers.analyses.attention_rollout.outcome import RolloutOutcome
from workers.attribution.words import number

TITLE = "Attention rollout"
QUESTION = "From which tokens does what the output reads come, through the attention of all layers?"
SOURCE = (
    "Abnar and Zuidema 2020, arXiv:2005.00928, section 3; gradient: Chefer, Gur and Wolf 2021, arXiv:2103.15679,"
    " section 3"
)
_LIMITS = (
    "Attention says where a layer looks, not what it takes from there: values, norms and feed-forward parts stay out.",
    "That half of each layer goes to the residual connection is a convention and not measured.",
    "Whatever else mixes tokens between the layers (convolution, pooling, recurrence) is not followed.",
    "Rollout is the same for every target; only gradient asks which attention raises this one.",
    "Shares sum to one whatever the network does: they are no attribution, and add up to no change of the output.",
    "In deep networks rollout tends to equal shares; compare layers before reading the last one.",
    "Intervals are over the examples analysed, as if drawn at random.",
)
_READ = {
    "target": "the tokens of the last layer that the target depends on",
    "first": "the first token",
    "last": "the last token that leads to the target",
    "mean": "all tokens that lead to the target, alike",
}


def section(outcome: RolloutOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=_LIMITS, source=SOURCE,
    )  # fmt: skip


def _answer(outcome: RolloutOutcome) -> str:
    most = max(outcome.positions, key=lambda each: each.share.value, default=None)
    entropy = outcome.depths[-1].entropy
    over = f"on average over {outcome.examples} of {outcome.available} examples"
    if most is None or entropy is None:
        return f"Nowhere would more attention raise the target: no token has any relevance, {over}."
    text = (
        f"After {len(outcome.depths)} layer{'s' if len(outcome.depths) > 1 else ''} what is read comes most from"
        f" position {most.position} ({number(most.share).display} of it) and is spread as over {exp(entropy.value):.3g}"
        f" equal tokens, {over}."
    )
    doubt = next((each.meaning for each in outcome.findings if each.code != "one-position-holds-most"), "")
    return f"{text} {doubt}".strip()[:4000]


def _blocks(outcome: RolloutOutcome) -> tuple[Block, ...]:
    read = _READ.get(outcome.read, outcome.read.replace(":", " "))
    rule = f"rollout, heads by their {outcome.heads}" if outcome.rule == "rollout" else "gradient"
    blocks: list[Block] = [
        Prose(
            text=f"Rule: {rule}. Read: {read}. Target: {outcome.target} ({outcome.target_unit}). {outcome.precision},"
            f" the first {outcome.examples} of {outcome.available} examples. Arrangement: {outcome.arrangement},"
            f" {outcome.tokens} tokens."
        ),
        Measure(
            label="Tokens that lead to the target", number=number(outcome.reached, "tokens"),
            note="Through the attention of any head of any layer; padding does not.",
        ),
        Measure(
            label="Tokens read", number=number(outcome.read_tokens, "tokens"), note="Of the last layer, per example.",
        ),
    ]  # fmt: skip
    blocks += [
        Picture(title=each.title, artifact=each.artifact, alternative=each.alternative, caption=each.caption)
        for each in outcome.pictures
    ]
    if outcome.sequence is not None:
        blocks.append(figures.heat(outcome, outcome.sequence))
    blocks += [figures.depths(outcome), figures.entropies(outcome)]
    if outcome.positions:
        blocks.append(figures.positions(outcome))
    return tuple(blocks)
