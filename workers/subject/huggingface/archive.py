"""Which files are in a zip of a Hugging Face folder, and which of them are read?

Read: config.json, *.safetensors with their index, tokenizer.json, tokenizer_config.json, preprocessor_config.json.
Left out, with a note: what the network and its tokenizer.json do not need. Refused: Python code, pickled weights and
other frameworks' weights, because somebody put them there to be used, and none of them ever is.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

from workers.subject.archive import Archive, Caps
from workers.subject.huggingface.strict import read_object
from workers.subject.refusal import Refusal, quoted

CAPS = Caps(members=256, bytes=16 << 30, ratio=200, methods=frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}))
"""The ratio binds deflated members only in what they may grow to; weights hardly shrink."""
CONFIG, INDEX, TOKENIZER = "config.json", "model.safetensors.index.json", "tokenizer.json"
TOKENIZER_CONFIG, PREPROCESSOR = "tokenizer_config.json", "preprocessor_config.json"
CONFIG_BYTES, INDEX_BYTES, TOKENIZER_BYTES = 1 << 20, 8 << 20, 48 << 20
_SAVE = "Save it with model.save_pretrained(folder) and tokenizer.save_pretrained(folder), and send that folder."
_SHARD = re.compile(r"[\w.\-]{1,200}\.safetensors", re.ASCII)
_LEFT_OUT = re.compile(
    r"(special_tokens_map|generation_config|added_tokens|vocab|trainer_state|train_results|eval_results|all_results)\.json"
    r"|(vocab|merges|requirements)\.txt|(README|LICENSE|LICENCE|NOTICE|USE_POLICY)(\.(md|txt))?"
    r"|\.gitattributes|\.gitignore|chat_template\.(jinja|json)|(spiece|sentencepiece\.bpe|tokenizer)\.model"
    r"|[\w.\- ]{1,200}\.(md|png|jpe?g)",
    re.ASCII | re.IGNORECASE,
)
_REFUSED = {
    r".*\.(py|pyc|pyx|ipynb)": ("python-code", "Python code, which is never run"),
    r".*\.(bin|pt|pth|pkl|pickle|ckpt|joblib)": (
        "pickled-weights",
        "a Python pickle, which runs code when it is opened",
    ),
    r".*\.(h5|keras|pb|tflite)": ("other-framework", "TensorFlow weights, which are not read"),
    r".*\.(msgpack|npz|npy)": ("other-framework", "Flax weights, which are not read"),
    r".*\.(onnx|gguf|ggml|so|dll|dylib|ot)": ("other-framework", "another runtime's file, which is not read"),
}


def looks_like(names: Iterable[str]) -> bool:
    """Whether a zip of these members is a Hugging Face folder: config.json beside *.safetensors, one deep at most."""
    found = list(names)
    folders = {posixpath.dirname(name) for name in found if posixpath.basename(name) == CONFIG and name.count("/") <= 1}
    return any(name.endswith(".safetensors") and posixpath.dirname(name) in folders for name in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The members that are read, by what they are, and the names of what is left out.

    placed: which shard holds which tensor, as the index says; None where the folder has one file and no index.
    """

    root: str
    shards: tuple[str, ...]
    placed: dict[str, str] | None
    others: frozenset[str]
    left_out: tuple[str, ...]

    def path(self, name: str) -> str:
        """The member that holds the file `name` of the folder."""
        return self.root + name

    def __contains__(self, name: str) -> bool:
        return name in self.others


def content_of(archive: Archive, member: str, limit: int) -> bytes:
    """A small member whole. Raises Refusal where it has more than `limit` bytes."""
    if archive.sizes[member] > limit:
        raise Refusal(
            "too-large",
            f"file {quoted(member)} has {archive.sizes[member]:,} bytes; at most {limit:,} are read of one of its kind",
            _SAVE,
        )
    return archive.read(member, limit)


def folder_of(archive: Archive) -> Folder:
    """The folder in the archive, its index compared with the shards that are there. Raises Refusal."""
    root = _root(list(archive.sizes))
    shards, others, left_out = [], set(), []
    for member in archive.sizes:
        name = member[len(root) :]
        if not name or (name.endswith("/") and not archive.sizes[member]):
            continue  # an entry for a folder itself
        if "/" in name:
            left_out.append(_in_a_folder(name))
        elif name in (CONFIG, INDEX, TOKENIZER, TOKENIZER_CONFIG, PREPROCESSOR):
            others.add(name)
        elif _SHARD.fullmatch(name):
            shards.append(name)
        else:
            left_out.append(_left_out(name))
    for needed, there in ((CONFIG, CONFIG in others), ("*.safetensors", bool(shards))):
        if not there:
            raise Refusal("missing-member", f"the folder has no {needed}", _SAVE)
    if INDEX not in others:
        _without_index(shards)
    return Folder(
        root=root,
        shards=tuple(sorted(shards)),
        placed=_placed(archive, root, shards) if INDEX in others else None,
        others=frozenset(others),
        left_out=tuple(sorted(set(left_out))),
    )


def _root(members: list[str]) -> str:
    """The one folder all members lie in, as `name/`; empty when they lie at the top."""
    if any("/" not in member for member in members):
        return ""
    roots = {member.split("/", 1)[0] for member in members}
    if len(roots) != 1:
        raise Refusal("bad-layout", f"the archive has {len(roots)} top folders; a model has one", _SAVE)
    return roots.pop() + "/"


def _in_a_folder(name: str) -> str:
    """A file of a folder within the folder: never read; refused if it was meant to be used."""
    _refuse(name, posixpath.basename(name))
    return name.split("/", 1)[0] + "/"


def _left_out(name: str) -> str:
    _refuse(name, name)
    if not _LEFT_OUT.fullmatch(name):
        raise Refusal("unexpected-member", f"file {quoted(name)} does not belong in a folder of this kind", _SAVE)
    return name


def _refuse(name: str, base: str) -> None:
    for sign, (code, what) in _REFUSED.items():
        if re.fullmatch(sign, base, re.IGNORECASE | re.DOTALL):
            raise Refusal(
                code,
                f"file {quoted(name)} is {what}",
                "Take it out: the network must be a stock class of transformers, its weights in safetensors.",
            )


def _without_index(shards: list[str]) -> None:
    if len(shards) != 1:
        raise Refusal(
            "bad-layout",
            f"the folder has {len(shards)} safetensors files and no {INDEX} that says what is where",
            _SAVE,
        )


def _placed(archive: Archive, root: str, shards: list[str]) -> dict[str, str]:
    """Name of tensor to name of shard, as the index says; the shards are those that it names, all of them."""
    placed = read_object(content_of(archive, root + INDEX, INDEX_BYTES), INDEX).get("weight_map")
    if not isinstance(placed, dict) or not placed or not all(isinstance(shard, str) for shard in placed.values()):
        raise Refusal("bad-index", f"{INDEX} has no weight_map from names of tensors to names of files", _SAVE)
    named = sorted(set(placed.values()))
    for shard in named:
        if not _SHARD.fullmatch(shard):
            raise Refusal(
                "unsafe-member", f"{INDEX} names the file {quoted(shard)}, which is no plain name in the folder", _SAVE
            )
        if shard not in shards:
            raise Refusal("missing-member", f"{INDEX} names {quoted(shard)}, which is not in the folder", _SAVE)
    if extra := sorted(set(shards) - set(named)):
        raise Refusal("unexpected-member", f"file {quoted(extra[0])} is not named in {INDEX}", _SAVE)
    return placed
