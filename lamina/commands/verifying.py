"""Does a report prove what it says, and is the log still whole? The first needs no service, the second its database."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamina.commands.configured import operator_settings
from lamina.commands.shown import AsJson, Home, remark, say, show_table
from lamina.failure import NotMet, Usage, needs

if TYPE_CHECKING:
    from service.evidence.heads import SignedHead
    from service.evidence.verify import Verification

logs = typer.Typer(no_args_is_help=True, help="Check the log of a service, and change who signs it.")
WORDS = {True: "holds", False: "FAILS", None: "not known"}
KEY_BYTES = 32
HEXADECIMAL = re.compile(r"[0-9a-fA-F]{64}")


Keys = Annotated[
    list[str] | None,
    typer.Option(
        "--key",
        help="A key you trust: a file (64 hexadecimal digits, or what /.well-known/lamina-keys.json serves), the "
        "digits themselves, or, of a zip, the key's id (sha256:...). May be given again.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel="Prove it")(verify)
    app.add_typer(logs, name="log", rich_help_panel="Prove it")


def verify(
    report: Annotated[Path, typer.Argument(help="The zip of a compliance report.", dir_okay=False)],
    key: Keys = None,
    as_json: AsJson = False,
) -> None:
    """Check a compliance report without the service that made it; nothing leaves this machine.

    Ends with 1 if anything fails, and says what; with 2 if the file is no such zip. Without --key the key that came
    with the zip is used: compare its id with one you know.
    """
    from service.evidence.archive import NotABundle
    from service.evidence.verify import verify as check

    try:
        content = report.read_bytes()
    except OSError as error:
        raise Usage(f"{report} cannot be read: {error.strerror or error}") from error
    try:
        trusted = _trusted(key, content) if key else None
        found = check(content, trusted)
    except NotABundle as error:
        raise Usage(f"{report}: {error}") from error
    if as_json:
        shown = [{"check": each.name, "passed": each.passed, "said": each.said} for each in found.checks]
        sys.stdout.write(json.dumps({"holds": found.holds, "checks": shown}, indent=2, ensure_ascii=False) + "\n")
    else:
        _show(report, found)
    if not found.holds:
        failed = "\n".join(f"  {each.name}: {each.said}" for each in found.checks if each.passed is False)
        raise NotMet(f"{report} does not prove what it says:\n{failed}")


@logs.command("verify")
def verify_log(
    database: Annotated[
        str, typer.Option("--database", "--url", help="SQLAlchemy URL [default: the settings' database].")
    ] = "",
    tenant: Annotated[list[str] | None, typer.Option(help="Name of a tenant; may be given again [all].")] = None,
    key: Keys = None,
    head: Annotated[
        list[Path] | None,
        typer.Option(help="A head you kept: what /v1/log/head gave, or head.json of a zip.", dir_okay=False),
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Check every event, signed head, row of evidence and stored file of a tenant; ends with 1 if any is not as it was.

    Reads only, and needs the machine itself: the database and the stored files of the settings. Whoever owns the
    database can write a whole log anew, heads and all: only keys and heads kept elsewhere (--key, --head) tell of that.
    """
    with needs("api", "lamina log verify"):
        from lamina.log_check import check_logs
        from lamina.operator import opened
        from service.store.blobs import BlobStore

    found = operator_settings(home)
    trusted = {name: public for text in key for name, public in _by_value(text).items()} if key else None
    kept = [_read_head(file) for file in head or ()]
    with opened(database or found.database_url) as store:
        results = check_logs(store, BlobStore(found.blobs), tenants=tenant or (), trusted=trusted, kept=kept)
    rows = [(log.tenant, each.table, each.row, each.said) for log in results for each in log.findings]
    if as_json:
        shown = [dict(zip(("tenant", "table", "row", "said"), row, strict=True)) for row in rows]
        sys.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
    elif rows:
        show_table(("tenant", "table", "row", "what is wrong"), rows)
    for log in results:
        remark(f"{log.tenant}: {log.said}")
    if rows:
        raise NotMet(f"{len(rows)} findings: what is stored is not what the log says of it")


