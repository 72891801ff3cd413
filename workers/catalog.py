"""Which kinds are there, as data? Writes what the web side knows of the registry, and the README's table of kinds."""

import json
from pathlib import Path

from pydantic import JsonValue

from service.contracts.vocabulary import VERSION
from workers.analyses import KINDS

ROOT = Path(__file__).parent.parent
CATALOG = ROOT / "service" / "catalog.json"
README = ROOT / "README.md"
PAGES = ROOT / "docs" / "kinds"
BEGIN, END = "<!-- kinds: begin (make catalog) -->", "<!-- kinds: end -->"


def document() -> dict[str, JsonValue]:
    """The catalogue: vocabulary version, and every kind with its schemas, by name."""
    return {"vocabulary_version": VERSION, "kinds": {name: kind.entry() for name, kind in KINDS.items()}}


def text() -> str:
    """The catalogue as it is checked in."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def table() -> str:
    """The README's table of kinds."""
    rows = ["| kind | question | source |", "| --- | --- | --- |"]
    for name, kind in KINDS.items():
        rows.append(f"| [`{name}`](docs/kinds/{name}.md) v{kind.version} | {kind.question} | {kind.source} |")
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """The README with its table brought up to date."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def pages() -> dict[str, str]:
    """The pages of the documentation that are written from the kinds themselves, by name."""
    return {name: kind.page for name, kind in KINDS.items() if kind.page}


def main() -> None:
    """Rewrite both files, and the pages of kinds that are written from the kind itself."""
    CATALOG.write_text(text())
    README.write_text(with_table(README.read_text()))
    for name, page in pages().items():
        (PAGES / f"{name}.md").write_text(page)


if __name__ == "__main__":
    main()
