"""How does a description become a network? The stock class of transformers, its weights empty until they are given.

Every class is imported here by its own module: no AutoConfig, no from_pretrained, no look-up by a customer's words.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from workers.subject.huggingface.config import Described
from workers.subject.huggingface.families import FAMILIES
from workers.subject.huggingface.isolation import alone
from workers.subject.refusal import Refusal, out_of_memory, without_paths

with alone():
    _MODULES = {
        name: (
            importlib.import_module(f"transformers.models.{family.module}.configuration_{family.module}"),
            importlib.import_module(f"transformers.models.{family.module}.modeling_{family.module}"),
        )
        for name, family in FAMILIES.items()
    }


class _Hollow(TorchFunctionMode):
    """Parameters are made without memory, everything else as it is: buffers that no file holds need their numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is torch.empty and given.get("device") is None:
            given["device"] = "meta"
        return func(*args, **given)


def blank(described: Described) -> nn.Module:
    """The network without any memory behind it, on the meta device: names, shapes and dtypes. Raises Refusal."""
    with torch.device("meta"):
        return _built(described)


def hollow(described: Described) -> nn.Module:
    """The network without memory behind most of its parameters; only for what `blank` found to fit its file."""
    with _Hollow():
        return _built(described)


def tied(network: nn.Module) -> dict[str, str]:
    """Which tensors the class takes from another: name to name. By its own table, which the configuration may empty."""
    names: Mapping[str, str] = network.all_tied_weights_keys  # type: ignore[assignment]  # nn.Module types attributes as Tensor
    return dict(names)


def filled(described: Described, tensors: dict[str, Tensor]) -> nn.Module:
    """The network with these tensors, all of them and no others; frozen, in eval mode."""
    network = hollow(described)
    parameters = {
        id(tensor): nn.Parameter(tensor, requires_grad=False)
        for tensor in tensors.values()
        if tensor.is_floating_point()
    }
    network.load_state_dict(
        {name: parameters.get(id(tensor), tensor) for name, tensor in tensors.items()}, strict=True, assign=True
    )
    network.eval()
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.requires_grad = False
        if tensor.is_meta:
            raise AssertionError("a tensor of the network was given no numbers")
    return network


def _built(described: Described) -> nn.Module:
    family = described.family
    configurations, classes = _MODULES[described.model_type]
    given = dict(described.keys)
    if described.outputs is not None:
        given["num_labels"] = described.outputs
    try:
        config = getattr(configurations, family.config)(**given, attn_implementation="eager", use_cache=False)
        network: nn.Module = getattr(classes, described.architecture)(config)
    except Exception as error:
        if out_of_memory(error):
            raise
        said = " ".join(without_paths(str(error)).split())
        raise Refusal(
            "config-key",
            f"config.json describes no network that {described.architecture} can be: {said[:1000]}",
            "Compare it with the config.json that save_pretrained wrote, and send that.",
        ) from error
    return network


def effective(network: nn.Module, described: Described) -> dict[str, Any]:
    """Every key that the configuration was given or filled in itself: equal networks, equal keys."""
    values = {key: getattr(network.config, key) for key in described.family.keys if hasattr(network.config, key)}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in sorted(values.items())}


def pad_of(network: nn.Module) -> int | None:
    """The id that stands for no token, by the network's configuration."""
    value = getattr(network.config, "pad_token_id", None)
    return value if isinstance(value, int) else None


def vocabulary_of(network: nn.Module) -> int:
    """How many ids have an embedding."""
    config: Any = network.config
    return int(config.vocab_size)


def places_of(network: nn.Module, described: Described) -> int | None:
    """How many tokens a text may have, where the network has a table of places; None where it computes them."""
    config: Any = network.config
    if described.family.places is None:
        return None
    before = (pad_of(network) or 0) + 1 if described.family.places == "after padding" else 0
    return int(config.max_position_embeddings) - before
