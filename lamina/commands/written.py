"""What did somebody type? Times and submissions, read from words and refused in a sentence."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from lamina.failure import Usage

if TYPE_CHECKING:
    from pydantic import BaseModel

S = TypeVar("S", bound="BaseModel")


def moment(text: str) -> datetime:
    """A day (its beginning, in UTC) or a time with its zone. Raises Usage."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Usage(f"{text!r} is no day such as 2026-12-31, nor a time such as 2026-12-31T12:00:00Z") from error
    if found.tzinfo is None and len(text) > len("2026-12-31"):
        raise Usage(f"{text!r} has no zone; write {text}Z for UTC")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def submission(form: type[S], /, **given: object) -> S:
    """What was typed as the API words it. Raises Usage with the first fault."""
    from pydantic import ValidationError

    try:
        return form(**given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise Usage(f"{where}: {fault['msg']}" if where else fault["msg"]) from error
