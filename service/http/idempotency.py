"""Has this request been answered already? Then it gets the same answer, and nothing is made twice."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.contracts.base import Value
from service.http.parts import Call, Reply
from service.http.problems import Refusal
from service.store.tables import IdempotencyKey

KEPT_FOR = timedelta(days=1)
REPLAYED = {"Idempotency-Replayed": "true"}
V = TypeVar("V", bound=Value)


class _Taken(Exception):
    """Another request wrote its note under this key first."""


def once(call: Call[Any, Any], model: type[V], make: Callable[[Session], Reply]) -> Reply:
    """Answer with `make`, in one transaction with the note that it was answered; or as it was answered before.

    The note is written first: of two requests with one key at the same time, the second waits there until the first
    has committed, and then finds its answer. A request that fails leaves no note.
    """
    key = call.request.headers.get("Idempotency-Key")
    if key is None:
        with call.writes() as session:
            return make(session)
    fingerprint = _fingerprint(call)
    try:
        return _answer(call, model, make, key, fingerprint)
    except _Taken:
        with call.reads() as session:
            noted = _noted(session, key, call.now)
        if noted is None:
            raise
        return _again(noted, fingerprint, model)


def _answer(
    call: Call[Any, Any], model: type[V], make: Callable[[Session], Reply], key: str, fingerprint: str
) -> Reply:
    with call.writes() as session:
        noted = _noted(session, key, call.now)
        if noted is not None:
            return _again(noted, fingerprint, model)
        expired = delete(IdempotencyKey).where(IdempotencyKey.created_at <= call.now - KEPT_FOR)
        session.execute(expired.execution_options(synchronize_session=False))
        note = IdempotencyKey(
            tenant=call.caller.tenant,
            key=key,
            fingerprint=fingerprint,
            status=0,
            body={},
            created_by=call.caller.principal,
            created_at=call.now,
        )
        session.add(note)
        try:
            session.flush()
        except IntegrityError as error:
            raise _Taken from error
        reply = make(session)
        assert reply.value is not None  # what makes something answers with a value
        note.status, note.location = reply.status, reply.headers.get("Location")
        note.body = reply.value.model_dump(mode="json")
        return reply


def _noted(session: Session, key: str, now: datetime) -> IdempotencyKey | None:
    return session.scalar(
        select(IdempotencyKey).where(IdempotencyKey.key == key, IdempotencyKey.created_at > now - KEPT_FOR)
    )


def _again(noted: IdempotencyKey, fingerprint: str, model: type[V]) -> Reply:
    if noted.fingerprint != fingerprint:
        raise Refusal("idempotency-mismatch", "This Idempotency-Key was sent before, with another body or elsewhere.")
    headers = REPLAYED if noted.location is None else {**REPLAYED, "Location": noted.location}
    value = model.model_validate_json(json.dumps(noted.body))
    return Reply(value=value, status=noted.status, headers=headers)


def _fingerprint(call: Call[Any, Any]) -> str:
    request = call.request
    # Whose key it is belongs to it: what one person signed is no answer to another who would sign.
    who = str(call.caller.principal).encode()
    content = b"\0".join((who, request.method.encode(), request.path.encode(), call.raw))
    return "sha256:" + hashlib.sha256(content).hexdigest()
