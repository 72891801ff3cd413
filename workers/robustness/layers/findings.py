"""What must a reader know of where an attack lands, and before relying on it?"""

from __future__ import annotations

from collections.abc import Iterator

from service.contracts.outcome import Finding
from service.contracts.section import exact
from workers.robustness.layers.outcome import LayerReport, Probe, RobustnessLayersOutcome

FEW = 10
"""Broken examples below which medians say little."""

_EQUAL, _GROWS, _MOVES = 0.9, 1.1, 0.1
_FRAGILE = 0.05
_HALF = 0.5


def findings(outcome: RobustnessLayersOutcome) -> tuple[Finding, ...]:
    """Doubts first, then what was found."""
    return (*_doubts(outcome), *_found(outcome))


def directed(outcome: RobustnessLayersOutcome) -> tuple[LayerReport, float] | None:
    """The layer over which the ratio grows most, and how many times; None where it grows nowhere by a tenth."""
    ratios = {layer.key: layer.ratio.value for layer in outcome.layers if layer.ratio is not None}
    grown = [
        (layer, ratios[layer.key] / ratios.get(layer.before, 1.0))
        for layer in outcome.layers
        if layer.key in ratios and ratios.get(layer.before, 1.0) > 0
    ]
    best = max(grown, key=lambda each: each[1], default=None)
    return best if best is not None and best[1] >= _GROWS else None


def weakest(outcome: RobustnessLayersOutcome) -> LayerReport | None:
    """The layer of the smallest latent budget; None where none is known."""
    known = [layer for layer in outcome.layers if layer.latent is not None and layer.latent.rho50 is not None]
    return min(known, key=_rho, default=None)


def flipping(outcome: RobustnessLayersOutcome) -> tuple[LayerReport, Probe] | None:
    """The layer at whose probe most adversarials flip first, beyond what noise does; None where none may be named."""
    known = [(layer, layer.probe) for layer in outcome.layers if layer.probe is not None and layer.probe.trusted]
    best = max(known, key=lambda each: each[1].first - each[1].random_first, default=None)
    return best if best is not None and best[1].first > best[1].random_first else None


def _rho(layer: LayerReport) -> float:
    assert layer.latent is not None
    assert layer.latent.rho50 is not None
    return layer.latent.rho50


def _lost(layer: LayerReport) -> float:
    """By how much the attack lowers the rank correlation below what noise does."""
    return 0.0 if layer.ranks is None or layer.random_ranks is None else layer.random_ranks.value - layer.ranks.value


# --- doubts


def _doubts(outcome: RobustnessLayersOutcome) -> Iterator[Finding]:
    if outcome.embedded:
        yield Finding(
            code="diagnostic-only", severity="warning", raised_if="what is attacked is what tokens are embedded as",
            meaning="No text has these embeddings: nobody can make this attack. It shows where the network would give"
            " way, and not that it can be broken.",
            advice="Read the layers; take what texts can do from robustness_text.",
        )  # fmt: skip
    if outcome.clean is not None and outcome.clean.value == 0:
        yield Finding(
            code="wrong-everywhere", severity="failure", raised_if="no example is right without an attack",
            meaning="There is nothing to break: neither the attack nor a layer's budget says anything.",
            advice="Check that labels, classes and preprocessing are those the network was trained with.",
            evidence=f"0 of {outcome.clean.n} examples",
        )  # fmt: skip
    elif outcome.broken == 0:
        yield Finding(
            code="nothing-broken", severity="note", raised_if="the attack breaks no example at this epsilon",
            meaning="There is no adversarial to follow through the layers; latent budgets stand on their own.",
            advice="Ask for a larger epsilon. That this attack found nothing is no proof that there is nothing.",
            evidence=f"epsilon {exact(outcome.epsilon)} {outcome.unit}, {outcome.norm}",
        )  # fmt: skip
    elif outcome.broken < FEW:
        yield Finding(
            code="few-broken", severity="warning", raised_if=f"fewer than {FEW} examples are broken",
            meaning="Medians over so few adversarials are one example's as much as the network's.",
            advice="Ask for more examples, or a larger epsilon.", evidence=f"{outcome.broken} broken",
        )  # fmt: skip
    yield from _noise(outcome)


