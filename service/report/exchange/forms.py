"""Which exports are there? Each by its name, with the file it becomes and what wrote it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from service.contracts.compliance_reports import ExportForm
from service.report.exchange.cyclonedx import bill
from service.report.exchange.master import Master, master
from service.report.exchange.model_index import card
from service.report.exchange.oscal import PLAN, assessment_results
from service.report.exchange.oscal_catalog import catalog
from service.report.exchange.oscal_plan import CATALOG, assessment_plan


@dataclass(frozen=True, slots=True)
class Form:
    """One format: its file's name, its media type, and what writes it."""

    name: str
    media_type: str
    write: Callable[[Master], bytes]


FORMS: Mapping[ExportForm, Form] = MappingProxyType(
    {
        "oscal": Form("oscal-results.json", "application/json", assessment_results),
        "oscal-plan": Form(PLAN, "application/json", assessment_plan),
        "oscal-catalog": Form(CATALOG, "application/json", catalog),
        "cyclonedx": Form("bom.cdx.json", "application/vnd.cyclonedx+json", bill),
        "model-index": Form("model-card.md", "text/markdown", card),
    }
)


def export(form: ExportForm, twin: bytes) -> bytes:
    """A stored twin in another tool's format; equal twins give equal bytes. Raises ValidationError for no twin."""
    return FORMS[form].write(master(twin))
