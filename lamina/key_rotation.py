"""How does an operator change the key that signs? A new file, the old key's word for it, and the new one in its place.

In this order, so that whoever is cut off may begin again: a file that was made is taken up, a word that was given is
given again, and the old key is given up last.
"""

from dataclasses import dataclass
from pathlib import Path

from lamina.failure import Usage, needs

with needs("api", "this command"):
    from service.clock import Clock, SystemClock
    from service.evidence.keys import BadKey, SigningKeys
    from service.evidence.own_keys import key_file, keys_of
    from service.evidence.rotation import CannotSucceed, hand_over
    from service.evidence.succession import Succession
    from service.settings import Settings
    from service.store.database import Database


@dataclass(frozen=True, slots=True)
class Rotated:
    """The old key's word for the new; `file`: where the new key waits to be put in place by its operator."""

    word: Succession
    file: Path | None


def rotate(database: Database, settings: Settings, *, into: Path | None = None, clock: Clock | None = None) -> Rotated:
    """Let another key sign from now on. Raises `Usage` where there is no place for it, or it cannot take over."""
    kept = key_file(settings)
    if into is None and kept is None:
        raise Usage("the key is given by a setting: say with --into where the new one is to be written")
    waiting = into or (kept and kept.with_name("signing_key.next.pem"))
    assert waiting is not None, "one of them is there"
    try:
        retiring = keys_of(settings)
        if not waiting.exists():
            SigningKeys.made().keep(waiting)
        word = hand_over(
            database,
            retiring,
            SigningKeys.read(waiting.read_bytes(), str(waiting)),
            clock or SystemClock(),
        )
    except (BadKey, CannotSucceed) as error:
        raise Usage(str(error)) from error
    except OSError as error:
        raise Usage(f"{waiting} cannot be written or read: {error.strerror or error}") from error
    if into is not None:
        return Rotated(word, into)
    assert kept is not None, "or there would be no file to wait in"
    waiting.replace(kept)
    return Rotated(word, None)