def _noise(outcome: RobustnessLayersOutcome) -> Iterator[Finding]:
    if outcome.random_broken is not None and outcome.random_broken.value >= _HALF:
        yield Finding(
            code="noise-breaks-too", severity="warning",
            raised_if="random changes of equal norm break half of what the attack breaks, or more",
            meaning="At this epsilon any change will do: what layers do to adversarials is not told from what they do"
            " to noise.",
            advice="Ask for a smaller epsilon.",
            evidence=f"{100 * outcome.random_broken.value:.0f} % of {outcome.random_broken.n}",
        )  # fmt: skip
    if outcome.random_length is not None and outcome.random_length < _EQUAL:
        yield Finding(
            code="noise-shorter", severity="warning",
            raised_if="within the bounds no random change as long as some adversarial was found",
            meaning="The comparison is with smaller changes, and ratios are too large by as much.",
            advice="Ask for a smaller epsilon, or check the declared bounds.",
            evidence=f"the shortest has {outcome.random_length:.2f} of its adversarial's length",
        )  # fmt: skip
    untrusted = [layer.key for layer in outcome.layers if layer.probe is not None and not layer.probe.trusted]
    if untrusted:
        yield Finding(
            code="probes-too-weak", severity="note",
            raised_if="a layer's probe is right less than 90 % as often as the network",
            meaning="Where these probes flip says nothing of where the network does: no flip is laid at these layers.",
            advice="Rely on displacement and latent budgets there.", evidence=", ".join(untrusted)[:4000],
        )  # fmt: skip


# --- what was found


def _found(outcome: RobustnessLayersOutcome) -> Iterator[Finding]:
    grown = directed(outcome)
    ratio = None if grown is None else grown[0].ratio
    if grown is not None and ratio is not None:
        layer, times = grown
        yield Finding(
            code="directed-growth", severity="note",
            raised_if="over one layer the adversarial displacement grows most beside that of noise, by a tenth or more",
            meaning="Here the attack's change is kept or grown while noise of equal norm is averaged away: the attack"
            " is made for what this layer reads.",
            advice="Look at this layer first: its units, its latent budget, and hardening from here on.",
            evidence=f"the ratio grows {times:.2f} times over {layer.before}, to {ratio.value:.2f}",
            layer=layer.key,
        )  # fmt: skip
    weak = weakest(outcome)
    if weak is not None and weak.latent is not None and weak.latent.rho50 is not None:
        fragile = weak.latent.rho50 < _FRAGILE
        yield Finding(
            code="weakest-layer", severity="warning" if fragile else "note",
            raised_if="of the layers attacked at their own output this one takes the least to break half of the"
            " examples; a warning below 5 % of its norm",
            meaning="The network rests on small differences in this layer. Robustness to changes of the input and of a"
            " layer are different claims: neither follows from the other.",
            advice="Latent adversarial training from this layer on may help; audit again afterwards.",
            evidence=f"at most {100 * weak.latent.rho50:.3g} % of its norm, n = {weak.latent.n}", layer=weak.key,
        )  # fmt: skip
    flips = flipping(outcome)
    if flips is not None:
        layer, probe = flips
        yield Finding(
            code="flips-first", severity="note",
            raised_if="at one trusted probe more adversarials flip first than at any other, beyond what noise flips",
            meaning="Weak evidence that the error is visible from here on: a probe is not robust itself, and noise"
            " stands beside it as the null.",
            advice="Read the whole distribution, and the latent budget of the layer.",
            evidence=f"{probe.first} of {outcome.broken}; noise {probe.random_first:.1f}", layer=layer.key,
        )  # fmt: skip
    moved = [(layer, _lost(layer)) for layer in outcome.layers]
    most = max(moved, key=lambda each: each[1], default=None)
    if most is not None and most[1] > _MOVES:
        yield Finding(
            code="attributions-move", severity="note",
            raised_if="in one layer the attack reorders what units matter more than noise does, most of all layers",
            meaning="At the adversarial the class rests on other units of this layer than at the example.",
            advice="Explanations of this layer at the example do not hold beside it.",
            evidence=f"rank correlation lower by {most[1]:.2f} than with noise of equal norm", layer=most[0].key,
        )  # fmt: skip
