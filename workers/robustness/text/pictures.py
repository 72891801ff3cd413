"""Which words changed? The text before and after, with what changed on a dark ground."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from workers.pictures.layers import LayerLine
from workers.pictures.words import MOST_TOKENS, token_lines
from workers.robustness.text.case import Case
from workers.robustness.text.found import Found

_SPACED = re.compile(r"\S+")
_MEANING = "a dark ground: this word is not in the other text"


def pictures(case: Case, shown: Sequence[Found]) -> dict[str, bytes]:
    """By name, two for each example: before and after. None of ids, whose table says the same."""
    if case.texts is None:
        return {}
    made = {}
    for each in shown:
        before, after = (_SPACED.findall(text)[:MOST_TOKENS] for text in (case.texts[each.index], each.text or ""))
        if before and after:
            made[f"text_{each.index}_before.png"] = _one("before", before, after)
            made[f"text_{each.index}_after.png"] = _one("after", after, before)
    return made


def _one(name: str, words: Sequence[str], others: Sequence[str]) -> bytes:
    known = set(others)
    changed = torch.tensor([float(each not in known) for each in words])
    return token_lines(words, [LayerLine(name, changed)], "1 where it changed", meaning=_MEANING)
