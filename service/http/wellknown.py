"""Endpoint of the service's public keys: what its signatures are checked with, asked for without a key."""

from uuid import UUID

from service.contracts.log import PublicKey, PublicKeys
from service.http.endpoint import Answer, Resource
from service.http.parts import Call, NoQuery, Reply
from service.store import questions_log as questions

NOBODY = UUID(int=0)  # public keys belong to the service, and to no tenant

wellknown = Resource(
    tag="public keys", about="What the signatures of reports, heads and sign-offs are checked with, now and later."
)


@wellknown.endpoint(
    "GET",
    "/.well-known/lamina-keys.json",
    scope=None,
    answers=(Answer(status=200, description="Every key, oldest first.", model=PublicKeys),),
)
def get_public_keys(call: Call[NoQuery, None]) -> Reply:
    """List the service's public keys.

    Keep a copy: `lamina verify --key FILE` takes it as it is. A retired key stays, since what it signed stays.
    """
    parts = call.parts
    with parts.database.session(NOBODY, writes=False) as session:
        rows = questions.signing_keys(session)
        keys = tuple(
            PublicKey(
                id=row.id,
                ed25519=row.public_key.hex(),
                created_at=row.created_at,
                retired_at=row.retired_at,
                succeeds=row.succeeds,
                vouched=row.vouched,
            )
            for row in rows
        )
    signer = parts.signer.current()
    own = PublicKey(
        id=signer.key_id, ed25519=signer.public.hex(), created_at=None, retired_at=None, succeeds=None, vouched=None
    )
    if own.id not in {key.id for key in keys}:
        keys = (*keys, own)
    return Reply(value=PublicKeys(keys=keys))
