"""Does a job end with one sound result per member, whatever the members do?"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from service.contracts.base import digest_of_value
from service.contracts.job import (
    RESULT,
    Analyse,
    Failed,
    InspectDataset,
    Inspected,
    InspectModel,
    Member,
    Refused,
    StagedDataset,
    StagedModel,
    Succeeded,
)
from service.contracts.manifest import DatasetManifest, ModelManifest
from tests.workers.facts import dataset_facts, input_facts, model_facts
from tests.workers.kinds import KINDS, MADE, PNG
from tests.workers.networks import SHAPES, Cnn, Lstm, Mlp, Residual, Transformer, TwoOutputs, made
from tests.workers.subject.data.files import image, image_facts, parquet_of, table_facts, text_facts, zipped
from tests.workers.subject.test_pt2 import raw_export
from workers.child import run
from workers.group import analyse
from workers.subject.digest import digest_of_file

DIGEST = digest_of_value({"an": "analysis"})


class Line:
    """A line that keeps what is said on it."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self.said: list[dict[str, Any]] = []
        self.reports: list[tuple[str, float, str]] = []
        self.stop = stop

    def progress(self, fraction: float, stage: str, **extra: Any) -> None:
        assert 0 <= fraction <= 1
        self.reports.append((extra["member"], fraction, stage))

    def say(self, message: dict[str, Any]) -> None:
        self.said.append(message)

    def cancelled(self) -> bool:
        return self.stop()


def result(scratch: Path, member: str) -> Any:
    return RESULT.validate_json((scratch / "results" / member / "result.json").read_bytes())


def inspected(scratch: Path, job: InspectModel | InspectDataset) -> Any:
    line = Line()
    (scratch / "job.json").write_text(job.model_dump_json())
    run(scratch, line)
    found = result(scratch, job.member)
    assert line.said == [{"type": "result", "member": job.member, "status": found.status}]
    return found


@pytest.fixture
def scratch(tmp_path) -> Path:
    for folder in ("inputs", "results", "cancel"):
        (tmp_path / folder).mkdir()
    return tmp_path


def model_job(scratch: Path, kind: type[torch.nn.Module], shape: tuple[int, ...], **changes: Any) -> InspectModel:
    raw_export(made(kind).eval(), shape, scratch / "inputs" / "source")
    return InspectModel(**{"member": "a1", "facts": model_facts(shape), **changes})


# --- inspections


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_every_layer_of_a_network_is_listed_and_those_that_run_are_auditable(kind, scratch):
    found = inspected(scratch, model_job(scratch, kind, SHAPES[kind]))
    assert isinstance(found, Inspected)
    assert isinstance(found.manifest, ModelManifest)
    network = made(kind)
    layers = {layer.name: layer for layer in found.manifest.layers}
    assert set(layers) == {name for name, _ in network.named_modules() if name}
    fired = {name for name, layer in layers.items() if layer.auditable == "auditable"}
    containers = {
        name for name, module in network.named_modules() if type(module) in (torch.nn.ModuleList, torch.nn.ModuleDict)
    }
    unused = {"encoder.layers.0.self_attn.out_proj"} & set(layers)
    assert fired == set(layers) - containers - unused
    assert all(layer.reason for layer in layers.values() if layer.auditable != "auditable")
    assert all(layer.output_shape[0] == "N" for layer in layers.values() if layer.auditable == "auditable")
    assert found.manifest.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert found.manifest.canonical_digest == digest_of_file(scratch / "results" / "a1" / found.canonical)
    assert found.manifest.batch is None


def test_a_layer_called_twice_is_listed_once_with_two_calls(scratch):
    found = inspected(scratch, model_job(scratch, Residual, (4,)))
    assert {layer.name: layer.calls for layer in found.manifest.layers} == {"inner": 2, "act": 2, "head": 1}


