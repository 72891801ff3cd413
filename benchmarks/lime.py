"""How much faster is our LIME than lime 0.2.0.1, and how near to the forward passes alone?

Whole explanations of one example, one thread, float32, random weights. Segmentation, which both sides make, numbers of
samples, labels and features kept, and how these are chosen (lime's "auto") are the same; all else is as each has it by
default, ours with paired samples, standard errors, stability, held-out fit and other kernel widths. The floor is as
many rows in the same batches through the network, and nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO

import numpy as np
import torch
from lime.lime_base import LimeBase
from lime.lime_image import LimeImageExplainer
from lime.lime_tabular import LimeTabularExplainer
from lime.lime_text import LimeTextExplainer

from benchmarks.lime_networks import COLUMNS, LENGTH, WORDS, Asked, Splitter, pictures, table, text
from benchmarks.timing import compared
from workers.neighbourhoods.image import ImageSettings, image
from workers.neighbourhoods.segments import segments
from workers.neighbourhoods.table import table as around_row
from workers.neighbourhoods.table_background import TableBackground, TableSettings
from workers.neighbourhoods.text import text as around_text
from workers.neighbourhoods.text_samples import TextSettings
from workers.numerics.memory import keep_freed_pages
from workers.surrogate.explain import explain
from workers.surrogate.gram import Centred, moments
from workers.surrogate.neighbourhood import Floats, Neighbourhood
from workers.surrogate.selection import select
from workers.surrogate.settings import Settings

VERSIONS = {"lime": "0.2.0.1", "numpy": np.__version__}
ROUNDS, SEED, LABELS, FEATURES = 5, 7, 5, 10
IMAGE_SAMPLES, TEXT_SAMPLES = 1000, 5000
ROW_SAMPLES = (1000, 5000)
_ROWS = {64: 32, 224: 16}
"""Pictures in one forward pass, by their side: what fits into the caches."""


def measure() -> list[dict[str, object]]:
    """One row for each case, as `benchmarks/results.json` keeps them."""
    before = torch.get_num_threads()
    keep_freed_pages()  # as the child does in which an analysis runs; lime and the floor gain by it as well
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):  # lime draws a bar of its own
            warnings.simplefilter("ignore")  # of scikit-learn, about how lime calls it
            return [*(_image(side) for side in _ROWS), *(_row(samples) for samples in ROW_SAMPLES), _forward(), _text()]
    finally:
        torch.set_num_threads(before)


def _image(side: int) -> dict[str, object]:
    asked, batch = pictures(side, LABELS), _ROWS[side]
    parting = ImageSettings(segmentation="slic")
    parted = image(asked.case, 0, parting)
    settings = Settings(samples=IMAGE_SAMPLES, features=FEATURES, rows=batch)

    def ours() -> object:
        return explain(image(asked.case, 0, parting), asked.case.at(0), settings, SEED)

    def theirs() -> object:
        explainer = LimeImageExplainer(random_state=np.random.RandomState(SEED))
        picture = asked.raw[0].permute(1, 2, 0).double().numpy()
        return explainer.explain_instance(
            picture, lambda many: _probabilities(asked, torch.from_numpy(many).float().permute(0, 3, 1, 2)),
            top_labels=LABELS, num_samples=IMAGE_SAMPLES, num_features=FEATURES,
            segmentation_fn=lambda each: segments(each, parting).labels, random_seed=SEED,
        )  # fmt: skip

    what = (
        f"LIME of a picture of {side} x {side}, {len(parted.names)} segments, {IMAGE_SAMPLES} samples, {LABELS} labels"
    )
    return compared(
        f"lime/image{side}", what, ours=ours,
        peer=("lime LimeImageExplainer", theirs), floor=_floor(asked, parted, IMAGE_SAMPLES, batch), rounds=ROUNDS,
        versions=VERSIONS,
    )  # fmt: skip


def _row(samples: int) -> dict[str, object]:
    """The background is looked at once on both sides."""
    asked = table()
    settings = Settings(samples=samples, features=FEATURES, rows=samples)
    rows = asked.raw.double().numpy()
    background = TableBackground.of(asked.case, TableSettings())
    around = around_row(asked.case, 0, TableSettings(), background)
    explainer = LimeTabularExplainer(rows, random_state=np.random.RandomState(SEED))

    def ours() -> object:
        return explain(around_row(asked.case, 0, TableSettings(), background), asked.case.at(0), settings, SEED)

    def theirs() -> object:
        return explainer.explain_instance(
            rows[0], lambda many: _probabilities(asked, torch.from_numpy(many).float()), labels=(0,),
            num_features=FEATURES, num_samples=samples,
        )  # fmt: skip

    return compared(
        f"lime/tabular{samples}", f"LIME of a row of {COLUMNS} columns in quartiles, {samples} samples", ours=ours,
        peer=("lime LimeTabularExplainer", theirs), floor=_floor(asked, around, samples, samples), rounds=ROUNDS,
        versions=VERSIONS,
    )  # fmt: skip


def _forward() -> dict[str, object]:
    """Six features chosen one after the other."""
    draw = np.random.default_rng(SEED)
    z = draw.integers(0, 2, (ROW_SAMPLES[-1], COLUMNS)).astype(float)
    y = z @ draw.normal(size=COLUMNS) + draw.normal(size=len(z))
    weights = draw.random(len(z))
    base = LimeBase(lambda distances: distances)
    what = f"6 of {COLUMNS} features by forward selection, {len(z)} samples"
    peer = ("lime LimeBase.forward_selection", lambda: base.forward_selection(z, y, weights, 6))
    return compared(
        "lime/forward_selection", what, ours=lambda: _chosen(z, y, weights), peer=peer, floor=None, rounds=ROUNDS,
        versions=VERSIONS,
    )  # fmt: skip


def _chosen(z: Floats, y: Floats, weights: Floats) -> object:
    sums = Centred.of(moments(z - z[0], (y - y[0])[:, None], weights)[None], z.shape[1])
    return select(sums, z[0], "forward_selection", 6, len(z))


def _text() -> dict[str, object]:
    asked = text()
    settings = Settings(samples=TEXT_SAMPLES, features=FEATURES, rows=512)
    splitter = Splitter()

    def ours() -> object:
        return explain(around_text(asked.case, 0, TextSettings()), asked.case.at(0), settings, SEED)

    def theirs() -> object:
        explainer = LimeTextExplainer(random_state=np.random.RandomState(SEED))

        def probabilities(many: list[str]) -> Floats:
            with torch.no_grad():
                made: Floats = torch.softmax(asked.network(*splitter.encode(many, LENGTH)), 1).double().numpy()
            return made

        return explainer.explain_instance(
            asked.texts[0], probabilities, labels=(0,), num_features=FEATURES, num_samples=TEXT_SAMPLES
        )

    around = around_text(asked.case, 0, TextSettings())
    return compared(
        "lime/text", f"LIME of a text of {WORDS} words, {TEXT_SAMPLES} samples", ours=ours,
        peer=("lime LimeTextExplainer", theirs), floor=_floor(asked, around, TEXT_SAMPLES, 512), rounds=ROUNDS,
        versions=VERSIONS,
    )  # fmt: skip


def _probabilities(asked: Asked, many: torch.Tensor) -> Floats:
    made: Floats = asked.probabilities(many).double().numpy()
    return made


def _floor(asked: Asked, around: Neighbourhood, samples: int, batch: int) -> Callable[[], object]:
    """As many rows in the same batches through the network."""
    inputs = around.inputs(around.stream(SEED, paired=False).take(batch))

    def run() -> None:
        with torch.no_grad():
            for start in range(0, samples, batch):
                asked.network(*(each[: samples - start] for each in inputs))

    return run


if __name__ == "__main__":
    for row in measure():
        floor = f", {row['floor_ratio']:.2f}x the floor" if row["floor_ratio"] else ""
        print(f"{row['name']}: {row['ratio']:.1f}x lime{floor} ({row['what']})")
