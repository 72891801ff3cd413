"""How is it found out where an attack lands?

One attack on the input; then what it does in all layers, beside noise; then an attack at each of a few layers, late
ones first; then what linear probes of all layers read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from pydantic import JsonValue
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.attack.classes import Misclassified
from workers.attack.found import Found
from workers.attack.frontier import attack
from workers.kind import AnalysisError, Context, Part
from workers.numerics.determinism import NotFinite, require_finite, seed_for
from workers.numerics.memory import keep_freed_pages
from workers.robustness.layers.case import Case, victim
from workers.robustness.layers.chosen import attacked
from workers.robustness.layers.displaced import Displaced, displaced
from workers.robustness.layers.latent import HELD, Budgets, Search, joined, latent
from workers.robustness.layers.moved import MOST_EXAMPLES, Moved, moved
from workers.robustness.layers.noise import equal_noise, reached
from workers.robustness.layers.parameters import RobustnessLayersParameters
from workers.robustness.layers.probes import LEAST, Probed, pooled, probed
from workers.robustness.layers.through import Through
from workers.subject.refusal import out_of_memory, without_paths
from workers.subject.subject import Subject
from workers.sweep.probe import Tap
from workers.sweep.refusals import SweepRefused
from workers.sweep.target import Target

REFUSED = (AnalysisError, NotFinite, SweepRefused)
"""What a layer may be refused with, while the others go on."""

NONE_BROKEN = "the attack broke no example at this epsilon, so that there is nothing to follow through the layers"
NOT_REACHED = "no change of the attacked input reaches it, or it is zero or does not run at these examples"
FEW_TO_PROBE = f"fewer than {LEAST} examples are there to fit linear probes on and check them with"

_ATTACK, _FOLLOW, _LATENT = 0.3, 0.4, 0.9
"""Fractions done after the attack, after all layers were followed, after the latent attacks; probes are the rest."""


@dataclass(slots=True)
class Landed:
    """All that was found.

    rows: int64 (k,), the examples attacked. broken: int64 (m,), those of them that broke. made, noisy: of these.
    latent_rows: int64 (r,), right without an attack. budgets: by layer. probes: by layer, over `probe_rows`.
    """

    rows: Tensor
    found: Found
    broken: Tensor
    made: Tensor
    noisy: Tensor
    length: Tensor
    latent_rows: Tensor
    displaced: Displaced | None = None
    noise_broke: Tensor | None = None
    moved: dict[str, Moved] = field(default_factory=dict)
    budgets: dict[str, Budgets] = field(default_factory=dict)
    probes: dict[str, Probed] = field(default_factory=dict)
    missing: list[NotApplicable] = field(default_factory=list)

    def miss(self, subject: str, because: str) -> None:
        """Say what was not done."""
        self.missing.append(NotApplicable(subject=subject[:600], because=because[:4000]))


def said(error: Exception) -> str:
    """Why, as a reader may see it."""
    return error.detail if isinstance(error, AnalysisError) else without_paths(str(error))


def applies(subject: Subject, parameters: RobustnessLayersParameters) -> tuple[str, ...]:
    """Why the question cannot be asked of this subject; empty where it can."""
    try:
        Case.of(subject, parameters)
    except REFUSED as refused:
        return (said(refused),)
    return ()


def parts(subject: Subject, parameters: RobustnessLayersParameters, context: Context) -> tuple[Part, ...]:
    """One part: all layers."""
    case = Case.of(subject, parameters)
    plan: dict[str, JsonValue] = {
        "examples": case.count, "layers": len(case.layers.taps), "rows": case.rows(context.memory_bytes),
        "epsilon": case.epsilon, "device": str(case.threat.x.device), "threads": context.threads,
    }  # fmt: skip
    return (Part(index=0, requests=(), plan=plan),)


def land(case: Case, context: Context) -> Landed:
    """All of it; reports layer by layer."""
    keep_freed_pages()
    through = case.through(context.memory_bytes)
    with through.quiet():
        made = _attacked(case, through, context)
        if len(made.broken):
            _follow(case, through, made, context)
        else:
            made.miss("adversarials", NONE_BROKEN)
        _latent(case, through, made, context)
        if case.parameters.probe_examples and len(made.broken):
            _probe(case, through, made, context)
    return made


def _attacked(case: Case, through: Through, context: Context) -> Landed:
    threat, device = case.threat, case.threat.x.device
    rows = torch.arange(case.count)
    x = threat.x[: case.count]
    seeds = [seed_for(context.digest, int(row)) for row in rows]

    def told(fraction: float, stage: str) -> None:
        context.progress(_ATTACK * fraction, f"attack on the input: {stage}")

    found = attack(
        victim(through, rows.to(device)), Misclassified(case.truth[rows]), x, threat.space.take(rows),
        case.parameters.settings(case.epsilon), seeds, told,
    )  # fmt: skip
    broke = (found.clean & (found.at == 0)).nonzero().flatten()
    space = threat.space.take(broke)
    adversarial, own = found.made[broke.to(device)], x[broke.to(device)]
    noisy = equal_noise(space, own, adversarial, [seeds[int(at)] for at in broke], case.parameters.draws)
    return Landed(
        rows=rows, found=found, broken=rows[broke], made=adversarial, noisy=noisy,
        length=reached(space, own, adversarial, noisy).cpu(), latent_rows=rows[found.clean],
    )  # fmt: skip


def _follow(case: Case, through: Through, made: Landed, context: Context) -> None:
    """The adversarials and their noise through all layers."""
    taps, threat = case.layers.taps, case.threat
    index = made.broken.to(threat.x.device)
    x = threat.x[index]

    def told(fraction: float) -> None:
        context.progress(_ATTACK + (_FOLLOW - _ATTACK) * fraction, "displacement of all layers")

    told(0.0)
    made.displaced = displaced(through, taps, x, made.made, made.noisy, index, threat.reads, told)
    for tap, arrives in zip(taps, made.displaced.reached, strict=True):
        if not arrives:
            made.miss(f"displacement of {tap.key}", NOT_REACHED)
    labels = case.truth[made.broken].to(index.device)
    with torch.no_grad():
        given = torch.stack([through.outputs(each, index).argmax(1) for each in made.noisy])
    made.noise_broke = (given != labels).cpu()
    if not case.parameters.attributions:
        return
    some = slice(0, MOST_EXAMPLES)
    try:
        made.moved = moved(
            case.ready, through, taps, _targets(case, made.broken[some]), x[some], made.made[some],
            made.noisy[0][some], index[some], (context.memory_bytes, context.threads),
        )  # fmt: skip
    except REFUSED as refused:
        made.miss("attributions of layers", said(refused))


def _targets(case: Case, broken: Tensor) -> Target:
    """The class that each is held to, where the output is classes; else what the network says of it."""
    if case.ready.outputs.ndim == 2 and case.ready.outputs.shape[1] > 1:
        return replace(Target.classes(case.truth[broken]), output=case.ready.target.output)
    return case.ready.target.take(broken)


def _latent(case: Case, through: Through, made: Landed, context: Context) -> None:
    """Each layer's own attack, late ones first, each kept as it comes."""
    taps = case.layers.taps
    wanted = attacked(taps, case.parameters.latent)
    if not wanted:
        return
    if len(made.latent_rows) == 0:
        made.miss("latent attacks", "no example is right without an attack")
        return
    rows = made.latent_rows.to(case.threat.x.device)
    x = case.threat.x[rows]
    with torch.no_grad():
        outputs = through.outputs(x, rows)
    share = (_LATENT - _FOLLOW) / len(wanted)
    for number, at in enumerate(reversed(wanted)):
        tap = taps[at]

        def told(fraction: float, begins: float = _FOLLOW + share * number, key: str = tap.key) -> None:
            context.progress(begins + share * min(1.0, fraction), f"latent attack at {key}")

        told(0.0)
        try:
            made.budgets[tap.key] = _at_layer(case, through, tap, x, rows, outputs, context, told)
        except REFUSED as refused:
            made.miss(f"latent attack at {tap.key}", said(refused))


