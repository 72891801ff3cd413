"""`lamina gate`: may this version go out? For pipelines: exit codes, JUnit, a summary."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError

from lamina.commands.audits import failures, follow
from lamina.commands.shown import AsJson, Deadline, Home, client, say, show_table
from lamina.failure import NotMet, Usage, needs

if TYPE_CHECKING:
    from lamina.client import Client
    from lamina.gate import GatePolicy
    from service.contracts.api import MeasurementView

LARGEST = 1_000_000
File = Annotated[Path, typer.Argument(help="The policy: YAML or JSON.", dir_okay=False)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Prove it")(gate)


def gate(
    policy: File,
    wait: Annotated[UUID | None, typer.Option(help="Id of an audit to wait for first.")] = None,
    junit_to: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML here.")] = None,
    markdown_to: Annotated[Path | None, typer.Option("--markdown", help="Write a summary in Markdown here.")] = None,
    sarif_to: Annotated[Path | None, typer.Option("--sarif", help="Write SARIF 2.1.0 here.")] = None,
    github: Annotated[
        bool, typer.Option("--github/--no-github", help="Say what does not pass as annotations of GitHub Actions.")
    ] = False,
    deadline: Deadline = 600.0,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Judge what was measured of a version by the rules of a policy.

    Exits with 0 when every rule passes, 1 when one does not (inconclusive counts as not passing unless the policy says
    otherwise), 2 when the policy is wrong, 3 when the service refuses, 4 when an audit is not done in time.
    """
    import importlib.metadata

    from lamina.gate import judged, junit, markdown, passes
    from lamina.gate_forms import annotations, sarif

    if github and as_json:
        raise Usage("--github and --json both write to standard output: give one of them")
    wanted = read_policy(policy)
    with client(home) as service:
        if wait is not None:
            (ended,) = follow(service, [service.audit(wait)], deadline)
            if wrong := failures(ended):
                raise NotMet("\n".join(wrong))
        points = _points(service, wanted)
        found = judged(wanted, points, _baseline(service, wanted), service.service_time())
    title = f"{wanted.model} {wanted.version or (points[0].model_version if points else '')}".strip()
    if junit_to is not None:
        junit_to.write_bytes(junit(title, found))
    if markdown_to is not None:
        markdown_to.write_text(markdown(title, found), encoding="utf-8")
    if sarif_to is not None:
        sarif_to.write_bytes(sarif(wanted, str(policy), found, importlib.metadata.version("lamina")))
    if github:
        sys.stdout.write(annotations(wanted, str(policy), found))
    if as_json:
        rows = [{"rule": each.title, "status": each.status, "said": each.said} for each in found]
        say(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        show_table(("verdict", "rule", "found"), ((each.status, each.title, each.said) for each in found), title=title)
    if not passes(wanted, found):
        raise NotMet(f"{sum(each.status != 'pass' for each in found)} of {len(found)} rules do not pass")
    if not as_json:
        say(f"{title} passes all {len(found)} rules")


def read_policy(file: Path) -> "GatePolicy":
    """A policy from its file. Raises Usage, naming every rule that is wrong."""
    from lamina.gate import GatePolicy, faults

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"{file} cannot be read: {error}") from error
    if len(text) > LARGEST:
        raise Usage(f"{file} is no policy: it has {len(text)} characters")
    try:
        policy = GatePolicy.model_validate_json(json.dumps(_read(text, file)))
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the policy'}: {fault['msg']}"
            for fault in error.errors(include_url=False)[:20]
        )
        raise Usage(f"{file}: {said}") from error
    if wrong := faults(policy):
        raise Usage(f"{file}: {'; '.join(wrong)}")
    return policy


def _read(text: str, file: Path) -> Any:
    if file.suffix == ".json":
        try:
            return json.loads(text)
        except ValueError as error:
            raise Usage(f"{file} is no JSON: {error}") from error
    with needs("api", "a policy in YAML"):
        import yaml
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Usage(f"{file} is no YAML: {' '.join(str(error).split())}") from error


def _points(service: "Client", policy: "GatePolicy") -> "list[MeasurementView]":
    """Everything measured of the version that a rule asks for."""
    found: list[MeasurementView] = []
    for metric in sorted({rule.metric for rule in policy.rules}):
        found += service.measurements(model_name=policy.model, model_version=policy.version, metric=metric)
    if policy.version is None and found:
        newest = max(found, key=lambda point: point.created_at).model_version
        found = [point for point in found if point.model_version == newest]
    return found


def _baseline(service: "Client", policy: "GatePolicy") -> "dict[str, MeasurementView]":
    """The approved baseline's points by line, where a rule asks for them."""
    if all(rule.most_regression is None for rule in policy.rules):
        return {}
    current = next(iter(service.baselines(model_name=policy.model, state="current")), None)
    if current is None:
        return {}
    return {point.series_key: point for point in service.measurements(audit=current.audit)}
