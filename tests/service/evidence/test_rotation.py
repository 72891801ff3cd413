"""Does a new key take over so that whoever trusts the old one need not ask, and so that no other can be put in?"""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update

from lamina.failure import Usage
from lamina.key_rotation import rotate
from service.clock import FixedClock
from service.evidence.key_check import GRACE
from service.evidence.keys import SigningKeys
from service.evidence.log_check import check_log
from service.evidence.own_keys import OwnKeys, keys_of
from service.evidence.rotation import CannotSucceed, hand_over, successions
from service.evidence.seal import Appender
from service.evidence.succession import trusted_after, vouched
from service.settings import Settings
from service.store.database import Database
from service.store.system import system_session
from service.store.tables import Event
from service.store.tables_compliance import SigningKey
from tests.conftest import MakeTenant

A, B, C = SigningKeys.made(), SigningKeys.made(), SigningKeys.made()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a service whose secrets lie in the test's folder."""
    return Settings(database_url=f"sqlite:///{tmp_path}/l.db", scratch=tmp_path / "scratch")


@pytest.fixture
def tenant(make_tenant: MakeTenant) -> UUID:
    return make_tenant("acme")


def appender(database: Database, clock: FixedClock, keys: SigningKeys | OwnKeys) -> Appender:
    return Appender(database=database, clock=clock, keys=keys)


def findings(database: Database, tenant: UUID, trusted: dict[str, bytes] | None = None) -> list[tuple[str, str]]:
    with system_session(database, writes=False) as session:
        return [(each.table, each.said) for each in check_log(session, tenant, trusted=trusted)]


# --- words -----------------------------------------------------------------------------------------------------------


def test_trust_goes_from_key_to_key_and_never_back() -> None:
    words = [vouched(B, C.public, 2), vouched(A, B.public, 1)]

    assert trusted_after({A.key_id: A.public}, words).keys() == {A.key_id, B.key_id, C.key_id}
    assert trusted_after({B.key_id: B.public}, words).keys() == {B.key_id, C.key_id}
    assert trusted_after({C.key_id: C.public}, words).keys() == {C.key_id}


@pytest.mark.parametrize("change", [{"at": 2}, {"ed25519": C.public.hex()}, {"retired": C.key_id}, {"signature": ""}])
def test_a_word_that_was_changed_leads_nowhere(change: dict[str, object]) -> None:
    word = vouched(A, B.public, 1).model_copy(update=change)

    assert trusted_after({A.key_id: A.public}, [word]) == {A.key_id: A.public}


def test_two_keys_that_vouch_for_each_other_prove_nothing() -> None:
    assert not trusted_after({}, [vouched(A, B.public, 1), vouched(B, A.public, 2)])


# --- handing over ----------------------------------------------------------------------------------------------------


def test_every_log_tells_of_the_new_key_and_holds(database: Database, clock: FixedClock, tenant: UUID) -> None:
    appender(database, clock, A).head(tenant)
    word = hand_over(database, A, B, clock)
    appender(database, clock, B).head(tenant)

    with system_session(database, writes=False) as session:
        assert successions(session) == [word]
        told = session.scalars(select(Event).where(Event.subject_type == "signing_key")).one()
    assert told.detail["succession"] == word.model_dump(mode="json")
    assert findings(database, tenant) == []
    assert findings(database, tenant, {A.key_id: A.public}) == [], "the old key leads to the new one"
    assert {said for _, said in findings(database, tenant, {C.key_id: C.public})} == {
        "its signature does not hold: it was changed, or its key was, or is not a known one"
    }


def test_whoever_was_cut_off_is_given_the_same_word_again(database: Database, clock: FixedClock, tenant: UUID) -> None:
    word = hand_over(database, A, B, clock)
    clock.advance(timedelta(hours=1))

    assert hand_over(database, A, B, clock) == word


def test_a_key_retires_once(database: Database, clock: FixedClock, tenant: UUID) -> None:
    hand_over(database, A, B, clock)

    with pytest.raises(CannotSucceed, match="has retired already"):
        hand_over(database, A, C, clock)
    with pytest.raises(CannotSucceed, match="did not vouch for it"):
        hand_over(database, C, A, clock)


def test_a_head_under_a_retired_key_is_found_after_its_grace(
    database: Database, clock: FixedClock, tenant: UUID
) -> None:
    hand_over(database, A, B, clock)
    clock.advance(GRACE)
    appender(database, clock, A).head(tenant)
    assert findings(database, tenant) == [], "a process that was not restarted yet"

    clock.advance(timedelta(seconds=1))
    appender(database, clock, A).head(tenant)
    assert findings(database, tenant) == [("tree_head", "it was signed with a key that had retired")]


@pytest.mark.parametrize(
    ("of", "change", "said"),
    [
        (A, {"retired_at": None}, "did not retire when"),
        (B, {"vouched": None}, "did not vouch for it"),
        (B, {"vouched": C.sign(b"")}, "did not vouch for it"),
        (B, {"succeeds": C.key_id}, "is not here"),
        (B, {"succeeds": None, "vouched": None}, "it has retired, and no key follows it"),
    ],
    ids=["back in service", "no word", "another's word", "of nobody", "follows none"],
)
def test_what_is_changed_about_keys_is_found(
    database: Database, clock: FixedClock, tenant: UUID, of: SigningKeys, change: dict[str, object], said: str
) -> None:
    hand_over(database, A, B, clock)
    with system_session(database) as session:
        session.execute(update(SigningKey).where(SigningKey.id == of.key_id).values(**change))

    found = findings(database, tenant)
    assert {table for table, _ in found} == {"signing_key"}
    assert any(said in each for _, each in found), found


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_running_service_takes_the_new_key_without_a_restart(
    settings: Settings, database: Database, clock: FixedClock, tenant: UUID, tmp_path: Path
) -> None:
    own = OwnKeys(settings)
    running = appender(database, clock, own)
    before = running.head(tenant).key_id

    done = rotate(database, settings, clock=clock)

    assert (done.word.retired, done.file) == (before, None)
    assert running.head(tenant).key_id == own.current().key_id == done.word.successor != before
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["signing_key.pem"], "the old one is given up"
    assert findings(database, tenant) == []


def test_a_rotation_cut_off_before_the_file_is_in_place_is_finished(
    settings: Settings, database: Database, clock: FixedClock, tmp_path: Path
) -> None:
    old = keys_of(settings)
    waiting = SigningKeys.made()
    waiting.keep(tmp_path / "secrets" / "signing_key.next.pem")
    word = hand_over(database, old, waiting, clock)

    assert rotate(database, settings, clock=clock).word == word
    assert keys_of(settings).key_id == waiting.key_id


def test_a_key_that_a_setting_gives_is_followed_by_one_that_waits(
    settings: Settings, database: Database, clock: FixedClock, tmp_path: Path
) -> None:
    A.keep(tmp_path / "given.pem")
    given = settings.model_copy(update={"signing_key": (tmp_path / "given.pem").read_text()})

    with pytest.raises(Usage, match="--into"):
        rotate(database, given, clock=clock)
    done = rotate(database, given, into=tmp_path / "new.pem", clock=clock)

    assert done.word.retired == A.key_id
    assert SigningKeys.read((tmp_path / "new.pem").read_bytes(), "new.pem").key_id == done.word.successor
    assert rotate(database, given, into=tmp_path / "new.pem", clock=clock).word == done.word
    with pytest.raises(Usage, match="has retired already"):
        rotate(database, given, into=tmp_path / "another.pem", clock=clock)
