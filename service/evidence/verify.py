"""Does a report's zip prove what it says, without the service that made it? Every check by name, and what failed where.

The zip is a stranger's: sizes, counts and names are capped before anything is read, and nothing is unpacked to disk.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from service.contracts.base import Value, canonical_json, digest_of, digest_of_value
from service.evidence import dsse
from service.evidence.archive import NotABundle, is_as_packed, unpacked
from service.evidence.bundle import DRAWN, FORMS, FORMS_TYPE, SUMS, drawn_forms, written
from service.evidence.chain import Entry, raw
from service.evidence.figures import figures_not_measured
from service.evidence.heads import SignedHead, head_holds
from service.evidence.keys import key_id_of, signature_holds
from service.evidence.merkle import included
from service.evidence.statement import PREDICATE, TWIN
from service.evidence.succession import Succession, trusted_after

MOST_POINT_DIGESTS = 1000
SIGN_OFFS = "sign-offs.json"
SUCCESSIONS = "successions.json"
WRITTEN = {
    *("report.dsse.json", FORMS, "evidence/manifest.json", "events.json", "proofs.json", "head.json", "keys.json"),
    *(SIGN_OFFS, SUCCESSIONS),
}
PIECE = re.compile(r"evidence/(analyses/([0-9a-f-]{36})\.json|measurements/([0-9a-f-]{36})\.jsonl)")
FIXED = {TWIN, *DRAWN, *WRITTEN}
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a stranger's JSON can raise; pydantic's errors and ours are ValueErrors."""


class Cited(Value):
    """An event that the report cites: its number, what it says, and its leaf."""

    number: int
    entry: Entry
    leaf: str