def test_a_static_export_is_inspected_with_its_own_batch_size(scratch):
    raw_export(made(Cnn).eval(), (1, 8, 8), scratch / "inputs" / "source", dynamic=False, batch=3)
    found = inspected(scratch, InspectModel(member="a1", facts=model_facts((1, 8, 8))))
    assert found.manifest.batch == 3
    assert [(each.code, each.detail) for each in found.manifest.warnings] == [
        ("static-batch", "it runs batches of 3 only: every pass is padded to 3 rows")
    ]
    assert {layer.output_shape[0] for layer in found.manifest.layers} == {"N"}
    assert {layer.auditable for layer in found.manifest.layers} == {"auditable"}


def test_the_head_of_one_class_is_auditable_though_other_classes_do_not_depend_on_it(scratch):
    class Heads(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = torch.nn.ModuleList(torch.nn.Linear(4, 1) for _ in range(3))

        def forward(self, x):
            return torch.cat([head(x) for head in self.heads], 1)

    found = inspected(scratch, model_job(scratch, Heads, (4,)))
    layers = {layer.name: layer for layer in found.manifest.layers}
    assert {name: layer.auditable for name, layer in layers.items()} == {
        "heads": "not_fired",
        **{f"heads.{at}": "auditable" for at in range(3)},
    }
    assert layers["heads"].type == "container"


def test_which_output_is_analysed_is_noted(scratch):
    found = inspected(scratch, model_job(scratch, TwoOutputs, (4,)))
    assert "of 2 output tensors, output 1 is analysed" in found.manifest.notes
    assert [output.dtype for output in found.manifest.outputs] == ["int64", "float32"]


def test_a_layer_whose_output_the_target_does_not_depend_on_is_listed_with_the_reason(scratch, monkeypatch):
    class Detached(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)

        def forward(self, x):
            return self.used(x) + 0 * self.unused(x).detach()

    found = inspected(scratch, model_job(scratch, Detached, (4,)))
    layers = {layer.name: layer for layer in found.manifest.layers}
    assert layers["used"].auditable == "auditable"
    assert layers["unused"].auditable == "no_gradient_path"
    assert "does not depend" in str(layers["unused"].reason)


@pytest.mark.parametrize(
    ("shape", "classes", "code", "said"),
    [
        ((5,), 3, "input-shape", "['N', '4']"),
        ((4, 1), 3, "input-shape", "['N', '4']"),
        ((4,), 4, "output-shape", "4 classes"),
    ],
)
def test_what_was_declared_and_what_was_found_are_both_named(shape, classes, code, said, scratch):
    job = model_job(scratch, Mlp, (4,), facts=model_facts(shape, classes))
    found = inspected(scratch, job)
    assert isinstance(found, Refused)
    assert found.reason.code == code
    assert said in found.reason.detail
    assert not list((scratch / "results").rglob("canonical*"))


def test_a_network_that_is_random_in_evaluation_mode_comes_in_for_its_values_alone(scratch):
    class Random(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.body = torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)

        def forward(self, x):
            x = self.before(x)
            return self.body(x + torch.rand_like(x))

    found = inspected(scratch, model_job(scratch, Random, (4,)))
    assert isinstance(found, Inspected)
    (warning,) = found.manifest.warnings
    assert warning.code == "stochastic"
    assert "two forward passes of the same input differ" in warning.detail
    before, body = found.manifest.layers
    assert before.auditable == body.auditable == "forward_only"
    assert (before.verdicts["forward"].state, body.verdicts["forward"].state) == ("auditable", "not_applicable")
    assert body.verdicts["forward"].reason == "two passes of the same example differ here"
    for layer in (before, body):
        for family in ("gradient", "cam", "rules"):
            assert layer.verdicts[family].state == "not_applicable"
            assert "two passes of the same input differ" in str(layer.verdicts[family].reason)


def test_a_network_whose_examples_influence_each_other_comes_in_for_its_values_alone(scratch):
    class Coupled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.body = torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)

        def forward(self, x):
            x = self.before(x)
            return self.body(x - x.mean(0))

    found = inspected(scratch, model_job(scratch, Coupled, (4,)))
    assert isinstance(found, Inspected)
    (warning,) = found.manifest.warnings
    assert warning.code == "batch-dependent"
    assert "other examples" in warning.detail
    before, body = found.manifest.layers
    assert (before.verdicts["forward"].state, body.verdicts["forward"].state) == ("auditable", "not_applicable")
    assert {layer.verdicts["gradient"].state for layer in (before, body)} == {"not_applicable"}
    assert "others in the batch" in str(body.verdicts["gradient"].reason)
    assert body.output_shape == ("N", "3")


