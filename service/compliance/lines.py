"""Where in a YAML file does each value stand? Plain data, and the line of every place in it."""

from dataclasses import dataclass
from typing import Any

import yaml

Place = tuple[int | str, ...]
_PLAIN = frozenset(f"tag:yaml.org,2002:{word}" for word in ("str", "int", "float", "bool", "null"))
_TEXT = "tag:yaml.org,2002:str"


class BadYaml(ValueError):
    """A file that is no YAML, or YAML of a sort that is not read here; the message says where."""


@dataclass(frozen=True, slots=True)
class Read:
    """A file's content and the lines (from 1) of its values."""

    content: Any
    lines: dict[Place, int]

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(text: str) -> Read:
    """A YAML file as plain data. Raises BadYaml.

    Aliases are refused (a few bytes of them stand for gigabytes), and so is a member given twice. What looks like a
    date stays text.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise BadYaml(f"this is no YAML: {' '.join(str(error).split())[:500]}") from error
    lines: dict[Place, int] = {}
    return Read(None if node is None else _plain(node, (), lines, set()), lines)


def _plain(node: yaml.Node, place: Place, lines: dict[Place, int], seen: set[int]) -> Any:
    line = node.start_mark.line + 1
    lines[place] = line
    if id(node) in seen:
        raise BadYaml(f"line {line}: this is named by an alias (*); write it out where it is needed")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in found:
                raise BadYaml(f"line {key.start_mark.line + 1}: {name!r} is given twice")
            found[name] = _plain(value, (*place, name), lines, seen)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value, (*place, index), lines, seen) for index, value in enumerate(node.value)]
    tag = node.tag if node.tag in _PLAIN else _TEXT
    return yaml.SafeLoader("").construct_object(yaml.ScalarNode(tag, node.value), deep=True)
