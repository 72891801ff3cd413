"""Which key is this service's? (Apart from keys.py, which is read where no service is installed.)"""

from pathlib import Path

from service.evidence.keys import FILE, SigningKeys
from service.settings import Settings
from service.store.secrets import secrets_folder


def keys_of(settings: Settings) -> SigningKeys:
    """The key of this service: the setting's, or one made once and kept beside the data.

    Several machines on one database need the same key: set LAMINA_SIGNING_KEY_FILE on each.
    """
    if settings.signing_key:
        return SigningKeys.read(settings.signing_key.encode(), "LAMINA_SIGNING_KEY")
    folder = secrets_folder(settings)
    return SigningKeys.made() if folder is None else SigningKeys.kept_in(folder)


def key_file(settings: Settings) -> Path | None:
    """Where the key is kept that the service made for itself; None where a setting gives it, or nothing is kept."""
    folder = None if settings.signing_key else secrets_folder(settings)
    return None if folder is None else folder / FILE


class OwnKeys:
    """The key of this service, read when it is first needed: a service whose disk is not there can still say so.

    One that it keeps for itself is read again when the file is another, so that a new key takes over without a restart.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = key_file(settings)
        self._read: tuple[tuple[int, int] | None, SigningKeys] | None = None

    def current(self) -> SigningKeys:
        """The key that signs now."""
        seen = self._seen()
        if self._read is None or self._read[0] != seen:
            keys = keys_of(self._settings)
            self._read = (self._seen() if seen is None else seen), keys
        return self._read[1]

    def _seen(self) -> tuple[int, int] | None:
        """Which file it is; None where there is none."""
        if self._file is None:
            return None
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns
