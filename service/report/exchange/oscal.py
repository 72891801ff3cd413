"""What was found, as OSCAL reads it? A compliance report as assessment results (1.2.1).

OSCAL knows satisfied and not-satisfied. Stale and insufficient evidence satisfy nothing: both are not-satisfied, with
the reason `other` and our own status in a property, so that nobody takes them for a measured failure.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from service.contracts.base import canonical_json, digest_of
from service.contracts.section import Word
from service.report.compliance.back import AttestationRow
from service.report.compliance.front import ControlResult
from service.report.exchange.master import Answer, Master, answers, interval, number, prose, stamp, urn
from service.report.exchange.oscal_catalog import catalog, objective
from service.report.exchange.oscal_plan import CATALOG, assessment_plan
from service.report.exchange.oscal_words import (
    Object,
    filled,
    metadata,
    model_resource,
    props,
    resource,
    selection,
)

PLAN = "oscal-plan.json"
ATTESTER = "attester"
FOUND: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "met": ("satisfied", "pass"),
        "not_met": ("not-satisfied", "fail"),
        "stale": ("not-satisfied", "other"),
        "insufficient_evidence": ("not-satisfied", "other"),
    }
)


def assessment_results(master: Master) -> bytes:
    """The report's results; what they import is `assessment_plan`, known by its digest."""
    identity = master.report.identity
    plan = resource(master.id_of("plan-file"), "The assessment plan", [(PLAN, digest_of(assessment_plan(master)))])
    head = metadata(master, identity.title)
    if people := _people(master):
        head |= {"roles": [{"id": ATTESTER, "title": "States something of a control"}], "parties": people}
    body = {
        "uuid": master.id_of("results"),
        "metadata": head,
        "import-ap": {"href": f"#{plan['uuid']}"},
        "results": [_result(master)],
        "back-matter": {"resources": [plan, *_resources(master)]},
    }
    return canonical_json({"assessment-results": filled(body)})


def _result(master: Master) -> Object:
    report = master.report
    counts = report.summary.counts.model_dump()
    applicable = [each for each in report.controls if each.status in FOUND]
    return filled(
        {
            "uuid": master.id_of("result"),
            "title": prose(report.identity.title),
            "description": prose(report.summary.sentence),
            "start": stamp(report.identity.period_from.at),
            "end": stamp(report.identity.period_to.at),
            "props": props({f"count-{name.replace('_', '-')}": int(each["value"]) for name, each in counts.items()}),
            "reviewed-controls": selection(master),
            "attestations": [_attestation(master, each) for each in report.attestations.rows],
            "observations": [_observation(master, each) for each in answers(report)],
            "risks": [_risk(master, each) for each in applicable if _at_risk(each)],
            "findings": [_finding(master, each) for each in applicable],
            "remarks": prose(report.identity.scope),
        }
    )


def _observation(master: Master, answer: Answer) -> Object:
    asked, found = answer.requirement, answer.evidence
    ends = interval(asked.value)
    described = {
        "control": answer.control.id,
        "status": asked.status,
        "why": asked.why,
        "source": found.source,
        "metric": asked.word,
        "relative-to": asked.relative_to,
        "value": number(asked.value),
        "unit": getattr(asked.value, "unit", None),
        "low": ends[0] if ends else None,
        "high": ends[1] if ends else None,
        "n": number(asked.n),
        "measured": number(found.measured),
        "reference": number(found.reference),
        "operator": asked.operator,
        "threshold": number(asked.threshold),
        "rule": asked.rule,
        "basis": asked.basis,
        "dataset": found.dataset,
        "layer": found.layer,
        "facets": found.facets,
        "kind": found.kind,
        "audit": found.audit,
        "analysis": found.analysis,
        "measurement": found.measurement,
        "adds-up": len(found.added) or None,
    }
    proof = {"description": prose(found.said or asked.said), "props": props(_digests(master, found.analysis))}
    if found.analysis and (address := urn(found.analysis)):
        proof["href"] = address
    return filled(
        {
            "uuid": _observed(master, answer),
            "title": prose(f"{answer.control.id}, {answer.place}: {asked.metric}"),
            "description": prose(asked.said),
            "props": props(described),
            "methods": ["TEST" if found.source == "measurement" else "EXAMINE"],
            "subjects": [{"subject-uuid": master.id_of("model"), "type": "resource"}],
            "relevant-evidence": [filled(proof)],
            "collected": stamp(found.at.at),
            "expires": None if answer.until is None else stamp(answer.until),
        }
    )


