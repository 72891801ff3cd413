"""Which key is this service's? (Apart from keys.py, which is read where no service is installed.)"""

from functools import cached_property

from service.evidence.keys import SigningKeys
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


class OwnKeys:
    """The key of this service, read when it is first needed: a service whose disk is not there can still say so."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _keys(self) -> SigningKeys:
        return keys_of(self._settings)

    @property
    def key_id(self) -> str:
        """The key's id."""
        return self._keys.key_id

    @property
    def public(self) -> bytes:
        """The public half, raw."""
        return self._keys.public

    def sign(self, content: bytes) -> str:
        """The Ed25519 signature over some bytes, base64."""
        return self._keys.sign(content)
