"""Are the kept public keys what their ids say, and did each vouch for the one that came after it?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.evidence.keys import key_id_of
from service.evidence.rotation import succession_of
from service.evidence.succession import Succession, trusted_after
from service.store.tables_compliance import SigningKey

GRACE = timedelta(days=1)
"""How long a process that was not restarted may go on signing with a key that has retired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of a database; `rows` by id, `public` their raw halves, `words` what they said of one another."""

    rows: Mapping[str, SigningKey]
    public: Mapping[str, bytes]
    words: Mapping[str, Succession]

    @classmethod
    def of(cls, session: Session) -> "Keys":
        """The keys that the database holds."""
        rows = {row.id: row for row in session.scalars(select(SigningKey))}
        words = {}
        for name, row in rows.items():
            if row.succeeds is not None:
                try:
                    words[name] = succession_of(row)
                except ValueError:
                    continue  # a fault, named where they are
        return cls(rows=rows, public={name: row.public_key for name, row in rows.items()}, words=words)

    def faults(self) -> Iterator[tuple[str, str]]:
        """The id of each key that is not what it was, and what is wrong."""
        followed = {row.succeeds for row in self.rows.values()}
        for name, row in sorted(self.rows.items()):
            if key_id_of(row.public_key) != name:
                yield name, "it is not the key that its id says: it was changed"
            if row.succeeds is not None or row.vouched is not None:
                yield from self._follows(name, row)
            if row.retired_at is not None and name not in followed:
                yield name, "it has retired, and no key follows it"

    def led_to_by(self, trusted: Mapping[str, bytes]) -> dict[str, bytes]:
        """The keys trusted, and those that they vouched for."""
        return trusted_after(trusted, self.words.values())

    def retired_before(self, name: str, at: datetime) -> bool:
        """Whether a key had retired when it signed, beyond the grace that processes have."""
        retired = self.rows[name].retired_at if name in self.rows else None
        return retired is not None and at > retired + GRACE

    def _follows(self, name: str, row: SigningKey) -> Iterator[tuple[str, str]]:
        before = self.rows.get(row.succeeds or "")
        word = self.words.get(name)
        if before is None:
            yield name, "the key that it is said to follow is not here"
        elif word is None or not word.holds(self.public):
            yield name, "the key that it is said to follow did not vouch for it: it was changed"
        elif before.retired_at != row.created_at:
            yield before.id, f"it did not retire when {name} took over: it was changed"
