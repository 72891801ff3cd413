"""How do the canonical files of a job become a Subject? Read, compared with one another, and put on the device."""

from collections.abc import Mapping
from pathlib import Path

import torch

from service.contracts.facts import Bounds, InputFacts, ModelFacts
from service.contracts.job import Analyse, StagedDataset
from service.contracts.problem import Fault
from workers.kind import AnalysisError
from workers.subject.digest import digest_of_file
from workers.subject.formats import FORMATS
from workers.subject.npz import read_dataset
from workers.subject.refusal import Refusal
from workers.subject.subject import Examples, Subject


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
    try:
        canonical = _sound(folder / job.model.file, job.model.digest, "the model")
        loaded = FORMATS[job.model.manifest.format].load(canonical, job.device)
    except Refusal as refusal:
        raise AnalysisError(refusal.code, refusal.detail, remedy=refusal.remedy) from refusal
    examples: dict[str, Examples] = {}
    for role, staged in job.inputs.items():
        path = _sound(folder / staged.file, staged.digest, f"the dataset in the role {role}")
        read = read_dataset(path, name=staged.name, digest=staged.digest)
        examples[role] = Examples(
            name=read.name,
            digest=read.digest,
            inputs=read.inputs.to(device, loaded.input.dtype),
            labels=None if read.labels is None else read.labels.to(device),
        )
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
    )


def disagreements(role: str, staged: StagedDataset, model: ModelFacts) -> list[Fault]:
    """Where a dataset's facts differ from those of the model: shape, raw unit, bounds, class names."""
    pairs: Mapping[str, tuple[object, object, bool]] = {
        "shape": (staged.facts.input.shape, model.input.shape, staged.facts.input.shape == model.input.shape),
        "layout": (staged.facts.input.layout, model.input.layout, staged.facts.input.layout == model.input.layout),
        "unit": (staged.facts.input.unit, model.input.unit, staged.facts.input.unit == model.input.unit),
        "bounds": (
            _words(staged.facts.input.bounds),
            _words(model.input.bounds),
            _within(staged.facts.input, model.input),
        ),
    }
    faults = [
        Fault(
            pointer=f"/inputs/{role}/facts/input/{name}",
            detail=f"dataset {staged.name!r} declares the input's {name} as {found}, the model as {expected}"[:4000],
        )
        for name, (found, expected, same) in pairs.items()
        if not same
    ]
    if staged.facts.classes and model.output.classes and staged.facts.classes != model.output.classes:
        faults.append(
            Fault(
                pointer=f"/inputs/{role}/facts/classes",
                detail=f"dataset {staged.name!r} names its classes otherwise, or in another order, than the model",
            )
        )
    return faults


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
