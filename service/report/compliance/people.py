"""What did people decide and state, and who must sign? Exceptions, attestations, sign-off: names and dates."""

from datetime import datetime

from service.report.compliance import wording
from service.report.compliance.back import (
    AttestationRow,
    Attestations,
    Exceptions,
    SignOff,
    SignStep,
    WaiverRow,
)
from service.report.compliance.given import AttestationGiven, Given, Signer, WaiverGiven
from service.report.twin import moment

WAIVED = (
    "An exception never changes a status: a waived control is counted with what its evidence shows. Exceptions end by"
    " themselves at the time given."
)
NO_WAIVERS = "Nobody asked for an exception that bears on this model and window."
STATED = (
    "These are statements of named persons: attested, not measured. The service checked that somebody made them and"
    " that they are still current, not that they are true."
)
NO_STATEMENTS = "Nobody stated anything on this model: controls that ask for a statement have no evidence."
SIGNING = (
    "This twin was made before anybody signed it. Signatures name its digest and are kept beside it: the report page of"
    " the service and the zip show them. Whoever signs any other digest signs another report."
)
DEFAULT_SIGNERS = (
    Signer(step="prepared", who="the person who asked for the report", rule="Says that it is complete."),
    Signer(
        step="reviewed",
        who="a person who did not run the audits",
        rule="Has read failures, exceptions and what was not assessed.",
    ),
    Signer(
        step="approved",
        who="a person who neither prepared the report nor ran the audits",
        rule="Answers for its use; a key of a service cannot approve.",
    ),
)


def exceptions(given: Given) -> Exceptions:
    """Every waiver and marking, in force first, then by control."""
    statuses = {one.control.id: one for one in given.assessment.controls}
    rows = []
    for waiver in given.waivers:
        assessed = statuses.get(waiver.control)
        rows.append(
            WaiverRow(
                id=waiver.id,
                control=waiver.control,
                title=assessed.control.title if assessed else "not in this report",
                status=assessed.status if assessed else None,
                effect="waiver" if waiver.effect == "waived" else "marking as not applicable",
                state=waiver_state(waiver, given.asked.as_of),
                covers=wording.long(waiver.covers),
                reason=wording.long(waiver.reason),
                compensating=wording.long(waiver.compensating),
                requested=wording.long(f"{waiver.requested_by}, {moment(waiver.requested_at).display}"),
                decided=_decided(waiver),
                starts_at=moment(waiver.starts_at),
                expires_at=moment(waiver.expires_at),
                renewals=wording.counted(waiver.renewals),
            )
        )
    order = {"in force": 0, "not begun": 1, "awaiting a decision": 2}
    rows.sort(key=lambda row: (order.get(row.state, 3), row.control, row.expires_at.at, row.id))
    return Exceptions(said=WAIVED if rows else NO_WAIVERS, waivers=tuple(rows))


def waiver_state(waiver: WaiverGiven, at: datetime) -> str:
    """What a waiver is at a time."""
    if waiver.decision is None:
        return "awaiting a decision"
    if waiver.decision == "refused":
        return "refused"
    if waiver.withdrawn_at is not None and waiver.withdrawn_at <= at:
        return "withdrawn"
    if at < waiver.starts_at:
        return "not begun"
    return "in force" if at < waiver.expires_at else "expired"


def _decided(waiver: WaiverGiven) -> str:
    if waiver.decision is None:
        return "nobody yet"
    when = f", {moment(waiver.decided_at).display}" if waiver.decided_at else ""
    comment = f": {waiver.comment}" if waiver.comment else ""
    return wording.long(f"{waiver.decision} by {waiver.decided_by or 'somebody unnamed'}{when}{comment}")


def attestations(given: Given) -> Attestations:
    """Every statement, by control, the latest first."""
    titles = {one.control.id: one.control.title for one in given.assessment.controls}
    rows = [
        AttestationRow(
            id=one.id,
            control=one.control,
            title=titles.get(one.control, "not in this report"),
            who=wording.short(one.who),
            role=wording.short(one.role),
            statement=wording.long(one.statement),
            stated_at=moment(one.stated_at),
            due_at=moment(one.expires_at),
            state=attestation_state(one, given.asked.as_of),
            covers=wording.long(one.covers),
            document=wording.long(one.document_title),
            document_digest=one.document_digest,
        )
        for one in sorted(given.attestations, key=lambda one: (one.control, -one.stated_at.timestamp(), one.id))
    ]
    return Attestations(said=STATED if rows else NO_STATEMENTS, rows=tuple(rows))


def attestation_state(one: AttestationGiven, at: datetime) -> str:
    """What a statement is at a time."""
    if one.withdrawn_at is not None and one.withdrawn_at <= at:
        return "withdrawn"
    return "current" if at < one.expires_at else "due again"


def sign_off(given: Given) -> SignOff:
    """Who must sign, and who may not."""
    steps = given.signers or DEFAULT_SIGNERS
    return SignOff(
        said=SIGNING,
        steps=tuple(
            SignStep(step=wording.short(one.step), who=wording.short(one.who), rule=wording.long(one.rule))
            for one in steps
        ),
        excluded=tuple(sorted(set(given.runners))),
    )
