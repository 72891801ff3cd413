"""How many samples until two runs agree on the ten most important features, by our paired stream and by lime's?

For each model the smallest number of samples from which on the mean overlap of the ten features of largest absolute
coefficient, over all pairs of runs with seeds of their own, is at least 0.9. lime's stream is drawn by us, bit for bit
what lime 0.2.0.1 draws; both are fitted by the same weighted ridge.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.lime_networks import asked
from lamina import demo_text
from lamina.demo_networks import digits, train, tumours
from lamina.model_folder import packed
from workers.neighbourhoods.image import ImageSettings, image
from workers.neighbourhoods.table import table
from workers.neighbourhoods.table_background import TableSettings
from workers.neighbourhoods.text import text
from workers.neighbourhoods.text_samples import TextSettings
from workers.subject.huggingface import load, rewrite
from workers.surrogate.gram import Centred, moments
from workers.surrogate.neighbourhood import Floats, Neighbourhood, Predict
from workers.surrogate.ridge import on_all
from workers.surrogate.weights import kernel

Around = tuple[Neighbourhood, Predict]
TOP, ENOUGH, RUNS, EXAMPLES = 10, 0.9, 8, 4
LADDER = tuple(round(100 * 2 ** (step / 3)) for step in range(25))
"""From 100 to 25,600, three steps to a doubling."""
_ROWS = 256


def needed(around: Neighbourhood, predict: Predict, *, paired: bool) -> int | None:
    """The smallest step of the ladder from which on runs agree; None where the last is not enough."""
    tops = [_tops(around, predict, 1000 + run, paired=paired) for run in range(RUNS)]
    overlaps = [
        mean(len(one & other) / TOP for one, other in combinations([run[step] for run in tops], 2))
        for step in range(len(LADDER))
    ]
    late = [step for step, overlap in enumerate(overlaps) if overlap < ENOUGH]
    first = late[-1] + 1 if late else 0
    return LADDER[first] if first < len(LADDER) else None


def _tops(around: Neighbourhood, predict: Predict, seed: int, *, paired: bool) -> list[frozenset[int]]:
    """The features of largest coefficient after each step of the ladder."""
    drawn = around.stream(seed, paired).take(LADDER[-1])
    parts = [drawn.part(start, start + _ROWS) for start in range(0, len(drawn), _ROWS)]
    y: Floats = np.concatenate([predict(around.inputs(part)) for part in parts])
    z, y = drawn.z - drawn.z[0], y - y[0]
    weights = kernel(drawn.distances, around.kernel_width)
    found, sums, before = list[frozenset[int]](), np.zeros(()), 0
    for step in LADDER:
        part = slice(before, step)
        sums, before = sums + moments(z[part], y[part], weights[part]), step
        coefficients = on_all(Centred.of(sums[None], z.shape[1]), 1.0)[0, 0]
        found.append(frozenset(np.argsort(-np.abs(coefficients), kind="stable")[:TOP].tolist()))
    return found


def measure() -> list[dict[str, object]]:
    """A row for each model, as `benchmarks/results.json` keeps them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        return [
            _row(name, cases)
            for name, cases in (("digits", _digits()), ("tumours", _tumours()), ("sentences", _sentences()))
        ]
    finally:
        torch.set_num_threads(before)


def _digits() -> list[Around]:
    task = digits()
    network, inputs = train(task)[1].network, (torch.from_numpy(task.test_inputs[:EXAMPLES]),)
    case = asked(network, inputs, task.input, len(task.classes), 0, examples=EXAMPLES).case
    settings = ImageSettings(segmentation="grid", cells=8, fill="colour")
    return [(image(case, index, settings), case.at(index)) for index in range(EXAMPLES)]


def _tumours() -> list[Around]:
    task = tumours()
    network, inputs = train(task)[1].network, (torch.from_numpy(task.test_inputs),)
    case = asked(network, inputs, task.input, len(task.classes), 0, examples=EXAMPLES).case
    return [(table(case, index, TableSettings()), case.at(index)) for index in range(EXAMPLES)]


def _sentences() -> list[Around]:
    """Three sentences in a row, as many as the network reads."""
    with TemporaryDirectory() as folder:
        texts = demo_text.train(Path(folder))
        facts = texts.model_facts()
        packed(Path(folder), Path(folder) / "source.zip")
        rewrite(Path(folder) / "source.zip", Path(folder) / "canonical.hf", facts)
        loaded = load(Path(folder) / "canonical.hf")
    told = tuple(" ".join(text for text, _ in texts.test[at : at + 3]) for at in range(EXAMPLES))
    assert loaded.tokenizer is not None
    inputs = loaded.tokenizer.encode(told, demo_text.LENGTH)
    case = asked(loaded.model, inputs, facts.input, 2, 0, loaded.tokenizer, told, EXAMPLES).case
    return [(text(case, index, TextSettings()), case.at(index)) for index in range(EXAMPLES)]


def _row(name: str, cases: Sequence[Around]) -> dict[str, object]:
    mine = [needed(*case, paired=True) for case in cases]
    theirs = [needed(*case, paired=False) for case in cases]
    most, features = LADDER[-1], len(cases[0][0].names)
    ours, peer = ([each or most for each in found] for found in (mine, theirs))
    unmet = f"; not reached by {mine.count(None)} of ours and {theirs.count(None)} of lime's, counted as {most}"
    return {
        "name": f"lime/samples/{name}",
        "what": f"samples until the top {TOP} of {features} features overlap by {ENOUGH} over {RUNS} runs, mean of"
        f" {len(cases)} examples{unmet if None in (*mine, *theirs) else ''}",
        "value": mean(ours), "unit": "samples", "peer": "lime's stream", "peer_value": mean(peer),
        "ratio": mean(peer) / mean(ours), "floor_value": None, "floor_ratio": None, "runs": RUNS * len(cases),
        "spread": [min(ours), median(ours), max(ours)],
        "device": "cpu", "threads": 1,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }  # fmt: skip
