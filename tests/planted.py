"""Does the certificate tell the truth? Networks of which we know what matters, and explanations that are false.

In each network only some inputs, units, heads or experts lead to the output, by weights that are zero; all others do
something that nobody reads. `python -m tests.planted` writes the table of docs/certificate.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.networks import points
from tests.networks import ready as drawn
from workers.certificate.certify import Effort, certify
from workers.certificate.checks import Certificate
from workers.certificate.definitions import DEFINITIONS
from workers.certificate.randomisation import learnt, shuffle
from workers.certificate.ranks import magnitudes
from workers.sweep.copies import copied
from workers.sweep.entered import entered
from workers.sweep.method import Explain, explain
from workers.sweep.methods.conductance import Conductance
from workers.sweep.probe import probe
from workers.sweep.ready import Prepared
from workers.sweep.run import outputs
from workers.sweep.target import Target
from workers.sweep.watch import Watch

PAGE = Path(__file__).parents[1] / "docs" / "certificate.md"
BEGIN, END = "<!-- planted: begin (python -m tests.planted) -->", "<!-- planted: end -->"
CHECKS_BEGIN, CHECKS_END = "<!-- checks: begin (python -m tests.planted) -->", "<!-- checks: end -->"
EXAMPLES, SEED = 6, 11


@dataclass(frozen=True, eq=False)
class Planted:
    """A network, and for some of its taps which units of one example lead to the output; none of a dead layer."""

    name: str
    matters: str
    network: nn.Module
    x: Tensor
    truth: Mapping[str, Tensor]

    def ready(self) -> Prepared:
        """Six examples from a baseline of zero, for the first class."""
        return prepared(self.network, self.x)


def prepared(network: nn.Module, *x: Tensor, target: Target | None = None, rows: int | None = None) -> Prepared:
    """The network behind its inputs, from baselines of zero, for the first class unless another target is given.

    rows: the one batch size the network takes, None if any.
    """
    target = target or Target.classes(0)
    made = entered(
        network, x, tuple(torch.zeros_like(each[:1]) if each.is_floating_point() else each for each in x), rows=rows
    )
    seen = replace(probe(made.model, made.x, made.origin, target, rows), inputs=made.inputs)
    given = outputs(made.model, made.x, rows, target)
    return Prepared(model=made.model, x=made.x, origin=made.origin, target=target, outputs=given, probe=seen)


class Mlp(nn.Module):
    """Hidden units 6 and up read every feature; nobody reads them, nor `side`. The others read features 1, 4 and 7."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.head = nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3)
        self.side, self.merge = nn.Linear(12, 5), nn.Linear(5, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.first(x))) + self.merge(self.side(x))

    def plant(self) -> dict[str, Tensor]:
        """Cuts what must not matter; says what is left."""
        features, units = chosen(12, 1, 4, 7), chosen(16, *range(6))
        self.first.weight[:6, ~features] = 0
        self.first.bias[:6] += 0.5
        self.head.weight[:, ~units] = 0
        self.merge.weight[:] = 0
        return {"input": features, "first": units, "act": units, "side": torch.zeros(5, dtype=torch.bool)}


class Cnn(nn.Module):
    """The head reads two of six channels at nine places, which see 25 of 144 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(1, 6, 3), nn.Softplus()
        self.flat, self.head = nn.Flatten(), nn.Linear(600, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.flat(self.act(self.conv(x))))

    def plant(self) -> dict[str, Tensor]:
        """Cuts what must not matter; says what is left."""
        units, pixels = torch.zeros(6, 10, 10, dtype=torch.bool), torch.zeros(1, 12, 12, dtype=torch.bool)
        units[[0, 2], 2:5, 3:6], pixels[:, 2:7, 3:8] = True, True
        self.head.weight[:, ~units.flatten()] = 0
        self.head.weight *= 8
        return {"input": pixels, "conv": units, "act": units}


class Lstm(nn.Module):
    """Hidden units 0 to 2 hear of features 1 and 3 and of each other alone, and the head reads only them."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(5, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])

    def plant(self) -> dict[str, Tensor]:
        """Cuts what must not matter; says what is left."""
        features, units = chosen(5, 1, 3), chosen(8, 0, 1, 2)
        rows = units.repeat(4)  # of the four gates
        self.rnn.weight_ih_l0 *= 2
        self.rnn.weight_ih_l0[rows[:, None] & ~features] = 0
        self.rnn.weight_hh_l0[rows[:, None] & ~units] = 0
        self.head.weight[:, ~units] = 0
        last = torch.zeros(7, 8, dtype=torch.bool)
        last[-1] = units
        return {"input": features.expand(7, 5), "rnn:0": last}


