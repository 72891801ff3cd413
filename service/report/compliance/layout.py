"""What stands where? The twin's sections as blocks, in their fixed order; page and document draw the same blocks."""

from collections.abc import Iterator, Sequence

from service.report.compliance.backpages import evidence, frameworks, limitations
from service.report.compliance.blocks import Block, Chart, Document, Grid, Paragraph, Section, words
from service.report.compliance.controlpages import controls
from service.report.compliance.frontpages import changes, identity, summary
from service.report.compliance.measuredpages import explanations, layers, robustness
from service.report.compliance.peoplepages import attestations, exceptions, sign_off

HISTORY = "The figures behind the lines of history: each table holds what one line draws."


def sections(document: Document) -> tuple[Section, ...]:
    """The sections of a twin after its title."""
    return (
        Section(anchor="summary", title="Summary", blocks=summary(document)),
        Section(anchor="identity", title="What this report is of", blocks=identity(document)),
        Section(anchor="changes", title="Changes since the last signed report", blocks=changes(document)),
        Section(anchor="controls", title="Results, control by control", blocks=controls(document)),
        Section(anchor="explanations", title="Explanations", blocks=explanations(document)),
        Section(anchor="robustness", title="Robustness", blocks=robustness(document)),
        Section(anchor="layers", title="Layer diagnostics", blocks=layers(document)),
        Section(anchor="exceptions", title="Exceptions", blocks=exceptions(document)),
        Section(anchor="attestations", title="Attestations", blocks=attestations(document)),
        Section(anchor="frameworks", title="Views by framework", blocks=frameworks(document)),
        Section(anchor="limitations", title="Limitations", blocks=limitations(document)),
        Section(anchor="sign-off", title="Sign-off", blocks=sign_off(document)),
        Section(anchor="evidence", title="Evidence annex", blocks=evidence(document)),
    )


def unfolded(parts: Sequence[Section]) -> tuple[Section, ...]:
    """The same sections for paper: what is folded away on a page stands in a section of its own at the end."""
    kept = tuple(
        Section(anchor=part.anchor, title=part.title, blocks=tuple(b for b in part.blocks if not _folded(b)))
        for part in parts
    )
    tables = tuple(_tables(parts))
    if not tables:
        return kept
    last = Section(
        anchor="history", title="History behind the lines", blocks=(Paragraph(line=(words(HISTORY),)), *tables)
    )
    return (*kept, last)


def charts(parts: Sequence[Section]) -> tuple[Chart, ...]:
    """Every chart, in order."""
    return tuple(block for part in parts for block in part.blocks if isinstance(block, Chart))


def _folded(block: Block) -> bool:
    return isinstance(block, Grid) and block.folded


def _tables(parts: Sequence[Section]) -> Iterator[Grid]:
    for part in parts:
        for block in part.blocks:
            if isinstance(block, Grid) and block.folded:
                yield block
