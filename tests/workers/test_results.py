"""A child's result is hostile: every way it can lie is refused, and nothing of it is kept."""

import io
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from service.contracts.job import ArtifactFile
from workers.results import (
    ResultRefused,
    artifact_chunks,
    check_json,
    check_png,
    read_answer,
    safetensors_chunks,
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
    content = safetensors(header, bytes(16))
    assert b"".join(safetensors_chunks(io.BytesIO(content))) == content


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
        list(safetensors_chunks(io.BytesIO(content)))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "[" * 200_000])
def test_json_without_meaning_is_refused(text: str) -> None:
    with pytest.raises(ResultRefused):
        check_json(text.encode())


def test_json_of_too_many_values_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    many = "[" + ",".join(["{}"] * 600_000) + "]"
    with pytest.raises(ResultRefused, match="1200000 values"):
        check_json(many.encode())
    with pytest.raises(ResultRefused, match="values"):
        read_answer(answer(tmp_path, f'{{"status": "failed", "reason": {many}}}'), MEMBER, 10_000_000)


def test_an_answer_with_a_hundred_thousand_faults_is_refused_in_a_sentence(tmp_path: Path) -> None:
    text = '{"status": "failed", ' + ", ".join(f'"{at}": 0' for at in range(100_000)) + "}"
    with pytest.raises(ResultRefused, match=r"^result\.json has 100001 faults$"):
        read_answer(answer(tmp_path, text), MEMBER, 10_000_000)


def test_a_refusal_that_quotes_the_child_fits_into_a_reason(tmp_path: Path) -> None:
    text = json.dumps({"status": "failed", "reason": {"code": "x", "detail": "y"}, "n" * 100_000: 1})
    with pytest.raises(ResultRefused) as refused:
        read_answer(answer(tmp_path, text), MEMBER, 10_000_000)
    assert len(str(refused.value)) == 1000
    with pytest.raises(ResultRefused) as refused:
        list(safetensors_chunks(io.BytesIO(safetensors({"a" * 100_000: 1}))))
    assert len(str(refused.value)) == 1000


@pytest.mark.parametrize(
    ("name", "media_type"), [("a.png", "image/png"), ("a.json", "application/json")], ids=["picture", "json"]
)
def test_a_sparse_file_of_gigabytes_is_refused_unread(tmp_path: Path, name: str, media_type: str) -> None:
    answer(tmp_path, "{}")
    with (tmp_path / "results" / MEMBER / name).open("wb") as file:
        file.truncate(4 * 2**30)
    artifact = ArtifactFile.model_validate({"file": name, "media_type": media_type})
    with pytest.raises(ResultRefused, match="larger than 67108864"):
        list(artifact_chunks(tmp_path, MEMBER, artifact))


def test_arrays_of_gigabytes_pass_in_pieces(tmp_path: Path) -> None:
    answer(tmp_path, "{}")
    size = 300 * 2**20
    with (tmp_path / "results" / MEMBER / "a.safetensors").open("wb") as file:
        file.write(safetensors({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}))
        file.truncate(file.tell() + size)
    artifact = ArtifactFile(file="a.safetensors", media_type="application/vnd.safetensors")
    lengths = [len(chunk) for chunk in artifact_chunks(tmp_path, MEMBER, artifact)]
    assert sum(lengths[1:]) == size
    assert max(lengths) <= 2**20
