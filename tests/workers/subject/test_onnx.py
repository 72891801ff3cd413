"""Does an ONNX file come in as a black box that gives its numbers, and only what computes them?"""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from service.contracts.job import Analyse, InspectDataset, InspectModel, Member, StagedDataset, StagedModel, Succeeded
from tests.workers.facts import dataset_facts, model_facts
from tests.workers.kinds import KINDS
from tests.workers.subject.networks_onnx import BIAS, WEIGHT, affine, forest, model, stored, value
from tests.workers.test_child import PROBE, Line, inspected, result
from workers.analyses import layer_conductance
from workers.group import analyse
from workers.kind import AnalysisKind, Registry
from workers.subject.network import ONLY_OUTPUTS, Loaded
from workers.subject.onnx import load, rewrite
from workers.subject.onnx.black_box import GradientAsked
from workers.subject.onnx.operators import ALLOWED, OPSETS
from workers.subject.refusal import Refusal

X = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, 0.0]])


@pytest.fixture
def taken(tmp_path):
    """Rewrites a model and loads what was written; the source is gone by then."""

    def take(proto: onnx.ModelProto) -> Loaded:
        source = tmp_path / "source"
        source.write_bytes(proto.SerializeToString())
        take.rewritten = rewrite(source, tmp_path / "canonical.onnx")
        source.unlink()
        return load(tmp_path / "canonical.onnx")

    return take


def refused(taken, proto: onnx.ModelProto, code: str, said: str | None = None) -> Refusal:
    with pytest.raises(Refusal, match=said) as caught:
        taken(proto)
    assert caught.value.code == code, caught.value.detail
    assert caught.value.remedy
    return caught.value


def sizes(tensor: torch.Tensor) -> list[str]:
    return [str(size) if isinstance(size, int) else "open" for size in tensor.shape]


# --- what comes in


def test_an_affine_network_gives_the_numbers_of_its_matrix(taken):
    found = taken(affine())
    torch.testing.assert_close(found.model(X), X @ torch.tensor(WEIGHT) + torch.tensor(BIAS), rtol=0, atol=1e-6)
    assert found.model(X).tolist() == [[-1.25, 2.5], [1.25, -2.5]]
    assert (found.black_box, found.batch, found.chosen, found.type_based) == (True, None, 0, ONLY_OUTPUTS)
    assert [sizes(tensor) for tensor in (*found.inputs, *found.outputs)] == [["open", "3"], ["open", "2"]]
    assert str(found.inputs[0].shape[0]) == str(found.outputs[0].shape[0])
    assert found.inputs[0].is_meta
    assert not list(found.model.parameters())
    assert not found.model.training


def test_equal_networks_under_other_names_are_one_model(taken):
    taken(affine())
    first = taken.rewritten
    other = model(
        [helper.make_node("Gemm", ["image", "W", "B"], ["logits"], name="/net/fc", alpha=1.0, doc_string="fc")],
        [value("image", ["batch", 3])],
        [value("logits", ["batch", 2])],
        [helper.make_tensor("W", TensorProto.FLOAT, WEIGHT.shape, WEIGHT.ravel()), stored("B", BIAS)],
        producer_name="/home/ann/train.py",
    )
    first_node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], alpha=1.0)
    taken(model([first_node], tensors=[stored("w", WEIGHT), stored("b", BIAS)]))
    same = taken.rewritten.digest
    taken(other)
    assert taken.rewritten.digest == same != first.digest


def test_no_word_of_the_customer_is_in_the_canonical_form(taken, tmp_path):
    words = ["customer", "producer", "secret note", "net/fc", "inputname", "batchname", "weightname", "shapename"]
    proto = model(
        [helper.make_node("Gemm", ["inputname", "weightname", "b"], ["y"], name="net/fc", doc_string="secret note")],
        [value("inputname", ["batchname", 3])],
        tensors=[stored("weightname", WEIGHT), stored("b", BIAS)],
        producer_name="producer",
    )
    proto.graph.value_info.append(value("y", ["shapename", 2]))
    proto.graph.doc_string = "secret note"
    helper.set_model_props(proto, {"customer": "customer"})
    given = proto.SerializeToString()
    taken(proto)
    written = (tmp_path / "canonical.onnx").read_bytes()
    for word in words:
        assert word.encode() in given
        assert word.encode() not in written
    assert any("not kept" in note for note in taken.rewritten.notes)


