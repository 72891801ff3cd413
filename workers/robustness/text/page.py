"""What does the documentation say of attacks on texts? The way is written by hand, the rest comes from the kind."""

from __future__ import annotations

from textwrap import fill
from typing import Any

from service.contracts.vocabulary import METRICS
from workers.robustness.text import controls
from workers.robustness.text.measurements import METRIC_NAMES
from workers.robustness.text.parameters import TextParameters
from workers.robustness.text.section import LIMITS, QUESTION, SOURCE, TITLE

_WIDE = 120
_HOW = """
Every example that is decided rightly without an attack meets every attack. At most `share` of its words (of swaps: of
its tokens) may change, and one always may.

1. **swaps** (HotFlip): one backward pass tells, to first order, how the margin of the decision would fall if the token
   `t` at a place were `v`, for all tokens `v` of the vocabulary: `-g . (E[v] - E[t])`. The best of each place are
   proposed, and the model is asked; a beam of the best texts goes on until one is decided otherwise. Tokens that the
   tokenizer adds, padding, marks between words, and tokens that a text is never given stay; a token takes the place of
   one that begins or goes on with a word as it does. **A text that is not tokenised as what was proposed is rejected,
   and counted.** Where the model reads ids and no texts are known, ids are swapped, and this is the only attack.
2. **characters**: words in the order of how much the margin falls when each is deleted; in each, one edit: two letters
   swapped, one dropped, one inserted, a Cyrillic letter that looks alike, a neighbour on the keyboard, another case, a
   space. The best candidate of a word is kept where it lowers the margin; what is not needed in the end is taken back.
   Outputs are all that is asked for: it works for black boxes.
3. **synonyms**: as characters, with the pairs of words of the parameter `synonyms`, either for the other. Where no
   text holds one of them, it is told as not applicable.

What breaks is stored, read back from its bytes, tokenised again, counted, and asked one by one by code that shares
nothing with the attacks. As many edits as an attack made, at drawn places and drawn themselves, are the comparison:
where they do half as well as the attack or better, a finding says so.

An example without a word that may change (an empty text) is set aside and named. A text longer than the model reads is
attacked in the part that is read. **Meaning is not verified.**
"""
_READ = """
| task | an example is broken where |
| --- | --- |
| classification, policy | another class is decided than the label, or than before where there are no labels |
| next_token, seq2seq | the token that follows the last one is another one than before |
"""
_OUTCOME = (
    (
        "Success by attack and of all together, with Wilson intervals; an upper bound on the robust accuracy; the"
        " median share of words or tokens changed in a broken example, with its bootstrap interval; forwards and"
        " gradients; drawn edits; the words that successful attacks changed; texts before and after."
    ),
    (
        "Artifacts: `arrays.safetensors` with `index` and `clean` of the examples, and of every success `broken_index`,"
        " `broken_most` (how many words or tokens may differ), `broken_tokens` (1 where tokens are counted),"
        " `broken_label` (-1: as before), `broken_ids`, and where there are texts `broken_text` (UTF-8, one behind the"
        " other) and `broken_end`; PNG pictures of the texts before and after."
    ),
)
_CONTROLS = {
    controls.PLANTED: "a model that decides by one word is broken by changing that word alone.",
    controls.CONSTANT: "a model that always answers alike is never broken.",
    controls.UNCHANGED: "the independent check refuses texts that are as they were.",
}
_FINDINGS = (
    "`recheck-refused` (failure): a stored text is not confirmed.",
    "`wrong-everywhere` (failure): nothing is right without an attack.",
    "`easily-broken` (warning): more than half is broken, beyond the interval.",
    "`chance-does-as-well` (warning): drawn edits break half as many, or more.",
    "`few-examples` (warning): fewer than 30.",
    (
        "`examples-set-aside`, `texts-at-the-limit`, `short-texts`, `no-labels`, `unknown-characters`,"
        " `candidates-rejected` (notes)."
    ),
)


def page() -> str:
    """The Markdown of docs/kinds/robustness_text.md."""
    parts = [
        f"# {TITLE}",
        "<!-- Written by `make catalog` from the kind itself. -->",
        _wrapped(f"**{QUESTION}**"),
        "## How texts are attacked",
        _HOW.strip("\n"),
        "## What counts as broken",
        _READ.strip("\n"),
        "## Parameters",
        _parameters(),
        "## Outcome",
        *map(_wrapped, _OUTCOME),
        "## Measurements",
        _measurements(),
        "## Controls",
        "\n".join(_item(f"**{which[0]}**: {_CONTROLS[which]}") for which in controls.RUNS),
        "## Findings",
        "\n".join(_item(each) for each in _FINDINGS),
        "## Limits",
        "\n".join(_item(each) for each in LIMITS),
        "## Source",
        _wrapped(f"{SOURCE}."),
    ]
    return "\n\n".join(parts) + "\n"


def _parameters() -> str:
    schema = TextParameters.model_json_schema()["properties"]
    rows = [f"| `{name}` | {_default(each['default'])} | {each['description']} |" for name, each in schema.items()]
    return "\n".join(["| name | default | meaning |", "| --- | --- | --- |", *rows])


def _default(value: Any) -> str:
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, list | tuple):
        return ", ".join(map(_default, value)) or "none"
    return f"{value}"


def _measurements() -> str:
    rows = [
        f"| `{name}` | {METRICS[name].unit} | {METRICS[name].direction} | {METRICS[name].denominator} |"
        for name in METRIC_NAMES
    ]
    return "\n".join(["| metric | unit | direction | denominator |", "| --- | --- | --- | --- |", *rows])


def _wrapped(text: str) -> str:
    return fill(text, _WIDE, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return fill(f"- {text}", _WIDE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