class Transformer(nn.Module):
    """Two heads, of which the projection behind them reads the first; the embedding reads features 0 to 2."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.heads, self.project = nn.Identity(), nn.Linear(8, 8)
        self.wide, self.act, self.narrow, self.head = nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        y = self.norm(x)
        query, key, value = (
            each(y).unflatten(2, (2, 4)).transpose(1, 2) for each in (self.query, self.key, self.value)
        )
        mixed = torch.softmax(query @ key.transpose(2, 3) / 2, 3) @ value
        x = x + self.project(self.heads(mixed.transpose(1, 2).flatten(2)))
        x = x + self.narrow(self.act(self.wide(x)))
        return self.head(x.mean(1))

    def plant(self) -> dict[str, Tensor]:
        """Cuts what must not matter; says what is left."""
        features, first = chosen(8, 0, 1, 2), chosen(8, *range(4))
        self.embed.weight[:, ~features] = 0
        self.project.weight[:, ~first] = 0
        self.project.weight *= 3
        return {"input": features.expand(6, 8), "heads": first.expand(6, 8), "value": first.expand(6, 8)}


class Mixture(nn.Module):
    """Four experts; the gate gives the last a weight of exactly zero, and only that one reads all features."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(8, 4)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(8, 10), nn.Tanh(), nn.Linear(10, 3)) for _ in range(4)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.softmax(self.gate(x), 1)
        return sum(weights[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts))

    def plant(self) -> dict[str, Tensor]:
        """Cuts what must not matter; says what is left."""
        features = chosen(8, 0, 3, 5)
        self.gate.bias[3] = -1e4  # exp(-1e4) is zero in float64
        self.gate.weight[:, ~features] = 0
        for expert in self.experts[:3]:
            expert[0].weight[:, ~features] = 0
        return {"input": features, "experts.3.0": chosen(10), "experts.3.2": chosen(3), "experts.0.0": ~chosen(10)}


def chosen(units: int, *which: int) -> Tensor:
    """(units,), bool: true at `which`."""
    mask = torch.zeros(units, dtype=torch.bool)
    mask[list(which)] = True
    return mask


def networks() -> Iterator[Planted]:
    """One of each family."""
    kinds: tuple[tuple[str, str, type[nn.Module], tuple[int, ...]], ...] = (
        ("multilayer perceptron", "3 of 12 features, 6 of 16 units, not the side branch", Mlp, (12,)),
        ("convolution", "25 of 144 pixels, 2 of 6 channels", Cnn, (1, 12, 12)),
        ("LSTM", "2 of 5 features, 3 of 8 units at the last step", Lstm, (7, 5)),
        ("transformer", "3 of 8 features, 1 of 2 heads", Transformer, (6, 8)),
        ("mixture of experts", "3 of 8 features, 3 of 4 experts", Mixture, (8,)),
    )
    for name, matters, kind, shape in kinds:
        network = drawn(kind(), seed=3)
        with torch.no_grad():
            truth = network.plant()
        yield Planted(name, matters, network, points(EXAMPLES, *shape, seed=5), truth)


CONDUCTANCE = Conductance(steps=30)


def by_conductance(planted: Planted) -> Explain:
    """Layer conductance at the taps that have a truth; at the input it is integrated gradients."""
    return explain(CONDUCTANCE, tuple(planted.truth), 1 << 28, 1, SEED)


def by_gradient(planted: Planted) -> Explain:
    """Gradient times activation at the taps that have a truth; at the input gradient times its distance from zero."""

    def explained(ready: Prepared) -> dict[str, Tensor]:
        held: dict[str, Tensor] = {}
        wanted = {ready.probe.tap(key).place: key for key in planted.truth}

        def see(_module: str, layer: str, call: int, position: int, tensor: Tensor) -> Tensor:
            key = wanted.get((layer, call, position))
            if key is not None:
                held[key] = tensor
            return tensor

        with Watch(ready.model, see) as watch:
            output = watch.run(tuple(each.clone().requires_grad_() for each in ready.x))
        slopes = torch.autograd.grad(ready.target.select(output, len(ready)).sum(), list(held.values()))
        return {key: (held[key] * slope).detach() for key, slope in zip(held, slopes, strict=True)}

    return explained


def by_input(planted: Planted) -> Explain:
    """No explanation at all: the input itself, whatever the network."""
    return lambda ready: {"input": ready.x[0].abs()}


METHODS = {"conductance": by_conductance, "gradient × activation": by_gradient, "the input itself": by_input}


def twin(network: nn.Module) -> nn.Module:
    """The same architecture, every parameter tensor shuffled."""
    made = copied(network)
    shuffle(list(learnt(made)), SEED, 99)
    return made


