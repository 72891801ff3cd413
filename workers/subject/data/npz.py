"""How does a customer's `.npz` become examples? A zip of `.npy` arrays, directory and every header checked first."""

from dataclasses import replace
from pathlib import Path

from service.contracts.facts import DatasetFacts
from workers.subject.archive import Archive, opened
from workers.subject.data.arrays import check_shapes, found, missing, wanted
from workers.subject.data.found import Array, Found
from workers.subject.data.limits import NPZ_MEMBERS
from workers.subject.data.npy import Header, header_of
from workers.subject.data.told import ZIP_CAPS

CAPS = replace(ZIP_CAPS, members=NPZ_MEMBERS)


def read(source: Path, facts: DatasetFacts) -> Found:
    """The declared arrays of the `.npz` at `source`. Raises Refusal."""
    names = wanted(facts)
    with opened(source, CAPS, "an .npz file") as archive:
        for name in names:
            if f"{name}.npy" not in archive.sizes:
                raise missing(name, [member.removesuffix(".npy") for member in archive.sizes], facts)
        headers = {name: _header(archive, name) for name in names}
        check_shapes({name: header.shape for name, header in headers.items()}, facts)
        unread = [name for name in archive.sizes if name.removesuffix(".npy") not in names]
        return found(lambda name: _array(archive, name, headers[name]), facts, unread)


def _header(archive: Archive, name: str) -> Header:
    member = f"{name}.npy"
    return header_of(name, next(archive.chunks(member), b""), archive.sizes[member])


def _array(archive: Archive, name: str, header: Header) -> Array:
    content = bytearray(archive.sizes[f"{name}.npy"])
    at = 0
    for chunk in archive.chunks(f"{name}.npy"):
        content[at : at + len(chunk)] = chunk
        at += len(chunk)
    return header.array(content)
