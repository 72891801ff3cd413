"""Every format that people really have, from its file through every real process, to layers, history and a page."""

import csv
import random
from pathlib import Path

import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

from lamina.client import Client
from service.contracts.api import DatasetView, ModelView
from service.contracts.facts import Bounds, Column, DatasetFacts, InputFacts, ModelFacts, OutputFacts, Preprocessing
from service.contracts.status import IntakeState
from tests.end_to_end.material import CLASSES, FEATURES, PATIENCE, input_facts, model_facts, write_model
from tests.workers.subject.huggingface.folders import LENGTH, VOCABULARY, packed, saved, wordpiece

pytestmark = pytest.mark.stack
NAMES = tuple(f"feature {index}" for index in range(FEATURES))
PIXELS = InputFacts(
    kind="image", layout="NCHW", shape=(3, 16, 16), bounds=Bounds(low=(0.0,), high=(255.0,)), unit="grey level 0-255",
    preprocessing=Preprocessing(std=(255.0,)),
)  # fmt: skip
PICTURED = ("calm", "glad", "sad")


def model_of(client: Client, file: Path, name: str, facts: ModelFacts) -> ModelView:
    view = client.register_model(name=name, version="1", blob=client.upload(file).digest, facts=facts)
    return client.wait_for_model(view.id, deadline=PATIENCE)


def dataset_of(client: Client, file: Path, name: str, facts: DatasetFacts) -> DatasetView:
    view = client.register_dataset(name=name, blob=client.upload(file).digest, facts=facts)
    view = client.wait_for_dataset(view.id, deadline=PATIENCE)
    assert view.state is IntakeState.READY, view.refusal
    return view


def write_table(path: Path, rows: int, seed: int) -> Path:
    draw = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([*NAMES, "outcome"])
        table.writerows([*(round(draw.uniform(-3, 3), 3) for _ in NAMES), draw.choice(CLASSES)] for _ in range(rows))
    return path


def table_facts() -> DatasetFacts:
    columns = tuple(Column(name=name) for name in NAMES)
    label = Column(name="outcome", role="label", type="category", categories=CLASSES)
    return DatasetFacts(input=input_facts(), classes=CLASSES, columns=(*columns, label))


def write_onnx(path: Path) -> Path:
    torch.manual_seed(3)
    weight, bias = torch.randn(FEATURES, len(CLASSES)), torch.randn(len(CLASSES))
    tensors = [
        helper.make_tensor(name, TensorProto.FLOAT, list(value.shape), value.flatten().tolist())
        for name, value in (("weight", weight), ("bias", bias))
    ]
    nodes = [helper.make_node("Gemm", ["x", "weight", "bias"], ["logits"])]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", FEATURES])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(CLASSES)])],
        initializer=tensors,
    )
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    return path


def write_pictures(path: Path) -> Path:
    draw = random.Random(4)
    for name in PICTURED:
        (path / name).mkdir(parents=True)
        for at in range(4):
            colour = tuple(draw.randrange(256) for _ in range(3))
            Image.new("RGB", (20, 24), colour).save(path / name / f"{at}.png")
    return path


def test_a_csv_table_is_audited_and_says_what_it_shares_with_the_training_table(client: Client, tmp_path: Path) -> None:
    model = model_of(client, write_model(tmp_path / "m.pt2"), "from-csv", model_facts())
    evaluation = write_table(tmp_path / "e.csv", 20, seed=1)
    training = write_table(tmp_path / "t.csv", 30, seed=2)
    shared = evaluation.read_text().splitlines()[1:6]
    training.write_text("\r\n".join([*training.read_text().splitlines(), *shared]) + "\r\n")
    audit = client.submit_audit(
        model=model.id,
        inputs={
            "evaluation": dataset_of(client, evaluation, "csv-evaluation", table_facts()).id,
            "training": dataset_of(client, training, "csv-training", table_facts()).id,
        },
        analyses={
            "layer_conductance": {"steps": 16, "verify": 1},
            "lime_tabular": {"examples": 1, "samples": 200, "verify": 0},
        },
    )
    audit = client.wait(audit.id, deadline=PATIENCE)
    assert audit.counts == {"succeeded": 2}, [each.reason for each in audit.analyses]
    rows = next(client.analysis(each.id) for each in audit.analyses if each.kind == "lime_tabular")
    assert rows.outcome is not None
    assert "feature 0" in str(rows.outcome)
    layers = next(each for each in audit.analyses if each.kind == "layer_conductance")
    detail = client.analysis(layers.id)
    assert detail.outcome is not None
    findings = detail.outcome["findings"]
    assert isinstance(findings, list)
    assert any("5 of 20" in str(finding) for finding in findings), findings


