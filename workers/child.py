"""What runs inside the sandbox? One job: read its files, compute, write results, say so on the line.

Pure but for its scratch folder, so tests call it directly.
"""

from pathlib import Path

import torch

from service.contracts.job import JOB, Analyse, Failed, InspectDataset, Inspected, InspectModel, Refused
from workers.answers import Line, answer, discard, folder_of, reason_of
from workers.group import analyse
from workers.numerics.determinism import deterministic
from workers.subject.inspection import inspect_dataset, inspect_model
from workers.subject.refusal import Refusal


def run(scratch: Path, line: Line) -> None:
    """Does the job described by `scratch/job.json`; the entry the sandbox calls."""
    job = JOB.validate_json((scratch / "job.json").read_bytes())
    if isinstance(job, Analyse):
        from workers.analyses import KINDS

        analyse(scratch, job, line, KINDS)
    else:
        inspect(scratch, job, line)


def inspect(scratch: Path, job: InspectModel | InspectDataset, line: Line) -> None:
    """Reads `scratch/inputs/source`; writes the canonical form and the manifest, or why it is refused."""
    folder = folder_of(scratch, job.member)
    source = scratch / "inputs" / "source"
    line.progress(0.0, "inspecting", member=job.member)
    result: Inspected | Refused | Failed
    try:
        with deterministic(torch.get_num_threads()):
            if isinstance(job, InspectModel):
                name = "canonical.pt2"
                model = inspect_model(source, folder / name, job.facts)
                result = Inspected(manifest=model, canonical=name)
            else:
                name = "canonical.safetensors"
                result = Inspected(manifest=inspect_dataset(source, folder / name, job.facts), canonical=name)
    except Refusal as refusal:
        discard(folder / name)
        result = Refused(reason=refusal.reason())
    except Exception as error:  # noqa: BLE001  # whatever a hostile file raises must become its result
        discard(folder / name)
        result = Failed(reason=reason_of(error))
    answer(folder, result, line, job.member)
