"""How does a network of the zoo become a file as a customer would send it? One function per format."""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lamina.export import ExportRefused, export
from lamina.zoo.family import Family
from lamina.zoo.folders import Stock, write_folder
from service.contracts.manifest import ModelFormat

ROWS = 4
_OPSET = 17


class NotWritten(Exception):
    """The family does not exist in this format; the text says who refuses."""


def write(family: Family, form: ModelFormat, network: nn.Module, folder: Path) -> Path:
    """The file of `network` in `folder`. Raises ExportRefused, NotWritten."""
    given = tuple(each[: family.batch or ROWS] for each in family.prepared(family.examples()))
    with _quiet():
        if form == "huggingface":
            if not isinstance(network, Stock):
                raise NotWritten("it is no class of transformers")
            return write_folder(network, folder)
        if form == "onnx":
            return _onnx(family, network, given, folder / "model.onnx")
        export(network, given, folder / "model.pt2", dynamic_batch=family.batch is None)
        return folder / "model.pt2"


def write_examples(family: Family, path: Path) -> Path:
    """An npz of its raw examples, with labels where there are classes."""
    first, *further = family.examples()
    arrays = {"inputs": first, **dict(zip((each.name for each in family.facts.further_inputs), further, strict=True))}
    labels = family.dataset_facts.labels_array
    if labels is not None:
        arrays[labels] = torch.arange(len(first)) % len(family.facts.output.classes)
    np.savez(path, allow_pickle=False, **{name: each.numpy() for name, each in arrays.items()})
    return path


def _onnx(family: Family, network: nn.Module, given: tuple[Tensor, ...], path: Path) -> Path:
    if family.no_export is not None:
        raise NotWritten("the exporter would keep one branch and say nothing")
    names = [f"input_{at}" for at in range(len(given))]
    axes = None if family.batch else {name: {0: "N"} for name in names}
    try:
        with _silent():
            torch.onnx.export(
                network, given, path, dynamo=False, opset_version=_OPSET, input_names=names, dynamic_axes=axes
            )
    except Exception as error:  # the exporter raises what it likes
        raise NotWritten(f"torch.onnx.export does not write it: {type(error).__name__}") from error
    return path


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """The exporter's C++ prints its graph when it fails, past Python's standard output."""
    sys.stdout.flush()
    kept, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nothing)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters print graphs and warn of their own workings."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.fx.experimental.symbolic_shapes")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


__all__ = ["ExportRefused", "NotWritten", "write", "write_examples"]
