"""A child's result is hostile: every way it can lie is refused, and nothing of it is kept."""

import io
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from workers.results import (
    ResultRefused,
    check_json,
    check_png,
    check_safetensors,
    read_answer,
)

MEMBER = "0190"


def png(width: int = 1, height: int = 1, extra: bytes = b"", tail: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"") + tail


def safetensors(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def answer(tmp_path: Path, text: str | bytes) -> Path:
    folder = tmp_path / "results" / MEMBER
    folder.mkdir(parents=True)
    (folder / "result.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


def test_a_failure_is_read_as_it_was_written(tmp_path: Path) -> None:
    text = json.dumps({"status": "failed", "reason": {"code": "bad-layer", "detail": "no such layer"}})
    result = read_answer(answer(tmp_path, text), MEMBER, 10_000)
    assert result.status == "failed"
    assert result.reason.code == "bad-layer"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"status": "succeeded"}',
        '{"status": "won"}',
        '{"status": "failed", "reason": {"code": "x", "detail": "y"}, "extra": 1}',
        '{"status": "failed", "reason": {"code": "Not A Slug", "detail": "y"}}',
        "[" * 100_000,
        b"\xff\xfe",
    ],
    ids=["empty", "broken", "list", "bare", "unknown", "extra", "slug", "deep", "not-utf8"],
)
def test_an_answer_outside_the_contract_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(ResultRefused):
        read_answer(answer(tmp_path, text), MEMBER, 10_000_000)


def test_an_answer_over_its_cap_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultRefused, match="larger"):
        read_answer(answer(tmp_path, " " * 101), MEMBER, 100)


def test_a_link_in_place_of_the_answer_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"status": "failed", "reason": {"code": "x", "detail": "secret"}}')
    folder = tmp_path / "results" / MEMBER
    folder.mkdir(parents=True)
    (folder / "result.json").symlink_to(secret)
    with pytest.raises(ResultRefused):
        read_answer(tmp_path, MEMBER, 1000)


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "result.json").write_text('{"status": "failed", "reason": {"code": "x", "detail": "secret"}}')
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / MEMBER).symlink_to(elsewhere)
    with pytest.raises(ResultRefused):
        read_answer(tmp_path, MEMBER, 1000)


def test_a_pipe_in_place_of_the_answer_does_not_block(tmp_path: Path) -> None:
    folder = tmp_path / "results" / MEMBER
    folder.mkdir(parents=True)
    os.mkfifo(folder / "result.json")
    with pytest.raises(ResultRefused):
        read_answer(tmp_path, MEMBER, 1000)


def test_a_picture_of_ours_passes() -> None:
    check_png(png())


def test_a_picture_made_by_pillow_passes() -> None:
    image = pytest.importorskip("PIL.Image")
    target = io.BytesIO()
    image.new("RGB", (16, 16), (10, 20, 30)).save(target, format="PNG")
    check_png(target.getvalue())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"GIF89a", "begin as a PNG"),
        (png(width=100_000), "pixels"),
        (png(width=0), "pixels"),
        (png(tail=b"<script>"), "after its end"),
        (png()[:-3], "damaged"),
        (png()[:-12], "inside a chunk"),
        (png().replace(b"IDAT", b"ZZZZ"), "damaged"),
        (png(extra=struct.pack(">I", 4) + b"tEXt" + b"a\0bc" + struct.pack(">I", zlib.crc32(b"tEXta\0bc"))), "chunk"),
        (png()[:8] + png()[33:], "no header"),
    ],
    ids=["gif", "wide", "flat", "tail", "cut checksum", "cut", "renamed", "text", "headless"],
)
def test_a_picture_that_is_not_just_pixels_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ResultRefused, match=why):
        check_png(content)


def test_arrays_side_by_side_pass() -> None:
    header = {
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "I64", "shape": [], "data_offsets": [8, 16]},
        "__metadata__": {"n": "1"},
    }
    check_safetensors(safetensors(header, bytes(16)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 2**40),
        safetensors(b"{"),
        safetensors([]),
        safetensors({"a": 1}),
        safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        safetensors({"a": {"dtype": "F32", "shape": [-1, -2], "data_offsets": [0, 8]}}, bytes(8)),
        safetensors({"a": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(8)),
        safetensors({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8)),
        safetensors({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}, bytes(4)),
    ],
    ids=["empty", "huge", "broken", "list", "flat", "short", "negative", "dtype", "tail", "gap", "overlap"],
)
def test_arrays_that_do_not_add_up_are_refused(content: bytes) -> None:
    with pytest.raises(ResultRefused):
        check_safetensors(content)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "[" * 200_000])
def test_json_without_meaning_is_refused(text: str) -> None:
    with pytest.raises(ResultRefused):
        check_json(text.encode())
