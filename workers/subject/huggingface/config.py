"""Which network does a config.json describe? Its type, its head and the keys that change a number; nothing else."""

from dataclasses import dataclass
from typing import Any

from workers.subject.huggingface.archive import CONFIG
from workers.subject.huggingface.families import FAMILIES, Family, Head
from workers.subject.huggingface.rules import Unfit, text, whole
from workers.subject.huggingface.strict import read_object
from workers.subject.refusal import Refusal, quoted

_SAVE = "Save the model with the stock class of transformers: model.save_pretrained(folder)."
_LABEL, _LABELS = text(256), 100_000
_REFUSED = {
    "auto_map": (
        "custom-code",
        "names Python code of the model's own, which is never run",
        "Save the network with the stock class of transformers it is a variant of, or export it with torch.export.",
    ),
    "quantization_config": (
        "quantized",
        "declares quantised weights, which are not read",
        "Send the weights before quantisation, or model.dequantize() saved as float32.",
    ),
    "compression_config": ("quantized", "declares compressed weights, which are not read", "Send them uncompressed."),
    "per_layer_config": ("config-key", "gives layers of their own kind, which are not read", _SAVE),
    "pruned_heads": ("config-key", "prunes attention heads, which is not read", "Export it with torch.export."),
}
_ATTENTION = frozenset(
    {"attn_implementation", "_attn_implementation", "_attn_implementation_internal", "_attn_implementation_autoset",
     "experts_implementation", "_experts_implementation_internal", "attn_config"}
)  # fmt: skip
_SILENT = frozenset(
    # how it was made, where it lay, what only training, generation or the writer's version read
    {
        "_name_or_path", "_commit_hash", "transformers_version", "torch_dtype", "dtype", "architectures",
        "model_type", "id2label", "label2id", "num_labels", "initializer_range", "initializer_factor",
        "initializer_cutoff_factor", "use_cache", "return_dict", "torchscript", "output_attentions",
        "output_hidden_states", "problem_type", "task_specific_params", "gradient_checkpointing", "finetuning_task",
        "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "dropout", "attention_dropout",
        "qa_dropout", "seq_classif_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop", "dropout_rate",
        "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj",
        "tie_word_embeddings", "n_ctx", "encoder_stride", "pooler_act", "pooler_output_size",
        "chunk_size_feed_forward", "out_features", "out_indices", "stage_names", "is_encoder_decoder", "dense_act_fn",
        "is_gated_act", "predict_special_tokens", "is_decoder", "bos_token_id", "eos_token_id", "sep_token_id",
        "cls_token_id", "mask_token_id", "decoder_start_token_id", "output_past", "sinusoidal_pos_embds",
    }
)  # fmt: skip
_TASKS: dict[Head, frozenset[str]] = {
    "classification": frozenset({"classification", "regression", "sequence", "score", "policy"}),
    "token_classification": frozenset({"sequence", "segmentation"}),
    "image_classification": frozenset({"classification", "regression", "score", "policy"}),
    "next_token": frozenset({"next_token", "generation"}),
    "seq2seq": frozenset({"seq2seq", "generation"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A network by its type, architecture and the keys handed to its configuration; `labels` in output order.

    outputs: how many labels its head has; None where the head gives the vocabulary.
    """

    model_type: str
    architecture: str
    keys: dict[str, Any]
    outputs: int | None
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        return FAMILIES[self.model_type]

    @property
    def head(self) -> Head:
        return self.family.heads[self.architecture]

    @property
    def pad(self) -> int | None:
        """The id that stands for no token, where the config names one."""
        value = self.keys.get("pad_token_id")
        return value if isinstance(value, int) and value >= 0 else None

    def plays(self, task: str) -> bool:
        """Whether a declared task is one that this head can be for."""
        return task in _TASKS[self.head]


def described(content: bytes) -> Described:
    """The network of a config.json. Raises Refusal with the key at fault and what it may hold."""
    found = read_object(content, CONFIG)
    for key, (code, what, remedy) in _REFUSED.items():
        if found.get(key):
            raise Refusal(code, f"{CONFIG}: {key} {what}", remedy)
    model_type, architecture = _kind(found)
    family = FAMILIES[model_type]
    keys, dropped = _keys(found, family)
    head = family.heads[architecture]
    labels = () if head in ("next_token", "seq2seq") else _labels(found)
    _consistent(keys, model_type, head)
    notes = []
    if any(key in _ATTENTION for key in found):
        notes.append(f"{CONFIG}: the choice of an attention implementation is dropped; attention is computed eagerly")
    if dropped:
        shown = ", ".join(quoted(key, 40) for key in dropped[:20]) + (", ..." if len(dropped) > 20 else "")
        notes.append(f"{CONFIG}: keys that a network of type {model_type} does not read are dropped: {shown}")
    return Described(
        model_type=model_type,
        architecture=architecture,
        keys=keys,
        outputs=len(labels) or None,
        labels=labels,
        notes=tuple(notes),
    )


def _kind(found: dict[str, Any]) -> tuple[str, str]:
    model_type, architectures = found.get("model_type"), found.get("architectures")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise Refusal(
            "model-type",
            f"{CONFIG}: model_type is {quoted(model_type)}; read are {', '.join(FAMILIES)}",
            "Export the network with torch.export (lamina export), which knows no types.",
        )
    heads = FAMILIES[model_type].heads
    if not isinstance(architectures, list) or len(architectures) != 1 or architectures[0] not in list(heads):
        raise Refusal(
            "architecture",
            f"{CONFIG}: architectures is {quoted(architectures)}; of type {model_type} are read {', '.join(heads)}",
            "Save it with one of these classes, or export it with torch.export (lamina export).",
        )
    return model_type, architectures[0]


def _keys(found: dict[str, Any], family: Family) -> tuple[dict[str, Any], list[str]]:
    """What the configuration is given, and the names of the keys that nothing reads."""
    keys: dict[str, Any] = {}
    dropped = []
    for key, value in found.items():
        own = family.aliases.get(key, key)
        if own in family.keys:
            read = _read(key, value, family)
            if own in keys and keys[own] != read:
                raise _unfit(key, value, f"what {own} is, which is the same key")
            keys[own] = read
        elif key not in _SILENT and key not in _ATTENTION and key not in _REFUSED:
            dropped.append(key)
    return dict(sorted(keys.items())), sorted(dropped)


def _read(key: str, value: Any, family: Family) -> Any:
    try:
        return family.keys[family.aliases.get(key, key)](value)
    except Unfit as unfit:
        raise _unfit(key, value, str(unfit)) from unfit


def _unfit(key: str, value: Any, wanted: str) -> Refusal:
    return Refusal("config-key", f"{CONFIG}: {key} is {quoted(value)}; it must be {wanted}", _SAVE)


def _labels(found: dict[str, Any]) -> tuple[str, ...]:
    """Names of the outputs: id2label, or LABEL_0, LABEL_1, ... as transformers calls those without names."""
    count = found.get("num_labels")
    names = found.get("id2label")
    if names is None:
        try:
            return tuple(f"LABEL_{at}" for at in range(2 if count is None else whole(1, _LABELS)(count)))
        except Unfit as unfit:
            raise _unfit("num_labels", count, str(unfit)) from unfit
    if not isinstance(names, dict) or not 1 <= len(names) <= _LABELS:
        raise _unfit("id2label", names, f"an object of 1 to {_LABELS:,} names by their number")
    if set(names) != {str(at) for at in range(len(names))}:
        raise _unfit("id2label", sorted(names)[:8], f"numbered from 0 to {len(names) - 1} without a gap")
    if count is not None and count != len(names):
        raise _unfit("num_labels", count, f"{len(names)}, the number of names in id2label")
    try:
        return tuple(_LABEL(names[str(at)]) for at in range(len(names)))
    except Unfit as unfit:
        raise _unfit("id2label", "a name", str(unfit)) from unfit


def _consistent(keys: dict[str, Any], model_type: str, head: Head) -> None:
    """What the classes would find only while they run, or not at all."""
    vocabulary = keys.get("vocab_size")
    for name in ("pad_token_id", "decoder_start_token_id"):
        value = keys.get(name)
        if value == -1:
            keys[name] = None  # how some tools write that there is none
        elif value is not None and vocabulary is not None and value >= vocabulary:
            raise _unfit(name, value, f"below vocab_size, {vocabulary:,}")
    if (
        head == "classification"
        and model_type in ("gpt2", "llama", "mistral", "qwen2")
        and keys.get("pad_token_id") is None
    ):
        raise Refusal(
            "config-key",
            f"{CONFIG}: pad_token_id is missing; a {model_type} classifier finds the last token of a text by it",
            "Set model.config.pad_token_id (often to the end-of-text token) and save the model again.",
        )
