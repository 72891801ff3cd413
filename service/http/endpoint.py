"""How is an endpoint declared? Once: method, path, scope and answers here; query and body by its handler's types."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from flask import Response

from service.contracts.api import Scope
from service.contracts.base import Value
from service.http.parts import Call, Octets, Reply

Method = Literal["GET", "POST", "DELETE"]
Handler = Callable[[Call[Any, Any]], Reply | Response]
H = TypeVar("H", bound=Handler)
PARAMETER = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderField:
    """A header of a request or an answer."""

    name: str
    description: str
    pattern: str | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One way for an endpoint to say yes. `model` is None for bytes of `media_types`."""

    status: int
    description: str
    model: type[Value] | None = None
    media_types: tuple[str, ...] = ("application/json",)
    headers: tuple[HeaderField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PathParameter:
    """A part of the path, with the text that it must match to exist at all."""

    name: str
    pattern: str
    description: str
    format: str | None = None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method on one path."""

    method: Method
    path: str
    name: str
    tag: str
    summary: str
    description: str
    scope: Scope | Literal["any"] | None
    query: type[Value]
    body: type[Any] | None
    answers: tuple[Answer, ...]
    problems: tuple[str, ...]
    headers: tuple[HeaderField, ...]
    parameters: tuple[PathParameter, ...]
    documented: bool
    handle: Handler

    @property
    def takes_json(self) -> bool:
        """Whether it reads a JSON body."""
        return self.body is not None and self.body is not Octets

    @property
    def rule(self) -> str:
        """Its path as Flask writes it."""
        return PARAMETER.sub(r"<string:\1>", self.path)


def _types(handler: Handler) -> tuple[type[Value], type[Any] | None]:
    """Query and body model of a handler, from the type of its `call`."""
    query, body = get_args(get_type_hints(handler)["call"])
    return query, (None if body is type(None) else body)


@dataclass(frozen=True, slots=True)
class Resource:
    """A group of endpoints about one thing; `parameter` is what fills the braces of their paths."""

    tag: str
    about: str
    parameter: PathParameter | None = None
    endpoints: list[Endpoint] = field(default_factory=list)

    def endpoint(
        self,
        method: Method,
        path: str,
        *,
        scope: Scope | Literal["any"] | None,
        answers: tuple[Answer, ...],
        problems: tuple[str, ...] = (),
        headers: tuple[HeaderField, ...] = (),
        documented: bool = True,
    ) -> Callable[[H], H]:
        """Declare an endpoint; its docstring's first line is its summary, the rest its description.

        `scope` is what the key must hold: "any" for any valid key, None for no key at all.
        """

        def declare(handler: H) -> H:
            query, body = _types(handler)
            summary, _, description = (inspect.getdoc(handler) or "").partition("\n\n")
            taken = (self.parameter,) if self.parameter and PARAMETER.search(path) else ()
            self.endpoints.append(
                Endpoint(
                    method=method,
                    path=path,
                    name=handler.__name__,
                    tag=self.tag,
                    summary=summary,
                    description=description,
                    scope=scope,
                    query=query,
                    body=body,
                    answers=answers,
                    problems=problems,
                    headers=headers,
                    parameters=taken,
                    documented=documented,
                    handle=handler,
                )
            )
            return handler

        return declare


def by_id(what: str) -> PathParameter:
    """The usual path parameter: a UUID. Text that is no UUID names nothing, so it is answered with 404."""
    return PathParameter(
        name="id",
        pattern=r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
        format="uuid",
        description=f"Id of the {what}.",
        what=what,
    )


LOCATION = HeaderField(name="Location", description="Where what was made can be read.")
RETRY_AFTER = HeaderField(name="Retry-After", description="Seconds after which asking again makes sense.")
ETAG = HeaderField(name="ETag", description="Names this state of the answer; send it back in If-None-Match.")
LINK = HeaderField(name="Link", description='The next page, rel="next"; absent at the end.')
IF_NONE_MATCH = HeaderField(
    name="If-None-Match", description="ETag of the state already held; answered with 304 if it is still so."
)
IDEMPOTENCY_KEY = HeaderField(
    name="Idempotency-Key",
    description="Any text of your own: for a day, the same key with the same body gets the same answer and makes "
    "nothing twice.",
    pattern=r"^[\x21-\x7e]{1,128}$",
    example="audit-2026-11-22-a",
)
