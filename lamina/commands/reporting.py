"""How is a report asked for, read and signed? A compliance report by a verb; `lamina report AUDIT` is an audit's."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast
from uuid import UUID

import typer
from typer.core import TyperGroup

from lamina.commands import audits
from lamina.commands.shown import AsJson, Deadline, Home, client, progress, remark, say, show_json, show_table
from lamina.commands.written import moment, submission
from lamina.failure import NotMet, Usage

if TYPE_CHECKING:
    from lamina.client import Client
    from service.contracts.compliance_reports import ComplianceReportView, ReportState

FORMS = ("html", "pdf", "json", "dsse", "zip")
ReportId = Annotated[UUID, typer.Argument(help="Id of the compliance report.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is made.")]


class Reports(TyperGroup):
    """The verbs of compliance reports; an id where a verb is expected is that of an audit."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb `audit` before what starts with no verb."""
        known = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if known or not args else ["audit", *args])


reports = typer.Typer(
    cls=Reports, no_args_is_help=True, help="Compliance reports: ask, read, sign. `lamina report AUDIT`: an audit's."
)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(reports, name="report", rich_help_panel="Comply")


reports.command("audit")(audits.report)


@reports.command("ask")
def ask(
    model: Annotated[str, typer.Argument(help="The model, as NAME or NAME@VERSION [the latest that is ready].")],
    since: Annotated[str, typer.Option("--from", help="Where the window begins: 2026-11-01, or a time with its zone.")],
    until: Annotated[str | None, typer.Option("--to", help="Where it ends, exclusive [default: now].")] = None,
    policy: Annotated[str | None, typer.Option(help="Name of the policy [default: the library as shipped].")] = None,
    framework: Annotated[list[str] | None, typer.Option(help="Show this framework; may be given again [all].")] = None,
    zone: Annotated[str, typer.Option(help="IANA zone that times are shown in.")] = "UTC",
    title: Annotated[str, typer.Option(help="What people will call it.")] = "compliance report",
    wait: Wait = True,
    deadline: Deadline = 600.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a compliance report on a model over a window; evidence is judged as of the window's end."""
    from service.contracts.compliance_reports import ComplianceReportSubmission

    name, _, version = model.partition("@")
    with client(home) as service:
        wanted = submission(
            ComplianceReportSubmission,
            title=title,
            model_name=name,
            model_version=version or None,
            policy=policy,
            frameworks=tuple(framework or ()),
            window_from=moment(since),
            window_to=service.service_time() if until is None else moment(until),
            zone=zone,
        )
        _end(service, service.ask_for_compliance_report(wanted), wait=wait, deadline=deadline, as_json=as_json)


@reports.command("revise")
def revise(
    report: ReportId, wait: Wait = True, deadline: Deadline = 600.0, home: Home = None, as_json: AsJson = False
) -> None:
    """Make a report again over the same window, from what is stored now; the earlier one is kept, and superseded."""
    with client(home) as service:
        _end(service, service.revise_compliance_report(report), wait=wait, deadline=deadline, as_json=as_json)


@reports.command("list")
def list_reports(
    model: Annotated[str | None, typer.Option(help="Name of the model.")] = None,
    state: Annotated[
        str | None, typer.Option(help="waiting, generated, in_review, approved, rejected, superseded or failed.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Compliance reports, newest first."""
    with client(home) as service:
        found = list(service.compliance_reports(model_name=model, state=state))
    if as_json:
        show_json(found)
        return
    rows = (
        (view.title, f"{view.model_name}@{view.model_version}", _window(view), view.revision, _state(view), view.id)
        for view in found
    )
    show_table(("title", "model", "window", ">revision", "state", "id"), rows)


@reports.command("show")
def show(report: ReportId, home: Home = None, as_json: AsJson = False) -> None:
    """One report: its counts, its files by digest, and who signed it."""
    with client(home) as service:
        view = service.compliance_report(report)
    if as_json:
        show_json(view)
    else:
        _show(view)


@reports.command("get")
def get(
    report: ReportId,
    form: Annotated[str, typer.Option(help="html, pdf, json (the twin), dsse (the statement) or zip (all).")] = "html",
    out: Annotated[Path | None, typer.Option(help="File to write; - is standard output [its own name].")] = None,
    home: Home = None,
) -> None:
    """Fetch one form of a report, checked against its digest."""
    import hashlib

    from lamina.client import ArtifactDamaged

    chosen = _form(form)
    with client(home) as service:
        view = service.compliance_report(report)
        content = service.compliance_report_file(report, chosen)
    wanted = {file.form: file.digest for file in view.files}
    found = "sha256:" + hashlib.sha256(content).hexdigest()
    if wanted.get(chosen, found) != found:
        raise ArtifactDamaged(f"the {form} of report {report} should be {wanted[chosen]}, and came as {found}")
    if out is not None and str(out) == "-":
        sys.stdout.buffer.write(content)
        return
    target = out or Path(f"compliance-{report}.{'dsse.json' if form == 'dsse' else form}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    say(str(target))


@reports.command("sign")
def sign(
    report: ReportId,
    step: Annotated[str, typer.Argument(help="submitted (for review), reviewed, approved or rejected.")],
    role: Annotated[str, typer.Option(help="In what capacity: auditor, model-risk officer, owner, ...")],
    read: Annotated[
        Path | None, typer.Option(help="The report.json or the zip that you have read.", dir_okay=False)
    ] = None,
    digest: Annotated[str | None, typer.Option(help="Or its digest, as the report shows it.")] = None,
    comment: Annotated[str, typer.Option(help="What the record should say; needed to reject.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Sign a report, as the person whose key this is: what is signed is the very text that you have read."""
    from service.contracts.compliance_reports import SignOffSubmission

    if (read is None) == (digest is None):
        raise Usage("say what you have read: --read FILE (report.json or the zip), or --digest, one of them")
    of_read = digest if read is None else _digest_of(read)
    wanted = submission(SignOffSubmission, step=step, digest=of_read, role=role, comment=comment)
    with client(home) as service:
        made = service.sign_compliance_report(report, wanted)
    if as_json:
        show_json(made)
    else:
        say(f"{made.step} by {made.name} ({made.role}) at {made.at:%Y-%m-%d %H:%M:%S} UTC, of {made.digest}")


@reports.command("link")
def link(
    report: ReportId,
    form: Annotated[str, typer.Option(help="Which form it opens: html, pdf, json or zip.")] = "html",
    hours: Annotated[int, typer.Option(min=1, max=720, help="Hours until it expires.")] = 168,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a link that opens one form of a report without a key until it expires; that it was made is in the log."""
    from service.contracts.compliance_reports import LinkSubmission

    wanted = submission(LinkSubmission, form=form, hours=hours)
    with client(home) as service:
        made = service.link_to_compliance_report(report, wanted)
        where = service.url.rstrip("/") + made.url
    if as_json:
        show_json(made)
        return
    say(where)
    remark(f"whoever has it can read that file until {made.expires_at:%Y-%m-%d %H:%M} UTC")


def _end(service: "Client", view: "ComplianceReportView", *, wait: bool, deadline: float, as_json: bool) -> None:
    """Show a report that was asked for, once it is made if that is to be waited for."""
    if wait:
        with progress() as bars:
            bars.add_task(f"{view.title}: being made", total=None)
            view = service.wait_for_compliance_report(view.id, deadline=deadline)
    if as_json:
        show_json(view)
    else:
        _show(view)
    if view.state == "failed":
        raise NotMet(f"the report was not made: {view.reason.detail if view.reason else 'no reason is known'}")


def _show(view: "ComplianceReportView") -> None:
    say(
        f"{view.title}  {_state(view)}, revision {view.revision}\nid {view.id}\n"
        f"model {view.model_name}@{view.model_version}\nwindow {_window(view)} ({view.zone})"
    )
    if view.twin_digest:
        say(f"twin {view.twin_digest}")
    if view.counts:
        show_table(("controls", ">number"), ((name.replace("_", " "), count) for name, count in view.counts.items()))
    if view.files:
        show_table(("form", ">bytes", "digest"), ((file.form, file.size, file.digest) for file in view.files))
    if view.sign_offs:
        rows = ((each.step, each.name, each.role, f"{each.at:%Y-%m-%d %H:%M}", each.comment) for each in view.sign_offs)
        show_table(("step", "who", "as", "when (UTC)", "comment"), rows)


def _window(view: "ComplianceReportView") -> str:
    return f"{view.window_from:%Y-%m-%d %H:%M} to {view.window_to:%Y-%m-%d %H:%M} UTC"


def _state(view: "ComplianceReportView") -> str:
    state: ReportState = view.state
    return state.replace("_", " ")


def _form(text: str) -> Literal["html", "pdf", "json", "dsse", "zip"]:
    if text not in FORMS:
        raise Usage(f"--form is one of {', '.join(FORMS)}, not {text!r}")
    return cast("Literal['html', 'pdf', 'json', 'dsse', 'zip']", text)


def _digest_of(file: Path) -> str:
    """The digest of the twin that a file is, or that a zip holds. Raises Usage."""
    from service.contracts.base import digest_of
    from service.evidence.archive import NotABundle, unpacked
    from service.evidence.statement import TWIN

    try:
        content = file.read_bytes()
        return digest_of(unpacked(content)[TWIN] if content.startswith(b"PK") else content)
    except (OSError, NotABundle) as error:
        raise Usage(f"{file} cannot be read: {error}") from error