def test_a_vision_transformer_folder_and_a_folder_of_pictures_are_audited(client: Client, tmp_path: Path) -> None:
    folder = saved("vit", "ViTForImageClassification", tmp_path / "vit")
    facts = ModelFacts(task="classification", input=PIXELS, output=OutputFacts(kind="logits", classes=PICTURED))
    model = model_of(client, packed(folder, tmp_path / "vit.zip"), "vit", facts)
    assert model.state is IntakeState.READY, model.refusal
    assert model.manifest is not None
    assert model.manifest.format == "huggingface"
    from lamina import folder as pictures

    pictures.packed(write_pictures(tmp_path / "pictures"), tmp_path / "pictures.zip")
    from service.contracts.facts import Resize

    data = dataset_of(
        client, tmp_path / "pictures.zip", "pictures", DatasetFacts(input=PIXELS, classes=PICTURED, resize=Resize())
    )
    assert data.manifest is not None
    assert data.manifest.label_counts == (4, 4, 4)
    audit = client.submit_audit(
        model=model.id, inputs={"evaluation": data.id}, analyses={"layer_conductance": {"steps": 8, "verify": 1}}
    )
    audit = client.wait(audit.id, deadline=PATIENCE)
    assert audit.counts == {"succeeded": 1}, audit.analyses[0].reason
    layers = {point.layer for point in client.measurements(model_name="vit", metric="layer_absolute_total")}
    assert any(layer is not None and layer.startswith("vit.") for layer in layers), layers


def test_a_text_classifier_brings_its_tokenizer(client: Client, tmp_path: Path) -> None:
    folder = saved("bert", "BertForSequenceClassification", tmp_path / "bert")
    wordpiece(folder)
    text = InputFacts(
        kind="text", layout="NT", shape=(LENGTH,), bounds=Bounds(low=(0.0,), high=(float(VOCABULARY - 1),))
    )
    facts = ModelFacts(task="classification", input=text, output=OutputFacts(kind="logits", classes=PICTURED))
    model = model_of(client, packed(folder, tmp_path / "bert.zip"), "bert", facts)
    assert model.state is IntakeState.READY, model.refusal
    assert model.manifest is not None
    assert model.manifest.tokenizer
    table = tmp_path / "texts.csv"
    table.write_text("text,mood\nthe sun is out,glad\nit rains again,sad\nnothing moves,calm\n")
    columns = (
        Column(name="text", role="text", type="text"),
        Column(name="mood", role="label", type="category", categories=PICTURED),
    )
    data = dataset_of(client, table, "texts", DatasetFacts(input=text, classes=PICTURED, columns=columns))
    audit = client.submit_audit(
        model=model.id, inputs={"evaluation": data.id}, analyses={"layer_conductance": {"steps": 8, "verify": 0}}
    )
    [analysis] = client.wait(audit.id, deadline=PATIENCE).analyses
    assert analysis.reason is None, analysis.reason
    report = client.report(audit.id, deadline=PATIENCE).decode()
    assert "[CLS]" in report, "the tokens of the first text head the map"


def test_an_onnx_file_is_a_black_box_with_a_page(client: Client, tmp_path: Path) -> None:
    model = model_of(client, write_onnx(tmp_path / "m.onnx"), "onnx", model_facts())
    assert model.state is IntakeState.READY, model.refusal
    assert model.manifest is not None
    assert model.manifest.black_box
    assert model.manifest.layers == ()
    data = dataset_of(client, write_table(tmp_path / "e.csv", 12, seed=5), "for-onnx", table_facts())
    audit = client.submit_audit(
        model=model.id, inputs={"evaluation": data.id}, analyses={"layer_conductance": {"steps": 8, "verify": 0}}
    )
    [analysis] = client.wait(audit.id, deadline=PATIENCE).analyses
    assert analysis.reason is not None
    assert "black box" in analysis.reason.detail
    page = client.inspection(model.id).decode()
    assert "black box" in page.lower()


def test_a_pickle_is_refused_with_three_lines_that_help(client: Client, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "weights.pt")
    model = model_of(client, tmp_path / "weights.pt", "pickled", model_facts())
    assert model.refusal is not None
    assert "pickle" in model.refusal.detail
    assert "torch.export.save" in str(model.refusal.remedy)
