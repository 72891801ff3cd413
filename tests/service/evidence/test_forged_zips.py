"""What can be put into a report's zip, or around it, that was never there? Nothing that still holds."""

import io
import json
import random
import zipfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from service.clock import FixedClock
from service.contracts.base import canonical_json, digest_of
from service.contracts.outcome import Measurement
from service.evidence.archive import NotABundle, unpacked
from service.evidence.bundle import handed_out, written, zipped
from service.evidence.keys import SigningKeys
from service.evidence.succession import vouched
from service.evidence.verify import Verification, verify
from service.store.database import Database
from tests.service.work.office import an_office

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]
FORGER = SigningKeys.made()


@pytest.fixture
def bundle(database: Database, clock: FixedClock, tenant: UUID, principal: UUID, tmp_path: Path) -> bytes:
    """The zip of a report over one audit, with what one person signed."""
    office = an_office(database, clock, tenant, principal, tmp_path)
    begin = clock.now()
    model, dataset = office.ready_pair()
    office.measure(model, dataset, "accuracy", Measurement(metric="clean_accuracy", value=0.95, n=2000))
    clock.advance(timedelta(days=1))
    report = office.ask("net", begin, clock.now())
    assert office.make_reports() == 1
    packed = office.file(report, "report.zip")
    return handed_out(packed, [signed(office.keys, unpacked(packed)["report.json"], "submitted", "Ann")])


def signed(keys: SigningKeys, twin: bytes, step: str, name: str) -> dict[str, str]:
    said = {"digest": digest_of(twin), "step": step, "name": name}
    return {**said, "key_id": keys.key_id, "signature": keys.sign(canonical_json({**said}))}


def whole(bundle: bytes) -> dict[str, bytes]:
    return {name: content for name, content in unpacked(bundle).items() if name != "SHA256SUMS"}


def faults(found: Verification) -> str:
    return " | ".join(check.said for check in found.checks if check.passed is False)


def test_nothing_more_than_was_packed_passes_for_a_part_of_the_report(bundle: bytes) -> None:
    assert verify(bundle).holds
    files = whole(bundle)
    analysis = next(name for name in files if name.startswith("evidence/analyses/"))
    other = analysis.replace(analysis[-10:-5], "00000")
    for name, said in {
        "report-signed.html": "report-signed.html is no file of a report",
        "../../etc/cron.d/x": "../../etc/cron.d/x is no file of a report",
        "Report.html": "Report.html is no file of a report",
        "evidence/": "evidence/ is no file of a report",
        other: f"{other} is of no analysis that the manifest lists",
        "\x1b[2Kholds": "\\x1b[2Kholds is no file of a report",
    }.items():
        assert said in faults(verify(zipped({**files, name: b"{}"}))), name


def test_a_zip_that_can_be_read_in_two_ways_does_not_hold(bundle: bytes) -> None:
    commented = io.BytesIO(bundle)
    with zipfile.ZipFile(commented, "a") as archive:
        archive.comment = b"approved"
    link = bundle.replace((0o644 << 16).to_bytes(4, "little"), (0o120777 << 16).to_bytes(4, "little"), 1)
    page = zipped({"report.html": b"<h1>all is met</h1>"})
    forged = {"before": page + bundle, "behind": bundle + b"!", "comment": commented.getvalue(), "a link": link}
    for what, content in forged.items():
        assert content != bundle, what
        assert "the zip itself holds more than its files" in faults(verify(content)), what


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_no_other_packing_is_unpacked(bundle: bytes, method: int) -> None:
    again = io.BytesIO()
    with zipfile.ZipFile(again, "w", method) as archive:
        for name, content in unpacked(bundle).items():
            archive.writestr(name, content)
    with pytest.raises(NotABundle, match="packed in a way that reports never are"):
        verify(again.getvalue())


def test_lists_that_say_a_thing_twice_or_more_than_they_are_made_to_do_not_hold(bundle: bytes) -> None:
    files = whole(bundle)
    read = {name: json.loads(files[name]) for name in files if name.endswith(".json") and name != "report.json"}
    (row,) = read["evidence/manifest.json"]
    envelope = read["report.dsse.json"]
    also = {"keyid": FORGER.key_id, "sig": FORGER.sign(b"anything")}
    for name, value, said in (
        ("evidence/manifest.json", [row | {"kind": "robustness"}, row], "an analysis is listed twice"),
        ("evidence/manifest.json", [row | {"seen_by": "a notified body"}], "it says more of analysis"),
        ("events.json", read["events.json"] * 2, "is given twice"),
        ("sign-offs.json", read["sign-offs.json"] * 2, "a sign-off is given twice"),
        ("keys.json", read["keys.json"] * 2, "a key is given twice"),
        ("keys.json", [read["keys.json"][0] | {"owner": "a notified body"}], "is not the key that is given for it"),
        ("report.dsse.json", envelope | {"signatures": [*envelope["signatures"], also]}, "or by another beside it"),
    ):
        assert said in faults(verify(zipped({**files, name: written(value)}))), (name, said)


def test_a_key_that_was_added_to_the_zip_signs_nothing_in_it(bundle: bytes) -> None:
    files = whole(bundle)
    own = json.loads(files["keys.json"])
    both = sorted([*own, {"id": FORGER.key_id, "ed25519": FORGER.public.hex()}], key=lambda key: str(key["id"]))
    forged = signed(FORGER, files["report.json"], "approved", "an auditor")
    added = {**files, "keys.json": written(both), "sign-offs.json": written([forged])}
    assert "its signature does not hold" in faults(verify(zipped(added)))
    # The forger's key may say what it likes of the service's own: that does not make it one of the service's.
    word = vouched(FORGER, bytes.fromhex(own[0]["ed25519"]), 0).model_dump(mode="json")
    assert "its signature does not hold" in faults(verify(zipped({**added, "successions.json": written([word])})))


def test_no_change_of_a_zip_at_random_holds_or_stops_the_check(bundle: bytes) -> None:
    draw = random.Random(7)
    for _ in range(200):
        changed = mutated(bundle, draw)
        try:
            found = verify(changed)
        except NotABundle:
            continue
        assert not found.holds or same(changed, bundle), faults(found)


def mutated(bundle: bytes, draw: random.Random) -> bytes:
    """Bytes changed anywhere or among the tables, the ends cut off, or something put in."""
    content = bytearray(bundle)
    match draw.randrange(4):
        case 0:
            for _ in range(draw.choice((1, 3))):
                content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
        case 1:
            for _ in range(draw.choice((1, 3))):
                content[-draw.randrange(1, 1200)] ^= draw.randrange(1, 256)
        case 2:
            del content[: draw.randrange(1, len(content))]
        case _:
            at = draw.randrange(len(content) + 1)
            content[at:at] = draw.randbytes(draw.randrange(1, 40))
    return bytes(content)


def same(one: bytes, other: bytes) -> bool:
    """Whether two zips hold the same: deflate leaves a few bits of its last byte to chance."""

    def members(content: bytes) -> Mapping[str, bytes]:
        return unpacked(content)

    return members(one) == members(other)
