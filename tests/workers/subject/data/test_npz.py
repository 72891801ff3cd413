"""Do sound examples come in unchanged, and is every other `.npz` refused by name, place and remedy?"""

import contextlib
import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.facts import dataset_facts, input_facts
from tests.workers.subject.test_pt2 import Payload
from workers.subject.data.dataset import read_dataset, rewrite_dataset
from workers.subject.refusal import Refusal

INPUTS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(6, 4)
LABELS = np.arange(6) % 3


def saved(path: Path, **arrays) -> Path:
    np.savez(path, **arrays)
    return path


def npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    """One `.npy` member with a header of our choosing."""
    text = header.encode("latin-1")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + data


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


@pytest.fixture
def refused(tmp_path):
    def refuse(source: Path, facts=None) -> Refusal:
        with pytest.raises(Refusal) as caught:
            rewrite_dataset(source, tmp_path / "out.safetensors", facts or dataset_facts((4,)))
        assert caught.value.remedy
        assert not list(tmp_path.glob("marker"))
        return caught.value

    return refuse


def test_inputs_and_labels_come_back_as_they_were(tmp_path):
    source = saved(tmp_path / "d.npz", inputs=INPUTS, labels=LABELS)
    manifest = rewrite_dataset(source, tmp_path / "c.safetensors", dataset_facts((4,)))
    examples = read_dataset(tmp_path / "c.safetensors", name="digits", digest=manifest.canonical_digest)
    assert torch.equal(examples.inputs, torch.from_numpy(INPUTS))
    assert examples.labels is not None
    assert examples.labels.tolist() == LABELS.tolist()
    assert examples.labels.dtype == torch.int64
    assert (manifest.examples, manifest.low, manifest.high) == (6, -1.0, 1.0)
    assert manifest.label_counts == (2, 2, 2)
    assert manifest.inputs.shape == ("N", "4")
    assert manifest.notes == ()


def test_how_it_was_stored_does_not_change_the_canonical_digest(tmp_path):
    sources = [
        saved(tmp_path / "a.npz", inputs=INPUTS, labels=LABELS),
        saved(tmp_path / "b.npz", labels=LABELS.astype(np.uint8), inputs=np.asfortranarray(INPUTS.astype(np.float64))),
        saved(tmp_path / "c.npz", inputs=INPUTS.astype(">f4"), labels=LABELS.astype(">i4"), other=np.zeros(3)),
    ]
    np.savez_compressed(tmp_path / "d.npz", inputs=INPUTS, labels=LABELS)
    sources.append(tmp_path / "d.npz")
    digests = {
        rewrite_dataset(source, tmp_path / "out.safetensors", dataset_facts((4,))).canonical_digest
        for source in sources
    }
    assert len(digests) == 1


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint8", "int64", "bool"])
def test_every_numeric_dtype_is_read(dtype, tmp_path):
    source = saved(tmp_path / "d.npz", inputs=np.ones((3, 4), dtype=dtype), labels=np.zeros(3, dtype=np.int32))
    manifest = rewrite_dataset(source, tmp_path / "c.safetensors", dataset_facts((4,)))
    assert read_dataset(tmp_path / "c.safetensors", name="n", digest=manifest.canonical_digest).inputs.sum() == 12


def test_arrays_go_by_their_declared_names_and_labels_may_be_absent(tmp_path):
    source = saved(tmp_path / "d.npz", **{"pixels <b>": INPUTS})
    facts = dataset_facts((4,), inputs_array="pixels <b>", labels_array=None)
    manifest = rewrite_dataset(source, tmp_path / "c.safetensors", facts)
    assert manifest.labels is None
    assert manifest.inputs.name == "pixels <b>"
    assert read_dataset(tmp_path / "c.safetensors", name="n", digest=manifest.canonical_digest).labels is None


def test_rounding_to_float32_and_arrays_not_read_are_noted(tmp_path):
    source = saved(tmp_path / "d.npz", inputs=np.full((2, 4), 0.1), labels=[0, 1], **{"<script>": np.zeros(1)})
    notes = rewrite_dataset(source, tmp_path / "c.safetensors", dataset_facts((4,))).notes
    assert notes == ("inputs were rounded from float64 to float32", "not read: '<script>.npy'")