def test_two_passes_and_two_loads_give_the_same_bytes(taken, tmp_path):
    first = taken(affine())
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    again = load(tmp_path / "canonical.onnx")
    assert first.model(x).numpy().tobytes() == first.model(x).numpy().tobytes() == again.model(x).numpy().tobytes()


def test_a_fixed_batch_is_kept_and_another_one_is_refused_in_words(taken):
    found = taken(
        model(
            [helper.make_node("Relu", ["x"], ["y"])], [value("x", [4, 3])], [value("y", [4, 3])],
        )
    )  # fmt: skip
    assert (found.batch, sizes(found.outputs[0])) == (4, ["4", "3"])
    with pytest.raises(ValueError, match=r"input 0 is \[2, 3\]"):
        found.model(X)


def test_a_batch_that_is_open_in_name_only_is_one_row(taken):
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    found = taken(model(nodes, outputs=[value("y", ["N", 3])], tensors=[stored("shape", np.array([1, 3]))]))
    assert found.batch == 1
    assert "one row at a time" in found.notes[0]


@pytest.mark.parametrize("shape", [None, ["M", 7], ["N", "C"]])
def test_what_a_file_says_of_its_outputs_is_measured(shape, taken):
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
    found = taken(model(nodes, outputs=[value("y", shape)], tensors=[stored("w", WEIGHT), stored("b", BIAS)]))
    assert sizes(found.outputs[0]) == ["open", "2"]


def test_open_sizes_besides_the_batch_are_taken_as_declared(taken):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    found = taken(model(nodes, [value("x", ["N", 3, "H"])], [value("y", ["N", 3, "H"])]))
    assert sizes(found.outputs[0]) == ["open", "3", "open"]
    assert found.model(-torch.ones(2, 3, 5)).tolist() == torch.zeros(2, 3, 5).tolist()


def test_the_first_floating_output_is_chosen_and_texts_are_dropped(taken):
    nodes = [
        helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
        helper.make_node("Softmax", ["x"], ["y"]),
        helper.make_node("Identity", ["names"], ["word"]),
    ]
    names = helper.make_tensor("names", TensorProto.STRING, [1], [b"cat"])
    outputs = [value("word", [1], TensorProto.STRING), value("label", ["N"], TensorProto.INT64), value("y", ["N", 3])]
    found = taken(model(nodes, outputs=outputs, tensors=[names]))
    assert (found.chosen, len(found.outputs)) == (1, 2)
    torch.testing.assert_close(found.model(X), X.softmax(1))


def test_the_dictionaries_of_a_classifier_are_taken_off(taken):
    nodes = [
        helper.make_node("Softmax", ["x"], ["rows"]),
        helper.make_node("ZipMap", ["rows"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
    ]
    listed = helper.make_value_info("y", helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [3])))
    found = taken(model(nodes, outputs=[listed], further=(("ai.onnx.ml", 3),)))
    torch.testing.assert_close(found.model(X), X.softmax(1))


def test_several_inputs_come_in_the_order_of_the_file_integers_included(taken):
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("ReduceSum", ["rows"], ["sum"], keepdims=0, axes=[1]),
        helper.make_node("Mul", ["sum", "x"], ["y"]),
    ]
    inputs = [value("ids", ["N", 2], TensorProto.INT64), value("x", ["N", 1])]
    found = taken(
        model(nodes, inputs, [value("y", ["N", 1])], [stored("table", np.float32([[1], [10], [100]]))], opset=12)
    )
    assert [tensor.dtype for tensor in found.inputs] == [torch.int64, torch.float32]
    ids, x = torch.tensor([[0, 2], [1, 1]]), torch.tensor([[1.0], [2.0]])
    assert found.model(ids, x).tolist() == [[101.0], [40.0]]
    with pytest.raises(ValueError, match="takes 2 inputs, not 1"):
        found.model(ids)
    with pytest.raises(ValueError, match=r"of torch\.int32; the network reads"):
        found.model(ids.int(), x)


