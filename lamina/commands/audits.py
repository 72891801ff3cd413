"""How is an audit asked for and read? Submit, follow, report, history."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from lamina.commands.shown import AsJson, Deadline, Home, client, progress, remark, say, show_json, show_table
from lamina.commands.subjects import find_dataset, find_model
from lamina.failure import NotMet, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from lamina.client import Client
    from lamina.requirement import Requirement
    from service.contracts.api import AnalysisSubmission, AuditView, MeasurementView

audits = typer.Typer(no_args_is_help=True, help="Ask for audits, follow and cancel them.")

AuditId = Annotated[UUID, typer.Argument(help="Id of the audit.")]
Require = Annotated[
    list[str] | None,
    typer.Option("--require", help="METRIC<=NUMBER (or >=, <, >), for every point; exit code 1 when not met."),
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(audits, name="audit", rich_help_panel="Audit")
    app.command(rich_help_panel="Audit")(history)


@audits.command("submit")
def submit(
    model: Annotated[str, typer.Option(help="The model: an id, NAME@VERSION, or NAME for the newest.")],
    dataset: Annotated[
        list[str], typer.Option("--input", help="ROLE=DATASET, the dataset as an id, NAME@VERSION or NAME.")
    ],
    analyse: Annotated[
        list[str], typer.Option("--analysis", help='KIND, or KIND=PARAMETERS as JSON: layer_conductance={"steps": 32}.')
    ],
    title: Annotated[str, typer.Option(help="What people will call it.")] = "audit",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
    require: Require = None,
    deadline: Deadline = 3600.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask for analyses of a model, and follow them to the end."""
    from lamina.requirement import Requirement
    from service.contracts.api import AuditSubmission, InputSubmission

    required = [Requirement.read(text) for text in require or ()]
    if required and not wait:
        raise Usage("--require needs the end of the audit: leave --no-wait out, or use `lamina audit wait --require`")
    analyses = tuple(read_analysis(text) for text in analyse)
    with client(home) as service:
        submission = AuditSubmission(
            title=title,
            model=find_model(service, model).id,
            inputs={
                role: InputSubmission(dataset=find_dataset(service, name).id) for role, name in map(read_input, dataset)
            },
            analyses=analyses,
        )
        view = service.submit(submission)
        if not wait:
            _show(view, as_json=as_json)
            return
        _follow(service, view.id, required, deadline, as_json=as_json)


@audits.command("wait")
def wait_for(
    audit: AuditId, require: Require = None, deadline: Deadline = 3600.0, home: Home = None, as_json: AsJson = False
) -> None:
    """Follow an audit to its end; exit code 1 when an analysis did not succeed or a requirement is not met."""
    from lamina.requirement import Requirement

    required = [Requirement.read(text) for text in require or ()]
    with client(home) as service:
        _follow(service, audit, required, deadline, as_json=as_json)


@audits.command("show")
def show(audit: AuditId, home: Home = None, as_json: AsJson = False) -> None:
    """How far an audit is."""
    with client(home) as service:
        _show(service.audit(audit), as_json=as_json)


