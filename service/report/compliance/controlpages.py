"""What does a reader see of each control? Its status, its requirements in a table, its history, its evidence."""

from collections.abc import Iterator, Sequence

from service.report.compliance.blocks import (
    Block,
    Chart,
    Document,
    Grid,
    Head,
    Heading,
    Line,
    Paragraph,
    Span,
    at,
    status,
    words,
)
from service.report.compliance.frontpages import control_anchor

HEADS = (
    *(Head("Metric", 2.6), Head("Value", 1.9, "right"), Head("n, and enough", 1.1, "right"), Head("Threshold", 1.9)),
    *(Head("Basis, set by", 2), Head("Age, allowed (days)", 1.2, "right"), Head("Runs, failed", 0.9, "right")),
    Head("Status", 2.3),
)
PAST = (Head("As of", 2.4), Head("Status", 1.9), Head("Value", 2, "right"), Head("n", 0.8, "right"))
EVIDENCE = {
    "measured": "by measurement",
    "attested": "attested, not measured",
    "recorded": "from the service's records",
}


def evidence_anchor(analysis: str) -> str:
    """Where an analysis stands in the annex."""
    return f"analysis-{analysis}"


def controls(document: Document) -> Sequence[Block]:
    """Every control, in the order of the library."""
    listed = {row["analysis"] for row in document["evidence"]["analyses"]}
    blocks = [block for place in range(len(document["controls"])) for block in _control(document, place, listed)]
    return blocks or (Paragraph(line=(words("The policy demands no control."),)),)


def _control(document: Document, place: int, listed: set[str]) -> Iterator[Block]:
    given, p = document["controls"][place], f"/controls/{place}"
    name: Line = (at(f"{p}/id"), words(" "), at(f"{p}/title"), words(" "), status(given["status"]))
    yield Heading(line=name, anchor=control_anchor(given["id"]))
    yield Paragraph(line=(at(f"{p}/said"),), stays=True)
    yield Paragraph(line=tuple(_about(given, p)), style="aside", stays=bool(given["requirements"]))
    if given["exception"]:
        effect: Line = (
            *(words("Excepted ("), at(f"{p}/exception/effect"), words(") until "), at(f"{p}/exception/expires_at")),
            *(words(". "), at(f"{p}/exception/said")),
        )
        yield Paragraph(line=effect, style="box", stays=bool(given["requirements"]))
    if given["requirements"]:
        yield _requirements(given, p)
    for index, one in enumerate(given["requirements"]):
        yield from _below(one, f"{p}/requirements/{index}", f"{given['id']}-{index}", listed)


def _about(given: Document, p: str) -> Iterator[Span]:
    yield at(f"{p}/meaning")
    yield words(" Owner: ")
    yield words("nobody named") if given["owner"]["type"] == "blank" else at(f"{p}/owner")
    yield words(f"; evidence: {EVIDENCE[given['kind_of_evidence']]}")
    if given["changed_from"]:
        yield words("; before: ")
        yield at(f"{p}/changed_from")
    for index in range(len(given["references"])):
        yield words("; speaks to " if index == 0 else ", ")
        yield at(f"{p}/references/{index}")
    yield words(".")
    for index in range(len(given["remarks"])):
        yield words(" ")
        yield at(f"{p}/remarks/{index}")


def _requirements(given: Document, p: str) -> Grid:
    rows = []
    for index, one in enumerate(given["requirements"]):
        r = f"{p}/requirements/{index}"
        metric = [at(f"{r}/metric")]
        if one["relative_to"]:
            metric += [words(", "), at(f"{r}/relative_to")]
        if one["statement"]:
            metric += [words(" "), at(f"{r}/statement", "below")]
        value = [at(f"{r}/value")]
        if one["value"].get("unit"):
            value += [words(" "), at(f"{r}/value/unit", "below")]
        basis = [at(f"{r}/basis", "strong"), words(" "), at(f"{r}/basis_said", "small"), words("; ")]
        basis += [at(f"{r}/set_by")]
        if one["reason"]:
            basis += [words(": "), at(f"{r}/reason", "small")]
        rows.append(
            (
                tuple(metric),
                tuple(value),
                (at(f"{r}/n"), words(" / "), at(f"{r}/enough_n")),
                (at(f"{r}/threshold_shown"), words(" "), at(f"{r}/rule", "below")),
                tuple(basis),
                (at(f"{r}/age"), words(" / "), at(f"{r}/fresh")),
                (at(f"{r}/attempts"), words(" / "), at(f"{r}/failed_attempts")),
                (status(one["status"]),),
            )
        )
    return Grid(caption=(words("Requirements of "), at(f"{p}/id")), heads=HEADS, rows=rows)


def _below(one: Document, r: str, anchor: str, listed: set[str]) -> Iterator[Block]:
    """Evidence and history of one requirement."""
    if one["evidence"]:
        yield Paragraph(line=tuple(_evidence(one["evidence"], f"{r}/evidence", listed)), style="aside")
    if len(one["history"]) > 1:
        yield Chart(
            kind="history",
            pointers=(r,),
            anchor=f"chart-{anchor}",
            title=one["metric"],
            description="Its value over the periods, with the interval where there is one and the threshold as a "
            "dashed line; the numbers are in the table of this line.",
        )
        yield _past(one, r, anchor)


def _past(one: Document, r: str, anchor: str) -> Grid:
    rows = []
    for place, point in enumerate(one["history"]):
        h = f"{r}/history/{place}"
        rows.append(
            (
                (at(f"{h}/as_of"),),
                (status(point["status"]),),
                (at(f"{h}/number"),),
                (at(f"{h}/n"),),
                (at(f"{h}/threshold"),),
                (at(f"{h}/report", "code"),) if point["report"] else (words("this report"),),
            )
        )
    control = r.removesuffix(f"/requirements/{anchor.rsplit('-', 1)[1]}")
    return Grid(
        caption=(words("History of "), at(f"{control}/id"), words(": "), at(f"{r}/metric")),
        heads=(*PAST, Head("Threshold", 1, "right"), Head("Report", 3.2)),
        rows=rows,
        folded=True,
        dense=True,
    )


def _evidence(given: Document, e: str, listed: set[str]) -> Iterator[Span]:
    yield words("Evidence: ")
    if given["analysis"]:
        yield words("analysis ")
        anchor = evidence_anchor(given["analysis"]) if given["analysis"] in listed else ""
        yield at(f"{e}/analysis", "code", anchor)
        yield words(", ")
    yield words("measured " if given["source"] == "measurement" else "recorded ")
    yield at(f"{e}/at")
    for name, label in (("dataset", "; dataset "), ("layer", "; layer "), ("facets", "; "), ("said", "; ")):
        if given[name]:
            yield words(label)
            yield at(f"{e}/{name}")
    if given["measured"]["type"] == "number":
        yield words("; measured ")
        yield at(f"{e}/measured")
    if given["reference"]["type"] == "number":
        yield words(", beside ")
        yield at(f"{e}/reference")
    yield words(".")
