"""What does the service itself know? Its log, slots, exceptions, statements of people, and what datasets share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.compliance.assess import Found
from service.contracts.compliance import Evidence, Requirement, Source, Why
from service.contracts.provenance import Overlap

LONGEST_EXCEPTION = timedelta(days=180)
LONGEST_RUN = timedelta(days=1)
MOST_HOLDS = 3


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
    """A statement of a person on a control; `document`: what it rests on, by title or digest."""

    control: str
    who: str
    role: str
    statement: str
    at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None
    document: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """An exception that was granted. `independent`: by a person other than the one who asked for it."""

    control: str
    starts_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None
    renewed: bool
    independent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An audit that was due by a schedule: begun, closed, and whether any of its analyses gave an outcome."""

    nominal_at: datetime
    started: bool = False
    closed_at: datetime | None = None
    gave: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A legal hold in force. `on`: the model, or the audit, in words."""

    on: str
    placed_by: str
    placed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Everything that the service's own sources answer from, as of one time.

    `slots`: audits that were due in the window. `controls`: how many are assessed. `approved`: when and by whom an
    earlier report was approved last. `shared`: of the evaluation data of the newest analysis that saw training data.
    `holds`: in force then.
    """

    window_from: datetime
    as_of: datetime
    ledger: LedgerFacts
    slots: Sequence[Due] = ()
    exceptions: Sequence[Granted] = ()
    controls: int = 1
    statements: Sequence[Stated] = ()
    approved: tuple[datetime, str] | None = None
    unfounded_thresholds: int = 0
    shared: tuple[datetime, Overlap] | None = None
    holds: Sequence[Kept] = ()


def own_answer(requirement: Requirement, control: str, own: Own) -> Found:
    """What the service knows to answer a requirement of one of its own sources."""
    answers = {
        "statement_current": lambda: _statement(requirement, control, own),
        "independent_signature": lambda: _signature(own),
        "scheduled_completed_share": lambda: _schedule(own),
        "shared_examples": lambda: _shared(own),
        "invalid_waivers": lambda: _waivers(own),
        "thresholds_without_rationale": lambda: _thresholds(own),
    }
    if requirement.metric in answers:
        return answers[requirement.metric]()
    count = {
        "chain_breaks": own.ledger.chain_breaks,
        "digest_mismatches": own.ledger.digest_mismatches,
        "unaccounted_runs": own.ledger.unaccounted_runs,
        "retention_violations": own.ledger.retention_violations,
    }[requirement.metric]
    said = own.ledger.said if count else ""
    if requirement.metric == "retention_violations":
        said = "; ".join(filter(None, (_holds(own), said)))[:4000]
    # One check of everything: how much there was to check grows while a report is made, and is no part of it.
    return _found("ledger", requirement.metric, count, at=own.as_of, said=said)


def _holds(own: Own) -> str:
    """What may not be given up, the oldest holds first."""
    if not own.holds:
        return ""
    named = [f"{each.on}, since {each.placed_at:%Y-%m-%d} by {each.placed_by}" for each in own.holds[:MOST_HOLDS]]
    more = len(own.holds) - MOST_HOLDS
    return f"under legal hold: {'; '.join(named)}{f'; and {more} more' if more > 0 else ''}"


def _statement(requirement: Requirement, control: str, own: Own) -> Found:
    """The last statement that was not taken back; one that has run out is stale, as any evidence."""
    standing = [
        each
        for each in own.statements
        if each.control == control and each.at < own.as_of
        if each.withdrawn_at is None or each.withdrawn_at > own.as_of
    ]
    if not standing:
        return Found(missing=Why.NONE)
    fitting = [each for each in standing if each.document or requirement.config.get("document") != "linked"]
    if not fitting:
        return Found(missing=Why.CONFIG_MISMATCH)
    last = max(fitting, key=lambda each: (each.at, each.who))
    on = f", on {last.document}" if last.document else ""
    said = f"stated by {last.who} ({last.role}) on {last.at:%Y-%m-%d}{on}: {last.statement}"
    found = _found("attestation", "statement_current", 1, at=last.at, said=said[:4000])
    return replace(found, until=last.expires_at)


def _signature(own: Own) -> Found:
    if own.approved is None:
        return Found(missing=Why.NONE)
    at, who = own.approved
    return _found("attestation", "independent_signature", 1, at=at, said=f"{who} approved a report on {at:%Y-%m-%d}")


def _schedule(own: Own) -> Found:
    """An audit is carried out once it has closed with an outcome; one begun within the last day may still be at it."""
    begun = [each for each in own.slots if not _still_running(each, own.as_of)]
    if not begun:
        return Found(missing=Why.NONE)
    done = sum(each.gave and each.closed_at is not None and each.closed_at < own.as_of for each in begun)
    running = len(own.slots) - len(begun)
    said = f"{done} of {len(begun)} audits due in the window were carried out"
    said += f"; {running} more still ran at its end" if running else ""
    return _found("schedule", "scheduled_completed_share", done / len(begun), at=own.as_of, said=said, n=len(begun))


def _still_running(due: Due, as_of: datetime) -> bool:
    open_then = due.closed_at is None or due.closed_at >= as_of
    return open_then and due.started and due.nominal_at > as_of - LONGEST_RUN


def _shared(own: Own) -> Found:
    if own.shared is None:
        return Found(missing=Why.NONE)
    at, overlap = own.shared
    said = f"{overlap.shared} of {overlap.examples} examples of {overlap.role} also stand in {overlap.other}"
    return _found("dataset", "shared_examples", overlap.shared, at=at, said=said, n=overlap.examples)


def _waivers(own: Own) -> Found:
    bad = [f"{each.control} ({fault})" for each in own.exceptions if (fault := _fault(each, own))]
    held = sum(_in_force(each, own.as_of) for each in own.exceptions)
    said = f"{held} exceptions are in force; {', '.join(bad) if bad else 'none is invalid'}"
    return _found("waiver", "invalid_waivers", len(bad), at=own.as_of, said=said[:4000], n=own.controls)


def _fault(each: Granted, own: Own) -> str:
    """What is wrong with an exception in force, or with how one ended in the window; empty: nothing."""
    lapsed = own.window_from <= each.expires_at <= own.as_of and each.withdrawn_at is None
    if lapsed and not each.renewed:
        return f"expired on {each.expires_at:%Y-%m-%d}, neither renewed nor withdrawn"
    if not _in_force(each, own.as_of):
        return ""
    if not each.independent:
        return "not granted by another person"
    return f"longer than {LONGEST_EXCEPTION.days} days" if each.expires_at - each.starts_at > LONGEST_EXCEPTION else ""


def _in_force(each: Granted, as_of: datetime) -> bool:
    withdrawn = each.withdrawn_at is not None and each.withdrawn_at <= as_of
    return each.starts_at <= as_of < each.expires_at and not withdrawn


def _thresholds(own: Own) -> Found:
    said = "every threshold that the policy sets has an owner and a reason" if not own.unfounded_thresholds else ""
    return _found(
        "ledger", "thresholds_without_rationale", own.unfounded_thresholds, at=own.as_of, said=said, n=own.controls
    )


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
