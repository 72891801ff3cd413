"""What do the pages of explanations, robustness and layers show? Numbers in tables, curves, and what is missing."""

from collections.abc import Iterator, Sequence

from service.report.compliance.blocks import (
    Block,
    Chart,
    Document,
    Grid,
    Head,
    Heading,
    Items,
    Line,
    Paragraph,
    Span,
    at,
    said,
    words,
)
from service.report.compliance.controlpages import evidence_anchor

NUMBERED = (
    *(Head("Number", 3.2), Head("Of what", 4), Head("Value", 2.2, "right"), Head("n", 0.9, "right")),
    *(Head("Approved baseline", 1.5, "right"), Head("Direction", 1.9)),
)


def _numbers(pointer: str, found: Sequence[Document], caption: str, *, lead: str = "") -> Grid:
    """Rows of metric, place, number, n, baseline, direction; `lead` names a member that stands before the metric."""
    rows = []
    for place in range(len(found)):
        p = f"{pointer}/{place}"
        metric: Line = (at(f"{p}/metric"),)
        if lead:
            metric = (at(f"{p}/{lead}", "strong"), words(": "), *metric)
        rows.append((metric, *((at(f"{p}/{name}"),) for name in ("where", "number", "n", "baseline", "direction"))))
    return Grid(caption=(words(caption),), heads=NUMBERED, rows=rows)


def explanations(document: Document) -> Sequence[Block]:
    """Methods, their quality, examples, quarrels."""
    given = document["explanations"]
    blocks: list[Block] = [said("/explanations")]
    if given["methods"]:
        blocks.append(_methods(given["methods"]))
    for aspect in ("completeness", "faithfulness", "stability"):
        chosen = [(place, one) for place, one in enumerate(given["quality"]) if one["aspect"] == aspect]
        blocks.append(_quality(chosen, "/explanations/quality", f"{aspect.capitalize()} of the explanations"))
    blocks.append(Heading(line=(words("Examples"),), anchor="examples"))
    blocks.append(Paragraph(line=(at("/explanations/rule"),), style="aside"))
    blocks.append(_examples(given["examples"]))
    blocks.append(Heading(line=(words("Where methods disagree"),), anchor="disagreement"))
    disagreed = list(enumerate(given["disagreement"]))
    blocks.append(_quality(disagreed, "/explanations/disagreement", "Rankings that two methods share"))
    return blocks


def _methods(found: list[Document]) -> Grid:
    rows = []
    for place, one in enumerate(found):
        p = f"/explanations/methods/{place}"
        settings: list[Span] = []
        for index in range(len(one["settings"])):
            settings += [words("; " if index else ""), at(f"{p}/settings/{index}/label"), words(" ")]
            settings += [at(f"{p}/settings/{index}/cell")]
        analysis = at(f"{p}/analysis", "code", evidence_anchor(one["analysis"]))
        rows.append(((at(f"{p}/title"),), tuple(settings), (analysis,)))
    heads = (Head("Method", 2.4), Head("Set so", 5), Head("Analysis", 2.6))
    return Grid(caption=(words("Methods of explanation, and how they were set"),), heads=heads, rows=rows)


def _quality(found: Sequence[tuple[int, Document]], pointer: str, caption: str) -> Block:
    if not found:
        return Paragraph(line=(words(f"{caption}: not measured in this window."),), style="aside")
    rows = []
    for place, _ in found:
        p = f"{pointer}/{place}"
        rows.append(
            (
                (at(f"{p}/method"),),
                (at(f"{p}/metric"), words(" "), at(f"{p}/where", "below")),
                *((at(f"{p}/{name}"),) for name in ("number", "n", "baseline", "direction")),
            )
        )
    heads = (
        *(Head("Method", 2.6), Head("Number", 4), Head("Value", 2.2, "right"), Head("n", 0.9, "right")),
        *(Head("Approved baseline", 1.5, "right"), Head("Direction", 1.9)),
    )
    return Grid(caption=(words(caption),), heads=heads, rows=rows)


def _examples(found: list[Document]) -> Block:
    if not found:
        return Paragraph(line=(words("No analysis in this window keeps examples to choose from."),), style="aside")
    rows = [
        tuple((at(f"/explanations/examples/{place}/{name}"),) for name in ("method", "example", "said"))
        for place in range(len(found))
    ]
    heads = (Head("Method", 2.4), Head("Example", 0.9, "right"), Head("What was predicted, and from what", 6))
    return Grid(caption=(words("Examples chosen by the rule"),), heads=heads, rows=rows)


def robustness(document: Document) -> Sequence[Block]:
    """Threats, curves, corruptions, doubts."""
    return tuple(_robustness(document["robustness"]))


