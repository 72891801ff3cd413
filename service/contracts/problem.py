"""How does anything here say no? In one shape: RFC 9457 problem details, with every fault at its JSON Pointer."""

from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE, Text, Value

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
TYPE_PREFIX = "urn:lamina:problem:"


class Fault(Value):
    """One thing wrong with a request or a file, and where."""

    pointer: Annotated[str, Field(max_length=1024)] = Field(description="JSON Pointer into the body, or a header name.")
    detail: Text


class Reason(Value):
    """Why work ended without an outcome: what failed, what to do, and whether trying again can help."""

    code: Slug
    detail: Text
    remedy: Text | None = None
    permanent: bool = True
    faults: Annotated[tuple[Fault, ...], Field(max_length=200, strict=False)] = ()


class Problem(Value):
    """An RFC 9457 problem document, as every error of the API is sent."""

    type: Annotated[str, Field(pattern=r"^urn:lamina:problem:[a-z][a-z0-9-]*$")]
    title: Text
    status: Annotated[int, Field(ge=400, le=599), WHOLE]
    detail: Text
    remedy: Text | None = None
    permanent: bool = Field(default=True, description="False when the same request may succeed later.")
    errors: Annotated[tuple[Fault, ...], Field(strict=False)] = ()
    request_id: Annotated[str, Field(max_length=64)]
