"""How are two analyses compared? From what they kept per example; the model is not run again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor

from service.contracts.outcome import NotApplicable
from workers.comparison import measures
from workers.comparison.findings import findings
from workers.comparison.outcome import CompareOutcome, CompareParameters, Estimated, Form, Kept, Shifted, Side
from workers.kind import AnalysisError, Computed, Context, Part, Partial, Quote
from workers.numerics.determinism import seed_for
from workers.numerics.intervals import Interval, bootstrap
from workers.subject.subject import Earlier, Subject

BEFORE, AFTER = "before", "after"
CONFIDENCE = "probability of what was predicted"
_MOST_SCORES = 40
_SMALLEST = 1e-12
_BYTES = 96 << 20


def applies(subject: Subject, parameters: CompareParameters) -> tuple[str, ...]:  # noqa: ARG001  # the kind's shape
    """Why the two cannot be compared; empty where they can."""
    sides = [subject.earlier.get(role) for role in (BEFORE, AFTER)]
    before, after = sides
    if before is None or after is None:
        return ("two earlier analyses are needed, in the roles before and after",)
    first, second = before.staged, after.staged
    if (first.kind, first.kind_version) != (second.kind, second.kind_version):
        one, other = (f"{each.kind} {each.kind_version}" for each in (first, second))
        return (f"one is {one} and the other {other}; only the same question, asked alike, can be compared",)
    if first.parameters_digest != second.parameters_digest:
        return ("they were asked with other parameters; a difference could be theirs alone",)
    if _form(before) is None or _form(after) is None:
        return (f"{first.kind} keeps nothing per example that is compared here; attributions and accuracy do",)
    if _form(before) == "attribution" and first.datasets != second.datasets:
        return ("the attributions are of other data, so their examples do not pair",)
    return ()


def quote(subject: Subject, parameters: CompareParameters, memory_bytes: int) -> Quote:  # noqa: ARG001  # as above
    """Above the freshly forked child: the arrays, twice, and a second or two."""
    held = sum(
        array.numel() * array.element_size() for each in subject.earlier.values() for array in each.arrays.values()
    )
    return Quote(seconds=1.0 + held / 50e6, bytes=_BYTES + 3 * held)


def parts(subject: Subject, parameters: CompareParameters, context: Context) -> tuple[Part, ...]:
    """One part without a pass: nothing is run."""
    reasons = applies(subject, parameters)
    if reasons:
        raise AnalysisError("not-applicable", "; ".join(reasons))
    plan: dict[str, JsonValue] = {"threads": context.threads, "device": str(subject.device)}
    return (Part(index=0, requests=(), plan=plan),)


def compute(
    subject: Subject,  # noqa: ARG001
    part: Part,  # noqa: ARG001  # the kind's shape
    parameters: CompareParameters,  # noqa: ARG001
    context: Context,
) -> Partial:
    """Nothing beyond what is staged."""
    context.progress(0.0, "comparing")
    return Partial(values={}, arrays={})


def merge(
    subject: Subject,
    parameters: CompareParameters,
    partials: Sequence[Partial],  # noqa: ARG001  # the kind's shape
    context: Context,
) -> Computed[CompareOutcome]:
    """The outcome. Raises AnalysisError where no example pairs and nothing else can be said."""
    before, after = subject.earlier[BEFORE], subject.earlier[AFTER]
    seed = seed_for(context.digest, 0)
    made = _attributions(subject, before, after, seed) if _form(before) == "attribution" else _answers(
        subject, before, after, parameters, seed
    )  # fmt: skip
    outcome = CompareOutcome.model_validate(
        {
            "form": _form(before),
            "compared": before.staged.kind,
            "before": _side(before),
            "after": _side(after),
            "alarm": parameters.alarm,
            "margin": parameters.margin,
            "ndcg": None,
            "difference": None,
            **made,
        }
    )
    arrays = _kept(before, after)
    return Computed(outcome=outcome.model_copy(update={"findings": findings(outcome)}), arrays=arrays)


def _kept(before: Earlier, after: Earlier) -> dict[str, Tensor]:
    """Per example of both: its places in the two analyses and whether each was right; or how its ranking was kept."""
    if _form(before) == "attribution":
        names = _common(before, after)[0]
        found = _by_example(before, after, names) if len(names) > 1 else []
        return {"ndcg": torch.tensor([-1.0 if each is None else each for each in found], dtype=torch.float64)}
    rows = _pairs(before, after)
    made: dict[str, Tensor] = {}
    for role, each, own in zip((BEFORE, AFTER), (before, after), rows, strict=True):
        right = (each.arrays["predicted"] == each.arrays["label"])[torch.from_numpy(own)]
        made |= {f"place_{role}": torch.from_numpy(own), f"right_{role}": right.to(torch.uint8)}
    return made


def _form(of: Earlier) -> Form | None:
    if "predicted" in of.arrays and "label" in of.arrays:
        return "accuracy"
    return "attribution" if any(name.startswith("absolute/") for name in of.arrays) else None


def _side(of: Earlier) -> Side:
    return Side(
        analysis=of.staged.analysis,
        model_name=of.staged.model_name,
        model_version=of.staged.model_version,
        model_digest=of.staged.model_digest,
        examples=_length(of),
    )


def _length(of: Earlier) -> int:
    key = "label" if "label" in of.arrays else next(name for name in sorted(of.arrays) if name.startswith("absolute/"))
    return len(of.arrays[key])


# --- attributions


_UNITS = (
    "Units are matched by their place: where a later version was trained anew, unit 3 need not be the same unit. Layers"
    " within an example are matched by name, and are the same."
)


def _attributions(subject: Subject, before: Earlier, after: Earlier, seed: int) -> dict[str, object]:
    names, missing = _common(before, after)
    known = {layer.name for layer in subject.manifest.layers}
    kept = []
    for name in names:
        layer = _units(before, after, name)
        if isinstance(layer, str):
            missing.append(NotApplicable(subject=name, because=layer))
        elif name.partition("@")[0] not in known:
            missing.append(NotApplicable(subject=name, because="the model of this audit has no such layer"))
        else:
            earlier, later = layer
            found = measures.ndcg(earlier, later)
            if found is None:
                missing.append(NotApplicable(subject=name, because="nothing was attributed to its units before"))
            else:
                chance = measures.by_chance(earlier)
                kept.append(Kept(layer=name, ndcg=found, chance=chance, units=len(earlier)))
    of_layers = _of_layers(before, after, names, seed)
    if not kept and of_layers is None:
        raise AnalysisError(
            "not-applicable",
            "the two have no layer or input in common whose ranking could be compared",
            remedy="Compare versions of one architecture.",
        )
    return {
        "pairs": min(_length(before), _length(after)),
        "layers": tuple(kept),
        "ndcg": of_layers,
        "not_applicable": tuple(missing),
        "notes": (_UNITS,),
    }


def _common(before: Earlier, after: Earlier) -> tuple[list[str], list[NotApplicable]]:
    sides = [
        {name.partition("/")[2] for name in each.arrays if name.startswith("absolute/")} for each in (before, after)
    ]
    only = sorted(sides[0] ^ sides[1])
    because = "one of the two versions does not have it"
    return sorted(sides[0] & sides[1]), [NotApplicable(subject=name, because=because) for name in only]


def _units(before: Earlier, after: Earlier, name: str) -> tuple[measures.Floats, measures.Floats] | str:
    key = f"unit_absolute_mean/{name}"
    if key not in before.arrays or key not in after.arrays:
        return "its units were not kept"
    earlier, later = (np.abs(each.arrays[key].double().numpy()).reshape(-1) for each in (before, after))
    if earlier.shape != later.shape:
        return f"it has {len(earlier)} units in one version and {len(later)} in the other"
    return (earlier, later) if len(earlier) > 1 else "it has one unit, which is always first"


def _of_layers(before: Earlier, after: Earlier, names: Sequence[str], seed: int) -> Estimated | None:
    """How much of each example's ranking of layers is kept."""
    found = _by_example(before, after, names) if len(names) > 1 else []
    values = np.array([each for each in found if each is not None])
    return None if len(values) == 0 else _estimated(bootstrap(values, seed))