@audits.command("list")
def list_audits(
    state: Annotated[str, typer.Option(help="Only those queued, running, finished or cancelled.")] = "",
    model: Annotated[str, typer.Option(help="Only those of a model: an id, NAME@VERSION or NAME.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Audits, newest first."""
    from service.contracts.status import AuditState

    if state and state not in set(AuditState):
        raise Usage(f"--state is one of {', '.join(AuditState)}; not {state!r}")
    with client(home) as service:
        of_model = find_model(service, model).id if model else None
        found = list(service.audits(state=AuditState(state) if state else None, model=of_model))
    if as_json:
        show_json(found)
        return
    rows = (
        (view.title, f"{view.model_name}@{view.model_version}", view.state, f"{view.progress:.0%}", view.id)
        for view in found
    )
    show_table(("title", "model", "state", ">progress", "id"), rows)


@audits.command("cancel")
def cancel(audit: AuditId, home: Home = None, as_json: AsJson = False) -> None:
    """Ask for an audit to stop; what is already computed is kept."""
    with client(home) as service:
        _show(service.cancel(audit), as_json=as_json)


def history(
    model: Annotated[str, typer.Argument(help="Name of the model; its versions are the points of the line.")],
    metric: Annotated[str, typer.Option(help="Only this metric.")] = "",
    layer: Annotated[str, typer.Option(help="Only this layer.")] = "",
    kind: Annotated[str, typer.Option(help="Only this analysis kind.")] = "",
    most: Annotated[int, typer.Option(min=1, max=100_000, help="At most this many points.")] = 1000,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """How a model's measurements moved from version to version, oldest first."""
    from itertools import islice

    with client(home) as service:
        points = list(
            islice(
                service.measurements(
                    model_name=model, metric=metric or None, layer=layer or None, kind=kind or None, order="asc"
                ),
                most + 1,
            )
        )
    if len(points) > most:
        remark(f"there are more than {most} points; these are the oldest (--most shows more)")
    points = points[:most]
    if as_json:
        show_json(points)
        return
    if not points:
        remark(f"no measurements of a model called {model!r} match")
    show_points(points)


def report(
    audit: AuditId,
    out: Annotated[Path | None, typer.Option(help="File to write [default: report-AUDIT.html or .json].")] = None,
    report_format: Annotated[str, typer.Option("--format", help="html or json.")] = "html",
    deadline: Deadline = 120.0,
    home: Home = None,
) -> None:
    """Fetch an audit's report, waiting until it is drawn; `--out -` writes to standard output."""
    with client(home) as service:
        if report_format == "html":
            content = service.report(audit, "html", deadline=deadline)
        elif report_format == "json":
            content = service.report(audit, "json", deadline=deadline)
        else:
            raise Usage(f"--format is html or json, not {report_format!r}")
    if out is not None and str(out) == "-":
        sys.stdout.buffer.write(content)
        return
    target = out or Path(f"report-{audit}.{report_format}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    say(str(target))


def show_points(points: "Sequence[MeasurementView]", *, title: str | None = None) -> None:
    """Points of history as a table, line by line; a changed dataset is marked, since it breaks the comparison."""
    changed = any(point.dataset_changed for point in points)
    order = {key: index for index, key in enumerate(dict.fromkeys(point.series_key for point in points))}
    rows = (
        (
            point.metric,
            point.layer,
            point.class_name or point.target,
            point.model_version,
            f"{point.value:.4g}",
            None if point.low is None or point.high is None else f"{point.low:.4g} to {point.high:.4g}",
            point.n,
            point.unit,
            *(("changed" if point.dataset_changed else "",) if changed else ()),
        )
        for point in sorted(points, key=lambda point: order[point.series_key])
    )
    heads = ("metric", "layer", "class or target", "version", ">value", ">interval", ">n", "unit")
    show_table((*heads, "dataset") if changed else heads, rows, title=title)


def follow(service: "Client", audits: "Sequence[AuditView]", deadline: float) -> "list[AuditView]":
    """Wait for audits one after the other, with a progress bar for every analysis."""
    with progress() as bars:
        shown = {
            analysis.id: bars.add_task(f"{view.title}: {analysis.kind}", total=1.0)
            for view in audits
            for analysis in view.analyses
        }

        def update(view: "AuditView") -> None:
            for analysis in view.analyses:
                words = f"{view.title}: {analysis.kind}  {analysis.state} {analysis.stage}".rstrip()
                done = 1.0 if analysis.ended_at is not None else analysis.progress
                bars.update(shown[analysis.id], completed=done, description=words)

        return [service.wait(view.id, on_progress=update, deadline=deadline) for view in audits]


def failures(view: "AuditView") -> list[str]:
    """What of an audit did not succeed, and why."""
    return [
        f"{analysis.kind} {analysis.state}"
        + ("" if analysis.reason is None else f" ({analysis.reason.code}): {analysis.reason.detail}")
        + ("" if analysis.reason is None or not analysis.reason.remedy else f" What to do: {analysis.reason.remedy}")
        for analysis in view.analyses
        if analysis.state != "succeeded"
    ]


def _follow(
    service: "Client", audit: UUID, required: "Sequence[Requirement]", deadline: float, *, as_json: bool
) -> None:
    (view,) = follow(service, [service.audit(audit)], deadline)
    _show(view, as_json=as_json)
    wrong = failures(view)
    if required:
        points = list(service.measurements(audit=view.id))
        wrong += [line for requirement in required for line in requirement.unmet(points)]
    if wrong:
        raise NotMet("\n".join(wrong))


def _show(view: "AuditView", *, as_json: bool) -> None:
    if as_json:
        show_json(view)
        return
    say(f"{view.title}  {view.state}, {view.progress:.0%}\nid {view.id}\nmodel {view.model_name}@{view.model_version}")
    rows = (
        (analysis.kind, analysis.state, f"{analysis.progress:.0%}", analysis.stage, analysis.id)
        for analysis in view.analyses
    )
    show_table(("analysis", "state", ">progress", "stage", "id"), rows)


def read_analysis(text: str) -> "AnalysisSubmission":
    """An analysis as KIND or KIND=PARAMETERS. Raises Usage."""
    from pydantic import ValidationError

    from service.contracts.api import AnalysisSubmission

    kind, _, written = text.partition("=")
    try:
        parameters: JsonValue = json.loads(written) if written else {}
        if isinstance(parameters, dict):
            return AnalysisSubmission(kind=kind.strip(), parameters=parameters)
    except ValidationError as error:
        raise Usage(f"--analysis {text!r}: {error.errors()[0]['msg']}") from error
    except ValueError as error:
        raise Usage(f"--analysis {text!r}: the parameters are not JSON: {error}") from error
    raise Usage(f"--analysis {text!r}: the parameters must be a JSON object")


def read_input(text: str) -> tuple[str, str]:
    """Role and dataset of ROLE=DATASET. Raises Usage."""
    role, separator, name = text.partition("=")
    if not separator or not name:
        raise Usage(f"--input {text!r}: write ROLE=DATASET, as evaluation=digits-test")
    return role, name
