"""Is a folder safe to hand to a child, and what it left safe to read?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workers.sandbox.scratch import UnsafeScratch, hand_over, read_result


def test_a_symbolic_link_is_not_handed_over(tmp_path: Path) -> None:
    (tmp_path / "weights").symlink_to("/etc/passwd")
    with pytest.raises(UnsafeScratch, match="neither file nor folder"):
        hand_over(tmp_path, None)


def test_a_hard_link_is_not_handed_over(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    (scratch / "inner").mkdir(parents=True)
    (tmp_path / "blob").write_text("a customer's model")
    os.link(tmp_path / "blob", scratch / "inner" / "weights")
    with pytest.raises(UnsafeScratch, match="2 names"):
        hand_over(scratch, None)


def test_a_scratch_that_is_a_link_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "scratch").symlink_to("real")
    with pytest.raises(OSError, match="scratch"):
        hand_over(tmp_path / "scratch", None)


def test_handing_over_closes_the_folder_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    os.close(hand_over(tmp_path, None))
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "results").is_dir()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "results" / "inner").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "results" / "good").write_text("good")
    (tmp_path / "results" / "inner" / "deep").write_text("deep")
    (tmp_path / "results" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "results" / "folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "results" / "pipe")
    os.link(tmp_path / "secret", tmp_path / "results" / "second-name")
    return tmp_path


@pytest.mark.parametrize("name", ["good", "inner/deep"])
def test_a_plain_result_is_read(name: str, results: Path) -> None:
    assert read_result(results, name, limit=4) == Path(name).name.encode()


@pytest.mark.parametrize(
    "name", ["link", "folder/secret", "pipe", "second-name", "../secret", "/etc/passwd", "", "inner", "good/x"]
)
def test_what_is_no_plain_result_is_not_read(name: str, results: Path) -> None:
    with pytest.raises(UnsafeScratch):
        read_result(results, name, limit=100)


def test_a_result_past_its_limit_is_not_read(results: Path) -> None:
    with pytest.raises(UnsafeScratch, match="larger than 3 bytes"):
        read_result(results, "good", limit=3)


def test_a_missing_result_is_missing(results: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_result(results, "absent", limit=3)
