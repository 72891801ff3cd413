"""What does a reader see of where an attack lands: doubts first, then how it grows, and what is weakest?"""

from __future__ import annotations

from service.contracts.section import Block, Measure, Number, Picture, Prose, Section, exact
from workers.robustness.layers import tables
from workers.robustness.layers.findings import directed, weakest
from workers.robustness.layers.outcome import RobustnessLayersOutcome

TITLE = "Where in the network an attack lands"
QUESTION = "In which layers does an attack grow beside noise of equal norm, and which layer takes the least to break?"
SOURCE = (
    "Attack: Croce and Hein 2020, arXiv:2003.01690, section 3; latent attacks: Singh et al. 2019, arXiv:1905.05186,"
    " section 3; linear probes: Alain and Bengio 2016, arXiv:1610.01644; displacement beside noise of equal norm and"
    " latent budgets by bisection: our own"
)
LIMITS = (
    "Every budget and every share that still holds is an upper bound: another attack may need less.",
    "Displacement is followed for adversarials of this one attack, norm and epsilon; others may go other ways.",
    "A relative budget at a layer and one at the input are different claims: neither follows from the other.",
    "A layer with other paths around it may be displaced without effect; a cut is passed by everything.",
    "Layers have units of their own: displacement is relative to each layer's norm, which a bias may dominate.",
    "What a latent attack gives a layer, no input need give it.",
    "Flips of linear probes are weak evidence of where a network errs; noise is their null.",
    "Intervals are over examples like these, drawn again; not over other attacks or other data.",
)


def section(outcome: RobustnessLayersOutcome) -> Section:
    """The whole section, from the outcome alone."""
    return Section(
        title=TITLE, question=QUESTION, answer=_answer(outcome), blocks=_blocks(outcome), findings=outcome.findings,
        controls=outcome.controls, not_applicable=outcome.not_applicable, limits=LIMITS, source=SOURCE,
    )  # fmt: skip


def _answer(outcome: RobustnessLayersOutcome) -> str:
    parts = [each.meaning for each in outcome.findings if each.severity != "note" and each.code != "weakest-layer"][:1]
    if outcome.broken:
        parts.append(f"The attack breaks {outcome.broken} of {_right(outcome)} examples that are right.")
    grown = directed(outcome)
    last = next((layer for layer in reversed(outcome.layers) if layer.ratio is not None), None)
    if last is not None and last.ratio is not None:
        where = "" if grown is None else f", and it grows most over {grown[0].key}"
        parts.append(
            f"In {last.key} it carries the network {last.ratio.value:.2f} times as far as noise of equal norm{where}."
        )
    weak = weakest(outcome)
    if weak is not None and weak.latent is not None and weak.latent.rho50 is not None:
        parts.append(
            f"The weakest layer attacked by itself is {weak.key}: moving its output by at most"
            f" {100 * weak.latent.rho50:.3g} % of its norm breaks half of {weak.latent.n} examples."
        )
    return (" ".join(parts) or "No adversarial was found and no layer was broken.")[:4000]


def _right(outcome: RobustnessLayersOutcome) -> int:
    return 0 if outcome.clean is None else round(outcome.clean.value * outcome.clean.n)


def _blocks(outcome: RobustnessLayersOutcome) -> tuple[Block, ...]:
    return (
        Prose(text=_asked(outcome)),
        *_measures(outcome),
        *tables.displacement(outcome),
        *(
            Picture(title=each.title, artifact=each.artifact, alternative=each.alternative, caption=each.caption)
            for each in outcome.pictures
        ),
        *tables.latent(outcome),
        *([tables.latent_table(outcome)] if _only_held(outcome) else []),
        *tables.attributions(outcome),
        *tables.probes(outcome),
    )


def _only_held(outcome: RobustnessLayersOutcome) -> bool:
    found = [layer.latent for layer in outcome.layers if layer.latent is not None]
    return bool(found) and all(each.rho50 is None for each in found)


def _asked(outcome: RobustnessLayersOutcome) -> str:
    norm = "L-infinity" if outcome.norm == "linf" else "L2"
    right = "has its label" if outcome.labelled else "is as the network itself says: there are no labels"
    probed = f" Probes are cross-fitted on {outcome.probe_examples} examples." if outcome.probe_examples else ""
    return (
        f"{norm}, epsilon {exact(outcome.epsilon)} {outcome.unit}, on the first {outcome.examples} of"
        f" {outcome.available} examples; an example is right that {right}. Auto-PGD on several losses,"
        f" {outcome.settings['steps']} steps in its first lane, {outcome.asked['gradients']} gradients in all; the"
        f" layers are followed for the {outcome.broken} that it breaks, each beside {outcome.draws} random changes"
        f" within the bounds and of the same L2 norm.{probed} {' '.join(outcome.notes)}"
    )[:4000]


def _measures(outcome: RobustnessLayersOutcome) -> list[Measure]:
    made = []
    if outcome.robust is not None:
        made.append(
            Measure(
                label="Still right under this attack, at most", direction="higher is better",
                number=Number(
                    value=outcome.robust.value, unit="share of examples", low=outcome.robust.low,
                    high=outcome.robust.high, n=outcome.robust.n,
                ),
                note="Wilson 95 %. An upper bound on the truth: robustness runs stronger attacks.",
            )
        )  # fmt: skip
    if outcome.random_broken is not None:
        made.append(
            Measure(
                label="Of the broken, broken by noise of equal norm",
                number=Number(
                    value=outcome.random_broken.value, unit="share of adversarials", low=outcome.random_broken.low,
                    high=outcome.random_broken.high, n=outcome.random_broken.n,
                ),
                note="Mean over draws.",
            )
        )  # fmt: skip
    return made
