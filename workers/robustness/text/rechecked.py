"""Which arrays hold what broke, and are they confirmed by what shares nothing with the attacks?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from safetensors.torch import save
from torch import Tensor

from workers.recheck.recheck import Rechecked
from workers.recheck.texts import recheck_texts
from workers.robustness.text.case import Case
from workers.robustness.text.found import Found

MOST_ASKED = 500
"""Stored examples that are asked again, one by one."""


def stored(case: Case, broken: Sequence[Found]) -> dict[str, Tensor]:
    """What is kept of every success, by attack and example."""
    labels = [int(case.labels[each.index]) if case.labelled else -1 for each in broken]
    made = {
        "index": torch.tensor([each.index for each in broken], dtype=torch.int64),
        "most": torch.tensor([each.most for each in broken], dtype=torch.int64),
        "tokens": torch.tensor([each.attack == "swaps" for each in broken], dtype=torch.uint8),
        "label": torch.tensor(labels, dtype=torch.int64),
        "ids": torch.tensor([each.ids for each in broken], dtype=torch.int64).reshape(len(broken), case.length),
    }
    if case.texts is not None:
        written = [(each.text or "").encode() for each in broken]
        made["text"] = torch.frombuffer(bytearray(b"".join(written)), dtype=torch.uint8) if written else torch.empty(
            0, dtype=torch.uint8
        )  # fmt: skip
        made["end"] = torch.tensor([len(each) for each in written], dtype=torch.int64).cumsum(0)
    return made


def rechecked(case: Case, broken: Sequence[Found]) -> Rechecked:
    """Of the first MOST_ASKED of them."""
    if not broken:
        return Rechecked(n=0, confirmed=0, refused=())
    return recheck_texts(case.subject, save(stored(case, broken[:MOST_ASKED])), position=case.position)
