from datetime import timedelta

import pytest
from sqlalchemy import func, select

from service.clock import FixedClock
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Audit, IdempotencyKey
from tests.service.http import bodies
from tests.service.http.asking import Asker, problem
from tests.service.work.world import World

KEY = {"Idempotency-Key": "release-2026.11"}


def audits(database: Database) -> int:
    with system_session(database) as session:
        return session.scalars(select(func.count()).select_from(Audit)).one()


def test_the_same_request_makes_one_audit_and_gets_the_same_answer(
    ask: Asker, world: World, database: Database
) -> None:
    body = bodies.audit(*world.ready_pair())

    first, again = (ask.post("/v1/audits", body, headers=KEY) for _ in range(2))

    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert audits(database) == 1


def test_the_answer_stays_the_same_when_the_audit_has_moved_on(ask: Asker, world: World) -> None:
    body = bodies.audit(*world.ready_pair())
    first = ask.post("/v1/audits", body, headers=KEY)
    ask.delete(first.headers["Location"])

    assert ask.post("/v1/audits", body, headers=KEY).data == first.data


def test_another_body_under_the_same_key_is_refused(ask: Asker, world: World) -> None:
    body = bodies.audit(*world.ready_pair())
    ask.post("/v1/audits", body, headers=KEY)

    problem(ask.post("/v1/audits", {**body, "title": "other"}, headers=KEY), "idempotency-mismatch")


def test_the_same_key_at_another_endpoint_is_refused(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")
    ask.post("/v1/models", bodies.model(digest), headers=KEY)

    problem(ask.post("/v1/datasets", bodies.dataset(digest), headers=KEY), "idempotency-mismatch")


def test_a_refused_request_leaves_its_key_free(ask: Asker) -> None:
    problem(ask.post("/v1/models", bodies.model("sha256:" + "0" * 64), headers=KEY), "invalid")
    digest = bodies.upload(ask, "weights")

    assert ask.post("/v1/models", bodies.model(digest), headers=KEY).status_code == 202


def test_models_and_datasets_are_registered_once(ask: Asker) -> None:
    digest = bodies.upload(ask, "weights")
    for path, body in (("/v1/models", bodies.model(digest)), ("/v1/datasets", bodies.dataset(digest))):
        key = {"Idempotency-Key": path}
        assert ask.post(path, body, headers=key).data == ask.post(path, body, headers=key).data


def test_a_key_is_good_for_a_day(ask: Asker, clock: FixedClock, database: Database) -> None:
    digest = bodies.upload(ask, "weights")
    ask.post("/v1/models", bodies.model(digest), headers=KEY)
    clock.advance(timedelta(days=1))

    answer = ask.post("/v1/models", bodies.model(digest, version="2"), headers=KEY)

    assert answer.status_code == 202
    with system_session(database) as session:
        assert session.scalars(select(func.count()).select_from(IdempotencyKey)).one() == 1


def test_tenants_do_not_share_keys(ask: Asker, stranger: Asker) -> None:
    for asker in (ask, stranger):
        digest = bodies.upload(asker, "weights")
        answer = asker.post("/v1/models", bodies.model(digest, name=str(asker.tenant)), headers=KEY)
        assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.parametrize("key", ["", "with space", "x" * 129, "né"])
def test_a_key_that_is_no_token_is_refused(ask: Asker, key: str) -> None:
    digest = bodies.upload(ask, "weights")

    problem(
        ask.post("/v1/models", bodies.model(digest), headers={"Idempotency-Key": key}), "invalid", "Idempotency-Key"
    )