class Logarithm(torch.nn.Module):
    """Of inputs in -1 to 1 gives a number where none of four is negative, and NaN elsewhere."""

    shift = 0.0

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(4, 3)

    def forward(self, x):
        return self.body(torch.log(x + self.shift))


def test_a_network_whose_output_is_always_nan_within_the_bounds_is_refused(scratch):
    class Hopeless(Logarithm):
        shift = -2.0

    found = inspected(scratch, model_job(scratch, Hopeless, (4,)))
    assert found.reason.code == "output-not-finite"


def test_a_network_whose_output_is_sometimes_nan_is_audited_where_it_is_not(scratch):
    class Shaky(Logarithm):
        shift = 0.5

    found = inspected(scratch, model_job(scratch, Shaky, (4,)))
    assert isinstance(found, Inspected)
    (warning,) = found.manifest.warnings
    assert warning.code == "non-finite-outputs"
    share = re.fullmatch(r"the output is NaN or infinite for (\d+) of 64 random inputs within .*", warning.detail)
    assert share is not None
    assert abs(int(share[1]) - 64 * (1 - 0.75**4)) <= 12
    assert {layer.auditable for layer in found.manifest.layers} == {"auditable"}


def test_bytes_that_are_no_model_are_refused_and_named(scratch):
    (scratch / "inputs" / "source").write_bytes(b"<h1>not a model</h1>")
    found = inspected(scratch, InspectModel(member="a1", facts=model_facts((4,))))
    assert isinstance(found, Refused)
    assert found.reason.code == "not-a-model"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_runs_out_during_an_inspection_does_not_refuse_the_file(error, scratch, monkeypatch):
    job = model_job(scratch, Mlp, (4,))

    def greedy(*_: Any) -> None:
        raise error

    monkeypatch.setattr(torch.export, "load", greedy)
    found = inspected(scratch, job)
    assert isinstance(found, Failed)
    assert (found.reason.code, found.reason.permanent) == ("memory", False)
    assert not list((scratch / "results").rglob("canonical*"))


def test_a_fault_of_ours_during_an_inspection_is_failed_without_a_path(scratch, monkeypatch):
    job = model_job(scratch, Mlp, (4,))

    def broken(*_: Any) -> None:
        raise KeyError("/root/somewhere/else.py")

    monkeypatch.setattr("workers.subject.inspection.inventory", broken)
    found = inspected(scratch, job)
    assert isinstance(found, Failed)
    assert found.reason.code == "internal"
    assert "/root" not in found.reason.detail


def test_a_dataset_comes_in_with_its_manifest(scratch):
    np.savez(scratch / "inputs" / "source.npz", inputs=np.zeros((5, 4)), labels=np.zeros(5, dtype=int))
    (scratch / "inputs" / "source.npz").rename(scratch / "inputs" / "source")
    found = inspected(scratch, InspectDataset(member="b2", facts=dataset_facts((4,))))
    assert isinstance(found, Inspected)
    assert isinstance(found.manifest, DatasetManifest)
    assert found.manifest.examples == 5
    assert found.manifest.canonical_digest == digest_of_file(scratch / "results" / "b2" / found.canonical)


# --- analyses


