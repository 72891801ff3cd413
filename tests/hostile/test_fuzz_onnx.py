"""Does any damaged ONNX file get past the rewrite with an effect, or bring onnxruntime down?

Two sorts of damage: of bytes, which protobuf sees, and of single fields of a sound message, which the rewrite and
onnxruntime see. Every file goes through the real inspection in a sandboxed child.
"""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from service.contracts.job import Failed
from tests.hostile.harness import RESOURCES, Hostile, Intake
from tests.workers.facts import model_facts
from tests.workers.subject.networks_onnx import affine, forest, model, stored, value

FACTS = model_facts((3,), classes=2)
NUMBERS = (0, 1, -1, 2, 7, 127, 255, 1 << 16, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63))
OPERATORS = ("Gemm", "Conv", "Gather", "GatherND", "ScatterND", "Reshape", "Slice", "Pad", "Resize", "LSTM", "Einsum",
             "TopK", "Loop", "Scan", "If", "QLinearConv", "RoiAlign", "Unique", "Split", "Tile")  # fmt: skip


def sound() -> dict[str, ModelProto]:
    """Sound models to damage, one for each part of the reader."""
    node, branch = helper.make_node, [value("z", None)]
    less = helper.make_graph([node("Neg", ["h"], ["z"])], "less", [], branch)
    more = helper.make_graph([node("Abs", ["h"], ["z"])], "more", [], branch)
    head = [stored("w", np.float32([[1, -2], [0.5, 3], [-1, 0]]))]
    conv = [stored("k", np.ones((2, 1, 2), np.float32)), stored("axes", np.int64([1]))]
    twice = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    body = helper.make_graph(
        [node("Identity", ["go"], ["still"]), node("Add", ["state", "state"], ["next"])], "body",
        [value("at", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("state", None)],
        [value("still", [], TensorProto.BOOL), value("next", None)],
    )  # fmt: skip
    return {
        "affine": affine(),
        "branch": model([node("MatMul", ["x", "w"], ["h"]), node("ReduceMax", ["h"], ["t"], keepdims=0),
                         node("Greater", ["t", "t"], ["c"]),
                         node("If", ["c"], ["y"], then_branch=more, else_branch=less)],
                        tensors=head),
        "loop": model([node("MatMul", ["x", "w"], ["h"]), node("Loop", ["n", "", "h"], ["y"], body=body)],
                      tensors=[*head, stored("n", np.int64(3))]),
        "convolution": model([node("Unsqueeze", ["x", "axes"], ["u"]),
                              node("Conv", ["u", "k"], ["c"], kernel_shape=[2]),
                              node("MaxPool", ["c"], ["p"], kernel_shape=[2]), node("Squeeze", ["p"], ["y"])],
                             tensors=conv),
        "function": model([node("MatMul", ["x", "w"], ["h"]), node("Twice", ["h"], ["y"], domain="mine")], tensors=head,
                          functions=[twice], further=(("mine", 1),)),
        "forest": model([forest(target_ids=[0, 1], n_targets=2)], further=(("ai.onnx.ml", 3),)),
    }  # fmt: skip


def damaged_bytes(content: bytes, draw: random.Random) -> bytes:
    """One to four changes of bytes."""
    found = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(found))
        match draw.randrange(5):
            case 0:
                found[at] ^= 1 << draw.randrange(8)
            case 1:
                found[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del found[at : at + draw.randint(1, 8)]
            case 3:
                found[at:at] = draw.randbytes(draw.randint(1, 8))
            case _:
                found[at:at] = found[draw.randrange(len(found)) :][: draw.randint(1, 64)]
        if not found:
            return b"\x08"
    return bytes(found)


def damaged_fields(proto: ModelProto, draw: random.Random) -> bytes:
    """One to three changes of fields, anywhere in the tree of messages."""
    changed = ModelProto()
    changed.CopyFrom(proto)
    for _ in range(draw.randint(1, 3)):
        message = draw.choice(list(messages(changed)))
        field = draw.choice(message.DESCRIPTOR.fields)
        if field.is_repeated:
            _of_many(getattr(message, field.name), field, draw)
        elif field.type != field.TYPE_MESSAGE and draw.random() < 0.8:
            setattr(message, field.name, _drawn(field, draw))
        else:
            message.ClearField(field.name)
    return changed.SerializeToString()


def messages(message: Any) -> Iterator[Any]:
    """A message and everything in it."""
    yield message
    for field, found in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in found if field.is_repeated else (found,):
                yield from messages(inner)


def _of_many(values: Any, field: Any, draw: random.Random) -> None:
    at = draw.randrange(len(values)) if values else 0
    if values and draw.random() < 0.3:
        del values[at]
    elif field.type == field.TYPE_MESSAGE:
        if values:
            values.add().CopyFrom(values[at])
    elif values and draw.random() < 0.7:
        values[at] = _drawn(field, draw)
    else:
        values.append(_drawn(field, draw))


def _drawn(field: Any, draw: random.Random) -> Any:
    if field.type == field.TYPE_STRING:
        return draw.choice(("", "x", "y", "h", "w", "z", "axis", "<script>", *OPERATORS))
    if field.type == field.TYPE_BYTES:
        return draw.randbytes(draw.randrange(64))
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return draw.choice((0.0, -1.0, 1e30, float("inf"), float("nan")))
    if field.type == field.TYPE_ENUM:
        return draw.choice([number.number for number in field.enum_type.values])
    narrow = field.type == field.TYPE_INT32
    return draw.choice([number for number in NUMBERS if not narrow or -(1 << 31) <= number < 1 << 31]) & (
        (1 << 64) - 1 if field.type == field.TYPE_UINT64 else -1
    )


def fuzz(intake: Intake, folder: Path, count: int, seed: int) -> Counter[str]:
    """How many files ended in which way. AssertionError for an effect, a crash, or a text no person should read."""
    draw, protos = random.Random(seed), sound()
    ends: Counter[str] = Counter()
    for at in range(count):
        name, proto = draw.choice(list(protos.items()))
        content = damaged_bytes(proto.SerializeToString(), draw) if draw.random() < 0.4 else damaged_fields(proto, draw)
        place = folder / str(at)
        place.mkdir()
        case = Hostile(name=f"{name} {at}", build=lambda path, c=content: path.write_bytes(c), facts=FACTS, code=None)
        try:
            result = intake.run(case, place)
            assert not isinstance(result, Failed) or result.reason.code in RESOURCES, result.reason
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, file {at} ({name}), {content.hex()}: {error}") from error
        ends[result.status if not isinstance(result, Failed) else result.reason.code] += 1
        place.rmdir()
    return ends


@pytest.mark.slow
def test_the_sound_models_come_in(intake: Intake, tmp_path: Path) -> None:
    for name, proto in sound().items():
        (tmp_path / name).mkdir()
        content = proto.SerializeToString()
        case = Hostile(name=name, build=lambda path, c=content: path.write_bytes(c), facts=FACTS, code=None)
        result = intake.run(case, tmp_path / name)
        assert result.status == "inspected", (name, result)


@pytest.mark.slow
def test_no_damaged_file_has_an_effect(intake: Intake, tmp_path: Path) -> None:
    ends = fuzz(intake, tmp_path, 150, seed=7)
    assert ends["refused"] > 50
    assert ends["inspected"] > 5


@pytest.mark.soak
def test_no_damaged_file_has_an_effect_for_long(intake: Intake, tmp_path: Path) -> None:
    assert fuzz(intake, tmp_path, 5_000, seed=11)["inspected"] > 100
