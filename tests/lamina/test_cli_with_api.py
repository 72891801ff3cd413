"""The command and the API of this version understand each other; first keys and trust are made in the database."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from lamina.client import Client
from lamina.home import Address, address, keep_address
from service.app import create_app
from service.catalog import Catalog
from service.settings import Settings
from service.store.database import Database
from service.store.migrate import upgrade
from tests.lamina.answers import FACTS
from tests.lamina.typed import lamina

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("LAMINA_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    upgrade(f"sqlite:///{tmp_path}/lamina.db")
    return tmp_path


@pytest.fixture
def api(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The commands talk to the API of this version, in this process, with the key of the home folder."""
    settings = Settings.from_environment(
        {"LAMINA_DATABASE_URL": f"sqlite:///{home}/lamina.db", "LAMINA_BLOBS": f"{home}/blobs"}
    )
    kind = {
        "version": 1, "family": "f", "title": "A kind", "question": "Why?", "source": "none", "queue": "cpu",
        "roles": ["evaluation"], "metrics": [], "controls": [], "outcome": {},
        "parameters": {
            "type": "object", "additionalProperties": False,
            "properties": {"steps": {"type": "integer", "default": 8, "description": "How many."}},
        },
    }  # fmt: skip
    database = Database(settings.database_url)
    web = create_app(settings, database=database, catalog=Catalog({"some_kind": kind}), broker_ping=lambda: "ok")

    def from_home(_class: type[Client], folder: Path | None = None) -> Client:
        found = address(folder)
        return Client(found.url, found.key, transport=httpx.WSGITransport(web), sleep=lambda _seconds: None)

    monkeypatch.setattr(Client, "from_home", classmethod(from_home))
    assert lamina("key", "bootstrap", "--home", home).exit_code == 0
    yield home
    database.close()


def test_the_first_key_is_made_once_and_kept_for_its_owner_alone(home: Path) -> None:
    first = lamina("key", "bootstrap", "--home", home)
    assert first.exit_code == 0, first.output
    kept = address(home)
    assert kept.key == first.stdout.strip()
    assert kept.key.startswith("lam_")
    assert (home / "client.json").stat().st_mode & 0o777 == 0o600
    again = lamina("key", "bootstrap", "--home", home)
    assert again.exit_code == 2
    assert "has a key already" in again.stderr
    assert address(home) == kept
    another = lamina("key", "bootstrap", "--another", "--home", home)
    assert another.stdout.strip() not in ("", kept.key)


def test_a_key_is_not_made_in_a_database_without_tables(tmp_path: Path) -> None:
    result = lamina("key", "bootstrap", "--home", tmp_path)
    assert result.exit_code == 3
    assert "lamina migrate" in result.stderr


def test_principals_and_keys_are_made_listed_and_revoked(api: Path) -> None:
    assert lamina("principal", "create", "bot", "--home", api).exit_code == 0
    made = lamina("key", "create", "bot", "--label", "ci", "--home", api)
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    listed = json.loads(lamina("key", "list", "--home", api, "--json").stdout)
    [key] = [key for key in listed if key["label"] == "ci"]
    assert key["prefix"] in secret
    assert secret not in json.dumps(listed)
    keep_address(api / "bot", Address("http://lamina.test", secret))
    assert lamina("model", "list", "--home", api / "bot").exit_code == 0
    assert lamina("principal", "list", "--home", api / "bot").exit_code == 3  # its key has no scope admin
    assert lamina("key", "revoke", key["id"], "--home", api).exit_code == 0
    assert lamina("model", "list", "--home", api / "bot").exit_code == 3


def test_trust_is_given_and_taken_by_the_operator(api: Path) -> None:
    def trusted() -> bool:
        [one] = json.loads(lamina("principal", "list", "--home", api, "--json").stdout)
        return bool(one["trusted"])

    assert not trusted()
    assert lamina("principal", "trust", "operator", "--home", api).exit_code == 0
    assert trusted()
    assert lamina("principal", "trust", "operator", "--withdraw", "--home", api).exit_code == 0
    assert not trusted()
    assert lamina("principal", "trust", "nobody", "--home", api).exit_code == 2
    assert lamina("principal", "trust", "operator", "--tenant", "none", "--home", api).exit_code == 2


