"""How does a network become a `.pt2` file that can be audited? Exported in evaluation mode, checked, and cleaned.

Needs nothing but torch (2.8 or newer) and Python 3.10: copy this file to where the model's source is and run it there.

    lamina export shop.models:classifier classifier.pt2 --input-shape 3,224,224
    python export.py shop/models.py:classifier classifier.pt2 --input-shape 3,224,224
    export(model, (ids, mask), "reader.pt2")  # in Python: several inputs, and ids

It calls `model.eval()`, exports with any batch size, reads the file back, compares it with the model on other inputs,
and leaves out what an auditor does not need: your inputs, source lines and paths.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import importlib.util
import math
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

KEPT_METADATA = ("nn_module_stack", "val", "tensor_meta")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Largest allowed difference, relative to the largest output (at least 1): below it, kernels differ, not networks."""

DATA_DEPENDENT = """\
the network decides in Python on values it computes (an `if`, `while` or `.item()` on a tensor). An export can hold one
branch only, so what was audited would not be what runs. Instead:
  - compute both branches and choose with torch.where(condition, a, b), which keeps every layer auditable, or
  - use torch.cond(condition, f, g, (x,)); layers inside its branches will be listed as not auditable, or
  - export each branch as a model of its own."""


class ExportRefused(Exception):
    """The network cannot be exported as it is; the text says what to change."""


@dataclass(frozen=True)
class ExportReport:
    """What was written. batch: the only size it takes, None for any. difference: largest, relative, from the model."""

    path: Path
    bytes: int
    parameters: int
    dtype: str
    batch: int | None
    difference: float
    tolerance: float
    notices: tuple[str, ...]

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
        _runs(model, given)
        program, batch, notices = _exported(model, given, dynamic_batch=dynamic_batch)
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
    if version < (2, 8):
        notices = (
            *notices,
            f"torch {torch.__version__} writes an older layout that the service refuses; use 2.8 or newer",
        )
    return ExportReport(
        path=target,
        bytes=target.stat().st_size,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        dtype=str(precision).removeprefix("torch."),
        batch=batch,
        difference=difference,
        tolerance=allowed,
        notices=notices,
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


def _runs(model: nn.Module, given: Sequence[Tensor]) -> None:
    """Refuses a network that does not take the example; tracing it would let some of what fails pass."""
    try:
        model(*(each.clone() for each in given))
    except Exception as error:
        shown = " and ".join(f"{tuple(each.shape)} of {each.dtype}" for each in given)
        raise ExportRefused(
            f"the network does not run on the example, {shown}: {type(error).__name__}: {str(error)[:1000]}"
        ) from error


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
    batch: int = 2,
    dynamic_batch: bool = True,
    float64: bool = False,
    tolerance: float | None = None,
) -> ExportReport:
    """Exports what `package.module:name` or `file.py:name` refers to: a network, or a function that returns one.

    input_shape: of one example, without the batch axis, or one shape per input; the example is random numbers.
    Raises ExportRefused.
    """
    model = _referred(reference)
    generator = torch.Generator().manual_seed(0)
    floating = [parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()]
    shapes: Any = input_shape if input_shape and not isinstance(input_shape[0], int) else [input_shape]
    dtype = floating[0] if floating else torch.float32
    example = [torch.rand((batch, *shape), generator=generator).to(dtype) for shape in shapes]
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


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").split(",") if part)
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a shape such as 3,224,224")
    return shape


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Exit code 0: written; 1: refused, with what to change; 2: wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="lamina export", description="Turn a torch network into a checked .pt2 file.", epilog=DATA_DEPENDENT
    )
    parser.add_argument("reference", help="package.module:name or file.py:name; a network or a function returning one")
    parser.add_argument("path", help="the .pt2 file to write")
    parser.add_argument(
        "--input-shape", type=_shape, required=True, action="append",
        help="of one example, e.g. 3,224,224; once for each input",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=2, help="examples traced; the size that stays with --static")
    parser.add_argument("--static", action="store_true", help="fix the batch size")
    parser.add_argument("--float64", action="store_true", help="export a copy in double precision")
    parser.add_argument("--tolerance", type=float, default=None, help="largest allowed relative difference")
    try:
        chosen = parser.parse_args(arguments)
    except SystemExit as exit_:
        return exit_.code if isinstance(exit_.code, int) else 2
    try:
        report = export_from_reference(
            chosen.reference,
            chosen.path,
            input_shape=chosen.input_shape,
            batch=chosen.batch,
            dynamic_batch=not chosen.static,
            float64=chosen.float64,
            tolerance=chosen.tolerance,
        )
    except ExportRefused as refused:
        sys.stderr.write(f"not exported: {refused}\n")
        return 1
    sys.stdout.write(report.text() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
