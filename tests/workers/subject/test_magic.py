"""Is every kind of file that people send named for what it is, refused, and answered with a way out?"""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch

from tests.workers.networks import Mlp, made
from tests.workers.subject.networks_onnx import affine
from workers.subject.foreign import FOREIGN, UNKNOWN
from workers.subject.formats import told
from workers.subject.magic import format_of
from workers.subject.peek import is_pickle, protobuf_fields
from workers.subject.refusal import Refusal

PICKLES = {f"protocol {protocol}": pickle.dumps({"a": [1, np.float64(2)]}, protocol) for protocol in range(6)}


def refusal_of(content: bytes, folder) -> Refusal:
    (folder / "file").write_bytes(content)
    with pytest.raises(Refusal) as caught:
        told(folder / "file")
    assert caught.value.code == "not-a-model"
    assert caught.value.remedy
    return caught.value


def zipped(*names: str, content: bytes = b"x") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return file.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("content", PICKLES.values(), ids=PICKLES)
def test_a_pickle_of_any_protocol_is_told_packed_or_not(content, tmp_path):
    assert "a Python pickle" in refusal_of(content, tmp_path).detail
    for pack in (gzip.compress, zlib.compress, bz2.compress, lzma.compress):
        found = refusal_of(pack(content), tmp_path)
        assert "a compressed Python pickle" in found.detail
        assert "skl2onnx.to_onnx" in str(found.remedy)


@pytest.mark.parametrize(
    "content",
    [
        b"cposix\nsystem\n(S'true'\ntR.",
        b"(iposix\nsystem\n.",
        b"I0\n0cposix\nsystem\n(S'true'\ntR.",
        b"]q\x00.",
        b"(dp0\n.",
    ],
)
def test_pickles_written_by_hand_are_told(content, tmp_path):
    assert "a Python pickle" in refusal_of(content, tmp_path).detail


@pytest.mark.parametrize(
    "content",
    [b"count\n12\n13.", b"I went out.\npeople came.", b"name,age\nAnn,3\n", b"{}", b"Nothing.", b"(see below)."],
)
def test_texts_are_not_taken_for_pickles(content):
    assert not is_pickle(content, b".")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\x13\x37" * 100, "not of a kind that is known"),
        (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.", "before torch 1.6"),
        (b"\x04\x22\x4d\x18" + bytes(50), "lz4"),
        (b"ZF0x00", "a compressed Python pickle"),
        (gzip.compress(b"X\n\x00\x00\x00\x03\x00", mtime=0), "an R data file"),
        (gzip.compress(b"something else", mtime=0), "compressed"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "compressed"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"\x1c\0\0\0TFL3" + bytes(50), "TensorFlow Lite"),
        (b"\x1c\0\0\0ET12" + bytes(50), "ExecuTorch"),
        (b"\x1c\0\0\0ORTM" + bytes(50), ".ort"),
        (struct.pack("<Q", 2) + b"{}", "a safetensors file"),
        (b"GGUF\x03\0\0\0", "GGUF"),
        (b"CBM1" + bytes(30), "CatBoost"),
        (b"tree\nversion=v4\nnum_class=1\n", "LightGBM"),
        (b'{"learner":{"attributes":{}},"version":[2,1,0]}', "XGBoost"),
        (b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", "XGBoost"),
        (b'{"features_info": {}, "oblivious_trees": []}', "CatBoost"),
        (b'{"class_name": "Sequential", "config": {}}', "Keras"),
        (b'{"nbformat": 4, "cells": []}', "notebook"),
        (b'{"model_type": "bert"}', "Hugging Face"),
        (b'{"a": 1}', "a JSON document"),
        (b'<?xml version="1.0"?>\n<PMML version="4.4">', "PMML"),
        (b'<?xml version="1.0"?>\n<net name="m" version="11">', "OpenVINO"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"<script>alert(1)</script>", "a web page"),
        (b"<note>hello</note>", "an XML document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n", "Git LFS"),
        (b"import torch\nclass Net: pass\n", "Python source"),
        (b"a,b,label\n1,2,0\n3,4,1\n", "csv"),
        (b"Dear auditor,\nhere is my model.\n", "a text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "a picture"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a picture"),
        (b"%PDF-1.7\n", "PDF"),
        (b"PAR1" + bytes(20), "Parquet"),
        (b"ARROW1\0\0", "Arrow"),
        (b"\x93NUMPY\x01\0", "NumPy array"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07\x01\x00", "RAR"),
        (b"\x7fELF\x02\x01\x01", "program or library"),
        (b"MZ\x90\x00\x03\x00", "program or library"),
        (b"MATLAB 5.0 MAT-file, Platform", "MATLAB"),
        (b"\x0a\x0e\x0a\x05<unk>\x15\0\0\0\0\x18\x02", "SentencePiece"),
        (b"\x08\x01\x12\x04\x0a\x02ab", "SavedModel"),
        (b"\x08\x05\x12\x04\x0a\x02ab\xa2\x1f\x00", "Core ML"),
        (b"\x0a\x10\x0a\x01x\x12\x0bPlaceholder\x22\x02\x08\x1b", "TensorFlow graph"),
        (tarred("pickle", b"x"), "a tar archive"),
        (gzip.compress(tarred("model.pt2", b"x"), mtime=0), "a tar archive"),
        (b"PK\x05\x06" + bytes(18), "zip archive"),
    ],
)
def test_another_file_is_named(content, said, tmp_path):
    assert said in refusal_of(content, tmp_path).detail


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["m/data.pkl", "m/data/0"], "torch.save"),
        (["m/code/a.py", "m/data.pkl", "m/constants.pkl"], "TorchScript"),
        (["m/bytecode.pkl", "m/data.pkl"], "TorchScript"),
        (["p/.data/extern_modules", "p/net.py"], "torch.package"),
        (["config.json", "metadata.json", "model.weights.h5"], "Keras"),
        (["inputs.npy"], "NumPy"),
        (["schema.json", "140.npy"], "skops"),
        (["serialized_exported_program.json", "serialized_state_dict.pt", "version"], "torch 2.7 and before"),
        (["m/data/aotinductor/model/a.so", "m/data/aotinductor/model/a.json"], "AOTInductor"),
        (["saved/saved_model.pb", "saved/variables/variables.index"], "SavedModel"),
        (["m.mlpackage/Data/com.apple.CoreML/model.mlmodel", "m.mlpackage/Manifest.json"], "Core ML"),
        (["bert/config.json", "bert/pytorch_model.bin"], "weights are a Python pickle"),
        (["adapter_config.json", "adapter_model.safetensors"], "an adapter"),
        (["sd/model_index.json", "sd/unet/model.safetensors"], "diffusers"),
        (["my model/model.pt2"], "around a model"),
        (["word/document.xml", "[Content_Types].xml"], "an office document"),
        (["photos/a.png"], "a picture"),
        (["<b>.txt"], "without models"),
    ],
)
def test_another_zip_is_named(names, said, tmp_path):
    assert said in refusal_of(zipped(*names), tmp_path).detail


