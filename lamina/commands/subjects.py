"""What is audited, and what can be asked of it? Models, datasets and kinds."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from lamina.commands.shown import AsJson, Deadline, Home, client, progress, remark, say, show_json, show_table
from lamina.failure import NotMet, Usage

if TYPE_CHECKING:
    from pydantic import BaseModel

    from lamina.client import Client
    from service.contracts.api import BlobView, DatasetView, ModelView

    Facts = TypeVar("Facts", bound=BaseModel)

models = typer.Typer(no_args_is_help=True, help="Register models and look at them.")
datasets = typer.Typer(no_args_is_help=True, help="Register datasets and look at them.")

NameOption = Annotated[str, typer.Option("--name", help="Name shared by all its versions.")]
FactsFile = Annotated[
    Path, typer.Option("--facts", exists=True, dir_okay=False, help="JSON file of declared facts; see examples/.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is ready or refused.")]
Reference = Annotated[str, typer.Argument(help="Its id, or NAME@VERSION; NAME alone is the newest version.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(models, name="model", rich_help_panel="Audit")
    app.add_typer(datasets, name="dataset", rich_help_panel="Audit")
    app.command(rich_help_panel="Audit")(kinds)


@models.command("add")
def add_model(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE_OR_FOLDER", exists=True, readable=True, help="The file to upload, or a Hugging Face folder."
        ),
    ],
    name: NameOption,
    facts: FactsFile,
    version: Annotated[str, typer.Option(help="Version, unique within the name.")],
    follows: Annotated[str, typer.Option(help="The version it follows: an id, or NAME@VERSION.")] = "",
    wait: Wait = True,
    deadline: Deadline = 300.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Upload a network and register it as a version of a model.

    Formats: `.pt2` (see `lamina export`), a folder of Hugging Face's save_pretrained, `.onnx`.
    """
    from service.contracts.facts import ModelFacts

    declared = read_facts(ModelFacts, facts)
    with client(home) as service:
        before = find_model(service, follows).id if follows else None
        with whole(file, images=False) as one:
            blob = upload(service, one)
        view = service.register_model(name=name, version=version, blob=blob.digest, facts=declared, follows=before)
        if wait:
            view = service.wait_for_model(view.id, deadline=deadline)
    _registered(view, as_json=as_json)


@datasets.command("add")
def add_dataset(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE_OR_FOLDER", exists=True, readable=True, help="The file to upload, or a folder of images."
        ),
    ],
    name: NameOption,
    facts: FactsFile,
    version: Annotated[str, typer.Option(help="Version, unique within the name.")] = "1",
    wait: Wait = True,
    deadline: Deadline = 300.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Upload a file of examples and register it as a version of a dataset.

    Formats: npz, npy, safetensors, csv, jsonl, parquet, or a zip of PNG, JPEG or WebP images. A folder with a folder of
    images for each class, or with labels.csv, is zipped on the way. `lamina dataset draft` suggests facts of a table.
    """
    from service.contracts.facts import DatasetFacts

    declared = read_facts(DatasetFacts, facts)
    with client(home) as service, whole(file) as one:
        blob = upload(service, one)
        view = service.register_dataset(name=name, version=version, blob=blob.digest, facts=declared)
        if wait:
            view = service.wait_for_dataset(view.id, deadline=deadline)
    _registered(view, as_json=as_json)


@models.command("list")
def list_models(home: Home = None, as_json: AsJson = False) -> None:
    """Every version of every model, newest first."""
    with client(home) as service:
        _list(list(service.models()), as_json=as_json)


@datasets.command("list")
def list_datasets(home: Home = None, as_json: AsJson = False) -> None:
    """Every version of every dataset, newest first."""
    with client(home) as service:
        _list(list(service.datasets()), as_json=as_json)


@models.command("show")
def show_model(
    reference: Reference,
    html: Annotated[Path | None, typer.Option("--html", dir_okay=False, help="Save its inspection as a page.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """One version of a model: its warnings, its tree of layers and what can be asked of each."""
    from lamina.commands.inspected import print_inspection

    with client(home) as service:
        view = find_model(service, reference)
        if html is not None:
            html.write_bytes(service.inspection(view.id))
            remark(f"written to {html}")
    if as_json:
        show_json(view)
        return
    _describe(view)
    if view.manifest is not None:
        print_inspection(view)


@datasets.command("show")
def show_dataset(reference: Reference, home: Home = None, as_json: AsJson = False) -> None:
    """One version of a dataset: its facts and what was found in it."""
    with client(home) as service:
        view = find_dataset(service, reference)
    if as_json:
        show_json(view)
        return
    _describe(view)
    if view.manifest is not None:
        found = view.manifest
        shape = " × ".join(found.inputs.shape)
        say(
            f"{found.examples} examples, together {shape}, values from {found.low:g} to {found.high:g} ({found.format})"
        )
        if found.label_counts:
            names = view.facts.classes
            rows = zip(names, found.label_counts, strict=False)
            show_table(("class", ">examples"), rows)
        for note in found.notes:
            remark(f"note: {note}")
        for warning in found.warnings:
            remark(f"warning ({warning.code}): {warning.detail}. {warning.advice or ''}".rstrip())


def kinds(
    name: Annotated[str, typer.Argument(help="One kind: show its parameters.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What can be asked of a model: the analysis kinds, or the parameters of one."""
    with client(home) as service:
        if not name:
            found = list(service.kinds())
            if as_json:
                show_json(found)
            else:
                rows = ((kind.name, kind.version, kind.title, ", ".join(kind.roles)) for kind in found)
                show_table(("kind", ">version", "title", "inputs by role"), rows)
            return
        kind = service.kind(name)
    if as_json:
        show_json(kind)
        return
    say(f"{kind.title} (version {kind.version})\n{kind.question}\nSource: {kind.source}")
    properties = kind.parameters.get("properties")
    known = properties.items() if isinstance(properties, dict) else ()
    rows_of_parameters = (
        (parameter, schema.get("default"), schema.get("description"))
        for parameter, schema in known
        if isinstance(schema, dict)
    )
    show_table(("parameter", "default", "what it is"), rows_of_parameters)


