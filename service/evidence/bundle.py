"""What does an auditor carry away? A zip with the report, the evidence behind it, and proofs that need no service.

report.json report.html report.pdf   the twin, and what was drawn from it
report.dsse.json                     the signed in-toto statement about the twin
forms.dsse.json                      the digests of page and document, signed: they are what people look at
evidence/manifest.json               every piece of evidence: what, where, digests, place in the log
evidence/analyses/ID.json            the very bytes whose digest the log holds
evidence/measurements/ID.jsonl       an analysis' numbers, one a line, as the log's digests have them
events.json proofs.json head.json    the cited events, their inclusion proofs, the signed head of the log
sign-offs.json                       what people signed, once they have
successions.json                     which keys vouched for which, once one has retired
keys.json SHA256SUMS
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from service.contracts.base import canonical_json, digest_of
from service.evidence.chain import Link
from service.evidence.heads import SignedHead
from service.evidence.statement import TWIN
from service.evidence.succession import Succession

SUMS = "SHA256SUMS"
FORMS = "forms.dsse.json"
DRAWN = ("report.html", "report.pdf")
FORMS_TYPE = "application/vnd.lamina.forms+json"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold: equal contents are to give equal bytes."""
MODE = 0o644 << 16
"""A plain file, written by its owner and read by all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One analysis as evidence: the bytes that the log binds, and what the manifest says of it."""

    analysis: str
    document: bytes
    points: Sequence[bytes]
    event: int | None
    about: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Where an event stands in the log, and the path from it to the signed head (hexadecimal, from its sibling up)."""

    number: int
    path: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that goes into the zip. `files`: report.json and its other forms by name."""

    files: Mapping[str, bytes]
    pieces: Sequence[Piece]
    events: Sequence[Link]
    proofs: Sequence[Proof]
    head: SignedHead
    public_keys: Mapping[str, bytes]


def packed(contents: Contents) -> bytes:
    """The zip's bytes; equal contents give equal bytes."""
    manifest = [{**piece.about, "analysis": piece.analysis, "event": piece.event} for piece in contents.pieces]
    members = {
        **contents.files,
        "evidence/manifest.json": written(manifest),
        **{f"evidence/analyses/{piece.analysis}.json": piece.document for piece in contents.pieces},
        **{
            f"evidence/measurements/{piece.analysis}.jsonl": b"".join(point + b"\n" for point in piece.points)
            for piece in contents.pieces
            if piece.points
        },
        # The chain's hash is proved by its neighbours, which stay behind; the leaf is proved by the tree.
        "events.json": written([link.model_dump(mode="json", exclude={"chain_hash"}) for link in contents.events]),
        "proofs.json": written([{"number": proof.number, "path": list(proof.path)} for proof in contents.proofs]),
        "head.json": written(contents.head.model_dump(mode="json")),
        "keys.json": written(
            [{"id": name, "ed25519": public.hex()} for name, public in sorted(contents.public_keys.items())]
        ),
    }
    return zipped(members)


def drawn_forms(files: Mapping[str, bytes]) -> bytes:
    """What is signed of the page and the document: their digests beside the twin's (RFC 8785)."""
    return canonical_json({name: digest_of(files[name]) for name in (TWIN, *DRAWN) if name in files})


def handed_out(
    bundle: bytes, sign_offs: Sequence[Mapping[str, JsonValue]], successions: Sequence[Succession] = ()
) -> bytes:
    """The zip with what people signed since it was made, and the keys' words for one another; without any as it is."""
    since = {
        "sign-offs.json": [dict(each) for each in sign_offs],
        "successions.json": [each.model_dump(mode="json") for each in successions],
    }
    if not sign_offs and not successions:
        return bundle
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != SUMS}
    return zipped({**members, **{name: written(content) for name, content in since.items() if content}})


def written(value: Any) -> bytes:
    """JSON for people and machines: sorted, indented, and the same for the same value."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()


def sums_of(members: Mapping[str, bytes]) -> bytes:
    """Digests of all members, as `sha256sum -c` reads them."""
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(members.items()))
    return "".join(lines).encode()


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Members and their sums as a zip: names in order, times fixed."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in _in_order({**members, SUMS: sums_of(members)}):
            about = zipfile.ZipInfo(name, EPOCH)
            about.external_attr, about.create_system = MODE, 3  # Unix, wherever we run
            stored = name.endswith((".pdf", ".png"))  # compressed already
            about.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(about, content, compresslevel=None if stored else 3)
    return target.getvalue()


def _in_order(members: Mapping[str, bytes]) -> Iterable[tuple[str, bytes]]:
    """The report first, so that a reader who lists the zip sees it first."""
    return sorted(members.items(), key=lambda member: ("/" in member[0], member[0]))
