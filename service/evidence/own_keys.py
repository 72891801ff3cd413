"""Which key is this service's? (Apart from keys.py, which is read where no service is installed.)"""

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