def presented(ready: Prepared, method: Explain, way: str) -> dict[str, Tensor]:
    """What is presented as the explanation of this network."""
    own = method(ready)
    if way == "a random twin's":
        return method(replace(ready, model=twin(ready.model)))
    if way == "units shuffled":
        draws = torch.Generator().manual_seed(SEED)
        return {key: _shuffled(each, draws) for key, each in own.items()}
    if way == "examples shuffled":
        return {key: each.roll(1, 0) for key, each in own.items()}
    return own


def _shuffled(each: Tensor, draws: torch.Generator) -> Tensor:
    return each.flatten(1)[:, torch.randperm(each[0].numel(), generator=draws)].reshape(each.shape)


WAYS = ("its own", "a random twin's", "units shuffled", "examples shuffled")
CASES = (*(("conductance", way) for way in WAYS), ("gradient × activation", "its own"), ("the input itself", "its own"))


@dataclass(frozen=True)
class Row:
    """What is presented of one network, whether it ranks first what matters, and its certificate."""

    network: str
    matters: str
    method: str
    way: str
    first: bool
    certificate: Certificate


def rows() -> Iterator[Row]:
    """Every case of every network."""
    for planted in networks():
        ready = planted.ready()
        for method, way in CASES:
            made = METHODS[method](planted)
            shown = presented(ready, made, way)
            claimed = [key for key in shown if ready.probe.tap(key).cut] if method == "conductance" else []
            certified = certify(
                ready,
                made,
                shown,
                seed=SEED,
                claimed=claimed,
                effort=Effort(rows=512),
                baseline=method == "conductance",
            )
            yield Row(
                planted.name, planted.matters, method, way, ranks_first(shown, planted.truth), certified.certificate
            )


def ranks_first(attributions: Mapping[str, Tensor], truth: Mapping[str, Tensor]) -> bool:
    """Whether at every tap each unit that matters has more, in the mean over examples, than any that does not."""
    for key, each in attributions.items():
        mean, mask = magnitudes(each).mean(0), truth[key].flatten()
        least = float(mean[mask].min()) if bool(mask.any()) else 0.0
        most = float(mean[~mask].max()) if not bool(mask.all()) else -1.0
        if not (least > most or (most == 0 and not bool(mask.any()))):
            return False
    return True


COLUMNS = {
    "this model's": ("identity",),
    "adds up": ("completeness",),
    "depends on parameters": ("parameter_randomisation",),
    "deletion": ("deletion",),
    "insertion": ("insertion",),
    "better than zeros": ("infidelity_share",),
}


def table(found: list[Row]) -> str:
    """Markdown: a row for each case, verdicts only."""
    head = ["network: what matters", "presented as its explanation", "ranks that first", *COLUMNS, "usable"]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    for row in found:
        cells = [_cell(row.certificate, names) for names in COLUMNS.values()]
        yes = ["yes" if row.first else "no", *cells, "yes" if row.certificate.usable else "**no**"]
        lines.append(f"| {row.network}: {row.matters} | {row.way} ({row.method}) | {' | '.join(yes)} |")
    return "\n".join(lines)


def _cell(certificate: Certificate, names: tuple[str, ...]) -> str:
    verdicts = [check.verdict for check in certificate.checks if check.name in names]
    failed, passed = verdicts.count("failed"), verdicts.count("passed")
    if failed:
        return f"failed {failed} of {failed + passed}"
    return f"passed {passed}" if passed else "n/a"


def definitions() -> str:
    """Markdown: a row for each check."""
    lines = ["| check | what it measures | unit | direction | necessary | threshold | source |", "|" + " --- |" * 7]
    for each in DEFINITIONS.values():
        limit = f"{_LIMITS[each.fails]} {each.threshold:g}" if each.fails and each.threshold is not None else ""
        cells = [each.definition, each.unit, each.direction, "yes" if each.necessary else "no"]
        why = f"{limit}: {each.why}" if limit else f"none: {each.why}" if each.fails is None else each.why
        lines.append(f"| `{each.name}` | {' | '.join(cell.replace('|', '∣') for cell in (*cells, why, each.source))} |")
    return "\n".join(lines)


_LIMITS = {"above": "at most", "below": "at least", "wholly below": "upper bound at least"}


def written(page: str, found: list[Row]) -> str:
    """The page with the table of what was found."""
    return _between(page, BEGIN, END, table(found))


def defined(page: str) -> str:
    """The page with the table of definitions."""
    return _between(page, CHECKS_BEGIN, CHECKS_END, definitions())


def _between(page: str, begin: str, end: str, text: str) -> str:
    before, _, rest = page.partition(begin)
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}"


def main() -> int:
    """Writes both tables into the page."""
    torch.set_num_threads(1)
    page = defined(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(written(page, list(rows())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
