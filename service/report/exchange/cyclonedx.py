"""What was found, as a bill of materials tells it? A CycloneDX 1.6 document of the model, its data and its results.

The model card holds numbers with slice and confidence interval; declarations hold the controls. A score from 0 to 1
has a place there and stays empty: a status is none. What is stale or insufficient is neither claimed nor denied.
"""

from collections.abc import Mapping
from typing import Any

from service.contracts.base import canonical_json
from service.contracts.section import Blank
from service.report.compliance.front import ControlResult
from service.report.exchange.master import (
    NAMESPACE,
    NOT_SIGNED,
    Answer,
    Master,
    Value,
    answers,
    hexadecimal,
    interval,
    line,
    number,
    published,
    stamp,
    urn,
    written,
)

VERSION = "1.6"
MODEL = "model"
LIBRARY = "library"
ASSESSOR = "assessor"
Object = dict[str, Any]


def bill(master: Master) -> bytes:
    """The bill of materials."""
    identity = master.report.identity
    name, _, version = identity.generator.rpartition(" ")
    tool = {"type": "application", "name": name or identity.generator, "version": version}
    said = {
        "report": identity.report,
        "report-digest": master.digest,
        "report-schema": master.report.schema_,
        "policy": identity.policy,
        "policy-digest": identity.policy_digest,
        "window-from": stamp(identity.period_from.at),
        "window-to": stamp(identity.period_to.at),
        "summary": master.report.summary.sentence,
        "disclaimer": identity.disclaimer,
        "signed": f"no. {NOT_SIGNED}",
    }
    body: Object = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": VERSION,
        "serialNumber": f"urn:uuid:{master.id_of('bill')}",
        "version": 1,
        "metadata": {
            "timestamp": stamp(identity.as_of.at),
            "tools": {"components": [tool]},
            "properties": _properties(said),
        },
        "components": [_model(master), *_data(master)],
        "externalReferences": [
            {
                "type": "evidence",
                "url": urn(identity.report) or f"urn:{master.digest}",
                "comment": "The JSON twin of the signed report",
                "hashes": _hashes(master.digest),
            }
        ],
        "definitions": {"standards": [_library(master)]},
        "declarations": _declarations(master),
    }
    return canonical_json(body)


def _model(master: Master) -> Object:
    model = master.report.identity.model
    task = next((fact.cell.display for fact in model.declared if fact.label == "Task"), None)
    datasets = [{"ref": _data_ref(place)} for place, _ in enumerate(master.report.identity.data)]
    card: Object = {
        "bom-ref": "model-card",
        "modelParameters": {"datasets": datasets} | ({"task": line(task)} if task else {}),
        "quantitativeAnalysis": {"performanceMetrics": [_metric(each) for each in published(master.report)]},
        "considerations": {"technicalLimitations": [line(note) for note in master.report.limitations.notes]},
        "properties": _properties(
            {f"declared:{fact.label}": fact.cell.display for fact in model.declared if not isinstance(fact.cell, Blank)}
        ),
    }
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": line(model.name),
        "version": model.version,
        "hashes": _hashes(model.source_digest),
        "modelCard": card,
        "properties": _properties({"canonical-digest": model.canonical_digest, "risk-tier": model.tier}),
    }


def _metric(value: Value) -> Object:
    ends = interval(value.number)
    bounds = {"confidenceInterval": {"lowerBound": ends[0], "upperBound": ends[1]}} if ends else {}
    return {"type": value.word, "value": written(value.number.value), "slice": value.where, **bounds}


def _data(master: Master) -> list[Object]:
    return [
        {
            "type": "data",
            "bom-ref": _data_ref(place),
            "name": line(used.name),
            "version": used.version,
            "hashes": _hashes(used.digest),
            "properties": _properties({"role": used.role, "examples": number(used.examples)}),
        }
        for place, used in enumerate(master.report.identity.data)
    ]


def _data_ref(place: int) -> str:
    return f"data-{place}"