def _robustness(given: Document) -> Iterator[Block]:
    yield said("/robustness")
    if given["threats"]:
        rows = [
            (
                (at(f"/robustness/threats/{place}/title"),),
                (at(f"/robustness/threats/{place}/said"),),
                (at(f"/robustness/threats/{place}/analysis", "code", evidence_anchor(one["analysis"])),),
            )
            for place, one in enumerate(given["threats"])
        ]
        heads = (Head("Analysis", 2.4), Head("What was allowed", 5), Head("Identifier", 2.6))
        yield Grid(caption=(words("Threat models"),), heads=heads, rows=rows)
    named = {one["analysis"]: place for place, one in enumerate(given["threats"])}
    yield from _curves(given["curves"], named)
    if given["corruptions"]:
        yield _numbers("/robustness/corruptions", given["corruptions"], "Under corruptions")
    if given["others"]:
        yield _numbers("/robustness/others", given["others"], "Further numbers on robustness")
    if given["flags"]:
        yield _flags(given["flags"])
    elif given["threats"]:
        yield Paragraph(line=(words("No analysis of robustness raised a finding against its own numbers."),))


def _curves(found: list[Document], named: dict[str, int]) -> Iterator[Block]:
    analyses = list(dict.fromkeys(curve["analysis"] for curve in found))
    for turn, analysis in enumerate(analyses):
        places = [place for place, curve in enumerate(found) if curve["analysis"] == analysis]
        yield Chart(
            kind="curves",
            pointers=[f"/robustness/curves/{place}" for place in places],
            anchor=f"chart-curve-{turn}",
            title="Robust accuracy against the budget",
            description="One line for each attack over the perturbation budget, with the interval of every point; the "
            "numbers are in the table below.",
        )
        rows = []
        for place in places:
            p = f"/robustness/curves/{place}"
            for index in range(len(found[place]["points"])):
                q = f"{p}/points/{index}"
                rows.append(((at(f"{p}/label"),), *((at(f"{q}/{name}"),) for name in ("epsilon", "accuracy", "n"))))
        heads = (Head("Curve", 6), Head("Budget \u03b5", 1, "right"), Head("Robust accuracy", 2, "right"))
        unit = at(f"/robustness/curves/{places[0]}/unit")
        budget: Line = (words("Robust accuracy against the budget, in "), unit)
        if analysis in named:
            budget = (at(f"/robustness/threats/{named[analysis]}/title"), words(". "), *budget)
        yield Grid(caption=budget, heads=(*heads, Head("n", 0.9, "right")), rows=rows)


def _flags(found: list[Document]) -> Grid:
    rows = []
    for place, one in enumerate(found):
        p = f"/robustness/flags/{place}"
        severity = Span(text=one["severity"], style="severity", tone=one["severity"])
        meaning: Line = (at(f"{p}/meaning"), words(" "), at(f"{p}/evidence", "below"))
        rows.append(((severity,), (at(f"{p}/code", "code"),), meaning, (at(f"{p}/title"),)))
    heads = (Head("Severity", 1), Head("Finding", 1.8), Head("Meaning", 5), Head("Found by", 2))
    caption = words("Doubts raised by the analyses of robustness, masking among them")
    return Grid(caption=(caption,), heads=heads, rows=rows)


def layers(document: Document) -> Sequence[Block]:
    """One table for each analysis of layers, and what was not measured."""
    given = document["layers"]
    blocks: list[Block] = [said("/layers")]
    for place, one in enumerate(given["tables"]):
        p = f"/layers/tables/{place}/table"
        columns = one["table"]["columns"]
        heads = [_layer_head(column, index, f"{p}/columns/{index}") for index, column in enumerate(columns)]
        rows = [
            [(at(f"{p}/rows/{row}/{index}", "code" if index == 0 else ""),) for index in range(len(columns))]
            for row in range(len(one["table"]["rows"]))
        ]
        blocks.append(Grid(caption=(at(f"{p}/title"),), heads=heads, rows=rows))
        if one["table"]["note"]:
            blocks.append(Paragraph(line=(at(f"{p}/note"),), style="aside"))
    if given["not_measured"]:
        missing = range(len(given["not_measured"]))
        blocks.append(Items(lines=[(at(f"/layers/not_measured/{place}"),) for place in missing]))
    return blocks


def _layer_head(column: Document, index: int, pointer: str) -> Head:
    unit = f"{pointer}/unit" if column["unit"] else ""
    return Head("", 3.0 if index == 0 else 1.6, column["align"], f"{pointer}/title", unit)