def test_training_is_switched_to_evaluation_and_said(taken):
    one, zero = np.ones(3, np.float32), np.zeros(3, np.float32)
    nodes = [
        helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["h", "rm", "rv"], training_mode=1),
        helper.make_node("Dropout", ["h", "ratio", "on"], ["y"]),
    ]
    tensors = [stored("s", one), stored("b", zero), stored("m", zero), stored("v", one)]
    tensors += [stored("ratio", np.float32(0.5)), stored("on", np.array(True))]
    found = taken(model(nodes, outputs=[value("y", ["N", 3])], tensors=tensors))
    torch.testing.assert_close(found.model(X), X / (1 + 1e-5) ** 0.5)
    assert any("evaluation mode (2 named" in note for note in taken.rewritten.notes)


def test_both_branches_of_an_if_and_a_loop_run(taken):
    less, more = (
        helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [value(name, None)])
        for op, name in (("Neg", "less"), ("Abs", "more"))
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "limit"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=more, else_branch=less),
    ]
    found = taken(model(nodes, outputs=[value("y", ["N", 3])], tensors=[stored("limit", np.float32(10))]))
    assert found.model(X).tolist() == (-X).tolist()
    assert found.model(X + 10).tolist() == (X + 10).tolist()


def test_functions_of_the_file_run(taken):
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    twice = helper.make_function("mine", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("Twice", ["x"], ["h"], domain="mine"),
        helper.make_node("Twice", ["h"], ["y"], domain="mine"),
    ]
    found = taken(model(nodes, outputs=[value("y", ["N", 3])], further=(("mine", 1),), functions=[twice]))
    assert found.model(X).tolist() == (4 * X).tolist()


def test_unused_operator_sets_of_others_are_dropped(taken):
    assert taken(affine(further=(("com.microsoft", 1), ("org.pytorch.aten", 1)))).model(X).shape == (2, 2)


@pytest.mark.parametrize("opset", [OPSETS[""].start, OPSETS[""].stop - 1])
def test_the_oldest_and_the_newest_operators_run(opset, taken):
    assert taken(affine(opset=opset)).model(X).tolist() == [[-1.25, 2.5], [1.25, -2.5]]


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (TensorProto.FLOAT, [1, -2, 3]), (TensorProto.DOUBLE, [1, -2, 3]), (TensorProto.FLOAT16, [1, -2, 3]),
        (TensorProto.INT64, [1, -2, 3]), (TensorProto.INT32, [1, -2, 3]), (TensorProto.INT16, [1, -2, 3]),
        (TensorProto.INT8, [1, -2, 3]), (TensorProto.UINT8, [1, 2, 255]), (TensorProto.UINT16, [1, 2, 65535]),
        (TensorProto.UINT32, [1, 2, 2**24]), (TensorProto.UINT64, [1, 2, 2**24]), (TensorProto.BOOL, [1, 0, 1]),
    ],
)  # fmt: skip
def test_numbers_of_every_type_mean_the_same_packed_or_not(kind, numbers, taken):
    nodes = [helper.make_node("Cast", ["w"], ["f"], to=TensorProto.FLOAT), helper.make_node("Add", ["x", "f"], ["y"])]
    outputs = [value("y", ["N", 3])]
    found, digests = [], []
    for raw in (False, True):
        tensor = helper.make_tensor("w", kind, [3], numbers)
        if raw:
            array = onnx.numpy_helper.to_array(tensor)
            tensor = onnx.numpy_helper.from_array(array, "w")
        found.append(taken(model(nodes, outputs=outputs, tensors=[tensor])).model(torch.zeros(2, 3)).tolist())
        digests.append(taken.rewritten.digest)
    assert found[0] == found[1] == [[float(number) for number in numbers]] * 2
    assert digests[0] == digests[1]


def test_a_forest_gives_the_weights_of_its_leaves(taken):
    proto = model([forest()], outputs=[value("y", ["N", 1])], further=(("ai.onnx.ml", 3),))
    assert taken(proto).model(X).tolist() == [[1.0], [2.0]]


