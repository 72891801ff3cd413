"""What does intake say of one file: a manifest and a canonical form, or a refusal?"""

from pathlib import Path

from service.contracts.facts import DatasetFacts, ModelFacts
from service.contracts.manifest import DatasetManifest, ModelManifest
from workers.subject.data.dataset import rewrite_dataset
from workers.subject.declared import agrees, specs
from workers.subject.exits import exits
from workers.subject.formats import told
from workers.subject.layers import inventory
from workers.subject.network import Loaded
from workers.subject.notices import Examined, notices
from workers.subject.trial import tried


def inspect_model(source: Path, target: Path, facts: ModelFacts) -> ModelManifest:
    """Rewrites the model at `source` to `target`, loads that, compares it with `facts` and lists its layers.

    Raises Refusal.
    """
    form = told(source)
    made = form.rewrite(source, target, facts)
    loaded = form.load(target, "cpu")
    agrees(loaded, facts)
    trial = tried(loaded, facts)
    found = inventory(loaded, facts, trial.pair(), trial.flops)
    examined = Examined(loaded=loaded, facts=facts, trial=trial, refused=found.refused)
    notes = [*made.notes, *loaded.notes, *_chosen(loaded)]
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
        layers=found.layers,
        notes=tuple(note[:4000] for note in notes[:100]),
        warnings=notices(examined)[:100],
        analysed=min(loaded.chosen, 63),
        black_box=loaded.black_box,
        flops=None if trial.flops is None else trial.flops.total,
        rehydrated=loaded.rehydrated,
        exits=exits(loaded.model, trial.inputs, loaded.batch or 1)[:64],
        tokenizer=None if loaded.tokenizer is None else loaded.tokenizer.name[:256],
    )


def inspect_dataset(source: Path, target: Path, facts: DatasetFacts) -> DatasetManifest:
    """Reads the file at `source`, of any format, and writes its canonical form to `target`. Raises Refusal."""
    return rewrite_dataset(source, target, facts)


def _chosen(loaded: Loaded) -> list[str]:
    if len(loaded.outputs) == 1:
        return []
    return [f"of {len(loaded.outputs)} output tensors, output {loaded.chosen} is analysed"]
