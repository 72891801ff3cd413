"""What is demanded of a model, what is excepted, who vouches for what? Controls, policies, waivers, attestations."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from lamina.commands.shown import AsJson, Home, client, remark, say, show_json, show_table
from lamina.commands.written import moment, submission
from lamina.failure import Usage, needs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from service.contracts.compliance import Requirement
    from service.contracts.exceptions import AttestationView, WaiverView
    from service.contracts.policies import ControlInForce, PolicyView

policies = typer.Typer(no_args_is_help=True, help="What an organisation demands: thresholds and controls of its own.")
waivers = typer.Typer(no_args_is_help=True, help="Exceptions: asked for by one person, decided by another.")
attestations = typer.Typer(no_args_is_help=True, help="What people vouch for where nothing can be measured.")
PANEL = "Comply"
CHUNK_BYTES = 1 << 20

Control = Annotated[str, typer.Argument(help="Id of the control, such as ROB-04; see `lamina controls`.")]
Model = Annotated[str | None, typer.Option("--model", help="Name of the model [default: every model].")]
Only = Annotated[str | None, typer.Option("--control", help="Only those of this control.")]
Until = Annotated[str | None, typer.Option("--until", help="When it ends: 2026-12-31, or a time with its zone.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel=PANEL)(controls)
    app.add_typer(policies, name="policy", rich_help_panel=PANEL)
    app.add_typer(waivers, name="waiver", rich_help_panel=PANEL)
    app.add_typer(attestations, name="attest", rich_help_panel=PANEL)


def controls(
    policy: Annotated[str | None, typer.Option(help="Under this policy [default: the library as shipped].")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Every control as it is assessed, with the thresholds that are applied and who set them."""
    with client(home) as service:
        found = service.controls(policy=policy)
    if as_json:
        show_json(found)
        return
    rows = (row for each in found.controls for row in _rows(each))
    under = f" under {found.policy}" if found.policy else ""
    show_table(("control", "title", "asked for", "on", "set by"), rows, title=f"{found.library}{under}")
    remark(found.disclaimer)


