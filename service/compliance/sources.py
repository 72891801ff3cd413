"""What does the service itself know? Its log, slots, exceptions, statements of people, and what datasets share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.compliance.assess import Found
from service.contracts.compliance import Evidence, Requirement, Source, Why
from service.contracts.provenance import Overlap

LONGEST_EXCEPTION = timedelta(days=180)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFacts:
    """What checking the log gave, counted; `said` names what was found, for the report."""

    chain_breaks: int
    digest_mismatches: int
    unaccounted_runs: int
    retention_violations: int
    checked: int
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A statement of a person on a control."""

    control: str
    who: str
    role: str
    statement: str
    at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """An exception in force: how long it was granted for, and whether who asked for it granted it."""

    control: str
    length: timedelta
    self_granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Everything that the service's own sources answer from, as of one time.

    `slots`: state -> how many were due in the window; None: the model has no schedule. `approved`: when and by whom an
    earlier report was approved last. `shared`: of the evaluation data of the model's newest analysis that saw both.
    """

    as_of: datetime
    ledger: LedgerFacts
    slots: Mapping[str, int] | None
    exceptions: Sequence[InForce]
    statements: Sequence[Stated]
    approved: tuple[datetime, str] | None
    unfounded_thresholds: int
    shared: tuple[datetime, Overlap] | None


def own_answer(requirement: Requirement, control: str, own: Own) -> Found:
    """What the service knows to answer a requirement of one of its own sources."""
    answers = {
        "statement_current": lambda: _statement(control, own),
        "independent_signature": lambda: _signature(own),
        "scheduled_completed_share": lambda: _schedule(own),
        "shared_examples": lambda: _shared(own),
        "invalid_waivers": lambda: _waivers(own),
    }
    if requirement.metric in answers:
        return answers[requirement.metric]()
    count = {
        "chain_breaks": own.ledger.chain_breaks,
        "digest_mismatches": own.ledger.digest_mismatches,
        "unaccounted_runs": own.ledger.unaccounted_runs,
        "retention_violations": own.ledger.retention_violations,
        "thresholds_without_rationale": own.unfounded_thresholds,
    }[requirement.metric]
    said = own.ledger.said if requirement.source == "ledger" else ""
    return _found(requirement.source, requirement.metric, count, at=own.as_of, said=said)


def _statement(control: str, own: Own) -> Found:
    every = [each for each in own.statements if each.control == control and each.at < own.as_of]
    if not every:
        return Found(missing=Why.NONE)
    last = max(every, key=lambda each: (each.at, each.who))
    withdrawn = last.withdrawn_at is not None and last.withdrawn_at <= own.as_of
    current = last.expires_at > own.as_of and not withdrawn
    state = "" if current else ", withdrawn since" if withdrawn else f", expired on {last.expires_at:%Y-%m-%d}"
    said = f"stated by {last.who} ({last.role}) on {last.at:%Y-%m-%d}{state}: {last.statement}"
    return _found("attestation", "statement_current", int(current), at=last.at, said=said[:4000])


def _signature(own: Own) -> Found:
    if own.approved is None:
        return Found(missing=Why.NONE)
    at, who = own.approved
    return _found("attestation", "independent_signature", 1, at=at, said=f"{who} approved a report on {at:%Y-%m-%d}")


def _schedule(own: Own) -> Found:
    if not own.slots or not (due := sum(own.slots.values())):
        return Found(missing=Why.NONE)
    done = own.slots.get("started", 0)
    said = f"{done} of {due} slots were carried out"
    return _found("schedule", "scheduled_completed_share", done / due, at=own.as_of, said=said, n=due)


def _shared(own: Own) -> Found:
    if own.shared is None:
        return Found(missing=Why.NONE)
    at, overlap = own.shared
    said = f"{overlap.shared} of {overlap.examples} examples of {overlap.role} also stand in {overlap.other}"
    return _found("dataset", "shared_examples", overlap.shared, at=at, said=said, n=overlap.examples)


def _waivers(own: Own) -> Found:
    bad = [each.control for each in own.exceptions if each.self_granted or each.length > LONGEST_EXCEPTION]
    said = f"of {len(own.exceptions)} exceptions in force: {', '.join(bad) if bad else 'none is invalid'}"
    return _found("waiver", "invalid_waivers", len(bad), at=own.as_of, said=said)


def _found(source: Source, metric: str, value: float, *, at: datetime, said: str = "", n: int = 1) -> Found:
    return Found(evidence=Evidence(source=source, metric=metric, value=float(value), n=n, at=at, said=said), attempts=1)


def newest_overlap(found: Iterable[tuple[datetime, Sequence[Overlap]]]) -> tuple[datetime, Overlap] | None:
    """Of analyses (end, overlaps), the newest that saw evaluation and training data together."""
    pairs = [
        (at, overlap)
        for at, overlaps in found
        for overlap in overlaps
        if (overlap.role, overlap.other) == ("evaluation", "training")
    ]
    return max(pairs, key=lambda pair: pair[0], default=None)
