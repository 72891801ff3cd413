"""Is a report on fifty audits, thirty-five controls and twelve periods whole, and not too large to open?"""

import io
import json

import pypdf
import pytest

from service.report.compliance import twin
from service.report.compliance.build import build
from service.report.compliance.html import render_html
from service.report.compliance.pdf import render_pdf
from tests.service.report.compliance.samples import large_given


@pytest.mark.slow
def test_a_large_reports_page_stays_small_and_its_first_page_names_every_gap() -> None:
    given = large_given()
    assert len({each.audit for each in given.analyses}) == 50
    assert len(given.assessment.controls) == 35
    content = twin.write(build(given))
    page, document = render_html(content), render_pdf(content, (), 60)
    assert len(page) < 5_000_000
    assert document.startswith(b"%PDF-")
    first = pypdf.PdfReader(io.BytesIO(document)).pages[0].extract_text()
    summary = json.loads(content)["summary"]
    for one in (*summary["failed"], *summary["not_assessed"]):
        assert one["control"] in first
