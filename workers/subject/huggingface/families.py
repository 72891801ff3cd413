"""Which networks are read? Model types, their heads, and every key of their configs that changes a number.

What a key may hold is bounded before anything is built: sizes by what an audited network can be, names by closed
lists. A key that is not here is not handed on, whatever it says. Source: the configuration classes, transformers 5.23.
"""

from dataclasses import dataclass
from typing import Literal

from workers.subject.huggingface.rules import Rule, either, flag, maybe, named, number, one_of, only, several, whole

Head = Literal["classification", "token_classification", "image_classification", "next_token", "seq2seq"]

ACTIVATION = one_of(
    "gelu", "gelu_fast", "gelu_new", "gelu_python", "gelu_pytorch_tanh", "hardswish", "leaky_relu", "linear", "mish",
    "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu", "swish", "tanh",
)  # fmt: skip
VOCABULARY = whole(1, 2_000_000)
POSITIONS = whole(1, 1 << 20)
_WIDTH, _WIDER = whole(1, 1 << 15), whole(1, 1 << 18)
_LAYERS, _HEADS = whole(1, 256), whole(1, 1024)
_SIDE = either(whole(1, 8192), several(whole(1, 8192), 2))
_EPSILON = number(0, 1)
_TOKEN = maybe(whole(-1, 2_000_000))
_TOKENS = maybe(either(whole(-1, 2_000_000), several(whole(-1, 2_000_000), 16)))
_NOT_A_DECODER = {"is_decoder": only(expected=False), "add_cross_attention": only(expected=False)}
_SPECIAL = {"pad_token_id": _TOKEN, "bos_token_id": _TOKEN, "eos_token_id": _TOKENS}
_THETA = number(1, 1e12)
_FACTOR = number(1e-3, 1e6)
_ROPE = named(
    {
        "rope_type": one_of("default", "linear", "llama3", "yarn"),
        "type": one_of("default", "linear", "llama3", "yarn"),
        "rope_theta": _THETA,
        "factor": _FACTOR,
        "original_max_position_embeddings": POSITIONS,
        "low_freq_factor": _FACTOR,
        "high_freq_factor": _FACTOR,
        "attention_factor": _FACTOR,
        "beta_fast": _FACTOR,
        "beta_slow": _FACTOR,
        "mscale": _FACTOR,
        "mscale_all_dim": _FACTOR,
        "truncate": flag,
    }
)

