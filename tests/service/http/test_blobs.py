import base64
import hashlib
import io
from pathlib import Path

from service.settings import Settings
from service.store.blobs import BlobStore
from tests.service.http.asking import Asker, problem

CONTENT = b"some weights"
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


def repr_digest(content: bytes) -> dict[str, str]:
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"}


def kept(settings: Settings) -> list[Path]:
    return [path for path in Path(settings.blobs).rglob("*") if path.is_file()]


def test_bytes_go_in_and_their_digest_comes_out(ask: Asker, blobs: BlobStore) -> None:
    answer = ask.upload(CONTENT, headers=repr_digest(CONTENT))

    assert answer.status_code == 201
    assert answer.json == {"digest": DIGEST, "size": 12, "created_at": "2026-03-01T12:00:00Z"}
    assert answer.headers["Location"] == f"/v1/blobs/{DIGEST}"
    assert ask.get(answer.headers["Location"]).json == answer.json
    with blobs.open(ask.tenant, DIGEST) as stored:
        assert stored.read() == CONTENT


def test_a_chunked_body_is_taken_to_its_end(ask: Asker) -> None:
    answer = ask.send(
        "POST",
        "/v1/blobs",
        input_stream=io.BytesIO(CONTENT),
        content_type="application/octet-stream",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert answer.json is not None
    assert (answer.json["digest"], answer.json["size"]) == (DIGEST, 12)


def test_an_empty_body_is_a_blob_of_no_bytes(ask: Asker) -> None:
    answer = ask.upload(b"")

    assert answer.json is not None
    assert (answer.status_code, answer.json["size"]) == (201, 0)


def test_bytes_held_already_cost_nothing_and_answer_alike(ask: Asker) -> None:
    once = ask.upload(b"x" * 4000)

    assert [ask.upload(b"x" * 4000).json for _ in range(4)] == [once.json] * 4


def test_other_bytes_than_announced_are_refused_and_not_kept(ask: Asker, settings: Settings) -> None:
    answer = ask.upload(CONTENT, headers=repr_digest(b"other weights"))

    assert repr_digest(CONTENT)["Repr-Digest"] in problem(answer, "digest-mismatch", "Repr-Digest").detail
    assert kept(settings) == []


def test_a_digest_in_another_form_is_refused_before_the_body_is_read(ask: Asker, settings: Settings) -> None:
    for header in ("sha-256=abc", "md5=:AAAA:", "sha-512=:AAAA:", f"sha-256=:{'A' * 43}:"):
        problem(ask.upload(CONTENT, headers={"Repr-Digest": header}), "invalid", "Repr-Digest")
    assert kept(settings) == []


def test_a_body_over_the_limit_is_refused_and_not_kept(ask: Asker, settings: Settings) -> None:
    refused = problem(ask.upload(b"x" * 4097), "too-large")

    assert "4096 bytes" in refused.detail
    assert kept(settings) == []


def test_a_chunked_body_over_the_limit_is_cut_off(ask: Asker, settings: Settings) -> None:
    answer = ask.send(
        "POST",
        "/v1/blobs",
        input_stream=io.BytesIO(b"x" * 5000),
        content_type="application/octet-stream",
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )

    problem(answer, "too-large")
    assert kept(settings) == []


def test_a_body_shorter_than_announced_is_refused(ask: Asker, settings: Settings) -> None:
    answer = ask.send(
        "POST",
        "/v1/blobs",
        input_stream=io.BytesIO(CONTENT),
        content_type="application/octet-stream",
        environ_overrides={"CONTENT_LENGTH": "100"},
    )

    problem(answer, "malformed")
    assert kept(settings) == []


def test_only_octets_are_taken(ask: Asker) -> None:
    for media_type in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        answer = ask.send("POST", "/v1/blobs", data=CONTENT, content_type=media_type)
        assert "application/octet-stream" in problem(answer, "unsupported-media-type").detail


def test_a_tenant_stores_no_more_than_it_may(ask: Asker, settings: Settings) -> None:
    for letter in b"ab":
        assert ask.upload(bytes([letter]) * 4096).status_code == 201

    refused = problem(ask.upload(b"c" * 2000), "storage-full")

    assert not refused.permanent
    assert len(kept(settings)) == 2
    assert ask.upload(b"d" * 1808).status_code == 201


def test_an_unknown_blob_is_not_found(ask: Asker) -> None:
    for digest in (DIGEST, "sha256:0", "md5:00", "sha256:" + "A" * 64):
        assert problem(ask.get(f"/v1/blobs/{digest}"), "not-found").detail == "There is no blob with this id."


def test_the_api_parses_no_bytes(ask: Asker) -> None:
    for content in (b"PK\x03\x04 truncated zip", b"\x80\x04cos\nsystem\n.", b"\x93NUMPY" + b"\xff" * 100):
        assert ask.upload(content).status_code == 201
