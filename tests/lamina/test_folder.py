"""Is a folder of images sent as one file whose bytes depend on its images alone?"""

import os
import zipfile
from pathlib import Path

import pytest

from lamina.commands.subjects import whole
from lamina.failure import Usage
from lamina.folder import packed


def filled(folder: Path, order: tuple[str, ...] = ("cat/1.png", "dog/2.JPG", "labels.csv")) -> Path:
    for name in order:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_equal_folders_give_equal_bytes_whenever_and_in_whatever_order_they_were_written(tmp_path: Path) -> None:
    first = filled(tmp_path / "a")
    second = filled(tmp_path / "b", ("labels.csv", "dog/2.JPG", "cat/1.png"))
    os.utime(second / "cat/1.png", (1, 1))
    (second / "cat/1.png").chmod(0o640)
    assert packed(first, tmp_path / "a.zip") == packed(second, tmp_path / "b.zip") == 2
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["cat/1.png", "dog/2.JPG", "labels.csv"]
        assert archive.read("dog/2.JPG") == b"dog/2.JPG"


def test_links_hidden_files_and_other_files_stay_at_home(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "far.png").write_bytes(b"secret")
    folder = filled(tmp_path / "a", ("cat/1.png", "cat/.hidden.png", ".git/x.png", "notes.txt", "cat/labels.csv"))
    (folder / "cat" / "linked.png").symlink_to(tmp_path / "secret.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    packed(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["cat/1.png"]


def test_a_folder_without_images_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="holds no image"):
        packed(filled(tmp_path / "a", ("labels.csv",)), tmp_path / "a.zip")


def test_the_zip_is_there_while_it_is_sent_and_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    with whole(filled(tmp_path / "pets")) as sent:
        assert sent.name == "pets.zip"
        assert zipfile.is_zipfile(sent)
    assert not sent.exists()
    with whole(tmp_path / "pets" / "labels.csv") as sent:
        assert sent == tmp_path / "pets" / "labels.csv"