def test_a_state_dict_and_a_whole_network_are_told_apart_and_neither_is_opened(tmp_path):
    torch.save(made(Mlp).state_dict(), tmp_path / "state.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    assert "load_state_dict" in str(refusal_of((tmp_path / "state.pt").read_bytes(), tmp_path).remedy)
    assert "weights_only=False" in str(refusal_of((tmp_path / "whole.pt").read_bytes(), tmp_path).remedy)


def test_a_model_that_is_taken_is_told_by_its_content_and_not_its_name(tmp_path):
    (tmp_path / "model.pkl").write_bytes(affine().SerializeToString())
    assert format_of(tmp_path / "model.pkl") == "onnx"
    (tmp_path / "model.onnx").write_bytes(zipped("m/models/model.json"))
    assert format_of(tmp_path / "model.onnx") == "pt2"
    (tmp_path / "model.pt2").write_bytes(zipped("bert/config.json", "bert/model.safetensors"))
    assert format_of(tmp_path / "model.pt2") == "huggingface"


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_an_onnx_file_that_is_cut_off_is_still_told(share, tmp_path):
    content = affine().SerializeToString()
    (tmp_path / "cut").write_bytes(content[: int(len(content) * share)])
    assert format_of(tmp_path / "cut") == "onnx"


def test_every_way_out_is_short_and_every_text_is_one_sentence():
    for found in (*FOREIGN.values(), UNKNOWN):
        refusal = found.refusal()
        assert "\n" not in refusal.detail
        assert 1 <= len(str(refusal.remedy).splitlines()) <= 8, found.what
        assert not refusal.detail.endswith(".")
        json.dumps(refusal.remedy)


def test_the_fields_of_something_that_is_no_protobuf_end_where_it_stops_being_one(tmp_path):
    (tmp_path / "noise").write_bytes(b"\x08\x01\x3a\x02ab\xff\xff\xff")
    assert protobuf_fields(tmp_path / "noise") == {1: 0, 7: 2}
    (tmp_path / "long").write_bytes(b"\x08\x01" * 100_000)
    assert protobuf_fields(tmp_path / "long") == {1: 0}
