"""What does this service vouch for? A signed tree head: so many events, this root, this end of the chain, this time."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from service.contracts.base import WHOLE, Digest, Value, canonical_json
from service.evidence.keys import SigningKeys, signature_holds


class Head(Value):
    """A tenant's log at one time; `at` in microseconds since 1970, UTC."""

    tenant: str
    size: Annotated[int, Field(ge=0), WHOLE]
    root: Digest
    chain_hash: Digest
    at: Annotated[int, Field(ge=0), WHOLE]

    def written(self) -> bytes:
        """The bytes that are signed: RFC 8785."""
        return canonical_json(self.model_dump(mode="json"))


class SignedHead(Value):
    """A head, and the signature over it (base64, Ed25519)."""

    head: Head
    key_id: Digest
    signature: Annotated[str, Field(max_length=128)]


def signed(head: Head, keys: SigningKeys) -> SignedHead:
    """A head with this service's signature."""
    return SignedHead(head=head, key_id=keys.key_id, signature=keys.sign(head.written()))


def head_holds(signed_head: SignedHead, public_keys: Mapping[str, bytes]) -> bool:
    """Whether the head was signed with one of these keys (id -> raw public key)."""
    public = public_keys.get(signed_head.key_id)
    return public is not None and signature_holds(public, signed_head.signature, signed_head.head.written())
