"""What may one key of a config hold? Its type, its range, and nothing that Python would take for something else."""

from collections.abc import Callable, Mapping
from typing import Any

from workers.subject.refusal import quoted


class Unfit(Exception):
    """What the key should have held, in words that follow "must be"."""


Rule = Callable[[Any], Any]
"""Gives the value as the canonical config holds it, or raises Unfit."""


def whole(low: int, high: int) -> Rule:
    """An integer from `low` to `high`; 3.0 is one, true is none."""

    def read(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not low <= value <= high:
            raise Unfit(f"a whole number from {low:,} to {high:,}")
        return int(value)

    return read


def number(low: float, high: float) -> Rule:
    """A number from `low` to `high`."""

    def read(value: Any) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise Unfit(f"a number from {low:g} to {high:g}")
        return float(value)

    return read


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Unfit("true or false")
    return value


def only(expected: Any) -> Rule:
    """What this service runs; any other value would be another network."""

    def read(value: Any) -> Any:
        if type(value) is not type(expected) or value != expected:
            raise Unfit(f"{quoted(expected)}, which is what the stock class computes")
        return expected

    return read


def one_of(*words: str) -> Rule:
    """One word of a closed list."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise Unfit(f"one of {', '.join(words)}")
        return value

    return read


def maybe(rule: Rule) -> Rule:
    """Null, or what `rule` says."""
    return lambda value: None if value is None else rule(value)


def several(rule: Rule, most: int, least: int = 1) -> Rule:
    """A list of `least` to `most` values."""

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise Unfit(f"a list of {least} to {most:,} values")
        return [rule(each) for each in value]

    return read


def either(*rules: Rule) -> Rule:
    """What the first rule that fits says."""

    def read(value: Any) -> Any:
        wanted = []
        for rule in rules:
            try:
                return rule(value)
            except Unfit as unfit:
                wanted.append(str(unfit))
        raise Unfit(", or ".join(wanted))

    return read


def named(rules: Mapping[str, Rule], *needed: str) -> Rule:
    """An object of these keys and no others; the needed ones must be there."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not set(value) <= set(rules):
            raise Unfit(f"an object of {', '.join(sorted(rules))}")
        if missing := sorted(set(needed) - set(value)):
            raise Unfit(f"an object with {', '.join(missing)}")
        return {key: rules[key](value[key]) for key in sorted(value)}

    return read


def text(most: int) -> Rule:
    """A text of at most `most` characters."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise Unfit(f"a text of at most {most} characters")
        return value

    return read