def test_a_value_equal_to_a_bound_that_float32_cannot_hold_is_within(tmp_path):
    facts = dataset_facts((4,), input=input_facts((4,), low=0.0, high=0.1))
    source = saved(tmp_path / "d.npz", inputs=np.full((1, 4), 0.1, dtype=np.float32), labels=[0])
    assert rewrite_dataset(source, tmp_path / "c.safetensors", facts).high == pytest.approx(0.1)


def test_bounds_per_feature_are_kept_feature_by_feature(tmp_path, refused):
    bounds = {"low": [0.0, 0.0, 0.0, 0.0], "high": [1.0, 10.0, 1.0, 1.0]}
    facts = dataset_facts((4,), input={"kind": "table", "layout": "NF", "shape": [4], "bounds": bounds})
    fine = saved(tmp_path / "a.npz", inputs=[[1.0, 9.0, 1.0, 1.0]], labels=[0])
    assert rewrite_dataset(fine, tmp_path / "c.safetensors", facts).high == 9.0
    assert "[0, 2]" in refused(saved(tmp_path / "b.npz", inputs=[[1.0, 1.0, 9.0, 1.0]], labels=[0]), facts).detail


# --- refusals


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_number_that_is_not_finite_is_named(value, tmp_path, refused):
    inputs = INPUTS.copy()
    inputs[4, 2] = inputs[5, 0] = value
    refusal = refused(saved(tmp_path / "d.npz", inputs=inputs, labels=LABELS))
    assert refusal.code == "not-finite"
    assert "[4, 2]" in refusal.detail


def test_the_first_number_out_of_bounds_is_named_with_its_value(tmp_path, refused):
    inputs = INPUTS.copy()
    inputs[3, 1] = 7.5
    refusal = refused(saved(tmp_path / "d.npz", inputs=inputs, labels=LABELS))
    assert refusal.code == "out-of-bounds"
    assert "7.5 at [3, 1]" in refusal.detail


def test_out_of_bounds_is_found_in_later_blocks_at_its_own_index(tmp_path, refused, monkeypatch):
    monkeypatch.setattr("workers.subject.data.values._BLOCK", 8)
    inputs = INPUTS.copy()
    inputs[5, 3] = 9.0
    assert "[5, 3]" in refused(saved(tmp_path / "d.npz", inputs=inputs, labels=LABELS)).detail


@pytest.mark.parametrize(("label", "said"), [(3, "label 3 at [2]"), (-1, "label -1 at [2]"), (10**12, "at [2]")])
def test_labels_out_of_range_are_named(label, said, tmp_path, refused):
    labels = np.array([0, 1, label, 0, 0, 0])
    refusal = refused(saved(tmp_path / "d.npz", inputs=INPUTS, labels=labels))
    assert refusal.code == "labels-range"
    assert said in refusal.detail


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"inputs": INPUTS[:, :3], "labels": LABELS}, "input-shape"),
        ({"inputs": INPUTS.reshape(6, 2, 2), "labels": LABELS}, "input-shape"),
        ({"inputs": np.float32(1), "labels": LABELS}, "input-shape"),
        ({"inputs": INPUTS, "labels": LABELS[:5]}, "labels-shape"),
        ({"inputs": INPUTS, "labels": LABELS.reshape(6, 1)}, "labels-shape"),
        ({"inputs": INPUTS[:0], "labels": LABELS[:0]}, "empty-dataset"),
        ({"inputs": INPUTS, "labels": LABELS.astype(np.float32)}, "labels-dtype"),
        ({"inputs": INPUTS}, "missing-array"),
        ({"labels": LABELS}, "missing-array"),
        ({"x<img>": INPUTS}, "missing-array"),
        ({"inputs": INPUTS.astype(complex), "labels": LABELS}, "array-dtype"),
        ({"inputs": INPUTS.astype("U8"), "labels": LABELS}, "array-dtype"),
        ({"inputs": INPUTS.astype("M8[s]"), "labels": LABELS}, "array-dtype"),
        ({"inputs": np.zeros(6, dtype=[("a", "f4")]), "labels": LABELS}, "array-dtype"),
        ({"inputs": np.full((6, 4), 1e300), "labels": LABELS}, "out-of-bounds"),
    ],
)
def test_what_does_not_fit_the_declared_facts_is_refused(arrays, code, tmp_path, refused):
    assert refused(saved(tmp_path / "d.npz", **arrays)).code == code