# --- what a black box does not do


def test_asking_for_a_gradient_says_that_there_is_none(taken):
    found = taken(affine())
    x = X.clone().requires_grad_()
    with pytest.raises(GradientAsked, match="shows only its outputs"):
        found.model(x)
    with torch.no_grad():
        assert not found.model(x).requires_grad


@pytest.fixture
def analysed(tmp_path) -> Callable[..., Any]:
    """What an analysis of the affine network answers, from the customer's files to the result."""
    (tmp_path / "inputs").mkdir()

    def analysed(kind: AnalysisKind[Any, Any]) -> Any:
        source = tmp_path / "inputs" / "source"
        source.write_bytes(affine().SerializeToString())
        model = inspected(tmp_path, InspectModel(member="a1", facts=model_facts((3,), classes=2)))
        facts = dataset_facts((3,), classes=["class 0", "class 1"])
        np.savez(tmp_path / "d.npz", inputs=X.numpy() / 2, labels=np.array([0, 1]))
        (tmp_path / "d.npz").replace(source)
        data = inspected(tmp_path, InspectDataset(member="b2", facts=facts))
        (tmp_path / "results/a1" / model.canonical).rename(tmp_path / "inputs/model.onnx")
        (tmp_path / "results/b2" / data.canonical).rename(tmp_path / "inputs/input-0.safetensors")
        member = Member(id="c3", kind=kind.name, kind_version=kind.version, parameters={}, digest="sha256:" + "0" * 64)
        staged = StagedDataset(
            file="input-0.safetensors", name="d", digest=data.manifest.canonical_digest, facts=facts,
            manifest=data.manifest,
        )  # fmt: skip
        made = StagedModel(
            file="model.onnx", name="affine", version="1", digest=model.manifest.canonical_digest,
            facts=model_facts((3,), classes=2), manifest=model.manifest,
        )  # fmt: skip
        line = Line()
        job = Analyse(
            members=(member,), model=made, inputs={"evaluation": staged}, memory_bytes=1 << 26, sandbox_level="full"
        )
        analyse(tmp_path, job, line, Registry(kind))
        return result(tmp_path, "c3")

    return analysed


def test_an_analysis_of_outputs_has_the_numbers_of_the_network(analysed):
    found = analysed(KINDS["mean_output"])
    assert isinstance(found, Succeeded), found.reason
    y = X.numpy() / 2 @ WEIGHT + BIAS
    assert found.outcome["mean"] == pytest.approx(float(y.mean()), abs=1e-6)


def test_an_analysis_of_layers_answers_that_a_black_box_shows_only_its_outputs(analysed):
    found = analysed(layer_conductance.KIND)
    assert (found.status, found.reason.code, found.reason.detail) == ("failed", "not-applicable", ONLY_OUTPUTS)


WATCHED = """
import json, os, sys
from pathlib import Path
import numpy
from workers.subject.onnx.runtime import Session
session = Session(Path(sys.argv[1]))
session.run([numpy.zeros((5, 3), numpy.float32)], [0])
links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
print(json.dumps({"threads": len(os.listdir("/proc/self/task")), "sockets": [x for x in links if "socket" in x]}))
"""


@pytest.mark.slow
def test_onnxruntime_starts_no_thread_opens_no_socket_and_writes_nothing(taken, tmp_path):
    taken(affine())
    home = tmp_path / "home"
    home.mkdir()
    names = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path / "canonical.onnx")],
        env={
            "PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1", **dict.fromkeys(names, str(home)),
        },
        cwd=home, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"threads": 1, "sockets": []}
    assert [str(path) for path in home.rglob("*")] == []
    assert done.stderr == ""


