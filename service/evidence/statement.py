"""How do other tools read a report's verdicts? As an in-toto Statement with the predicate test-result, version 0.1.

A control that is met passed, one that is not met failed; one that is waived, stale or without enough evidence warned;
one that does not apply is left out. The predicate has no place for values, times or "unknown": those are in the twin,
which the statement names by digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.contracts.base import canonical_json

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
TWIN = "report.json"
LEFT_OUT = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one control came to: its id, the word of its status, and whether it is waived."""

    control: str
    status: str
    waived: bool = False

    @property
    def list_name(self) -> str | None:
        """Which list of the predicate it belongs to; None: to none."""
        if self.status == LEFT_OUT:
            return None
        if self.status == "met":
            return "passedTests"
        return "failedTests" if self.status == "not_met" and not self.waived else "warnedTests"


def statement(
    *,
    twin_digest: str,
    models: Mapping[str, str],
    results: Sequence[Result],
    configuration: Mapping[str, str],
    timestamp: str,
) -> bytes:
    """The statement's bytes (RFC 8785).

    `models`: name -> digest of what was assessed; `configuration`: name -> digest of policy, library, data;
    `timestamp`: RFC 3339, an extension that some verifiers ask for.
    """
    lists = {name: [one.control for one in results if one.list_name == name] for name in _LISTS}
    document: dict[str, Any] = {
        "_type": STATEMENT,
        "subject": [
            {"name": TWIN, "digest": {"sha256": _hex(twin_digest)}},
            *({"name": name, "digest": {"sha256": _hex(digest)}} for name, digest in sorted(models.items())),
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "result": _overall(lists),
            "configuration": [
                {"name": name, "digest": {"sha256": _hex(digest)}} for name, digest in sorted(configuration.items())
            ],
            **{name: sorted(found) for name, found in lists.items()},
            "timestamp": timestamp,
        },
    }
    return canonical_json(document)


_LISTS = ("passedTests", "warnedTests", "failedTests")


def _overall(lists: Mapping[str, Sequence[str]]) -> str:
    if lists["failedTests"]:
        return "FAILED"
    # Nothing assessed is no pass: silence must not read as one.
    return "WARNED" if lists["warnedTests"] or not lists["passedTests"] else "PASSED"


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
