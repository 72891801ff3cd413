"""What does the library demand, for people to read? One page from the library, `python -m service.compliance.page`."""

import sys
from collections.abc import Iterator

from service.compliance.load import Library, shipped
from service.contracts.compliance import Control, Framework, Requirement
from service.contracts.vocabulary import METRICS

AGAINST = {
    "nothing": "",
    "declared": ", less the level declared,",
    "baseline": ", less the approved baseline's,",
    "baseline_ratio": ", over the approved baseline's,",
}
RULES = {"ci": "the whole 95 % interval", "point": "the value", "exact": "the count"}
SOURCES = {
    "measurement": "analyses",
    "ledger": "the log",
    "schedule": "the schedule",
    "waiver": "the exceptions",
    "attestation": "a person",
    "dataset": "the datasets",
}


def page(library: Library) -> str:
    """The page, in Markdown."""
    return "\n".join(_lines(library)) + "\n"


def _lines(library: Library) -> Iterator[str]:
    yield "# The control library"
    yield ""
    yield "<!-- Written by `python -m service.compliance.page`; edit service/compliance/library.yaml instead. -->"
    yield ""
    yield f"`{library.name}`, as of {library.as_of}. {library.disclaimer}"
    yield "How a status comes about: [compliance.md](compliance.md). `fresh` is in days for the risk tier *high*: twice"
    yield "as many for *medium*, four times for *low*. Bases: **D** deterministic, **S** statistical, **P** published,"
    yield "**O** ours or the organisation's, **A** attested by a person."
    for control in library.controls:
        yield from _control(control)
    yield ""
    yield "## Frameworks"
    yield ""
    yield "Items are named by number and theme; none of their text stands here. An item that no control refers to is"
    yield "not covered by this service, and a report says so."
    for framework in library.frameworks:
        yield from _framework(framework, library)


def _control(control: Control) -> Iterator[str]:
    yield ""
    yield f"## {control.id}: {control.title}"
    yield ""
    yield control.meaning
    yield ""
    conditions = [f"Applies where: `{control.applies}`."] if control.applies else []
    conditions += [f"Counts only while {control.guard} is met."] if control.guard else []
    if conditions:
        yield " ".join(conditions)
        yield ""
    yield "| asked for | from | n | fresh | basis |"
    yield "| --- | --- | --- | --- | --- |"
    for need in control.requirements:
        yield f"| {_asked(need)} | {_source(need)} | {need.n} | {need.fresh} | {need.basis} |"
    yield ""
    yield f"Refers to {', '.join(control.references) or 'nothing'}."


def _asked(need: Requirement) -> str:
    threshold = "what the organisation sets" if need.threshold is None else f"{need.threshold:g}"
    said = f": {need.statement}" if need.statement else ""
    only = f" (where `{need.applies}`)" if need.applies else ""
    limit = f"{RULES[need.rule]} of `{need.metric}`{AGAINST[need.relative_to]} {need.op} {threshold}"
    return f"{limit}{only}{said}".replace("|", "\\|")


def _source(need: Requirement) -> str:
    if need.source != "measurement":
        return SOURCES[need.source]
    kinds = ", ".join(f"`{kind}`" for kind in need.kinds) or (f"kinds of {need.family}" if need.family else "any kind")
    over = {"latest": "", "worst": ", the worst line", "total": ", added up"}[need.over]
    return f"{kinds}{over}; {METRICS[need.metric].unit}"


def _framework(framework: Framework, library: Library) -> Iterator[str]:
    yield ""
    yield f"### {framework.id}: {framework.name}"
    yield ""
    yield f"Status: {framework.status} (as of {framework.as_of})."
    yield ""
    yield "| item | theme | controls |"
    yield "| --- | --- | --- |"
    for item in framework.items:
        name = f"{framework.id}.{item.id}"
        controls = [control.id for control in library.controls if name in control.references]
        yield f"| {item.id} | {item.theme} | {', '.join(controls) or 'not covered'} |"


if __name__ == "__main__":
    sys.stdout.write(page(shipped()))
