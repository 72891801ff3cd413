"""What does the API look like to a machine? OpenAPI 3.1, made from the same declarations that serve the requests.

`python -m service.http.openapi` prints it; `make openapi` keeps that as docs/openapi.json, which a test compares.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service.contracts.problem import TYPE_PREFIX, Problem
from service.http.endpoint import Answer, Endpoint, HeaderField, PathParameter, Resource
from service.http.examples import EXAMPLES
from service.http.parts import Octets
from service.http.problems import MEDIA_TYPE, PROBLEMS

DESCRIPTION = """\
Explainability and auditing for neural networks, layer by layer: upload a trained model and some data, ask for
analyses, follow them, and read numbers, findings, reports and history.

**Keys.** Every request under `/v1` carries `Authorization: Bearer lam_<prefix>_<secret>`. A key has scopes: `read`
reads; `submit` also uploads, registers, submits and cancels; `admin` makes principals and keys.

**Errors.** Every error is an RFC 9457 problem of one shape, sent as `application/problem+json`. Branch on `type`, never
on the text. `errors` lists every fault of the request at once, each with a JSON Pointer into the body, `?name` for a
query parameter, or the name of a header. `permanent: false` says that the same request may succeed later.

**Pages.** Lists are newest first unless `order` says otherwise. `next` is the cursor of the following page, and null at
the end; `Link: rel="next"` holds the whole address. A cursor is good for the filters it was made with.

