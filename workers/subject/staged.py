"""How do the canonical files of a job become a Subject? Read, compared with one another, and put on the device."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch

from service.contracts.facts import Bounds, InputFacts, ModelFacts
from service.contracts.job import Analyse, StagedAnalysis, StagedDataset
from service.contracts.problem import Fault
from workers.kind import AnalysisError
from workers.subject.data.dataset import read_dataset
from workers.subject.digest import digest_of_file
from workers.subject.formats import FORMATS
from workers.subject.network import Loaded
from workers.subject.refusal import Refusal
from workers.subject.subject import Earlier, Examples, Subject


class Disagreement(AnalysisError):
    """A dataset cannot be used with this model: its declared facts differ. Names each difference."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(
            "inputs-disagree",
            "; ".join(fault.detail for fault in faults)[:4000],
            remedy="Register the dataset with the facts of the model it is used on, in the same raw unit.",
        )
        self.faults = faults


def subject_of(job: Analyse, folder: Path) -> Subject:
    """The network and the examples by role, on the job's device, inputs in the dtype that the network reads.

    Raises AnalysisError when a file is damaged or a dataset does not belong to the model.
    """
    faults = tuple(
        fault for role, staged in job.inputs.items() for fault in disagreements(role, staged, job.model.facts)
    )
    if faults:
        raise Disagreement(faults)
    device = torch.device(job.device)
    examples: dict[str, Examples] = {}
    try:
        canonical = _sound(folder / job.model.file, job.model.digest, "the model")
        loaded = FORMATS[job.model.manifest.format].load(canonical, job.device)
        for role, staged in job.inputs.items():
            path = _sound(folder / staged.file, staged.digest, f"the dataset in the role {role}")
            read = read_dataset(path, name=staged.name, digest=staged.digest)
            columns = tuple(each for each in staged.facts.columns if each.role == "feature")
            made = as_read(read, loaded, job.model.facts, device)  # a tokenizer may refuse a text
            examples[role] = replace(made, columns=columns)
        earlier = {role: _earlier(role, staged, folder) for role, staged in job.analyses.items()}
    except Refusal as refusal:
        raise AnalysisError(refusal.code, refusal.detail, remedy=refusal.remedy) from refusal
    return Subject(
        model=loaded.model,
        facts=job.model.facts,
        manifest=job.model.manifest,
        digest=job.model.digest,
        examples=examples,
        device=device,
        black_box=loaded.black_box,
        type_based=loaded.type_based,
        tokenizer=loaded.tokenizer,
        outputs=loaded.names,
        pad=loaded.pad,
        earlier=earlier,
    )


def _earlier(role: str, staged: StagedAnalysis, folder: Path) -> Earlier:
    """What an earlier analysis kept. The file was checked when it was stored, and is data all the same."""
    if staged.file is None or staged.file_digest is None:
        return Earlier(staged=staged, arrays={})
    path = _sound(folder / staged.file, staged.file_digest, f"the analysis in the role {role}")
    return Earlier(staged=staged, arrays=safetensors.torch.load_file(path))


def as_read(read: Examples, loaded: Loaded, facts: ModelFacts, device: torch.device) -> Examples:
    """The examples on the device, each input in the dtype that the network reads; texts as their tokens."""
    inputs = (read.inputs, *read.further)
    if facts.input.kind == "text":
        if loaded.tokenizer is None or read.texts is None:
            raise AnalysisError(
                "inputs-disagree",
                f"the model reads texts, and dataset {read.name!r} holds none",
                remedy="Register a dataset with a text column.",
            )
        inputs = loaded.tokenizer.encode(read.texts, facts.input.shape[0])
    if len(inputs) != len(loaded.inputs):
        raise AnalysisError(
            "inputs-disagree",
            f"the model takes {len(loaded.inputs)} inputs, dataset {read.name!r} holds {len(inputs)}",
            remedy="Register the dataset with an array for each input of the model, in facts.further_inputs.",
        )
    first, *further = (each.to(device, like.dtype) for each, like in zip(inputs, loaded.inputs, strict=True))
    return Examples(
        name=read.name,
        digest=read.digest,
        inputs=first,
        labels=None if read.labels is None else read.labels.to(device),
        further=tuple(further),
        texts=read.texts,
        content=read.content,
    )


def disagreements(role: str, staged: StagedDataset, model: ModelFacts) -> list[Fault]:
    """Where a dataset's facts differ from those of the model: inputs, their shapes, raw units, bounds; class names."""
    facts = staged.facts
    faults = _differences(role, staged.name, "input", facts.input, model.input)
    names, expected = ([each.name for each in given.further_inputs] for given in (facts, model))
    if names != expected:
        faults.append(
            Fault(
                pointer=f"/inputs/{role}/facts/further_inputs",
                detail=f"dataset {staged.name!r} holds the further inputs {names}, the model reads {expected}"[:4000],
            )
        )
    else:
        for at, (found, wanted) in enumerate(zip(facts.further_inputs, model.further_inputs, strict=True)):
            faults += _differences(role, staged.name, f"further_inputs/{at}/input", found.input, wanted.input)
    if staged.facts.classes and model.output.classes and staged.facts.classes != model.output.classes:
        faults.append(
            Fault(
                pointer=f"/inputs/{role}/facts/classes",
                detail=f"dataset {staged.name!r} names its classes otherwise, or in another order, than the model",
            )
        )
    return faults


def _differences(role: str, name: str, pointer: str, found: InputFacts, model: InputFacts) -> list[Fault]:
    """Where the facts of one input differ; what an example is called matters only for what is not a number."""
    ids = ("tokens", "text")
    pairs: Mapping[str, tuple[object, object, bool]] = {
        "kind": (found.kind, model.kind, found.kind == model.kind or not {found.kind, model.kind} & set(ids)),
        "shape": (found.shape, model.shape, found.shape == model.shape),
        "layout": (found.layout, model.layout, found.layout == model.layout),
        "unit": (found.unit, model.unit, found.unit == model.unit),
        "bounds": (_words(found.bounds), _words(model.bounds), _within(found, model)),
    }
    return [
        Fault(
            pointer=f"/inputs/{role}/facts/{pointer}/{fact}",
            detail=f"dataset {name!r} declares the input's {fact} as {its}, the model as {expected}"[:4000],
        )
        for fact, (its, expected, same) in pairs.items()
        if not same
    ]


def _words(bounds: Bounds) -> str:
    return f"{list(bounds.low)[:8]} to {list(bounds.high)[:8]}"


def _within(found: InputFacts, model: InputFacts) -> bool:
    """Whether every channel's bounds lie within the model's."""
    if found.shape != model.shape:
        return True  # said already, and bounds of another shape cannot be compared
    low, high = (
        [(values[at % len(values)], limits[at % len(limits)]) for at in range(model.channels)]
        for values, limits in ((found.bounds.low, model.bounds.low), (found.bounds.high, model.bounds.high))
    )
    return all(a >= b for a, b in low) and all(a <= b for a, b in high)


def _sound(path: Path, digest: str, what: str) -> Path:
    if not path.is_file() or digest_of_file(path) != digest:
        raise AnalysisError(
            "input-damaged",
            f"{what} was staged with other bytes than those that were inspected",
            remedy="Submit the analysis again; if it happens twice, the store is damaged.",
            permanent=False,
        )
    return path
