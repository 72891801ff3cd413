"""How is a group of analyses of one model run? Planned together, so that equal passes are made once; then one by one.

A member's failure becomes its own result: the others go on.
"""

import json
import sys
import traceback
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from pydantic import JsonValue, ValidationError

from service.contracts.job import Analyse, ArtifactFile, Failed, Member, Succeeded
from service.contracts.outcome import ControlRun, Finding
from service.contracts.provenance import Overlap, Provenance
from workers.answers import Line, answer, folder_of, invalid_parameters, reason_of
from workers.kind import AnalysisError, AnalysisKind, Cancelled, Computed, Context, Joint, Part, Quote, Request
from workers.machine import machine, most_resident_bytes, resident_bytes
from workers.numerics.determinism import NotFinite, deterministic, seed_for
from workers.numerics.memory import give_back_freed_pages
from workers.subject.data.overlap import overlaps, shared_examples
from workers.subject.staged import subject_of
from workers.subject.subject import Subject
from workers.tensorfile import save

Kinds = Mapping[str, AnalysisKind[Any, Any]]
_PLANNED, _COMPUTED, _CONTROLLED = 0.02, 0.85, 0.98
"""How far a member is, as a fraction, once it is planned, computed and controlled."""


def analyse(scratch: Path, job: Analyse, line: Line, kinds: Kinds) -> None:
    """Runs every member of a group on one model; equal passes are made once and shared."""
    group = _Group(scratch, job, line, kinds)
    with deterministic(job.threads):
        group.run()


@dataclass(slots=True, kw_only=True)
class _Planned:
    """A member that will run."""

    member: Member
    kind: AnalysisKind[Any, Any]
    parameters: Any
    context: Context
    quote: Quote
    parts: tuple[Part, ...]
    shared_with: int = 0

    @property
    def requests(self) -> set[Request]:
        return {request for part in self.parts for request in part.requests}

    def shares(self, other: "_Planned") -> bool:
        """Whether some pass is made once for both."""
        return bool(self.requests & other.requests or self.joint & other.joint)

    @property
    def joint(self) -> set[Hashable]:
        return {each.shares() for each in self.requests if isinstance(each, Joint)} - {None}


