"""Why is there no surrogate of this example? Every refusal is permanent and names the remedy."""

from __future__ import annotations


class NoSurrogate(ValueError):
    """No right number can be given here; `detail` says what failed, `remedy` what to change."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(f"{detail}. {remedy}")
        self.detail, self.remedy = detail, remedy