@pytest.fixture
def job(scratch) -> Callable[..., Analyse]:
    """An Analyse of the MLP on six examples; members by id with their parameters."""
    model = inspected(scratch, model_job(scratch, Mlp, (4,)))
    inputs = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)
    np.savez(scratch / "d.npz", inputs=inputs, labels=np.zeros(6, dtype=int))
    (scratch / "d.npz").replace(scratch / "inputs" / "source")
    data = inspected(scratch, InspectDataset(member="b2", facts=dataset_facts((4,))))
    (scratch / "results/a1/canonical.pt2").rename(scratch / "inputs/model.pt2")
    (scratch / "results/b2/canonical.safetensors").rename(scratch / "inputs/input-0.safetensors")

    def make(members: dict[str, dict[str, Any]], **changes: Any) -> Analyse:
        staged = StagedDataset(
            file="input-0.safetensors", name="digits", digest=data.manifest.canonical_digest,
            facts=changes.pop("facts", dataset_facts((4,))), manifest=data.manifest,
        )  # fmt: skip
        values: dict[str, Any] = {
            "members": tuple(
                Member(id=id_, kind="mean_output", kind_version=3, parameters=parameters, digest=DIGEST)
                for id_, parameters in members.items()
            ),
            "model": StagedModel(
                file="model.pt2", name="mlp", version="1", digest=model.manifest.canonical_digest,
                facts=model_facts((4,)), manifest=model.manifest,
            ),
            "inputs": {"evaluation": staged},
            "memory_bytes": 1 << 26,
            "sandbox_level": "full",
        }  # fmt: skip
        return Analyse(**(values | changes))

    return make


def statuses(line: Line) -> dict[str, str]:
    return {message["member"]: message["status"] for message in line.said}


def test_a_member_ends_with_outcome_files_and_provenance(scratch, job):
    line = Line()
    made_job = job({"c3": {"scale": 2.0}})
    analyse(scratch, made_job, line, KINDS)
    found = result(scratch, "c3")
    assert isinstance(found, Succeeded)
    arrays = safetensors.torch.load_file(scratch / "results/c3/arrays.safetensors")
    network = made(Mlp).eval()
    x = torch.linspace(-1, 1, 24).reshape(6, 4)
    torch.testing.assert_close(arrays["output"], network(x).detach(), rtol=0, atol=1e-6)
    assert found.outcome["mean"] == pytest.approx(2 * float(network(x).detach().mean()), abs=1e-6)
    assert [artifact.file for artifact in found.artifacts] == ["arrays.safetensors", "mean.png"]
    assert (scratch / "results/c3/mean.png").read_bytes() == PNG
    assert found.outcome["controls"][0]["passed"] is True
    assert found.section.controls[0].name == "zero"
    assert found.measurements[0].value == found.outcome["mean"]
    provenance = found.provenance
    assert provenance.deterministic
    assert (provenance.quoted_bytes, provenance.quoted_seconds) == (4096, 1.0)
    assert provenance.plan["parts"] == [{"part": 0}, {"part": 1}]
    assert provenance.plan["passes"] == [{"pass": "forward", "role": "evaluation"}] * 2
    assert provenance.machine.versions["torch"] == torch.__version__
    assert (provenance.model_digest, provenance.analysis_digest) == (made_job.model.digest, DIGEST)
    assert statuses(line) == {"c3": "succeeded"}
    assert line.reports[-1] == ("c3", 1.0, "succeeded")
    fractions = [fraction for _, fraction, _ in line.reports]
    assert fractions == sorted(fractions)


