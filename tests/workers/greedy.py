"""A kind of analysis that meets whichever bound it is told to."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from service.contracts.base import Parameters
from service.contracts.facts import ModelFacts
from service.contracts.manifest import ModelManifest
from service.contracts.outcome import Measurement, Outcome
from service.contracts.section import Section
from workers.kind import AnalysisKind, Computed, Context, Part, Partial, Quote
from workers.subject.inspection import inspect_model
from workers.subject.subject import Subject

MEBIBYTE = 1 << 20


class GreedyParameters(Parameters):
    """Which bound."""

    do: str = Field("nothing", description="What it takes too much of.")
    tag: int = Field(0, description="Tells two of them apart.")


class GreedyOutcome(Outcome):
    """The mean output, where nothing ran out."""

    mean: float


def _allocate() -> None:
    torch.empty(1 << 40)


def _swell() -> None:
    """In pieces below what the address space refuses at once, each filled."""
    kept = [torch.ones(MEBIBYTE) for _ in range(4)]
    while True:
        kept.append(torch.ones(MEBIBYTE * 2))
        time.sleep(0.005)


def _spin() -> None:
    while True:
        pass


def _sleep() -> None:
    time.sleep(600)


def _big_file() -> None:
    with Path("results/big").open("wb") as file:
        while True:
            file.write(bytes(MEBIBYTE))


def _many_files() -> None:
    for index in range(10_000_000):
        Path(f"results/{index}").touch()


def _full_disk() -> None:
    for index in range(10_000):
        Path(f"results/{index}").write_bytes(bytes(MEBIBYTE))


def _descriptors() -> None:
    kept = []
    while True:
        kept.append(os.dup(1))


def _threads() -> None:
    while True:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


WAYS = {
    "nothing": lambda: None,
    "allocate": _allocate,
    "swell": _swell,
    "spin": _spin,
    "sleep": _sleep,
    "big file": _big_file,
    "many files": _many_files,
    "full disk": _full_disk,
    "descriptors": _descriptors,
    "threads": _threads,
}


def _compute(subject: Subject, part: Part, parameters: GreedyParameters, context: Context) -> Partial:
    WAYS[parameters.do]()
    given = subject.examples["evaluation"].inputs
    with torch.no_grad():
        return Partial(values={}, arrays={"output": subject.model(subject.prepared(given))})


def _merge(subject: Subject, parameters: GreedyParameters, parts: Any, context: Context) -> Computed[GreedyOutcome]:
    return Computed(outcome=GreedyOutcome(mean=float(parts[0].arrays["output"].mean())), arrays={})


def inspect_greedily(source: Path, target: Path, facts: ModelFacts, **given: Any) -> ModelManifest:
    """The real inspection, after what the role of the model names."""
    WAYS[facts.role or "nothing"]()
    return inspect_model(source, target, facts, **given)


def _section(outcome: GreedyOutcome) -> Section:
    return Section(title="Mean", question="?", answer=f"{outcome.mean}", blocks=(), source="a test")


def _measurements(outcome: GreedyOutcome) -> tuple[Measurement, ...]:
    return (Measurement(metric="layer_total", value=outcome.mean, n=1),)


GREEDY: AnalysisKind[GreedyParameters, GreedyOutcome] = AnalysisKind(
    name="greedy", version=1, family="test", title="Greedy", question="What runs out?", source="a test", queue="cpu",
    roles=("evaluation",), metrics=("layer_total",), parameters=GreedyParameters, outcome=GreedyOutcome,
    applies=lambda subject, parameters: (), quote=lambda subject, parameters, budget: Quote(seconds=1.0, bytes=4096),
    plan=lambda subject, parameters, context: (Part(index=0, requests=(), plan={}),), compute=_compute, merge=_merge,
    controls=(), section=_section, measurements=_measurements,
)  # fmt: skip
