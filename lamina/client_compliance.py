"""What does a client ask about compliance? Reports and their signatures, schedules and their slots."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal
from uuid import UUID, uuid4

from lamina.client_calls import Calls
from service.contracts.api import AuditView, Page
from service.contracts.compliance_reports import (
    ComplianceReportSubmission,
    ComplianceReportView,
    LinkSubmission,
    LinkView,
    SignOffSubmission,
    SignOffView,
)
from service.contracts.history import BaselineSubmission, BaselineView
from service.contracts.holds import HoldLift, HoldSubmission, HoldView
from service.contracts.schedules import FireTimes, PreviewSubmission, ScheduleSubmission, ScheduleView, SlotView

Form = Literal["html", "pdf", "json", "dsse", "zip"]
REPORTS, SCHEDULES = "/v1/compliance-reports", "/v1/schedules"


class ComplianceCalls(Calls):
    """The compliance part of `lamina.client.Client`."""

    def ask_for_compliance_report(self, submission: ComplianceReportSubmission) -> ComplianceReportView:
        """Ask for a report; the scheduler makes it."""
        return self._post(ComplianceReportView, REPORTS, submission, key=str(uuid4()))

    def compliance_report(self, report: UUID) -> ComplianceReportView:
        """A report as it is now: its state, counts, files and signatures."""
        return self._get(ComplianceReportView, f"{REPORTS}/{report}")

    def compliance_reports(
        self, *, model_name: str | None = None, state: str | None = None
    ) -> Iterator[ComplianceReportView]:
        """Reports, newest first."""
        return self._pages(Page[ComplianceReportView], REPORTS, {"model_name": model_name, "state": state})

    def wait_for_compliance_report(self, report: UUID, *, deadline: float = 120.0) -> ComplianceReportView:
        """A report once it is made, or could not be. Raises `DeadlinePassed`."""
        return self._wait(
            lambda: self.compliance_report(report),
            lambda view: view.state != "waiting",
            f"compliance report {report}",
            deadline,
        )

    def compliance_report_file(self, report: UUID, form: Form = "html") -> bytes:
        """One form of a report that is made."""
        return self._transport.send("GET", f"{REPORTS}/{report}/file", params={"form": form}).content

    def sign_compliance_report(self, report: UUID, submission: SignOffSubmission) -> SignOffView:
        """Submit a report for review, review, approve or reject it, as the person whose key this is."""
        return self._post(SignOffView, f"{REPORTS}/{report}/sign-offs", submission, key=str(uuid4()))

    def revise_compliance_report(self, report: UUID) -> ComplianceReportView:
        """Make a report again; the earlier one is superseded once that is done."""
        return self._act(ComplianceReportView, f"{REPORTS}/{report}/revisions")

    def link_to_compliance_report(self, report: UUID, submission: LinkSubmission) -> LinkView:
        """A link that opens one form of a report without a key until it expires."""
        return self._post(LinkView, f"{REPORTS}/{report}/links", submission)

    def baselines(
        self, *, model_name: str | None = None, state: Literal["current", "replaced"] | None = None
    ) -> Iterator[BaselineView]:
        """Approved baselines, newest first."""
        return self._pages(Page[BaselineView], "/v1/baselines", {"model_name": model_name, "state": state})

    def approve_baseline(self, submission: BaselineSubmission) -> BaselineView:
        """Approve an audit as what later measurements are compared with, as a person who did not ask for it."""
        return self._post(BaselineView, "/v1/baselines", submission, key=str(uuid4()))

    def place_hold(self, submission: HoldSubmission) -> HoldView:
        """Forbid that files of a model or an audit are given up, as a person."""
        return self._post(HoldView, "/v1/holds", submission, key=str(uuid4()))

    def lift_hold(self, hold: UUID, submission: HoldLift) -> HoldView:
        """End a hold, as a person who did not place it."""
        return self._post(HoldView, f"/v1/holds/{hold}/lifting", submission, key=str(uuid4()))

    def holds(
        self, *, model_name: str | None = None, audit: UUID | None = None, state: str | None = None
    ) -> Iterator[HoldView]:
        """Legal holds, newest first; those that were lifted stay."""
        return self._pages(Page[HoldView], "/v1/holds", {"model_name": model_name, "audit": audit, "state": state})

    def replay(self, analysis: UUID) -> AuditView:
        """Ask an analysis again, with its stored plan, in an audit of its own."""
        return self._act(AuditView, f"/v1/analyses/{analysis}/replay")

    def make_schedule(self, submission: ScheduleSubmission) -> ScheduleView:
        """Make a schedule of audits or reports."""
        return self._post(ScheduleView, SCHEDULES, submission, key=str(uuid4()))

    def schedules(self, *, model_name: str | None = None) -> Iterator[ScheduleView]:
        """Schedules, newest first; those that have ended stay."""
        return self._pages(Page[ScheduleView], SCHEDULES, {"model_name": model_name})

    def schedule(self, schedule: UUID) -> ScheduleView:
        """One schedule."""
        return self._get(ScheduleView, f"{SCHEDULES}/{schedule}")

    def slots(self, schedule: UUID) -> Iterator[SlotView]:
        """What came of every time a schedule was due, newest first."""
        return self._pages(Page[SlotView], f"{SCHEDULES}/{schedule}/slots")

    def fire_times(self, schedule: UUID, count: int = 10) -> FireTimes:
        """When a schedule fires next."""
        answer = self._transport.send("GET", f"{SCHEDULES}/{schedule}/next", params={"n": str(count)})
        return self._value(FireTimes, answer)

    def preview_schedule(self, submission: PreviewSubmission) -> FireTimes:
        """When a line of cron would fire."""
        return self._post(FireTimes, "/v1/schedule-previews", submission)

    def pause_schedule(self, schedule: UUID) -> ScheduleView:
        """Pause a schedule; what is due meanwhile is caught up later."""
        return self._act(ScheduleView, f"{SCHEDULES}/{schedule}/pause")

    def resume_schedule(self, schedule: UUID) -> ScheduleView:
        """Let a paused schedule go on."""
        return self._act(ScheduleView, f"{SCHEDULES}/{schedule}/resume")

    def run_schedule_now(self, schedule: UUID) -> SlotView:
        """Fire a schedule now, beside its times."""
        return self._act(SlotView, f"{SCHEDULES}/{schedule}/run-now")

    def end_schedule(self, schedule: UUID) -> ScheduleView:
        """End a schedule for good; its slots stay."""
        return self._value(ScheduleView, self._transport.send("DELETE", f"{SCHEDULES}/{schedule}"))

    def service_time(self) -> datetime:
        """What time it is where the service is, to the second: a window may not end in its future."""
        answer = self._transport.send("GET", "/healthz")
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)

    def service_keys(self) -> dict[str, bytes]:
        """The public keys that the service signs with, by id."""
        found = self._transport.send("GET", "/.well-known/lamina-keys.json").json()
        return {each["id"]: bytes.fromhex(each["ed25519"]) for each in found["keys"]}