@policies.command("set")
def set_policy(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    file: Annotated[Path, typer.Argument(help="Its content, as JSON or YAML.", dir_okay=False)],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a policy, or the next revision of it; everything is checked first."""
    from pydantic import ValidationError

    from service.contracts.policies import PolicyContent

    try:
        content = PolicyContent.model_validate_json(json.dumps(_read(file)))
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
        raise Usage(f"{file} is no policy:\n" + "\n".join(faults)) from error
    with client(home) as service:
        made = service.make_policy(name, content)
    if as_json:
        show_json(made)
    else:
        say(f"{made.name} {made.revision}  {made.digest}")


@policies.command("list")
def list_policies(
    name: Annotated[str | None, typer.Option(help="Only revisions of this one.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Revisions of policies, newest first."""
    with client(home) as service:
        found = list(service.policies(name=name))
    if as_json:
        show_json(found)
        return
    rows = (
        (
            each.name,
            each.revision,
            each.library,
            len(each.content.overrides),
            len(each.content.controls),
            f"{each.created_at:%Y-%m-%d}",
            each.id,
        )
        for each in found
    )
    show_table(("name", ">revision", "library", ">thresholds set", ">own controls", "made", "id"), rows)


@policies.command("show")
def show_policy(
    name: Annotated[str, typer.Argument(help="Its name, for the newest revision; or NAME@REVISION.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What a policy sets, with who answers for it and why."""
    with client(home) as service:
        found = _find(service.policies(name=name.partition("@")[0]), name)
    if as_json:
        show_json(found)
        return
    content = found.content
    rows = (
        (each.control, each.requirement, each.threshold, each.n, each.fresh, each.owner, each.reason)
        for each in content.overrides
    )
    heads = ("control", ">requirement", ">threshold", ">n", ">days", "owner", "reason")
    show_table(heads, rows, title=f"{found.name} {found.revision} over {found.library}")
    for control in content.controls:
        say(f"{control.id}  {control.title}")


@waivers.command("ask")
def ask(
    control: Control,
    reason: Annotated[str, typer.Option(help="Why it is needed.")],
    compensating: Annotated[str, typer.Option(help="What stands in for the control until then.")],
    model: Model = None,
    until: Until = None,
    not_applicable: Annotated[
        bool, typer.Option("--not-applicable/--waived", help="It is not assessed, or shown as waived.")
    ] = False,
    renews: Annotated[UUID | None, typer.Option(help="The waiver that it carries on.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Ask for an exception: 90 days unless said otherwise, 180 at most. Another person decides."""
    from service.contracts.exceptions import WaiverSubmission

    wanted = submission(
        WaiverSubmission,
        control=control,
        model_name=model,
        effect="not_applicable" if not_applicable else "waived",
        reason=reason,
        compensating=compensating,
        expires_at=None if until is None else moment(until),
        renews=renews,
    )
    with client(home) as service:
        made = service.ask_for_waiver(wanted)
    _tell(made, as_json=as_json)


@waivers.command("grant")
def grant(
    waiver: Annotated[UUID, typer.Argument(help="Id of the waiver.")],
    comment: Annotated[str, typer.Option(help="What the record should say.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Grant an exception that somebody else asked for."""
    with client(home) as service:
        _tell(service.decide_on_waiver(waiver, "granted", comment), as_json=as_json)


@waivers.command("refuse")
def refuse(
    waiver: Annotated[UUID, typer.Argument(help="Id of the waiver.")],
    comment: Annotated[str, typer.Option(help="Why.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Refuse an exception that somebody else asked for, and say why."""
    with client(home) as service:
        _tell(service.decide_on_waiver(waiver, "refused", comment), as_json=as_json)


@waivers.command("withdraw")
def withdraw_waiver(
    waiver: Annotated[UUID, typer.Argument(help="Id of the waiver.")], home: Home = None, as_json: AsJson = False
) -> None:
    """End an exception before its time; the control counts again."""
    with client(home) as service:
        _tell(service.withdraw_waiver(waiver), as_json=as_json)


@waivers.command("list")
def list_waivers(control: Only = None, model: Model = None, home: Home = None, as_json: AsJson = False) -> None:
    """Exceptions and where they stand, newest first."""
    with client(home) as service:
        found = list(service.waivers(control=control, model_name=model))
    if as_json:
        show_json(found)
        return
    rows = (
        (
            each.control,
            each.model_name or "every model",
            each.state.replace("_", " "),
            f"{each.expires_at:%Y-%m-%d}",
            each.requested_by_name,
            each.decided_by_name,
            each.reason,
            each.id,
        )
        for each in found
    )
    show_table(("control", "model", "state", "until", "asked by", "decided by", "reason", "id"), rows)


@attestations.command("make")
def attest(
    control: Control,
    role: Annotated[str, typer.Option(help="In what capacity: product owner, risk officer, ...")],
    statement: Annotated[str, typer.Option(help="What is stated.")],
    until: Annotated[str, typer.Option("--until", help="Until when it counts, 366 days at most: 2026-12-31.")],
    model: Model = None,
    document: Annotated[
        Path | None, typer.Option(help="The document it rests on; its digest is sent, not the file.", dir_okay=False)
    ] = None,
    title: Annotated[str, typer.Option(help="What that document is called [default: its file's name].")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """State something of a control, as the person whose key this is."""
    from service.contracts.exceptions import AttestationSubmission

    wanted = submission(
        AttestationSubmission,
        control=control,
        model_name=model,
        role=role,
        statement=statement,
        document_title=title or ("" if document is None else document.name),
        document_digest=None if document is None else _digest(document),
        expires_at=moment(until),
    )
    with client(home) as service:
        _tell(service.attest(wanted), as_json=as_json)


@attestations.command("withdraw")
def withdraw_attestation(
    attestation: Annotated[UUID, typer.Argument(help="Id of the attestation.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take one's own statement back."""
    with client(home) as service:
        _tell(service.withdraw_attestation(attestation), as_json=as_json)


@attestations.command("list")
def list_attestations(control: Only = None, model: Model = None, home: Home = None, as_json: AsJson = False) -> None:
    """Statements and whether they count, newest first."""
    with client(home) as service:
        found = list(service.attestations(control=control, model_name=model))
    if as_json:
        show_json(found)
        return
    rows = (
        (
            each.control,
            each.model_name or "every model",
            each.state,
            f"{each.expires_at:%Y-%m-%d}",
            f"{each.stated_by_name} ({each.role})",
            each.statement,
            each.id,
        )
        for each in found
    )
    show_table(("control", "model", "state", "until", "who", "statement", "id"), rows)


def _rows(each: "ControlInForce") -> "Iterable[tuple[object, ...]]":
    set_by = {one.requirement: one for one in each.overrides}
    for place, need in enumerate(each.control.requirements, start=1):
        own = set_by.get(place)
        threshold = need.threshold if own is None or own.threshold is None else own.threshold
        enough = need.n if own is None or own.n is None else own.n
        first = (each.control.id, each.control.title) if place == 1 else ("", "")
        whose = own.owner if own else "the organisation" if each.own else f"the library ({need.basis})"
        yield (*first, _asked(need, threshold), f"n {enough}", whose)


def _asked(need: "Requirement", threshold: float | None) -> str:
    against = {
        "nothing": "",
        "declared": " less declared",
        "baseline": " less baseline",
        "baseline_ratio": " over baseline",
    }
    limit = "?" if threshold is None else f"{threshold:g}"
    return f"{need.metric}{against[need.relative_to]} {need.op} {limit}{', surely' if need.rule == 'ci' else ''}"


def _find(found: "Iterable[PolicyView]", name: str) -> "PolicyView":
    _, _, revision = name.partition("@")
    for each in found:
        if not revision or str(each.revision) == revision:
            return each
    raise Usage(f"there is no policy {name!r}; see `lamina policy list`")


def _tell(made: "WaiverView | AttestationView", *, as_json: bool) -> None:
    if as_json:
        show_json(made)
    else:
        say(f"{made.control}  {made.state.replace('_', ' ')} until {made.expires_at:%Y-%m-%d}  {made.id}")


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    try:
        with file.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                found.update(chunk)
    except OSError as error:
        raise Usage(f"{file} cannot be read: {error.strerror or error}") from error
    return f"sha256:{found.hexdigest()}"


def _read(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{file} cannot be read: {error}") from error
    if file.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise Usage(f"{file} is no JSON: {error}") from error
    with needs("api", "a policy in YAML"):
        from service.compliance.lines import BadYaml, read
    try:
        return read(text).content
    except BadYaml as error:
        raise Usage(f"{file}: {error}") from error