**Request ids.** Every answer carries `X-Request-Id`; send a short token of your own to have it used.
"""
# pydantic keeps a bound written after a validator under its own name; JSON Schema calls them otherwise.
BOUNDS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def document(resources: Sequence[Resource]) -> dict[str, Any]:
    """The whole OpenAPI document."""
    endpoints = [endpoint for resource in resources for endpoint in resource.endpoints if endpoint.documented]
    names, schemas = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operation = paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, names)
        _link(operation, endpoint, endpoints)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lamina",
            "version": version("lamina"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": resource.tag, "description": resource.about} for resource in resources if _shown(resource)],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "bearerFormat": "lam_<prefix>_<secret>"},
            },
            "schemas": schemas,
        },
    }


def _link(operation: dict[str, Any], endpoint: Endpoint, others: Iterable[Endpoint]) -> None:
    """Say which operations take what this one makes: those whose path starts with its own, and ends in a parameter."""
    links = {
        other.name: {"operationId": other.name, "parameters": {name: f"$response.body#/{name}"}}
        for other in others
        for name in (parameter.name for parameter in other.parameters)
        if endpoint.method == "POST" and other.path.startswith(f"{endpoint.path}/{{{name}}}")
    }
    if links:
        operation["responses"][str(endpoint.answers[0].status)]["links"] = links


def _shown(resource: Resource) -> bool:
    return any(endpoint.documented for endpoint in resource.endpoints)


Names = dict[tuple[type[BaseModel], JsonSchemaMode], str]


def _schemas(endpoints: Iterable[Endpoint]) -> tuple[Names, dict[str, Any]]:
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for endpoint in endpoints:
        if endpoint.takes_json and endpoint.body is not None:
            models[endpoint.body, "validation"] = None
        for answer in endpoint.answers:
            if answer.model is not None:
                models[answer.model, "serialization"] = None
    references, definitions = models_json_schema(list(models), ref_template="#/components/schemas/{model}")
    names = {asked: references[asked]["$ref"] for asked in models}
    return names, _standard(definitions["$defs"])


def _standard(schema: Any) -> Any:
    """A schema in JSON Schema's own words, without the titles that only repeat a member's name."""
    if isinstance(schema, list):
        return [_standard(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for name, member in schema.items():
        if name == "title" and isinstance(member, str):
            continue
        if name == "properties":
            made[name] = {property_: _standard(inner) for property_, inner in member.items()}
        else:
            made[BOUNDS.get(name, name)] = _standard(member)
    return made


def _operation(endpoint: Endpoint, names: Names) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "description": _described(endpoint),
        "parameters": [
            *(_path_parameter(parameter) for parameter in endpoint.parameters),
            *_query_parameters(endpoint),
            *(_header_parameter(header) for header in endpoint.headers),
        ],
        "responses": {**_answers(endpoint, names), **_problems(endpoint, names)},
    }
    if endpoint.scope is None:
        operation["security"] = []
    if endpoint.body is Octets:
        octets = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": octets}
    elif endpoint.body is not None:
        content = {"schema": {"$ref": names[endpoint.body, "validation"]}, "example": EXAMPLES[endpoint.name]}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def _described(endpoint: Endpoint) -> str:
    if endpoint.scope is None:
        needs = "Needs no key."
    elif endpoint.scope == "any":
        needs = "Needs any valid key."
    else:
        needs = f"Needs a key with the scope `{endpoint.scope}`."
    return "\n\n".join(part for part in (endpoint.description, needs) if part)


def _path_parameter(parameter: PathParameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    schema |= {"format": parameter.format} if parameter.format else {"pattern": f"^{parameter.pattern}$"}
    return {
        "name": parameter.name,
        "in": "path",
        "required": True,
        "description": parameter.description,
        "schema": schema,
    }


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    schema = endpoint.query.model_json_schema()
    definitions = schema.get("$defs", {})
    return (
        [_query_parameter(name, member, schema, definitions) for name, member in schema["properties"].items()]
        if (schema.get("properties"))
        else []
    )


def _query_parameter(name: str, member: Any, schema: Any, definitions: Any) -> dict[str, Any]:
    plain = _standard(_flat(member, definitions))
    # A parameter that is absent is null inside; on the wire null does not exist.
    if options := [option for option in plain.pop("anyOf", []) if option.get("type") != "null"]:
        plain |= options[0]
    if plain.get("default", ...) is None:
        del plain["default"]
    return {
        "name": name,
        "in": "query",
        "required": name in schema.get("required", ()),
        "description": plain.pop("description", ""),
        "schema": plain,
    }


def _flat(member: Any, definitions: Any) -> Any:
    """A member with its references written out: parameters are short, and stand alone in the documentation."""
    if isinstance(member, list):
        return [_flat(item, definitions) for item in member]
    if not isinstance(member, dict):
        return member
    if "$ref" in member:
        target = definitions[member["$ref"].rsplit("/", 1)[1]]
        rest = {name: inner for name, inner in member.items() if name != "$ref"}
        return _flat({**target, **rest}, definitions)
    return {name: _flat(inner, definitions) for name, inner in member.items()}


def _header_parameter(header: HeaderField) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if header.pattern:
        schema["pattern"] = header.pattern
    if header.example:
        schema["examples"] = [header.example]
    return {"name": header.name, "in": "header", "required": False, "description": header.description, "schema": schema}


def _answers(endpoint: Endpoint, names: Names) -> dict[str, Any]:
    return {str(answer.status): _answer(answer, names) for answer in endpoint.answers}


def _answer(answer: Answer, names: Names) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.description}
    if answer.headers:
        described["headers"] = {
            header.name: {"description": header.description, "schema": {"type": "string"}} for header in answer.headers
        }
    if answer.model is not None:
        described["content"] = {"application/json": {"schema": {"$ref": names[answer.model, "serialization"]}}}
    elif answer.status != 304:
        octets = {"schema": {"type": "string", "format": "binary"}}
        described["content"] = {
            media_type: {"schema": {"type": "object"}} if media_type == "application/json" else octets
            for media_type in answer.media_types
        }
    return described


def problems_of(endpoint: Endpoint) -> list[str]:
    """Every problem an endpoint may answer with: its own, and those that follow from what it is."""
    follows = ["malformed"]
    if endpoint.scope is not None:
        follows += ["unauthenticated"]
    if endpoint.scope not in (None, "any"):
        follows += ["forbidden"]
    if endpoint.parameters:
        follows += ["not-found"]
    if endpoint.body is not None:
        follows += ["too-large", "unsupported-media-type"]
    if endpoint.scope is not None:
        follows += ["unavailable"]
    slugs = {*follows, *endpoint.problems, "invalid", "internal"}
    return [slug for slug in PROBLEMS if slug in slugs]


def _problems(endpoint: Endpoint, names: Names) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for slug in problems_of(endpoint):
        by_status.setdefault(PROBLEMS[slug].status, []).append(slug)
    schema = {"$ref": names[Problem, "serialization"]}
    return {
        str(status): {
            "description": " ".join(f"{PROBLEMS[slug].title} (`{slug}`)." for slug in slugs),
            "content": {MEDIA_TYPE: {"schema": schema}},
            "x-problems": [TYPE_PREFIX + slug for slug in slugs],
        }
        for status, slugs in sorted(by_status.items())
    }


def text(made: dict[str, Any]) -> str:
    """The document as it is served, and as docs/openapi.json holds it."""
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Print the document."""
    from service.http.resources import RESOURCES

    sys.stdout.write(text(document(RESOURCES)))


if __name__ == "__main__":
    main()