@logs.command("rotate-key")
def rotate_key(
    into: Annotated[
        Path | None,
        typer.Option(help="Where to write the new key, if a setting gives the old one.", dir_okay=False),
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Let a new key sign from now on: the old one vouches for it, retires, and is given up.

    Needs the machine itself. A service that keeps its key for itself takes the new one at once; one that gets it by
    LAMINA_SIGNING_KEY_FILE takes it when that names the new file and the service is started again. May be repeated if
    it was cut off.
    """
    with needs("api", "lamina log rotate-key"):
        from lamina.key_rotation import rotate
        from lamina.operator import opened

    found = operator_settings(home)
    with opened(found.database_url) as database:
        done = rotate(database, found, into=into)
    if as_json:
        sys.stdout.write(json.dumps(done.word.model_dump(mode="json") | {"successor": done.word.successor}) + "\n")
    say(f"{done.word.successor} follows {done.word.retired}, which vouched for it.")
    if done.file is not None:
        remark(
            f"its private half is in {done.file}: let LAMINA_SIGNING_KEY_FILE name it on every machine, restart them"
        )


def _show(report: Path, found: "Verification") -> None:
    rows = ((WORDS[each.passed], each.name, each.said or None) for each in found.checks)
    show_table(("", "what was checked", "what was found"), rows, title=str(report))
    if found.holds:
        known = found.checks[-1].passed
        whose = "the key you gave" if known else "the key that came with it; whose key that is, you have to know"
        say(f"Nothing was changed since it was signed with {whose}. What it concludes is for its reader to judge.")


def _trusted(written: Sequence[str], content: bytes) -> dict[str, bytes]:
    """Keys by id, from what was given. Raises Usage, and NotABundle when an id is to be looked up in no zip."""
    found: dict[str, bytes] = {}
    for text in written:
        found |= _by_id(text, content) if text.startswith("sha256:") else _by_value(text)
    return found


def _by_id(key_id: str, content: bytes) -> dict[str, bytes]:
    """The key of the zip that has this id: the id is its digest, so that no other key can take its place."""
    from service.evidence.archive import NotABundle, unpacked
    from service.evidence.keys import key_id_of

    try:
        carried = _read_keys(unpacked(content)["keys.json"])
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise NotABundle("its keys.json is missing or cannot be read") from error
    found = {key_id_of(public): public for public in carried}
    if key_id not in found:
        raise NotMet(f"no key in the zip has the id {key_id}; it came with {', '.join(sorted(found)) or 'none'}")
    return {key_id: found[key_id]}


def _by_value(text: str) -> dict[str, bytes]:
    """The keys of a file, or of the digits themselves."""
    from service.evidence.keys import key_id_of

    try:
        raw = text.encode() if HEXADECIMAL.fullmatch(text) else Path(text).read_bytes()
        keys = _read_keys(raw)
    except OSError as error:
        raise Usage(
            f"--key {text!r} is neither 64 hexadecimal digits, nor an id, nor a file: {error.strerror}"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Usage(f"--key {text!r} holds neither 64 hexadecimal digits nor a list of keys in JSON") from error
    return {key_id_of(public): public for public in keys}


def _read_keys(content: bytes) -> list[bytes]:
    """Raw public keys of 32 bytes each. Raises ValueError, KeyError or TypeError."""
    text = content.decode().strip()
    if HEXADECIMAL.fullmatch(text):
        return [bytes.fromhex(text)]
    value: Any = json.loads(text)
    keys = [bytes.fromhex(each["ed25519"]) for each in (value["keys"] if isinstance(value, dict) else value)]
    if not keys or any(len(each) != KEY_BYTES for each in keys):
        raise ValueError("there are no keys of 32 bytes in it")
    return keys


def _read_head(file: Path) -> "SignedHead":
    """A head as a zip holds it, or as the API gave it. Raises Usage."""
    from service.evidence.heads import Head, SignedHead

    try:
        value: Any = json.loads(file.read_bytes())
        given = value["head"]
        if "key_id" in given:  # the API's form is flat
            members = {name: given[name] for name in Head.model_fields}
            value = {"head": members, "key_id": given["key_id"], "signature": given["signature"]}
        return SignedHead.model_validate(value)
    except OSError as error:
        raise Usage(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Usage(f"{file} holds no signed head, as /v1/log/head gives it or head.json of a zip") from error