def trained_on(scratch: Path, job: Callable[..., Analyse], rows: slice) -> Analyse:
    """The same job with a training dataset of some of its six examples, in another order, and one more."""
    inputs = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)[rows][::-1]
    np.savez(scratch / "d.npz", inputs=np.concatenate([inputs, np.zeros((1, 4), np.float32)]))
    (scratch / "d.npz").replace(scratch / "inputs" / "source")
    facts = dataset_facts((4,), labels_array=None)
    data = inspected(scratch, InspectDataset(member="e5", facts=facts))
    (scratch / "results/e5/canonical.safetensors").rename(scratch / "inputs/input-1.safetensors")
    plain = job({"c3": {}, "d4": {"scale": 3.0}})
    training = StagedDataset(
        file="input-1.safetensors", name="trained on", digest=data.manifest.canonical_digest, facts=facts,
        manifest=data.manifest,
    )  # fmt: skip
    return plain.model_copy(update={"inputs": {"training": training, **plain.inputs}})


def test_examples_that_were_trained_on_are_counted_in_every_analysis(scratch, job):
    analyse(scratch, trained_on(scratch, job, slice(1, 3)), Line(), KINDS)
    for member in ("c3", "d4"):
        found = result(scratch, member)
        (overlap,) = found.provenance.overlaps
        assert (overlap.role, overlap.other, overlap.shared, overlap.examples) == ("evaluation", "training", 2, 6)
        (finding,) = found.outcome["findings"]
        assert (finding["code"], finding["severity"]) == ("shared-examples", "warning")
        assert finding["evidence"] == "evaluation and training share 2 of 6 examples"


def test_datasets_that_share_nothing_are_said_to_share_nothing(scratch, job):
    analyse(scratch, trained_on(scratch, job, slice(0, 0)), Line(), KINDS)
    found = result(scratch, "c3")
    assert [each.shared for each in found.provenance.overlaps] == [0]
    assert found.outcome["findings"] == []


def test_one_dataset_leaves_the_provenance_as_it_was_before_there_were_overlaps(scratch, job):
    analyse(scratch, job({"c3": {}}), Line(), KINDS)
    assert "overlaps" not in result(scratch, "c3").provenance.model_dump(mode="json")


def test_equal_passes_of_a_group_are_made_once(scratch, job):
    MADE.clear()
    analyse(scratch, job({"c3": {}, "d4": {"scale": 3.0}}), Line(), KINDS)
    assert MADE == ["evaluation"]
    assert [result(scratch, member).provenance.shared_with for member in ("c3", "d4")] == [1, 1]


def test_a_second_run_gives_the_same_bytes(scratch, job):
    outputs = []
    for member in ("c3", "d4"):
        analyse(scratch, job({member: {}}), Line(), KINDS)
        outputs.append((scratch / "results" / member / "arrays.safetensors").read_bytes())
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("do", "code", "permanent", "said"),
    [
        ("not apply", "not-applicable", True, "the moon is wrong; and so is the tide"),
        ("fail to plan", "no-plan", False, "there is no plan"),
        ("raise", "internal", True, "RuntimeError: broken at (path)"),
        ("exhaust", "memory", False, "did not suffice"),
        ("exhaust torch", "memory", False, "did not suffice"),
        ("give NaN", "not-finite", True, "output"),
    ],
)
def test_one_members_failure_is_its_own(do, code, permanent, said, scratch, job, capsys):
    line = Line()
    analyse(scratch, job({"c3": {"do": do}, "d4": {}}), line, KINDS)
    found = result(scratch, "c3")
    assert isinstance(found, Failed)
    assert (found.reason.code, found.reason.permanent) == (code, permanent)
    assert said in found.reason.detail
    assert "/home" not in found.reason.detail
    assert statuses(line) == {"c3": "failed", "d4": "succeeded"}


def test_a_failed_control_becomes_a_finding(scratch, job):
    analyse(scratch, job({"c3": {"do": "fail its control"}}), Line(), KINDS)
    found = result(scratch, "c3")
    assert [finding["code"] for finding in found.outcome["findings"]] == ["control-failed"]
    assert found.section.findings[0].severity == "failure"


