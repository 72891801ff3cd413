"""What must a reader of a model's numbers know that is no reason to refuse it? One function for each such thing.

Every notice has a code, what was found, and what to do (`notice_codes`). A model that is as it was declared gets none.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from service.contracts.facts import InputFacts, ModelFacts
from service.contracts.manifest import Notice
from service.contracts.section import display
from workers.subject.ending import Ending, ending, sums_to_one
from workers.subject.network import Loaded
from workers.subject.notice_codes import CODES
from workers.subject.reach import tied, unreached
from workers.subject.refusal import out_of_memory, quoted
from workers.subject.trial import Trial
from workers.sweep.layout import alike
from workers.sweep.refusals import CoupledExamples, NotRepeatable

FAR, NARROW = 20.0, 0.1
"""Beyond how many standard deviations a preprocessed bound is doubted, and how narrow a range of legal inputs."""
UNUSED_SHARE = 0.1
_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What the checks look at. refused: why no gradient can be asked of any layer, if so."""

    loaded: Loaded
    facts: ModelFacts
    trial: Trial
    refused: Exception | None

    @property
    def finite(self) -> Tensor:
        """The outputs that are finite."""
        return self.trial.output[self.trial.finite]

    @property
    def ending(self) -> Ending | None:
        return ending(self.loaded, self.finite)


def notices(examined: Examined) -> tuple[Notice, ...]:
    """All that holds of a model, gravest first."""
    return tuple(each for check in CHECKS for each in check(examined))


def _notice(code: str, detail: str) -> Notice:
    return Notice(code=code, detail=detail[:4000], advice=CODES[code].advice)


def _gradients(of: Examined) -> Iterator[Notice]:
    if of.loaded.black_box:
        yield _notice("black-box", "only the outputs of this model can be seen: it has no layers and no gradients here")
    if of.refused is None:
        return
    text = str(of.refused)
    if isinstance(of.refused, NotRepeatable):
        yield _notice("stochastic", text)
    elif isinstance(of.refused, CoupledExamples):
        yield _notice("batch-dependent", text)
    else:
        yield _notice("no-gradients", text)


def _outputs(of: Examined) -> Iterator[Notice]:
    bad = of.trial.rows - int(of.trial.finite.sum())
    if bad:
        share = f"{bad} of {of.trial.rows} random inputs within the declared bounds"
        yield _notice("non-finite-outputs", f"the output is NaN or infinite for {share}")
    given = of.finite
    if not bool(given.any()):
        yield _notice("dead-output", f"every output is zero for {_tried(of)}")
    elif len(given) > 1 and alike(given, given[:1].expand_as(given)):
        yield _notice("constant-output", f"the output is the same for {_tried(of)}")


def _tried(of: Examined) -> str:
    return f"{len(of.finite)} random inputs within the declared bounds"


_ENDINGS: Mapping[Ending, str] = {"softmax": "a softmax", "log_softmax": "a log-softmax", "sigmoid": "a sigmoid"}


def _output_kind(of: Examined) -> Iterator[Notice]:
    kind, given = of.facts.output.kind, of.finite
    last = of.ending
    if kind == "logits" and last is not None:
        yield _notice("softmax-inside", f"facts.output.kind declares logits, and the network ends in {_ENDINGS[last]}")
    if kind != "probabilities":
        return
    if bool(((given < 0) | (given > 1)).any()):
        low, high = float(given.min()), float(given.max())
        span = f"{display(low, 3)} to {display(high, 3)}"
        yield _notice(
            "not-probabilities", f"facts.output.kind declares probabilities, and the outputs range from {span}"
        )
    elif _many(given) and of.facts.loss != "binary_cross_entropy" and not sums_to_one(given):
        total = float(given[0].double().sum(0).flatten()[0])
        yield _notice(
            "not-probabilities",
            "facts.output.kind declares probabilities of exclusive classes, and the outputs of one example sum to"
            f" {display(total, 3)}",
        )


def _many(given: Tensor) -> bool:
    """Whether there is more than one class."""
    return given.ndim > 1 and given.shape[1] > 1


def _loss(of: Examined) -> Iterator[Notice]:
    facts, given = of.facts, of.finite
    classes = facts.task == "classification"
    if facts.loss == "cross_entropy":
        last = of.ending
        if facts.output.kind == "logits" and last in ("softmax", "sigmoid"):
            yield _notice(
                "loss-and-output",
                f"cross_entropy is computed from logits, and the network ends in {_ENDINGS[last]}: if it was"
                " trained with nn.CrossEntropyLoss on this output, the softmax was applied twice",
            )
        if facts.output.kind == "values" or facts.task in ("regression", "reconstruction"):
            yield _notice(
                "loss-and-output",
                f"the loss is cross_entropy (declared, or left as it was) for {_task(facts)} of {facts.output.kind}",
            )
        elif classes and not _many(given):
            yield _notice("loss-and-output", "cross_entropy of a single output is the same whatever the network gives")
    elif facts.loss == "mse" and classes:
        yield _notice("loss-and-output", "the loss is mse for a classification")
    elif facts.loss == "binary_cross_entropy":
        if _many(given) and of.ending == "softmax":
            yield _notice(
                "loss-and-output",
                f"binary_cross_entropy asks each of {given.shape[1]} outputs a question of its own, and they are shares"
                " of one softmax",
            )
        elif facts.task in ("regression", "reconstruction") and facts.output.kind == "values":
            yield _notice("loss-and-output", f"the loss is binary_cross_entropy for {_task(facts)} of values")


