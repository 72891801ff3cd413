"""How is a statement signed so that other tools can check it? In a DSSE envelope, version 1 of its protocol.

The signature is over PAE(type, body) = "DSSEv1" SP len(type) SP type SP len(body) SP body, so that a body of one type
cannot be passed off as another's.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, ValidationError

from service.contracts.base import Value
from service.evidence.keys import SigningKeys, signature_holds

IN_TOTO = "application/vnd.in-toto+json"


class NotSigned(ValueError):
    """An envelope that cannot be read, or whose signature does not hold; the message says which."""


class Signature(Value):
    """One signature of an envelope."""

    keyid: Annotated[str, Field(max_length=128)]
    sig: Annotated[str, Field(max_length=512)]


class Envelope(Value):
    """A DSSE envelope."""

    payload: str
    payloadType: Annotated[str, Field(max_length=256)]  # noqa: N815  # the specification's own name
    signatures: Annotated[tuple[Signature, ...], Field(min_length=1, max_length=16, strict=False)]


def pae(payload_type: str, body: bytes) -> bytes:
    """The pre-authentication encoding of a body."""
    name = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(body), body)


def sealed(body: bytes, keys: SigningKeys, *, payload_type: str = IN_TOTO) -> bytes:
    """A body in its envelope, signed; equal bodies and keys give equal bytes."""
    envelope = {
        "payload": base64.b64encode(body).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": keys.key_id, "sig": keys.sign(pae(payload_type, body))}],
    }
    return json.dumps(envelope, sort_keys=True, indent=1).encode()


def opened(envelope: bytes, public_keys: Mapping[str, bytes], *, payload_type: str = IN_TOTO) -> tuple[bytes, str]:
    """The body of an envelope and the id of the key that signed it. Raises NotSigned.

    Of several signatures every one must hold: one that cannot be checked would stand there as if it had been.
    """
    try:
        read = Envelope.model_validate_json(envelope)
        body = base64.b64decode(read.payload, validate=True)
    except (ValidationError, binascii.Error, ValueError) as error:
        raise NotSigned(f"this is no DSSE envelope: {type(error).__name__}") from error
    if read.payloadType != payload_type:
        raise NotSigned(f"the envelope holds {read.payloadType!r}, not {payload_type!r}")
    if len({each.keyid for each in read.signatures}) != len(read.signatures):
        raise NotSigned("a key has signed the envelope twice")
    for each in read.signatures:
        if each.keyid not in public_keys:
            raise NotSigned("the envelope is signed by no key at hand, or by another beside it")
        if not signature_holds(public_keys[each.keyid], each.sig, pae(payload_type, body)):
            raise NotSigned("the signature does not hold: envelope or body was changed")
    return body, read.signatures[0].keyid