def test_the_operators_deeds_are_events(api: Path) -> None:
    from sqlalchemy import select

    from lamina.operator import opened
    from service.store.system import system_session
    from service.store.tables import Event

    lamina("principal", "trust", "operator", "--home", api)
    with opened(f"sqlite:///{api}/lamina.db") as database, system_session(database) as session:
        actions = session.scalars(select(Event.action).order_by(Event.id)).all()
    assert actions == ["principal made", "key made", "trust given"]


def test_kinds_and_their_parameters_are_shown(api: Path) -> None:
    listed = lamina("kinds", "--home", api)
    assert listed.exit_code == 0, listed.output
    assert "some_kind" in listed.stdout
    shown = lamina("kinds", "some_kind", "--home", api)
    assert "How many." in shown.stdout
    assert lamina("kinds", "other_kind", "--home", api).exit_code == 3


def test_files_are_uploaded_and_registered_over_the_api(api: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"abc")
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    for version, follows in (("1", ()), ("2", ("--follows", "m@1"))):
        words = ["--name", "m", "--version", version, "--facts", str(tmp_path / "facts.json"), "--no-wait", *follows]
        added = lamina("model", "add", tmp_path / "model.pt2", *words, "--home", api)
        assert added.exit_code == 0, added.output
    listed = json.loads(lamina("model", "list", "--home", api, "--json").stdout)
    assert [(model["version"], model["state"]) for model in listed] == [("2", "received"), ("1", "received")]
    assert listed[0]["follows"] == listed[1]["id"]
    again = lamina("model", "add", tmp_path / "model.pt2", *words, "--home", api)
    assert again.exit_code == 3
    assert "409" in again.stderr


def test_the_doctor_finds_everything_here(home: Path) -> None:
    result = lamina("doctor", "--home", home, "--json")
    assert result.exit_code == 0, result.output
    found = {one["subject"]: one for one in json.loads(result.stdout)}
    assert {"python", "sandbox", "broker", "database", "devices", "memory", "disk"} < set(found)
    assert found["database"]["state"] == "ok"
    assert [one for one in found.values() if one["state"] == "broken"] == []


def test_the_doctor_names_a_database_that_was_not_migrated(tmp_path: Path) -> None:
    (tmp_path / "lamina.db").touch()
    result = lamina("doctor", "--home", tmp_path)
    assert result.exit_code == 1
    assert "lamina migrate" in result.stdout
    assert "broken here: database" in result.stderr


def done(home: Path, *words: str) -> str:
    """What a command prints that must succeed."""
    result = lamina(*words, "--home", home)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def carol(api: Path) -> Path:
    """The home of another person."""
    done(api, "principal", "create", "carol", "--person")
    secret = done(api, "key", "create", "carol").strip()
    keep_address(api / "carol", Address("http://lamina.test", secret))
    return api / "carol"


def test_a_waiver_is_asked_for_granted_and_withdrawn(api: Path, carol: Path) -> None:
    asked = json.loads(
        done(
            api,
            "waiver",
            "ask",
            "ROB-04",
            "--model",
            "net",
            "--reason",
            "a scanner",
            "--compensating",
            "a person",
            "--json",
        )
    )
    assert asked["state"] == "asked"
    own = lamina("waiver", "grant", asked["id"], "--home", api)
    assert own.exit_code == 3
    assert "another person must" in own.stderr
    assert "ROB-04  in force until" in done(carol, "waiver", "grant", asked["id"], "--comment", "for now")
    table = done(api, "waiver", "list", "--control", "ROB-04")
    assert all(word in table for word in ("in force", "operator", "carol", "a scanner", asked["id"]))
    assert "withdrawn" in done(carol, "waiver", "withdraw", asked["id"])
    assert json.loads(done(api, "waiver", "list", "--model", "other", "--json")) == []
    late = lamina(
        *("waiver", "ask", "ROB-04", "--reason", "a", "--compensating", "b", "--until", "2099-01-01", "--home", api)
    )
    assert late.exit_code == 3
    assert "180 days" in late.stderr


