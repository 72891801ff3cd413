"""What do the last pages show? Views by framework, limits, and where all of the evidence stands."""

from collections.abc import Sequence

from service.report.compliance.blocks import (
    Block,
    Document,
    Facts,
    Grid,
    Head,
    Heading,
    Items,
    Line,
    Paragraph,
    Span,
    at,
    said,
    status,
    words,
)
from service.report.compliance.controlpages import evidence_anchor


def frameworks(document: Document) -> Sequence[Block]:
    """One table for each framework."""
    blocks: list[Block] = [said("/frameworks")]
    for place, view in enumerate(document["frameworks"]["views"]):
        p = f"/frameworks/views/{place}"
        blocks.append(Heading(line=(at(f"{p}/name"),), anchor=f"framework-{place}"))
        about: Line = (
            *(at(f"{p}/legal_status"), words(" (as of "), at(f"{p}/as_of"), words("). Items covered: ")),
            *(at(f"{p}/covered"), words("; not covered by this service: "), at(f"{p}/not_covered"), words(".")),
        )
        blocks.append(Paragraph(line=about, style="aside"))
        rows = []
        for index, row in enumerate(view["rows"]):
            q = f"{p}/rows/{index}"
            worst: Line = (status(row["status"]),) if row["status"] else (words("not covered", "faint"),)
            rows.append(((at(f"{q}/item", "strong"),), (at(f"{q}/theme"),), (at(f"{q}/shown"),), worst))
        heads = (Head("Item", 1), Head("Theme", 3), Head("Controls that speak to it", 5), Head("Worst of these", 1.9))
        blocks.append(Grid(caption=(at(f"{p}/name"), words(": items and their controls")), heads=heads, rows=rows))
    return blocks


def limitations(document: Document) -> Sequence[Block]:
    """A list, the particular first."""
    notes = document["limitations"]["notes"]
    return (Items(lines=[(at(f"/limitations/notes/{place}"),) for place in range(len(notes))]),)


def evidence(document: Document) -> Sequence[Block]:
    """The log's head, and every analysis with what it takes to run it again."""
    given = document["evidence"]
    blocks: list[Block] = [said("/evidence")]
    if given["head"]:
        blocks.append(_head())
    else:
        blocks.append(Paragraph(line=(words("The log has no signed head yet."),), style="box"))
    if given["analyses"]:
        blocks.append(_analyses(given["analyses"]))
    return blocks


def _head() -> Facts:
    p = "/evidence/head"
    rows: list[tuple[Line, Line]] = [
        ((words("Events in the log"),), (at(f"{p}/size"), words("; not yet sealed: "), at(f"{p}/unsealed"))),
        ((words("Root of the tree"),), (at(f"{p}/root", "code"),)),
        ((words("Hash of the chain"),), (at(f"{p}/chain_hash", "code"),)),
        ((words("Signed"),), (at(f"{p}/signed_at"),)),
        ((words("Key"),), (at(f"{p}/key_id", "code"),)),
        ((words("Signature"),), (at(f"{p}/signature", "code"),)),
    ]
    return Facts(caption="The signed head of the log that the evidence was read under", rows=rows)


DIGESTS = (
    ("config", "config_digest"),
    ("result", "result_digest"),
    ("env.", "environment_digest"),
    ("leaf", "leaf_hash"),
)


def _analyses(found: list[Document]) -> Grid:
    rows = []
    for place, one in enumerate(found):
        p = f"/evidence/analyses/{place}"
        name: Line = (
            *(Span(pointer=f"{p}/title", style="strong", anchor=evidence_anchor(one["analysis"])), words(" ")),
            *(at(f"{p}/kind", "small"), words("id ", "below"), at(f"{p}/analysis", "code")),
            *(words("audit ", "below"), at(f"{p}/audit", "code"), words("again by ", "below")),
            *(at(f"{p}/replay", "code"), *((at(f"{p}/said", "below"),) if one["said"] else ())),
        )
        ran: Line = (
            *(at(f"{p}/state", "strong"), words("from ", "below"), at(f"{p}/started_at", "small")),
            *(words("to ", "below"), at(f"{p}/ended_at", "small"), words("code ", "below")),
            *(at(f"{p}/code_version", "small"), words("seed ", "below"), at(f"{p}/seed", "code")),
        )
        digests: list[Span] = []
        for label, member in DIGESTS:
            digests += [words(f"{label} ", "below" if digests else "small"), at(f"{p}/{member}", "code")]
        rows.append((name, ran, tuple(digests), (at(f"{p}/event_number"),)))
    heads = (
        *(Head("Analysis, and how to run it again", 3.1), Head("Run", 1.9), Head("Digests", 5.6)),
        Head("Event", 0.6, "right"),
    )
    return Grid(caption=(words("Every analysis the results rest on"),), heads=heads, rows=rows, dense=True)
