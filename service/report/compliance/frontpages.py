"""What do the first pages show? Counts, failures and gaps first; then what the report is of, and what changed."""

from collections.abc import Iterator, Sequence

from service.report.compliance.blocks import (
    Block,
    Chart,
    Document,
    Facts,
    Grid,
    Head,
    Heading,
    Items,
    Line,
    Paragraph,
    Span,
    Tally,
    at,
    status,
    words,
)

COUNTS = (
    ("met", "met", "met"),
    ("not_met", "not met", "not_met"),
    ("stale", "stale", "stale"),
    ("insufficient_evidence", "insufficient evidence", "insufficient_evidence"),
    ("not_applicable", "not applicable", "not_applicable"),
    ("waived", "of these, under a waiver", ""),
    ("attested", "met by attestation alone", ""),
)


AT_A_GLANCE = 9
"""Controls not met or not assessed whose tables fit on the first page."""
MEANING = (
    "Not assessed counts stale and insufficient evidence: applicable, and without a verdict that holds. A waiver"
    " changes no status. There is no score."
)


def control_anchor(identifier: str) -> str:
    """Where a control's results stand."""
    return f"control-{identifier}"


def summary(document: Document) -> Sequence[Block]:
    """The first page: nothing on it is ever folded away."""
    return tuple(_summary(document))


def _summary(document: Document) -> Iterator[Block]:
    given = document["summary"]
    yield Paragraph(line=(at("/summary/sentence"),), style="lead")
    yield Chart(
        kind="statuses",
        pointers=("/summary/counts",),
        anchor="chart-statuses",
        title="Controls by status",
        description="A bar parted by how many controls have each status. The counts follow it.",
    )
    yield Tally(counts=[(f"/summary/counts/{name}", label, tone) for name, label, tone in COUNTS])
    yield Paragraph(line=(words(MEANING),), style="aside")
    if len(given["failed"]) + len(given["not_assessed"]) > AT_A_GLANCE:
        yield _glance(given)
    yield Heading(line=(words("Not met, or stale"),), anchor="failed")
    if given["failed"]:
        yield _headlines("/summary/failed", given["failed"], "Controls not met or stale, the worst first")
    else:
        yield Paragraph(line=(words("No control is not met or stale. What was not assessed follows."),))
    yield Heading(line=(words("Not assessed: evidence is insufficient"),), anchor="not-assessed")
    if given["not_assessed"]:
        yield _headlines("/summary/not_assessed", given["not_assessed"], "Controls without sufficient evidence")
    else:
        yield Paragraph(line=(words("Every applicable control has evidence to judge it by."),))
    yield Items(lines=[(at(f"/summary/never_assessed/{place}"),) for place in range(len(given["never_assessed"]))])
    if given["waivers"]:
        yield Heading(line=(words("Exceptions in force"),), anchor="open-waivers")
        yield _waivers(given["waivers"])
    yield Heading(line=(words("What changed"),), anchor="changed")
    yield Items(lines=[(at(f"/summary/changed/{place}"),) for place in range(len(given["changed"]))])


def _glance(given: Document) -> Facts:
    """The controls that need a reader by name alone: their tables run past the first page."""
    rows: list[tuple[Line, Line]] = []
    for name, tone in (("failed", "not_met"), ("failed", "stale"), ("not_assessed", "insufficient_evidence")):
        names: list[Span] = []
        for place, one in enumerate(given[name]):
            if one["status"] == tone:
                names += [words(", " if names else "")]
                names += [at(f"/summary/{name}/{place}/control", "", control_anchor(one["control"]))]
        if names:
            rows.append(((status(tone),), tuple(names)))
    return Facts(caption="Not met, stale and not assessed, by name", rows=rows)


def _headlines(pointer: str, found: list[Document], caption: str) -> Grid:
    rows = []
    for place, one in enumerate(found):
        p = f"{pointer}/{place}"
        rows.append(
            (
                (at(f"{p}/control", "strong", control_anchor(one["control"])),),
                (at(f"{p}/title"), words(" "), at(f"{p}/said", "below")),
                (status(one["status"]),),
                (at(f"{p}/owner"),),
                (at(f"{p}/waived_until"),),
            )
        )
    heads = (Head("Control", 1.0), Head("What was found", 5.2), Head("Status", 1.9), Head("Owner", 1.6))
    return Grid(caption=(words(caption),), heads=(*heads, Head("Waived until", 1.8)), rows=rows, quiet=True)


def _waivers(found: list[Document]) -> Grid:
    rows = []
    for place, one in enumerate(found):
        p = f"/summary/waivers/{place}"
        title: Line = (at(f"{p}/control", "strong", control_anchor(one["control"])), words(" "), at(f"{p}/title"))
        rows.append((title, (status(one["status"]),), (at(f"{p}/decided_by"),), (at(f"{p}/expires_at"),)))
    heads = (Head("Control", 4), Head("Status all the same", 2), Head("Granted by", 2), Head("Expires", 2.4))
    return Grid(caption=(words("Exceptions in force; none changes a status"),), heads=heads, rows=rows, quiet=True)


# --- identity --------------------------------------------------------------------------------------------------------