def test_a_hold_is_placed_by_one_person_and_lifted_by_another(api: Path, carol: Path) -> None:
    nothing = lamina("hold", "place", "--model", "nett", "--reason", "claim 117", "--home", api)
    assert nothing.exit_code == 3
    assert "there is no model of this name" in nothing.stderr
    facts = api / "facts.json"
    facts.write_text(json.dumps(FACTS))
    weights = api / "net.pt2"
    weights.write_bytes(b"PK\x03\x04")
    done(api, "model", "add", str(weights), "--name", "net", "--version", "1", "--facts", str(facts), "--no-wait")
    placed = json.loads(done(api, "hold", "place", "--model", "net", "--reason", "claim 117", "--json"))
    own = lamina("hold", "lift", placed["id"], "--reason", "settled", "--home", api)
    assert own.exit_code == 3
    assert "another person must" in own.stderr
    assert "in force" in done(api, "hold", "list", "--model", "net", "--state", "in_force")
    assert "model net  lifted" in done(carol, "hold", "lift", placed["id"], "--reason", "settled")
    table = done(api, "hold", "list")
    assert all(word in table for word in ("model net", "lifted", "carol", "claim 117", "settled", placed["id"]))


@pytest.mark.parametrize("until", ["soon", "2026-13-01", "2026-12-31T12:00:00"])
def test_an_end_that_is_no_time_is_refused_here(api: Path, until: str) -> None:
    words = ("waiver", "ask", "ROB-04", "--reason", "a", "--compensating", "b", "--until", until)
    assert lamina(*words, "--home", api).exit_code == 2


def test_a_waiver_is_refused_with_a_reason(api: Path, carol: Path) -> None:
    words = ("waiver", "ask", "ROB-02", "--reason", "a", "--compensating", "b", "--not-applicable", "--json")
    asked = json.loads(done(api, *words))
    assert asked["effect"] == "not_applicable"
    assert "refused" in done(carol, "waiver", "refuse", asked["id"], "--comment", "it applies")


def test_a_person_attests_to_a_document_that_stays_here(api: Path) -> None:
    document = api / "model file.pdf"
    document.write_bytes(b"abc")
    words = ("attest", "make", "GOV-01", "--role", "owner", "--statement", "on record", "--document", str(document))
    until = (datetime.now(UTC) + timedelta(days=100)).date().isoformat()
    made = json.loads(done(api, *words, "--until", until, "--json"))
    assert made["document_title"] == "model file.pdf"
    assert made["document_digest"] == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert "operator (owner)" in done(api, "attest", "list")
    assert "withdrawn" in done(api, "attest", "withdraw", made["id"])
    missing = lamina(*words[:-1], str(api / "nothing"), "--until", until, "--home", api)
    assert missing.exit_code == 2


def test_a_policy_is_set_from_a_file_and_shown(api: Path) -> None:
    yaml = api / "policy.yaml"
    yaml.write_text(
        "tier: low\noverrides:\n  - {control: XAI-06, threshold: 0.9, owner: risk, reason: customers compare them}\n"
    )
    assert done(api, "policy", "set", "credit", str(yaml)).startswith("credit 1  sha256:")
    as_json = api / "policy.json"
    as_json.write_text('{"tier": "high"}')
    assert done(api, "policy", "set", "credit", str(as_json)).startswith("credit 2  sha256:")
    assert [row["revision"] for row in json.loads(done(api, "policy", "list", "--json"))] == [2, 1]
    shown = done(api, "policy", "show", "credit@1")
    assert all(word in shown for word in ("XAI-06", "0.9", "risk", "customers compare them"))
    assert lamina("policy", "show", "nobodys", "--home", api).exit_code == 2
    table = done(api, "controls", "--policy", "credit")
    assert "under credit 2" in table
    assert "XAI-01" in table
    assert "compliant" not in table.lower()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "no JSON"),
        ("a.yaml", "tier: [", "no YAML"),
        ("a.yaml", "tier: low\ntier: high", "given twice"),
        ("a.yaml", "colour: red", "colour"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_here(api: Path, name: str, text: str, said: str) -> None:
    (api / name).write_text(text)
    result = lamina("policy", "set", "credit", str(api / name), "--home", api)
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_service_says_what_is_wrong_with_a_policy(api: Path) -> None:
    file = api / "policy.json"
    file.write_text(
        '{"overrides": [{"control": "XAI-06", "threshold": 7, "owner": "risk", "reason": "customers compare"}]}'
    )
    result = lamina("policy", "set", "credit", str(file), "--home", api)
    assert result.exit_code == 3
    assert "can never be met" in result.stderr
