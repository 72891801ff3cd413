"""How do a report's bytes come about? Twin, drawings and page, in that order; the same twin gives the same bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.contracts.base import digest_of
from service.contracts.section import Bars, Heat, Lines, Picture
from service.report import twin
from service.report.charts import Figure, specification
from service.report.draw import DrawingFailed, draw
from service.report.html import FigureKey, PictureKey, render
from service.report.svg import UnsafeDrawing, cleaned
from service.report.twin import AuditReport

Draw = Callable[[Sequence[dict[str, Any]], float], list[str]]


class PictureMismatch(ValueError):
    """A picture's bytes are not those the twin names by digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A report as files: the page, and the twin it was drawn from."""

    html: bytes
    twin: bytes


def compose(
    report: AuditReport, pictures: Mapping[PictureKey, bytes], deadline_seconds: float, *, drawing: Draw = draw
) -> Composed:
    """Draw a report. `pictures`: PNG bytes by analysis and artifact name.

    Raises DrawingFailed when the figures cannot be drawn in time (`render(report, {}, pictures)` still gives a page,
    with each figure's table in its place), PictureMismatch when a picture is not the one the twin names.
    """
    _check(report, pictures)
    figures = {
        FigureKey(index, place): block
        for index, part in enumerate(report.sections)
        for place, block in enumerate(part.section.blocks if part.section else ())
        if isinstance(block, Bars | Lines | Heat)
    }
    drawings = drawing([specification(figure) for figure in figures.values()], deadline_seconds)
    safe = {key: _cleaned(drawn, key, figure) for (key, figure), drawn in zip(figures.items(), drawings, strict=True)}
    return Composed(html=render(report, safe, pictures).encode(), twin=twin.write(report))


def _cleaned(drawn: str, key: FigureKey, figure: Figure) -> str:
    description = f"{figure.caption} The numbers are in the table that follows.".strip()
    try:
        return cleaned(drawn, prefix=key.prefix, title=figure.title, description=description)
    except UnsafeDrawing as error:
        raise DrawingFailed(f"the drawing of {figure.title!r} was refused: {error}") from error


def _check(report: AuditReport, pictures: Mapping[PictureKey, bytes]) -> None:
    for part in report.sections:
        digests = {artifact.name: artifact.digest for artifact in part.artifacts}
        for block in part.section.blocks if part.section else ():
            if isinstance(block, Picture) and (content := pictures.get((part.analysis, block.artifact))) is not None:
                found, named = digest_of(content), digests.get(block.artifact)
                if found != named:
                    raise PictureMismatch(f"picture {block.artifact!r} of {part.analysis} is {found}, not {named}")