def _at_layer(
    case: Case,
    through: Through,
    tap: Tap,
    x: Tensor,
    rows: Tensor,
    outputs: Tensor,
    context: Context,
    told: Callable[[float], None],
) -> Budgets:
    if not tap.shape:
        raise AnalysisError("latent", "it gives one number for each example, which has no direction to be moved in")
    asked = case.parameters
    search = Search(largest=asked.largest, steps=asked.latent_steps, rounds=asked.rounds)
    seeds = [seed_for(f"{context.digest} {tap.key}", int(row)) for row in rows]
    h = through.values(x, rows, [tap])[tap.key]
    require_finite(h, tap.key)
    together = max(1, context.memory_bytes // 2 // (HELD * max(1, tap.bytes_per_example)))
    parts = [slice(start, min(start + together, len(h))) for start in range(0, len(h), together)]
    try:
        return joined(
            [
                latent(
                    through.after(tap, x[part], rows[part]), h[part], outputs[part], case.truth[rows[part].cpu()],
                    search, seeds[part], through.rows, partial(_of_all, told, part, len(h)),
                )
                for part in parts
            ]
        )  # fmt: skip
    except (RuntimeError, ValueError, IndexError) as error:
        if out_of_memory(error) or isinstance(error, REFUSED):
            raise
        raise AnalysisError("latent", f"the network cannot be run from its output on: {error}") from error


def _of_all(told: Callable[[float], None], part: slice, n: int, fraction: float) -> None:
    told((part.start + (part.stop - part.start) * fraction) / n)


def _probe(case: Case, through: Through, made: Landed, context: Context) -> None:
    """A linear probe of each layer, on clean examples, adversarials and their noise."""
    n = len(case.threat)
    if n < LEAST:
        made.miss("linear probes", FEW_TO_PROBE)
        return
    device, taps = case.threat.x.device, case.layers.taps
    every = torch.arange(n, device=device)
    index = made.broken.to(device)
    for at, tap in enumerate(taps):
        context.progress(_LATENT + (1 - _LATENT) * at / len(taps), f"linear probe of {tap.key}")
        clean, adversarial, *random = (
            pooled(through.known(rows, which, [tap])[tap.key])
            for rows, which in (
                (case.threat.x, every), (made.made, index), *((each, index) for each in made.noisy)
            )
        )  # fmt: skip
        if not all(bool(each.isfinite().all()) for each in (clean, adversarial, *random)):
            made.miss(f"linear probe of {tap.key}", "it does not run, or is not finite, at some example")
            continue
        made.probes[tap.key] = probed(clean, case.truth, case.aim.before.shape[1], made.broken, adversarial, random)