@pytest.mark.slow
def test_a_job_with_an_onnx_file_imports_nothing_that_was_not_preloaded(tmp_path, preloaded):
    contents = {
        "onnx": affine().SerializeToString(),
        "refused": b"\x80\x04N.",
        "packed": gzip.compress(b"\x80\x04N."),
        "text": b"a,b\n1,2\n",
    }
    for name, content in contents.items():
        (tmp_path / name / "inputs").mkdir(parents=True)
        (tmp_path / name / "inputs" / "source").write_bytes(content)
        job = InspectModel(member="a1", facts=model_facts((3,), classes=2))
        (tmp_path / name / "job.json").write_text(job.model_dump_json())
    preloaded(PROBE, *(str(tmp_path / name) for name in contents))
    found = {name: json.loads((tmp_path / name / "said.json").read_text()) for name in contents}
    expected = {name: "inspected" if name == "onnx" else "refused" for name in contents}
    assert found == {name: {"grown": [], "threads": 1, "status": status} for name, status in expected.items()}
    manifest = json.loads((tmp_path / "onnx/results/a1/result.json").read_text())["manifest"]
    assert (manifest["format"], manifest["black_box"], manifest["layers"]) == ("onnx", True, [])
    assert manifest["outputs"][0]["shape"] == ["N", "2"]


# --- what is refused


def test_a_file_that_is_cut_off_is_refused_at_any_length(tmp_path):
    content = affine().SerializeToString()
    for length in range(0, len(content), 7):
        (tmp_path / "cut").write_bytes(content[:length] or b"\x08")
        with pytest.raises(Refusal) as caught:
            rewrite(tmp_path / "cut", tmp_path / "c.onnx")
        assert caught.value.code in ("corrupt-onnx", "opset", "unknown-value", "no-output", "tensor-size", "inputs")


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (helper.make_node("RandomNormalLike", ["x"], ["y"]), "random-operator"),
        (helper.make_node("Attack", ["x"], ["y"]), "unknown-operator"),
        (helper.make_node("FusedGemm", ["x"], ["y"], domain="com.microsoft"), "unknown-operator"),
        (helper.make_node("SVMRegressor", ["x"], ["y"], domain="ai.onnx.ml"), "unknown-operator"),
        (helper.make_node("Relu", ["x"], ["y"], domain="ai.onnx.ml"), "unknown-operator"),
        (helper.make_node("ImageDecoder", ["x"], ["y"]), "unknown-operator"),
        (helper.make_node("Relu", ["later"], ["y"]), "unknown-value"),
        (helper.make_node("Relu", ["y"], ["y"]), "unknown-value"),
        (helper.make_node("Relu", ["x"], ["x"]), "duplicate-name"),
    ],
)
def test_a_node_that_may_not_run_is_refused(node, code, taken):
    refused(taken, model([node], outputs=[value("y", ["N", 3])]), code)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"nodes_truenodeids": [9, 0, 0]}, "a child that is not there"),
        ({"nodes_truenodeids": [0, 0, 0]}, "two parents|one root|circle"),
        ({"nodes_falsenodeids": [1, 0, 0]}, "two parents"),
        ({"nodes_nodeids": [0, 1, 1]}, "two nodes have one number"),
        ({"nodes_values": [0.5]}, "differ in length"),
        ({"nodes_modes": ["BRANCH_LEQ", "LEAF", "JUMP"]}, "not known"),
        ({"nodes_featureids": [-1, 0, 0]}, "a feature that cannot be"),
        ({"target_nodeids": [0, 2]}, "belongs to no leaf"),
        ({"target_ids": [0, 1]}, "an output that is not there"),
        ({"n_targets": 2**40}, "more outputs"),
        ({"n_targets": 0}, "an output that is not there"),
    ],
)
def test_a_forest_that_is_none_is_refused(change, said, taken):
    proto = model([forest(**change)], outputs=[value("y", ["N", 1])], further=(("ai.onnx.ml", 3),))
    refused(taken, proto, "bad-trees", said)


def test_nan_in_a_tensor_is_refused(taken):
    weight = WEIGHT.copy()
    weight[1, 1] = np.nan
    proto = model([helper.make_node("Gemm", ["x", "w", "b"], ["y"])], tensors=[stored("w", weight), stored("b", BIAS)])
    assert "'w'" in refused(taken, proto, "weights-not-finite").detail


def test_every_operator_that_is_allowed_is_one_of_the_standard():
    known = {(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas_with_history()}
    assert {(domain, name) for domain, names in ALLOWED.items() for name in names} <= known
