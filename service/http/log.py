"""Endpoints of the log: what happened, how far it is sealed, and proofs against signed heads."""

from uuid import UUID

from pydantic import Field
from sqlalchemy.orm import Session

from service.contracts.api import Page
from service.contracts.base import Value
from service.contracts.log import (
    ConsistencyProof,
    EventId,
    EventView,
    InclusionProof,
    LogHead,
    SignedHeadView,
    TreeSize,
)
from service.contracts.problem import Fault
from service.evidence.chain import raw
from service.evidence.merkle import Tree
from service.evidence.seal import entry_of, newest_head, signed_head
from service.http.endpoint import LINK, Answer, Resource
from service.http.paging import PageQuery, following, start
from service.http.parts import Call, NoQuery, Reply
from service.http.problems import Refusal, invalid, missing
from service.store import questions_log as questions
from service.store.base import EPOCH
from service.store.tables import Event
from service.store.tables_compliance import TreeHead

log = Resource(
    tag="log",
    about="What happened, event by event. Events are sealed into a hash chain and a Merkle tree (RFC 9162) of the "
    "tenant's own soon after they are written, and heads of it are signed: whoever keeps a head can later have it "
    "proved that nothing before it was changed.",
)


class LogQuery(PageQuery):
    """Which events."""

    subject: UUID | None = Field(None, description="Events about the thing of this id only.")


class ProofQuery(Value):
    """Which event."""

    event: EventId = Field(description="Id of the event.")


class ConsistencyQuery(Value):
    """Between which heads."""

    first: TreeSize = Field(description="Size of the earlier head.")
    second: TreeSize = Field(description="Size of the later head.")


class LogPage(Page[EventView]):
    """One page of events."""


@log.endpoint(
    "GET",
    "/v1/log",
    scope="read",
    answers=(Answer(status=200, description="One page, newest first.", model=LogPage, headers=(LINK,)),),
)
def list_log_events(call: Call[LogQuery, None]) -> Reply:
    """List events.

    Who did what to which thing, and where it stands in the log.
    """
    place = start(call)
    with call.reads() as session:
        page = questions.events_page(
            session,
            limit=call.query.limit,
            before=None if place is None else place[1].int,
            subject_id=call.query.subject,
        )
        items = tuple(_show(row) for row in page.rows)
    # Events are numbered, not named by UUID: their cursor carries the number in a UUID's place.
    cursor, headers = following(call, None if page.before is None else (EPOCH, UUID(int=page.before)))
    return Reply(value=LogPage(items=items, next=cursor), headers=headers)


@log.endpoint(
    "GET", "/v1/log/head", scope="read", answers=(Answer(status=200, description="The newest head.", model=LogHead),)
)
def get_log_head(call: Call[NoQuery, None]) -> Reply:
    """Show the newest signed head.

    Keep it: no change of anything before it can be hidden from whoever has it.
    """
    with call.reads() as session:
        head = newest_head(session, call.caller.tenant)
        value = LogHead(size=questions.sealed_size(session), head=None if head is None else _show_head(head))
    return Reply(value=value)


@log.endpoint(
    "GET",
    "/v1/log/proof",
    scope="read",
    answers=(Answer(status=200, description="The proof.", model=InclusionProof),),
    problems=("not-found", "conflict"),
)
def get_inclusion_proof(call: Call[ProofQuery, None]) -> Reply:
    """Prove that an event stands in the log.

    Against the newest signed head; what it costs grows with the log.
    """
    with call.reads() as session:
        event = session.get(Event, call.query.event)
        if event is None:
            raise missing("event")
        head = newest_head(session, call.caller.tenant)
        number = event.chain_number
        if head is None or number is None or number >= head.size:
            raise Refusal(
                "conflict",
                "The event is under no signed head yet.",
                remedy="Ask again later: heads are signed as the log grows, and whenever a compliance report is made.",
            )
        value = InclusionProof(
            event=event.id,
            number=number,
            entry=entry_of(event).written().decode(),
            leaf_hash=event.leaf_hash or "",
            path=_hex(_tree(session, head).inclusion(number)),
            head=_show_head(head),
        )
    return Reply(value=value)


@log.endpoint(
    "GET",
    "/v1/log/consistency",
    scope="read",
    answers=(Answer(status=200, description="The proof.", model=ConsistencyProof),),
)
def get_consistency_proof(call: Call[ConsistencyQuery, None]) -> Reply:
    """Prove that one head's log is the beginning of another's.

    Both are named by their sizes, and must have been signed.
    """
    asked = call.query
    if asked.first > asked.second:
        raise invalid([Fault(pointer="?first", detail="the first head is the earlier one: it is no larger")])
    with call.reads() as session:
        heads = {size: questions.head_of_size(session, size) for size in (asked.first, asked.second)}
        first, second = heads[asked.first], heads[asked.second]
        if first is None or second is None:
            gone = [name for name, head in (("first", first), ("second", second)) if head is None]
            raise invalid([Fault(pointer=f"?{name}", detail="no head of this size was signed") for name in gone])
        value = ConsistencyProof(
            first=_show_head(first),
            second=_show_head(second),
            path=_hex(_tree(session, second).consistency(asked.first)),
        )
    return Reply(value=value)


def _tree(session: Session, head: TreeHead) -> Tree:
    """The tree under a head. A log that has lost events gives no proof that could pass for one."""
    leaves = questions.leaves(session, head.size)
    if len(leaves) != head.size:
        raise Refusal(
            "conflict",
            f"The log has {len(leaves)} of the {head.size} events that its head was signed over.",
            remedy="Tell the operator: `lamina log verify` names what is missing.",
        )
    return Tree([raw(leaf) for leaf in leaves])


def _hex(path: list[bytes]) -> tuple[str, ...]:
    return tuple(step.hex() for step in path)


def _show(row: Event) -> EventView:
    return EventView(
        id=row.id,
        at=row.created_at,
        by=row.created_by,
        subject_type=row.subject_type,
        subject=row.subject_id,
        action=row.action,
        before=row.before,
        after=row.after,
        number=row.chain_number,
        leaf_hash=row.leaf_hash,
        chain_hash=row.chain_hash,
    )


def _show_head(row: TreeHead) -> SignedHeadView:
    signed = signed_head(row)
    head = signed.head
    return SignedHeadView(
        tenant=row.tenant,
        size=head.size,
        root=head.root,
        chain_hash=head.chain_hash,
        at=head.at,
        key_id=signed.key_id,
        signature=signed.signature,
    )
