"""How does a customer's `.pt2` become a network? Rewritten as data, and only then loaded.

torch.export.load runs code from at least a dozen places of a crafted file (pickles, evaluated expressions, compiled
names, native libraries), so it never sees the customer's bytes. `rewrite` copies the program, its weights and its
constants into a new archive and nothing else; `load` reads that archive back as modules with their own names.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators of operators.QUANTISED
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, InputKind, InputSpec
from torch.export.passes import move_to_device_pass
from torch.utils import _pytree as pytree

from workers.subject.archive import PT2_CAPS, Archive, Writer, opened
from workers.subject.by_type import why_not
from workers.subject.conditional import inline
from workers.subject.digest import digest_of_file
from workers.subject.network import Loaded, Rewritten
from workers.subject.outputs import Chosen, named
from workers.subject.payload import Payloads, payloads
from workers.subject.program import MAX_JSON, check_schema, parsed, rewritten, written
from workers.subject.refusal import Refusal, in_words, out_of_memory, quoted
from workers.subject.rehydrate import rehydrate

REWRITER = "lamina.pt2/1"
_ROOT = "model"
_AGAIN = "Export the model again from its source (torch 2.9 to 2.13, torch.export.save)."
_CONVERT = (
    "Export the model again with torch 2.9 or newer; or, where you trust the file, convert it there:"
    ' torch.export.save(torch.export.load("old.pt2"), "new.pt2").'
)
_MODEL = re.compile(r"models/([A-Za-z0-9_\-]{1,64})\.json")
_PAYLOAD = re.compile(r"data/weights/weight_\d{1,6}|data/constants/tensor_\d{1,6}")
_CONFIG = re.compile(r"data/(weights|constants)/[A-Za-z0-9_\-]{1,64}_(weights|constants)_config\.json")
_DROPPED = re.compile(
    r"data/sample_inputs/.*|extra/.*|archive_format|archive_version|byteorder|\.data/.*|version|.*/", re.DOTALL
)


def rewrite(source: Path, target: Path) -> Rewritten:
    """Copies program, weights and constants of the `.pt2` at `source` into a new archive at `target`.

    Equal programs and weights give equal bytes, whatever else the source held. Weights stream through in chunks.
    Raises Refusal naming the part and the remedy.
    """
    with opened(source, PT2_CAPS, "a .pt2 file") as archive:
        root, name, dropped = _members(archive)
        program = parsed(archive.read(f"{root}/models/{name}.json", MAX_JSON), f"models/{name}.json")
        torch_version = check_schema(program)
        weights = payloads(archive, root, "weights", f"{name}_weights_config.json")
        constants = payloads(archive, root, "constants", f"{name}_constants_config.json")
        _little_endian(archive, root)
        body, notes = rewritten(program)
        with Writer(target, _ROOT) as writer:
            for key, content in (("archive_format", b"pt2"), ("archive_version", b"0"), (".data/version", b"6\n")):
                writer.add_bytes(key, content)
            writer.add_bytes("byteorder", b"little")
            writer.add_bytes("models/model.json", written(body))
            writer.add_bytes("data/sample_inputs/model.pt", b"")  # torch asks for the member and takes none for empty
            _copy(archive, writer, root, "weights", weights)
            _copy(archive, writer, root, "constants", constants)
    if dropped:
        notes += (f"not read and not kept: {', '.join(dropped)}",)
    return Rewritten(digest=digest_of_file(target), rewriter=REWRITER, torch_version=torch_version, notes=notes)


def _members(archive: Archive) -> tuple[str, str, list[str]]:
    """The root folder, the model's name and the members that are dropped; anything unforeseen is refused."""
    roots = {member.split("/", 1)[0] for member in archive.sizes}
    if len(roots) != 1:
        raise Refusal("bad-layout", f"the archive has {len(roots)} top folders; a .pt2 has one", _AGAIN)
    (root,) = roots
    names, dropped = [], set()
    for member in archive.sizes:
        inner = member[len(root) + 1 :]
        model = _MODEL.fullmatch(inner)
        if model:
            names.append(model[1])
        elif _DROPPED.fullmatch(inner) and inner:
            if not inner.startswith((".data", "archive_", "byteorder", "version")) and not inner.endswith("/"):
                dropped.add("/".join(inner.split("/")[:2]) if inner.startswith("data/") else inner.split("/", 1)[0])
        elif inner and not _PAYLOAD.fullmatch(inner) and not _CONFIG.fullmatch(inner):
            raise _unexpected(inner)
    if len(names) != 1:
        raise Refusal("bad-layout", f"the archive holds {len(names)} models; send one per file", _AGAIN)
    return root, names[0], sorted(dropped)


