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
        heads = (Head("Item", 1), Head("Theme", 3), Head("Controls that speak to it", 5), Head("Worst of these", 1.6))
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


def _analyses(found: list[Document]) -> Grid:
    rows = []
    for place, one in enumerate(found):
        p = f"/evidence/analyses/{place}"
        name: Line = (
            *(
                Span(pointer=f"{p}/title", style="strong", anchor=evidence_anchor(one["analysis"])),
                words(" "),
            ),
            *(at(f"{p}/kind", "small"), words(" "), at(f"{p}/analysis", "code"), words(" of audit ", "small")),
            *(at(f"{p}/audit", "code"), words(" "), at(f"{p}/replay", "code")),
            *((words(" "), at(f"{p}/said", "small")) if one["said"] else ()),
        )
        digests: Line = (
            *(words("settings ", "small"), at(f"{p}/config_digest", "code"), words(" result ", "small")),
            *(at(f"{p}/result_digest", "code"), words(" environment ", "small"), at(f"{p}/environment_digest", "code")),
            *(words(" leaf ", "small"), at(f"{p}/leaf_hash", "code")),
        )
        ran: Line = (
            *(at(f"{p}/state", "strong"), words(" "), at(f"{p}/started_at", "small"), words(" to ", "small")),
            *(at(f"{p}/ended_at", "small"), words("; code ", "small"), at(f"{p}/code_version", "small")),
            *(words("; seed ", "small"), at(f"{p}/seed", "code")),
        )
        rows.append((name, ran, digests, (at(f"{p}/event_number"),)))
    heads = (
        *(Head("Analysis, and how to run it again", 3.4), Head("Run", 2.2), Head("Digests", 4.4)),
        Head("Event", 0.8, "right"),
    )
    return Grid(caption=(words("Every analysis the results rest on"),), heads=heads, rows=rows, dense=True)
