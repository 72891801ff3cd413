"""What does a compliance report say, apart from how it looks? The JSON twin: thirteen sections, in a fixed order.

Page and document are drawn from the twin alone, and every value they show stands in it. Equal inputs give equal bytes:
nothing in it depends on when it is written. `python -m service.report.compliance.twin` prints its JSON Schema.
"""

import json
import sys
from typing import Any, Literal

from pydantic import ConfigDict, Field

from service.contracts.base import Value, canonical_json
from service.report.compliance.back import (
    Attestations,
    EvidenceAnnex,
    Exceptions,
    Explanations,
    Frameworks,
    LayerDiagnostics,
    Limitations,
    Robustness,
    SignOff,
)
from service.report.compliance.front import Changes, ControlResult, Identity, Many, Summary

SCHEMA = "nn-audit-report/1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class ComplianceReport(Value):
    """A compliance report on one model over one window: thirteen sections, in this order."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    schema_: Literal["nn-audit-report/1"] = Field("nn-audit-report/1", alias="schema")
    identity: Identity
    summary: Summary
    changes: Changes
    controls: Many[ControlResult]
    explanations: Explanations
    robustness: Robustness
    layers: LayerDiagnostics
    exceptions: Exceptions
    attestations: Attestations
    frameworks: Frameworks
    limitations: Limitations
    sign_off: SignOff
    evidence: EvidenceAnnex


def document(report: ComplianceReport) -> dict[str, Any]:
    """The report as JSON values, in the names of its schema."""
    return report.model_dump(mode="json", by_alias=True)


def write(report: ComplianceReport) -> bytes:
    """The twin's bytes: RFC 8785, so that equal reports have equal digests."""
    return canonical_json(document(report))


def read(content: bytes) -> ComplianceReport:
    """The report that `write` wrote. Raises pydantic's ValidationError where a display string is not its value's."""
    return ComplianceReport.model_validate_json(content)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a twin as it is written, displays included."""
    made = ComplianceReport.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": DIALECT, "$id": f"urn:lamina:{SCHEMA}", **made}


def main() -> None:
    """Print the schema, as it is kept beside this file."""
    sys.stdout.write(json.dumps(schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