def _unexpected(inner: str) -> Refusal:
    if inner.startswith(("data/constants/custom_obj_", "data/constants/opaque_obj_")):
        return Refusal(
            "custom-object",
            f"member {quoted(inner)} is a custom or opaque object, which runs code when it is read",
            "Export a model whose constants are plain tensors.",
        )
    if re.fullmatch(r"data/(weights|constants)/[\w\-]{1,64}\.pt", inner):
        return Refusal(
            "pickled-weights",
            f"member {quoted(inner)} is a pickle of weights, as torch 2.8 wrote them, which runs code when read",
            _CONVERT,
        )
    if inner.startswith("data/aotinductor/"):
        return Refusal("compiled-code", f"member {quoted(inner)} is compiled code, which is never loaded", _AGAIN)
    return Refusal("unexpected-member", f"member {quoted(inner)} does not belong in a .pt2 file", _AGAIN)


def _little_endian(archive: Archive, root: str) -> None:
    member = f"{root}/byteorder"
    if member in archive.sizes and archive.read(member, 64).strip() != b"little":
        raise Refusal("byte-order", "the weights are not little-endian", "Export the model on a little-endian machine.")


def _copy(archive: Archive, writer: Writer, root: str, folder: str, found: Payloads) -> None:
    for path in sorted(found.files, key=lambda name: int(name.rsplit("_", 1)[1])):
        archive.copy(f"{root}/data/{folder}/{path}", writer, f"data/{folder}/{path}")
    writer.add_bytes(f"data/{folder}/model_{folder}_config.json", written(found.config))


def load(canonical: Path, device: str = "cpu") -> Loaded:
    """The network of an archive that `rewrite` wrote. Never call it on anything else.

    Its inputs are taken by position, also those that were exported by keyword or inside a list or dict.
    Raises Refusal when torch cannot read it, or when it does not map tensors to at least one floating-point tensor.
    """
    with _explained("read"):
        program = torch.export.load(canonical)
        if device != "cpu":
            program = move_to_device_pass(program, device)
    with _explained("turned into modules"):
        return _modules(program)


def _modules(program: ExportedProgram) -> Loaded:
    """The program as modules with the names they had where it was written."""
    inputs, batch = _inputs(program)
    inlined = inline(program)
    model: nn.Module = torch.export.unflatten(program)
    model.eval()
    _compiled(model)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        tensor.requires_grad = False
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            _only_expected_infinities(name, tensor)
    outputs = _outputs(program)
    chosen = next((at for at, tensor in enumerate(outputs) if tensor.is_floating_point()), None)
    if chosen is None:
        raise Refusal(
            "no-output", "the model gives no floating-point tensor", "Export a model that returns its logits or values."
        )
    model.register_forward_hook(Chosen(_position(program, chosen)))
    _take_by_position(model, program)
    rehydrated, notes = rehydrate(model, inputs)
    return Loaded(
        model=model, program=program, inputs=inputs, outputs=outputs, chosen=chosen,
        batch=inlined.batch or batch, rehydrated=rehydrated, type_based=why_not(model), names=_names(program),
        notes=(*inlined.notes, *notes),
    )  # fmt: skip


def _compiled(model: nn.Module) -> None:
    """Runs each module by the Python that torch.fx makes of it, rather than node by node.

    Hooks fire the same and numbers are the same; a pass of a small transformer takes 0.5 ms instead of 4.4 ms.
    """
    for module in model.modules():
        if isinstance(vars(module).get("graph_module"), torch.fx.GraphModule):
            vars(module)["_run_with_interpreter"] = False
            vars(module)["graph_module"].recompile()  # calls of shared modules were renamed after it was made


def _only_expected_infinities(name: str, tensor: Tensor) -> None:
    """Attention masks are buffers of -inf; NaN anywhere, or an infinite parameter, makes every number meaningless."""
    if isinstance(tensor, nn.Parameter) or bool(torch.isnan(tensor).any()):
        raise Refusal(
            "weights-not-finite",
            f"{quoted(name)} holds NaN or infinite numbers",
            "The model has diverged or is damaged: train it again, or export an earlier checkpoint.",
        )


