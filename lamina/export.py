"""How does a network become a `.pt2` file that can be audited? Exported in evaluation mode, checked, and cleaned.

Needs nothing but torch (2.9 or newer) and Python 3.10: copy this file to where the model's source is and run it there.

    lamina export shop.models:classifier classifier.pt2 --input-shape 3,224,224
    python export.py shop/models.py:classifier classifier.pt2 --input-shape 3,224,224
    export(model, (ids, mask), "reader.pt2")  # in Python: several inputs, and ids

It calls `model.eval()`, exports with any batch size, reads the file back, compares it with the model on other inputs,
and leaves out what an auditor does not need: your inputs, source lines and paths. Beside the file it writes the facts
that no file says (`classifier.facts.json`): from options, from questions in a terminal, or as questions to fill in.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import importlib.util
import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

KEPT_METADATA = ("nn_module_stack", "val", "tensor_meta")
_MEANS = {"softmax": "probabilities", "sigmoid": "probabilities", "log_softmax": "values"}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Largest allowed difference, relative to the largest output (at least 1): below it, kernels differ, not networks."""

DATA_DEPENDENT = """\
the network decides in Python on values it computes (an `if`, `while` or `.item()` on a tensor). An export can hold one
branch only, so what was audited would not be what runs. Instead:
  - compute both branches and choose with torch.where(condition, a, b), which keeps every layer auditable, or
  - use torch.cond(condition, f, g, (x,)); layers inside its branches will be listed as not auditable, or
  - export each branch as a model of its own."""

DTYPES = {name: getattr(torch, name) for name in ("float32", "float64", "int64", "int32", "bool")}


class ExportRefused(Exception):
    """The network cannot be exported as it is; the text says what to change."""


@dataclass(frozen=True)
class ExportReport:
    """What was written. batch: the only size it takes, None for any. difference: largest, relative, from the model.

    inputs: shape of one example, and whether it is ids, for each input; output: shape of one example's first output.
    ending: the function that the output ends in where it is no longer logits (softmax, sigmoid, log_softmax), or "".
    """

    path: Path
    bytes: int
    parameters: int
    dtype: str
    batch: int | None
    difference: float
    tolerance: float
    notices: tuple[str, ...]
    inputs: tuple[tuple[tuple[int, ...], bool], ...] = ()
    output: tuple[int, ...] = ()
    ending: str = ""

    def text(self) -> str:
        """The report in a few lines."""
        batch = "any" if self.batch is None else f"always {self.batch}"
        lines = [
            f"wrote {self.path} ({self.bytes:,} bytes, {self.parameters:,} parameters, {self.dtype})",
            f"batch size: {batch}",
            f"largest difference from the model: {self.difference:.2g} (allowed {self.tolerance:.2g})",
        ]
        return "\n".join([*lines, *(f"notice: {notice}" for notice in self.notices)])


