"""Are the verdicts of layers right, and is each warning given where it must be and nowhere else?"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from service.contracts.facts import ModelFacts
from service.contracts.manifest import Layer, ModelManifest, Notice
from tests.workers.facts import input_facts, model_facts
from workers.results import JSON_VALUES
from workers.subject import formats, inspection
from workers.subject.auditable import EXPORTED, NO_PLACES, NO_RULE, ONE_PLACE, SEVERAL_CALLS
from workers.subject.formats import Format
from workers.subject.network import Loaded, Rewritten
from workers.subject.notice_codes import CODES, table
from workers.subject.refusal import Refusal

ROOT = Path(__file__).parents[3]
Inspect = Callable[..., ModelManifest]


@pytest.fixture
def inspect(monkeypatch, tmp_path) -> Inspect:
    """Inspects a network in memory, as if a format had loaded it."""

    def inspected(network: nn.Module, *shape: int, facts: ModelFacts | None = None, **changes: Any) -> ModelManifest:
        network.eval()
        for parameter in network.parameters():
            parameter.requires_grad = False
        example = torch.zeros(changes.get("batch") or 2, *shape)
        with torch.no_grad():
            output = changes.pop("output", None)
            output = network(example) if output is None else output
        given: dict[str, Any] = {"inputs": (example,), "outputs": (output,), "chosen": 0, "batch": None, **changes}
        loaded = Loaded(model=network, **given)
        made = Rewritten(digest="sha256:" + "0" * 64, rewriter="test 1", torch_version="2", notes=())
        form = Format(name="pt2", rewrite=lambda *_: made, load=lambda *_: loaded)
        monkeypatch.setattr(inspection, "told", lambda _: form)
        assert formats.FORMATS
        return inspection.inspect_model(
            tmp_path / "source", tmp_path / "target", facts or model_facts(shape, output.shape[1])
        )

    return inspected


def facts_of(shape: tuple[int, ...], classes: int = 3, **changes: Any) -> ModelFacts:
    """Facts with some of them changed: `input`, `output` or members of their own."""
    plain = model_facts(shape, classes).model_dump(mode="json")
    for name, change in changes.items():
        plain[name] = {**plain[name], **change} if isinstance(change, dict) else change
    return ModelFacts.model_validate(plain)


def codes(manifest: ModelManifest) -> list[str]:
    return [each.code for each in manifest.warnings]


def warned(manifest: ModelManifest, code: str) -> Notice:
    assert codes(manifest) == [code]
    (notice,) = manifest.warnings
    assert notice.advice == CODES[code].advice
    return notice


def layers(manifest: ModelManifest) -> dict[str, Layer]:
    return {layer.name: layer for layer in manifest.layers}


def states(layer: Layer) -> dict[str, str]:
    return {family: one.state for family, one in layer.verdicts.items()}


ALL = {"forward": "auditable", "gradient": "auditable", "cam": "auditable", "rules": "auditable"}
MLP = (4, 6, 3)


def mlp(*last: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), *last)


# --- verdicts


def test_a_right_model_raises_no_warning_and_can_be_asked_everything_that_has_a_meaning(inspect) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )  # fmt: skip
    manifest = inspect(network, 1, 6, 6)
    assert codes(manifest) == []
    found = layers(manifest)
    assert states(found["0"]) == states(found["1"]) == ALL
    assert found["0"].shapes == (("N", "4", "4", "4"),)
    assert found["0"].flops == 4 * 16 * 9 * 2
    assert manifest.flops == sum(layer.flops or 0 for layer in manifest.layers)
    assert found["2"].verdicts["cam"].reason == ONE_PLACE
    assert found["4"].verdicts["cam"].reason == NO_PLACES
    assert found["4"].verdicts["gradient"].reason is None
    assert (manifest.black_box, manifest.rehydrated, manifest.tokenizer) == (False, None, None)


class Steps(nn.Module):
    """One ReLU on outputs of different shapes, an LSTM, a layer off the path and one that never runs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.mix = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 5)
        self.act, self.head = nn.ReLU(), nn.Linear(5, 3)
        self.aside, self.idle = nn.Linear(4, 2), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.mix(self.act(self.rnn(x)[0])))
        return self.head(y[:, -1]) + 0 * self.aside(x).detach().sum()