@dataclass(slots=True)
class _Group:
    """The members of one job: all planned first, so that it is known which passes they share, then run in turn."""

    scratch: Path
    job: Analyse
    line: Line
    kinds: Kinds
    passes: dict[Request, Any] = field(default_factory=dict)
    wanted: list[Request] = field(default_factory=list)
    overlaps: tuple[Overlap, ...] = ()
    at_start: int = field(default_factory=resident_bytes)

    def run(self) -> None:
        """Every member ends with one result message."""
        try:
            self.line.progress(0.0, "loading", member=self.job.members[0].id)
            subject = subject_of(self.job, self.scratch / "inputs")
            self.overlaps = overlaps(subject.examples)
        except Exception as error:  # noqa: BLE001  # every member must end with a result
            for member in self.job.members:
                self._failed(member, error)
            return
        planned = [plan for member in self.job.members if (plan := self._planned(member, subject)) is not None]
        self.wanted.extend(
            dict.fromkeys(request for plan in planned for part in plan.parts for request in part.requests)
        )
        for plan in planned:
            plan.shared_with = sum(plan.shares(other) for other in planned) - bool(plan.requests)
        for at, plan in enumerate(planned):
            self._compute(plan, subject)
            needed = set().union(*(later.requests for later in planned[at + 1 :]))
            self.wanted[:] = [request for request in self.wanted if request in needed]
            for request in set(self.passes) - needed:
                del self.passes[request]

    def _planned(self, member: Member, subject: Subject) -> _Planned | None:
        context = Context(
            digest=member.digest,
            device=self.job.device,
            threads=self.job.threads,
            memory_bytes=self.job.memory_bytes,
            report=self._report(member, 0.0, _PLANNED),
            cancelled=lambda: self._cancelled(member),
            passes=self.passes,
            wanted=self.wanted,
        )
        try:
            kind = self._kind(member)
            parameters = kind.parameters.model_validate_json(json.dumps(member.parameters))
            reasons = kind.applies(subject, parameters)
            if reasons:
                raise AnalysisError("not-applicable", "; ".join(reasons))
            torch.manual_seed(seed_for(member.digest, 0))
            context.progress(0.0, "planning")
            quote = kind.quote(subject, parameters, self.job.memory_bytes)
            parts = kind.plan(subject, parameters, context)
        except Cancelled:
            self._say(member, "cancelled")
        except ValidationError as error:
            self._write(member, Failed(reason=invalid_parameters(error)))
        except Exception as error:  # noqa: BLE001  # one member's fault must not end the others
            self._failed(member, error)
        else:
            return _Planned(member=member, kind=kind, parameters=parameters, context=context, quote=quote, parts=parts)
        return None

    def _kind(self, member: Member) -> AnalysisKind[Any, Any]:
        kind = self.kinds.get(member.kind)
        if kind is None:
            raise AnalysisError("unknown-kind", f"this worker has no analysis kind {member.kind!r}", permanent=False)
        if kind.version != member.kind_version:
            raise AnalysisError(
                "kind-version",
                f"version {member.kind_version} of {member.kind} was asked for; this worker has {kind.version}",
                remedy="Submit the analysis again.",
            )
        missing = [role for role in kind.roles if role not in self.job.inputs]
        if missing:
            raise AnalysisError(
                "missing-input", f"{member.kind} needs a dataset in the role {', '.join(missing)}", remedy="Name one."
            )
        missing = [role for role in kind.analysis_roles if role not in self.job.analyses]
        if missing:
            raise AnalysisError(
                "missing-input",
                f"{member.kind} needs an earlier analysis in the role {', '.join(missing)}",
                remedy="Name one.",
            )
        return kind

    def _compute(self, plan: _Planned, subject: Subject) -> None:
        member = plan.member
        started = perf_counter()
        try:
            torch.manual_seed(seed_for(member.digest, 0))
            computed = self._computed(plan, subject)
            outcome = computed.outcome
            section = plan.kind.section(outcome)
            result = Succeeded(
                kind=member.kind,
                kind_version=member.kind_version,
                outcome=outcome.model_dump(mode="json"),
                measurements=plan.kind.measurements(outcome),
                section=section,
                artifacts=self._artifacts(member, computed),
                provenance=self._provenance(plan, perf_counter() - started),
            )
        except Cancelled:
            self._say(member, "cancelled")
        except Exception as error:  # noqa: BLE001  # one member's fault must not end the others
            self._failed(member, error)
        else:
            self._write(member, result)

    def _computed(self, plan: _Planned, subject: Subject) -> Computed[Any]:
        """The parts, merged, with the controls run and what failed among them among the findings."""
        kind, context, parameters = plan.kind, plan.context, plan.parameters
        partials = []
        for at, part in enumerate(plan.parts):
            share = (_COMPUTED - _PLANNED) / len(plan.parts)
            context.report = self._report(plan.member, _PLANNED + at * share, _PLANNED + (at + 1) * share)
            give_back_freed_pages()  # what ran before had other sizes: what it freed would be added to what runs now
            partials.append(kind.compute(subject, part, parameters, context))
        computed = kind.merge(subject, parameters, partials, context)
        runs = []
        for at, control in enumerate(kind.controls):
            share = (_CONTROLLED - _COMPUTED) / len(kind.controls)
            context.report = self._report(plan.member, _COMPUTED + at * share, _COMPUTED + (at + 1) * share)
            context.progress(0.0, f"control: {control.name}")
            give_back_freed_pages()
            runs.append(control.run(subject, parameters, context))
        outcome = computed.outcome
        failed = (_control_failed(each) for each in runs if each.passed is False)
        outcome = outcome.model_copy(
            update={
                "controls": (*outcome.controls, *runs),
                "findings": (*outcome.findings, *failed, *shared_examples(self.overlaps)),
            }
        )
        return Computed(outcome=outcome, arrays=computed.arrays, pictures=computed.pictures)

    def _artifacts(self, member: Member, computed: Computed[Any]) -> tuple[ArtifactFile, ...]:
        folder = folder_of(self.scratch, member.id)
        files: list[ArtifactFile] = []
        if computed.arrays:
            arrays = {name: each.detach().cpu().contiguous() for name, each in computed.arrays.items()}
            for name, tensor in arrays.items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise NotFinite(name)
            save({name: each.numpy() for name, each in arrays.items()}, folder / "arrays.safetensors")
            files.append(
                ArtifactFile(
                    file="arrays.safetensors", media_type="application/vnd.safetensors", title="Values per example"
                )
            )
        for name, png in sorted(computed.pictures.items()):
            file = ArtifactFile(file=name, media_type="image/png", title=name.removesuffix(".png"))
            (folder / file.file).write_bytes(png)
            files.append(file)
        return tuple(files)

    def _provenance(self, plan: _Planned, seconds: float) -> Provenance:
        requests = [request.plan() for part in plan.parts for request in part.requests]
        parts: JsonValue = [dict(part.plan) for part in plan.parts]
        on_gpu = self.job.device != "cpu"
        return Provenance(
            analysis_digest=plan.member.digest,
            kind=plan.member.kind,
            kind_version=plan.member.kind_version,
            model_digest=self.job.model.digest,
            input_digests=self.job.input_digests,
            overlaps=self.overlaps,
            seed=f"{seed_for(plan.member.digest, 0):016x}",
            plan={
                "parts": parts,
                "passes": list(requests),
                "memory_bytes": self.job.memory_bytes,
                "batch": self.job.model.manifest.batch,
            },
            deterministic=torch.are_deterministic_algorithms_enabled(),
            machine=machine(self.job.device, self.job.threads),
            sandbox_level=self.job.sandbox_level,
            seconds=seconds,
            peak_bytes=torch.cuda.max_memory_allocated() if on_gpu else max(0, most_resident_bytes() - self.at_start),
            quoted_seconds=plan.quote.seconds,
            quoted_bytes=plan.quote.bytes,
            shared_with=plan.shared_with,
        )

    def _report(self, member: Member, low: float, high: float) -> Any:
        def report(fraction: float, stage: str) -> None:
            inside = min(max(fraction, 0.0), 1.0)
            self.line.progress(low + (high - low) * inside, stage, member=member.id)

        return report

    def _cancelled(self, member: Member) -> bool:
        """Whether all of the job is to stop, or this member: the worker leaves a file of its name in `cancel`."""
        return self.line.cancelled() or (self.scratch / "cancel" / member.id).exists()

    def _failed(self, member: Member, error: Exception) -> None:
        reason = reason_of(error)
        if reason.code == "internal":
            traceback.print_exception(error, file=sys.stderr)
        self._write(member, Failed(reason=reason))

    def _write(self, member: Member, result: Succeeded | Failed) -> None:
        answer(folder_of(self.scratch, member.id), result, self.line, member.id)

    def _say(self, member: Member, status: str) -> None:
        self.line.say({"type": "result", "member": member.id, "status": status})


def _control_failed(run: ControlRun) -> Finding:
    return Finding(
        code="control-failed",
        severity="failure",
        raised_if="a run whose right answer is known gave another",
        meaning=f"The control {run.name!r} failed, so the numbers of this analysis are not to be relied on.",
        advice="Do not use this analysis; report it with its id.",
        evidence=f"expected: {run.expected}; observed: {run.observed}"[:4000],
    )