def _by_example(before: Earlier, after: Earlier, names: Sequence[str]) -> list[float | None]:
    both = (before, after)
    sides = [np.stack([each.arrays[f"absolute/{name}"].double().numpy() for name in names], 1) for each in both]
    n = min(len(sides[0]), len(sides[1]))
    return [measures.ndcg(np.abs(one), np.abs(other)) for one, other in zip(sides[0][:n], sides[1][:n], strict=True)]


# --- answers


def _answers(
    subject: Subject, before: Earlier, after: Earlier, parameters: CompareParameters, seed: int
) -> dict[str, object]:
    missing: list[NotApplicable] = []
    rows = _pairs(before, after)
    made: dict[str, object] = {"pairs": len(rows[0])}
    if len(rows[0]) < 2:
        missing.append(NotApplicable(subject="accuracy in pairs", because="fewer than two examples stand in both"))
    else:
        right = [
            (each.arrays["predicted"].numpy() == each.arrays["label"].numpy())[own]
            for each, own in zip((before, after), rows, strict=True)
        ]
        found = measures.paired(right[0], right[1])
        losses = [
            -np.log(np.maximum(each.arrays["probability_of_label"].double().numpy()[own], _SMALLEST))
            for each, own in zip((before, after), rows, strict=True)
        ]
        made |= {
            "difference": _estimated(found.difference),
            "gained": found.gained,
            "lost": found.lost,
            "p": found.p,
            "loss_difference": _estimated(bootstrap(losses[1] - losses[0], seed)),
        }
    shifts, unshifted = _shifts(subject, before, after, parameters.bins)
    return made | {"shifts": shifts, "not_applicable": (*missing, *unshifted), "notes": (_SHIFT_NOTE,)}


