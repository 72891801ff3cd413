"""Files that attack whoever reads a Hugging Face folder: its code, its config, its tensors, its tokenizer, its zip.

Known ways in: pickled weights, auto_map and kernels named in a config (CVE-2026-4372), sizes beyond memory, headers
that lie, expressions and replacements of a tokenizer that never end, names that lead elsewhere.
"""

import base64
import io
import json
import pickle
import stat
import struct
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.hostile.harness import MARKER, OUTSIDE, PYTHON, SECRET, Hostile, port
from tests.hostile.huggingface_files import (
    CONFIG,
    SHAPES,
    TOKENIZER,
    VOCABULARY,
    WIDTH,
    Build,
    Members,
    added,
    config,
    facts,
    headed,
    header,
    numbers,
    packed,
    sound,
    tokenizer,
    weights,
    without,
)  # fmt: skip

Found = Iterator[tuple[str, Build, str | tuple[str, ...] | None]]
CONFIG_KEY, TENSORS, JSON = "config-key", "bad-safetensors", "bad-json"


def cases() -> Iterator[Hostile]:
    """By the part of the folder that is hostile."""
    for part in (_sound, _code, _config, _sizes, _json, _index, _headers, _tensors, _tokenizers, _others, _zips):
        for name, build, code in part():
            yield Hostile(name=f"a folder with {name}", build=build, facts=facts(), code=code)


class Payload:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (PYTHON,))


def _sound() -> Found:
    """What all others are made of comes in: their refusals are for what was changed."""
    yield "nothing hostile in it", packed(sound), None
    yield "nothing hostile in it, deflated", packed(sound, zipfile.ZIP_DEFLATED), None


def _code() -> Found:
    python = f"import os\n{PYTHON}\nclass GPT2LMHeadModel: pass\n".encode()
    for name in ("modeling_gpt2.py", "code/modeling.py", "setup.PY", "x.pyc", "notebook.ipynb"):
        yield f"Python code as {name}", added(**{name: python}), "python-code"
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "old/rng_state.pth", "x.pkl", "m.joblib"):
        yield f"a pickle as {name}", added(**{name: pickle.dumps(Payload())}), "pickled-weights"
    for name in ("tf_model.h5", "flax_model.msgpack", "model.onnx", "libpayload.so", "model.gguf", "weights.npz"):
        yield f"another framework's file {name}", added(**{name: b"\x7fELF" + bytes(64)}), "other-framework"
    yield "a pickle in place of its weights", added(**{"model.safetensors": pickle.dumps(Payload())}), TENSORS
    yield "a pickle in place of its config", added(**{"config.json": pickle.dumps(Payload())}), JSON
    yield "a pickle in place of its tokenizer", added(**{"tokenizer.json": pickle.dumps(Payload())}), JSON
    yield "a shell script beside its weights", added(**{"install.sh": f"touch {OUTSIDE}".encode()}), "unexpected-member"