def test_faults_in_parameters_are_named_by_json_pointer(scratch, job):
    analyse(scratch, job({"c3": {"scale": 11.0, "what/is": 1}}), Line(), KINDS)
    reason = result(scratch, "c3").reason
    assert reason.code == "invalid-parameters"
    assert {fault.pointer for fault in reason.faults} == {"/parameters/scale", "/parameters/what~1is"}


@pytest.mark.parametrize(
    ("change", "code"),
    [({"kind": "unheard_of"}, "unknown-kind"), ({"kind_version": 2}, "kind-version")],
)
def test_a_kind_this_worker_does_not_have_fails_that_member(change, code, scratch, job):
    made_job = job({"c3": {}, "d4": {}})
    member = made_job.members[0].model_copy(update=change)
    analyse(scratch, made_job.model_copy(update={"members": (member, made_job.members[1])}), Line(), KINDS)
    assert result(scratch, "c3").reason.code == code
    assert isinstance(result(scratch, "d4"), Succeeded)


def test_a_missing_role_fails_the_member(scratch, job):
    analyse(scratch, job({"c3": {}}, inputs={}), Line(), KINDS)
    assert result(scratch, "c3").reason.code == "missing-input"


def test_a_cancelled_member_leaves_no_result_and_the_others_go_on(scratch, job):
    (scratch / "cancel" / "c3").touch()
    line = Line()
    analyse(scratch, job({"c3": {}, "d4": {}}), line, KINDS)
    assert statuses(line) == {"c3": "cancelled", "d4": "succeeded"}
    assert not (scratch / "results/c3/result.json").exists()


def test_a_member_cancelled_while_it_computes_stops_at_the_end_of_its_chunk(scratch, job):
    line = Line()
    line.stop = lambda: any(stage == "computing" for _, _, stage in line.reports)
    analyse(scratch, job({"c3": {}}), line, KINDS)
    assert statuses(line) == {"c3": "cancelled"}
    assert not (scratch / "results/c3/result.json").exists()


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"input": input_facts((4,), low=-2.0)}, "/inputs/evaluation/facts/input/bounds"),
        ({"input": {**input_facts((4,)), "unit": "millimetres"}}, "/inputs/evaluation/facts/input/unit"),
        ({"input": input_facts((5,))}, "/inputs/evaluation/facts/input/shape"),
        ({"classes": ["class 1", "class 0", "class 2"]}, "/inputs/evaluation/facts/classes"),
    ],
)
def test_a_dataset_whose_facts_differ_from_the_models_fails_the_group(change, pointer, scratch, job):
    line = Line()
    analyse(scratch, job({"c3": {}, "d4": {}}, facts=dataset_facts((4,), **change)), line, KINDS)
    assert statuses(line) == {"c3": "failed", "d4": "failed"}
    reason = result(scratch, "d4").reason
    assert reason.code == "inputs-disagree"
    assert pointer in [fault.pointer for fault in reason.faults]


@pytest.mark.parametrize("name", ["model.pt2", "input-0.safetensors"])
def test_a_file_that_is_not_what_was_inspected_is_not_loaded(name, scratch, job):
    made_job = job({"c3": {}})
    content = bytearray((scratch / "inputs" / name).read_bytes())
    content[-1] ^= 1
    (scratch / "inputs" / name).write_bytes(content)
    analyse(scratch, made_job, Line(), KINDS)
    assert result(scratch, "c3").reason.code == "input-damaged"


# --- what a child must not do


PROBE = """
import json, os, sys
from pathlib import Path
from service.contracts.job import JOB

class Line:
    said = {}
    def progress(self, *_, **__): pass
    def say(self, message): self.said = message
    def cancelled(self): return False

from tests.workers.kinds import KINDS
from workers.child import run
from workers.group import analyse

threads = len(os.listdir("/proc/self/task"))
for name in sys.argv[1:]:
    scratch = Path(name)
    job = JOB.validate_json((scratch / "job.json").read_bytes())
    child = os.fork()
    if not child:
        before, line = set(sys.modules), Line()
        if job.type == "analyse" and job.members[0].kind in KINDS:
            analyse(scratch, job, line, KINDS)
        else:
            run(scratch, line)
        found = {"grown": sorted(set(sys.modules) - before), "threads": threads, "status": line.said.get("status")}
        (scratch / "said.json").write_text(json.dumps(found))
        os._exit(0)
    os.waitpid(child, 0)
"""


