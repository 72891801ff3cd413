"""What does a request handler work with? The parts the composition root put together, and what one request brought."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from flask import Request

from service.auth import Caller
from service.catalog import Catalog
from service.clock import Clock
from service.contracts.base import Value
from service.evidence.own_keys import OwnKeys
from service.http.cursor import Cursors
from service.http.links import Links
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database, TenantSession

Q = TypeVar("Q", bound=Value)
B = TypeVar("B")


class NoQuery(Value):
    """No query parameters."""


class Octets(Protocol):
    """A body that is taken as a stream of bytes and never parsed."""

    def read(self, size: int, /) -> bytes:
        """At most `size` more bytes; none at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything the endpoints share; made once by service/app.py.

    `broker` says "ok" or what is wrong with the broker; `ring` tells the dispatcher that there is work.
    """

    settings: Settings
    database: Database
    clock: Clock
    blobs: BlobStore
    catalog: Catalog
    cursors: Cursors
    links: Links
    webhook_secret: Callable[[UUID, int], str]
    signer: OwnKeys
    broker: Callable[[], str]
    ring: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Q, B]):
    """One request, read and checked. The type arguments of a handler's `call` declare its query and its body.

    `raw` is a JSON body as it came.
    """

    parts: Parts
    request: Request
    now: datetime
    path: Mapping[str, str]
    query: Q
    body: B
    asker: Caller | None
    raw: bytes = b""

    @property
    def caller(self) -> Caller:
        """Who asks; endpoints with a scope always have one."""
        if self.asker is None:
            raise RuntimeError("an endpoint without a scope has no caller")
        return self.asker

    @property
    def id(self) -> UUID:
        """The id in the path."""
        return UUID(self.path["id"])

    def reads(self) -> AbstractContextManager[TenantSession]:
        """A transaction that reads the caller's tenant's rows."""
        return self.parts.database.session(self.caller.tenant, writes=False)

    def writes(self) -> AbstractContextManager[TenantSession]:
        """A transaction that may write the caller's tenant's rows."""
        return self.parts.database.session(self.caller.tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A handler's answer: a value of the declared model, or that value's JSON where writing it is most of the work."""

    value: Value | None = None
    content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