def identity(document: Document) -> Sequence[Block]:
    """Model, data, window, demands."""
    given = document["identity"]
    model = given["model"]
    optional = [("Supersedes", "supersedes", "code"), ("Schedule", "schedule", "")]
    rows: list[tuple[Line, Line]] = [
        ((words("Report"),), (at("/identity/report", "code"), words(", revision "), at("/identity/revision"))),
        *(
            ((words(label),), (at(f"/identity/{name}", "code" if style == "code" else ""),))
            for label, name, style in optional
            if given[name]
        ),
        ((words("Window"),), (at("/identity/period"),)),
        ((words("In UTC"),), (at("/identity/period_from"), words(" to before "), at("/identity/period_to"))),
        ((words("Assessed as of"),), (at("/identity/as_of"),)),
        ((words("Begun late by (hours)"),), (at("/identity/late"),)),
        ((words("Started by"),), (at("/identity/cause"), words(", asked for by "), at("/identity/asked_by"))),
        ((words("State at the making"),), (at("/identity/state"), words("; signatures stand beside the twin"))),
        ((words("Library of controls"),), (at("/identity/library"),)),
        ((words("Policy"),), (at("/identity/policy"),)),
        ((words("Policy digest"),), (at("/identity/policy_digest", "code"),)),
        ((words("Made by"),), (at("/identity/generator"),)),
        ((words("Risk tier"),), (at("/identity/model/tier"),)),
        ((words("Model as received"),), (at("/identity/model/source_digest", "code"),)),
    ]
    if model["canonical_digest"]:
        rows.append(((words("Model as run"),), (at("/identity/model/canonical_digest", "code"),)))
    else:
        rows.append(((words("Model as run"),), (words("never run: inspection did not accept it", "faint"),)))
    blocks: list[Block] = [Facts(caption="The report, its window and its demands", rows=rows)]
    blocks.append(_data(given["data"]))
    if model["declared"]:
        declared: list[tuple[Line, Line]] = [
            ((at(f"/identity/model/declared/{place}/label"),), (at(f"/identity/model/declared/{place}/cell"),))
            for place in range(len(model["declared"]))
        ]
        blocks.append(Facts(caption="Declared by the model's owner, not checked here", rows=declared))
    return (*blocks, Paragraph(line=(at("/identity/disclaimer"),), style="aside"))


def _data(found: list[Document]) -> Block:
    if not found:
        return Paragraph(line=(words("No dataset stands behind this report."),))
    rows = []
    for place in range(len(found)):
        p = f"/identity/data/{place}"
        name: Line = (at(f"{p}/name"), words(", version "), at(f"{p}/version"))
        rows.append(((at(f"{p}/role"),), name, (at(f"{p}/examples"),), (at(f"{p}/digest", "code"),)))
    heads = (Head("Role", 1.3), Head("Dataset", 2.4), Head("Examples", 1.1, "right"), Head("Digest", 5))
    return Grid(caption=(words("Data the evidence was taken on, by role"),), heads=heads, rows=rows)


# --- changes ---------------------------------------------------------------------------------------------------------


def changes(document: Document) -> Sequence[Block]:
    """What moved, each sort in a table of its own."""
    return tuple(_changes(document["changes"]))


def _changes(given: Document) -> Iterator[Block]:
    if given["since"]:
        since: Line = (
            *(words("Compared with report "), at("/changes/since/report", "code"), words(" as of ")),
            *(at("/changes/since/as_of"), words(". "), at("/changes/since/approved"), words(" Digest of its twin: ")),
            *(at("/changes/since/digest", "code"), words(".")),
        )
        yield Paragraph(line=since)
    yield Paragraph(line=(at("/changes/said"),), style="aside")
    for name, caption, heads, columns in TABLES:
        if given[name]:
            rows = [
                tuple(_cell(f"/changes/{name}/{place}", one, column) for column in columns)
                for place, one in enumerate(given[name])
            ]
            yield Grid(caption=(words(caption),), heads=heads, rows=rows)
        elif given["since"] or name == "missed":
            yield Paragraph(line=(words(f"{caption}: none."),), style="aside")


def _cell(pointer: str, one: Document, column: str) -> Line:
    if column == "after" and one[column] in ("met", "not_met", "stale", "insufficient_evidence", "not_applicable"):
        return (status(one[column]),)
    digest = isinstance(one[column], str) and one[column].startswith("sha256:")
    return (at(f"{pointer}/{column}", "strong" if column == "control" else "code" if digest else ""),)


TABLES = (
    (
        "transitions",
        "Controls whose status is another",
        (Head("Control", 1), Head("Title", 3), Head("Before", 1.4), Head("Now", 1.9), Head("Found now", 4)),
        ("control", "title", "before", "after", "said"),
    ),
    (
        "measured",
        "Measurements that moved",
        (
            *(Head("Control", 1), Head("Metric", 3), Head("Before", 2, "right"), Head("Now", 2, "right")),
            *(Head("Change", 2.2, "right"), Head("Reading", 2)),
        ),
        ("control", "metric", "before", "after", "change", "reading"),
    ),
    (
        "thresholds",
        "Thresholds that were changed",
        (
            *(Head("Control", 1), Head("Metric", 3), Head("Before", 0.9, "right"), Head("Now", 0.9, "right")),
            *(Head("Set by", 1.6), Head("Reason", 4)),
        ),
        ("control", "metric", "before", "after", "set_by", "reason"),
    ),
    (
        "versions",
        "Versions and digests that are others",
        (Head("What", 1.7), Head("Before", 3.4), Head("Now", 3.4)),
        ("what", "before", "after"),
    ),
    (
        "waivers",
        "Waivers granted, refused, withdrawn or expired",
        (Head("Control", 1), Head("What", 1), Head("When", 2), Head("By", 2)),
        ("control", "what", "at", "by"),
    ),
    (
        "missed",
        "Scheduled runs missed, failed or late",
        (Head("Schedule", 2), Head("Purpose", 1), Head("Due", 2.2), Head("Outcome", 1), Head("Reason", 4)),
        ("schedule", "purpose", "due", "state", "said"),
    ),
)
