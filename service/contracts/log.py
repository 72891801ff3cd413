"""What does the log look like over HTTP? Events in their places, signed heads, and proofs that lead to them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.contracts.base import Digest, Integer, Value

Node = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="A hash: 64 hexadecimal digits.")]
EventId = Annotated[int, Field(ge=1, le=(1 << 53) - 1)]
TreeSize = Annotated[int, Field(ge=1, le=(1 << 53) - 1)]


class EventView(Value):
    """One event; without a place (`number` null) it is not sealed yet, which takes seconds."""

    id: Integer
    at: datetime
    by: UUID = Field(description="The principal who did it.")
    subject_type: str
    subject: UUID
    action: str
    before: str | None
    after: str | None
    number: Integer | None = Field(description="Its place in the log, from 0; null: not sealed yet.")
    leaf_hash: Digest | None
    chain_hash: Digest | None


class SignedHeadView(Value):
    """A signed statement of the whole log.

    Signed (Ed25519) is the RFC 8785 text of tenant, size, root, chain_hash and `at`, which counts microseconds since
    1970.
    """

    tenant: UUID
    size: Integer
    root: Digest
    chain_hash: Digest
    at: Integer
    key_id: Digest
    signature: str


class LogHead(Value):
    """How far the log is sealed, and the newest signed head of it; null until one is signed."""

    size: Integer = Field(description="Number of events that are sealed.")
    head: SignedHeadView | None


class InclusionProof(Value):
    """That an event stands in the log a head was signed over (RFC 9162, 2.1.3).

    `leaf_hash` is SHA-256 of a zero byte and `entry`.
    """

    event: Integer
    number: Integer
    entry: str = Field(description="The event as it is hashed: RFC 8785 text.")
    leaf_hash: Digest
    path: tuple[Node, ...] = Field(description="From its sibling up.")
    head: SignedHeadView


class ConsistencyProof(Value):
    """That the log under the first head is the beginning of the log under the second (RFC 9162, 2.1.4)."""

    first: SignedHeadView
    second: SignedHeadView
    path: tuple[Node, ...]


class PublicKey(Value):
    """A key that this service signs with, or has signed with; its id is the SHA-256 of its raw bytes."""

    id: Digest
    ed25519: Node = Field(description="The raw public key, 64 hexadecimal digits.")
    created_at: datetime | None = Field(description="When it first signed or took over; null: neither yet.")
    retired_at: datetime | None
    succeeds: Digest | None = Field(description="The key that retired in its favour.")
    vouched: str | None = Field(description="That key's signature over this one (base64, Ed25519).")


class PublicKeys(Value):
    """Every key that signatures of this service can be checked with."""

    keys: tuple[PublicKey, ...]
