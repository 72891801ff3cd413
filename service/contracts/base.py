"""What does every shared value promise? That it is frozen, refuses what it does not know, and holds no NaN."""

import hashlib
from typing import Annotated, Any

import rfc8785
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue


def _integral(value: Any) -> Any:
    """JSON Schema counts 5.0 as an integer and true as none; pydantic in strict mode says the reverse of the first."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_integral)
"""What makes 5.0 an integer. It stands after the bounds in `Annotated`: the schema would lose those behind it."""
Integer = Annotated[int, WHOLE]
"""A JSON Schema integer without bounds; with bounds write `Annotated[int, Field(ge=...), WHOLE]`."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", description="sha256: and 64 hexadecimal digits.")]
Name = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(max_length=4000)]
LayerName = Annotated[str, Field(max_length=512, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Value(BaseModel):
    """A frozen value of the shared vocabulary; unknown members, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Parameters(Value):
    """What an asker chose for one analysis. Every field has a default, a description and, if numeric, bounds."""


def canonical_json(value: JsonValue) -> bytes:
    """The one way to write a value down (RFC 8785), so that equal values have equal bytes."""
    return rfc8785.dumps(value)


def digest_of(content: bytes) -> str:
    """The address of some bytes: `sha256:` and the hexadecimal SHA-256."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest_of_value(value: JsonValue) -> str:
    """The address of a JSON value: the digest of its canonical form."""
    return digest_of(canonical_json(value))


def analysis_digest(kind: str, kind_version: int, parameters: JsonValue, inputs: dict[str, str], model: str) -> str:
    """Which computation is this? Equal digests mean equal numbers, and every seed is derived from it.

    `inputs` maps a role to the canonical digest of what fills it; `parameters` has its defaults filled in.
    """
    return digest_of_value(
        {
            "kind": kind,
            "kind_version": kind_version,
            "parameters": parameters,
            "inputs": {**inputs},
            "model": model,
        }
    )
