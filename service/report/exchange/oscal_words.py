"""How does OSCAL want things said? Properties in a namespace of ours, heads of documents, things referred to."""

from collections.abc import Iterable, Mapping
from typing import Any

from service.report.exchange.master import NAMESPACE, NOT_SIGNED, Master, hexadecimal, line, prose, stamp

OSCAL = "1.2.1"
Object = dict[str, Any]


def props(given: Mapping[str, object]) -> list[Object]:
    """Properties in our namespace, without those that have nothing to say."""
    said = {name: line(str(value)) for name, value in given.items() if value is not None}
    return [{"name": name, "ns": NAMESPACE, "value": value} for name, value in said.items() if value]


def filled(members: Mapping[str, Any]) -> Object:
    """The members that hold something: OSCAL has no empty lists."""
    return {name: value for name, value in members.items() if value not in (None, [], {}, "")}


def metadata(master: Master, title: str) -> Object:
    """The head of every document; its time is that of the report."""
    identity = master.report.identity
    return {
        "title": prose(title),
        "last-modified": stamp(identity.as_of.at),
        "version": str(int(identity.revision.value)),
        "oscal-version": OSCAL,
        "props": props(
            {
                "report": identity.report,
                "report-digest": master.digest,
                "report-schema": master.report.schema_,
                "supersedes": identity.supersedes,
                "organisation": identity.organisation,
                "library": identity.library,
                "policy": identity.policy,
                "policy-digest": identity.policy_digest,
                "generator": identity.generator,
                "signed": "no",
            }
        ),
        "remarks": f"{prose(NOT_SIGNED)} {prose(identity.disclaimer)}",
    }


def resource(
    uuid: str, title: str, hrefs: Iterable[tuple[str, str | None]] = (), *, remarks: str = "", said: object = None
) -> Object:
    """Something referred to, with the SHA-256 of its bytes where that is known: `hrefs` are address and digest."""
    links = [
        filled({"href": href, "hashes": [{"algorithm": "SHA-256", "value": hexadecimal(digest)}] if digest else None})
        for href, digest in hrefs
    ]
    return filled(
        {
            "uuid": uuid,
            "title": prose(title),
            "props": props(said) if isinstance(said, Mapping) else None,
            "rlinks": links,
            "remarks": prose(remarks) if remarks else None,
        }
    )


def model_resource(master: Master) -> Object:
    """The model that was assessed: the bytes that came in, and what was made of them."""
    model = master.report.identity.model
    hrefs: list[tuple[str, str | None]] = [(f"urn:{model.source_digest}", model.source_digest)]
    if model.canonical_digest is not None:
        hrefs.append((f"urn:{model.canonical_digest}", model.canonical_digest))
    return resource(
        master.id_of("model"),
        f"{model.name} {model.version}",
        hrefs,
        remarks="The model version that was assessed. There is no system security plan: this stands where one is asked "
        "for.",
        said={"model": model.name, "model-version": model.version, "risk-tier": model.tier},
    )


def selection(master: Master) -> Object:
    """The controls that were assessed; those that do not apply are named, and left out."""
    applicable = [each.id for each in master.report.controls if each.status != "not_applicable"]
    left = [f"{each.id} ({line(each.said)})" for each in master.report.controls if each.status == "not_applicable"]
    chosen: Object = {"description": prose(f"Controls of {master.report.identity.library} that apply to this model.")}
    if applicable:
        chosen["include-controls"] = [{"control-id": each} for each in applicable]
    return filled(
        {
            "control-selections": [chosen],
            "remarks": prose(f"Not applicable, and therefore not selected: {'; '.join(left)}") if left else None,
        }
    )
