"""Is a folder of save_pretrained sent as one file, with nothing in it that is not read?"""

import json
import os
import zipfile
from pathlib import Path

import pytest

from lamina.commands.subjects import whole
from lamina.failure import Usage
from lamina.model_folder import INDEX, packed


def filled(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def index(folder: Path, *shards: str) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": {f"layer.{at}": shard for at, shard in enumerate(shards)}}))


def test_equal_folders_give_equal_bytes_and_only_what_is_read_is_sent(tmp_path: Path) -> None:
    read = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    first = filled(tmp_path / "a", *read)
    second = filled(tmp_path / "b", *reversed(read), "modeling.py", "pytorch_model.bin", "README.md", ".gitattributes")
    os.utime(second / "config.json", (1, 1))
    assert packed(first, tmp_path / "a.zip") == packed(second, tmp_path / "b.zip") == read
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {archive.read(name) for name in read} == {name.encode() for name in read}


def test_every_file_that_the_index_names_is_sent_with_it(tmp_path: Path) -> None:
    folder = filled(tmp_path / "a", "config.json", "model-1.safetensors", "model-2.safetensors", "other.safetensors")
    index(folder, "model-1.safetensors", "model-2.safetensors", "model-1.safetensors")
    assert packed(folder, tmp_path / "a.zip") == ("config.json", "model-1.safetensors", "model-2.safetensors", INDEX)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("model.safetensors",), "has no config.json"),
        (("config.json",), r"has no \*\.safetensors\.\n"),
        (("config.json", "pytorch_model.bin"), "it has pytorch_model.bin, and pickled weights are never opened"),
        (("config.json", "a.safetensors", "b.safetensors"), "Leave only the model's"),
        (("config.json", "a.safetensors", "b.safetensors", INDEX), "has no weight_map"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path, names: tuple[str, ...], says: str) -> None:
    with pytest.raises(Usage, match=says):
        packed(filled(tmp_path / "a", *names), tmp_path / "a.zip")


def test_a_file_that_the_index_names_and_nobody_has_is_named(tmp_path: Path) -> None:
    folder = filled(tmp_path / "a", "config.json", "model-1.safetensors", "model-2.safetensors")
    index(folder, "model-1.safetensors", "model-3.safetensors")
    with pytest.raises(Usage, match=r"names model-3\.safetensors, which is not in the folder"):
        packed(folder, tmp_path / "a.zip")


def test_the_command_sends_a_folder_of_a_model_as_a_zip_and_says_of_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = filled(tmp_path / "mine", "config.json", "model.safetensors")
    with whole(folder, images=False) as sent:
        assert sent.name == "mine.zip"
        assert zipfile.is_zipfile(sent)
    assert not sent.exists()
    assert "packed config.json, model.safetensors" in capsys.readouterr().err
