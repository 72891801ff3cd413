"""A report's zip is checked without its service, and an operator's log in its database; what fails is named."""

import io
import json
import zipfile
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text, update

from lamina.client import Client
from service.evidence.bundle import SUMS, zipped
from service.evidence.keys import SigningKeys
from service.evidence.own_keys import keys_of
from service.store.system import system_session
from service.store.tables import Model
from tests.lamina.bureau import Bureau, bureau
from tests.lamina.test_base_install import bare
from tests.lamina.typed import lamina

__all__ = ["bureau"]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]


@pytest.fixture
def report(bureau: Bureau) -> UUID:
    return bureau.reported()


@pytest.fixture
def bundle(bureau: Bureau, report: UUID, tmp_path: Path) -> Path:
    kept = tmp_path / "report.zip"
    kept.write_bytes(bureau.office.file(report, "report.zip"))
    return kept


def changed(bundle: Path, name: str, old: bytes, new: bytes) -> Path:
    """The zip with one member changed, its sum put right."""
    with zipfile.ZipFile(io.BytesIO(bundle.read_bytes())) as archive:
        members = {each: archive.read(each) for each in archive.namelist() if each != SUMS}
    assert old in members[name]
    target = bundle.with_name("changed.zip")
    target.write_bytes(zipped({**members, name: members[name].replace(old, new, 1)}))
    return target


def test_a_report_that_holds_ends_with_0_whatever_form_the_key_is_given_in(
    bureau: Bureau, bundle: Path, tmp_path: Path
) -> None:
    alone = lamina("verify", bundle)
    assert alone.exit_code == 0, alone.output
    assert "compare it with the one its service publishes" in alone.stdout
    assert "signed with the key that came with it; whose key that is, you have to know" in alone.stdout
    assert "the zip holds no signatures of people" in alone.stdout
    digits, served = tmp_path / "key.hex", tmp_path / "lamina-keys.json"
    keys = bureau.office.keys
    digits.write_text(keys.public.hex() + "\n")
    with Client.from_home() as service:
        served.write_bytes(service._transport.send("GET", "/.well-known/lamina-keys.json").content)
    for key in (digits, served, keys.public.hex(), keys.key_id):
        found = lamina("verify", bundle, "--key", key)
        assert found.exit_code == 0, found.output
        assert "checked with the key given" in found.stdout
        assert "Nothing was changed since it was signed with the key you gave." in found.stdout
    shown = json.loads(lamina("verify", bundle, "--key", keys.key_id, "--json").stdout)
    assert shown["holds"] is True
    assert {each["passed"] for each in shown["checks"]} == {True}


def test_a_report_of_another_key_ends_with_1(bundle: Path, tmp_path: Path) -> None:
    other = SigningKeys.made()
    assert lamina("verify", bundle, "--key", other.public.hex()).exit_code == 1
    named = lamina("verify", bundle, "--key", other.key_id)
    assert named.exit_code == 1
    assert "no key in the zip has the id" in named.stderr


def test_a_changed_report_ends_with_1_and_names_what_was_changed(bundle: Path) -> None:
    failed = lamina("verify", changed(bundle, "report.html", b"net", b"nut"))
    assert failed.exit_code == 1
    assert "report.html is not the one that was signed" in failed.stderr
    assert "FAILS" in failed.stdout
    assert "Nothing was changed" not in failed.stdout
    figure = lamina("verify", changed(bundle, "report.json", b"0.95", b"0.99"))
    assert "the statement was signed for another report.json" in figure.stderr


def test_what_is_no_report_or_no_key_ends_with_2(bundle: Path, tmp_path: Path) -> None:
    text_file = tmp_path / "notes.txt"
    text_file.write_text("no zip")
    assert lamina("verify", text_file).exit_code == 2
    assert lamina("verify", tmp_path / "gone.zip").exit_code == 2
    for key in ("abc", text_file, tmp_path):
        refused = lamina("verify", bundle, "--key", key)
        assert (refused.exit_code, "--key" in refused.stderr) == (2, True), refused.output


def test_a_report_is_checked_where_nothing_else_is_installed(bundle: Path, tmp_path: Path) -> None:
    run = bare(tmp_path, "verify", str(bundle))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "every cited event stands in that log" in " ".join(run.stdout.split())
    logs = bare(tmp_path, "log", "verify")
    assert logs.returncode == 2, logs.stderr
    assert "pip install 'lamina[api]'" in logs.stderr


def test_the_log_is_checked_in_its_database(
    bureau: Bureau, report: UUID, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMINA_BLOBS", bureau.office.settings.blobs)
    url = bureau.office.database.url
    kept = tmp_path / "head.json"
    with zipfile.ZipFile(bundle) as archive:
        kept.write_bytes(archive.read("head.json"))
    served = tmp_path / "served.json"
    with Client.from_home() as service:
        served.write_bytes(service._transport.send("GET", "/v1/log/head").content)
    elsewhere = ["--head", kept, "--head", served, "--key", bureau.office.keys.public.hex()]
    whole = lamina("log", "verify", "--database", url, *elsewhere)
    assert whole.exit_code == 0, whole.output
    assert "0 findings" in whole.stderr
    strange = lamina("log", "verify", "--url", url, "--key", SigningKeys.made().public.hex())
    assert (strange.exit_code, "tree_head" in strange.stdout) == (1, True)
    with system_session(bureau.office.database) as session:
        session.execute(update(Model).values(name="nut"))
        model = session.execute(text("SELECT count(*) FROM model")).scalar()
    assert model == 1
    found = lamina("log", "verify", "--database", url, "--tenant", "acme", "--json")
    assert found.exit_code == 1, found.output
    assert {each["table"] for each in json.loads(found.stdout)} == {"model"}
    unknown = lamina("log", "verify", "--database", url, "--tenant", "nobody")
    assert (unknown.exit_code, "there is no tenant called nobody" in unknown.stderr) == (2, True)
    assert str(report)


def test_a_new_key_signs_from_now_on_and_the_old_one_leads_to_it(
    bureau: Bureau, report: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMINA_DATABASE_URL", bureau.office.database.url)
    monkeypatch.setenv("LAMINA_BLOBS", bureau.office.settings.blobs)
    old = bureau.office.keys

    done = lamina("log", "rotate-key", "--json")

    assert done.exit_code == 0, done.output
    word = json.loads(done.stdout.splitlines()[0])
    assert word["retired"] == old.key_id
    assert f"{word['successor']} follows {old.key_id}" in done.stdout
    assert keys_of(bureau.office.settings).key_id == word["successor"]
    with Client.from_home() as service:
        served = service._transport.send("GET", "/.well-known/lamina-keys.json").json()["keys"]
    assert [(key["id"], key["succeeds"], key["retired_at"] is None) for key in served] == [
        (old.key_id, None, False),
        (word["successor"], old.key_id, True),
    ]
    assert served[1]["vouched"] == word["signature"]
    whole = lamina("log", "verify", "--key", old.public.hex())
    assert whole.exit_code == 0, whole.output
    refused = lamina("log", "rotate-key", "--into", "/nowhere/new.pem")
    assert (refused.exit_code, "cannot be written" in refused.stderr) == (2, True), refused.output
    assert str(report)
