"""The log over HTTP: events in their places, heads, proofs that anyone can check, and keys without a key."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, text

from service.clock import FixedClock
from service.contracts.log import SignedHeadView
from service.evidence.chain import START, joined, leaf_of, raw
from service.evidence.heads import Head, SignedHead, head_holds
from service.evidence.keys import key_id_of
from service.evidence.merkle import consistent, included
from service.evidence.own_keys import keys_of
from service.evidence.seal import Appender
from service.settings import Settings
from service.store.database import Database
from service.store.system import system_session
from service.store.tables_compliance import TreeHead
from tests.service.http.asking import Asker, problem
from tests.service.work.world import World


@pytest.fixture
def appender(database: Database, clock: FixedClock, settings: Settings) -> Appender:
    """What seals, with the application's key."""
    return Appender(database=database, clock=clock, keys=keys_of(settings))


def got(ask: Asker, path: str) -> dict[str, Any]:
    answer = ask.get(path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def head_of(shown: dict[str, Any]) -> SignedHead:
    """A head as the value that was signed, from its members alone."""
    view = SignedHeadView.model_validate_json(json.dumps(shown))
    head = Head(tenant=str(view.tenant), size=view.size, root=view.root, chain_hash=view.chain_hash, at=view.at)
    return SignedHead(head=head, key_id=view.key_id, signature=view.signature)


def events(ask: Asker) -> list[dict[str, Any]]:
    """Every event, oldest first, page by page."""
    found: list[dict[str, Any]] = []
    page = got(ask, "/v1/log?limit=3")
    found += page["items"]
    while page["next"]:
        page = got(ask, f"/v1/log?limit=3&cursor={page['next']}")
        found += page["items"]
    return found[::-1]


def test_events_stand_in_their_places_once_they_are_sealed(ask: Asker, world: World, appender: Appender) -> None:
    model, _ = world.ready_pair()
    before = events(ask)
    assert len(before) > 3
    assert {event["number"] for event in before} == {None}
    appender.seal()
    after = events(ask)
    assert [event["number"] for event in after] == list(range(len(before)))
    assert [event["id"] for event in after] == [event["id"] for event in before]
    chain_hash = START
    for event in after:
        chain_hash = joined(chain_hash, event["leaf_hash"])
        assert event["chain_hash"] == chain_hash
    mine = got(ask, f"/v1/log?subject={model}")["items"]
    assert {event["subject"] for event in mine} == {str(model)}
    assert 0 < len(mine) < len(after)


def test_a_cursor_of_the_log_is_for_its_filters_alone(ask: Asker, world: World) -> None:
    model, _ = world.ready_pair()
    cursor = got(ask, "/v1/log?limit=1")["next"]
    problem(ask.get(f"/v1/log?limit=1&cursor={cursor}&subject={model}"), "invalid", "?cursor")


def test_proofs_lead_to_heads_that_the_public_key_checks(
    ask: Asker, nobody: Asker, world: World, appender: Appender, clock: FixedClock
) -> None:
    assert got(ask, "/v1/log/head") == {"size": 0, "head": None}
    model, dataset = world.ready_pair()
    first = appender.head(ask.tenant)
    world.audit(model, dataset)
    clock.advance(timedelta(seconds=1))
    second = appender.head(ask.tenant)
    keys = {key["id"]: bytes.fromhex(key["ed25519"]) for key in got(nobody, "/.well-known/lamina-keys.json")["keys"]}
    assert {key_id_of(public): public for public in keys.values()} == keys
    shown = got(ask, "/v1/log/head")
    assert shown["size"] == second.head.size + 1  # that it was signed is an event as well, after it
    assert head_of(shown["head"]) == second
    assert head_holds(second, keys)
    *covered, told = events(ask)
    assert told["action"] == "head signed"
    problem(ask.get(f"/v1/log/proof?event={told['id']}"), "conflict")
    for event in covered:
        proof = got(ask, f"/v1/log/proof?event={event['id']}")
        assert head_of(proof["head"]) == second
        assert leaf_of(proof["entry"].encode()) == proof["leaf_hash"] == event["leaf_hash"]
        path = [bytes.fromhex(step) for step in proof["path"]]
        assert included(raw(proof["leaf_hash"]), proof["number"], second.head.size, path, raw(second.head.root))
    between = got(ask, f"/v1/log/consistency?first={first.head.size}&second={second.head.size}")
    assert (head_of(between["first"]), head_of(between["second"])) == (first, second)
    steps = [bytes.fromhex(step) for step in between["path"]]
    assert consistent(first.head.size, second.head.size, raw(first.head.root), raw(second.head.root), steps)


def test_what_cannot_be_proved_says_why(ask: Asker, stranger: Asker, world: World, appender: Appender) -> None:
    world.ready_pair()
    event = events(ask)[0]["id"]
    assert problem(ask.get(f"/v1/log/proof?event={event}"), "conflict").detail == (
        "The event is under no signed head yet."
    )
    size = appender.head(ask.tenant).head.size
    problem(stranger.get(f"/v1/log/proof?event={event}"), "not-found")
    problem(ask.get("/v1/log/proof?event=999999"), "not-found")
    problem(ask.get(f"/v1/log/consistency?first={size}&second=1"), "invalid", "?first")
    problem(ask.get(f"/v1/log/consistency?first=1&second={size}"), "invalid", "?first")
    problem(stranger.get(f"/v1/log/consistency?first={size}&second={size}"), "invalid", "?first", "?second")
    assert got(ask, f"/v1/log/consistency?first={size}&second={size}")["path"] == []


def test_a_log_that_lost_events_gives_no_proof(
    ask: Asker, world: World, appender: Appender, database: Database
) -> None:
    world.ready_pair()
    size = appender.head(ask.tenant).head.size
    first, *_ = events(ask)
    with system_session(database) as session:
        if database.engine.dialect.name == "sqlite":
            session.execute(text("DROP TRIGGER event_is_not_deleted"))
        else:
            session.execute(text("DROP TRIGGER event_is_kept ON event"))
        session.execute(text("DELETE FROM event WHERE chain_number = 1"))
    refused = problem(ask.get(f"/v1/log/proof?event={first['id']}"), "conflict")
    assert refused.detail == f"The log has {size - 1} of the {size} events that its head was signed over."


def test_the_key_at_hand_is_shown_before_it_has_signed_anything(nobody: Asker, settings: Settings) -> None:
    (key,) = got(nobody, "/.well-known/lamina-keys.json")["keys"]
    assert bytes.fromhex(key["ed25519"]) == keys_of(settings).public
    assert (key["id"], key["created_at"]) == (keys_of(settings).key_id, None)


def test_keys_stay_public_when_the_heads_they_signed_are_gone(
    ask: Asker, nobody: Asker, world: World, appender: Appender, database: Database
) -> None:
    world.ready_pair()
    appender.head(ask.tenant)
    with system_session(database) as session:
        session.execute(delete(TreeHead))
    (key,) = got(nobody, "/.well-known/lamina-keys.json")["keys"]
    assert key["created_at"] is not None
    assert UUID(got(ask, "/v1/log?limit=1")["items"][0]["by"])
