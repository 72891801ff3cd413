"""Where does a home folder keep what the commands need: the service's address, a key, and the operator's settings?

`client.json` holds url and key, for `lamina` and the Python client; `operator.json` the settings of the running stack,
for commands that work on its database. Both are readable by their owner alone.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lamina.failure import Usage

DEFAULT_HOME = Path(".lamina")
URL_VARIABLE = "LAMINA_URL"
KEY_VARIABLE = "LAMINA_API_KEY"
HOME_VARIABLE = "LAMINA_HOME"
CLIENT_FILE = "client.json"
OPERATOR_FILE = "operator.json"
_ANEW = "remove it and run `lamina up` or `lamina key bootstrap`"


class NotConfigured(Usage):
    """Nothing says where the service is, or which key to use; the text says how to."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service is, and the key to show it."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Address(url={self.url!r}, key=...)"


def home_folder(given: Path | None = None) -> Path:
    """The folder given, else LAMINA_HOME, else `.lamina` here."""
    return given or Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)


def address(home: Path | None = None) -> Address:
    """LAMINA_URL and LAMINA_API_KEY; what they leave out comes from the home folder's `client.json`.

    A key is never sent to another address than the one it was written down with. Raises `NotConfigured`.
    """
    url, key = os.environ.get(URL_VARIABLE, ""), os.environ.get(KEY_VARIABLE, "")
    if url and key:
        return Address(url, key)
    file = home_folder(home) / CLIENT_FILE
    kept = _read(file)
    if url and kept.get("url", "").rstrip("/") != url.rstrip("/"):
        kept = {}
    found = Address(url or kept.get("url", ""), key or kept.get("key", ""))
    if not found.url or not found.key:
        missing = " and ".join(
            name for name, value in ((URL_VARIABLE, found.url), (KEY_VARIABLE, found.key)) if not value
        )
        raise NotConfigured(
            f"set {missing}, or run `lamina up`, which writes {file}; --home names another folder than {file.parent}"
        )
    return found


def keep_address(home: Path, found: Address) -> Path:
    """Write `client.json` for its owner alone; returns its path."""
    return _write(home / CLIENT_FILE, {"url": found.url, "key": found.key})


def kept_key(home: Path) -> str:
    """The key in the home folder's `client.json`; empty when there is none."""
    return _read(home / CLIENT_FILE).get("key", "")


def keep_settings(home: Path, settings: Mapping[str, str]) -> Path:
    """Write `operator.json`, the LAMINA_* variables of the stack that runs in `home`; returns its path."""
    return _write(home / OPERATOR_FILE, dict(settings))


def operator_environment(home: Path | None = None) -> dict[str, str]:
    """The LAMINA_* variables for a command that works on the database: the environment's, over the home folder's."""
    folder = home_folder(home).absolute()
    kept = _read(folder / OPERATOR_FILE) or {
        "LAMINA_DATABASE_URL": f"sqlite:///{folder / 'lamina.db'}",
        "LAMINA_BLOBS": str(folder / "blobs"),
    }
    said = {name: value for name, value in os.environ.items() if name.startswith("LAMINA_")}
    if "LAMINA_DATABASE_URL_FILE" in said:
        kept.pop("LAMINA_DATABASE_URL", None)
    return kept | said


def _read(file: Path) -> dict[str, str]:
    try:
        text = file.read_text()
    except OSError:
        return {}
    try:
        values = json.loads(text)
    except ValueError as error:
        raise NotConfigured(f"{file} is not JSON ({error}): {_ANEW}") from None
    if not isinstance(values, dict):
        raise NotConfigured(f"{file} holds no JSON object: {_ANEW}")
    return {str(name): str(value) for name, value in values.items()}


def _write(file: Path, values: Mapping[str, str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Made with mode 0600 beside its place and moved there: nobody reads half a key, nor reads it at all.
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w") as stream:
            json.dump(dict(values), stream, indent=2)
            stream.write("\n")
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return file
