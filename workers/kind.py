"""What is one kind of analysis? The extension point: a new kind is one file and one line in the registry."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import JsonValue
from torch import Tensor

from service.contracts.base import Parameters
from service.contracts.outcome import ControlRun, Measurement, Outcome
from service.contracts.section import Section
from workers.numerics.determinism import NotFinite
from workers.subject.refusal import out_of_memory
from workers.subject.subject import Subject
from workers.sweep.refusals import SweepRefused

P = TypeVar("P", bound=Parameters)
O = TypeVar("O", bound=Outcome)  # noqa: E741  # P and O, as in the design: parameters and outcome


class AnalysisError(Exception):
    """An analysis that cannot be done: what failed, what to do, and whether trying again can help."""

    def __init__(self, code: str, detail: str, *, remedy: str | None = None, permanent: bool = True) -> None:
        super().__init__(detail)
        self.code, self.detail, self.remedy, self.permanent = code, detail, remedy, permanent


class Cancelled(Exception):  # an answer to a request, not an error
    """Raised at a chunk end once the asker has cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What an analysis will take: an estimate of seconds, a bound on resident bytes above the freshly forked child."""

    seconds: float
    bytes: int


class Request(Protocol):
    """A pass an engine can make, as a hashable value; equal requests of a group are made once."""

    def plan(self) -> dict[str, JsonValue]:
        """The plan as provenance keeps it."""

    def make(self, subject: Subject, context: "Context") -> Any:
        """Make the pass."""


@runtime_checkable
class Joint(Request, Protocol):
    """A pass that may be made in one go with others."""

    def shares(self) -> Hashable | None:
        """What passes must have in common to be made in one go; None where this one is on its own."""

    def together(self, others: "Sequence[Request]", subject: Subject, context: "Context") -> "Mapping[Request, Any]":
        """This pass and those of `others`, whose `shares` are equal, that fit into memory with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A share of an analysis that can run on its own. Until an issue needs more, every analysis is one part."""

    index: int
    requests: tuple[Request, ...]
    plan: dict[str, JsonValue]


@dataclass(slots=True, kw_only=True)
class Context:
    """What a computation is given: seed, device, budget, a line to report on, and passes shared with its group.

    passes: those made so far. wanted: all that the group's members have planned.
    """

    digest: str
    device: str
    threads: int
    memory_bytes: int
    report: Callable[[float, str], None]
    cancelled: Callable[[], bool]
    passes: dict[Request, Any] = field(default_factory=dict)
    wanted: list[Request] = field(default_factory=list)
    shared: int = 0

    def progress(self, fraction: float, stage: str) -> None:
        """Say how far it is, and stop here if the asker has cancelled."""
        self.report(fraction, stage)
        if self.cancelled():
            raise Cancelled

    def run(self, request: Request, subject: Subject) -> Any:
        """The result of a pass; made now unless this group has already made it, with those it can be made with."""
        if request in self.passes:
            self.shared += 1
        else:
            self.passes.update(self._made(request, subject))
        return self.passes[request]

    def _made(self, request: Request, subject: Subject) -> Mapping[Request, Any]:
        company = self._company(request)
        if company and isinstance(request, Joint):
            try:
                return request.together(company, subject, self)
            except Exception as error:
                if not _of_one_alone(error):
                    raise
        return {request: request.make(subject, self)}

    def _company(self, request: Request) -> list[Request]:
        """The passes this group still wants that can be made with `request`."""
        key = request.shares() if isinstance(request, Joint) else None
        return [
            other
            for other in self.wanted
            if key is not None and other != request and other not in self.passes
            and isinstance(other, Joint) and other.shares() == key
        ]  # fmt: skip


def _of_one_alone(error: Exception) -> bool:
    """Whether a pass in company may have failed for another member's reasons: alone it will show whose they are.

    Anything else is a fault of ours, which a second try would only hide.
    """
    return isinstance(error, AnalysisError | SweepRefused | NotFinite) or out_of_memory(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What one part gives: JSON and tensors, never objects."""

    values: dict[str, JsonValue]
    arrays: dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Generic[O]):
    """A whole analysis: its outcome, the per-example arrays behind it, and pictures (name.png to bytes)."""

    outcome: O
    arrays: dict[str, Tensor]
    pictures: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control(Generic[P]):
    """A run whose right answer is known beforehand."""

    name: str
    question: str
    run: Callable[[Subject, P, Context], ControlRun]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisKind(Generic[P, O]):
    """One question we can ask of a model."""

    name: str
    version: int
    family: str
    title: str
    question: str
    source: str
    queue: Literal["cpu", "gpu"]
    roles: tuple[str, ...]
    metrics: tuple[str, ...]
    parameters: type[P]
    outcome: type[O]
    applies: Callable[[Subject, P], tuple[str, ...]]
    quote: Callable[[Subject, P, int], Quote]
    plan: Callable[[Subject, P, Context], tuple[Part, ...]]
    compute: Callable[[Subject, Part, P, Context], Partial]
    merge: Callable[[Subject, P, Sequence[Partial], Context], Computed[O]]
    controls: tuple[Control[P], ...]
    section: Callable[[O], Section]
    measurements: Callable[[O], tuple[Measurement, ...]]
    page: str = ""
    """Its page of the documentation, where that is written from the kind itself."""
    optional_roles: tuple[str, ...] = ()
    """Of datasets that it uses where an audit has them: they are part of what identifies the analysis."""
    analysis_roles: tuple[str, ...] = ()
    """Of earlier analyses that it needs."""

    def entry(self) -> dict[str, JsonValue]:
        """This kind's entry in the catalogue."""
        return {
            "version": self.version,
            "family": self.family,
            "title": self.title,
            "question": self.question,
            "source": self.source,
            "queue": self.queue,
            "roles": list(self.roles),
            "optional_roles": list(self.optional_roles),
            "analysis_roles": list(self.analysis_roles),
            "metrics": list(self.metrics),
            "controls": [control.name for control in self.controls],
            "parameters": self.parameters.model_json_schema(),
            "outcome": self.outcome.model_json_schema(mode="serialization"),
        }


class Registry(Mapping[str, AnalysisKind[Any, Any]]):
    """The kinds, by name, in the order the documentation shows them; a duplicate name raises at import."""

    def __init__(self, *kinds: AnalysisKind[Any, Any]) -> None:
        self._kinds: dict[str, AnalysisKind[Any, Any]] = {}
        for kind in kinds:
            if kind.name in self._kinds:
                raise ValueError(f"two analysis kinds are called {kind.name!r}")
            self._kinds[kind.name] = kind

    def __getitem__(self, name: str) -> AnalysisKind[Any, Any]:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)
