"""What do all exports start from? The stored twin with its digest, read one way: ids, exact numbers, what was measured.

An export says nothing that the twin does not. It is not signed: the twin is, and its digest stands in every export.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from service.contracts.base import digest_of
from service.contracts.section import Blank, Cell, Number
from service.report.compliance.front import ControlResult, EvidenceLink, RequirementResult
from service.report.compliance.twin import ComplianceReport, read

NAMESPACE = "urn:lamina:exchange:1"
NOT_SIGNED = (
    "Derived from a signed report and not signed itself. The report is the record; the digest names its JSON twin."
)
HASHED = "sha256:"
MARKS = "\\`*_[]<>&#|~"
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
Maybe = Number | Blank


@dataclass(frozen=True, slots=True)
class Master:
    """A stored twin, and the digest of its very bytes: what people signed."""

    report: ComplianceReport
    digest: str

    def id_of(self, *what: object) -> str:
        """The same UUID (version 5) for the same thing of the same report, whenever it is exported."""
        name = "/".join(map(str, (self.report.identity.report, *what)))
        return str(uuid5(uuid5(NAMESPACE_URL, NAMESPACE), name))


@dataclass(frozen=True, slots=True)
class Answer:
    """A requirement that something answered, where it stands in its control."""

    control: ControlResult
    place: int
    requirement: RequirementResult
    evidence: EvidenceLink

    @property
    def until(self) -> datetime | None:
        """When this evidence is too old for what is asked; None where that is beyond the calendar."""
        try:
            return self.evidence.at.at + timedelta(days=self.requirement.fresh.value)
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class Value:
    """A number that a requirement rests on, the word for it, and how it is to be taken."""

    answer: Answer
    word: str
    number: Number
    remark: str

    @property
    def n(self) -> str | None:
        """How many examples it is over; how many analyses, where these are added up."""
        return number(self.answer.requirement.n)

    @property
    def where(self) -> str:
        """What it was measured on and how it is to be taken, in a line."""
        asked, found = self.answer.requirement, self.answer.evidence
        parts = [
            f"data {found.dataset}" if found.dataset else "",
            f"layer {found.layer}" if found.layer else "",
            found.facets,
            f"kind {found.kind}" if found.kind else "",
            f"n = {self.n}" if self.n else "n is not known",
            f"measured {found.at.at:%Y-%m-%d}",
            self.remark,
            f"{self.answer.control.id}: {asked.status}",
        ]
        return line("; ".join(part for part in parts if part))


def master(content: bytes) -> Master:
    """A twin as it is stored. Raises pydantic's ValidationError for anything else."""
    return Master(read(content), digest_of(content))


def answers(report: ComplianceReport) -> Iterator[Answer]:
    """Every requirement that evidence answers, in the order of the report."""
    for control in report.controls:
        for place, requirement in enumerate(control.requirements, start=1):
            if requirement.evidence is not None:
                yield Answer(control, place, requirement, requirement.evidence)


def published(report: ComplianceReport) -> Iterator[Value]:
    """Every number that may stand as a result of the model: measured, and evidence enough.

    What is compared with something else is told as it was measured, and as it was compared. Insufficient evidence is
    left out: a place that holds a number alone cannot say why it does not count.
    """
    for answer in answers(report):
        asked, found = answer.requirement, answer.evidence
        if found.source != "measurement" or asked.status not in {"met", "not_met", "stale"}:
            continue
        if isinstance(found.measured, Number) and not found.added:
            yield Value(answer, asked.word, found.measured, "its interval is that of the compared value")
        if isinstance(asked.value, Number):
            compared = f", {asked.relative_to}" if asked.relative_to else ""
            yield Value(answer, f"{asked.word}{compared}", asked.value, "added up" if found.added else "")


def written(value: float) -> str:
    """A number so that reading it gives the same number: unlike a display, nothing is rounded."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def number(cell: Maybe | Cell) -> str | None:
    """The exact value of a cell, if it has one."""
    return written(cell.value) if isinstance(cell, Number) else None


def interval(cell: Maybe) -> tuple[str, str] | None:
    """Both ends of the interval, if it has one."""
    if isinstance(cell, Number) and cell.low is not None and cell.high is not None:
        return written(cell.low), written(cell.high)
    return None


def stamp(at: datetime) -> str:
    """A time as RFC 3339 writes it, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def line(text: str) -> str:
    """Text on one line, of the characters that JSON, YAML and XML can all hold."""
    return "".join(letter for letter in " ".join(text.split()) if not UNWRITABLE.match(letter))


def prose(text: str) -> str:
    """Text where a reader expects Markdown: what a person wrote stays words, and becomes neither markup nor a link."""
    return "".join("\\" + letter if letter in MARKS else letter for letter in line(text)) or "(nothing is said)"


def hexadecimal(digest: str) -> str:
    """The digits of a digest."""
    return digest.removeprefix(HASHED)


def urn(identifier: str) -> str | None:
    """A URN for an id of the service; None for an id that is no UUID."""
    try:
        return UUID(identifier).urn
    except ValueError:
        return None
