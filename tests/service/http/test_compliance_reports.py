"""Compliance reports over HTTP: asked for, read, signed by the right people in the right order, opened by a link."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.catalog import Catalog
from service.clock import FixedClock
from service.contracts.base import digest_of
from service.contracts.outcome import Measurement
from service.evidence.bundle import handed_out, zipped
from service.evidence.own_keys import keys_of
from service.evidence.verify import verify
from service.report.exchange.forms import FORMS, export
from service.settings import Settings
from service.store.blobs import BlobStore
from service.store.database import Database
from service.store.tables import Principal
from service.work import compliance_reports
from tests.service.http import bodies
from tests.service.http.asking import Asker, problem, sent
from tests.service.http.conftest import MakeAsker
from tests.service.work.office import Office
from tests.service.work.world import KIND

D = "sha256:" + "0" * 64


@pytest.fixture
def office(database: Database, clock: FixedClock, ask: Asker, settings: Settings, blobs: BlobStore) -> Office:
    """The workers' and the scheduler's side of the asker's tenant, with the application's own key and blobs."""
    roomy = settings.model_copy(update={"tenant_bytes": 10_000_000})
    return Office(database, clock, ask.tenant, ask.principal, settings=roomy, keys=keys_of(settings), store=blobs)


@pytest.fixture
def colleague(make_asker: MakeAsker, tenant: UUID) -> Asker:
    """Another person of the tenant."""
    return make_asker(tenant, "carol")


@pytest.fixture
def robot(make_asker: MakeAsker, tenant: UUID, database: Database) -> Asker:
    """A service of the tenant."""
    made = make_asker(tenant, "pipeline")
    with database.session(tenant) as session:
        session.get_one(Principal, made.principal).kind = "service"
    return made


@pytest.fixture
def made(office: Office, ask: Asker, clock: FixedClock) -> dict[str, Any]:
    """A report on one audited model, as the API shows it."""
    begin = clock.now()
    model, dataset = office.ready_pair()
    accurate = Measurement(metric="clean_accuracy", value=0.95, low=0.94, high=0.96, n=2000)
    office.measure(model, dataset, "accuracy", accurate)
    clock.advance(timedelta(days=1))
    window = {"window_from": begin.isoformat(), "window_to": clock.now().isoformat()}
    report = bodies.made(ask.post("/v1/compliance-reports", {"model_name": "net", **window}))
    assert office.make_reports() == 1
    answer = ask.get(f"/v1/compliance-reports/{report}")
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    assert answer.json["state"] == "generated", answer.json
    return dict(answer.json)


def signed(ask: Asker, report: dict[str, Any], step: str, **changes: Any) -> Any:
    body = {"step": step, "digest": report["twin_digest"], "role": "auditor", **changes}
    return ask.post(f"/v1/compliance-reports/{report['id']}/sign-offs", body)


def test_its_forms_are_read_as_what_they_are(ask: Asker, made: dict[str, Any]) -> None:
    at = f"/v1/compliance-reports/{made['id']}/file"
    page = ask.get(at)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    twin = ask.get(f"{at}?form=json")
    assert digest_of(twin.data) == made["twin_digest"]
    assert ask.get(f"{at}?form=pdf").data.startswith(b"%PDF")
    zipped = ask.get(f"{at}?form=zip")
    assert zipped.headers["Content-Disposition"].startswith("attachment")
    assert {file["form"] for file in made["files"]} == {"html", "pdf", "json", "dsse", "zip"}


def test_it_is_signed_by_people_who_did_not_run_it_in_order(
    ask: Asker, made: dict[str, Any], colleague: Asker, robot: Asker
) -> None:
    early = problem(signed(colleague, made, "approved"), "conflict")
    assert early.detail == "a report that is generated cannot be approved; it must be in review."
    assert signed(ask, made, "submitted").status_code == 201
    mine = problem(signed(ask, made, "approved"), "forbidden")
    assert mine.detail.startswith("who ran the audits, made the schedule or asked for the report")
    assert problem(signed(robot, made, "approved"), "forbidden").detail.startswith("only a person signs")
    other = problem(signed(colleague, made, "approved", digest=D), "conflict")
    assert other.detail.startswith("the digest given is not that of this report's twin")
    assert problem(signed(colleague, made, "rejected"), "forbidden").detail.startswith("a rejection needs a comment")
    assert signed(colleague, made, "reviewed").status_code == 201
    approved = signed(colleague, made, "approved", comment="seen")
    assert approved.status_code == 201
    again = problem(signed(colleague, made, "approved"), "conflict")
    assert again.detail == "a report that is approved cannot be approved; it must be in review."
    shown = ask.get(f"/v1/compliance-reports/{made['id']}").json
    assert shown is not None
    assert shown["state"] == "approved"
    assert [each["step"] for each in shown["sign_offs"]] == ["submitted", "reviewed", "approved"]
    assert shown["sign_offs"][-1]["signature"] == approved.json["signature"]
    bundle = ask.get(f"/v1/compliance-reports/{made['id']}/file?form=zip").data
    found = verify(bundle)
    assert found.holds, [check for check in found.checks if check.passed is False]
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        carried = json.loads(archive.read("sign-offs.json"))
    assert [each["step"] for each in carried] == ["submitted", "reviewed", "approved"]
    forged = [*carried[:2], carried[2] | {"name": "somebody else"}]
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        whole = {
            name: archive.read(name) for name in archive.namelist() if name not in ("SHA256SUMS", "sign-offs.json")
        }
    failed = [check for check in verify(handed_out(zipped(whole), forged)).checks if check.passed is False]
    assert [check.name for check in failed] == ["what people signed is this report"]
    assert "its signature does not hold" in failed[0].said


def test_nobody_signs_whose_analysis_is_in_a_total_also_when_it_is_not_the_last(
    ask: Asker, office: Office, colleague: Asker, clock: FixedClock
) -> None:
    begin = clock.now()
    model, dataset = office.ready_pair()
    replay = {**KIND, "family": "reproduction", "title": "Replay", "metrics": ["replay_mismatches"]}
    here = replace(office, catalog=Catalog({"replay": replay}))
    for who, kind in ((replace(here, principal=colleague.principal), "accuracy"), (here, "robustness")):
        agreed = Measurement(metric="replay_mismatches", facets={"of": kind}, value=0, n=1)
        who.measure(model, dataset, "replay", agreed)
        clock.advance(timedelta(days=1))
    made = reported(ask, here, begin, clock)
    twin = json.loads(ask.get(f"/v1/compliance-reports/{made['id']}/file?form=json").data)
    (repeated,) = (control for control in twin["controls"] if control["id"] == "REP-01")
    assert len(repeated["requirements"][0]["evidence"]["added"]) == 2
    assert signed(ask, made, "submitted").status_code == 201
    assert problem(signed(colleague, made, "approved"), "forbidden").detail.startswith("who ran the audits")


def test_nobody_signs_who_fired_the_schedule_by_hand(
    ask: Asker, office: Office, colleague: Asker, make_asker: MakeAsker, clock: FixedClock, made: dict[str, Any]
) -> None:
    monthly = {"name": "m", "model_name": "net", "cron": "0 6 1 * *", "zone": "UTC", "task": {"purpose": "report"}}
    schedule = bodies.made(ask.post("/v1/schedules", monthly), 201)
    clock.advance(timedelta(days=1))
    slot = colleague.send("POST", f"/v1/schedules/{schedule}/run-now")
    assert slot.status_code == 202, slot.text
    assert office.make_reports() == 1
    fired = sent(ask.get(f"/v1/compliance-reports/{(slot.json or {})['report']}"))
    assert signed(ask, fired, "submitted").status_code == 201
    assert problem(signed(colleague, fired, "approved"), "forbidden").detail.startswith("who ran the audits")
    assert signed(make_asker(ask.tenant, "dave"), fired, "approved").status_code == 201


def test_nobody_signs_a_later_revision_of_what_they_asked_for(
    ask: Asker, office: Office, colleague: Asker, make_asker: MakeAsker, clock: FixedClock
) -> None:
    office.ready_pair()
    begin = clock.now()
    clock.advance(timedelta(days=1))
    first = reported(colleague, office, begin, clock)
    later = bodies.made(ask.send("POST", f"/v1/compliance-reports/{first['id']}/revisions"))
    assert office.make_reports() == 1
    second = sent(ask.get(f"/v1/compliance-reports/{later}"))
    assert signed(ask, second, "submitted").status_code == 201
    assert problem(signed(colleague, second, "approved"), "forbidden").detail.startswith("who ran the audits")
    assert signed(make_asker(ask.tenant, "dave"), second, "approved").status_code == 201


def reported(ask: Asker, office: Office, begin: datetime, clock: FixedClock) -> dict[str, Any]:
    """The report of one person on what has happened since."""
    window = {"window_from": begin.isoformat(), "window_to": clock.now().isoformat()}
    report = bodies.made(ask.post("/v1/compliance-reports", {"model_name": "net", **window}))
    assert office.make_reports() == 1
    return sent(ask.get(f"/v1/compliance-reports/{report}"))


def test_only_so_many_reports_wait_to_be_made(
    ask: Asker, office: Office, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compliance_reports, "MOST_WAITING", 2)
    office.ready_pair()
    begin = clock.now()
    clock.advance(timedelta(days=1))
    wanted = {"model_name": "net", "window_from": begin.isoformat(), "window_to": clock.now().isoformat()}
    for _ in range(2):
        bodies.made(ask.post("/v1/compliance-reports", wanted))
    assert (
        "2 compliance reports wait" in problem(ask.post("/v1/compliance-reports", wanted), "too-much-open-work").detail
    )
    assert office.make_reports() == 2
    bodies.made(ask.post("/v1/compliance-reports", wanted))


def test_a_superseded_report_is_not_signed(ask: Asker, made: dict[str, Any], colleague: Asker, office: Office) -> None:
    signed(ask, made, "submitted")
    later = bodies.made(ask.send("POST", f"/v1/compliance-reports/{made['id']}/revisions"))
    assert problem(ask.send("POST", f"/v1/compliance-reports/{made['id']}/revisions"), "conflict").detail.startswith(
        "that report has a later revision already"
    )
    assert office.make_reports() == 1
    shown = ask.get(f"/v1/compliance-reports/{later}").json
    assert shown is not None
    assert (shown["state"], shown["revision"], shown["supersedes"]) == ("generated", 2, made["id"])
    refused = problem(signed(colleague, made, "approved"), "conflict")
    assert refused.detail == "the report is superseded by a later revision; sign that one."


def test_a_link_opens_one_form_without_a_key_until_it_expires(
    ask: Asker, nobody: Asker, made: dict[str, Any], clock: FixedClock
) -> None:
    link = ask.post(f"/v1/compliance-reports/{made['id']}/links", {"form": "pdf", "hours": 2})
    assert link.status_code == 201
    assert link.json is not None
    url = link.json["url"]
    assert nobody.get(url).data.startswith(b"%PDF")
    token = url.partition("token=")[2]
    for bent in (token[:-4] + "AAAA", token[::-1], "x", token + "."):
        assert nobody.get(f"/report-views?token={bent}").status_code in (404, 422)
    clock.advance(timedelta(hours=2))
    assert "expired" in problem(nobody.get(url), "not-found").detail


@pytest.mark.parametrize(
    ("change", "pointer", "said"),
    [
        ({"model_name": "nut"}, "/model_name", "there is no version that is ready of a model of this name"),
        ({"model_version": "9"}, "/model_name", "there is no version '9' of a model of this name"),
        ({"policy": "none"}, "/policy", "there is no policy of this name"),
        ({"frameworks": ["XYZ"]}, "/frameworks/0", "XYZ"),
        ({"window_to": "2026-02-01T00:00:00Z"}, "/window_to", "the window ends before it begins"),
        ({"window_to": "2036-02-01T00:00:00Z"}, "/window_to", "the window ends in the future"),
        ({"zone": "+02:00"}, "/zone", "this is no IANA zone"),
        ({"zone": "Mars/Base"}, "/zone", "this is no IANA zone"),
        ({"zone": "right/Europe/Berlin"}, "/zone", "this is no IANA zone"),
    ],
)
def test_what_cannot_be_reported_is_said_at_its_place(
    ask: Asker, office: Office, change: dict[str, Any], pointer: str, said: str
) -> None:
    office.ready_pair()
    body = {"model_name": "net", "window_from": "2026-02-02T00:00:00Z", "window_to": "2026-02-20T00:00:00Z", **change}
    faults = problem(ask.post("/v1/compliance-reports", body), "invalid").errors
    assert [(fault.pointer, said in fault.detail) for fault in faults] == [(pointer, True)]


def test_one_that_is_not_made_yet_says_so(ask: Asker, office: Office) -> None:
    office.ready_pair()
    window = {"window_from": "2026-02-02T00:00:00Z", "window_to": "2026-02-20T00:00:00Z"}
    report = bodies.made(ask.post("/v1/compliance-reports", {"model_name": "net", **window}))
    answer = ask.get(f"/v1/compliance-reports/{report}/file")
    assert problem(answer, "report-not-ready").detail == "It is being made."
    assert answer.headers["Retry-After"] == "2"
    assert UUID(report)


def test_it_is_exported_with_the_digest_of_its_twin_and_never_signed(ask: Asker, made: dict[str, Any]) -> None:
    at = f"/v1/compliance-reports/{made['id']}/export"
    twin = ask.get(f"/v1/compliance-reports/{made['id']}/file?form=json").data
    for form, kept in FORMS.items():
        answer = ask.get(f"{at}?form={form}")
        assert answer.status_code == 200, answer.text
        assert answer.data == export(form, twin)
        assert made["twin_digest"].encode() in answer.data
        assert answer.headers["Content-Type"].startswith(kept.media_type)
        assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{kept.name}"
        same = {"If-None-Match": answer.headers["ETag"]}
        assert ask.get(f"{at}?form={form}", headers=same).status_code == 304
    problem(ask.get(f"{at}?form=spdx"), "invalid", "?form")


def test_one_that_is_not_made_yet_is_not_exported(ask: Asker, office: Office) -> None:
    office.ready_pair()
    window = {"window_from": "2026-01-01T00:00:00Z", "window_to": "2026-02-01T00:00:00Z"}
    report = bodies.made(ask.post("/v1/compliance-reports", {"model_name": "net", **window}))
    problem(ask.get(f"/v1/compliance-reports/{report}/export"), "report-not-ready")
