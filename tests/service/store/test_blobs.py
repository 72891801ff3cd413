"""Are bytes kept whole, under the right name, for the right tenant?"""

import hashlib
import os
from pathlib import Path

import pytest

from service.store.base import new_id
from service.store.blobs import BlobDamaged, BlobMissing, BlobStore, TooLarge

TENANT, OTHER = new_id(), new_id()
CONTENT = b"one" * 1000
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return BlobStore(str(tmp_path / "blobs") if request.param == "folder" else f"memory://{new_id()}")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_was_put_is_read_back_under_its_digest(store: BlobStore) -> None:
    kept = store.put(TENANT, [CONTENT[:5], b"", CONTENT[5:]], most=len(CONTENT))
    assert (kept.digest, kept.size) == (DIGEST, 3000)
    with store.open(TENANT, DIGEST) as file:
        assert file.read() == CONTENT


def test_a_tenant_does_not_see_the_bytes_of_another(store: BlobStore) -> None:
    store.put(TENANT, [CONTENT], most=3000)
    with pytest.raises(BlobMissing, match="upload"):
        store.open(OTHER, DIGEST)


def test_too_many_bytes_leave_nothing_behind(tmp_path: Path) -> None:
    store = BlobStore(str(tmp_path))
    read = []

    def chunks() -> "object":
        for index in range(100):
            read.append(index)
            yield CONTENT

    with pytest.raises(TooLarge, match="2999"):
        store.put(TENANT, chunks(), most=2999)
    assert files(tmp_path) == []
    assert read == [0], "the rest must not even be read"


def test_a_sender_who_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    def chunks() -> "object":
        yield CONTENT
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        BlobStore(str(tmp_path)).put(TENANT, chunks(), most=10**6)
    assert files(tmp_path) == []


def test_the_layout_is_tenant_then_two_digits_then_digest(tmp_path: Path) -> None:
    BlobStore(str(tmp_path)).put(TENANT, [CONTENT], most=3000)
    name = DIGEST.removeprefix("sha256:")
    assert files(tmp_path) == [f"{TENANT}/{name[:2]}/{name}"]


def test_damaged_bytes_are_noticed_and_not_handed_on(tmp_path: Path) -> None:
    store = BlobStore(str(tmp_path / "blobs"))
    store.put(TENANT, [CONTENT], most=3000)
    (path,) = (tmp_path / "blobs").rglob(DIGEST.removeprefix("sha256:"))
    path.write_bytes(CONTENT[:-1] + b"!")
    target = tmp_path / "target"
    with pytest.raises(BlobDamaged, match=DIGEST):
        store.fetch(TENANT, DIGEST, target)
    assert not target.exists()


def test_fetched_bytes_are_those_that_were_put(store: BlobStore, tmp_path: Path) -> None:
    store.put(TENANT, [CONTENT], most=3000)
    store.fetch(TENANT, DIGEST, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == CONTENT


def test_deleting_is_final_and_may_be_repeated(store: BlobStore) -> None:
    store.put(TENANT, [CONTENT], most=3000)
    store.delete(TENANT, DIGEST)
    store.delete(TENANT, DIGEST)
    with pytest.raises(BlobMissing):
        store.open(TENANT, DIGEST)


@pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "a" * 64, DIGEST + "\n"])
def test_what_is_no_digest_is_never_made_a_path(digest: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        BlobStore(str(tmp_path)).open(TENANT, digest)


def test_a_file_is_copied_and_a_link_or_a_pipe_is_refused(store: BlobStore, tmp_path: Path) -> None:
    real, link, pipe = tmp_path / "real", tmp_path / "link", tmp_path / "pipe"
    real.write_bytes(CONTENT)
    link.symlink_to(real)
    os.mkfifo(pipe)
    assert store.put_file(TENANT, real).digest == DIGEST
    for other in (link, pipe):
        with pytest.raises(OSError, match=r"symbolic|regular"):
            store.put_file(TENANT, other)