def test_every_verdict_names_its_reason(inspect) -> None:
    found = layers(inspect(Steps(), 5, 4))
    assert states(found["rnn"]) == {**ALL, "rules": "not_applicable"}
    assert found["rnn"].verdicts["rules"].reason == NO_RULE
    assert found["act"].calls == 2
    assert found["act"].shapes == (("N", "5", "6"), ("N", "5", "5"))
    assert found["act"].verdicts["rules"].reason == SEVERAL_CALLS
    assert states(found["aside"]) == {**dict.fromkeys(ALL, "not_reached"), "forward": "auditable"}
    assert "does not depend" in str(found["aside"].verdicts["gradient"].reason)
    assert set(states(found["idle"]).values()) == {"not_reached"}
    assert found["idle"].flops is None
    assert found["idle"].shapes == ()
    for layer in found.values():
        assert all((verdict.reason is None) == (verdict.state == "auditable") for verdict in layer.verdicts.values())


def test_rules_are_refused_for_all_layers_where_the_network_is_not_made_of_such_modules(inspect) -> None:
    manifest = inspect(mlp(), 4, type_based="a ReLU is a function here")
    assert {layer.verdicts["rules"].reason for layer in manifest.layers} == {"a ReLU is a function here"}
    assert {layer.verdicts["gradient"].state for layer in manifest.layers} == {"auditable"}


@pytest.mark.slow
def test_an_exported_graph_has_no_rules_unless_its_layers_were_made_again(inspect) -> None:
    program = exported(mlp(), 4)
    manifest = inspect(torch.export.unflatten(program), 4, program=program, batch=2)
    assert {layer.verdicts["rules"].reason for layer in manifest.layers} == {EXPORTED}


def test_a_black_box_has_no_layers_and_says_so(inspect) -> None:
    manifest = inspect(mlp(), 4, black_box=True)
    assert (manifest.layers, manifest.black_box, manifest.flops) == ((), True, None)
    assert codes(manifest) == ["black-box"]


def test_twenty_thousand_layers_with_the_longest_reasons_fit_the_answer_of_a_child() -> None:
    reason = "x" * 100
    layer = Layer(
        name="encoder.layers.0.self_attn.out_proj", type="Linear", calls=2, output_shape=("N", "4", "8", "8"),
        parameters=1, leaf=True, auditable="forward_only", reason=reason, shapes=(("N", "4", "8", "8"),) * 2, flops=1,
        verdicts={family: {"state": "forward_only", "reason": reason} for family in ALL},  # type: ignore[arg-type]
    )  # fmt: skip
    text = json.dumps([layer.model_dump(mode="json")] * 20_000)
    assert text.count(",") + text.count("[") + text.count("{") < JSON_VALUES
    assert len(text) < 30 * 2**20


