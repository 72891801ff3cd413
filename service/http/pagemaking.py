"""How does an OpenAPI document read to people? As chapters of operations and a glossary of values, for a template."""

import json
import re
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

CODE = re.compile(r"`([^`]+)`")
BOLD = re.compile(r"\*\*([^*]+)\*\*")
FLAT_LIST = re.compile(r"\[\s+([^\[\]{}]+?)\s+\]")
LIMITS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
    ("minLength", "{} characters or more"),
    ("maxLength", "{} characters at most"),
    ("minItems", "{} items or more"),
    ("maxItems", "{} items at most"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One line of a table: a parameter, a header or a member of a value."""

    name: str
    type: Markup
    required: bool
    place: str
    text: Markup
    limits: tuple[Markup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One status an operation may answer with."""

    status: str
    text: Markup
    type: Markup
    headers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation."""

    anchor: str
    method: str
    path: str
    summary: str
    paragraphs: tuple[Markup, ...]
    parameters: tuple[Member, ...]
    body: Markup | None
    members: tuple[Member, ...]
    command: str
    answers: tuple[Outcome, ...]
    errors: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """The operations on one kind of thing."""

    name: str
    text: Markup
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One value of the glossary."""

    name: str
    text: Markup
    members: tuple[Member, ...]
    type: Markup


def inline(text: str) -> tuple[Markup, ...]:
    """Paragraphs with `code` and **bold**, everything else escaped."""
    paragraphs = (str(escape(" ".join(part.split()))) for part in text.split("\n\n") if part.strip())
    # Escaped first; the two patterns then only add tags of our own.
    return tuple(Markup(BOLD.sub(r"<strong>\1</strong>", CODE.sub(r"<code>\1</code>", part))) for part in paragraphs)  # noqa: S704


def chapters(document: dict[str, Any]) -> tuple[Chapter, ...]:
    """The operations by tag, in the document's order."""
    operations = [
        (operation["tags"][0], _operation(method, path, operation, document))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return tuple(
        Chapter(
            name=tag["name"],
            text=_line(tag["description"]),
            operations=tuple(operation for name, operation in operations if name == tag["name"]),
        )
        for tag in document["tags"]
    )


def values(document: dict[str, Any]) -> tuple[Described, ...]:
    """Every value by name."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    return tuple(
        Described(name=name, text=_line(schema.get("description", "")), members=_members(schema), type=_type(schema))
        for name, schema in sorted(schemas.items(), key=lambda item: str(item[0]).lower())
    )


def _line(text: str) -> Markup:
    return Markup(" ").join(inline(text))


def _operation(method: str, path: str, operation: dict[str, Any], document: dict[str, Any]) -> Operation:
    body, members = _body(operation, document)
    outcomes = [_outcome(status, answer) for status, answer in operation["responses"].items()]
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"].removesuffix("."),
        paragraphs=inline(operation["description"]),
        parameters=tuple(
            _member(given["name"], given["schema"], given["required"], given["in"], given["description"])
            for given in operation["parameters"]
        ),
        body=body,
        members=members,
        command=_command(method, path, operation),
        answers=tuple(outcome for outcome in outcomes if int(outcome.status) < 400),
        errors=tuple(outcome for outcome in outcomes if int(outcome.status) >= 400),
    )


def _body(operation: dict[str, Any], document: dict[str, Any]) -> tuple[Markup | None, tuple[Member, ...]]:
    if "requestBody" not in operation:
        return None, ()
    ((media_type, content),) = operation["requestBody"]["content"].items()
    if media_type != "application/json":
        return Markup("<code>{}</code>, streamed").format(media_type), ()
    schema = content["schema"]
    return _type(schema), _members(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])


def _outcome(status: str, answer: dict[str, Any]) -> Outcome:
    content = answer.get("content", {})
    schema: dict[str, Any] = next((given["schema"] for given in content.values()), {})
    forms = Markup(", ").join(Markup("<code>{}</code>").format(name) for name in content)
    shown = _type(schema) if "$ref" in schema else forms
    return Outcome(
        status=status, text=_line(answer["description"]), type=shown, headers=tuple(answer.get("headers", {}))
    )


def _members(schema: dict[str, Any]) -> tuple[Member, ...]:
    required = schema.get("required", ())
    return tuple(
        _member(name, member, name in required, "", member.get("description", ""))
        for name, member in schema.get("properties", {}).items()
    )


def _member(name: str, schema: dict[str, Any], required: bool, place: str, text: str) -> Member:
    limits = [Markup(phrase.format(_number(schema[key]))) for key, phrase in LIMITS if key in schema]  # noqa: S704  # ours
    for option in schema.get("anyOf", ()):
        limits += [Markup(phrase.format(_number(option[key]))) for key, phrase in LIMITS if key in option]  # noqa: S704  # ours
    if pattern := _first(schema, "pattern"):
        limits.append(Markup("matches <code>{}</code>").format(pattern))
    if schema.get("default") not in (None, {}, []):
        shown = json.dumps(schema["default"])
        if len(shown) <= 60:
            limits.append(Markup("default <code>{}</code>").format(shown))
    return Member(name=name, type=_type(schema), required=required, place=place, text=_line(text), limits=tuple(limits))


def _number(value: Any) -> str:
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else str(value)


def _first(schema: dict[str, Any], key: str) -> Any:
    return schema.get(key) or next((option[key] for option in schema.get("anyOf", ()) if key in option), None)


def _type(schema: dict[str, Any]) -> Markup:
    """What a schema accepts, in words, with links to the values it names."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return Markup('<a href="#value-{0}">{0}</a>').format(name)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return Markup(" or ").join(_type(option) for option in schema[key])
    if "const" in schema:
        return Markup("<code>{}</code>").format(json.dumps(schema["const"]))
    if "enum" in schema:
        return Markup(" | ").join(Markup("<code>{}</code>").format(word) for word in schema["enum"])
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> Markup:
    match schema.get("type"):
        case "array":
            return Markup("list of {}").format(_type(schema.get("items", {})))
        case "object" if isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"]:
            return Markup("object of {}").format(_type(schema["additionalProperties"]))
        case "string" if "format" in schema:
            return Markup("{}").format({"date-time": "time", "binary": "bytes"}.get(schema["format"], schema["format"]))
        case None:
            return Markup("any JSON")
        case word:
            return Markup("{}").format(word)


def _short_lists(text: str) -> str:
    """Indented JSON with its lists of plain values on one line each."""
    return FLAT_LIST.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)


def _command(method: str, path: str, operation: dict[str, Any]) -> str:
    """The operation as a command line."""
    lines = [f'curl "$LAMINA_URL{path}"']
    if method != "get":
        lines[0] = f'curl -X {method.upper()} "$LAMINA_URL{path}"'
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $LAMINA_API_KEY"')
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        lines.append(f'-H "Content-Type: {media_type}"')
        if media_type == "application/json":
            lines.append(f"--data '{_short_lists(json.dumps(content['example'], indent=2))}'")
        else:
            lines.append("--data-binary @model.pt2")
    return " \\\n  ".join(lines)