def _config() -> Found:
    for where in ("modeling_evil.Evil", "https://127.0.0.1/x--m.Evil", "../evil--m.Evil"):
        named = {"AutoConfig": where, "AutoModelForCausalLM": where}
        yield f"an auto_map to {where[:12]}", config(auto_map=named), "custom-code"
    yield "a class of its own", config(architectures=["os.system"]), "architecture"
    yield "two classes", config(architectures=["GPT2LMHeadModel", "GPT2ForSequenceClassification"]), "architecture"
    yield "a class of another type", config(architectures=["T5ForConditionalGeneration"]), "architecture"
    yield "a list in place of its class", config(architectures=[["GPT2LMHeadModel"]]), "architecture"
    yield "no class", config(architectures=None), "architecture"
    for name in ("evil", "../gpt2", "gpt2\n", "timm_wrapper", "__class__", "lightglue"):
        yield f"the model type {name.strip()!r}", config(model_type=name), "model-type"
    yield "a dictionary as its model type", config(model_type={"gpt2": 1}), "model-type"
    for value in ("kernels-community/evil", f"http://127.0.0.1:1/{MARKER}", {"": "evil/repo"}, "flash_attention_2"):
        for key in ("_attn_implementation", "attn_implementation", "_attn_implementation_internal"):
            yield f"{key} naming {str(value)[:24]}", config(**{key: value}), None
    for method in ("bitsandbytes", "gptq", "torchao", "fp8"):
        yield f"weights quantised by {method}", config(quantization_config={"quant_method": method}), "quantized"
    yield "layers of their own kind", config(per_layer_config={"0": {"n_head": 1}}), CONFIG_KEY
    yield "heads to prune", config(pruned_heads={"0": [0]}), CONFIG_KEY
    trusting = {"trust_remote_code": True, "custom_pipelines": {"x": {"impl": "evil.Evil"}}}
    yield "trust_remote_code in its config", config(**trusting), None
    yield "paths of this machine in its config", config(_name_or_path=str(SECRET), backbone=str(SECRET)), None
    yield "a backbone from the hub", config(use_timm_backbone=True, backbone="evil/evil", use_pretrained=True), None
    for value in ("__import__('os')", "gelu_new\n", "xielu", ["gelu"], "torch.os.system", None):
        yield f"the activation {value!r}", config(activation_function=value), CONFIG_KEY
    for name in ("__class__", "__init__", "to_dict", "__post_init__", "attribute_map", "sub_configs"):
        yield f"a config key called {name}", config(**{name: {"x": "y"}}), None
    yield "generation settings that are code", config(generation_config={"_from_model_config": PYTHON}), None
    yield "a hostile name for an output", config(id2label={"0": "<script>alert(1)</script>"}), None
    yield (
        "a remote class for its tokenizer",
        added(**{"tokenizer_config.json": json.dumps({"auto_map": {"AutoTokenizer": ["evil.E", None]}}).encode()}),
        "custom-code",
    )
    yield (
        "a chat template that runs",
        added(**{"tokenizer_config.json": b'{"chat_template": "{{ cycler.__init__.__globals__.os.system(1) }}"}'}),
        None,
    )


def _sizes() -> Found:
    huge = {
        "n_layer": 10**9, "n_embd": 10**9, "n_inner": 10**9, "vocab_size": 10**12, "n_positions": 2**62,
        "n_head": 10**6,
    }  # fmt: skip
    for key, value in huge.items():
        yield f"{key} of {value:,}", config(**{key: value}), CONFIG_KEY
    yield "layers the files do not hold", config(n_layer=200), ("missing-tensor", "budget")
    yield "a vocabulary the files do not hold", config(vocab_size=1_900_000), ("too-large", "budget", "tensor-shape")
    yield "a table of a million places", config(n_positions=1 << 20), ("budget", "tensor-shape")
    yield "a width that is no multiple of its heads", config(n_head=3), CONFIG_KEY
    for value in (0, -1, True, "4", 4.5, [4], {"n": 4}, None):
        yield f"n_layer of {value!r}", config(n_layer=value), CONFIG_KEY
    yield "a padding that has no embedding", config(pad_token_id=VOCABULARY), CONFIG_KEY
    yield "a negative epsilon", config(layer_norm_epsilon=-1.0), CONFIG_KEY