def find_model(service: "Client", reference: str) -> "ModelView":
    """The model with this id or NAME@VERSION; NAME alone is its newest version. Raises `Usage`."""
    if (found := _as_id(reference)) is not None:
        return service.model(found)
    return _chosen(list(service.models(name=_name(reference))), reference, "model")


def find_dataset(service: "Client", reference: str) -> "DatasetView":
    """The dataset with this id or NAME@VERSION; NAME alone is its newest version. Raises `Usage`."""
    if (found := _as_id(reference)) is not None:
        return service.dataset(found)
    return _chosen(list(service.datasets(name=_name(reference))), reference, "dataset")


def read_facts(kind: "type[Facts]", file: Path) -> "Facts":
    """Declared facts from a JSON file. Raises `Usage` with every fault at its JSON Pointer."""
    from pydantic import ValidationError

    try:
        return kind.model_validate_json(file.read_bytes())
    except ValidationError as error:
        faults = [f"  /{'/'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise Usage(f"{file} holds no {kind.__name__}:\n" + "\n".join(faults)) from error


@contextmanager
def whole(given: Path, *, images: bool = True) -> Iterator[Path]:
    """A file as it is; a folder of images, or of a model, as a zip that is there while this lasts. Raises `Usage`."""
    if not given.is_dir():
        yield given
        return
    from lamina import folder, model_folder

    with tempfile.TemporaryDirectory() as room:
        target = Path(room, f"{given.resolve().name or 'folder'}.zip")
        if images:
            remark(f"packed {folder.packed(given, target):,} images")
        else:
            remark(f"packed {', '.join(model_folder.packed(given, target))}")
        yield target


def upload(service: "Client", file: Path) -> "BlobView":
    """Store a file, with a progress bar."""
    with progress() as bars:
        bar = bars.add_task(f"upload {file.name}", total=None)
        return service.upload(file, lambda sent, total: bars.update(bar, completed=sent, total=max(total, 1)))


def _name(reference: str) -> str:
    return reference.rpartition("@")[0] or reference


def _as_id(reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        return None


_Subject = TypeVar("_Subject", "ModelView", "DatasetView")


def _chosen(known: "list[_Subject]", reference: str, what: str) -> "_Subject":
    version = reference.removeprefix(_name(reference)).removeprefix("@")
    named = [view for view in known if version in ("", view.version)]
    if not named:
        versions = ", ".join(sorted(view.version for view in known))
        there = f"it has the versions {versions}" if versions else f"`lamina {what} list` shows what there is"
        raise Usage(f"no {what} is called {reference!r}; {there}")
    return max(named, key=lambda view: (view.created_at, view.id))


def _registered(view: "ModelView | DatasetView", *, as_json: bool) -> None:
    if as_json:
        show_json(view)
    else:
        _describe(view)
    if view.refusal is not None:
        raise NotMet(f"{view.name}@{view.version} was refused; see above")


def _list(views: "list[ModelView] | list[DatasetView]", *, as_json: bool) -> None:
    if as_json:
        show_json(views)
        return
    rows = ((view.name, view.version, view.state, f"{view.created_at:%Y-%m-%d %H:%M}", view.id) for view in views)
    show_table(("name", "version", "state", "registered (UTC)", "id"), rows)


def _describe(view: "ModelView | DatasetView") -> None:
    say(f"{view.name}@{view.version}  {view.state}\nid {view.id}\ndigest {view.source_digest}")
    if view.refusal is not None:
        remark(f"refused ({view.refusal.code}): {view.refusal.detail}")
        for fault in view.refusal.faults:
            remark(f"  {fault.pointer}: {fault.detail}")
        if view.refusal.remedy:
            remark(f"what to do: {view.refusal.remedy}")
