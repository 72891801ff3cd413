"""From a new version to evidence: a schedule fires, its audit ends, a report is made, and its zip proves itself."""

import time
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from lamina.client import Client
from service.contracts.api import AnalysisSubmission, AuditView
from service.contracts.compliance_reports import ComplianceReportSubmission
from service.contracts.schedules import AuditTask, DatasetByName, ScheduleSubmission, SlotView
from service.contracts.status import AnalysisState
from service.evidence.verify import verify
from tests.end_to_end.material import PATIENCE, model_facts, network, register, write_model

pytestmark = pytest.mark.stack


def slot_of(client: Client, schedule: UUID, cause: str) -> SlotView:
    """The schedule's slot of this cause, as soon as a scheduler has written it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = [slot for slot in client.slots(schedule) if slot.cause == cause]
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"no slot of cause {cause!r} was written in {PATIENCE:g} s")


def test_a_new_version_is_audited_by_itself_and_reported_with_proofs(client: Client, tmp_path: Path) -> None:
    name = "watched"
    register(client, tmp_path, name, examples=40)
    begin = client.service_time()
    schedule = client.make_schedule(
        ScheduleSubmission(
            name="each version",
            model_name=name,
            triggers=("new_version",),
            task=AuditTask(
                inputs={"evaluation": DatasetByName(name=name)}, analyses=(AnalysisSubmission(kind="accuracy"),)
            ),
        )
    )
    blob = client.upload(write_model(tmp_path / "second.pt2", network(seed=1)))
    second = client.register_model(name=name, version="2", blob=blob.digest, facts=model_facts())
    slot = slot_of(client, schedule.id, "new version")
    assert slot.key == f"new_version:{second.id}"
    assert slot.state == "started", slot.reason
    assert slot.audit is not None
    audit = client.wait(slot.audit, deadline=PATIENCE)
    assert audit.model == second.id
    assert [each.state for each in audit.analyses] == [AnalysisState.SUCCEEDED]

    by_hand = client.run_schedule_now(schedule.id)
    assert by_hand.audit is not None
    client.wait(by_hand.audit, deadline=PATIENCE)

    asked = client.ask_for_compliance_report(
        ComplianceReportSubmission(model_name=name, window_from=begin, window_to=past(client, audit))
    )
    made = client.wait_for_compliance_report(asked.id, deadline=PATIENCE)
    assert made.state == "generated", made.reason
    assert (made.model_version, sum(made.counts.values())) == ("2", 35)
    assert {file.form for file in made.files} == {"html", "pdf", "json", "dsse", "zip"}
    found = verify(client.compliance_report_file(made.id, "zip"), client.service_keys())
    assert [(check.name, check.said) for check in found.checks if not check.passed] == []


def past(client: Client, audit: AuditView) -> datetime:
    """The service's time, once it is past the end of an audit."""
    assert audit.closed_at is not None
    while (now := client.service_time()) <= audit.closed_at:
        time.sleep(0.2)
    return now
