"""Requests for whole subjects: ids, errors, other outputs, and what is held."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lamina.zoo.families import FAMILIES
from lamina.zoo.files import write
from tests.workers.subjects import subject
from tests.workers.sweep.conftest import run
from workers.passes.asked import Asked, prepared
from workers.subject import pt2
from workers.subject.outputs import Whole
from workers.subject.subject import Subject
from workers.sweep.completeness import completeness
from workers.sweep.entrances import NoEmbedding
from workers.sweep.ready import Prepared
from workers.sweep.target import Target

pytestmark = pytest.mark.filterwarnings("ignore:::torch")


def of(name: str, folder: Path | None = None) -> Subject:
    """A family of the zoo, as it is; with a folder, as it comes in as a `.pt2`."""
    family = FAMILIES[name]
    network, x = family.network(), family.examples()
    made = subject(network, x[0], facts=family.facts, further=x[1:])
    if folder is None:
        return made
    canonical = folder / "canonical.pt2"
    pt2.rewrite(write(family, "pt2", network, folder), canonical)
    loaded = pt2.load(canonical)
    return dataclasses.replace(made, model=loaded.model, outputs=loaded.names)


def ask(about: Subject, target: str = "predicted", baseline: str = "zero", examples: int = 3) -> Prepared:
    return prepared(
        about, Asked(target=target, scale="output", baseline=baseline, examples=examples, precision="float64")
    )


def worst(made: Prepared, key: str | None = None) -> float:
    """The completeness error of a layer, or of all inputs together, where the target changes."""
    swept = run(made.model, made.x, made.origin, made.target, steps=400, rule="trapezoid")
    signed = sum(swept.totals.signed(each) for each in ([key] if key else made.inputs))
    large = swept.ends.difference.abs() >= 0.1
    assert bool(large.any())
    return float(completeness(signed, swept.ends).relative[large].max())


@pytest.mark.parametrize(
    ("name", "target", "baseline"),
    [
        ("mlp", "predicted", "zero"), ("unet", "predicted", "zero"), ("unet", "region:low", "midpoint"),
        ("unet", "region:middle,0,0,4,8", "zero"), ("lstm", "class:high", "constant:2"), ("bert", "predicted", "pad"),
        ("gpt", "predicted", "zero"), ("gpt", "next:4", "mean"), ("gpt", "position:2", "pad"),
        ("t5", "predicted", "mean"), ("autoencoder", "predicted", "mean"),
        ("autoencoder", "error:fixed", "zero"), ("autoencoder", "element:2", "zero"),
        ("generator", "score", "zero"), ("discriminator", "predicted", "zero"), ("noisy", "action", "zero"),
        ("siamese", "predicted", "zero"), ("regression", "value", "zero"),
    ],
)  # fmt: skip
def test_every_task_has_a_target_whose_change_its_inputs_carry(name, target, baseline):
    made = ask(of(name), target, baseline)
    assert worst(made) <= 0.03
    with torch.no_grad():
        at_x = made.target.select(made.model(*made.x), 3)
    assert bool(torch.isfinite(at_x).all())


def test_the_target_of_a_causal_model_is_its_largest_logit_after_the_last_token():
    made = ask(of("gpt"))
    with torch.no_grad():
        assert torch.equal(made.target.select(made.model(*made.x), 3), made.outputs[:, -1].amax(1))


def test_a_mask_is_held_and_the_embedded_ids_are_the_input():
    about = of("bert")
    made, data = ask(about), about.examples["evaluation"]
    assert made.inputs == ("input",)
    with torch.no_grad():
        assert torch.equal(made.x[0], FAMILIES["bert"].network().double().words(data.inputs[:3]))
    assert torch.equal(made.origin[2], data.further[0][:3])


def test_a_further_input_of_ids_has_its_name():
    assert ask(of("t5"), baseline="mean").inputs == ("input", "input_summary")


def test_an_anomaly_is_explained_by_the_input_and_its_error_is_that_of_the_reconstruction():
    about = of("autoencoder")
    made = ask(about, "error", examples=4)
    x = about.examples["evaluation"].inputs[:4].double()
    with torch.no_grad():
        expected = (made.model(*made.x).output - x).square().mean(1)
        assert torch.allclose(made.target.select(made.model(*made.x), 4), expected)
    assert worst(made, "input") <= 0.01
    swept = run(made.model, made.x, made.origin, made.target)
    assert not any(tap.cut for tap in swept.probe.taps if tap.key != "input")


def test_with_a_fixed_reference_the_bottleneck_is_complete():
    assert worst(ask(of("autoencoder"), "error:fixed"), "encoder.2") <= 0.01


# --- other outputs


def test_every_output_of_an_exported_network_can_be_asked_about(tmp_path):
    about, network = of("policy", tmp_path), FAMILIES["policy"].network().double()
    assert about.outputs == ("policy", "value")
    first, value = ask(about, "action"), ask(about, "output:value/predicted")
    state, memory = (
        about.examples["evaluation"].inputs[:3].double(),
        about.examples["evaluation"].further[0][:3].double(),
    )
    with torch.no_grad():
        said = network(state, memory)
        assert torch.allclose(first.target.select(first.model(*first.x), 3), said["policy"].amax(1), atol=1e-12)
        assert torch.allclose(value.target.select(value.model(*value.x), 3), said["value"][:, 0], atol=1e-12)
    assert worst(value) <= 0.01
    swept = run(value.model, value.x, value.origin, value.target)
    states = {tap.key: tap.status for tap in swept.probe.taps}
    assert (states["critic"], states["actor"]) == ("on_path", "off_path")
    assert worst(ask(about, "output:0/action:2")) <= 0.01


def test_several_outputs_share_one_forward_pass(tmp_path):
    about = of("policy", tmp_path)
    whole = Whole(about.model)
    given = about.arguments(about.examples["evaluation"])
    with torch.no_grad():
        policy, value = whole(*given)
        assert torch.equal(policy, about.model(*given))
        assert Target("sum", output=1).select([policy, value], 4).tolist() == value[:, 0].tolist()
    assert isinstance(about.model(*given), Tensor), "outside, it gives the one that is analysed"


# --- refusals


def test_ids_without_an_embedding_of_their_own_are_refused():
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(6, 3)

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            return self.out((ids * mask).to(self.out.weight.dtype))

    family = FAMILIES["bert"]
    x = family.examples()
    with pytest.raises(NoEmbedding, match="reach no embedding"):
        ask(subject(Counts().eval(), x[0], facts=family.facts, further=x[1:]))
