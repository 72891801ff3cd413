import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from service.http import openapi
from service.http.examples import EXAMPLES
from service.http.problems import PROBLEMS
from service.http.resources import RESOURCES
from tests.service.http.asking import Asker

ROOT = Path(__file__).parents[3]
ENDPOINTS = [endpoint for resource in RESOURCES for endpoint in resource.endpoints]
DOCUMENTED = [endpoint for endpoint in ENDPOINTS if endpoint.documented]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return openapi.document(RESOURCES)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(attribute)) is not None]


def test_the_document_on_file_is_the_one_that_is_served(nobody: Asker) -> None:
    on_file = (ROOT / "docs" / "openapi.json").read_text()

    assert nobody.get("/openapi.json").text == on_file, "run `make openapi`, and look at what changes for clients"


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert wanted <= set(document["components"]["schemas"])


def test_every_operation_is_named_once_and_documents_each_of_its_answers(document: dict[str, Any]) -> None:
    names = [endpoint.name for endpoint in ENDPOINTS]
    assert len(set(names)) == len(names)
    for endpoint in DOCUMENTED:
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        assert operation["summary"].endswith(".")
        assert {int(status) for status in operation["responses"]} == {
            *(answer.status for answer in endpoint.answers),
            *(PROBLEMS[slug].status for slug in openapi.problems_of(endpoint)),
        }


def test_bounds_are_written_as_json_schema_writes_them(document: dict[str, Any]) -> None:
    days = document["components"]["schemas"]["KeySubmission"]["properties"]["days"]

    assert (days["minimum"], days["maximum"]) == (1, 3650)
    assert not {"ge", "le", "gt", "lt"} & set(re.findall(r'"(\w+)":', json.dumps(document)))


@pytest.mark.parametrize("endpoint", [e for e in DOCUMENTED if e.takes_json], ids=lambda e: e.name)
def test_the_example_of_every_body_is_one(endpoint: Any, document: dict[str, Any]) -> None:
    example = EXAMPLES[endpoint.name]

    endpoint.body.model_validate_json(json.dumps(example))
    schema = {"$ref": f"#/components/schemas/{endpoint.body.__name__}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(example)


def test_the_page_needs_nothing_but_itself(nobody: Asker) -> None:
    answer = nobody.get("/docs")

    page = Page(answer.text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    assert page.values("src") == []
    assert all(address.startswith(("#", "/")) for address in page.values("href"))
    assert page.values("style") == []
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_pages_policy_lets_its_own_style_in_and_nothing_else(nobody: Asker) -> None:
    answer = nobody.get("/docs")

    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "unsafe" not in policy


def test_every_link_of_the_page_leads_somewhere(nobody: Asker) -> None:
    page = Page(nobody.get("/docs").text)

    anchors = page.values("id")
    assert len(set(anchors)) == len(anchors)
    assert {address[1:] for address in page.values("href") if address.startswith("#")} <= set(anchors)


def test_the_page_shows_every_operation_problem_and_value(nobody: Asker, document: dict[str, Any]) -> None:
    anchors = Page(nobody.get("/docs").text).values("id")

    assert {endpoint.name for endpoint in DOCUMENTED} <= set(anchors)
    assert {f"value-{name}" for name in document["components"]["schemas"]} <= set(anchors)
    for slug in PROBLEMS:
        assert f"<code>{slug}</code>" in nobody.get("/docs").text


def test_page_and_document_are_not_sent_again_unchanged(nobody: Asker) -> None:
    for path in ("/docs", "/openapi.json"):
        first = nobody.get(path)
        assert nobody.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_the_guide_lists_every_problem_and_every_operation() -> None:
    guide = (ROOT / "docs" / "api.md").read_text()

    for kind in PROBLEMS.values():
        assert f"| `{kind.slug}` | {kind.status} |" in guide
    for endpoint in DOCUMENTED:
        assert f"`{endpoint.method} {endpoint.path}`" in guide
