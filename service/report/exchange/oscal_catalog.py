"""What was demanded, as OSCAL reads it? The controls of a report as a catalog, with the thresholds it was held to."""

from service.contracts.base import canonical_json
from service.report.compliance.front import ControlResult, RequirementResult
from service.report.exchange.master import Master, number, prose
from service.report.exchange.oscal_words import Object, filled, metadata, props


def catalog(master: Master) -> bytes:
    """The catalog that the assessment results of this report refer to."""
    identity = master.report.identity
    title = f"{identity.library} under {identity.policy}: controls as they were applied"
    body = {
        "uuid": master.id_of("catalog"),
        "metadata": metadata(master, title),
        "controls": [_control(each) for each in master.report.controls],
    }
    return canonical_json({"catalog": filled(body)})


def objective(control: ControlResult) -> str:
    """The id of what a finding is of."""
    return f"{control.id}_obj"


def _control(control: ControlResult) -> Object:
    parts = [_objective(control, place, each) for place, each in enumerate(control.requirements, start=1)]
    return filled(
        {
            "id": control.id,
            "class": "Lamina",
            "title": prose(control.title),
            "props": [
                *props({"evidence": control.kind_of_evidence}),
                *(prop for item in control.references for prop in props({"framework-item": item})),
            ],
            "parts": [
                {"id": f"{control.id}_smt", "name": "statement", "prose": prose(control.meaning)},
                filled(
                    {
                        "id": objective(control),
                        "name": "assessment-objective",
                        "prose": "The status is that of the worst of what is asked for.",
                        "parts": parts,
                    }
                ),
            ],
        }
    )


def _objective(control: ControlResult, place: int, asked: RequirementResult) -> Object:
    return {
        "id": f"{objective(control)}.{place}",
        "name": "assessment-objective",
        "props": props(
            {
                "metric": asked.word,
                "relative-to": asked.relative_to,
                "direction": asked.direction,
                "operator": asked.operator,
                "threshold": number(asked.threshold),
                "rule": asked.rule,
                "n-asked-for": number(asked.enough_n),
                "days-fresh": number(asked.fresh),
                "basis": asked.basis,
                "set-by": asked.set_by,
                "reason": asked.reason,
            }
        ),
        "prose": prose(asked.statement or f"{asked.metric} {asked.relative_to} {asked.threshold_shown}"),
    }
