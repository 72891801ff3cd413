"""Do signatures hold for what was signed, by who signed it, and for nothing else?"""

import base64
import json
import stat
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope as ReferenceEnvelope
from securesystemslib.signer import SSlibKey

from service.evidence import dsse
from service.evidence.heads import Head, head_holds, signed
from service.evidence.keys import BadKey, SigningKeys, key_id_of, signature_holds
from service.evidence.own_keys import keys_of
from service.settings import Settings

D = "sha256:" + "ab" * 32


def test_a_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/l.db")
    first, again = keys_of(settings), keys_of(settings)
    assert first.key_id == again.key_id == key_id_of(first.public)
    file = tmp_path / "secrets" / "signing_key.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "PRIVATE" not in repr(first)
    given = Settings(database_url="sqlite://", signing_key=file.read_text())
    assert keys_of(given).key_id == first.key_id
    assert keys_of(Settings(database_url="sqlite://")).key_id != first.key_id


@pytest.mark.parametrize("content", ["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "signing_key.pem").write_text(content)
    with pytest.raises(BadKey, match=r"signing_key.pem in the secrets folder is no private key"):
        SigningKeys.kept_in(tmp_path)


def test_a_signature_holds_for_its_bytes_and_its_key_alone() -> None:
    keys, other = SigningKeys.made(), SigningKeys.made()
    made = keys.sign(b"this")
    assert signature_holds(keys.public, made, b"this")
    assert not signature_holds(keys.public, made, b"that")
    assert not signature_holds(other.public, made, b"this")
    assert not signature_holds(keys.public, "not base64!", b"this")
    assert not signature_holds(b"short", made, b"this")


def test_one_signature_has_one_text() -> None:
    keys = SigningKeys.made()
    made = keys.sign(b"this")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = made[:-3] + letters[letters.index(made[-3]) ^ 1] + "=="
    assert base64.b64decode(other) == base64.b64decode(made)
    assert not signature_holds(keys.public, other, b"this")


def test_a_head_holds_until_a_word_of_it_changes() -> None:
    keys = SigningKeys.made()
    head = Head(tenant="t", size=5, root=D, chain_hash=D, at=7)
    made = signed(head, keys)
    known = {keys.key_id: keys.public}
    assert head_holds(made, known)
    for change in ({"size": 6}, {"tenant": "u"}, {"at": 8}, {"root": "sha256:" + "ac" * 32}):
        assert not head_holds(made.model_copy(update={"head": head.model_copy(update=change)}), known)
    assert not head_holds(made, {})


def test_the_envelope_is_what_another_implementation_reads_and_verifies() -> None:
    keys = SigningKeys.made()
    body = b'{"_type":"https://in-toto.io/Statement/v1"}'
    envelope = dsse.sealed(body, keys)
    assert dsse.opened(envelope, {keys.key_id: keys.public}) == (body, keys.key_id)
    theirs = ReferenceEnvelope.from_dict(json.loads(envelope))
    assert theirs.pae() == dsse.pae(dsse.IN_TOTO, body)
    public = SSlibKey(keys.key_id, "ed25519", "ed25519", {"public": keys.public.hex()})
    assert list(theirs.verify([public], 1)) == [keys.key_id]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"payload": "e30="}, "the signature does not hold"),
        ({"payload": "*"}, "this is no DSSE envelope"),
        ({"payloadType": "text/plain"}, "the envelope holds 'text/plain'"),
        ({"signatures": []}, "this is no DSSE envelope"),
        ({"signatures": [{"keyid": "k", "sig": ""}]}, "signed by no key at hand"),
    ],
)
def test_an_envelope_that_was_changed_is_not_opened(change: dict[str, object], said: str) -> None:
    keys = SigningKeys.made()
    envelope = json.loads(dsse.sealed(b'{"a":1}', keys)) | change
    with pytest.raises(dsse.NotSigned, match=said):
        dsse.opened(json.dumps(envelope).encode(), {keys.key_id: keys.public})