_SHIFT_NOTE = (
    "The critical value is for two independent samples, and for all scores together (Bonferroni). Where both versions"
    " answered the same examples, chance moves less, so it is on the safe side. The usual limits of 0.1 and 0.25 are"
    " convention and take no account of how many examples there are."
)


def _pairs(before: Earlier, after: Earlier) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the examples that both saw: in order where the data are the same, else by their content."""
    n, m = _length(before), _length(after)
    if before.staged.datasets == after.staged.datasets:
        both = np.arange(min(n, m))
        return both, both
    place = {bytes(row): at for at, row in enumerate(before.arrays["content"].numpy()) if row.any()}
    pairs = [(place[bytes(row)], at) for at, row in enumerate(after.arrays["content"].numpy()) if bytes(row) in place]
    if not pairs:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    first, second = zip(*pairs, strict=True)
    return np.array(first, dtype=np.int64), np.array(second, dtype=np.int64)


def _shifts(
    subject: Subject, before: Earlier, after: Earlier, bins: int
) -> tuple[tuple[Shifted, ...], list[NotApplicable]]:
    given = [each.arrays["probability"].double().numpy() for each in (before, after)]
    missing = []
    scores = {CONFIDENCE: (given[0].max(axis=1), given[1].max(axis=1))}
    classes = given[0].shape[1]
    if given[1].shape[1] != classes:
        missing.append(NotApplicable(subject="shift by class", because="the versions have other numbers of classes"))
    elif classes > _MOST_SCORES:
        because = f"there are {classes} classes; shifts are told by class for up to {_MOST_SCORES}"
        missing.append(NotApplicable(subject="shift by class", because=because))
    else:
        names = subject.facts.output.classes
        for at in range(classes):
            name = names[at] if at < len(names) else f"number {at}"
            scores[name] = (given[0][:, at], given[1][:, at])
    made = []
    for name, (one, other) in scores.items():
        found = measures.shift(one, other, bins, len(scores))
        if found is None:
            missing.append(NotApplicable(subject=f"shift of {name}", because="it had one value only before"))
        else:
            made.append(
                Shifted(
                    score=name,
                    index=found.index,
                    critical=found.critical,
                    ratio=found.ratio,
                    n=found.n,
                    m=found.m,
                )
            )
    return tuple(made), missing


def _estimated(of: Interval) -> Estimated:
    low, high = of.low, of.high
    if low is not None and high is not None:
        low, high = min(low, of.value), max(high, of.value)
    return Estimated(value=of.value, low=low, high=high, n=of.n, interval=of.method)