def test_an_object_array_is_refused_and_its_payload_does_not_run(tmp_path, refused):
    hostile = np.empty(6, dtype=object)
    hostile[:] = [Payload(tmp_path / "marker")] * 6
    assert refused(saved(tmp_path / "d.npz", inputs=hostile, labels=LABELS)).code == "object-array"


def test_an_object_array_that_claims_to_be_numbers_is_read_as_bytes_or_refused(tmp_path, refused):
    payload = pickle.dumps(Payload(tmp_path / "marker"))
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({len(payload) // 4}, 4)}}"
    body = npy(header, payload[: len(payload) // 4 * 4])
    assert refused(zipped(tmp_path / "d.npz", inputs=body, labels=body)).code in ("labels-shape", "out-of-bounds")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 4)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (281474976710655, 281474976710655, 281474976710655, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}",
    ],
)
def test_a_header_that_claims_more_or_less_than_is_there_is_refused_before_memory_is_taken(header, tmp_path, refused):
    body = npy(header, bytes(64))
    assert refused(zipped(tmp_path / "d.npz", inputs=body, labels=body)).code == "header-size"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"not an array at all",
        npy("__import__('os').system('touch marker')"),
        npy("{'descr': '<f4', 'fortran_order': False}"),
        npy("{'descr': ['<f4'], 'fortran_order': False, 'shape': (1,)}", bytes(4)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", bytes(4)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}", bytes(4)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': 4}", bytes(16)),
        npy("(" * 5000),
        npy("{'descr': '<f4'", version=2)[:11] + b"\xff",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{}" * 20,
        b"\x93NUMPY\x09\x00\x10\x00" + b"{}" * 20,
    ],
)
def test_headers_that_are_no_headers_are_refused(body, tmp_path, refused):
    assert refused(zipped(tmp_path / "d.npz", inputs=body, labels=body)).code in ("bad-array", "array-dtype")


def test_a_bomb_is_refused_by_its_directory(tmp_path, refused):
    np.savez_compressed(tmp_path / "d.npz", inputs=np.zeros((1 << 20, 4), dtype=np.float32), labels=LABELS)
    assert (tmp_path / "d.npz").stat().st_size < 100_000
    assert refused(tmp_path / "d.npz").code == "archive-bomb"


def test_a_directory_that_lies_about_a_members_size_is_refused(tmp_path, refused):
    np.savez_compressed(tmp_path / "d.npz", inputs=INPUTS, labels=LABELS)
    content = bytearray((tmp_path / "d.npz").read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 1000)
    (tmp_path / "d.npz").write_bytes(content)
    assert refused(tmp_path / "d.npz").code in ("corrupt-archive", "header-size")


def test_more_bytes_than_the_cap_are_refused(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as file:
        file.writestr("inputs.npy", b"x")
    content = bytearray((tmp_path / "d.npz").read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 20 : at + 28] = struct.pack("<II", 0xFFFFFF00, 0xFFFFFFFE)
    (tmp_path / "d.npz").write_bytes(content)
    assert refused(tmp_path / "d.npz").code in ("too-large", "corrupt-archive")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_file_is_refused(share, tmp_path, refused):
    source = saved(tmp_path / "d.npz", inputs=INPUTS, labels=LABELS)
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * share)])
    assert refused(source).code == "corrupt-archive"


@pytest.mark.slow
def test_damaged_copies_are_refused_or_come_in_and_none_crashes(tmp_path):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, inputs=INPUTS, labels=LABELS)
    content = buffer.getvalue()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 + at % 255
        (tmp_path / "d.npz").write_bytes(damaged)
        with contextlib.suppress(Refusal):
            rewrite_dataset(tmp_path / "d.npz", tmp_path / "c.safetensors", dataset_facts((4,)))
