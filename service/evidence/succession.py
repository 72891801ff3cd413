"""Who signs after a key has retired? The one that it vouched for, in a signed statement of its own.

Whoever trusts the first key may then trust the next without asking again. A stolen key can vouch as well: from then on
only a key that is known from elsewhere tells.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import Field, JsonValue

from service.contracts.base import WHOLE, Digest, Value, canonical_json
from service.evidence.keys import SigningKeys, key_id_of, signature_holds


class Succession(Value):
    """A key's word that another signs after it.

    `ed25519` is the other's raw public half in hexadecimal digits, `at` in microseconds since 1970 (UTC), the signature
    base64.
    """

    retired: Digest
    ed25519: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    at: Annotated[int, Field(ge=0), WHOLE]
    signature: Annotated[str, Field(max_length=128)]

    @property
    def successor(self) -> str:
        """The other key's id."""
        return key_id_of(bytes.fromhex(self.ed25519))

    def holds(self, public_keys: Mapping[str, bytes]) -> bool:
        """Whether the retired key, one of these (id -> raw public key), has signed it."""
        public = public_keys.get(self.retired)
        return public is not None and signature_holds(public, self.signature, _said(self))


def vouched(retired: SigningKeys, successor: bytes, at: int) -> Succession:
    """The word of a key for the next, whose raw public half is given."""
    unsigned = Succession(retired=retired.key_id, ed25519=successor.hex(), at=at, signature="")
    return unsigned.model_copy(update={"signature": retired.sign(_said(unsigned))})


def trusted_after(trusted: Mapping[str, bytes], words: Iterable[Succession]) -> dict[str, bytes]:
    """The keys trusted, and every key that one of them vouched for, however many stand between (id -> raw)."""
    found, left = dict(trusted), list(words)
    while held := [word for word in left if word.holds(found)]:
        found |= {word.successor: bytes.fromhex(word.ed25519) for word in held}
        left = [word for word in left if word not in held]
    return found


def _said(word: Succession) -> bytes:
    """The bytes that are signed: RFC 8785, and a type that nothing else which these keys sign has."""
    said: JsonValue = {"type": "lamina key succession", "retired": word.retired, "ed25519": word.ed25519, "at": word.at}
    return canonical_json(said)
