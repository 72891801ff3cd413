"""Kinds of analysis small enough to check by hand, for tests of what runs them."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, JsonValue

from service.contracts.base import Parameters
from service.contracts.outcome import ControlRun, Measurement, Outcome
from service.contracts.section import Section
from workers.kind import (
    AnalysisError,
    AnalysisKind,
    Computed,
    Context,
    Control,
    Part,
    Partial,
    Quote,
    Registry,
)
from workers.subject.subject import Subject

PNG = b"\x89PNG\r\n\x1a\n"


class MeanParameters(Parameters):
    """What the mean is taken of."""

    scale: float = Field(1.0, gt=0, le=10, description="Factor on the mean.")
    do: str = Field("succeed", description="How it behaves.")


class MeanOutcome(Outcome):
    """The mean output."""

    mean: float


@dataclass(frozen=True, slots=True)
class Forward:
    """One forward pass of the evaluation examples."""

    role: str

    def plan(self) -> dict[str, JsonValue]:
        return {"pass": "forward", "role": self.role}

    def make(self, subject: Subject, context: Context) -> Any:
        MADE.append(self.role)
        with torch.no_grad():
            return subject.model(subject.prepared(subject.examples[self.role].inputs))


MADE: list[str] = []
"""Every pass made since the test cleared it."""


def _applies(subject: Subject, parameters: MeanParameters) -> tuple[str, ...]:
    return ("the moon is wrong", "and so is the tide") if parameters.do == "not apply" else ()


def _plan(subject: Subject, parameters: MeanParameters, context: Context) -> tuple[Part, ...]:
    if parameters.do == "fail to plan":
        raise AnalysisError("no-plan", "there is no plan", remedy="make one", permanent=False)
    return tuple(Part(index=at, requests=(Forward("evaluation"),), plan={"part": at}) for at in range(2))


def _compute(subject: Subject, part: Part, parameters: MeanParameters, context: Context) -> Partial:
    context.progress(0.5, "computing")
    if parameters.do == "raise":
        raise RuntimeError("broken at /home/somebody/secret/file.py")
    if parameters.do == "exhaust":
        raise MemoryError
    if parameters.do == "exhaust torch":
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
    output = context.run(part.requests[0], subject)
    return Partial(values={}, arrays={"output": output})


def _merge(subject: Subject, parameters: MeanParameters, parts: Any, context: Context) -> Computed[MeanOutcome]:
    output = torch.stack([part.arrays["output"] for part in parts]).mean(0)
    if parameters.do == "give NaN":
        output = output * float("nan")
        return Computed(outcome=MeanOutcome(mean=0.0), arrays={"output": output})
    pictures = {"mean.png": PNG}
    return Computed(
        outcome=MeanOutcome(mean=parameters.scale * float(output.mean())), arrays={"output": output}, pictures=pictures
    )


def _control(subject: Subject, parameters: MeanParameters, context: Context) -> ControlRun:
    context.progress(0.5, "control")
    passed = parameters.do != "fail its control"
    return ControlRun(name="zero", question="Is it zero?", expected="0", observed="0" if passed else "1", passed=passed)


def _section(outcome: MeanOutcome) -> Section:
    return Section(
        title="Mean", question="What is the mean output?", answer=f"{outcome.mean}", blocks=(),
        controls=outcome.controls, findings=outcome.findings, source="a test",
    )  # fmt: skip


def _measurements(outcome: MeanOutcome) -> tuple[Measurement, ...]:
    return (Measurement(metric="layer_total", value=outcome.mean, n=1),)


MEAN: AnalysisKind[MeanParameters, MeanOutcome] = AnalysisKind(
    name="mean_output", version=3, family="test", title="Mean output", question="What is the mean output?",
    source="a test", queue="cpu", roles=("evaluation",), metrics=("layer_total",), parameters=MeanParameters,
    outcome=MeanOutcome, applies=_applies, quote=lambda subject, parameters, budget: Quote(seconds=1.0, bytes=4096),
    plan=_plan, compute=_compute, merge=_merge,
    controls=(Control(name="zero", question="Is it zero?", run=_control),),
    section=_section, measurements=_measurements,
)  # fmt: skip

KINDS = Registry(MEAN)
