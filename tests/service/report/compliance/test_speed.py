"""Is a report on fifty audits, thirty-five controls and twelve periods made while somebody waits?"""

import io
import json
import time

import pypdf
import pytest

from service.report.compliance import twin
from service.report.compliance.build import build
from service.report.compliance.html import render_html
from service.report.compliance.pdf import render_pdf
from tests.service.report.compliance.samples import large_given

SECONDS = 3.0


@pytest.mark.slow
def test_a_large_report_takes_three_seconds_and_its_first_page_names_every_gap() -> None:
    given = large_given()
    assert len({each.audit for each in given.analyses}) == 50
    assert len(given.assessment.controls) == 35
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        content = twin.write(build(given))
        page, document = render_html(content), render_pdf(content, (), 60)
        taken.append(time.perf_counter() - start)
    assert len(page) < 5_000_000
    assert document.startswith(b"%PDF-")
    assert min(taken) < SECONDS, taken
    first = pypdf.PdfReader(io.BytesIO(document)).pages[0].extract_text()
    summary = json.loads(content)["summary"]
    for one in (*summary["failed"], *summary["not_assessed"]):
        assert one["control"] in first
