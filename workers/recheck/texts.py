"""Are texts that are stored as broken what they are said to be? Read back, tokenised and asked one by one.

Shares no line with what made them. Words are counted as changed by what a longest common subsequence leaves out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workers.recheck.recheck import Rechecked
from workers.recheck.stored import Unreadable, arrays
from workers.subject.subject import Subject

Array = NDArray[Any]
_WORD = re.compile(r"\w+")
_NEXT = ("next_token", "seq2seq")


@dataclass(frozen=True, slots=True, eq=False)
class _Stored:
    """index: of the example. most: words or tokens that may differ. tokens: whether tokens are what is counted. label:
    the class that it must not be given, -1 for the one that the example itself is given. ids: (m, T); texts: none where
    only ids are known."""

    index: Array
    most: Array
    tokens: Array
    label: Array
    ids: Array
    texts: tuple[str, ...] | None


def recheck_texts(subject: Subject, data: bytes, *, role: str = "evaluation", position: int = 0) -> Rechecked:
    """Each stored example of `data`, the bytes of a safetensors file: index, most, tokens, label (m,), ids (m, T), and
    where there are texts `text` (bytes, UTF-8, one behind the other) and `end` (m,), where each ends.

    position: which input the ids are. Raises Unreadable where the arrays do not belong together.
    """
    stored, refused = _read(data), []
    for at, index in enumerate(stored.index.tolist()):
        why = _illegal(subject, stored, at, role, position) or _denied(subject, stored, at, role, position)
        if why is not None:
            refused.append((int(index), why))
    n = len(stored.index)
    return Rechecked(n=n, confirmed=n - len(refused), refused=tuple(refused))


def _read(data: bytes) -> _Stored:
    found = arrays(data)
    names = ("index", "most", "tokens", "label", "ids")
    if any(name not in found for name in names):
        raise Unreadable(f"there are only {', '.join(sorted(found)) or 'no'} arrays, where {', '.join(names)} are due")
    n, texts = len(found["index"]), None
    if "text" in found:
        ends = [0, *found["end"].tolist()]
        whole = found["text"].astype(np.uint8).tobytes()
        texts = tuple(whole[a:b].decode("utf-8") for a, b in pairwise(ends))
    if any(len(found[name]) != n for name in names) or (texts is not None and len(texts) != n):
        raise Unreadable(f"the arrays are not of {n} examples each")
    return _Stored(**{name: found[name] for name in names}, texts=texts)


def _illegal(subject: Subject, stored: _Stored, at: int, role: str, position: int) -> str | None:
    """What is wrong with the text or ids themselves, or None."""
    examples, index = subject.examples[role], int(stored.index[at])
    own = np.asarray((examples.inputs, *examples.further)[position][index].cpu().numpy())
    ids = stored.ids[at]
    differ = int((own != ids).sum())
    if differ == 0:
        return "it is what the network reads of the example itself"
    if stored.tokens[at] and differ > stored.most[at]:
        return f"{differ} tokens differ, where {int(stored.most[at])} may"
    if stored.texts is None or examples.texts is None or subject.tokenizer is None:
        return None
    again = np.asarray(subject.tokenizer.encode([stored.texts[at]], len(own))[0][0].numpy())
    if not np.array_equal(again, ids):
        return "its text is tokenised as other ids than are stored"
    changed = words_changed(examples.texts[index], stored.texts[at])
    if not stored.tokens[at] and changed > stored.most[at]:
        return f"{changed} words differ, where {int(stored.most[at])} may"
    return None


def _denied(subject: Subject, stored: _Stored, at: int, role: str, position: int) -> str | None:
    """What the network says against the claim that it decides otherwise, or None."""
    index = int(stored.index[at])
    text = None if stored.texts is None else stored.texts[at]
    found = _decided(subject, role, index, position, stored.ids[at], text)
    if found is None:
        return "the network's output for it is not finite"
    label = int(stored.label[at])
    own = label if label >= 0 else _decided(subject, role, index, position, None, None)
    return f"the network alone still decides for {own}" if found == own else None


def _decided(subject: Subject, role: str, index: int, position: int, ids: Array | None, text: str | None) -> int | None:
    """The class of one example with these ids, or of the example itself; None where the output is not finite."""
    examples = subject.examples[role]
    rows = [each[index : index + 1].clone() for each in (examples.inputs, *examples.further)]
    if ids is not None:
        rows[position] = torch.from_numpy(ids.copy())[None].to(rows[position])
    if text is not None and subject.tokenizer is not None:
        for place, each in enumerate(subject.tokenizer.encode([text], rows[0].shape[1])[: len(rows)]):
            rows[place] = each.to(rows[place])
    asked = rows if (size := subject.manifest.batch) is None else [
        each.expand(size, *each.shape[1:]).contiguous() for each in rows
    ]  # fmt: skip
    with torch.no_grad():
        output = subject.model(*(each.to(subject.device) for each in asked))
    if isinstance(output, tuple | list):
        output = output[0]
    one = np.asarray(output[0].detach().double().cpu().numpy())
    if subject.facts.task in _NEXT and one.ndim > 1:
        one = one[_last(subject, rows)]
    if not np.isfinite(one).all():
        return None
    if one.size == 1:
        return int(one.reshape(()) > (0.5 if subject.facts.output.kind == "probabilities" else 0.0))
    return int(one.argmax())


def _last(subject: Subject, rows: list[torch.Tensor]) -> int:
    """The place of the last token that is no padding, of the ids that the next token follows."""
    at = 0
    if subject.facts.task == "seq2seq":
        at = max(place for place, each in enumerate(rows) if not each.is_floating_point() and not _switch(each))
    if at + 1 < len(rows) and rows[at + 1].shape == rows[at].shape and _switch(rows[at + 1]):
        return int(rows[at + 1][0].nonzero().max())
    there = [place for place, each in enumerate(rows[at][0].tolist()) if each != subject.pad]
    return max(there, default=0)


def _switch(ids: torch.Tensor) -> bool:
    """Whether it holds nothing but 0 and 1, as masks do."""
    return bool(((ids == 0) | (ids == 1)).all())


def words_changed(before: str, after: str) -> int:
    """How many words of `before` are not kept, in order, in `after`."""
    ours, theirs = _WORD.findall(before), _WORD.findall(after)
    longest = np.zeros((len(ours) + 1, len(theirs) + 1), dtype=np.int64)
    for i, one in enumerate(ours, 1):
        for j, other in enumerate(theirs, 1):
            same = longest[i - 1, j - 1] + 1 if one == other else 0
            longest[i, j] = max(same, longest[i - 1, j], longest[i, j - 1])
    return len(ours) - int(longest[-1, -1])