class _Arguments:
    """A hook before the whole network that puts its tensors where the forward takes them, beside its constants."""

    def __init__(self, spec: pytree.TreeSpec, leaves: tuple[Any, ...]) -> None:
        self._spec, self._leaves = spec, leaves

    def __call__(self, _module: nn.Module, tensors: tuple[Any, ...], _keywords: Any) -> Any:
        given = iter(tensors)
        return pytree.tree_unflatten([next(given) if leaf is _TENSOR else leaf for leaf in self._leaves], self._spec)


_TENSOR = Ellipsis  # no constant of a program, and still itself in a copy of the hook


def _take_by_position(model: nn.Module, program: ExportedProgram) -> None:
    leaves = tuple(
        spec.arg.value if isinstance(spec.arg, ConstantArgument) else _TENSOR for spec in _input_specs(program)
    )
    spec = program.call_spec.in_spec
    if spec != pytree.tree_structure((leaves, {})) or any(leaf is not _TENSOR for leaf in leaves):
        model.register_forward_pre_hook(_Arguments(spec, leaves), with_kwargs=True)


def _input_specs(program: ExportedProgram) -> list[InputSpec]:
    return [spec for spec in program.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]


def _user_values(program: ExportedProgram, names: Any) -> list[Any]:
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    return [values.get(name) if isinstance(name, str) else None for name in names]


def _inputs(program: ExportedProgram) -> tuple[tuple[Tensor, ...], int | None]:
    """The inputs in the order of the forward, without data, and the batch size if it is fixed."""
    names = [spec.arg.name for spec in _input_specs(program) if not isinstance(spec.arg, ConstantArgument)]
    found = _user_values(program, names)
    tensors = tuple(value for value in found if isinstance(value, Tensor))
    if not tensors or len(tensors) != len(found):
        raise Refusal(
            "inputs",
            f"of the model's {len(found)} inputs, {len(tensors)} are tensors; one or more tensors are read, and nothing"
            " else",
            "Export a model whose forward takes tensors; fix numbers in its code or as buffers.",
        )
    if any(tensor.ndim == 0 for tensor in tensors):
        raise Refusal("inputs", "an input of the model has no axes", "The first axis of every input must be the batch.")
    sizes = [tensor.shape[0] for tensor in tensors]
    fixed = {size for size in sizes if isinstance(size, int)}
    if len(fixed) > 1 or (fixed and not all(isinstance(size, int) for size in sizes)):
        shown = ", ".join(str(size) if isinstance(size, int) else "open" for size in sizes)
        raise Refusal(
            "inputs",
            f"the first axes of the model's inputs are {shown}: they are not all the batch",
            "Export it so that the first axis of every input is the batch, open for all of them or the same size.",
        )
    return tensors, fixed.pop() if fixed else None


def _outputs(program: ExportedProgram) -> tuple[Tensor, ...]:
    found = _user_values(program, program.graph_signature.user_outputs)
    return tuple(value for value in found if isinstance(value, Tensor))


def _names(program: ExportedProgram) -> tuple[str, ...]:
    """What the output tensors are called."""
    found = _user_values(program, program.graph_signature.user_outputs)
    names = named(program.call_spec.out_spec)
    return tuple(name for name, value in zip(names, found, strict=True) if isinstance(value, Tensor))


def _position(program: ExportedProgram, chosen: int) -> int:
    """Where the chosen tensor stands among all outputs, numbers and None included."""
    found = _user_values(program, program.graph_signature.user_outputs)
    return [at for at, value in enumerate(found) if isinstance(value, Tensor)][chosen]


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """torch.export logs the real reason and raises a general one; the real one goes into the refusal."""
    heard: list[BaseException] = []
    handler = _Heard(heard)
    logger = logging.getLogger("torch.export")
    propagates, logger.propagate = logger.propagate, False
    handlers, logger.handlers = logger.handlers, [handler]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Refusal:
        raise
    except Exception as error:  # whatever torch raises on a file means that the file cannot be read
        if out_of_memory(error):
            raise
        detail = f"the program cannot be {what} by torch {torch.__version__}: {in_words(heard[-1] if heard else error)}"
        raise Refusal("not-loadable", detail, _AGAIN) from error
    finally:
        logger.handlers, logger.propagate = handlers, propagates


class _Heard(logging.Handler):
    def __init__(self, heard: list[BaseException]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self._heard.append(record.exc_info[1])
