"""What did one attack find of one example?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor

from pydantic import JsonValue
from torch import Tensor

from workers.robustness.text.case import Case

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Change:
    """before, after: as they read. place: the number of the word, or the position of the token."""

    before: str
    after: str
    place: int


@dataclass(frozen=True, slots=True)
class Found:
    """of: how many words or tokens the example has, most: how many of them may change. changes: those that did; none
    where it was not broken. decided: what it was then taken for, -1 if not broken. ids: what the network reads then.
    """

    index: int
    attack: str
    of: int
    most: int
    changes: tuple[Change, ...] = ()
    decided: int = -1
    text: str | None = None
    ids: tuple[int, ...] = ()
    forwards: int = 0
    gradients: int = 0
    proposed: int = 0
    rejected: int = 0

    @classmethod
    def none(cls, case: Case, index: int, attack: str) -> Found:
        """Not broken, and nothing asked yet."""
        of = max(1, case.tokens(index) if attack == "swaps" else case.all_words(index))
        return cls(index, attack, of, max(1, floor(case.parameters.share * of + _ROUNDING)))

    @property
    def broken(self) -> bool:
        """Whether the decision changed."""
        return self.decided >= 0

    @property
    def share(self) -> float:
        """Of the words or tokens, those that changed."""
        return len(self.changes) / self.of

    def asked(self, forwards: int, gradients: int, proposed: int, rejected: int) -> Found:
        """The same with its counts."""
        return replace(self, forwards=forwards, gradients=gradients, proposed=proposed, rejected=rejected)

    def breaking(self, changes: tuple[Change, ...], decided: int, *, text: str | None, ids: Tensor) -> Found:
        """The same, broken."""
        return replace(self, changes=changes, decided=decided, text=text, ids=tuple(ids.tolist()))

    def as_json(self) -> dict[str, JsonValue]:
        """What is passed on; the ids are kept as an array."""
        return {
            "index": self.index, "attack": self.attack, "of": self.of, "most": self.most, "decided": self.decided,
            "changes": [[each.before, each.after, each.place] for each in self.changes], "text": self.text,
            "ids": list(self.ids), "forwards": self.forwards, "gradients": self.gradients, "proposed": self.proposed,
            "rejected": self.rejected,
        }  # fmt: skip

    @classmethod
    def from_json(cls, given: dict[str, JsonValue]) -> Found:
        """The same as `as_json` wrote it."""
        rest = {name: value for name, value in given.items() if name not in ("changes", "ids")}
        changes, ids = given["changes"], given["ids"]
        assert isinstance(changes, list)
        assert isinstance(ids, list)
        return cls(
            **rest, changes=tuple(Change(*each) for each in changes), ids=tuple(ids)  # type: ignore[arg-type, misc]  # JSON of our own
        )  # fmt: skip
