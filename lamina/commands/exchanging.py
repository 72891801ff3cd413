"""How does a compliance report get into other tools? Written in their formats, from its twin alone, also offline."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from lamina.commands.reporting import reports
from lamina.commands.shown import Home, client, remark, say
from lamina.failure import Usage

if TYPE_CHECKING:
    from service.contracts.compliance_reports import ExportForm


def register(_app: typer.Typer) -> None:
    """Add the verb to those of compliance reports."""
    reports.command("export")(export)


def export(
    report: Annotated[str, typer.Argument(help="Id of a compliance report; or its zip or report.json, offline.")],
    form: Annotated[
        str, typer.Option("--as", help="oscal (results), oscal-plan, oscal-catalog, cyclonedx or model-index.")
    ],
    out: Annotated[Path | None, typer.Option(help="File to write; - is standard output [its own name].")] = None,
    home: Home = None,
) -> None:
    """Write a report in another tool's format. It is not signed: the report is, and its digest stands in the export.

    A file is not checked here: `lamina verify` does that.
    """
    from pydantic import ValidationError

    from service.report.exchange.forms import FORMS
    from service.report.exchange.forms import export as write

    chosen = _form(form)
    twin = _fetched(report, home) if _is_id(report) else _kept(Path(report))
    try:
        content = write(chosen, twin)
    except ValidationError as error:
        raise Usage(f"{report} holds no twin of a compliance report that this version can read: {error}") from error
    if out is not None and str(out) == "-":
        sys.stdout.buffer.write(content)
        return
    target = out or Path(FORMS[chosen].name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    say(str(target))
    remark("not signed; the signed report is the record")


def _form(text: str) -> "ExportForm":
    from service.report.exchange.forms import FORMS

    for form in FORMS:
        if form == text:
            return form
    raise Usage(f"--as is one of {', '.join(FORMS)}, not {text!r}")


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _fetched(report: str, home: Path | None) -> bytes:
    """The twin from the service, checked against the digest that people sign."""
    from lamina.client import ArtifactDamaged
    from service.contracts.base import digest_of

    with client(home) as service:
        view = service.compliance_report(UUID(report))
        content = service.compliance_report_file(UUID(report), "json")
    if view.twin_digest is not None and digest_of(content) != view.twin_digest:
        raise ArtifactDamaged(f"the twin of report {report} should be {view.twin_digest}, and is {digest_of(content)}")
    return content


def _kept(file: Path) -> bytes:
    """The twin that a file is, or that a zip holds. Raises Usage."""
    from service.evidence.archive import NotABundle, unpacked
    from service.evidence.statement import TWIN

    try:
        content = file.read_bytes()
        return unpacked(content)[TWIN] if content.startswith(b"PK") else content
    except (OSError, NotABundle) as error:
        raise Usage(f"{file} cannot be read, and is no id of a report: {error}") from error
