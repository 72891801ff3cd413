"""What does intake say of one file: a manifest and a canonical form, or a refusal?"""

from pathlib import Path

import torch

from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.manifest import DatasetManifest, ModelManifest
from workers.subject.declared import agrees, specs
from workers.subject.formats import told
from workers.subject.layers import inventory, random_inputs
from workers.subject.network import Loaded
from workers.subject.npz import rewrite_dataset
from workers.subject.refusal import Refusal, out_of_memory, without_paths


def inspect_model(source: Path, target: Path, facts: ModelFacts) -> ModelManifest:
    """Rewrites the model at `source` to `target`, loads that, compares it with `facts` and lists its layers.

    Raises Refusal.
    """
    form = told(source)
    made = form.rewrite(source, target, facts)
    loaded = form.load(target, "cpu")
    agrees(loaded, facts)
    notes = [*made.notes, *loaded.notes, *_observed(loaded, facts)]
    inputs, outputs = specs(loaded, facts)
    return ModelManifest(
        format=form.name,
        rewriter=made.rewriter,
        canonical_digest=made.digest,
        torch_version=made.torch_version,
        batch=loaded.batch,
        parameters=sum(parameter.numel() for parameter in loaded.model.parameters()),
        inputs=inputs,
        outputs=outputs,
        layers=inventory(loaded, facts),
        notes=tuple(note[:4000] for note in notes[:100]),
    )


def inspect_dataset(source: Path, target: Path, facts: DatasetFacts) -> DatasetManifest:
    """Checks the `.npz` at `source` and writes its canonical form to `target`. Raises Refusal."""
    return rewrite_dataset(source, target, facts)


def _observed(loaded: Loaded, facts: ModelFacts) -> list[str]:
    """What a reader of later numbers must know: a fixed batch, several outputs. Refuses NaN as output."""
    rows = loaded.batch or 2
    with torch.no_grad():
        given = random_inputs(loaded, facts, rows)
        try:
            output = loaded.model(*given)
        except Exception as error:
            if out_of_memory(error):
                raise
            shapes = " and ".join(str(list(each.shape)) for each in given)
            raise Refusal(
                "does-not-run",
                f"a forward pass of {shapes} fails with {type(error).__name__}: {without_paths(str(error))[:2000]}",
                "Export the model again and run the loaded program once yourself before sending it.",
            ) from error
    if not bool(torch.isfinite(output).all()):
        raise Refusal(
            "output-not-finite",
            "the output for random inputs within the declared bounds holds NaN or infinity",
            "Check the declared bounds and preprocessing, and the weights.",
        )
    notes = []
    if loaded.batch is not None:
        notes.append(f"exported with a fixed batch of {loaded.batch}: every pass is padded to {loaded.batch} rows")
    if len(loaded.outputs) > 1:
        notes.append(f"of {len(loaded.outputs)} output tensors, output {loaded.chosen} is analysed")
    return notes
