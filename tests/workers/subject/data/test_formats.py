"""Is every file told by what it is, and do safetensors and single arrays hold what their headers say?"""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import struct
import tarfile
import zlib

import numpy as np
import pytest
import safetensors.numpy
import torch
from pydantic import ValidationError

from tests.workers.facts import input_facts
from tests.workers.subject.data.files import image, npz, parquet_of, table_facts, zipped
from workers.subject.data.arrow import pa

INPUTS = np.array([[1.0, 0.1], [-2.5, 0.3]], dtype=np.float32)


def feather() -> bytes:
    target = io.BytesIO()
    with pa.ipc.new_file(target, pa.schema([("a", pa.int64())])) as file:
        file.write(pa.record_batch({"a": [1]}))
    return target.getvalue()


def tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as file:
        file.addfile(tarfile.TarInfo("data.csv"))
    return target.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table t (a)")
        return connection.serialize()


@pytest.mark.parametrize(
    ("content", "said", "remedy"),
    [
        (b"", "empty", "savez"),
        (pickle.dumps([1]), "Python pickle", "numpy.savez"),
        (pickle.dumps([1], protocol=0), "Python pickle", "numpy.savez"),
        (zlib.compress(pickle.dumps([1])), "joblib", "numpy.savez"),
        (zipped({"archive/data.pkl": b"\x80\x02.", "archive/version": "3"}), "Python pickle in a zip", "numpy.savez"),
        (zipped({"m/models/model.json": b"{}"}), "a torch.export archive", "lamina model add"),
        (zipped({"xl/workbook.xml": b"<x/>", "[Content_Types].xml": b""}), "Excel", "pandas.read_excel"),
        (zipped({"content.xml": b"<x/>", "mimetype": b""}), "OpenDocument", "to_csv"),
        (zipped({"data.csv": "a\n1\n"}), "a zip archive of other things ('data.csv')", "Unpack"),
        (database(), "SQLite", "read_sql"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5", "h5py"),
        (feather(), "Arrow IPC", "write_table"),
        (tar(), "a tar archive", "Unpack"),
        (gzip.compress(b"a\n1\n", mtime=0), "gzip", "Unpack"),
        (bz2.compress(b"a\n1\n"), "bzip2", "Unpack"),
        (lzma.compress(b"a\n1\n"), "xz", "Unpack"),
        (b"PARE" + bytes(20), "encrypted footer", "without encryption"),
        (b"ORC" + bytes(20), "ORC", "parquet"),
        (b"Obj\x01" + bytes(20), "Avro", "parquet"),
        (image(np.zeros((2, 2))), "a single image", "lamina dataset add"),
        (b"GIF89a", "a GIF image", "PNG"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a sound or video file", "numpy.savez"),
        (b"<!doctype html><p>1</p>", "HTML", "read_html"),
        (b"%PDF-1.7", "PDF", "to_csv"),
        (b"\x7fELF" + bytes(20), "a program", "savez"),
        (bytes(64), "of no format that is known here", "savez"),
    ],
)
def test_a_file_of_another_format_is_named_with_lines_that_make_one_that_is_read(content, said, remedy, refuse):
    refusal = refuse(content)
    assert refusal.code == "not-a-dataset"
    assert said in refusal.detail
    assert remedy in refusal.remedy


# --- safetensors and .npy


def header(described: object, data: bytes = b"") -> bytes:
    text = described if isinstance(described, bytes) else json.dumps(described).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.bool_]
)
def test_every_numeric_dtype_of_safetensors_is_read(dtype, take):
    array = np.array([[1, 0], [1, 1]]).astype(dtype)
    manifest, examples = take(safetensors.numpy.save({"inputs": array, "labels": np.array([0, 1])}))
    assert examples.inputs.tolist() == [[1.0, 0.0], [1.0, 1.0]]
    assert (manifest.format, manifest.inputs.shape) == ("safetensors", ("N", "2"))


def test_bfloat16_is_read_as_the_numbers_it_holds(take):
    values = torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16)
    described = {"inputs": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}}
    content = header(described, values.view(torch.int16).numpy().tobytes())
    assert take(content, table_facts(labels_array=None))[1].inputs.tolist() == [[1.5, -2.0]]


def test_further_inputs_are_kept_by_name_and_count_as_content(take):
    ids = {"kind": "tokens", "layout": "NT", "shape": [2], "bounds": {"low": [0], "high": [9]}}
    facts = table_facts(further_inputs=[{"name": "other", "input": input_facts((3,))}, {"name": "ids", "input": ids}])
    arrays = {
        "inputs": INPUTS,
        "labels": np.array([0, 1]),
        "other": np.zeros((2, 3)),
        "ids": np.array([[1, 2], [3, 4]]),
    }
    manifest, examples = take(safetensors.numpy.save(arrays), facts)
    other, kept = examples.further
    assert (other.dtype, kept.dtype) == (torch.float32, torch.int64)
    assert kept.tolist() == [[1, 2], [3, 4]]
    assert [each.name for each in manifest.further_inputs] == ["other", "ids"]
    again = take(npz(**arrays), facts)
    assert again[0].canonical_digest == manifest.canonical_digest
    _, changed = take(npz(**{**arrays, "ids": np.array([[1, 2], [3, 5]])}), facts)
    assert (changed.content == examples.content).all(1).tolist() == [True, False]


