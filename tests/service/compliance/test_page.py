from pathlib import Path

from service.compliance.load import shipped
from service.compliance.page import page

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_on_file_is_that_of_the_library() -> None:
    assert (DOCS / "controls.md").read_text() == page(shipped()), "python -m service.compliance.page > docs/controls.md"


def test_the_page_names_what_no_control_covers() -> None:
    assert "| formal | formal proof | not covered |" in page(shipped())


def test_neither_page_claims_anything() -> None:
    for name in ("controls.md", "compliance.md"):
        text = (DOCS / name).read_text().lower()
        assert "is compliant" not in text
        assert "certified" not in text
