"""What does Lamina do? The whole way once, small: train, export, register, audit, history, report, and stop.

Everything runs as it would for a customer: files over HTTP, sandboxed children, results read back through the API.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import JsonValue

from lamina import demo_compliance, demo_robustness, demo_text
from lamina.client import Client
from lamina.commands.audits import failures, follow
from lamina.commands.serving import first_key
from lamina.commands.shown import progress, say, show_table
from lamina.commands.subjects import upload
from lamina.demo_networks import NotLearned, Task, Trained, digits, save_examples, train, tumours
from lamina.embedded.folder import InUseError, Lock, NotPrivateError
from lamina.embedded.process import StartError
from lamina.export import export
from lamina.failure import Failure, NotMet, Usage
from lamina.model_folder import packed
from lamina.operator import opened, trust
from lamina.up import Stack
from service.contracts.api import AuditView, MeasurementView, ModelView
from service.contracts.facts import DatasetFacts, ModelFacts

Analyses = dict[str, dict[str, JsonValue]]
MARK = "made-by-lamina-demo"
TENANT, PRINCIPAL = "demo", "demo"
VERIFIED_LAYERS = 2
LAYERS: Analyses = {"layer_conductance": {"verify": VERIFIED_LAYERS}, "accuracy": {}}
"""What every version with its own layers is asked."""
PREDICTIONS: dict[str, Analyses] = {
    "digits-cnn": {"lime_image": {"examples": 2}},
    "tumour-mlp": {"lime_tabular": {"examples": 2}},
    demo_text.NAME: {"lime_text": {"examples": 2}},
}
"""What the last version of each is asked about single predictions."""
LAST = {name: asked | demo_robustness.ATTACKS.get(name, {}) for name, asked in PREDICTIONS.items()}
"""What the last version of each is asked."""
DEADLINE_SECONDS = 600.0
TRUST = """NOTE  The demo's principal is TRUSTED: its files are read here even where the sandbox is weaker than full.
      Do this only for whom you would let run programs here (lamina principal trust)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A trained version in its file, what its owner declares of it, and what is asked."""

    name: str
    number: str
    file: Path
    facts: ModelFacts
    analyses: Analyses


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The versions of one network, first to last, and the examples all of them are audited on."""

    versions: tuple[Version, ...]
    examples: Path
    facts: DatasetFacts


def run(home: Path) -> None:
    """Run the demo in `home`, which is made afresh, and leave reports there and no process.

    Raises `NotMet` when an accuracy or an audit falls short, and `Failure` when the service cannot run here.
    """
    began = time.monotonic()
    torch.set_num_threads(1)
    _fresh(home)
    say(TRUST)
    try:
        with Stack(home, gpus=()) as stack:
            say(f"service  {stack.url}  (docs at {stack.url}/docs, files in {home})")
            made = [*(_make(task, home / "files") for task in (digits(), tumours())), _make_text(home / "files")]
            address = first_key(stack, tenant=TENANT, principal=PRINCIPAL)
            with opened(stack.settings()["LAMINA_DATABASE_URL"]) as database:
                trust(database, tenant=TENANT, principal=PRINCIPAL)
            with Client(address.url, address.key) as client:
                reports = _audit(client, made, home)
    except (InUseError, NotPrivateError, StartError) as error:
        raise Failure(str(error)) from error
    except NotLearned as error:
        raise NotMet(str(error)) from error
    if stack.pids():
        raise Failure(f"these processes were not stopped: {stack.pids()}")
    say(f"everything is stopped; it took {time.monotonic() - began:.0f} s. Open:")
    for report in reports:
        say(f"  {report}")


def _fresh(home: Path) -> None:
    """Empty the demo's folder; a folder that is not the demo's is left alone."""
    if home.exists():
        if any(home.iterdir()) and not (home / MARK).exists():
            raise Usage(f"{home} holds something that is not the demo's: choose another --home")
        try:
            with Lock(home / "up.lock"):
                pass
        except InUseError as error:
            raise Failure(f"a demo runs already: {error}") from error
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARK).touch()
    (home / "files").mkdir()


def _make(task: Task, folder: Path) -> Made:
    """Train and export both versions, and write the test examples."""
    with progress() as bars:
        bar = bars.add_task(f"train {task.name}", total=task.epochs + 1)
        versions = train(task, lambda _done, _total: bars.advance(bar))
    examples = folder / f"{task.name}-test.npz"
    save_examples(task, examples)
    exported = []
    for trained in versions:
        file = folder / f"{task.name}-{trained.version}.pt2"
        export(trained.network, task.preprocessed(task.test_inputs[:2]), file)
        exported.append(_version(trained, file, LAYERS | (LAST[task.name] if trained is versions[-1] else {})))
    return Made(versions=tuple(exported), examples=examples, facts=task.dataset_facts())


