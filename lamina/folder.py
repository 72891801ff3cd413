"""How does a folder of images become one file? A zip whose bytes depend on the names and the contents alone."""

import zipfile
from pathlib import Path

from lamina.failure import Usage

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
LABELS = "labels.csv"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def packed(folder: Path, target: Path) -> int:
    """Writes the images below `folder`, and its labels.csv, to the zip `target`; how many images. Raises Usage.

    Equal folders give equal bytes: names in order, dated 1980, stored. Links and hidden files are left out.
    """
    files = sorted(_wanted(folder), key=lambda file: file.relative_to(folder).as_posix())
    images = sum(file.name != LABELS for file in files)
    if not images:
        raise Usage(f"{folder} holds no image ({', '.join(SUFFIXES)})")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _EPOCH)
            info.create_system, info.external_attr = 3, 0o600 << 16
            archive.writestr(info, file.read_bytes())
    return images


def _wanted(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(
            part.is_symlink() for part in (path, *path.parents) if part.is_relative_to(folder) and part != folder
        )
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and (path.suffix.lower() in SUFFIXES or path == folder / LABELS)
    ]
