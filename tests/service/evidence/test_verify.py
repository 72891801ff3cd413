"""Does a stranger's zip get an answer, whatever is in it? Nothing it holds ends the check but with a sentence."""

import io
import zipfile

import pytest

from service.evidence import archive as checks
from service.evidence.archive import NotABundle
from service.evidence.bundle import DRAWN, zipped
from service.evidence.verify import verify

NAMES = (
    "keys.json",
    "head.json",
    "proofs.json",
    "events.json",
    "report.dsse.json",
    "forms.dsse.json",
    "sign-offs.json",
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"[[]]",
        b'{"head": 1}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"1e999",
        b'[{"id": "x", "ed25519": "0"}]',
    ],
    ids=["empty", "null", "list", "nested", "object", "deep", "no text", "infinite", "odd key"],
)
def test_odd_members_fail_and_stop_nothing(content: bytes) -> None:
    found = verify(zipped({**dict.fromkeys(NAMES, content), "report.json": content, "evidence/manifest.json": content}))
    assert not found.holds
    assert found.checks[0].passed  # its sums are right, and prove nothing
    failed = {check.name for check in found.checks if check.passed is False}
    assert {"the statement is signed and speaks of this report", "the head of the log is signed"} <= failed


def test_a_report_without_anything_proves_nothing() -> None:
    found = verify(zipped({"report.json": b"{}"}))
    assert not found.holds
    assert [check.passed for check in found.checks if check.name == "the key is one you know"] == [None]


@pytest.mark.parametrize(
    ("most", "value", "said"), [("MOST_MEMBERS", 2, "3 members"), ("MOST_BYTES", 10, "bytes unpacked")]
)
def test_more_than_a_report_may_hold_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch, most: str, value: int, said: str
) -> None:
    monkeypatch.setattr(checks, most, value)
    with pytest.raises(NotABundle, match=said):
        verify(zipped({"report.json": b"{}" * 10, **dict.fromkeys(DRAWN[:1], b"x")}))


def test_two_members_of_one_name_are_refused() -> None:
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("report.json", b"{}")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("report.json", b"[]")
    with pytest.raises(NotABundle, match="two members have one name"):
        verify(twice.getvalue())