def _version(trained: Trained, file: Path, analyses: Analyses) -> Version:
    task = trained.task
    epochs = "1 epoch" if trained.epochs == 1 else f"{trained.epochs} epochs"
    say(f"trained  {task.name}@{trained.version}: {epochs}, test accuracy {trained.accuracy:.1%}")
    facts = task.model_facts(trained.accuracy)
    return Version(name=task.name, number=trained.version, file=file, facts=facts, analyses=analyses)


def _make_text(folder: Path) -> Made:
    """Train the transformer, pack its folder, and write the test sentences."""
    saved = folder / demo_text.NAME
    saved.mkdir()
    with progress() as bars:
        bar = bars.add_task(f"train {demo_text.NAME}", total=demo_text.EPOCHS)
        texts = demo_text.train(saved, lambda _done, _total: bars.advance(bar))
    say(f"trained  {demo_text.NAME}@1: {demo_text.EPOCHS} epochs, test accuracy {texts.accuracy:.1%}")
    file, examples = folder / f"{demo_text.NAME}-1.zip", folder / f"{demo_text.NAME}-test.csv"
    packed(saved, file)
    texts.save_examples(examples)
    version = Version(
        name=demo_text.NAME, number="1", file=file, facts=texts.model_facts(), analyses=PREDICTIONS[demo_text.NAME]
    )
    return Made(versions=(version,), examples=examples, facts=texts.dataset_facts())


def _audit(client: Client, made: Sequence[Made], home: Path) -> list[Path]:
    """Register, audit and read back; returns the reports."""
    submitted = [view for each in made for view in _submitted(client, each)]
    ended = follow(client, submitted, DEADLINE_SECONDS)
    wrong = [f"{view.title}: {line}" for view in ended for line in failures(view)]
    if wrong:
        raise NotMet("\n".join(wrong))
    layered = {version.name for each in made for version in each.versions if version.analyses.keys() & LAYERS.keys()}
    for view in ended:
        if view.model_name in layered:
            _show_layers(view, list(client.measurements(audit=view.id, order="asc")))
    for name in sorted(layered):
        _show_history(client, name)
    for view in ended:
        demo_robustness.show(client, view)
    reports = [_report(client, view, home) for view in ended]
    return [*reports, *demo_compliance.show(client, ended, home)]


def _submitted(client: Client, made: Made) -> list[AuditView]:
    """An audit of each version, on the same examples; each version follows the one before it."""
    blob = upload(client, made.examples).digest
    data = client.register_dataset(name=f"{made.versions[0].name}-test", blob=blob, facts=made.facts)
    before: ModelView | None = None
    audits = []
    for version in made.versions:
        before = client.register_model(
            name=version.name,
            version=version.number,
            blob=upload(client, version.file).digest,
            facts=version.facts,
            follows=None if before is None else before.id,
        )
        audits.append(
            client.submit_audit(
                title=f"{version.name}@{version.number}",
                model=before.id,
                inputs={"evaluation": data.id},
                analyses=version.analyses,
            )
        )
    return audits


def _show_layers(view: AuditView, points: Sequence[MeasurementView]) -> None:
    """The layers of one audit, in the order the network calls them."""
    totals = [point for point in points if point.metric == "layer_absolute_total" and point.class_name is None]
    error = {point.layer: point.value for point in points if point.metric == "completeness_error"}
    if not totals:
        raise NotMet(f"{view.title}: the audit succeeded, and measured no layer")
    largest = max(point.value for point in totals)
    rows = (
        (
            point.layer,
            f"{point.value:.4g}",
            None if point.low is None or point.high is None else f"{point.low:.4g} to {point.high:.4g}",
            f"{point.value / largest:.0%}" if largest > 0 else None,
            f"{error[point.layer]:.1e}" if point.layer in error else None,
        )
        for point in totals
    )
    heads = ("layer", ">absolute conductance", ">95 % interval", ">of the largest", ">completeness error")
    show_table(heads, rows, title=f"{view.title}: what each layer carries ({totals[0].unit}, n = {totals[0].n})")


def _show_history(client: Client, name: str) -> None:
    """One line of history across the versions: the first layer's absolute conductance."""
    points = list(client.measurements(model_name=name, metric="layer_absolute_total", order="asc"))
    line = [point for point in points if point.series_key == points[0].series_key]
    if len(line) < 2:
        raise NotMet(f"the history of {name} has {len(line)} points on its line, and should have one for each version")
    first = line[0]
    rows = (
        (
            point.model_version,
            f"{point.value:.4g}",
            None if point.low is None or point.high is None else f"{point.low:.4g} to {point.high:.4g}",
            point.n,
            f"{point.created_at:%Y-%m-%d %H:%M}",
        )
        for point in line
    )
    heads = ("version", ">value", ">95 % interval", ">n", "measured (UTC)")
    show_table(heads, rows, title=f"{name}: history of {first.metric} at {first.layer} ({first.unit})")


def _report(client: Client, view: AuditView, home: Path) -> Path:
    target = home / f"report-{view.model_name}-{view.model_version}.html"
    target.write_bytes(client.report(view.id, deadline=DEADLINE_SECONDS))
    return target