_ATTENDED = (
    "its attention multiplies and normalises by functions, not by modules, so rules that go by module type would miss"
    " part of every path"
)
_PRETRAINING = (
    r"cls\.(predictions|seq_relationship)\..*|lm_head\..*|qa_outputs\..*|vocab_(transform|layer_norm|projector)\..*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One model type.

    module: the folder of its code within transformers.models. config: the name of its configuration class.
    heads: architecture, which is the name of a class there, to what it answers.
    keys: what is handed to the configuration. aliases: transformers' general names for some of them.
    base: the prefix that checkpoints without a head lack. renamed: patterns of names in files to names of layers.
    unused: tensors of files that the network does not have and does not need. image: reads pictures, else token ids.
    places: what its table of places keeps for itself: nothing, the padding and what is before it, or there is no table.
    type_based: see Loaded.
    """

    module: str
    config: str
    heads: dict[str, Head]
    keys: dict[str, Rule]
    aliases: dict[str, str]
    base: str
    renamed: tuple[tuple[str, str], ...] = ()
    unused: str
    image: bool = False
    places: Literal["all", "after padding"] | None = None
    type_based: str | None = _ATTENDED


_LEGACY = ((r"LayerNorm\.gamma$", "LayerNorm.weight"), (r"LayerNorm\.beta$", "LayerNorm.bias"))
_ENCODER: dict[str, Rule] = {
    "vocab_size": VOCABULARY,
    "hidden_size": _WIDTH,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "intermediate_size": _WIDER,
    "hidden_act": ACTIVATION,
    "max_position_embeddings": POSITIONS,
    "type_vocab_size": whole(1, 1 << 10),
    "layer_norm_eps": _EPSILON,
    "position_embedding_type": only(expected="absolute"),
    **_SPECIAL,
    **_NOT_A_DECODER,
}
_LLAMA: dict[str, Rule] = {
    "vocab_size": VOCABULARY,
    "hidden_size": _WIDTH,
    "intermediate_size": _WIDER,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": maybe(_HEADS),
    "head_dim": maybe(whole(1, 1 << 12)),
    "hidden_act": ACTIVATION,
    "max_position_embeddings": POSITIONS,
    "rms_norm_eps": _EPSILON,
    "tie_word_embeddings": flag,
    "rope_parameters": maybe(_ROPE),
    "rope_scaling": maybe(_ROPE),
    "rope_theta": _THETA,
    **_SPECIAL,
}
_LLAMA_UNUSED = r".*rotary_emb\.inv_freq"


def _of(prefix: str, generates: str | None = None) -> dict[str, Head]:
    heads: dict[str, Head] = {
        f"{prefix}ForSequenceClassification": "classification",
        f"{prefix}ForTokenClassification": "token_classification",
    }
    return heads | ({generates: "next_token"} if generates else {})


FAMILIES: dict[str, Family] = {
    "bert": Family(
        module="bert",
        config="BertConfig",
        heads=_of("Bert"),
        keys=_ENCODER,
        aliases={},
        base="bert",
        places="all",
        renamed=_LEGACY,
        unused=rf"bert\.embeddings\.(position|token_type)_ids|bert\.pooler\..*|{_PRETRAINING}",
    ),
    "distilbert": Family(
        module="distilbert",
        config="DistilBertConfig",
        heads=_of("DistilBert"),
        keys={
            "vocab_size": VOCABULARY,
            "max_position_embeddings": POSITIONS,
            "n_layers": _LAYERS,
            "n_heads": _HEADS,
            "dim": _WIDTH,
            "hidden_dim": _WIDER,
            "activation": ACTIVATION,
            **_SPECIAL,
        },
        aliases={"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"},
        base="distilbert",
        places="all",
        renamed=_LEGACY,
        unused=rf"distilbert\.embeddings\.position_ids|{_PRETRAINING}",
    ),
    "roberta": Family(
        module="roberta",
        config="RobertaConfig",
        heads=_of("Roberta"),
        keys=_ENCODER,
        aliases={},
        base="roberta",
        places="after padding",
        renamed=_LEGACY,
        unused=rf"roberta\.embeddings\.(position|token_type)_ids|roberta\.pooler\..*|{_PRETRAINING}",
    ),
    "vit": Family(
        module="vit",
        config="ViTConfig",
        heads={"ViTForImageClassification": "image_classification"},
        keys={
            "hidden_size": _WIDTH,
            "num_hidden_layers": _LAYERS,
            "num_attention_heads": _HEADS,
            "intermediate_size": _WIDER,
            "hidden_act": ACTIVATION,
            "layer_norm_eps": _EPSILON,
            "image_size": _SIDE,
            "patch_size": _SIDE,
            "num_channels": whole(1, 1024),
            "qkv_bias": flag,
        },
        aliases={},
        base="vit",
        renamed=(
            (r"^vit\.encoder\.layer\.", "vit.layers."),
            (r"\.attention\.attention\.query\.", ".attention.q_proj."),
            (r"\.attention\.attention\.key\.", ".attention.k_proj."),
            (r"\.attention\.attention\.value\.", ".attention.v_proj."),
            (r"\.attention\.output\.dense\.", ".attention.o_proj."),
            (r"\.intermediate\.dense\.", ".mlp.fc1."),
            (r"\.output\.dense\.", ".mlp.fc2."),
        ),
        unused=r"vit\.pooler\..*",
        image=True,
    ),
    "resnet": Family(
        module="resnet",
        config="ResNetConfig",
        heads={"ResNetForImageClassification": "image_classification"},
        keys={
            "num_channels": whole(1, 1024),
            "embedding_size": whole(1, 1 << 14),
            "hidden_sizes": several(whole(1, 1 << 14), 8),
            "depths": several(whole(1, 128), 8),
            "layer_type": one_of("basic", "bottleneck"),
            "hidden_act": ACTIVATION,
            "downsample_in_first_stage": flag,
            "downsample_in_bottleneck": flag,
        },
        aliases={},
        base="resnet",
        unused=r"(?!)",
        image=True,
        type_based=None,
    ),
    "gpt2": Family(
        module="gpt2",
        config="GPT2Config",
        heads=_of("GPT2", "GPT2LMHeadModel"),
        keys={
            "vocab_size": VOCABULARY,
            "n_positions": POSITIONS,
            "n_embd": _WIDTH,
            "n_layer": _LAYERS,
            "n_head": _HEADS,
            "n_inner": maybe(_WIDER),
            "activation_function": ACTIVATION,
            "layer_norm_epsilon": _EPSILON,
            "scale_attn_weights": flag,
            "scale_attn_by_inverse_layer_idx": flag,
            "reorder_and_upcast_attn": only(expected=False),
            "add_cross_attention": only(expected=False),
            "tie_word_embeddings": flag,
            **_SPECIAL,
        },
        aliases={
            "hidden_size": "n_embd",
            "max_position_embeddings": "n_positions",
            "num_attention_heads": "n_head",
            "num_hidden_layers": "n_layer",
        },
        base="transformer",
        places="all",
        unused=r"transformer\.h\.\d+\.attn\.(bias|masked_bias)",
    ),
    "llama": Family(
        module="llama",
        config="LlamaConfig",
        heads=_of("Llama", "LlamaForCausalLM"),
        keys={**_LLAMA, "attention_bias": flag, "mlp_bias": flag, "pretraining_tp": maybe(whole(1, 64))},
        aliases={},
        base="model",
        unused=_LLAMA_UNUSED,
    ),
    "mistral": Family(
        module="mistral",
        config="MistralConfig",
        heads=_of("Mistral", "MistralForCausalLM"),
        keys={**_LLAMA, "sliding_window": maybe(POSITIONS)},
        aliases={},
        base="model",
        unused=_LLAMA_UNUSED,
    ),
    "qwen2": Family(
        module="qwen2",
        config="Qwen2Config",
        heads=_of("Qwen2", "Qwen2ForCausalLM"),
        keys={
            **_LLAMA,
            "use_sliding_window": flag,
            "sliding_window": maybe(POSITIONS),
            "max_window_layers": whole(0, 1024),
            "layer_types": maybe(several(one_of("full_attention", "sliding_attention"), 256)),
        },
        aliases={},
        base="model",
        unused=_LLAMA_UNUSED,
    ),
    "t5": Family(
        module="t5",
        config="T5Config",
        heads={"T5ForConditionalGeneration": "seq2seq"},
        keys={
            "vocab_size": VOCABULARY,
            "d_model": _WIDTH,
            "d_kv": whole(1, 1 << 12),
            "d_ff": _WIDER,
            "num_layers": _LAYERS,
            "num_decoder_layers": maybe(_LAYERS),
            "num_heads": _HEADS,
            "relative_attention_num_buckets": whole(2, 1 << 12),
            "relative_attention_max_distance": whole(2, 1 << 16),
            "layer_norm_epsilon": _EPSILON,
            "feed_forward_proj": either(ACTIVATION, one_of("gated-gelu", "gated-silu", "gated-relu", "gated-gelu_new")),
            "is_encoder_decoder": only(expected=True),
            "tie_word_embeddings": flag,
            "scale_decoder_outputs": flag,
            "decoder_start_token_id": _TOKEN,
            **_SPECIAL,
        },
        aliases={"hidden_size": "d_model", "num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"},
        base="",
        unused=r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
    ),
}
