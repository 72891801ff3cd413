"""What was to be assessed, as OSCAL reads it? The small plan that assessment results have to import."""

from service.contracts.base import canonical_json, digest_of
from service.report.exchange.master import Master
from service.report.exchange.oscal_catalog import catalog
from service.report.exchange.oscal_words import filled, metadata, model_resource, resource, selection

CATALOG = "oscal-catalog.json"


def assessment_plan(master: Master) -> bytes:
    """The plan: the controls of the report, and the model in place of a system security plan."""
    identity = master.report.identity
    subject = model_resource(master)
    body = {
        "uuid": master.id_of("plan"),
        "metadata": metadata(master, f"Plan of: {identity.title}"),
        "import-ssp": {
            "href": f"#{subject['uuid']}",
            "remarks": "There is no system security plan; the reference is to the model that was assessed.",
        },
        "reviewed-controls": selection(master),
        "back-matter": {
            "resources": [
                subject,
                resource(
                    master.id_of("catalog-file"),
                    "The catalog of the controls",
                    [(CATALOG, digest_of(catalog(master)))],
                ),
            ]
        },
    }
    return canonical_json({"assessment-plan": filled(body)})