def datasets() -> dict[str, tuple[bytes, Any, str]]:
    """A file of every format, sound and broken: each by another way through its reader."""
    pixels = np.zeros((3, 4, 3), np.uint8)
    images = {form: image(pixels, form) for form in ("PNG", "JPEG", "WEBP")}
    folder = {f"cat/{form}.{form.lower()}": content for form, content in images.items()}
    resized, table = image_facts(resize={"fit": "crop"}), table_facts()
    columns = {"a": [1.0, None], "b": [1, 2], "labels": ["cat", "dog"]}
    filled = table_facts(columns=[{"name": "a", "missing": 0}, {"name": "b"}, {"name": "labels", "role": "label"}])
    return {
        "csv": (b"a,b,labels\n1,2,cat\n", table, "inspected"),
        "broken csv": (b'a,b,labels\n1,"2,cat\n', table, "refused"),
        "other columns": (b"a,b,label\n1,2,cat\n", table, "refused"),
        "jsonl": (b'{"a": 1, "b": 2, "labels": 0}\n', table, "inspected"),
        "parquet": (parquet_of(columns), filled, "inspected"),
        "broken parquet": (b"PAR1" + bytes(50) + b"\x10\0\0\0PAR1", table, "refused"),
        "texts": (parquet_of({"text": ["a"], "label": ["cat"]}), text_facts(), "inspected"),
        "images": (zipped(folder), resized, "inspected"),
        "broken image": (zipped({"cat/1.png": images["PNG"][:-20]}), resized, "refused"),
        "no image": (zipped({"cat/1.webp": b"RIFF\0\0\0\0WEBPVP8 "}), resized, "refused"),
    }


@pytest.mark.slow
def test_no_job_imports_anything_that_was_not_preloaded(tmp_path, scratch, job, preloaded):
    """In forks of a process that had imported workers.preload and nothing else, and had one thread."""
    jobs: dict[str, tuple[Any, str]] = {"analyse": (job({"c3": {}}), "succeeded")}
    folders = {"analyse": scratch}
    for name in ("Cnn", "Lstm", "Transformer", "refused", "dataset"):
        folders[name] = tmp_path / name
        (folders[name] / "inputs").mkdir(parents=True)
    for kind in (Cnn, Lstm, Transformer):
        jobs[kind.__name__] = (model_job(folders[kind.__name__], kind, SHAPES[kind]), "inspected")
    (folders["refused"] / "inputs/source").write_bytes(b"PK\x03\x04 not really")
    jobs["refused"] = (InspectModel(member="a1", facts=model_facts((4,))), "refused")
    np.savez_compressed(tmp_path / "d.npz", inputs=np.zeros((5, 4)), labels=np.zeros(5, dtype=int))
    (tmp_path / "d.npz").rename(folders["dataset"] / "inputs/source")
    jobs["dataset"] = (InspectDataset(member="b2", facts=dataset_facts((4,))), "inspected")
    for name, (content, facts, status) in datasets().items():
        folders[name] = tmp_path / name
        (folders[name] / "inputs").mkdir(parents=True)
        (folders[name] / "inputs/source").write_bytes(content)
        jobs[name] = (InspectDataset(member="b2", facts=facts), status)
    for name, folder in folders.items():
        (folder / "job.json").write_text(jobs[name][0].model_dump_json())
    preloaded(PROBE, *map(str, folders.values()))
    found = {name: json.loads((folder / "said.json").read_text()) for name, folder in folders.items()}
    assert found == {name: {"grown": [], "threads": 1, "status": status} for name, (_, status) in jobs.items()}
