"""How is an inspection shown in a terminal? The rows of the page, with signs for verdicts and their legend below."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lamina.commands.shown import remark, say, show_table

if TYPE_CHECKING:
    from service.contracts.api import ModelView
    from service.report.inspection import Inspection
    from service.report.tree import Judged

HEADS = ("layer", "type", "output, each call", ">calls", ">parameters", ">FLOPs")


def print_inspection(view: "ModelView") -> None:
    """Warnings with advice, what was changed on the way in, and the tree of layers."""
    from service.report import inspection
    from service.report.tree import FAMILIES, FAMILY_TITLES

    shown = inspection.build(
        inspection.Registered(
            name=view.name,
            version=view.version,
            state=view.state,
            source_digest=view.source_digest,
            by=str(view.created_by),
            at=view.created_at,
            facts=view.facts,
            manifest=view.manifest,
            refusal=view.refusal,
        )
    )
    _facts(shown)
    titles = [FAMILY_TITLES[family].lower() for family in FAMILIES]
    show_table((*HEADS, *titles), _rows(shown))
    _legend(shown)


def _facts(shown: "Inspection") -> None:
    say(", ".join(f"{line.label} {line.cell.display}" for line in shown.summary))
    for each in shown.outputs:
        say(f"{each.name}: {each.dtype}, {each.shape}, {each.analysed}")
    for warning in shown.warnings:
        remark(f"warning ({warning.code}): {warning.detail}")
        if warning.advice:
            remark(f"  what to do: {warning.advice}")
    for note in shown.notes:
        say(f"changed on the way in: {note}")
    for branch in shown.exits:
        say(f"{branch.name}: taken by {branch.taken} of {branch.of}, {branch.share.display}")


def _rows(shown: "Inspection") -> Iterator[tuple[object, ...]]:
    for row in shown.layers:
        flops = None if row.flops is None else row.flops.display
        verdicts = (_sign(verdict, shown) for verdict in row.verdicts.values())
        yield (
            "  " * row.depth + row.label, row.type, row.shapes or None, row.calls, row.parameters.display, flops,
            *verdicts,
        )  # fmt: skip


def _sign(verdict: "Judged", shown: "Inspection") -> str:
    """The verdict's sign, and the mark of its reason."""
    sign = verdict.display.partition(" ")[0]
    return sign if verdict.reason is None else f"{sign} {shown.reasons[verdict.reason].mark}"


def _legend(shown: "Inspection") -> None:
    from service.report.tree import STATES

    met = {verdict.state for row in shown.layers for verdict in row.verdicts.values()}
    say("   ".join(" ".join(STATES[state]) for state in STATES if state in met))
    for why in shown.reasons:
        say(f"  {why.mark}  {why.text}")
