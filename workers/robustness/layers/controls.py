"""Which runs would show that what is said of layers means nothing?

Two small networks are planted whose answer is known by hand. The others ask the model's own layers: whether noise in
the place of adversarials is told from noise, and whether the network run from a layer on is the network.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from service.contracts.outcome import ControlRun
from workers.attack.space import Space
from workers.kind import Context
from workers.numerics.determinism import seed_for
from workers.robustness.layers.case import Case
from workers.robustness.layers.chosen import attacked, chosen
from workers.robustness.layers.compute import REFUSED, said
from workers.robustness.layers.displaced import Displaced, displaced
from workers.robustness.layers.latent import Search, latent
from workers.robustness.layers.noise import equal_noise
from workers.robustness.layers.through import Through
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.target import Target

NOISE = ("noise for adversarials", "Is noise in the place of adversarials told apart from other noise?")
PLANTED = ("planted amplifier", "Is the layer found that stretches the attacked direction ten times, with its gain?")
LINEAR = ("linear latent budget", "Is the budget that breaks a linear head its margin over the norms?")
RERUN = ("from each layer on", "Does the network say the same when a layer is given its own output back?")

_DRAWS, _TIMES = 8, 4
_ERRORS = 4.0
_SPREAD = ((_DRAWS + 2) / (12 * _DRAWS)) ** 0.5
"""Standard deviation of the share of the others that one of as many and one like draws is larger than: ranks are even
whatever the network, as long as all are drawn alike."""

_MOST = 32
_STRETCH = 10.0
_EXACT, _WITHIN, _ROUNDING = 1e-9, 0.02, 1e-4

Observed = tuple[str, bool | None]


def run(which: tuple[str, str], case: Case, context: Context) -> ControlRun:
    """One of `RUNS`."""
    expected, check = RUNS[which]
    context.progress(0.0, f"control: {which[0]}")
    try:
        observed, passed = check(case, context)
    except REFUSED as refused:
        observed, passed = f"not applicable, because {said(refused)}", None
    return ControlRun(name=which[0], question=which[1], expected=expected, observed=observed[:4000], passed=passed)


# --- planted networks


class Stretching(nn.Module):
    """Twice the input; the same with its last number ten times as large; and two sums of it. Of eight numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.even, self.loud = (nn.Linear(8, 8, bias=False).double() for _ in range(2))
        self.out = nn.Linear(8, 2, bias=False).double()
        with torch.no_grad():
            self.even.weight.copy_(2 * torch.eye(8))
            self.loud.weight.copy_(torch.diag(torch.tensor([1.0] * 7 + [_STRETCH])))
            self.out.weight.copy_(torch.tensor([[1.0] * 8, [-1.0] * 8]))
        self.requires_grad_(requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, 2)."""
        found: Tensor = self.out(self.loud(self.even(x)))
        return found


def stretched(seeds: int = 4) -> Displaced:
    """Examples e1 of the stretching network, each moved by a tenth along the last axis, beside noise."""
    network = Stretching().eval()
    x = torch.eye(8, dtype=torch.float64)[:1].repeat(seeds, 1)
    made = x.clone()
    made[:, -1] += 0.1
    target = Target.classes(0)
    ready = Prepared(
        model=network, x=(x,), origin=(torch.zeros(1, 8).double(),), target=target, outputs=network(x),
        probe=probe(network, (x,), (torch.zeros(1, 8).double(),), target),
    )  # fmt: skip
    through = Through(ready, 0, _same, _as_given, 64)
    bounds = x.new_tensor(100.0)
    space = Space(norm="linf", low=-bounds, high=bounds, unit=x.new_tensor(1.0))
    noisy = equal_noise(space, x, made, [seed_for("planted", at) for at in range(seeds)], _DRAWS)
    taps = chosen(ready, ()).taps
    return displaced(through, taps, x, made, noisy, torch.arange(seeds), _same, _silent)


def _planted(_case: Case, _context: Context) -> Observed:
    found = stretched()
    gain, ratio = found.gain[:2, 0].tolist(), found.ratio.median(1).values.tolist()
    growth = [after / earlier for earlier, after in zip([1.0, *ratio[:-1]], ratio, strict=True)]
    at = max(range(len(growth)), key=growth.__getitem__)
    name = ("even", "loud", "out")[at]
    exact = abs(gain[0] - 1) <= _EXACT and abs(gain[1] - _STRETCH) <= _STRETCH * _EXACT
    return f"gains {gain[0]:.6g} and {gain[1]:.6g}; beside noise it grows most over '{name}'", exact and name == "loud"


def _linear(_case: Case, _context: Context) -> Observed:
    stream = torch.Generator().manual_seed(1)
    weight, h = (torch.randn(*size, generator=stream, dtype=torch.float64) for size in ((3, 12), (8, 12)))

    def head(values: Tensor, _index: Tensor) -> Tensor:
        return values @ weight.T

    logits = h @ weight.T
    labels = logits.argmax(1)
    found = latent(head, h, logits, labels, Search(largest=2.0, steps=10, rounds=2), range(len(h)), 256, _silent)
    worst = float((found.rho / _true_budget(weight, h, logits, labels) - 1).abs().max())
    return f"largest difference {100 * worst:.3g} % over {len(h)} examples", worst <= _WITHIN


def _true_budget(weight: Tensor, h: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """The smallest margin over the norm of the difference of weights, over the norm of h: (n,)."""
    own = torch.arange(len(h))
    margins = logits[own, labels][:, None] - logits
    norms = (weight[labels][:, None] - weight[None]).norm(dim=2)
    found = torch.where(norms > 0, margins / norms.clamp(min=1e-300), torch.inf)
    budget: Tensor = found.amin(1) / h.norm(dim=1)
    return budget


# --- the model's own layers


def _noise(case: Case, context: Context) -> Observed:
    through, threat = case.through(context.memory_bytes), case.threat
    count = min(case.count, _MOST)
    if count < 2:
        return "fewer than two examples tell nothing of a mean", None
    index = torch.arange(count, device=threat.x.device).repeat(_TIMES)
    x = threat.x[index]
    space = threat.space.take(index)
    seeds = [seed_for(f"{context.digest} noise", at) for at in range(len(index))]
    far = space.project(x, x + case.epsilon * space.unit, x.new_full((len(x),), case.epsilon))
    near = space.project(x, x - case.epsilon * space.unit, x.new_full((len(x),), case.epsilon))
    longer = space.distance(x, far) >= space.distance(x, near)
    like = torch.where(longer.reshape(-1, *[1] * (x.ndim - 1)), far, near)
    drawn = equal_noise(space, x, like, seeds, 1 + _DRAWS)
    with through.quiet():
        found = displaced(through, case.layers.taps, x, drawn[0], drawn[1:], index, threat.reads, _silent)
    worst, off = "", 0.0
    for tap, own, others in zip(case.layers.taps, found.relative, found.random, strict=True):
        known = own.isfinite() & others.isfinite().all(1) & (others.mean(1) > 0)
        if int(known.sum()) < 2:
            continue
        rank = ((own[:, None] > others).double() + 0.5 * (own[:, None] == others).double()).mean(1)[known]
        gap = abs(float(rank.mean()) - 0.5) / (_SPREAD / len(rank) ** 0.5)
        if gap >= off:
            ratio = float((own / others.mean(1))[known].median())
            worst = f"{tap.key}: larger than {100 * float(rank.mean()):.0f} % of the others, median ratio {ratio:.3f}"
            off, count = gap, len(rank)
    if not worst:
        return "no layer is moved by noise", None
    return f"farthest from half at {worst}, n = {count}", off <= _ERRORS


def _rerun(case: Case, context: Context) -> Observed:
    through, threat = case.through(context.memory_bytes), case.threat
    places = attacked(case.layers.taps, max(1, case.parameters.latent))
    count = min(case.count, _MOST)
    rows = torch.arange(count, device=threat.x.device)
    x = threat.x[:count]
    with through.quiet(), torch.no_grad():
        outputs = through.outputs(x, rows)
        scale = max(float(outputs.abs().max()), 1e-12)
        worst, where = 0.0, case.layers.taps[places[0]].key
        for at in places:
            tap = case.layers.taps[at]
            own = through.values(x, rows, [tap])[tap.key]
            gap = float((through.after(tap, x, rows)(own, rows) - outputs).abs().max()) / scale
            worst, where = max((worst, where), (gap, tap.key))
    return f"largest difference {worst:.3g} of the largest logit, from {where} on", worst <= _ROUNDING


def _same(rows: Tensor) -> Tensor:
    return rows


def _as_given(output: Tensor, _inputs: tuple[Tensor, ...], _index: Tensor) -> Tensor:
    return output


def _silent(_fraction: float) -> None:
    """Nobody asked."""


RUNS: dict[tuple[str, str], tuple[str, Callable[[Case, Context], Observed]]] = {
    NOISE: ("in every layer as often larger than the others as smaller, within four standard errors", _noise),
    PLANTED: ("gains of 1 and 10 to nine digits, and the layer that stretches is named", _planted),
    LINEAR: ("the same within 2 %", _linear),
    RERUN: ("the same, within rounding", _rerun),
}