def _library(master: Master) -> Object:
    identity = master.report.identity
    name, _, version = identity.library.rpartition(" ")
    return {
        "bom-ref": LIBRARY,
        "name": name or identity.library,
        "version": version,
        "description": line(f"Controls as they were applied under {identity.policy}."),
        "requirements": [
            {
                "bom-ref": f"control-{control.id}",
                "identifier": control.id,
                "title": line(control.title),
                "text": line(control.meaning),
                "descriptions": [
                    line(f"{each.metric} {each.relative_to} {each.threshold_shown}") for each in control.requirements
                ],
                "properties": _properties({"framework-items": " ".join(control.references)}),
            }
            for control in master.report.controls
        ],
    }


def _declarations(master: Master) -> Object:
    report = master.report
    applicable = [each for each in report.controls if each.status != "not_applicable"]
    left = [each.id for each in report.controls if each.status == "not_applicable"]
    summary = line(report.summary.sentence) + (f" Not applicable: {', '.join(left)}." if left else "")
    return {
        "assessors": [{"bom-ref": ASSESSOR, "organization": {"name": line(report.identity.organisation)}}],
        "attestations": [
            {"summary": summary, "assessor": ASSESSOR, "map": [_mapped(each) for each in applicable]},
        ],
        "claims": [_claim(master, each) for each in applicable if each.status in {"met", "not_met"}],
        "evidence": [
            *(_evidence(each) for each in answers(report)),
            *(_waiver(each) for each in applicable if each.exception is not None),
        ],
    }


def _mapped(control: ControlResult) -> Object:
    side = {"met": "claims", "not_met": "counterClaims"}.get(control.status)
    waived = {"mitigationStrategies": [_waiver_ref(control)]} if control.exception is not None else {}
    return {
        "requirement": f"control-{control.id}",
        **({side: [f"claim-{control.id}"]} if side else {}),
        "conformance": {"rationale": line(f"{control.status}: {control.said}"), **waived},
    }


def _claim(master: Master, control: ControlResult) -> Object:
    found = [_evidence_ref(each) for each in answers(master.report) if each.control.id == control.id]
    return {
        "bom-ref": f"claim-{control.id}",
        "target": MODEL,
        "predicate": f"{control.id} is {'met' if control.status == 'met' else 'not met'}",
        "reasoning": line(control.said),
        ("evidence" if control.status == "met" else "counterEvidence"): found,
    }


def _evidence(answer: Answer) -> Object:
    asked, found = answer.requirement, answer.evidence
    ends = interval(asked.value)
    value = number(asked.value)
    said = [
        f"{asked.word} {asked.relative_to}".strip() + (f" = {value}" if value else ""),
        f"interval {ends[0]} to {ends[1]}" if ends else "",
        f"n = {number(asked.n)}" if number(asked.n) else "",
        f"asked for: {asked.threshold_shown}",
        f"status: {asked.status}" + (f" ({asked.why})" if asked.why else ""),
        asked.said,
    ]
    until = {} if answer.until is None else {"expires": stamp(answer.until)}
    address = urn(found.analysis) if found.analysis else None
    return {
        "bom-ref": _evidence_ref(answer),
        "propertyName": f"{NAMESPACE}:{asked.word}",
        "description": line("; ".join(part for part in said if part)),
        "created": stamp(found.at.at),
        **until,
        **({"data": [{"name": "analysis", "contents": {"url": address}}]} if address else {}),
    }


def _waiver(control: ControlResult) -> Object:
    exception = control.exception
    said = {} if exception is None else {"description": line(exception.said), "expires": stamp(exception.expires_at.at)}
    return {"bom-ref": _waiver_ref(control), "propertyName": f"{NAMESPACE}:exception", **said}


def _evidence_ref(answer: Answer) -> str:
    return f"evidence-{answer.control.id}-{answer.place}"


def _waiver_ref(control: ControlResult) -> str:
    return f"exception-{control.id}"


def _hashes(digest: str) -> list[Object]:
    return [{"alg": "SHA-256", "content": hexadecimal(digest)}]


def _properties(said: Mapping[str, str | None]) -> list[Object]:
    return [{"name": f"{NAMESPACE}:{name}", "value": line(value)} for name, value in said.items() if value]