CITED: TypeAdapter[list[Cited]] = TypeAdapter(list[Cited])
WORDS: TypeAdapter[list[Succession]] = TypeAdapter(Annotated[list[Succession], Field(max_length=1000)])


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. `passed` None: it could not be, and `said` tells why."""

    name: str
    passed: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Everything that was checked, in order."""

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing failed and something was proved."""
        return any(check.passed for check in self.checks) and all(check.passed is not False for check in self.checks)


@dataclass(slots=True)
class _Bundle:
    """The members of a zip, and what is read from them as the checks go on."""

    members: Mapping[str, bytes]
    as_packed: bool
    trusted: Mapping[str, bytes] | None
    keys: dict[str, bytes] = field(default_factory=dict)
    links: dict[int, Cited] = field(default_factory=dict)

    def json(self, name: str) -> Any:
        """A member as JSON. Raises NotABundle."""
        try:
            return json.loads(self.members[name])
        except (KeyError, ValueError, RecursionError) as error:
            raise NotABundle(f"{name} is missing or is no JSON") from error

    def signer(self) -> str:
        """The id of the key that signed the head of the log. Raises what UNREADABLE lists."""
        return SignedHead.model_validate(self.json("head.json")).key_id


def verify(content: bytes, trusted: Mapping[str, bytes] | None = None) -> Verification:
    """Check a report's zip. `trusted`: public keys (id -> raw bytes) known from elsewhere; None: none are.

    Raises NotABundle for what is no such zip.
    """
    bundle = _Bundle(unpacked(content), is_as_packed(content), trusted)
    checks: list[Check] = []
    for name, check in _CHECKS:
        try:
            faults = list(check(bundle))
        except UNREADABLE as error:
            faults = [f"it cannot be read: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"]
        said = legible("; ".join(faults[:20]) + _more(faults))
        if check is _sign_offs and not faults and SIGN_OFFS not in bundle.members:
            said = "the zip holds no signatures of people"
        checks.append(Check(name, not faults, said))
    return Verification((*checks, _whose_key(bundle)))


def _sums(bundle: _Bundle) -> Iterator[str]:
    listed = {}
    for line in bundle.members[SUMS].decode().splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    members = {name: content for name, content in bundle.members.items() if name != SUMS}
    for name in sorted(members.keys() | listed.keys()):
        if name not in members:
            yield f"{name} is listed and missing"
        elif name not in listed:
            yield f"{name} is there and not listed"
        elif hashlib.sha256(members[name]).hexdigest() != listed[name]:
            yield f"{name} was changed"
        elif name not in FIXED and not PIECE.fullmatch(name):
            yield f"{name} is no file of a report"
    if not listed:
        yield "nothing is listed"
    elif "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items())).encode() != bundle.members[SUMS]:
        yield f"{SUMS} is not in the form it was written in"
    if not bundle.as_packed:
        yield "the zip itself holds more than its files, or was packed again: ask for it as the service handed it out"


def _keys(bundle: _Bundle) -> Iterator[str]:
    rows = bundle.json("keys.json")
    for each in rows:
        public = bytes.fromhex(each["ed25519"])
        if {"id": key_id_of(public), "ed25519": public.hex()} != each:
            yield f"the key {each['id'][:80]} is not the key that is given for it"
        else:
            bundle.keys[each["id"]] = public
    if len(bundle.keys) != len(rows):
        yield "a key is given twice"
    words = WORDS.validate_python(bundle.json(SUCCESSIONS)) if SUCCESSIONS in bundle.members else []
    if bundle.trusted is not None:
        bundle.keys = trusted_after(bundle.trusted, words)
    else:
        every = trusted_after(bundle.keys, words)
        if any(not word.holds(every) for word in words):
            yield f"{SUCCESSIONS}: a key is said to follow one that did not vouch for it"
        # Whoever adds a key of their own to the zip must not sign with it beside the one that signed the log.
        bundle.keys = trusted_after({name: key for name, key in bundle.keys.items() if name == bundle.signer()}, words)
    if not bundle.keys:
        yield "there is no key to check signatures with"


def _twin(bundle: _Bundle) -> Iterator[str]:
    content = bundle.members[TWIN]
    if canonical_json(json.loads(content)) != content:
        yield "report.json is not in canonical form (RFC 8785): it was written again"


def _written_once(bundle: _Bundle) -> Iterator[str]:
    """JSON has many ways to write one value, and readers differ on odd ones: only ours is taken."""
    for name in sorted(WRITTEN & bundle.members.keys()):
        if written(json.loads(bundle.members[name])) != bundle.members[name]:
            yield f"{name} is not in the form it was written in"


def _statement(bundle: _Bundle) -> Iterator[str]:
    try:
        body, _ = dsse.opened(bundle.members["report.dsse.json"], bundle.keys)
    except dsse.NotSigned as error:
        yield str(error)
        return
    said = json.loads(body)
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in said["subject"]}
    if said["predicateType"] != PREDICATE:
        yield f"the statement's predicate is {said['predicateType']!r}"
    if subjects.get(TWIN) != digest_of(bundle.members[TWIN]).removeprefix("sha256:"):
        yield "the statement was signed for another report.json than this one"
    yield from _verdicts(said["predicate"], bundle.json(TWIN))


def _forms(bundle: _Bundle) -> Iterator[str]:
    """Page and document are what people look at: they must be the ones that were drawn when the twin was signed."""
    try:
        body, _ = dsse.opened(bundle.members[FORMS], bundle.keys, payload_type=FORMS_TYPE)
    except dsse.NotSigned as error:
        yield f"{FORMS}: {error}"
        return
    said, here = json.loads(body), json.loads(drawn_forms(bundle.members))
    if "report.json" not in said or said["report.json"] != digest_of(bundle.members[TWIN]):
        yield f"{FORMS} was signed for another report.json than this one"
    for name in DRAWN:
        if said.get(name) != here.get(name):
            yield f"{name} is not the one that was signed: it was changed, added or taken away"


def _verdicts(predicate: Mapping[str, Any], twin: Mapping[str, Any]) -> Iterator[str]:
    """What the statement says passed must be what the twin says is met."""
    met = {control["id"] for control in twin["controls"] if control["status"] == "met"}
    if set(predicate["passedTests"]) != met:
        odd = sorted(set(predicate["passedTests"]) ^ met)
        yield f"statement and report disagree on what is met: {', '.join(odd[:10])}"


def _head(bundle: _Bundle) -> Iterator[str]:
    head = SignedHead.model_validate(bundle.json("head.json"))
    if not head_holds(head, bundle.keys):
        yield "the signature of the log's head does not hold: head.json was changed, or another key signed it"
    shown = bundle.json(TWIN)["evidence"]["head"]
    if shown is None or (shown["root"], shown["size"]["value"]) != (head.head.root, head.head.size):
        yield "the head is not the one that the report names"


def _events(bundle: _Bundle) -> Iterator[str]:
    head = SignedHead.model_validate(bundle.json("head.json")).head
    proofs = bundle.json("proofs.json")
    paths = {proof["number"]: [bytes.fromhex(each) for each in proof["path"]] for proof in proofs}
    if [{"number": number, "path": [each.hex() for each in path]} for number, path in paths.items()] != proofs:
        yield "proofs.json holds more than proofs, each once"
    for link in CITED.validate_python(bundle.json("events.json")):
        if link.number in bundle.links:
            yield f"event {link.number} is given twice"
        bundle.links[link.number] = link
        if link.entry.tenant != head.tenant:
            yield f"event {link.number} is of another log"
        if link.entry.leaf() != link.leaf:
            yield f"event {link.number} was changed"
        elif link.number not in paths:
            yield f"event {link.number} has no proof"
        elif not included(raw(link.leaf), link.number, head.size, paths[link.number], raw(head.root)):
            yield f"event {link.number} is not proved to stand in the log that was signed"


def _documents(bundle: _Bundle) -> Iterator[str]:
    manifest = bundle.json("evidence/manifest.json")
    pieces = {piece["analysis"]: piece for piece in manifest}
    if len(pieces) != len(manifest):
        yield "evidence/manifest.json: an analysis is listed twice"
    for name in sorted(bundle.members):
        of = PIECE.fullmatch(name)
        if of and (of[2] or of[3]) not in pieces:
            yield f"{name} is of no analysis that the manifest lists"
    for analysis, piece in sorted(pieces.items()):
        document = bundle.members.get(f"evidence/analyses/{analysis}.json")
        if document is None:
            yield f"the evidence of analysis {analysis} is missing"
            continue
        if piece["event"] is None:
            yield f"analysis {analysis} has no event in the log yet"
            continue
        link = bundle.links.get(piece["event"])
        said = {} if link is None else link.entry.detail.get("evidence")
        bound = said if isinstance(said, dict) else {}
        if bound.get(f"analysis:{analysis}") != digest_of(document):
            yield f"evidence/analyses/{analysis}.json is not what the log says of it: it was changed"
        yield from _described(analysis, piece, document, link)
        yield from _points(bundle, analysis, bound.get(f"measurements:{analysis}"))
    rows = {row["analysis"]: row for row in bundle.json(TWIN)["evidence"]["analyses"]}
    for analysis in sorted(rows.keys() - pieces.keys()):
        if rows[analysis]["state"] == "succeeded":
            yield f"the report names analysis {analysis}, and the zip has no evidence of it"
    for analysis in sorted(rows.keys() & pieces.keys()):
        shown, piece = rows[analysis]["event_number"].get("value"), pieces[analysis]["event"]
        if piece is not None and shown != piece:
            yield f"report and manifest disagree on the event of analysis {analysis}"


def _described(analysis: str, piece: Mapping[str, Any], document: bytes, link: Cited | None) -> Iterator[str]:
    """The manifest must say of a piece what the piece says of itself."""
    row = json.loads(document)
    provenance = row["provenance"] or {}
    said = {
        "analysis": row["id"],
        "kind": row["kind"],
        "kind_version": row["kind_version"],
        "config_digest": row["parameters_digest"],
        "result_digest": digest_of(document),
        "seed": provenance.get("seed"),
        "environment_digest": digest_of_value(provenance["machine"]) if provenance else None,
        "leaf_hash": None if link is None else link.leaf,
        "event": None if link is None else link.number,
    }
    if piece.keys() != said.keys() | {"state"}:
        yield f"evidence/manifest.json: it says more of analysis {analysis}, or less, than it is made to"
    for name, value in said.items():
        if piece[name] != value:
            yield f"evidence/manifest.json: {name} of analysis {analysis} is not what its evidence says"
    if (row["reason"] is None) != (piece["state"] == "succeeded"):
        yield f"evidence/manifest.json: how analysis {analysis} ended is not what its evidence says"


def _points(bundle: _Bundle, analysis: str, bound: Any) -> Iterator[str]:
    name = f"evidence/measurements/{analysis}.jsonl"
    content = bundle.members.get(name, b"")
    lines = content.split(b"\n")[:-1]
    if b"".join(line + b"\n" for line in lines) != content:
        yield f"{name} does not end with a line's end: something was added or cut off"
    size = max(1, -(-len(lines) // MOST_POINT_DIGESTS))
    found = [digest_of(b"\n".join(lines[start : start + size])) for start in range(0, len(lines), size)]
    wanted = bound if isinstance(bound, list) else []
    if len(found) != len(wanted):
        yield f"{name} has not the number of measurements that the log says"
    for place, (one, other) in enumerate(zip(found, wanted, strict=False)):
        if one != other:
            yield f"{name}, line {place * size + 1}: the measurement is not what the log says of it: it was changed"


def _figures(bundle: _Bundle) -> Iterator[str]:
    """Every figure that a verdict rests on is the one that was measured."""
    points: dict[str, Mapping[str, Any]] = {}
    for name, content in bundle.members.items():
        if name.startswith("evidence/measurements/"):
            points |= {point["id"]: point for point in map(json.loads, content.splitlines())}
    yield from figures_not_measured(bundle.json(TWIN)["controls"], points)


def _sign_offs(bundle: _Bundle) -> Iterator[str]:
    if SIGN_OFFS not in bundle.members:
        return
    twin = digest_of(bundle.members[TWIN])
    signatures = [signed["signature"] for signed in bundle.json(SIGN_OFFS)]
    if len(set(signatures)) != len(signatures):
        yield "a sign-off is given twice"
    for place, signed in enumerate(bundle.json(SIGN_OFFS)):
        who = f"sign-off {place + 1} ({signed['step']} by {signed['name']})"
        body = canonical_json({name: value for name, value in signed.items() if name not in {"key_id", "signature"}})
        public = bundle.keys.get(signed["key_id"])
        if public is None or not signature_holds(public, signed["signature"], body):
            yield f"{who}: its signature does not hold"
        if signed["digest"] != twin:
            yield f"{who}: it is of another report"


def _whose_key(bundle: _Bundle) -> Check:
    name = "the key is one you know"
    if bundle.trusted is not None:
        try:
            signer = bundle.signer()
        except UNREADABLE:
            return Check(name, None, "the head of the log, which names the key, cannot be read")
        said = "checked with the key given"
        if signer not in bundle.keys:
            said = f"it was signed with {signer}, not with it"
        elif signer not in bundle.trusted:
            said = f"the key given vouched for {signer}, or for one that did"
        return Check(name, signer in bundle.keys, said)
    ids = ", ".join(sorted(bundle.keys)) or "none"
    said = f"the key came with the zip ({ids}): compare it with the one its service publishes, or give it with --key"
    return Check(name, None, said)


def legible(text: str) -> str:
    """A stranger's words as they can be printed: what moves a cursor or turns the writing around is spelled out."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _more(faults: Sequence[str]) -> str:
    return f"; and {len(faults) - 20} more" if len(faults) > 20 else ""


_CHECKS: tuple[tuple[str, Callable[[_Bundle], Iterator[str]]], ...] = (
    ("every file is the one that was packed", _sums),
    ("keys are what their ids say", _keys),
    ("the twin is in canonical form", _twin),
    ("every other list is in the form it was written in", _written_once),
    ("the statement is signed and speaks of this report", _statement),
    ("page and document are those that were signed", _forms),
    ("the head of the log is signed", _head),
    ("every cited event stands in that log", _events),
    ("all evidence is what the log says of it", _documents),
    ("every figure is the one that was measured", _figures),
    ("what people signed is this report", _sign_offs),
)
