"""How does an audit become evidence? A report on the demo's model: made, signed by somebody else, checked offline."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from lamina.client import Client
from lamina.commands.audits import failures, follow
from lamina.commands.shown import say, show_table
from lamina.failure import NotMet
from service.contracts.api import AnalysisSubmission, AuditSubmission, AuditView, InputSubmission
from service.contracts.compliance_reports import ComplianceReportSubmission, ComplianceReportView, SignOffSubmission
from service.contracts.exceptions import AttestationSubmission
from service.contracts.policies import Declared, Override, PolicyContent
from service.evidence.verify import Verification, verify

MODEL = "digits-cnn"
POLICY = "demo"
AUDITOR = "auditor"
EPSILON = 1.0
DEADLINE_SECONDS = 600.0
COMPARED = ("accuracy", "layer_conductance")


def show(client: Client, audits: Sequence[AuditView], home: Path) -> list[Path]:
    """Compare the versions, make a report, have it signed, and check its zip; returns the files.

    Raises NotMet where a report is not made, or its zip does not hold.
    """
    of_model = [view for view in audits if view.model_name == MODEL]
    _compare(client, of_model)
    _repeat(client, of_model[-1])
    _demand(client)
    last = of_model[-1]
    report = client.ask_for_compliance_report(
        ComplianceReportSubmission(
            title=f"{MODEL}, the demo",
            model_name=MODEL,
            model_version=last.model_version,
            policy=POLICY,
            window_from=of_model[0].created_at - timedelta(minutes=1),
            window_to=_after(client, last),
        )
    )
    made = client.wait_for_compliance_report(report.id, deadline=DEADLINE_SECONDS)
    if made.state != "generated":
        raise NotMet(f"the compliance report was not made: {made.reason.detail if made.reason else made.state}")
    _show_counts(made)
    _sign(client, made)
    files = []
    for form in ("html", "pdf", "zip"):
        file = home / f"compliance-{MODEL}.{form}"
        file.write_bytes(client.compliance_report_file(made.id, form))
        files.append(file)
    _show_checks(verify(files[-1].read_bytes(), client.service_keys()))
    return files


def _compare(client: Client, audits: Sequence[AuditView]) -> None:
    """The last version with the one before it: accuracy in pairs, and rankings of what its layers carry."""
    before, after = ({each.kind: each.id for each in view.analyses} for view in audits[-2:])
    submitted = [
        client.submit(
            AuditSubmission(
                title=f"{MODEL}: versions compared ({kind})",
                model=audits[-1].model,
                inputs={
                    "before": InputSubmission(analysis=before[kind]),
                    "after": InputSubmission(analysis=after[kind]),
                },
                analyses=(AnalysisSubmission(kind="compare"),),
            )
        )
        for kind in COMPARED
    ]
    ended = follow(client, submitted, DEADLINE_SECONDS)
    wrong = [f"{view.title}: {line}" for view in ended for line in failures(view)]
    if wrong:
        raise NotMet("\n".join(wrong))
    for view in ended:
        section = client.analysis(view.analyses[0].id).section
        if section is not None:
            say(f"{view.title}: {section['answer']}")


def _repeat(client: Client, audit: AuditView) -> None:
    """Two analyses asked again, with their stored plans: the same numbers and files must come."""
    repeated = [client.replay(each.id) for each in audit.analyses if each.kind in COMPARED]
    ended = follow(client, repeated, DEADLINE_SECONDS)
    wrong = [f"{view.title}: {line}" for view in ended for line in failures(view)]
    for view in ended:
        for point in client.measurements(audit=view.id):
            if point.metric == "replay_mismatches":
                say(f"{view.title}: {point.n} numbers and files compared, {point.value:.0f} are otherwise")
                wrong += [f"{view.title}: it does not repeat"] if point.value else []
    if wrong:
        raise NotMet("\n".join(wrong))


def _demand(client: Client) -> None:
    """A policy with one threshold of the organisation's own, and one statement of a person."""
    client.make_policy(
        POLICY,
        PolicyContent(
            tier="high",
            declared=Declared(robust_accuracy=0.5, epsilon=EPSILON),
            overrides=(
                Override(
                    control="ROB-02",
                    n=200,
                    owner="demo",
                    reason="The demo's test data have no more examples than these.",
                ),
            ),
            owners={"ROB-01": "demo", "ROB-02": "demo"},
        ),
    )
    client.attest(
        AttestationSubmission(
            control="GOV-01",
            model_name=MODEL,
            role="owner of the demo",
            statement="The network reads handwritten digits of 8 by 8 pixels, and is for showing Lamina alone.",
            expires_at=client.service_time() + timedelta(days=30),
        )
    )


def _after(client: Client, last: AuditView) -> datetime:
    """The service's own time, once it is past everything that was measured: the window holds what was before it."""
    ended = [view.closed_at for view in client.audits(model=last.model) if view.closed_at is not None]
    while (now := client.service_time()) <= max(ended):
        time.sleep(0.2)
    return now


def _show_counts(made: ComplianceReportView) -> None:
    rows = [(status.replace("_", " "), count) for status, count in made.counts.items()]
    show_table(("status", ">controls"), rows, title=f"{made.title}: {sum(made.counts.values())} controls")


def _sign(client: Client, made: ComplianceReportView) -> None:
    """Its runner submits it; somebody else, with a key of their own, approves it."""
    assert made.twin_digest is not None, "a report that is generated has one"
    client.sign_compliance_report(
        made.id, SignOffSubmission(step="submitted", digest=made.twin_digest, role="owner of the demo")
    )
    person = client.make_principal(AUDITOR, "person")
    key = client.make_key(person.id, label="demo", scopes=("read", "submit"), days=1)
    with Client(client.url, key.secret) as auditor:
        signed = auditor.sign_compliance_report(
            made.id,
            SignOffSubmission(
                step="approved", digest=made.twin_digest, role="auditor", comment="The gaps it names are known."
            ),
        )
    say(f"approved  by {signed.name} ({signed.role}), who did not run it; key {signed.key_id[:23]}\u2026")


def _show_checks(found: Verification) -> None:
    words = {True: "yes", False: "no", None: "not known"}
    rows = [(check.name, words[check.passed], check.said) for check in found.checks]
    show_table(("check, without the service", "holds", "what was found"), rows, title="The report's zip")
    if not found.holds:
        raise NotMet("the report's zip does not prove what it says")
