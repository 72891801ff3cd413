"""Which formats of models are read, and how is each told, rewritten and loaded?

A new format is one folder beside this file and one line here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.contracts.facts import ModelFacts
from service.contracts.manifest import ModelFormat
from workers.subject import huggingface, onnx, pt2
from workers.subject.magic import format_of
from workers.subject.network import Loaded, Rewritten


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One format of models.

    rewrite(source, target, facts): reads the customer's bytes as data and writes the canonical form, or raises Refusal.
    load(canonical, device): the network of a canonical form that `rewrite` wrote; never called on anything else.
    """

    name: ModelFormat
    rewrite: Callable[[Path, Path, ModelFacts], Rewritten]
    load: Callable[[Path, str], Loaded]


FORMATS: dict[ModelFormat, Format] = {
    each.name: each
    for each in (
        Format(name="pt2", rewrite=lambda source, target, _: pt2.rewrite(source, target), load=pt2.load),
        Format(name="huggingface", rewrite=huggingface.rewrite, load=huggingface.load),
        Format(name="onnx", rewrite=lambda source, target, _: onnx.rewrite(source, target), load=onnx.load),
    )
}


def told(source: Path) -> Format:
    """The format of a customer's file, by its first bytes and member names. Raises Refusal with what it is."""
    return FORMATS[format_of(source)]