def _json() -> Found:
    body = json.dumps(CONFIG)
    texts = {
        "a key twice": body[:-1] + ', "model_type": "bert"}',
        "a key twice, once escaped": body[:-1] + ', "\\u006dodel_type": "bert"}',
        "NaN": body[:-1] + ', "layer_norm_epsilon": NaN}',
        "Infinity": body[:-1] + ', "layer_norm_epsilon": Infinity}',
        "a number beyond a double": body[:-1] + ', "layer_norm_epsilon": 1e999}',
        "a number of a hundred digits": body[:-1] + f', "n_layer": {"9" * 100}}}',
        "a number of a hundred thousand digits": body[:-1] + f', "n_layer": {"9" * 100_000}}}',
        "lists a thousand deep": body[:-1] + ', "x": ' + "[" * 1000 + "]" * 1000 + "}",
        "lists a hundred thousand deep": body[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "objects forty deep": body[:-1] + ', "x": ' + '{"a":' * 40 + "1" + "}" * 40 + "}",
        "half of a surrogate pair": body[:-1] + ', "x": "\\ud800"}',
        "a comment": body[:-1] + "/* */}",
        "a list for a config": f"[{body}]",
        "nothing for a config": "",
        "a text after it": body + body,
    }
    for name, text in texts.items():
        yield f"{name} in its config", added(**{"config.json": text.encode()}), JSON
    yield "a config that is not UTF-8", added(**{"config.json": body.encode("utf-16")}), JSON
    yield "a config of megabytes", added(**{"config.json": b" " * (2 << 20) + body.encode()}), "too-large"


def _indexed(placed: Any, **files: bytes) -> Build:
    def members() -> Members:
        found = sound()
        index = {"metadata": {"total_size": 1}, "weight_map": placed}
        return {**found, "model.safetensors.index.json": json.dumps(index).encode(), **files}

    return packed(members)


def _index() -> Found:
    whole = dict.fromkeys(SHAPES, "model.safetensors")
    for shard in ("../model.safetensors", "/etc/passwd", "a/model.safetensors", "..\\model.safetensors", "model.bin",
                  "file:///model.safetensors", "model.safetensors\n", ""):  # fmt: skip
        yield f"an index to {shard[:24]!r}", _indexed({**whole, next(iter(SHAPES)): shard}), "unsafe-member"
    yield "an index to a file that is not there", _indexed(dict.fromkeys(SHAPES, "other.safetensors")), "missing-member"
    yield "an index without a map", _indexed(None), "bad-index"
    yield "an index whose map is a list", _indexed(list(SHAPES)), "bad-index"
    yield "an index of numbers", _indexed(dict.fromkeys(SHAPES, 1)), "bad-index"
    missing = {**whole, "transformer.h.1.ln_1.weight": "model.safetensors"}
    yield "an index of a tensor that is nowhere", _indexed(missing), "bad-index"
    fewer = {name: shard for name, shard in whole.items() if "wpe" not in name}
    yield "an index that leaves out a tensor", _indexed(fewer), "bad-index"
    second = {"model-2.safetensors": weights({"transformer.wte.weight": (VOCABULARY, WIDTH)})}
    twice = {**whole, "transformer.wte.weight": "model-2.safetensors"}
    yield "a tensor in two of its files", _indexed(twice, **second), ("duplicate-tensor", "bad-index")
    yield "a file no index names", _indexed(whole, **second), "unexpected-member"
    yield "two files and no index", added(**second), "bad-layout"


def _headers() -> Found:
    body = b"".join(numbers(shape, at) for at, shape in enumerate(SHAPES.values()))
    for name, length in (("an exabyte", 1 << 60), ("all ones", (1 << 64) - 1), ("nothing", 0), ("a gigabyte", 1 << 30)):
        content = struct.pack("<Q", length) + b"{}" + body
        yield f"a header that claims {name}", added(**{"model.safetensors": content}), TENSORS
    for name, text in (
        ("deep lists", b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"), ("a list", b"[]"), ("no JSON", b"{'a': 1}"),
        ("a name twice", b'{"a": 1, "a": 2}'), ("a number of many digits", b'{"a": ' + b"9" * 9999 + b"}"),
    ):  # fmt: skip
        yield f"{name} as a header", added(**{"model.safetensors": header(text) + body}), TENSORS
    yield "seven bytes of weights", added(**{"model.safetensors": b"1234567"}), TENSORS
    yield "no bytes of weights", added(**{"model.safetensors": b""}), TENSORS
    first = "transformer.wte.weight"
    changes: dict[str, dict[str, Any]] = {
        "a tensor of a terabyte": {"shape": [1 << 20, 1 << 18]},
        "a tensor whose size overflows": {"shape": [1 << 40, 1 << 40]},
        "a tensor of negative size": {"shape": [-VOCABULARY, -WIDTH]},
        "a tensor that ends before it begins": {"data_offsets": [192, 0]},
        "a tensor that lies elsewhere": {"data_offsets": [1 << 40, (1 << 40) + 192]},
        "a tensor at a negative place": {"data_offsets": [-192, 0]},
        "tensors that overlap": {"data_offsets": [4, 196]},
        "a tensor of true by true": {"shape": [True, True]},
        "a tensor of unknown numbers": {"dtype": "F128"},
        "a tensor of objects": {"dtype": "object"},
        "a tensor of a list as dtype": {"dtype": ["F32"]},
        "a tensor with more to say": {"pickle": True},
        "a tensor of a hundred axes": {"shape": [1] * 100},
        "a tensor of numbers as text": {"shape": ["12", "4"]},
    }
    for name, change in changes.items():
        yield name, headed(lambda value, change=change: value[first].update(change)), TENSORS
    yield "a gap between tensors", added(**{"model.safetensors": weights() + bytes(8)}), TENSORS


def _tensors() -> Found:
    def shaped(**changes: tuple[int, ...]) -> Build:
        return added(**{"model.safetensors": weights({**SHAPES, **changes})})

    yield "a tensor of another shape", shaped(**{"transformer.wte.weight": (WIDTH, VOCABULARY)}), "tensor-shape"
    yield "a tensor of no axes", shaped(**{"transformer.ln_f.bias": ()}), "tensor-shape"
    yield "a tensor of an unknown layer", shaped(**{"transformer.h.9.ln_1.bias": (WIDTH,)}), "unknown-tensor"
    hostile = ("__class__", "../../etc/passwd", "a" * 5000, "\u202egpj.exe", "<img src=x>", "transformer.h.0.forward")
    for name in hostile:
        yield f"a tensor called {name[:16]!r}", shaped(**{name: (1,)}), "unknown-tensor"
    yield "a tensor of two names", shaped(**{"wte.weight": (VOCABULARY, WIDTH)}), "duplicate-tensor"
    fewer = {name: shape for name, shape in SHAPES.items() if "mlp" not in name}
    yield "tensors left out", added(**{"model.safetensors": weights(fewer)}), "missing-tensor"

    def filled(number: bytes) -> Build:
        return packed(lambda: {**sound(), "model.safetensors": sound()["model.safetensors"][: -len(number)] + number})

    yield "NaN among its weights", filled(struct.pack("<f", float("nan"))), "weights-not-finite"
    yield "infinity among its weights", filled(struct.pack("<f", float("-inf"))), "weights-not-finite"
    yield "weights of thirty-eight digits", filled(struct.pack("<f", 3e38)), None
    for dtype, size in (("I8", 1), ("F8_E4M3", 1), ("F64", 8), ("BOOL", 1), ("U16", 2)):
        length = VOCABULARY * WIDTH * size

        def typed(dtype: str = dtype, length: int = length) -> Members:
            shapes = {name: shape for name, shape in SHAPES.items() if name != "transformer.wte.weight"}
            at = len(weights(shapes)) - 8 - int.from_bytes(weights(shapes)[:8], "little")
            value = json.loads(weights(shapes)[8 : len(weights(shapes)) - at])
            value["transformer.wte.weight"] = {
                "dtype": dtype, "shape": [VOCABULARY, WIDTH], "data_offsets": [at, at + length],
            }  # fmt: skip
            return {**sound(), "model.safetensors": header(value) + weights(shapes)[-at:] + bytes(length)}

        yield f"embeddings stored as {dtype}", packed(typed), "tensor-dtype"


def _tokenizers() -> Found:
    def split(regex: str) -> Build:
        part = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
        return tokenizer(lambda value: value.update(pre_tokenizer=part))

    for regex in (r"(a+)+$", r"(.*)*\1x", r"(?=(a+))a*b\1", r"\p{L}{1,99999}{1,99999}", r"(?<n>\g<n>)", "(" * 5000):
        yield f"the expression {regex[:16]} in its tokenizer", split(regex), "tokenizer"
    swollen = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 60}
    several = {"type": "Sequence", "normalizers": [swollen] * 16}
    yield "replacements that swell a text", tokenizer(lambda value: value.update(normalizer=several)), "tokenizer"
    long = {"type": "Replace", "pattern": {"String": "e"}, "content": "e" * 1_000_000}
    yield "one replacement of a million characters", tokenizer(lambda value: value.update(normalizer=long)), "tokenizer"
    empty = {"type": "Replace", "pattern": {"String": ""}, "content": "aa"}
    yield "a replacement of nothing", tokenizer(lambda value: value.update(normalizer=empty)), "tokenizer"
    deep: dict[str, Any] = {"type": "Lowercase"}
    for _ in range(9):
        deep = {"type": "Sequence", "normalizers": [deep]}
    yield "sequences within sequences", tokenizer(lambda value: value.update(normalizer=deep)), "tokenizer"
    for kind in ("Python", "Custom", "__class__", None, ["Lowercase"]):
        yield (
            f"a normalizer of type {kind!r}",
            tokenizer(lambda value, kind=kind: value.update(normalizer={"type": kind})),
            "tokenizer",
        )
    yield (
        "a normalizer table that is no base64",
        tokenizer(lambda value: value.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "%" * 64})),
        "tokenizer",
    )
    table = struct.pack("<I", 1024) + struct.pack("<256I", *((at * 2654435761) % (1 << 32) for at in range(256)))
    wild = base64.b64encode(table + b"a\0b\0").decode()
    for name, text in (
        ("short", "AAAA"), ("long by its word", "/////w" + "A" * 400 + "=="), ("of letters", "QUJD" * 10_000),
        ("wild", wild),
    ):  # fmt: skip
        yield (
            f"a normalizer table that is {name}",
            tokenizer(
                lambda value, text=text: value.update(normalizer={"type": "Precompiled", "precompiled_charsmap": text})
            ),
            None if name == "wild" else "tokenizer",  # what it leads astray for is found in no text of the inspection
        )
    vocab = TOKENIZER["model"]["vocab"]
    for ident in (VOCABULARY, 1 << 31, -1, 1.5, True, "3"):
        yield (
            f"a piece with the id {ident!r}",
            tokenizer(lambda value, ident=ident: value["model"].update(vocab={**vocab, "x": ident})),
            ("tokenizer-ids", "tokenizer"),
        )
    yield (
        "an added token without an id",
        tokenizer(lambda value: value["added_tokens"][0].pop("id")),
        "tokenizer",
    )
    nothing = {"type": "Replace", "content": "a"}
    yield (
        "a replacement of it does not say what",
        tokenizer(lambda value: value.update(normalizer=nothing)),
        "tokenizer",
    )
    yield (
        "an added token without an embedding",
        tokenizer(
            lambda value: value["added_tokens"].append({**value["added_tokens"][0], "id": 999_999, "content": "<x>"})
        ),
        "tokenizer-ids",
    )
    yield (
        "an added token whose id is another's",
        tokenizer(lambda value: value["added_tokens"].append({**value["added_tokens"][0], "id": 3, "content": "<x>"})),
        None,
    )
    yield (
        "many added tokens",
        tokenizer(
            lambda value: value.update(
                added_tokens=[{**value["added_tokens"][0], "id": at, "content": f"<{at}>"} for at in range(30_000)]
            )
        ),
        "tokenizer",
    )
    yield (
        "an id without an embedding in its template",
        tokenizer(lambda value: value["post_processor"]["special_tokens"]["<pad>"].update(ids=[10_000])),
        "tokenizer",
    )
    yield (
        "a template that repeats a text",
        tokenizer(lambda value: value["post_processor"].update(single=[{"Sequence": {"id": "A", "type_id": 0}}] * 32)),
        "tokenizer",
    )
    yield (
        "a template of more tokens than a text has",
        tokenizer(lambda value: value["post_processor"].update(single=value["post_processor"]["single"][:1] * 20)),
        "text-length",
    )
    yield "merges dropped at random", tokenizer(lambda value: value["model"].update(dropout=0.5)), "tokenizer"
    yield "merges of unknown pieces", tokenizer(lambda value: value["model"].update(merges=[["q", "z"]])), "tokenizer"
    yield "merges of three pieces", tokenizer(lambda value: value["model"].update(merges=["t h e"])), "tokenizer"
    yield "words without end", tokenizer(
        lambda value: value.update(
            model={"type": "WordPiece", "unk_token": "<pad>", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 10**9, "vocab": vocab}
        )
    ), "tokenizer"  # fmt: skip
    yield (
        "an unknown token it does not have",
        tokenizer(
            lambda value: value.update(
                model={"type": "WordLevel", "unk_token": "nope", "vocab": vocab}, pre_tokenizer=None
            )
        ),
        "tokenizer",
    )
    yield (
        "scores that are no numbers",
        tokenizer(
            lambda value: value.update(model={"type": "Unigram", "unk_id": 0, "vocab": [["a", "1"], ["b", None]]})
        ),
        "tokenizer",
    )
    yield (
        "an unknown piece beyond its pieces",
        tokenizer(
            lambda value: value.update(model={"type": "Unigram", "unk_id": 7, "vocab": [["a", -1.0], ["b", -2.0]]})
        ),
        "tokenizer",
    )
    yield "a model that is a file", tokenizer(lambda value: value.update(model="/etc/passwd")), "tokenizer"
    yield "a vocabulary that is a file", tokenizer(lambda value: value["model"].update(vocab=str(SECRET))), "tokenizer"
    yield (
        "a piece of a million characters",
        tokenizer(lambda value: value["model"].update(vocab={**vocab, "x" * 1_000_000: 8})),
        "tokenizer",
    )
    yield (
        "a tokenizer nested deep",
        added(**{"tokenizer.json": b'{"normalizer": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"}),
        JSON,
    )
    yield (
        "half of a surrogate pair in its pieces",
        added(**{"tokenizer.json": json.dumps(TOKENIZER).replace('"th": 7', '"\\udc80": 7').encode()}),
        JSON,
    )
    yield "a tokenizer of sixty megabytes", added(**{"tokenizer.json": b" " * (60 << 20)}), "too-large"


def _others() -> Found:
    for key, value in (("size", 10**9), ("image_mean", ["x"]), ("rescale_factor", "1/255"), ("do_resize", "yes")):
        content = json.dumps({key: value, "image_processor_type": "os.system"}).encode()
        yield f"a preprocessor whose {key} is {value!r}", added(**{"preprocessor_config.json": content}), "preprocessor"
    yield (
        "a preprocessor of its own code",
        added(**{"preprocessor_config.json": b'{"auto_map": {"AutoImageProcessor": "evil.E"}}'}),
        None,
    )
    yield (
        "an address in its config",
        packed(
            lambda: {**sound(), "config.json": json.dumps({**CONFIG, "base": f"http://127.0.0.1:{port()}/x"}).encode()}
        ),
        None,
    )


def _zips() -> Found:
    either = ("unsafe-member", "unexpected-member", "corrupt-archive")
    for name in ("../config.json", "/config.json", "a/../../x.json", "C:\\x.json", "x\x00.json"):
        yield f"a member called {name!r}", added(**{name: b"{}"}), either

    def twice(path: Path) -> None:
        packed(sound)(path)
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as file:
            warnings.simplefilter("ignore")  # zipfile warns of the name that is there already
            file.writestr("config.json", json.dumps({**CONFIG, "n_head": 1}))

    yield "two configs of one name", twice, "duplicate-member"

    def linked(name: str, target: str) -> Build:
        def build(path: Path) -> None:
            members = {each: content for each, content in sound().items() if each != name}
            packed(lambda: members)(path)
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            with zipfile.ZipFile(path, "a") as file:
                file.writestr(info, target)

        return build

    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        yield f"a link in place of {name}", linked(name, str(SECRET)), "unsafe-member"

    def bomb(path: Path) -> None:
        packed(lambda: {**sound(), "tokenizer.json": b" " * (40 << 20)}, zipfile.ZIP_DEFLATED)(path)

    yield "a tokenizer that inflates a thousandfold", bomb, "archive-bomb"

    def flat(path: Path) -> None:
        packed(lambda: {**sound(), "model.safetensors": weights() + bytes(64 << 20)}, zipfile.ZIP_DEFLATED)(path)

    yield "weights that inflate a thousandfold", flat, "archive-bomb"
    many = {f"notes-{at}.md": b"x" for at in range(400)}
    yield "hundreds of members", packed(lambda: {**sound(), **many}), ("too-many-members", "unexpected-member")
    yield (
        "no config of its own level",
        packed(lambda: {"a/config.json": b"{}", **{f"b/{name}": content for name, content in sound().items()}}),
        "bad-layout",
    )

    def nested() -> Members:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as file:
            file.writestr("config.json", "{}")
        return {**sound(), "more.zip": inner.getvalue()}

    yield "a zip within it", packed(nested), "unexpected-member"

    def damaged(path: Path) -> None:
        packed(sound)(path)
        content = bytearray(path.read_bytes())
        at = content.index(b"ln_f.weight") + 400
        content[at] ^= 0xFF
        path.write_bytes(bytes(content))

    yield "a byte changed on the way", damaged, ("corrupt-archive", TENSORS)
    yield "no weights at all", without("model.safetensors"), ("not-a-pt2", "missing-member", "hf-config", "not-a-model")
