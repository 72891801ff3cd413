"""How does a Hugging Face folder become one file? A zip of what is read of it, whose bytes depend on that alone."""

import json
import re
import shutil
import zipfile
from pathlib import Path

from lamina.failure import Usage

CONFIG, INDEX = "config.json", "model.safetensors.index.json"
READ = (CONFIG, INDEX, "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json")
_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_TO_SAFETENSORS = (
    "Turn the weights into safetensors where the model is: model.save_pretrained(folder) of a current transformers"
    " writes model.safetensors"
)


def packed(folder: Path, target: Path) -> tuple[str, ...]:
    """Writes what is read of `folder` to the zip `target`; the names of the files in it. Raises Usage.

    Equal folders give equal bytes: names in order, dated 1980, stored. What is not read stays at home, code included.
    """
    files = wanted(folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            info = zipfile.ZipInfo(file.name, _EPOCH)
            info.create_system, info.external_attr = 3, 0o600 << 16
            with file.open("rb") as content, archive.open(info, "w", force_zip64=True) as member:
                shutil.copyfileobj(content, member, 1 << 20)
    return tuple(file.name for file in files)


def wanted(folder: Path) -> list[Path]:
    """The files of the folder that are read, in order. Raises Usage where one is missing that must be there."""
    config = _there(folder, CONFIG)
    if config is None:
        raise Usage(
            f"{folder} has no {CONFIG}: it is no folder of model.save_pretrained(folder).\n"
            "Give that folder, or export the network: lamina export your_package.module:model model.pt2"
        )
    shards = _shards(folder)
    others = [path for name in READ if name != INDEX and (path := _there(folder, name)) is not None]
    if len(shards) > 1:
        others.append(folder / INDEX)
    return sorted([*others, *shards], key=lambda path: path.name)


def _shards(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*.safetensors") if path.is_file())
    if not found:
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLED)
        there = f"; it has {', '.join(pickled)}, and pickled weights are never opened" if pickled else ""
        raise Usage(f"{folder} has no *.safetensors{there}.\n{_TO_SAFETENSORS}")
    if len(found) == 1:
        return found
    if _there(folder, INDEX) is None:
        names = ", ".join(path.name for path in found)
        raise Usage(f"{folder} has {len(found)} safetensors files ({names}) and no {INDEX}.\nLeave only the model's.")
    named = _named(folder / INDEX)
    if missing := sorted(named - {path.name for path in found}):
        raise Usage(f"{folder / INDEX} names {missing[0]}, which is not in the folder.\nFetch the folder again, whole.")
    return [path for path in found if path.name in named]


def _named(index: Path) -> set[str]:
    """The files that an index places tensors in. Only their names are looked at here; the service reads the rest."""
    try:
        placed = json.loads(index.read_bytes())["weight_map"].values()
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Usage(f"{index} has no weight_map.\nFetch the folder again, whole.") from error
    return {name for name in placed if isinstance(name, str) and re.fullmatch(r"[\w.\-]+\.safetensors", name)}


def _there(folder: Path, name: str) -> Path | None:
    path = folder / name
    return path if path.is_file() else None
