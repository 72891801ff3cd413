# ruff: noqa: T201  # an example prints what it found
"""How is a network audited from Python? Export it, hand it in with what it means, ask, wait, read.

    lamina up                              # in one terminal; then, once:  lamina principal trust operator
    python examples/submit_and_read.py     # in another: prints what each layer carries, writes report.html

The network is a small untrained one, so that this runs anywhere in seconds; put your own in its place.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lamina.client import Client
from lamina.export import export
from service.contracts.facts import Bounds, DatasetFacts, InputFacts, ModelFacts, OutputFacts, Preprocessing

CLASSES = ("reject", "accept")
FEATURES = ("age", "income", "debt", "years_employed")

# What no file says, and what every number of the report depends on: units, bounds, preprocessing, names.
APPLICANT = InputFacts(
    kind="table",
    layout="NF",
    shape=(4,),
    bounds=Bounds(low=(18.0, 0.0, 0.0, 0.0), high=(100.0, 500_000.0, 500_000.0, 60.0)),
    unit="years, euro, euro, years",
    preprocessing=Preprocessing(mean=(45.0, 40_000.0, 15_000.0, 10.0), std=(15.0, 20_000.0, 15_000.0, 8.0)),
    feature_names=FEATURES,
)


def network() -> nn.Module:
    """The network as it reads its input: after preprocessing, so (raw - mean) / std. Returns logits, (N, 2)."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))


def applicants(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples in raw units, (N, 4), and their labels, (N,)."""
    draws = np.random.default_rng(0)
    low, high = np.array(APPLICANT.bounds.low), np.array(APPLICANT.bounds.high)
    inputs = low + (high - low) * draws.random((count, 4))
    return inputs.astype(np.float32), draws.integers(0, 2, count)


def main(version: str = "1") -> None:
    """Audit it; another version continues the same history."""
    with tempfile.TemporaryDirectory() as folder, Client.from_home() as lamina:
        model_file, data_file = Path(folder, "credit.pt2"), Path(folder, "applicants.npz")
        export(network(), torch.zeros(2, 4), model_file)
        inputs, labels = applicants(64)
        np.savez(data_file, inputs=inputs, labels=labels)

        model = lamina.register_model(
            name="credit",
            version=version,
            blob=lamina.upload(model_file).digest,
            facts=ModelFacts(
                task="classification", input=APPLICANT, output=OutputFacts(kind="logits", classes=CLASSES)
            ),
        )
        dataset = lamina.register_dataset(
            name="applicants",
            version=version,
            blob=lamina.upload(data_file).digest,
            facts=DatasetFacts(input=APPLICANT, classes=CLASSES, example_names="applicant"),
        )
        audit = lamina.submit_audit(
            title=f"credit {version}",
            model=model.id,
            inputs={"evaluation": dataset.id},
            analyses={"layer_conductance": {"verify": 1}},
        )
        audit = lamina.wait(audit.id, on_progress=lambda view: print(f"{view.state} {view.progress:.0%}"))

        for analysis in audit.analyses:
            if analysis.reason is not None:
                sys.exit(f"{analysis.kind} {analysis.state}: {analysis.reason.detail} {analysis.reason.remedy or ''}")
        for point in lamina.measurements(audit=audit.id, metric="layer_absolute_total", order="asc"):
            print(
                f"{point.layer:12} {point.value:8.4f}  [{point.low:.4f}, {point.high:.4f}] {point.unit}, n = {point.n}"
            )
        Path("report.html").write_bytes(lamina.report(audit.id))
        print("report.html")


if __name__ == "__main__":
    main(*sys.argv[1:2])
