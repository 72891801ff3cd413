"""The kind from end to end: what it finds of planted networks, what it refuses, and what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from service.contracts.section import Bars, Lines, Picture
from tests import networks
from tests.workers.robustness.layers import planted
from tests.workers.robustness.layers.test_displaced import asked, prepared
from tests.workers.subjects import answer, context, speaks, subject
from workers.analyses.robustness_layers import KIND
from workers.kind import Cancelled
from workers.robustness.layers import controls
from workers.robustness.layers.case import Case
from workers.robustness.layers.noise import equal_noise
from workers.robustness.layers.through import Through
from workers.sweep.refusals import ChangingGraph

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loud():
    return answer(KIND, planted.loud(), epsilon=0.12, latent=4, latent_steps=20, rounds=2)


@pytest.fixture(scope="module")
def spots():
    return answer(KIND, planted.spots(), epsilon=0.4, latent=3)


def layer(outcome, key):
    return next(each for each in outcome.layers if each.key == key)


def codes(outcome):
    return {each.code: each for each in outcome.findings}


# --- what is found


def test_the_layer_that_amplifies_is_found_beside_noise(loud):
    outcome = loud.outcome
    assert outcome.broken == 24
    assert codes(outcome)["directed-growth"].layer == "loud"
    even, amplified = layer(outcome, "even"), layer(outcome, "loud")
    assert even.ratio.value == pytest.approx(1.0, abs=0.02)
    assert even.gain.value == pytest.approx(1.0, abs=1e-5)
    assert amplified.ratio.value > 1.1
    assert amplified.before == "even"
    assert layer(outcome, "even").before == "flat"


def test_latent_budgets_are_those_of_the_linear_network(loud):
    of = planted.loud()
    network, x = of.model, of.examples["evaluation"].inputs
    h = network.even(network.flat(x))
    rest = {"flat": network.out.weight @ network.loud.weight @ network.even.weight,
            "even": network.out.weight @ network.loud.weight, "loud": network.out.weight}  # fmt: skip
    values = {"flat": network.flat(x), "even": h, "loud": network.loud(h)}
    for key, weight in rest.items():
        logits = values[key] @ weight.T
        truth = (logits[:, 0] - logits[:, 1]).abs() / (weight[0] - weight[1]).norm() / values[key].norm(dim=1)
        found = loud.computed.arrays[f"latent/{key}"]
        torch.testing.assert_close(found, truth.double(), rtol=0.02, atol=0)
        half = float(truth.sort().values[11])
        assert layer(loud.outcome, key).latent.rho50 == pytest.approx(half, rel=0.02)
    assert codes(loud.outcome)["weakest-layer"].layer == "even"


def test_adversarials_are_within_the_budget_and_break_and_noise_is_as_long(loud):
    of = planted.loud()
    arrays = loud.computed.arrays
    x = of.examples["evaluation"].inputs[arrays["broken"]]
    assert float((arrays["adversarials"] - x).abs().max()) <= 0.12 * (1 + 1e-5)
    assert bool(
        (of.model(arrays["adversarials"]).argmax(1) != of.examples["evaluation"].labels[arrays["broken"]]).all()
    )
    torch.testing.assert_close(
        (arrays["noise"] - x).flatten(1).norm(dim=1), (arrays["adversarials"] - x).flatten(1).norm(dim=1), rtol=1e-4,
        atol=0,
    )  # fmt: skip
    assert loud.outcome.random_length == pytest.approx(1.0, abs=1e-3)


def test_probes_flip_where_adversarials_do_and_noise_does_not(spots):
    outcome = spots.outcome
    assert outcome.broken >= 10
    last = layer(outcome, "6").probe
    assert last.trusted
    assert last.flips.value > 0.8
    assert last.random_flips.value < last.flips.value
    firsts = [each.probe.first for each in outcome.layers]
    assert sum(firsts) + outcome.never == outcome.broken


def test_a_probe_much_worse_than_the_network_lays_no_flip(loud):
    broken = loud.outcome.layers[0].probe
    assert broken is not None
    of = planted.spots()
    names = nn.Sequential(Shuffled(), *of.model)
    made = answer(KIND, replace(of, model=names.eval().requires_grad_(False)), epsilon=0.4, latent=0)
    first = made.outcome.layers[0].probe
    assert not first.trusted
    assert first.first == 0
    assert "probes-too-weak" in codes(made.outcome)


class Shuffled(nn.Module):
    """Passes its input on, and beside it shows one number that says nothing."""

    def __init__(self):
        super().__init__()
        self.nothing = Nothing()

    def forward(self, x):
        return x + 0.0 * self.nothing(x)


class Nothing(nn.Module):
    def forward(self, x):
        return (x[:, :, 5:, 5:] * 1000).sin()


def test_everything_shows_in_the_section(spots):
    section = KIND.section(spots.outcome)
    titles = [block.title for block in section.blocks if isinstance(block, Lines | Bars | Picture)]
    assert titles == [
        "Displacement by the attack over that by noise", "Relative displacement of each layer",
        "Where each layer is carried", "Budget at a layer's output that breaks half",
        "Whether the units that matter stay", "What a linear probe of each layer reads",
        "At which probe examples flip first",
    ]  # fmt: skip
    assert "displaced.png" in spots.computed.pictures
    assert "at most" in section.answer
    metrics = {(point.metric, point.layer) for point in KIND.measurements(spots.outcome)}
    assert {("adversarial_displacement", "4"), ("layer_gain", "4"), ("probe_flips", "4")} <= metrics
    assert ("latent_budget", "0") in metrics


def test_attributions_at_the_adversarial_are_told_beside_noise(spots):
    for each in spots.outcome.layers[:-1]:
        assert -1 <= each.ranks.value <= 1
        assert each.random_ranks.value >= each.ranks.value - 0.2
        assert 0 <= each.shared.value <= 1
        assert 0 < each.chance < 1


# --- the same again, in any company


def test_blocks_and_memory_change_no_finding(spots):
    narrow = answer(KIND, planted.spots(), context(memory_bytes=1 << 20), epsilon=0.4, latent=3)
    one, other = spots.outcome, narrow.outcome
    assert one.broken == other.broken
    for a, b in zip(one.layers, other.layers, strict=True):
        assert a.ratio.value == pytest.approx(b.ratio.value, rel=0.02)


def test_the_same_question_gives_the_same_bits(spots):
    again = answer(KIND, planted.spots(), epsilon=0.4, latent=3)
    assert again.outcome == spots.outcome
    assert all(torch.equal(each, again.computed.arrays[name]) for name, each in spots.computed.arrays.items())


# --- what is refused, and what is said of little


def test_a_black_box_has_no_layers():
    (reason,) = KIND.applies(replace(planted.spots(), black_box=True), KIND.parameters())
    assert "black box" in reason


def test_a_network_without_classes_is_refused_with_its_task():
    of = planted.spots()
    network = nn.Sequential(*of.model, nn.Linear(3, 1)).eval().requires_grad_(False)
    facts = of.facts.model_copy(update={"task": "regression"})
    (reason,) = KIND.applies(replace(of, model=network, facts=facts), KIND.parameters())
    assert "regression" in reason


def test_data_outside_the_bounds_are_caught():
    of = planted.spots()
    data = replace(of.examples["evaluation"], inputs=255 * of.examples["evaluation"].inputs)
    (reason,) = KIND.applies(replace(of, examples={"evaluation": data}), KIND.parameters())
    assert "outside the declared bounds" in reason


def test_an_unknown_layer_is_refused_where_it_is_the_only_one_and_told_where_it_is_not():
    (reason,) = KIND.applies(planted.spots(), KIND.parameters(layers=("9",)))
    assert "no such layer ran" in reason
    made = answer(KIND, planted.spots(), layers=("9", "4"), epsilon=0.4, latent=1)
    assert [each.key for each in made.outcome.layers] == ["4"]
    assert any(each.subject == "9" for each in made.outcome.not_applicable)


def test_where_nothing_breaks_layers_are_still_attacked():
    made = answer(KIND, planted.loud(), epsilon=1e-4, latent=1)
    assert made.outcome.broken == 0
    assert "nothing-broken" in codes(made.outcome)
    assert layer(made.outcome, "out").latent is not None or layer(made.outcome, "flat").latent is not None
    assert any("broke no example" in each.because for each in made.outcome.not_applicable)


def test_few_broken_are_a_warning():
    made = answer(KIND, planted.loud(), epsilon=0.12, latent=0, examples=5)
    assert made.outcome.broken == 5
    assert codes(made.outcome)["few-broken"].severity == "warning"


def test_a_network_that_is_wrong_everywhere_is_a_failure_and_no_error():
    of = planted.loud()
    data = replace(of.examples["evaluation"], labels=1 - of.examples["evaluation"].labels)
    made = answer(KIND, replace(of, examples={"evaluation": data}), latent=1)
    assert codes(made.outcome)["wrong-everywhere"].severity == "failure"
    assert KIND.section(made.outcome).answer


def test_without_labels_the_networks_own_word_is_held():
    of = planted.loud()
    data = replace(of.examples["evaluation"], labels=None)
    made = answer(KIND, replace(of, examples={"evaluation": data}), epsilon=0.12, latent=0)
    assert not made.outcome.labelled
    assert made.outcome.clean.value == 1.0


def test_embeddings_are_attacked_as_a_diagnosis_only():
    made = answer(KIND, speaks(), latent=1)
    assert codes(made.outcome)["diagnostic-only"].severity == "warning"
    assert "nobody can make this attack" in KIND.section(made.outcome).answer


def test_an_epsilon_at_which_noise_breaks_too_is_told():
    made = answer(KIND, planted.spots(), epsilon=0.99, latent=0, draws=4)
    found = codes(made.outcome)
    assert "noise-breaks-too" in found or "noise-shorter" in found


def test_recurrent_layers_are_followed_and_states_off_the_path_say_why():
    x = networks.points(24, 7, 5).float().clamp(-4, 4)
    network = networks.lstm().float()
    of = subject(network, x, network(x).argmax(1), planted.facts((7, 5), 3))
    made = answer(KIND, of, latent=1)
    assert [each.key for each in made.outcome.layers] == ["rnn:0", "head"]
    assert {each.subject for each in made.outcome.not_applicable} >= {"rnn:1", "rnn:2"}
    points = [point for point in KIND.measurements(made.outcome) if point.layer == "rnn"]
    assert all(point.facets["output"] == "0" for point in points)


def test_a_network_of_one_batch_size_gives_the_same():
    x = networks.points(20, 6).float().clamp(-4, 4)
    network = networks.mlp().float()
    labels = network(x).argmax(1)
    free, fixed = (
        answer(KIND, subject(network, x, labels, planted.facts((6,), 4), batch=batch), latent=1).outcome
        for batch in (None, 16)
    )
    assert free.broken == fixed.broken
    for a, b in zip(free.layers, fixed.layers, strict=True):
        assert a.ratio.value == pytest.approx(b.ratio.value, rel=0.02)


def test_it_stops_where_the_asker_has_cancelled():
    of = planted.spots()
    with pytest.raises(Cancelled):
        answer(KIND, of, context(stop=lambda: True))


def test_progress_names_each_layer_late_ones_first():
    said = []
    within = context()
    within.report = lambda fraction, stage: said.append((fraction, stage))
    answer(KIND, planted.spots(), within, epsilon=0.4, latent=3)
    layers = list(dict.fromkeys(stage for _, stage in said if stage.startswith("latent attack")))
    assert layers == ["latent attack at 6", "latent attack at 3", "latent attack at 0"]
    fractions = [fraction for fraction, stage in said if not stage.startswith("control")]
    assert fractions == sorted(fractions)


def test_controls_pass_on_a_sound_network(spots):
    assert [run.passed for run in spots.controls] == [True] * 4


def test_a_control_fails_where_a_rerun_is_another_network(monkeypatch):
    def other(self, _tap, x, rows):
        return lambda values, index: 2 * self.outputs(x[index], rows[index])[: len(values)]

    monkeypatch.setattr(Through, "after", other)
    run = controls.run(controls.RERUN, Case.of(planted.spots(), KIND.parameters()), context())
    assert run.passed is False


def test_a_control_fails_where_noise_is_not_as_long_as_other_noise(monkeypatch):
    def louder(space, x, made, seeds, draws):
        drawn = equal_noise(space, x, made, seeds, draws)
        drawn[0] = x + 1.5 * (drawn[0] - x)
        return drawn

    monkeypatch.setattr(controls, "equal_noise", louder)
    run = controls.run(controls.NOISE, Case.of(planted.spots(), KIND.parameters()), context())
    assert run.passed is False


def test_a_single_logit_is_a_choice_of_two():
    x = networks.points(24, 6).float().clamp(-4, 4)
    head = planted.linear(torch.tensor([[1.0, -1.0, 0.5, -0.5]]))
    body = networks.mlp().float()
    shift = float(head(body(x)).detach().median())
    head.bias = nn.Parameter(torch.tensor([-shift]))
    network = nn.Sequential(body, head).eval().requires_grad_(False)
    of = subject(network, x, (network(x)[:, 0] > 0).long(), planted.facts((6,), 2))
    made = answer(KIND, of, latent=1)
    assert made.outcome.clean.value == 1.0
    assert made.outcome.broken > 0
    assert made.outcome.layers[-1].ratio is not None


class Late(nn.Module):
    """A second layer that runs only where some example of the batch has a large sum."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.head(self.second(h) if bool((x.sum(1) > 3).any()) else h)


def test_a_layer_that_does_not_always_run_is_not_known_where_it_does_not():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Late().double().eval().requires_grad_(False)
    x = torch.cat([torch.ones(1, 6), -torch.ones(3, 6)]).double()
    ready = prepared(network, x)
    taps = {tap.key: tap for tap in ready.layers}
    through = asked(ready)
    index = torch.arange(1, 4)
    found = through.known(x[1:], index, [taps["second"], taps["head"]])
    assert bool(found["second"].isnan().all())
    torch.testing.assert_close(found["head"], network(x[1:]))
    with pytest.raises(ChangingGraph, match="second"):
        through.values(x[1:], index, [taps["second"]])