def export(
    model: nn.Module,
    example: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    dynamic_batch: bool = True,
    float64: bool = False,
    tolerance: float | None = None,
) -> ExportReport:
    """Writes `model` to `path` (a `.pt2`) and returns what was found.

    example: one batch as the network reads it, shape (N, ...); or one such tensor for each input of the forward, in
             order. Numbers are floating point, ids and masks are integers. Their values are not stored.
    float64: exports a copy in double precision, for audits that should not depend on rounding.
    The model is left as it was. Raises ExportRefused, and writes nothing, when the file gives other outputs.
    """
    target = Path(path)
    if target.suffix != ".pt2":
        raise ExportRefused(f"{target} must end in .pt2")
    given = _batch(example)
    if float64:
        model = copy.deepcopy(model).double()
        given = tuple(each.double() if each.is_floating_point() else each for each in given)
    with _evaluating(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns about its own workings; what matters is checked below
        output = _runs(model, given)
        program, batch, notices = _exported(model, given, dynamic_batch=dynamic_batch)
        ending = _ending(program)
        _clean(program)
        partial = target.with_name(f".{target.stem}.{os.getpid()}.pt2")
        try:
            torch.export.save(program, partial)
            precision = _precision(model, given)
            allowed = TOLERANCE.get(precision, 1e-2) if tolerance is None else tolerance
            difference = _difference(model, partial, given, batch)
            if not difference <= allowed:
                raise ExportRefused(
                    f"the file gives other outputs than the model: they differ by {difference:.3g}, {allowed:.3g} is"
                    " allowed. The network may be random in evaluation mode, or depend on Python state"
                )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < (2, 9):
        notices = (
            *notices,
            f"torch {torch.__version__} writes an older layout that the service refuses; use 2.9 or newer",
        )
    if ending:
        notices = (*notices, f"the output ends in {ending}: export what comes before it, or declare {_MEANS[ending]}")
    return ExportReport(
        path=target,
        bytes=target.stat().st_size,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        dtype=str(precision).removeprefix("torch."),
        batch=batch,
        difference=difference,
        tolerance=allowed,
        notices=notices,
        inputs=tuple((tuple(each.shape[1:]), not each.is_floating_point()) for each in given),
        output=output,
        ending=ending,
    )


def _batch(example: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The example's tensors, one per input; refuses what is no batch."""
    given = (example,) if isinstance(example, Tensor) else tuple(example)
    for each in given:
        if not isinstance(each, Tensor) or each.ndim == 0 or each.is_complex():
            shown = f"{tuple(each.shape)} of {each.dtype}" if isinstance(each, Tensor) else type(each).__name__
            raise ExportRefused(f"the example holds {shown}; each input must be one batch (N, ...) of numbers or ids")
    if not given or len({len(each) for each in given}) > 1:
        sizes = ", ".join(str(len(each)) for each in given) or "none"
        raise ExportRefused(f"the first axes of the inputs are {sizes}; each must be the batch, of the same size")
    return tuple(each.detach() for each in given)


def _runs(model: nn.Module, given: Sequence[Tensor]) -> tuple[int, ...]:
    """Shape of one example's first floating-point output. Refuses a network that does not take the example; tracing
    it would let some of what fails pass.
    """
    try:
        found = _tensors(model(*(each.clone() for each in given)))
    except Exception as error:
        shown = " and ".join(f"{tuple(each.shape)} of {each.dtype}" for each in given)
        raise ExportRefused(
            f"the network does not run on the example, {shown}: {type(error).__name__}: {str(error)[:1000]}"
        ) from error
    return next((tuple(each.shape[1:]) for each in found if each.is_floating_point()), ())


def _precision(model: nn.Module, given: Sequence[Tensor]) -> torch.dtype:
    """Of the first floating-point input; of the first such parameter where all inputs are ids."""
    for each in (*given, *model.parameters()):
        if each.is_floating_point():
            return each.dtype
    return torch.float32


def export_from_reference(
    reference: str,
    path: str | os.PathLike[str],
    *,
    input_shape: Sequence[int] | Sequence[Sequence[int]],
    input_dtype: Sequence[str] = (),
    tokens: int | None = None,
    batch: int = 2,
    dynamic_batch: bool = True,
    float64: bool = False,
    tolerance: float | None = None,
) -> ExportReport:
    """Exports what `package.module:name` or `file.py:name` refers to: a network, or a function that returns one.

    input_shape: of one example, without the batch axis, or one shape per input; the example is random.
    input_dtype: one of DTYPES per input; without it, all are the model's own floating point, or ids where `tokens`
    says how many there are. Raises ExportRefused.
    """
    model = _referred(reference)
    shapes: Any = input_shape if input_shape and not isinstance(input_shape[0], int) else [input_shape]
    if input_dtype and len(input_dtype) != len(shapes):
        raise ExportRefused(f"{len(shapes)} inputs and {len(input_dtype)} dtypes were given; give one for each input")
    floating = [parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()]
    usual = torch.int64 if tokens else floating[0] if floating else torch.float32
    dtypes = [DTYPES[name] for name in input_dtype] or [usual] * len(shapes)
    generator = torch.Generator().manual_seed(0)
    example = [
        torch.rand((batch, *shape), generator=generator).to(dtype)
        if dtype.is_floating_point
        else torch.randint(0, tokens or 2, (batch, *shape), generator=generator).to(dtype)
        for shape, dtype in zip(shapes, dtypes)  # noqa: B905  # their lengths are compared above
    ]
    return export(model, example, path, dynamic_batch=dynamic_batch, float64=float64, tolerance=tolerance)


def _referred(reference: str) -> nn.Module:
    where, colon, name = reference.rpartition(":")
    if not colon or not where or not name:
        raise ExportRefused(f"{reference!r} is not package.module:name or file.py:name")
    try:
        found: Any = _module(where)
        for part in name.split("."):
            found = getattr(found, part)
        model = found if isinstance(found, nn.Module) else found()
    except (ImportError, AttributeError, OSError, TypeError) as error:
        raise ExportRefused(f"{reference!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise ExportRefused(f"{reference!r} gives a {type(model).__name__}, not a torch.nn.Module")
    return model


def _module(where: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if not where.endswith(".py"):
        return importlib.import_module(where)
    spec = importlib.util.spec_from_file_location(Path(where).stem, where)
    if spec is None or spec.loader is None:
        raise ImportError(f"{where} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickling of the module's classes look it up there
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode; afterwards every module is as it was."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def _exported(
    model: nn.Module, given: tuple[Tensor, ...], *, dynamic_batch: bool
) -> tuple[Any, int | None, tuple[str, ...]]:
    """The program, its fixed batch size if it has one, and notices."""
    rows = len(given[0])
    if not dynamic_batch:
        return _export(model, given, None), rows, ()
    # torch.export takes a size of 0 or 1 for a constant, so a dynamic axis is traced with at least 2
    traced = given if rows > 1 else tuple(torch.cat([each, each]) for each in given)
    try:
        dynamic: Any = tuple({0: torch.export.Dim.DYNAMIC} for _ in given)
        return _export(model, traced, dynamic), None, ()
    except ExportRefused:
        raise
    except Exception as error:  # noqa: BLE001  # any other failure may go away with a fixed batch
        first = next((line.strip(" -") for line in str(error).splitlines() if "specialized" in line), str(error)[:200])
        notice = f"the batch size is fixed to {rows}, because with an open one: {first}"
        return _export(model, given, None), rows, (notice,)


def _export(model: nn.Module, given: tuple[Tensor, ...], dynamic: Any) -> Any:
    try:
        # clones: torch.export marks the very tensors as dynamic, for later calls too, and takes one that is given for
        # two inputs for one input
        return torch.export.export(model, tuple(e.clone() for e in given), dynamic_shapes=dynamic, strict=False)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        if "data-dependent" in text or "DataDependent" in text:
            raise ExportRefused(DATA_DEPENDENT) from error
        if dynamic is None:
            raise ExportRefused(f"torch.export cannot trace the network: {text[:1000]}") from error
        raise


def _ending(program: Any) -> str:
    """The last function of the first output, where it is one that makes probabilities of logits."""
    output = next(node for node in reversed(program.graph.nodes) if node.op == "output")
    last = next((node for node in pytree.tree_leaves(output.args) if isinstance(node, torch.fx.Node)), None)
    name = str(getattr(last, "target", "")).removeprefix("aten.").split(".")[0].strip("_")
    return name if name in _MEANS else ""


def _clean(program: Any) -> None:
    """Takes out source lines, paths and the example."""
    for module in program.graph_module.modules():
        graph = getattr(module, "graph", None)
        for node in graph.nodes if isinstance(graph, torch.fx.Graph) else ():
            node.meta = {key: value for key, value in node.meta.items() if key in KEPT_METADATA}
    program._example_inputs = None


def _difference(model: nn.Module, path: Path, given: tuple[Tensor, ...], batch: int | None) -> float:
    """Largest difference, file to model, on more inputs than traced; relative to the largest output, at least 1."""
    loaded = torch.export.load(path).module()
    generator = torch.Generator().manual_seed(1)
    other = tuple(_other(each, generator) for each in given)
    tried = [given, other]
    if batch is None:
        tried.append(tuple(torch.cat([b, a, b]) for a, b in zip(given, other)))  # noqa: B905  # equal by construction
    worst = 0.0
    for inputs in tried:
        expected, found = (_tensors(each(*(tensor.clone() for tensor in inputs))) for each in (model, loaded))
        if len(expected) != len(found):
            return float("inf")
        for a, b in zip(expected, found):  # noqa: B905  # `strict` would do, their lengths are compared above
            if a.shape != b.shape or a.dtype != b.dtype:
                return float("inf")
            same = torch.where(a == b, torch.zeros_like(a), a - b).double().abs() if a.numel() else torch.zeros(1)
            size = float(torch.nan_to_num(a.double(), posinf=0.0, neginf=0.0).abs().max()) if a.numel() else 0.0
            value = float(same.max()) / max(1.0, size)
            if math.isnan(value):
                return float("inf")
            worst = max(worst, value)
    return worst


def _other(example: Tensor, generator: torch.Generator) -> Tensor:
    """Other numbers of the same shape; of ids, those of the neighbouring examples, because not every id is legal."""
    if not example.is_floating_point():
        return example.roll(1, 0)
    return torch.rand(example.shape, generator=generator, dtype=torch.float64).to(example.device, example.dtype)


def _tensors(output: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]


# --- what no file says: the facts

UNANSWERED = "ANSWER: "
"""What a fact begins with that nobody has declared; a service refuses it, so nothing is audited on a guess."""
_GUESSED = {1: ("table", "NF"), 2: ("series", "NTC"), 3: ("image", "NCHW"), 4: ("video", "NTCHW")}
_GUESSED_IDS = {0: "N", 1: "NT"}
_TASKS = (
    "classification", "regression", "segmentation", "sequence", "next_token", "seq2seq", "reconstruction", "generation",
    "score", "policy",
)  # fmt: skip
_INPUTS = ("image", "table", "series", "video", "tokens")
_KINDS = ("logits", "probabilities", "values")
_LOSSES = ("cross_entropy", "binary_cross_entropy", "mse", "other")

Ask = Callable[[str], str]
"""Puts a question to whoever runs this, and returns the answer as text."""


def facts(
    report: ExportReport, answers: Mapping[str, str], ask: Ask | None = None, *, tokens: int | None = None
) -> dict[str, Any]:
    """The facts of an exported network: what the file says, `answers` by option, else asked, else marked UNANSWERED.

    Raises ExportRefused where an answer cannot be one.
    """
    known = Answers(answers, ask)
    scores = report.output[0] if len(report.output) == 1 else 0
    guess = "classification" if scores > 1 else "regression" if scores else ""
    task = known("task", f"what is the model for? {', '.join(_TASKS)}", guess, _one_of(*_TASKS))
    inputs = [_input_facts(known, at, shape, ids, tokens) for at, (shape, ids) in enumerate(report.inputs)]
    classified = task == "classification" or (task.startswith(UNANSWERED) and scores > 1)
    guess = _MEANS.get(report.ending, "logits" if classified else "values")
    output: dict[str, Any] = {
        "kind": known("output", f"what is an output? {', '.join(_KINDS)}", guess, _one_of(*_KINDS))
    }
    if classified and report.output:
        asked = f"names of its {report.output[0]} classes, in the order of the outputs"
        output["classes"] = known("classes", asked, "", _names(report.output[0]), listed=True)
    guess = "cross_entropy" if classified else "mse"
    loss = known("loss", f"which loss was it trained with? {', '.join(_LOSSES)}", guess, _one_of(*_LOSSES))
    further = {"further_inputs": [{"name": name, "input": each} for name, each in inputs[1:]]} if inputs[1:] else {}
    return {"task": task, "input": inputs[0][1], **further, "output": output, "loss": loss}


def _input_facts(
    known: Answers, at: int, shape: tuple[int, ...], ids: bool, tokens: int | None
) -> tuple[str, dict[str, Any]]:
    """Name and facts of one input; options name the first, `--low-2` would be the second's."""
    kind, layout = ("tokens", _GUESSED_IDS.get(len(shape), "")) if ids else _GUESSED.get(len(shape), ("", ""))
    which, said = (f"-{at + 1}", f" (input {at + 1}, {list(shape)})") if at else ("", "")
    name = known(f"name{which}", f"name of input {at + 1}", f"input{at + 1}", str) if at else "input"
    found: dict[str, Any] = {
        "kind": known(f"kind{which}", f"what is an example{said}? {', '.join(_INPUTS)}", kind, _one_of(*_INPUTS)),
        "layout": known(f"layout{which}", f"its axes by letter, N first{said}", layout, str),
        "shape": list(shape),
    }
    if ids and tokens:
        return name, {**found, "bounds": {"low": [0], "high": [tokens - 1]}, "unit": "token id"}
    found["bounds"] = {
        side: known(f"{side}{which}", f"{side}est legal raw value{said}, one for all or one per channel", "", _numbers,
                    listed=True)
        for side in ("low", "high")
    }  # fmt: skip
    found["unit"] = known(f"unit{which}", f"unit of a raw value{said}", "raw", str)
    if not ids:
        found["preprocessing"] = {
            part: known(f"{part}{which}", f"{part} of (raw - mean) / std, done before the network{said}", guess,
                        _numbers, listed=True)
            for part, guess in (("mean", "0"), ("std", "1"))
        }  # fmt: skip
    if len(shape) == 1 and not ids and known.may(f"features{which}"):
        question = f"names of its {shape[0]} features{said}, in the order of the inputs (Enter leaves them out)"
        names = known(f"features{which}", question, "", _names(shape[0]), listed=True)
        if not names[0].startswith(UNANSWERED):
            found["feature_names"] = names
    return name, found


@dataclass(frozen=True)
class Answers:
    """What was declared: by option, or when asked."""

    given: Mapping[str, str]
    ask: Ask | None

    def may(self, option: str) -> bool:
        """Whether a fact that can be left out is declared: by option, or because somebody is asked anyway."""
        return option in self.given or self.ask is not None

    def __call__(
        self, option: str, question: str, guess: str, parse: Callable[[str], Any], *, listed: bool = False
    ) -> Any:
        """The answer; where there is none the question, marked; in a list where the answer would be `listed`."""
        if option in self.given:
            try:
                return parse(self.given[option])
            except ValueError as error:
                raise ExportRefused(f"--{option} {self.given[option]}: {error}") from error
        while self.ask is not None:
            text = self.ask(f"{question}{f' [{guess}]' if guess else ''}: ").strip() or guess
            if not text or text == UNANSWERED.strip():
                break
            try:
                return parse(text)
            except ValueError as error:
                sys.stdout.write(f"  {error}\n")
        marked = f"{UNANSWERED}{question}{f' (perhaps {guess})' if guess else ''}"
        return [marked] if listed else marked


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return parse


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _names(count: int) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        lines = Path(text[1:]).read_text(encoding="utf-8").splitlines() if text.startswith("@") else text.split(",")
        names = [line.strip() for line in lines if line.strip()]
        if len(names) != count:
            raise ValueError(f"{len(names)} names, and there are {count}")
        return names

    return parse


# --- the command


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").split(",") if part)
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a shape such as 3,224,224")
    return shape


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lamina export", description="Turn a torch network into a checked .pt2 file.", epilog=DATA_DEPENDENT
    )
    parser.add_argument("reference", help="package.module:name or file.py:name; a network or a function returning one")
    parser.add_argument("path", help="the .pt2 file to write")
    parser.add_argument(
        "--input-shape", type=_shape, required=True, action="append",
        help="of one example, e.g. 3,224,224; once for each input",
    )  # fmt: skip
    parser.add_argument("--input-dtype", choices=DTYPES, action="append", default=[], help="once for each input")
    parser.add_argument("--tokens", type=int, metavar="VOCAB", help="integer inputs are ids from 0 to VOCAB - 1")
    parser.add_argument("--batch", type=int, default=2, help="examples traced; the size that stays with --static")
    parser.add_argument("--static", action="store_true", help="fix the batch size")
    parser.add_argument("--float64", action="store_true", help="export a copy in double precision")
    parser.add_argument("--tolerance", type=float, default=None, help="largest allowed relative difference")
    declared = parser.add_argument_group(
        "facts", "What no file says; written beside it (NAME.facts.json). Asked for in a terminal where not given here."
    )
    for option, text in (
        ("task", "what the model is for"), ("kind", "what an example is"), ("layout", "its axes, e.g. NCHW"),
        ("low", "lowest legal raw value, or one per channel, with commas"), ("high", "highest legal raw value"),
        ("unit", "unit of a raw value"), ("mean", "subtracted from raw values"), ("std", "divides what is left"),
        ("output", "logits, probabilities or values"), ("classes", "their names with commas, or @FILE with one a line"),
        ("loss", "the loss of the training"), ("features", "names of a table's columns, as for --classes"),
    ):  # fmt: skip
        declared.add_argument(f"--{option}", help=text)
    declared.add_argument("--no-questions", action="store_true", help="ask nothing; mark what is not declared")
    return parser


def _asked(question: str) -> str:
    try:
        return input(question)
    except EOFError:
        return UNANSWERED


def _declare(report: ExportReport, chosen: argparse.Namespace) -> None:
    """Writes the facts beside the file, and says what is left to answer. What is there already stays."""
    path = report.path.with_suffix(".facts.json")
    if path.exists():
        sys.stdout.write(f"kept {path}, which was there\n")
        return
    options = ("task", "kind", "layout", "low", "high", "unit", "mean", "std", "output", "classes", "loss", "features")
    answers = {option: getattr(chosen, option) for option in options if getattr(chosen, option) is not None}
    ask = _asked if sys.stdin.isatty() and not chosen.no_questions else None
    text = json.dumps(facts(report, answers, ask, tokens=chosen.tokens), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    left = text.count(f'"{UNANSWERED}')
    sys.stdout.write(
        f"wrote {path}" + (f": {left} facts begin with {UNANSWERED!r}, fill them in" if left else "") + "\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Exit code 0: written; 1: refused, with what to change; 2: wrong arguments."""
    try:
        chosen = _parser().parse_args(arguments)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 2
    try:
        report = export_from_reference(
            chosen.reference,
            chosen.path,
            input_shape=chosen.input_shape,
            input_dtype=chosen.input_dtype,
            tokens=chosen.tokens,
            batch=chosen.batch,
            dynamic_batch=not chosen.static,
            float64=chosen.float64,
            tolerance=chosen.tolerance,
        )
        sys.stdout.write(report.text() + "\n")
        _declare(report, chosen)
    except ExportRefused as refused:
        sys.stderr.write(f"not exported: {refused}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
