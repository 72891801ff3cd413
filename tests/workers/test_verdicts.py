"""Every way a child can end has a reason with a remedy, and says whether trying again can help."""

import pytest

from workers.sandbox.spec import Exit, Level
from workers.verdicts import minimum_level, sandbox_too_weak, why_it_ended


def ended(reason: str, **values: object) -> Exit:
    defaults: dict[str, object] = {"code": None, "signal": None, "detail": "", "peak_rss_bytes": 0}
    return Exit(reason=reason, **{**defaults, **values})  # type: ignore[arg-type]  # words from the table below


@pytest.mark.parametrize("reason", ["memory", "cpu-time", "wall-time", "file-size"])
def test_a_cap_is_permanent_and_names_its_setting(reason: str) -> None:
    verdict = why_it_ended(ended(reason), misbehaved=False)
    assert verdict.permanent
    assert verdict.code == f"child-{reason}"
    assert "LAMINA_CHILD_" in (verdict.remedy or "")


@pytest.mark.parametrize(
    ("reason", "values"), [("killed", {"signal": 9}), ("crashed", {"signal": 11}), ("failed", {"code": 1})]
)
def test_a_death_is_tried_again(reason: str, values: dict[str, object]) -> None:
    verdict = why_it_ended(ended(reason, **values), misbehaved=False)
    assert not verdict.permanent
    assert verdict.code == "child-died"


def test_a_silent_child_and_a_babbling_one_are_not_tried_again() -> None:
    assert why_it_ended(ended("completed", code=0), misbehaved=False).permanent
    assert why_it_ended(ended("killed", signal=9), misbehaved=True).code == "child-misbehaved"


@pytest.mark.parametrize(
    ("trusted", "weak_allowed", "runs_at"),
    [
        (False, False, {Level.FULL}),
        (False, True, {Level.FULL}),
        (True, False, {Level.FULL, Level.PARTIAL}),
        (True, True, set(Level)),
    ],
)
def test_only_level_full_runs_what_strangers_send(trusted: bool, weak_allowed: bool, runs_at: set[Level]) -> None:
    minimum = minimum_level(trusted=trusted, weak_allowed=weak_allowed)
    assert {level for level in Level if sandbox_too_weak(level, minimum) is None} == runs_at
