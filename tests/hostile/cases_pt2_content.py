"""Files that attack whoever reads a `.pt2` as data: its archive, its JSON, its sizes, and what is shown to people.

What only spends memory or time is here as well: it must end as that inspection's own failure.
"""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.hostile.harness import PYTHON, SHELL, Hostile
from tests.hostile.pt2_files import (
    CONSTANTS,
    GRAPH,
    LAYOUT,
    META,
    NODE,
    PROGRAM,
    SENTINEL,
    SPENT,
    UNSAFE,
    WEIGHT,
    WEIGHTS,
    Build,
    Found,
    Members,
    added,
    added_members,
    edited,
    marker_code,
    mlp,
    packed,
    put,
    renamed,
    replaced,
    with_number,
)
from tests.workers.facts import model_facts


def cases() -> Iterator[Hostile]:
    """By the part of the file that is hostile."""
    for part in (_archives, _metadata, _shown, _json, _tensors, _arguments, _texts):
        for name, build, code in part():
            yield Hostile(name=f"a .pt2 with {name}", build=build, facts=model_facts((4,)), code=code)


# 19 and 20: archives


def _archives() -> Found:
    for name, method in (("deflate", zipfile.ZIP_DEFLATED), ("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)):
        bomb = packed(lambda: {**mlp(), "m/data/weights/weight_9": bytes(1 << 24)}, method)
        yield f"sixteen megabytes of nothing packed by {name}", bomb, "unexpected-compression"
    paths = (
        "../../marker", "/etc/cron.d/x", "m/../../x", "m/./x", "m\\..\\x", "C:/x", "m/a\nb", "m/\x7f", "m/" + "x" * 600,
        "m//x/../y", "~/x",
    )  # fmt: skip
    for name in paths:
        yield f"a member called {name[:20]!r}", added_members(**{name: b"x"}), ("unsafe-member", LAYOUT, "bad-layout")
    yield "a link among its members", _linked, "unsafe-member"
    yield "a link that would be dropped", _linked_extra, "unsafe-member"
    yield "the same program twice", _twice, "duplicate-member"
    yield "a member of another length than it says", _lying(size=1 << 40), ("corrupt-archive", "too-large")
    yield "a member of another checksum", _lying(checksum=1), "corrupt-archive"
    yield "a weight that lies elsewhere", _lying(offset=3), "corrupt-archive"
    yield "a weight of a wrong checksum", _lying(checksum=1, member="m/data/weights/weight_0"), "corrupt-archive"
    yield "a weight that begins elsewhere", _lying(offset=0, member="m/data/weights/weight_2"), "corrupt-archive"
    yield "an encrypted program", _lying(flags=1), "encrypted-member"
    yield "two models", added_members(**{"m/models/other.json": b"{}"}), "bad-layout"
    yield "two top folders", added_members(**{"n/models/model.json": b"{}"}), "bad-layout"
    yield "a program in front of the archive", _prefixed, ("corrupt-archive", "not-a-pt2", "not-a-model")
    yield "an archive in the place of its program", packed(_archive_within), "bad-json"
    yield "big-endian weights", added_members(**{"m/byteorder": b"big"}), "byte-order"
    many = {f"m/extra/{at}": b"" for at in range(25_000)}
    yield "twenty-five thousand members", packed(lambda: {**mlp(), **many}), "too-many-members"
    for part in (PROGRAM, WEIGHTS, CONSTANTS, "m/data/weights/weight_1"):
        yield f"no {part[2:]}", packed(lambda part=part: {k: v for k, v in mlp().items() if k != part}), (
            "bad-layout", "missing-member", "not-a-pt2", "not-a-model",
        )  # fmt: skip


def _linked(path: Path) -> None:
    _with_link(path, "m/data/weights/link", "/etc/passwd")


def _linked_extra(path: Path) -> None:
    _with_link(path, "m/extra/link", "/etc/passwd")


def _with_link(path: Path, name: str, to: str) -> None:
    packed(mlp)(path)
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(info, to)


def _twice(path: Path) -> None:
    """zipfile warns of a second member of a name, so the second is written under another and renamed."""
    second = PROGRAM.replace("model.json", "lodel.json")
    packed(lambda: {**mlp(), second: b"{}"})(path)
    path.write_bytes(path.read_bytes().replace(second.encode(), PROGRAM.encode()))


def _prefixed(path: Path) -> None:
    packed(mlp)(path)
    path.write_bytes(f"#!/bin/sh\n{SHELL}\n".encode() + path.read_bytes())


def _archive_within() -> Members:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("m/models/model.json", mlp()[PROGRAM])
    return {**mlp(), PROGRAM: buffer.getvalue()}


def _lying(
    *, size: int | None = None, checksum: int | None = None, offset: int | None = None, flags: int | None = None,
    member: str = PROGRAM,
) -> Build:  # fmt: skip
    """An archive whose directory says of one member what is not so. Sizes are cut to the 32 bits of the record."""

    def build(path: Path) -> None:
        packed(mlp)(path)
        content = bytearray(path.read_bytes())
        at = content.rfind(member.encode()) - 46  # the record in the directory at the end (APPNOTE, 4.3.12)
        assert content[at : at + 4] == b"PK\x01\x02"
        for value, place, form in ((flags, 8, "<H"), (checksum, 16, "<I"), (offset, 42, "<I")):
            if value is not None:
                struct.pack_into(form, content, at + place, value)
        if size is not None:
            struct.pack_into("<II", content, at + 20, size & 0xFFFFFFFE or 0x7FFFFFFF, size & 0xFFFFFFFE or 0x7FFFFFFF)
        path.write_bytes(content)

    return build


# what tells of the author's machine, and what is shown to people


def _metadata() -> Found:
    code = marker_code()[0]
    for key in ("stack_trace", "source_fn_stack", "torch_fn", "from_node", "custom", code):
        yield f"code in the metadata of a node, as {key[:20]}", edited(put(code, *META, key)), None
    yield "code in the metadata of its graph", edited(put({code: code}, "graph_module", "metadata")), None


def _shown() -> Found:
    tags = (
        "<script>alert(1)</script>",
        "<svg/onload=alert(1)>",
        "<img src=x onerror=alert(1)>",
        "' onclick='x",
        "]]><x/>",
    )
    for at, tag in enumerate(tags):
        kind = renamed("torch.nn.modules.linear.Linear", tag.replace(";", "").replace(",", ""), within=True)
        yield f"a tag as the type of a module, number {at}", kind, None
        path = put(f"L__self__,{tag},x", *META, "nn_module_stack")
        yield f"a tag as the name of a module, number {at}", edited(path), "module-name"
        yield f"a tag as the name of an input, number {at}", renamed("x", tag), UNSAFE
        member = {f"m/{tag.replace('/', '')}": b""}
        yield f"a tag as the name of a member, number {at}", added_members(**member), LAYOUT
        yield f"a tag as the name of a weight, number {at}", packed(lambda tag=tag: _weight_called(tag)), UNSAFE
        yield f"a tag as the version of torch, number {at}", edited(put(tag, "torch_version")), UNSAFE
    stack = "L__self__,,tests.Mlp;L__self__net,net,x"
    nesting = edited(put(stack, *META, "nn_module_stack"))
    yield "modules whose nesting contradicts itself", nesting, SPENT


def _weight_called(name: str) -> Members:
    found = mlp()
    config = json.loads(found[WEIGHTS])
    return {**found, WEIGHTS: json.dumps(replaced(config, "net.0.weight", name)).encode()}


# JSON


def _json() -> Found:
    def said(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        return lambda raw: raw.replace(old, new, 1)

    contents: dict[str, tuple[Callable[[bytes], bytes], Any]] = {
        "no JSON": (lambda _: b"\x80\x04K\x01.", "bad-json"),
        "numbers that are none": (said(b'"as_int": 6', b'"as_int": NaN'), "bad-json"),
        "a number that overflows": (said(b'"as_float": 0.5', b'"as_float": 1e999'), "bad-json"),
        "a number of ten thousand digits": (said(b'"as_int": 6', b'"as_int": ' + b"9" * 10_000), "bad-json"),
        "a number beyond 64 bits": (said(b'"as_int": 6', b'"as_int": ' + b"9" * 30), "bad-program"),
        "half a surrogate": (said(b'"name": "x"', b'"name": "\\ud800"'), UNSAFE),
        "a program that is a list": (lambda raw: b"[" + raw + b"]", "bad-json"),
        "a program that ends early": (lambda raw: raw[: len(raw) // 2], "bad-json"),
        "two programs": (lambda raw: raw + raw, "bad-json"),
        "another encoding": (lambda raw: raw.decode().encode("utf-16"), "bad-json"),
        "a member of its program twice": (said(b'"guards_code": []', b'"guards_code": [1], "guards_code": []'), None),
    }
    for name, (change, code) in contents.items():
        yield name, packed(lambda change=change: {**mlp(), PROGRAM: change(mlp()[PROGRAM])}), code
    deep: Any = 1
    for _ in range(150):
        deep = {"arg": [deep]}
    yield (
        "arguments three hundred deep",
        edited(lambda p: p["graph_module"]["graph"]["nodes"][0]["inputs"].append(deep)),
        "bad-json",
    )
    yield "unknown members", edited(put(["os", "system"], "__reduce__")), "bad-program"
    for member in ("graph_module", "schema_version", "range_constraints", "opset_version", "verifiers"):
        for value in (None, 3):
            yield (
                f"{value!r} as its {member}",
                edited(put(value, member)),
                ("bad-program", "schema-version"),
            )


# tensors that do not fit their bytes


def _tensors() -> Found:
    def one(**changes: Any) -> Build:
        ((member, value),) = changes.items()
        return edited(put(value, *WEIGHT, "tensor_meta", member), WEIGHTS)

    def ints(*values: int) -> list[dict[str, int]]:
        return [{"as_int": value} for value in values]

    wrong = ("tensor-size", "tensor-type", "bad-program")
    yield "a weight of four terabytes", one(sizes=ints(1 << 20, 1 << 20)), wrong
    yield "a weight of negative size", one(sizes=ints(-6, 4)), wrong
    yield "a weight whose sizes overflow", one(sizes=ints(1 << 33, 1 << 33)), wrong
    yield "a weight whose strides overflow", one(strides=ints(1 << 62, 1 << 62)), wrong
    yield "a weight with a negative stride", one(strides=ints(-4, 1)), wrong
    yield "a weight with an offset beyond its bytes", one(storage_offset={"as_int": 1}), wrong
    yield "a weight with a negative offset", one(storage_offset={"as_int": -1}), wrong
    yield "a weight with an offset of 2**63", one(storage_offset={"as_int": 1 << 63}), wrong
    yield "a weight of fifty axes", one(sizes=ints(*[1] * 50)), wrong
    yield "a weight with fewer strides than axes", one(strides=ints(1)), wrong
    for code in (0, 9, 14, 29, 99, -1, True, 7.0, "7", None):
        yield f"a weight of dtype {code!r}", one(dtype=code), (*wrong, UNSAFE)
        yield f"a weight of layout {code!r}", one(layout=1 if code == 7.0 else code), (*wrong, UNSAFE)
    yield "a weight of another device", one(device={"type": "meta", "index": None}), UNSAFE
    yield "a weight on a device that is code", one(device={"type": PYTHON, "index": 0}), UNSAFE
    yield "a weight on a far device", one(device={"type": "cuda", "index": 10**9}), None
    small = packed(lambda: {**mlp(), "m/data/weights/weight_0": b""})
    yield "an empty weight of a declared size", small, "tensor-size"
    yield "a weight of half an element", packed(lambda: {**mlp(), "m/data/weights/weight_0": bytes(97)}), "tensor-size"
    nan = packed(lambda: {**mlp(), "m/data/weights/weight_0": b"\xff" * 96})
    yield "a weight of NaN", nan, "weights-not-finite"
    value = (*GRAPH, "tensor_values", "linear")
    yield "a value of negative size", edited(put(ints(-2, 6), *value, "sizes")), ("not-loadable", "does-not-run")
    yield "a value that is sparse", edited(put(1, *value, "layout")), "tensor-type"


# arguments that spend memory or time, or reach beyond a tensor


def _arguments() -> Found:
    far = 1 << 40
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "a view far beyond its tensor": lambda x: x.new_zeros(100).as_strided((2,), (1,), SENTINEL),
        "a view of far strides": lambda x: x.new_zeros(100).as_strided((2,), (SENTINEL,), 0),
        "a view larger than its tensor": lambda x: x.new_zeros(100).as_strided((SENTINEL,), (1,), 0),
        "an index far beyond its tensor": lambda x: x.new_zeros(100)[SENTINEL],
        "a slice far beyond its tensor": lambda x: x.new_zeros(100).narrow(0, SENTINEL, 2),
        "a full of any size": lambda x: torch.full((SENTINEL,), 1.0),
        "an empty of any size": lambda x: torch.empty(SENTINEL).fill_(1.0),
        "an empty of any strides": lambda x: torch.empty_strided((2,), (SENTINEL,)).fill_(1.0),
        "a range of any length": lambda x: torch.arange(SENTINEL),
        "a repeat of any number": lambda x: x.repeat(1, SENTINEL),
        "a diagonal of any size": lambda x: torch.eye(SENTINEL),
        "a padding of any width": lambda x: torch.nn.functional.pad(x, (0, SENTINEL)),
        "an enlargement to any size": lambda x: torch.nn.functional.interpolate(x[:, None], size=SENTINEL),
        "classes without number": lambda x: torch.nn.functional.one_hot(x.new_zeros(2).long(), SENTINEL),
        "a window of any length": lambda x: torch.hann_window(SENTINEL),
        "pooling to any size": lambda x: torch.nn.functional.adaptive_avg_pool1d(x[:, None], SENTINEL),
        "a Fourier transform of any length": lambda x: torch.fft.rfft(x, SENTINEL).abs(),
        "a matrix power of any degree": lambda x: torch.linalg.matrix_power(x.new_ones(3, 3) / 3, SENTINEL),
        "repetitions without number": lambda x: x.repeat_interleave(SENTINEL, 1),
        "steps without number": lambda x: torch.linspace(0, 1, SENTINEL),
        "indices of a triangle": lambda x: torch.tril_indices(SENTINEL, SENTINEL),
        "a roll by any number": lambda x: x.roll(SENTINEL, 1),
        "the largest of any number": lambda x: torch.zeros(100).topk(SENTINEL)[0],
        "windows of any size": lambda x: torch.zeros(100).unfold(0, SENTINEL, 1),
    }  # fmt: skip
    for name, function in functions.items():
        for how, number in (("far", far), ("negative", -far)):
            code = None if name == "a roll by any number" else SPENT
            yield f"{name}: {how}", with_number(function, number), code


def _texts() -> Found:
    for at, text in enumerate(("'; import os", "a\nb", "$(id)", "a`b`", "\N{SNOWMAN}", "x" * 300)):
        argument: dict[str, Any] = {"name": "mode", "arg": {"as_string": text}, "kind": 2}
        yield f"a hostile text argument, number {at}", edited(added(argument, *NODE, "inputs")), UNSAFE
    for text in ("meta", "xla", "lazy", "cpu:0; x", "privateuseone", "CUDA"):
        argument = {"name": "device", "arg": {"as_device": {"type": text, "index": None}}, "kind": 2}
        yield f"the device {text!r}", edited(added(argument, *NODE, "inputs")), UNSAFE
    yield "a verifier to import", edited(put(["os; evil"], "verifiers")), UNSAFE
    yield "a verifier that is none", edited(put(["EVIL"], "verifiers")), "not-loadable"
    yield "a schema of the future", edited(put({"major": 99, "minor": 0}, "schema_version")), "schema-version"
    yield "a schema that is code", edited(put({"major": PYTHON, "minor": 0}, "schema_version")), "schema-version"
    yield "an opset that is code", edited(put({PYTHON: 1}, "opset_version")), UNSAFE
