"""How long are an analysis' files kept? Until no rule asks for them any more; then their bytes go, and the log says so.

Two classes (the others are rows, and rows are never deleted): `log`, what a run left behind, from its end on, for as
long as the operator says and never less than the floor; `doc`, what a report rests on, ten years from the last use of
the model that it is about. Files of reports themselves are not given up at all.
A legal hold beats every time there is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

LOG_FLOOR = timedelta(days=183)
"""Six months: the least that logs are kept (Regulation (EU) 2024/1689, Articles 19(1) and 26(6))."""
DOC = timedelta(days=3653)
"""Ten years, three of them leap years: how long technical documentation is kept (the same, Article 18)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """Bytes that analyses left behind, and what may still ask for them.

    `ended_at`: when the last of those analyses ended; `documented_at`: the last use of a model whose report rests on
    one of them, if any does; `in_use`: whether a baseline in force or an analysis yet to end reads them; `held`:
    whether a legal hold forbids that they go.
    """

    digest: str
    size: int
    artifacts: tuple[UUID, ...]
    ended_at: datetime
    documented_at: datetime | None
    in_use: bool
    held: bool

    @property
    def kept_as(self) -> str:
        """The class it is kept under."""
        return "log" if self.documented_at is None else "doc"

    def until(self, log: timedelta) -> datetime | None:
        """When it may go, where logs are kept for `log`; None while something uses or holds it."""
        if self.in_use or self.held:
            return None
        documented = self.ended_at if self.documented_at is None else self.documented_at + DOC
        return max(self.ended_at + log, documented)


def due(files: Iterable[KeptFile], now: datetime, log: timedelta) -> list[KeptFile]:
    """Those whose time is over. Raises ValueError where logs would be kept for less than the floor."""
    if log < LOG_FLOOR:
        raise ValueError(f"logs are kept for {LOG_FLOOR.days} days at least; {log.days} were asked for")
    return [file for file in files if (until := file.until(log)) is not None and until <= now]


def too_early(given_up_at: datetime, ended_at: datetime) -> bool:
    """Whether bytes went before the floor allows it, whatever the setting was at that time."""
    return given_up_at < ended_at + LOG_FLOOR
