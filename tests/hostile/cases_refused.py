"""Files of other tools, each with a live payload where its format can hold one: named, refused, and never opened."""

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hostile.harness import MARKER, OUTSIDE, PYTHON, SHELL, Hostile
from tests.workers.facts import model_facts

FACTS = model_facts((3,), classes=2)
ELF = b"\x7fELF\x02\x01\x01" + bytes(57)


class Payload:
    """What a pickle of it would do: run Python, which leaves the marker."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (eval, (PYTHON,))


class Shell:
    """What a pickle of it would do: run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return (os.system, (SHELL,))


def cases() -> Iterator[Hostile]:
    """All of them."""
    for name, build in (*_pickles(), *_torch(), *_frameworks(), *_classical(), *_mistakes()):
        yield Hostile(name=f"in place of a model, {name}", build=_writing(build), facts=FACTS, code="not-a-model")


def _writing(content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content())

    return build


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    """A tar of these members; a name that begins with -> is a link to the rest of it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]  # modes are a closed list
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if name.startswith("->"):
                entry.type, entry.linkname, entry.name = tarfile.SYMTYPE, name[2:], "model"
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


Case = tuple[str, bytes | Callable[[], bytes]]


def _pickles() -> Iterator[Case]:
    for protocol in range(6):
        yield f"a live pickle of protocol {protocol}", pickle.dumps(Payload(), protocol)
    yield "a live pickle that runs a command", pickle.dumps(Shell())
    yield "a live pickle written by hand", f"cos\nsystem\n(S'{SHELL}'\ntR.".encode()
    yield "a live pickle of an old instance", f"(S'{SHELL}'\nios\nsystem\n.".encode()
    yield "a live pickle behind a number", f"I1\n0cos\nsystem\n(S'{SHELL}'\ntR.".encode()
    yield (
        "a live pickle that imports by the stack",
        f"\x80\x04\x8c\x02os\x8c\x06system\x93(\x8c{chr(len(SHELL))}{SHELL}tR.".encode("latin-1"),
    )
    yield (
        "a live pickle with a frame that lies",
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + pickle.dumps(Payload(), 4)[11:],
    )
    yield "a live pickle without an end", pickle.dumps(Payload(), 4)[:-1]
    yield "a joblib file of gzip", lambda: gzip.compress(pickle.dumps(Payload()))
    yield "a joblib file of zlib", zlib.compress(pickle.dumps(Payload()))
    yield "a joblib file of bzip2", bz2.compress(pickle.dumps(Payload()))
    yield "a joblib file of xz", lzma.compress(pickle.dumps(Payload()))
    yield "a joblib file of lzma", lzma.compress(pickle.dumps(Payload()), lzma.FORMAT_ALONE)
    yield "a joblib file of lz4", b"\x04\x22\x4d\x18" + pickle.dumps(Payload())
    yield "a joblib file of before 0.10", b"ZF0x" + b"f" * 19 + zlib.compress(pickle.dumps(Payload()))
    yield "an xz file that wants four gigabytes", b"\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F\x02\x00!\x01\x28" + bytes(64)
    yield "a gzip bomb", lambda: gzip.compress(bytes(64 << 20))
    yield "a dill session", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x0adill._dill\x94\x8c\x05_main\x93)R."


def _torch() -> Iterator[Case]:
    live = pickle.dumps(Payload(), 2)
    yield (
        "a torch.save file",
        zipped({"m/data.pkl": live, "m/byteorder": b"little", "m/version": b"3\n", "m/data/0": bytes(8)}),
    )
    yield (
        "a torch.save file of a network",
        zipped({"m/data.pkl": b"\x80\x02ctorch.nn.modules.linear\nLinear\n" + live[2:], "m/version": b"3\n"}),
    )
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    yield "a torch.save file of before 1.6", magic + b"\x80\x02M\xe9\x03." + live
    yield (
        "a torch.save file of before 0.1.10",
        tarred({"sys_info": live, "pickle": live, "storages": live, "tensors": live}),
    )
    code = b"def forward(self, x):\n  return torch.from_file('" + str(OUTSIDE).encode() + b"', True, 4)\n"
    yield (
        "a TorchScript archive",
        zipped({"m/data.pkl": live, "m/constants.pkl": live, "m/code/__torch__.py": code, "m/version": b"3\n"}),
    )
    yield "a TorchScript archive for phones", zipped({"m/bytecode.pkl": live, "m/data.pkl": live})
    yield (
        "a torch.package archive",
        zipped({"p/.data/extern_modules": b"os\n", "p/net.py": PYTHON.encode(), "p/model.pkl": live}),
    )
    yield (
        "an export of torch 2.4",
        zipped(
            {
                "version": b"5.1",
                "serialized_exported_program.json": b"{}",
                "serialized_state_dict.pt": zipped({"a/data.pkl": live}),
                "serialized_constants.pt": live,
                "serialized_example_inputs.pt": live,
            }
        ),
    )
    yield (
        "an AOTInductor package",
        zipped({"m/data/aotinductor/model/model.so": ELF, "m/data/aotinductor/model/model_metadata.json": b"{}"}),
    )
    yield "an ExecuTorch program", b"\x1c\0\0\0ET12" + bytes(64)
    yield "a lightning checkpoint", zipped({"archive/data.pkl": live, "archive/version": b"3\n"}, zipfile.ZIP_DEFLATED)
    yield (
        "safetensors alone",
        struct.pack("<Q", 59) + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}    ' + bytes(5),
    )
    yield (
        "a Hugging Face folder with pickled weights",
        zipped({"bert/config.json": b'{"model_type": "bert"}', "bert/pytorch_model.bin": zipped({"a/data.pkl": live})}),
    )


def _frameworks() -> Iterator[Case]:
    lambda_layer = json.dumps(
        {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": PYTHON}}}}
    ).encode()
    yield (
        "a Keras model with a lambda",
        zipped(
            {
                "metadata.json": b'{"keras_version": "3.6.0"}',
                "config.json": lambda_layer,
                "model.weights.h5": b"\x89HDF\r\n\x1a\n",
            }
        ),
    )
    yield "a Keras HDF5 file", b"\x89HDF\r\n\x1a\n" + bytes(40) + lambda_layer
    yield "a Keras architecture with a lambda", lambda_layer
    yield (
        "a SavedModel in a zip",
        zipped({"saved/saved_model.pb": b"\x08\x01\x12\x04ReadFile", "saved/variables/variables.index": b""}),
    )
    yield "a SavedModel without its folder", b"\x08\x01\x12\x0a\x12\x08ReadFile"
    yield "a frozen graph that reads files", b"\x0a\x1c\x0a\x04read\x12\x08ReadFile\x22\x0a/etc/hosts"
    yield "a TensorFlow Lite file", b"\x1c\0\0\0TFL3" + bytes(64)
    yield (
        "a Core ML package",
        zipped({"m.mlpackage/Manifest.json": b"{}", "m.mlpackage/Data/com.apple.CoreML/model.mlmodel": b"\x08\x05"}),
    )
    yield "a Core ML file", b"\x08\x05\x12\x04\x0a\x02ab\xa2\x1f\x00"
    yield "a model compiled for onnxruntime", b"\x1c\0\0\0ORTM" + bytes(64)
    yield (
        "an OpenVINO network",
        b'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY e SYSTEM "file:///etc/passwd">]><net name="&e;" version="11"/>',
    )
    yield "a GGUF file with a template", b"GGUF\x03\0\0\0" + bytes(16) + b"{{ ''.__class__.__mro__ }}"
    yield (
        "a diffusers pipeline",
        zipped({"sd/model_index.json": b"{}", "sd/unet/diffusion_pytorch_model.safetensors": b""}),
    )
    yield "a PEFT adapter", zipped({"adapter_config.json": b"{}", "adapter_model.safetensors": b""})
    yield "a MATLAB file", b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(64)


def _classical() -> Iterator[Case]:
    yield (
        "a LightGBM model with an index of 2^40",
        b"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\n\nTree=0\nnum_leaves=2\nleft_child=1099511627776\nright_child=-1\n",
    )
    yield (
        "an XGBoost model of JSON",
        b'{"learner":{"gradient_booster":{"model":{"trees":[{"left_children":[1099511627776]}]}}},"version":[3,0,0]}',
    )
    yield "an XGBoost model of UBJSON", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{L" + bytes(40)
    yield "a CatBoost model", b"CBM1" + struct.pack("<I", 1 << 31) + bytes(32)
    yield (
        "a PMML document with entities",
        (
            b'<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
            b'<PMML version="4.4">&b;</PMML>'
        ),
    )
    yield (
        "a skops file that trusts itself",
        zipped({"schema.json": json.dumps({"__class__": "system", "__module__": "os", "content": SHELL}).encode()}),
    )
    yield "an R object", lambda: gzip.compress(b"X\n\x00\x00\x00\x03\x00\x04\x00\x00" + bytes(32))
    yield "an R workspace", b"RDX3\nX\n" + bytes(32)


def _mistakes() -> Iterator[Case]:
    yield (
        "a Git LFS pointer",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 123456\n",
    )
    yield "an error page", f"<!DOCTYPE html><html><script>{MARKER}</script><h1>403 Forbidden</h1></html>".encode()
    yield "nothing", b""
    yield "noise", bytes(range(255, -1, -1)) * 16
    yield "Python source", f"import os\nos.system({SHELL!r})\n".encode()
    yield "a notebook", json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": [PYTHON]}]}).encode()
    yield "a shell script", f"#!/bin/sh\n{SHELL}\n".encode()
    yield "a library", ELF
    yield "a program for Windows", b"MZ\x90\x00\x03\x00\x00\x00" + bytes(64)
    yield "a table", f"name,score\n=cmd|'/C {SHELL}'!A0,1\nBob,2\n".encode()
    yield "a JSON document a million deep", b"[" * 1_000_000
    yield "a picture with a comment", b"\x89PNG\r\n\x1a\n" + bytes(16) + b"<script>alert(1)</script>"
    yield "a tar with a link out of it", tarred({"->/etc/passwd": b"", "../../" + MARKER: b"x"})
    yield "a packed tar", lambda: gzip.compress(tarred({"model.pt2": b"x"}))
    yield "a 7z archive", b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(24)
    yield "a RAR archive", b"Rar!\x1a\x07\x01\x00" + bytes(24)
    yield "a zip around a model", zipped({"new folder/model.pt2": zipped({"m/models/model.json": b"{}"})})
    yield "a zip of hostile names", zipped({f"<script>{MARKER}</script>.txt": b"x"})
    yield "a document", zipped({"[Content_Types].xml": b"<x/>", "word/vbaProject.bin": pickle.dumps(Payload())})
    yield (
        "an array that holds a pickle",
        b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(127)
        + b"\n"
        + pickle.dumps(Payload()),
    )
    yield "an array file", zipped({"inputs.npy": b"\x93NUMPY\x01\x00"})