def _finding(master: Master, control: ControlResult) -> Object:
    state, reason = FOUND[control.status]
    excepted = control.exception
    return filled(
        {
            "uuid": master.id_of("finding", control.id),
            "title": prose(control.title),
            "description": prose(control.said),
            "props": props(
                {
                    "status": control.status,
                    "evidence": control.kind_of_evidence,
                    "owner": control.owner.display if isinstance(control.owner, Word) else None,
                    "changed-from": control.changed_from,
                    "exception": excepted and excepted.effect,
                    "exception-until": excepted and stamp(excepted.expires_at.at),
                }
            ),
            "target": {
                "type": "objective-id",
                "target-id": objective(control),
                "status": {"state": state, "reason": reason, "remarks": prose(control.said)},
            },
            "related-observations": [
                {"observation-uuid": _observed(master, each)}
                for each in answers(master.report)
                if each.control.id == control.id
            ],
            "related-risks": [{"risk-uuid": master.id_of("risk", control.id)}] if _at_risk(control) else None,
            "remarks": prose(" ".join(control.remarks)) if control.remarks else None,
        }
    )


def _at_risk(control: ControlResult) -> bool:
    """What surely fails, and what somebody took upon themselves for a time."""
    return control.status == "not_met" or (control.status in {"stale", "insufficient_evidence"} and _waived(control))


def _waived(control: ControlResult) -> bool:
    return control.exception is not None


def _risk(master: Master, control: ControlResult) -> Object:
    excepted = control.exception
    return filled(
        {
            "uuid": master.id_of("risk", control.id),
            "title": prose(control.title),
            "description": prose(control.said),
            "statement": prose(control.meaning),
            "props": props({"status": control.status, "exception": excepted and excepted.effect}),
            "status": "open" if excepted is None else "deviation-approved",
            "deadline": None if excepted is None else stamp(excepted.expires_at.at),
            "related-observations": [
                {"observation-uuid": _observed(master, each)}
                for each in answers(master.report)
                if each.control.id == control.id
            ],
            # OSCAL's risk has no remarks: what the waiver says stands where the deviation is told
            "risk-log": None
            if excepted is None
            else {
                "entries": [
                    {
                        "uuid": master.id_of("risk-entry", control.id),
                        "title": "Exception in force",
                        "description": prose(excepted.said),
                        "start": stamp(master.report.identity.as_of.at),
                        "status-change": "deviation-approved",
                    }
                ]
            },
        }
    )


def _attestation(master: Master, row: AttestationRow) -> Object:
    said = {
        "attestation": row.id,
        "control": row.control,
        "state": row.state,
        "stated-at": stamp(row.stated_at.at),
        "due-at": stamp(row.due_at.at),
        "covers": row.covers,
        "role": row.role,
        "document": row.document,
        "document-digest": row.document_digest,
    }
    return {
        "responsible-parties": [{"role-id": ATTESTER, "party-uuids": [master.id_of("person", row.who)]}],
        "parts": [
            {
                "name": "attestation",
                "title": prose(f"{row.control}: {row.title}"),
                "props": props(said),
                "prose": prose(row.statement),
            }
        ],
    }


def _people(master: Master) -> list[Object]:
    names = dict.fromkeys(row.who for row in master.report.attestations.rows)
    return [{"uuid": master.id_of("person", name), "type": "person", "name": prose(name)} for name in names]


def _resources(master: Master) -> Iterator[Object]:
    report = master.report
    yield model_resource(master)
    yield resource(master.id_of("catalog-file"), "The catalog", [(CATALOG, digest_of(catalog(master)))])
    yield resource(master.id_of("twin"), "The signed report's JSON twin", [("report.json", master.digest)])
    for place, used in enumerate(report.identity.data):
        said = {"role": used.role, "version": used.version, "examples": number(used.examples)}
        title = f"{used.name} {used.version}"
        yield resource(master.id_of("data", place, used.name), title, [(f"urn:{used.digest}", used.digest)], said=said)
    for row in report.evidence.analyses:
        result = row.result_digest.value if isinstance(row.result_digest, Word) else None
        said = {"analysis": row.analysis, "audit": row.audit, "kind": row.kind, "config-digest": row.config_digest}
        links = [(urn(row.analysis) or f"urn:{row.config_digest}", result)]
        yield resource(
            master.id_of("analysis", row.analysis),
            row.title,
            links,
            remarks=row.replay,
            said=said | {"state": row.state},
        )


def _digests(master: Master, analysis: str | None) -> dict[str, str | None]:
    """What proves the numbers of an analysis: its result's bytes and its leaf in the log."""
    for row in master.report.evidence.analyses:
        if row.analysis == analysis:
            cells = {"result-digest": row.result_digest, "leaf-hash": row.leaf_hash}
            return {name: str(cell.value) for name, cell in cells.items() if isinstance(cell, Word)}
    return {}


def _observed(master: Master, answer: Answer) -> str:
    return master.id_of("observation", answer.control.id, answer.place)
