"""Which arrays of a file are the inputs, the labels, the further inputs? The same for every format of named arrays."""

from collections.abc import Callable, Mapping
from math import prod

from service.contracts.facts import DatasetFacts
from workers.subject.data.found import Array, Found, in_array, room_for
from workers.subject.data.values import check_shape
from workers.subject.refusal import Refusal, quoted

AGAIN = 'Save plain arrays of numbers: numpy.savez("data.npz", inputs=inputs, labels=labels)'


def wanted(facts: DatasetFacts) -> tuple[str, ...]:
    """The names of the arrays that the facts speak of; refuses facts that no array can answer to."""
    if facts.input.kind == "text":
        raise Refusal(
            "text-in-arrays",
            "facts.input.kind is text; a file of arrays holds numbers",
            'Send the texts as csv, jsonl or parquet, or their token ids with the kind "tokens".',
        )
    names = [facts.inputs_array, *([facts.labels_array] if facts.labels_array else [])]
    names += [each.name for each in facts.further_inputs]
    if len(set(names)) != len(names):
        raise Refusal("name-twice", "two inputs, or an input and the labels, are declared with one name", AGAIN)
    return tuple(names)


def missing(name: str, there: list[str], facts: DatasetFacts) -> Refusal:
    """The refusal of a file without one of its arrays."""
    found = ", ".join(quoted(each) for each in there[:8]) or "nothing"
    optional = " or register it with labels_array null" if name == facts.labels_array else ""
    return Refusal(
        "missing-array",
        f"the file has no array {quoted(name)}; it has {found}",
        f"Register the dataset with the names its arrays have,{optional} or save it again: {AGAIN}",
    )


def check_shapes(shapes: Mapping[str, tuple[int, ...]], facts: DatasetFacts) -> None:
    """Refuses arrays whose shapes are not the declared ones, or too large, before any is read."""
    check_shape(shapes[facts.inputs_array], facts.input, f"array {quoted(facts.inputs_array)}")
    examples = shapes[facts.inputs_array][0]
    for at, each in enumerate(facts.further_inputs):
        what = f"array {quoted(each.name)}"
        check_shape(shapes[each.name], each.input, what, f"facts.further_inputs[{at}].input.shape")
        if shapes[each.name][0] != examples:
            raise Refusal(
                "input-shape",
                f"{what} holds {shapes[each.name][0]} examples, array {quoted(facts.inputs_array)} {examples}",
                "Give every input the same examples in the same order.",
            )
    if facts.labels_array is not None and shapes[facts.labels_array] != (examples,):
        raise Refusal(
            "labels-shape",
            f"array {quoted(facts.labels_array)} has shape {list(shapes[facts.labels_array])} for {examples} examples",
            "Give one label per example, as a flat array.",
        )
    room_for(examples, prod(facts.input.shape) + sum(prod(each.input.shape) for each in facts.further_inputs))


def found(read: Callable[[str], Array], facts: DatasetFacts, unread: list[str]) -> Found:
    """The arrays by what they are declared to be; `unread` are the names nobody asked for."""
    notes = (f"not read: {', '.join(sorted(quoted(name) for name in unread))[:1000]}",) if unread else ()
    return Found(
        inputs=read(facts.inputs_array),
        name=facts.inputs_array,
        place=in_array(facts.inputs_array),
        labels=None if facts.labels_array is None else read(facts.labels_array),
        labels_name=facts.labels_array or "",
        further={each.name: read(each.name) for each in facts.further_inputs},
        notes=notes,
    )