@pytest.mark.parametrize(
    ("arrays", "code", "said"),
    [
        ({"inputs": INPUTS, "labels": [0, 1]}, "missing-array", "no array 'other'"),
        ({"inputs": INPUTS, "labels": [0, 1], "other": np.zeros((2, 4))}, "input-shape", "further_inputs[0]"),
        ({"inputs": INPUTS, "labels": [0, 1], "other": np.zeros((3, 3))}, "input-shape", "holds 3 examples"),
        ({"inputs": INPUTS, "labels": [0, 1], "other": np.full((2, 3), 5.0)}, "out-of-bounds", "array 'other'"),
    ],
)
def test_further_inputs_that_do_not_fit_are_named(arrays, code, said, refuse):
    facts = table_facts(further_inputs=[{"name": "other", "input": input_facts((3,))}])
    refusal = refuse(npz(**arrays), facts)
    assert (refusal.code, said in refusal.detail) == (code, True), refusal.detail


F32 = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 62) + b'{"inputs": 1}',
        header({"inputs": F32}),
        header({"inputs": F32}, bytes(9)),
        header({"inputs": {**F32, "data_offsets": [4, 12]}}, bytes(12)),
        header({"inputs": {**F32, "shape": [1 << 40, 2]}}, bytes(8)),
        header({"inputs": {**F32, "shape": [-1, 2]}}, bytes(8)),
        header({"inputs": {**F32, "shape": [True, 2]}}, bytes(8)),
        header({"inputs": {**F32, "shape": [1, 2.0]}}, bytes(8)),
        header({"inputs": {**F32, "dtype": "OBJ"}}, bytes(8)),
        header({"inputs": {**F32, "more": 1}}, bytes(8)),
        header({"inputs": F32, "x": F32}, bytes(8)),
        header(b'{"inputs": 1, "inputs": 2}'),
        header(b"{" + b'"a":[' * 100_000),
        header(b'{"inputs": \xff}'),
        header(b'{"inputs": NaN}'),
    ],
)
def test_safetensors_headers_that_do_not_describe_their_bytes_are_refused(content, refuse):
    assert refuse(content).code in ("bad-safetensors", "not-a-dataset", "missing-column", "bad-json")


def test_a_dtype_that_numbers_do_not_have_is_named(refuse):
    refusal = refuse(header({"inputs": {"dtype": "F8_E4M3", "shape": [1, 2], "data_offsets": [0, 2]}}, bytes(2)))
    assert refusal.code in ("array-dtype", "missing-array")


def test_a_single_array_is_examples_without_labels(take, refuse):
    target = io.BytesIO()
    np.save(target, INPUTS)
    manifest, examples = take(target.getvalue())
    assert examples.inputs.tolist() == INPUTS.tolist()
    assert (examples.labels, manifest.labels, manifest.format) == (None, None, "npy")
    assert manifest.notes == ("an .npy file holds examples only: there are no labels",)
    assert take(target.getvalue(), table_facts(labels_array=None))[0].notes == ()
    assert refuse(target.getvalue()[:-1]).code == "header-size"
    target = io.BytesIO()
    np.save(target, np.array([{}]), allow_pickle=True)
    assert refuse(target.getvalue()).code == "object-array"


def test_texts_do_not_come_as_arrays(refuse):
    given = {"kind": "text", "layout": "NT", "shape": [2], "bounds": {"low": [0], "high": [9]}}
    assert refuse(npz(inputs=INPUTS, labels=[0, 1]), table_facts(input=given)).code == "text-in-arrays"


# --- facts


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": [{"name": "a"}, {"name": "a"}]}, "declared twice"),
        ({"columns": [{"name": "a"}, {"name": "b", "role": "label"}, {"name": "c", "role": "label"}]}, "2 columns"),
        ({"columns": [{"name": "a", "role": "text"}]}, "kind text"),
        ({"columns": [{"name": "a", "role": "label"}]}, "none of them is a feature"),
        ({"columns": [{"name": "a", "type": "text"}]}, "text has the role text"),
        ({"columns": [{"name": "a", "type": "category"}]}, "names its categories"),
        (
            {
                "columns": [
                    {"name": "a"},
                    {"name": "y", "role": "label", "type": "category", "categories": ["dog", "cat"]},
                ]
            },
            "another order",
        ),
        ({"resize": {"short_side": 4}}, "crop alone"),
        ({"delimiter": "|"}, "delimiter"),
    ],
)
def test_facts_that_contradict_themselves_are_refused_when_they_are_declared(changes, said):
    with pytest.raises(ValidationError, match=said):
        table_facts(**changes)


def test_facts_that_are_not_declared_are_not_written():
    assert not {"columns", "delimiter", "resize", "further_inputs"} & set(table_facts().model_dump())


def test_parquet_beside_others_is_told_by_its_magic(take):
    assert take(parquet_of({"a": [1.0], "b": [2.0], "labels": [0]}))[0].format == "parquet"
