"""What was measured, as a model card tells it? A `model-index` in YAML, and a short section in Markdown.

The index has a place for a value, none for its interval, n or age: these stand in the metric's name, and in the table.
"""

import json
from collections.abc import Iterator

from service.report.exchange.master import NOT_SIGNED, Master, Value, interval, line, number, prose, published, written

UNKNOWN_TASK = "other"


def card(master: Master) -> bytes:
    """Front matter and section, to be put into a model card."""
    return "\n".join((*_front(master), "", *_section(master), "")).encode()


def _front(master: Master) -> Iterator[str]:
    model = master.report.identity.model
    task = next((fact.cell.display for fact in model.declared if fact.label == "Task"), UNKNOWN_TASK)
    by_data: dict[str, list[Value]] = {}
    for each in published(master.report):
        if each.answer.evidence.dataset:  # the index has no result without a dataset; the table has
            by_data.setdefault(each.answer.evidence.dataset, []).append(each)
    yield "---"
    yield "model-index:"
    yield f"- name: {_quoted(f'{model.name} {model.version}')}"
    yield "  results:" if by_data else "  results: []"
    for dataset, values in by_data.items():
        yield "  - task:"
        yield f"      type: {_quoted(task)}"
        yield "    dataset:"
        yield f"      name: {_quoted(dataset)}"
        yield f"      type: {_quoted(dataset)}"
        if revision := _revision(master, dataset):
            yield f"      revision: {_quoted(revision)}"
        yield "    metrics:"
        for value in values:
            yield f"    - type: {_quoted(value.word)}"
            yield f"      value: {_float(value.number.value)}"
            yield f"      name: {_quoted(_named(value))}"
    yield "---"


def _section(master: Master) -> Iterator[str]:
    report, identity = master.report, master.report.identity
    yield "## Audit"
    yield ""
    yield f"{prose(report.summary.sentence)} {prose(identity.period)}."
    yield ""
    yield f"Report {prose(identity.report)}, digest of its JSON twin `{master.digest}`. {prose(NOT_SIGNED)}"
    yield ""
    yield prose(identity.disclaimer)
    yield ""
    yield "| control | status | metric | value | interval | n | asked for | measured on |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for control in report.controls:
        for each in control.requirements:
            ends = interval(each.value)
            found = each.evidence
            cells = (
                control.id,
                each.status,
                f"{each.word} {each.relative_to}".strip(),
                number(each.value) or "–",
                f"{ends[0]} to {ends[1]}" if ends else "–",
                number(each.n) or "–",
                each.threshold_shown,
                "–" if found is None else f"{found.at.at:%Y-%m-%d}{f', {found.dataset}' if found.dataset else ''}",
            )
            yield f"| {' | '.join(prose(cell) for cell in cells)} |"
        if not control.requirements:
            yield f"| {control.id} | {control.status} | – | – | – | – | – | – |"


def _named(value: Value) -> str:
    ends = interval(value.number)
    return f"{value.word}{f' [{ends[0]}, {ends[1]}]' if ends else ''}; {value.where}"


def _revision(master: Master, dataset: str) -> str | None:
    """The version of a dataset, where the report names one of this name alone."""
    versions = {used.version for used in master.report.identity.data if used.name == dataset}
    return versions.pop() if len(versions) == 1 else None


def _quoted(text: str) -> str:
    """A YAML string: JSON's quoted form is one, once it holds only what YAML can."""
    return json.dumps(line(text), ensure_ascii=False)


def _float(value: float) -> str:
    """A number that YAML 1.1 takes for one: an exponent needs a point before it."""
    text = written(value)
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}.0e{exponent}" if mark and "." not in mantissa else text