def _task(facts: ModelFacts) -> str:
    return f"the task {facts.task.replace('_', ' ')}"


def _classes(of: Examined) -> Iterator[Notice]:
    output = of.facts.output
    if output.kind != "values" and not output.classes and _many(of.finite) and of.facts.task == "segmentation":
        yield _notice(
            "classes-unnamed", f"the output has {of.finite.shape[1]} classes, and facts.output.classes is empty"
        )


def _scale(of: Examined) -> Iterator[Notice]:
    declared = [("input", of.facts.input), *((each.name, each.input) for each in of.facts.further_inputs)]
    for name, facts in declared:
        if facts.kind in ("tokens", "text") or _untouched(facts):
            continue
        low, high = _preprocessed(facts)
        said = f"the legal values of {quoted(name)} reach the network as {display(low, 3)} to {display(high, 3)}"
        if max(abs(low), abs(high)) > FAR:
            yield _notice("input-scale", f"{said}, more than {FAR:g} standard deviations from the mean")
        elif high - low < NARROW:
            yield _notice("input-scale", f"{said}, which is {display(high - low, 2)} of one standard deviation")


def _untouched(facts: InputFacts) -> bool:
    """Whether the network reads raw values, of which no scale is known."""
    return all(mean == 0 for mean in facts.preprocessing.mean) and all(std == 1 for std in facts.preprocessing.std)


def _preprocessed(facts: InputFacts) -> tuple[float, float]:
    """The lowest and the highest value the network can read."""
    columns = max(len(facts.bounds.low), len(facts.preprocessing.mean))

    def at(values: tuple[float, ...], column: int) -> float:
        return values[column % len(values)]

    ends = [
        (at(end, column) - at(facts.preprocessing.mean, column)) / at(facts.preprocessing.std, column)
        for end in (facts.bounds.low, facts.bounds.high)
        for column in range(columns)
    ]
    return min(ends), max(ends)


def _batch(of: Examined) -> Iterator[Notice]:
    if of.loaded.batch is not None:
        size = of.loaded.batch
        many = f"batches of {size} only: every pass is padded to {size} rows"
        yield _notice("static-batch", "it runs " + ("one example at a time" if size == 1 else many))


def _weights(of: Examined) -> Iterator[Notice]:
    model = of.loaded.model
    half = sum(each.numel() for each in model.parameters() if each.dtype in (torch.float16, torch.bfloat16))
    if half:
        yield _notice("half-precision", f"{half:,} of {_total(of):,} parameters are of half precision")
    groups = tied(model)
    if groups:
        named = "; ".join(" = ".join(quoted(name) for name in group[:_NAMED]) for group in groups[:_NAMED])
        more = "" if len(groups) <= _NAMED else f"; and {len(groups) - _NAMED} more"
        yield _notice("tied-parameters", f"the same numbers by several names: {named}{more}")
    if of.loaded.black_box or not _total(of):
        return
    try:
        missed, total = unreached(model, tuple(tensor[: of.loaded.batch or 2] for tensor in of.trial.inputs))
    except Exception as error:  # what cannot be differentiated was said above
        if out_of_memory(error):
            raise
        return
    if total and missed / total >= UNUSED_SHARE:
        share = f"{missed:,} of {total:,} parameters ({missed / total:.0%})"
        yield _notice("unused-parameters", f"{share} are not reached by any path back from the output")


def _total(of: Examined) -> int:
    return sum(each.numel() for each in of.loaded.model.parameters())


def _operations(of: Examined) -> Iterator[Notice]:
    if of.trial.unwatched is not None:
        yield _notice("flops-incomplete", f"operations were not counted: {of.trial.unwatched}")
    elif of.trial.flops is not None and of.trial.flops.uncounted:
        names = ", ".join(quoted(name) for name in of.trial.flops.uncounted[:_NAMED])
        yield _notice("flops-incomplete", f"operators without a formula were left out of the counts: {names}")


Check = Callable[[Examined], Iterator[Notice]]
CHECKS: tuple[Check, ...] = (
    _gradients, _outputs, _output_kind, _loss, _scale, _classes, _batch, _weights, _operations,
)  # fmt: skip
