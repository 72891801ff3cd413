"""How are a column's type and rule said in words?"""

from __future__ import annotations

from workers.robustness.tabular.rules import Rules


def type_of(rules: Rules, at: int) -> str:
    """Number, whole number, steps, category, truth value or one-hot group."""
    column, codes = rules.columns[at], rules.legal[at]
    if column.one_hot:
        return "one-hot group"
    if codes:
        return "truth value" if column.labels == ("false", "true") else "category"
    step = float(rules.step[column.places[0]])
    return "number" if step == 0 else "whole number" if step == 1 else f"steps of {step:g}"


def rule(rules: Rules, at: int) -> str:
    """What an attack may do with it."""
    column, codes = rules.columns[at], rules.legal[at]
    if column.name in rules.held:
        return "stays as it is"
    if codes:
        return f"one of {len(codes)} values" if rules.most_categories else "stays: no category may change"
    place = column.places[0]
    if bool(rules.up[place]):
        return "may only rise"
    return "may only fall" if bool(rules.down[place]) else "may rise and fall"
