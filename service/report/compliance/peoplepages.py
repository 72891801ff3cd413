"""What do the pages of people show? What they excepted and stated, in full, and who must sign."""

from collections.abc import Sequence

from service.report.compliance.blocks import (
    Block,
    Document,
    Facts,
    Grid,
    Head,
    Heading,
    Line,
    Paragraph,
    Span,
    at,
    said,
    status,
    words,
)
from service.report.compliance.frontpages import control_anchor


def exceptions(document: Document) -> Sequence[Block]:
    """Each waiver as a list of facts: reasons are sentences, too long for columns."""
    blocks: list[Block] = [said("/exceptions")]
    for place, one in enumerate(document["exceptions"]["waivers"]):
        p = f"/exceptions/waivers/{place}"
        name: Line = (
            *(at(f"{p}/control", "", control_anchor(one["control"])), words(" "), at(f"{p}/title"), words(": ")),
            *(at(f"{p}/effect"), words(", "), at(f"{p}/state")),
        )
        blocks.append(Heading(line=name, level=3))
        rows: list[tuple[Line, Line]] = [
            ((words("Status of the control"),), (status(one["status"]) if one["status"] else words("not assessed"),)),
            ((words("Reason"),), (at(f"{p}/reason"),)),
            ((words("Compensating measure"),), (at(f"{p}/compensating"),)),
            ((words("Asked for by"),), (at(f"{p}/requested"),)),
            ((words("Decision"),), (at(f"{p}/decided"),)),
            ((words("From, to"),), (at(f"{p}/starts_at"), words(" to "), at(f"{p}/expires_at"))),
            ((words("Renewals"),), (at(f"{p}/renewals"),)),
            *([((words("Covers"),), (at(f"{p}/covers"),))] if one["covers"] else []),
            ((words("Identifier"),), (at(f"{p}/id", "code"),)),
        ]
        blocks.append(Facts(caption="The exception in full", rows=rows, quiet=True))
    return blocks


def attestations(document: Document) -> Sequence[Block]:
    """Each statement as a list of facts."""
    blocks: list[Block] = [said("/attestations")]
    for place, one in enumerate(document["attestations"]["rows"]):
        p = f"/attestations/rows/{place}"
        name: Line = (
            *(at(f"{p}/control", "", control_anchor(one["control"])), words(" "), at(f"{p}/title"), words(": ")),
            at(f"{p}/state"),
        )
        blocks.append(Heading(line=name, level=3))
        document_line: Line = (words("none linked", "faint"),)
        if one["document"] or one["document_digest"]:
            linked = [at(f"{p}/document"), words(" ")] if one["document"] else []
            linked += [at(f"{p}/document_digest", "code")] if one["document_digest"] else []
            document_line = tuple(linked)
        rows: list[tuple[Line, Line]] = [
            ((words("Stated by"),), (at(f"{p}/who"), words(", "), at(f"{p}/role"))),
            ((words("Statement"),), (at(f"{p}/statement"),)),
            ((words("Stated, due again"),), (at(f"{p}/stated_at"), words("; "), at(f"{p}/due_at"))),
            ((words("Document"),), document_line),
            *([((words("Covers"),), (at(f"{p}/covers"),))] if one["covers"] else []),
            ((words("Identifier"),), (at(f"{p}/id", "code"),)),
        ]
        blocks.append(Facts(caption="The statement in full", rows=rows, quiet=True))
    return blocks


def sign_off(document: Document) -> Sequence[Block]:
    """Who must sign, and who may not."""
    given = document["sign_off"]
    rows = []
    for place in range(len(given["steps"])):
        p = f"/sign_off/steps/{place}"
        rows.append(((at(f"{p}/step", "strong"),), (at(f"{p}/who"),), (at(f"{p}/rule"),)))
    heads = (Head("Step", 1), Head("Who", 3), Head("What it means", 4))
    blocks: list[Block] = [
        said("/sign_off"),
        Grid(caption=(words("Steps before this report counts as approved"),), heads=heads, rows=rows),
    ]
    if given["excluded"]:
        names: list[Span] = [words("They ran the audits, and may not approve: ")]
        for place in range(len(given["excluded"])):
            names += [words(", " if place else ""), at(f"/sign_off/excluded/{place}")]
        blocks.append(Paragraph(line=(*names, words("."))))
    return blocks
