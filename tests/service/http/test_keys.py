from dataclasses import replace
from datetime import timedelta

import pytest

from service import auth
from service.clock import FixedClock
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Event, Principal
from tests.service.http.asking import NOBODYS, Asker, problem
from tests.service.http.conftest import MakeAsker


def wanted(ask: Asker, **changes: object) -> dict[str, object]:
    return {"principal": str(ask.principal), "label": "nightly", "scopes": ["read"], "days": 30, **changes}


def test_a_key_just_made_works_and_its_secret_is_shown_this_once(ask: Asker) -> None:
    answer = ask.post("/v1/keys", wanted(ask))

    assert answer.status_code == 201
    assert answer.json is not None
    secret = answer.json["secret"]
    assert secret.startswith(f"lam_{answer.json['prefix']}_")
    assert answer.json["expires_at"] == "2026-03-31T12:00:00Z"
    who = replace(ask, key=secret).get("/v1/whoami").json
    assert who is not None
    assert (who["principal"], who["scopes"]) == (str(ask.principal), ["read"])
    for path in ("/v1/keys", answer.headers["Location"]):
        assert secret.rpartition("_")[2] not in ask.get(path).text


def test_a_key_makes_no_key_with_scopes_it_lacks(make_asker: MakeAsker, ask: Asker) -> None:
    admin = make_asker(ask.tenant, "carol", ["admin"])

    refused = problem(admin.post("/v1/keys", wanted(ask, scopes=["admin", "submit"])), "forbidden")

    assert "read, submit" in refused.detail
    assert admin.post("/v1/keys", wanted(ask, scopes=["admin"])).status_code == 201


def test_an_untrusted_principal_makes_no_key_for_a_trusted_one(
    make_asker: MakeAsker, ask: Asker, database: Database, clock: FixedClock
) -> None:
    trusted = make_asker(ask.tenant, "trusted")
    auth.set_trust(database, trusted.principal, trusted=True, now=clock.now())

    problem(ask.post("/v1/keys", wanted(trusted)), "forbidden")
    assert trusted.post("/v1/keys", wanted(trusted)).status_code == 201


def test_a_key_is_for_a_principal_of_the_same_tenant(ask: Asker, stranger: Asker) -> None:
    others = problem(ask.post("/v1/keys", wanted(stranger)), "invalid", "/principal")
    unknown = problem(ask.post("/v1/keys", wanted(ask, principal=str(NOBODYS))), "invalid", "/principal")

    assert others.errors == unknown.errors


def test_a_disabled_principal_is_given_no_key(ask: Asker, make_asker: MakeAsker, database: Database) -> None:
    other = make_asker(ask.tenant, "carol")
    with system_session(database) as session:
        row = session.get_one(Principal, other.principal)
        row.disabled_at = row.created_at

    problem(ask.post("/v1/keys", wanted(other)), "conflict")


def test_a_revoked_key_stops_at_once_and_for_good(ask: Asker) -> None:
    made = ask.post("/v1/keys", wanted(ask)).json
    assert made is not None
    asker = replace(ask, key=made["secret"])
    assert asker.get("/v1/whoami").status_code == 200

    once, again = ask.delete(f"/v1/keys/{made['id']}"), ask.delete(f"/v1/keys/{made['id']}")

    assert once.json is not None
    assert once.json["revoked_at"] == "2026-03-01T12:00:00Z"
    assert again.json == once.json
    assert "revoked" in problem(asker.get("/v1/whoami"), "unauthenticated").detail


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"days": 0}, "/days"),
        ({"days": 3651}, "/days"),
        ({"days": True}, "/days"),
        ({"days": "30"}, "/days"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"label": ""}, "/label"),
        ({"secret": "mine"}, "/secret"),
    ],
)
def test_what_a_key_cannot_be_is_refused_at_its_place(ask: Asker, changes: dict[str, object], pointer: str) -> None:
    problem(ask.post("/v1/keys", wanted(ask, **changes)), "invalid", pointer)


def test_keys_are_listed_and_filtered_by_principal(ask: Asker, make_asker: MakeAsker) -> None:
    other = make_asker(ask.tenant, "carol")

    everything, some = ask.get("/v1/keys").json, ask.get(f"/v1/keys?principal={other.principal}").json

    assert everything is not None
    assert some is not None
    assert len(everything["items"]) == 2
    assert [item["principal"] for item in some["items"]] == [str(other.principal)]


def test_making_and_revoking_leave_events(ask: Asker, database: Database) -> None:
    made = ask.post("/v1/keys", wanted(ask)).json
    assert made is not None
    ask.delete(f"/v1/keys/{made['id']}")

    with system_session(database) as session:
        events = [row for row in session.query(Event).order_by(Event.id) if str(row.subject_id) == made["id"]]
        assert [row.action for row in events] == ["key made", "key revoked"]
        assert {row.created_by for row in events} == {ask.principal}


def test_last_use_is_noted_to_the_minute(ask: Asker, clock: FixedClock) -> None:
    def last_used() -> str:
        listed = ask.get("/v1/keys").json
        assert listed is not None
        return str(listed["items"][0]["last_used_at"])

    assert last_used() == "2026-03-01T12:00:00Z"
    clock.advance(timedelta(seconds=59))
    assert last_used() == "2026-03-01T12:00:00Z"
    clock.advance(timedelta(seconds=1))
    assert last_used() == "2026-03-01T12:01:00Z"