class Early(nn.Module):
    """Leaves early where the first feature is positive."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.early, self.late = nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return torch.cond(x[0, 0] > 0, self.early, lambda z: self.late(z.relu()), (y,))


@pytest.mark.slow
def test_branches_have_verdicts_operations_and_the_share_that_took_them(tmp_path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own tracing of conditions
        program = torch.export.export(Early().eval(), (torch.ones(1, 4),))
    torch.export.save(program, tmp_path / "m.pt2")
    manifest = inspection.inspect_model(tmp_path / "m.pt2", tmp_path / "c.pt2", model_facts((4,)))
    found = layers(manifest)
    for name in ("early", "late"):
        assert states(found[name])["gradient"] == "auditable"
        assert found[name].flops == 24
    taken, left = manifest.exits
    assert (taken.of, left.of) == (64, 64)
    assert taken.taken + left.taken == 64
    assert 16 <= taken.taken <= 48
    assert codes(manifest) == ["static-batch"]


# --- warnings: each with what raises it, and what is like it and right


def exported(network: nn.Module, *shape: int) -> torch.export.ExportedProgram:
    return torch.export.export(network.eval(), (torch.zeros(2, *shape),))


PROBABILITIES = {"output": {"kind": "probabilities"}}


def test_a_softmax_under_declared_logits_is_seen_in_the_numbers(inspect) -> None:
    manifest = inspect(mlp(nn.Softmax(1)), 4)
    assert codes(manifest) == ["softmax-inside", "loss-and-output"]
    assert "declares logits, and the network ends in a softmax" in manifest.warnings[0].detail
    assert "the softmax was applied twice" in manifest.warnings[1].detail
    assert codes(inspect(mlp(nn.Softmax(1)), 4, facts=facts_of((4,), **PROBABILITIES))) == []


def test_a_log_softmax_under_declared_logits_is_seen_in_the_numbers(inspect) -> None:
    assert "log-softmax" in warned(inspect(mlp(nn.LogSoftmax(1)), 4), "softmax-inside").detail


@pytest.mark.slow
@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax(1)], ids=str)
def test_the_last_operation_is_read_from_the_graph_through_changes_of_shape(last, inspect) -> None:
    network = mlp(last, nn.Unflatten(1, (3, 1)), nn.Flatten(), nn.Dropout())
    manifest = inspect(network, 4, program=exported(network, 4))
    name = "a sigmoid" if isinstance(last, nn.Sigmoid) else "a softmax"
    assert manifest.warnings[0].code == "softmax-inside"
    assert manifest.warnings[0].detail.endswith(f"ends in {name}")


def test_logits_that_happen_to_lie_between_0_and_1_are_logits(inspect) -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()

        def forward(self, x: Tensor) -> Tensor:
            return 0.4 + 0.01 * self.body(x).tanh()

    assert codes(inspect(Small(), 4)) == []


def test_declared_probabilities_that_are_none_are_named(inspect) -> None:
    facts = facts_of((4,), **PROBABILITIES)
    assert "outputs range from" in warned(inspect(mlp(), 4, facts=facts), "not-probabilities").detail
    shares = inspect(mlp(nn.Sigmoid()), 4, facts=facts)
    assert "sum to" in warned(shares, "not-probabilities").detail


def test_several_yes_or_no_answers_need_not_sum_to_1(inspect) -> None:
    facts = facts_of((4,), loss="binary_cross_entropy", **PROBABILITIES)
    assert codes(inspect(mlp(nn.Sigmoid()), 4, facts=facts)) == []


@pytest.mark.parametrize(
    ("last", "changes", "said"),
    [
        ((), {"loss": "mse"}, "mse for a classification"),
        ((nn.Softmax(1),), {"loss": "binary_cross_entropy", **PROBABILITIES}, "shares of one softmax"),
        ((), {"task": "regression", "output": {"kind": "values", "classes": []}}, "the task regression of values"),
        (
            (),
            {"task": "regression", "loss": "binary_cross_entropy", "output": {"kind": "values", "classes": []}},
            "binary_cross_entropy for the task regression",
        ),
    ],
)
def test_a_loss_that_does_not_fit_is_named(last, changes, said, inspect) -> None:
    assert said in warned(inspect(mlp(*last), 4, facts=facts_of((4,), **changes)), "loss-and-output").detail


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "cross_entropy"},
        {"loss": "binary_cross_entropy"},
        {"loss": "other"},
        {"task": "regression", "loss": "mse", "output": {"kind": "values", "classes": []}},
    ],
)
def test_a_loss_that_fits_is_not(changes, inspect) -> None:
    assert codes(inspect(mlp(), 4, facts=facts_of((4,), **changes))) == []


def test_segments_without_names_are_asked_for_them(inspect) -> None:
    network = nn.Conv2d(1, 3, 1)
    changes = {"task": "segmentation", "output": {"classes": []}}
    warned(inspect(network, 1, 4, 4, facts=facts_of((1, 4, 4), **changes)), "classes-unnamed")
    assert codes(inspect(network, 1, 4, 4, facts=facts_of((1, 4, 4), task="segmentation"))) == []


def pixels(mean: float, std: float, high: float = 255.0) -> ModelFacts:
    given = {**input_facts((1, 4, 4)), "bounds": {"low": [0.0], "high": [high]}}
    return facts_of((1, 4, 4), input={**given, "preprocessing": {"mean": [mean], "std": [std]}})


def test_bounds_and_preprocessing_in_different_units_are_named(inspect) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    far = warned(inspect(network, 1, 4, 4, facts=pixels(0.5, 0.25)), "input-scale")
    assert "reach the network as −2.00 to 1018, more than 20 standard deviations" in far.detail
    near = warned(inspect(network, 1, 4, 4, facts=pixels(123.0, 58.0, high=1.0)), "input-scale")
    assert "0.017 of one standard deviation" in near.detail
    for right in (pixels(123.0, 58.0), pixels(0.5, 0.25, high=1.0), pixels(0.0, 1.0)):
        assert codes(inspect(network, 1, 4, 4, facts=right)) == []


def test_an_output_that_never_changes_is_named_and_one_of_zeros_is_called_dead(inspect) -> None:
    network = mlp()
    with torch.no_grad():
        network[2].weight.zero_()  # type: ignore[operator, union-attr]
    assert "the same for 64 random inputs" in warned(inspect(network, 4), "constant-output").detail
    with torch.no_grad():
        network[2].bias.zero_()  # type: ignore[operator, union-attr]
    assert "every output is zero" in warned(inspect(network, 4), "dead-output").detail


def test_a_parameter_with_two_names_is_named_by_both(inspect) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3))
    assert codes(inspect(network, 4)) == []
    network[2].weight = network[0].weight  # type: ignore[assignment]
    assert warned(inspect(network, 4), "tied-parameters").detail.endswith("'0.weight' = '2.weight'")


def test_parameters_off_every_path_are_counted(inspect) -> None:
    class Spare(nn.Module):
        def __init__(self, spare: int) -> None:
            super().__init__()
            self.body, self.spare = nn.Linear(4, 3, bias=False), nn.Linear(1, spare, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x)

    notice = warned(inspect(Spare(2), 4), "unused-parameters")
    assert notice.detail.startswith("2 of 14 parameters (14%) are not reached")
    assert codes(inspect(Spare(1), 4)) == []


def test_parameters_are_left_as_they_were(inspect) -> None:
    network = mlp()
    inspect(network, 4)
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_half_precision_weights_are_counted(inspect) -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(4, 3).bfloat16()

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x.bfloat16()).float()

    assert warned(inspect(Half(), 4), "half-precision").detail == "15 of 15 parameters are of half precision"


def test_operators_without_a_formula_are_named_and_the_network_comes_in(inspect) -> None:
    class Fourier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(torch.fft.rfft(x).real)

    manifest = inspect(Fourier(), 4)
    assert "'_fft_r2c'" in warned(manifest, "flops-incomplete").detail
    assert manifest.flops == 18


def test_a_pass_that_cannot_be_counted_leaves_the_number_out(inspect, monkeypatch) -> None:
    def broken(*_: Any) -> None:
        raise NotImplementedError("no such mode")

    monkeypatch.setattr("workers.subject.trial.count", broken)
    manifest = inspect(mlp(), 4)
    assert "no such mode" in warned(manifest, "flops-incomplete").detail
    assert manifest.flops is None


def test_a_network_that_does_not_run_is_refused(inspect) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if bool((x != 0).any()):
                raise ValueError("only zeros")
            return x[:, :3]

    with pytest.raises(Refusal, match="only zeros") as caught:
        inspect(Odd(), 4)
    assert caught.value.code == "does-not-run"


def test_a_network_of_another_number_of_rows_is_refused(inspect) -> None:
    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:1, :3] if bool((x != 0).any()) else x[:, :3]

    with pytest.raises(Refusal, match="its first axis must be the batch"):
        inspect(First(), 4)


def test_every_code_is_in_the_documentation_as_the_program_has_it() -> None:
    assert table() in (ROOT / "docs" / "intake" / "inspection.md").read_text()


def test_every_code_can_be_given() -> None:
    text = (ROOT / "workers" / "subject" / "notices.py").read_text()
    assert [code for code in CODES if f'"{code}"' not in text] == []


@pytest.mark.filterwarnings("error")
def test_inspection_itself_warns_of_nothing(inspect) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inspect(mlp(), 4)
