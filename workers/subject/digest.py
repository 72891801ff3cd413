"""What identifies a file? The digest of its bytes."""

import hashlib
from pathlib import Path


def digest_of_file(path: Path) -> str:
    """`sha256:` and the digest of a file, read in chunks."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
