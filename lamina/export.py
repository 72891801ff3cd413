"""How does a network become a `.pt2` file that can be audited? Exported in evaluation mode, checked, and cleaned.

Needs nothing but torch (2.8 or newer) and Python 3.10: copy this file to where the model's source is and run it there.

    lamina export shop.models:classifier classifier.pt2 --input-shape 3,224,224
    python export.py shop/models.py:classifier classifier.pt2 --input-shape 3,224,224

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
    example: Tensor,
    path: str | os.PathLike[str],
    *,
    dynamic_batch: bool = True,
    float64: bool = False,
    tolerance: float | None = None,
) -> ExportReport:
    """Writes `model` to `path` (a `.pt2`) and returns what was found.

    example: one batch as the network reads it, shape (N, ...). Its values are not stored.
    float64: exports a copy in double precision, for audits that should not depend on rounding.
    The model is left as it was. Raises ExportRefused, and writes nothing, when the file gives other outputs.
    """
    target = Path(path)
    if target.suffix != ".pt2":
        raise ExportRefused(f"{target} must end in .pt2")
    if float64:
        model, example = copy.deepcopy(model).double(), example.double()
    if example.ndim == 0 or not example.is_floating_point():
        raise ExportRefused(
            f"the example is {tuple(example.shape)} of {example.dtype}; it must be one batch (N, ...) of floating-point"
            " numbers (export the part of a text model after its embedding)"
        )
    example = example.detach()
    with _evaluating(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns about its own workings; what matters is checked below
        program, batch, notices = _exported(model, example, dynamic_batch=dynamic_batch)
        _clean(program)
        partial = target.with_name(f".{target.stem}.{os.getpid()}.pt2")
        try:
            torch.export.save(program, partial)
            allowed = TOLERANCE.get(example.dtype, 1e-2) if tolerance is None else tolerance
            difference = _difference(model, partial, example, batch)
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
        dtype=str(example.dtype).removeprefix("torch."),
        batch=batch,
        difference=difference,
        tolerance=allowed,
        notices=notices,
    )


def export_from_reference(
    reference: str,
    path: str | os.PathLike[str],
    *,
    input_shape: Sequence[int],
    batch: int = 2,
    dynamic_batch: bool = True,
    float64: bool = False,
    tolerance: float | None = None,
) -> ExportReport:
    """Exports what `package.module:name` or `file.py:name` refers to: a network, or a function that returns one.

    input_shape: of one example, without the batch axis; the example is random. Raises ExportRefused.
    """
    model = _referred(reference)
    generator = torch.Generator().manual_seed(0)
    floating = [parameter.dtype for parameter in model.parameters() if parameter.is_floating_point()]
    example = torch.rand((batch, *input_shape), generator=generator).to(floating[0] if floating else torch.float32)
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


def _exported(model: nn.Module, example: Tensor, *, dynamic_batch: bool) -> tuple[Any, int | None, tuple[str, ...]]:
    """The program, its fixed batch size if it has one, and notices."""
    if not dynamic_batch:
        return _export(model, example, None), len(example), ()
    # torch.export takes a size of 0 or 1 for a constant, so a dynamic axis is traced with at least 2
    traced = example if len(example) > 1 else torch.cat([example, example])
    try:
        dynamic: Any = ({0: torch.export.Dim.DYNAMIC},)
        return _export(model, traced, dynamic), None, ()
    except ExportRefused:
        raise
    except Exception as error:  # noqa: BLE001  # any other failure may go away with a fixed batch
        first = next((line.strip(" -") for line in str(error).splitlines() if "specialized" in line), str(error)[:200])
        notice = f"the batch size is fixed to {len(example)}, because with an open one: {first}"
        return _export(model, example, None), len(example), (notice,)


def _export(model: nn.Module, example: Tensor, dynamic: Any) -> Any:
    try:
        # a clone, because torch.export marks the very tensor as dynamic, for later calls too
        return torch.export.export(model, (example.clone(),), dynamic_shapes=dynamic, strict=False)
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


def _difference(model: nn.Module, path: Path, example: Tensor, batch: int | None) -> float:
    """Largest difference, file to model, on more inputs than traced; relative to the largest output, at least 1."""
    loaded = torch.export.load(path).module()
    generator = torch.Generator().manual_seed(1)
    other = torch.rand(example.shape, generator=generator, dtype=torch.float64).to(example.device, example.dtype)
    given = [example, other] if batch is not None else [example, other, torch.cat([other, example, other])]
    worst = 0.0
    for inputs in given:
        expected, found = (_tensors(each(inputs.clone())) for each in (model, loaded))
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
    parser.add_argument("--input-shape", type=_shape, required=True, help="of one example, e.g. 3,224,224")
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
