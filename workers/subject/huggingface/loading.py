"""How does the canonical form become a network again? Never call this on anything but what `rewrite` wrote."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from workers.subject.archive import Archive, opened
from workers.subject.huggingface import models
from workers.subject.huggingface.archive import CAPS, TOKENIZER_BYTES
from workers.subject.huggingface.config import Described
from workers.subject.huggingface.families import Head
from workers.subject.huggingface.network import Network
from workers.subject.huggingface.rewriting import NETWORK, ROOT, TOKENIZER, WEIGHTS
from workers.subject.huggingface.tokens import pieces_of
from workers.subject.network import Loaded
from workers.subject.safetensors_header import Stored, laid_out

_DTYPES = {"F32": torch.float32, "I64": torch.int64}


def load(canonical: Path, device: str = "cpu") -> Loaded:
    """The network of an archive that `rewrite` wrote, on `device`."""
    with opened(canonical, CAPS, "a canonical form") as archive:
        said = json.loads(archive.read(f"{ROOT}/{NETWORK}", 1 << 24))
        tensors = _tensors(archive)
        content = None
        if f"{ROOT}/{TOKENIZER}" in archive.sizes:
            content = archive.read(f"{ROOT}/{TOKENIZER}", 4 * TOKENIZER_BYTES).decode("ascii")
    found = Described(
        model_type=said["model_type"], architecture=said["architecture"], keys=said["keys"], outputs=said["outputs"]
    )
    tensors |= {name: tensors[owner] for name, owner in said["tied"].items()}
    stock = models.filled(found, tensors)
    network = Network(stock, found.head, pad=models.pad_of(stock), start=_start(stock)).to(device).eval()
    inputs, output = _example(found, stock, said["inputs"])
    return Loaded(
        model=network,
        inputs=inputs,
        outputs=(output,),
        chosen=0,
        batch=None,
        tokenizer=None if content is None else pieces_of(content, said["padding"], models.vocabulary_of(stock)),
        type_based=_type_based(found),
        pad=said["padding"] if content is not None else models.pad_of(stock),
        notes=network.notes,
    )


def _tensors(archive: Archive) -> dict[str, Tensor]:
    """Every tensor of the weights' member, read once, in order."""
    name = f"{ROOT}/{WEIGHTS}"
    stream = _Stream(archive.chunks(name))
    length = int.from_bytes(stream.take(8), "little")
    header = laid_out(stream.take(length), archive.sizes[name])
    found: dict[str, Tensor] = {}
    for key, stored in header.items():
        found[key] = _tensor(stored, stream)
    return found


def _tensor(stored: Stored, stream: "_Stream") -> Tensor:
    """In memory that torch allocates: what is aligned otherwise is summed in another order, to other last digits."""
    tensor = torch.empty(stored.shape, dtype=_DTYPES[stored.dtype])
    if stored.bytes:
        stream.into(tensor.reshape(-1).numpy().data.cast("B"))
    return tensor


class _Stream:
    """Bytes that come in chunks, taken in pieces of any length."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        content = bytearray(length)
        self.into(memoryview(content))
        return bytes(content)

    def into(self, place: memoryview) -> None:
        """Fills `place` with what comes next."""
        while place:
            if not self._rest:
                self._rest = memoryview(next(self._chunks))
            count = min(len(self._rest), len(place))
            place[:count] = self._rest[:count]
            self._rest, place = self._rest[count:], place[count:]


def _start(stock: nn.Module) -> int | None:
    """The decoder's first token: the one the config names, else the padding, as T5 was trained."""
    named = getattr(stock.config, "decoder_start_token_id", None)
    return models.pad_of(stock) if named is None else int(named)


_RULED = ("relu", "leaky_relu", "sigmoid", "tanh")
"""Activations that become modules of torch.nn for which rules by module type exist."""


def _type_based(found: Described) -> str | None:
    """Why rules that go by module type would give wrong numbers, if they would."""
    activation = found.keys.get("hidden_act", "relu")
    if found.family.type_based is None and activation not in _RULED:
        return f"its activation, {activation}, is a module for which there is no rule"
    return found.family.type_based


_HINTS = {"N": 2, "T": 5, "S": 7, "H": 11, "W": 13}
"""Any sizes above 1, all different: equal ones would become one symbol."""


def _example(found: Described, stock: nn.Module, inputs: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """What goes in and what comes out, without data: sizes that the network leaves open are symbols."""
    mode = FakeTensorMode(shape_env=ShapeEnv())
    config: Any = stock.config
    labels = found.outputs or 0
    if found.family.image:
        pixels = _symbolic(mode, ("N", config.num_channels, *_sides(config)), torch.float32)
        return (pixels,), _symbolic(mode, ("N", labels), torch.float32)
    taken: tuple[tuple[str | int, ...], ...] = (("N", "T"), ("N", "T"), ("N", "S"))
    given: dict[Head, tuple[str | int, ...]] = {
        "classification": ("N", labels),
        "token_classification": ("N", labels, "T"),
        "next_token": ("N", config.vocab_size),
        "seq2seq": ("N", config.vocab_size),
    }
    ids = tuple(_symbolic(mode, axes, torch.int64) for axes in taken[:inputs])
    return ids, _symbolic(mode, given[found.head], torch.float32)


def _sides(config: Any) -> tuple[str | int, str | int]:
    """Height and width of an image, where the network takes only one size."""
    size = getattr(config, "image_size", None)
    if size is None:
        return ("H", "W")
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _symbolic(mode: FakeTensorMode, axes: tuple[str | int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor without data; an axis that has a name has a symbol for its size."""
    sizes = [_HINTS[axis] if isinstance(axis, str) else axis for axis in axes]
    kinds = [DimDynamic.DUCK if isinstance(axis, str) else DimDynamic.STATIC for axis in axes]
    tensor: Tensor = mode.from_tensor(
        torch.empty(sizes, dtype=dtype, device="meta"),
        symbolic_context=StatelessSymbolicContext(dynamic_sizes=kinds),
    )
    return tensor
