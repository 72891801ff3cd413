"""Every way a child can end has a reason with a remedy, and says whether trying again can help."""

from typing import get_args

import pytest

from workers.sandbox.spec import Exit, Level
from workers.sandbox.spec import Reason as Ended
from workers.verdicts import cap_met, minimum_level, sandbox_too_weak, why_it_ended


def ended(reason: str, **values: object) -> Exit:
    defaults: dict[str, object] = {"code": None, "signal": None, "detail": "", "peak_rss_bytes": 0}
    return Exit(reason=reason, **{**defaults, **values})  # type: ignore[arg-type]  # words from the table below


@pytest.mark.parametrize(
    ("reason", "code", "setting"),
    [
        ("memory", "memory", "LAMINA_CHILD_MEMORY_BYTES"),
        ("cpu-time", "time", "LAMINA_CHILD_CPU_SECONDS"),
        ("wall-time", "time", "LAMINA_CHILD_WALL_SECONDS"),
        ("file-size", "files", "LAMINA_CHILD_FILE_BYTES"),
        ("scratch", "files", "LAMINA_CHILD_FILE_BYTES"),
        ("open-files", "files", "the model is the likely cause"),
        ("processes", "processes", "LAMINA_CHILD_THREADS"),
    ],
)
def test_a_cap_is_permanent_and_says_what_to_do(reason: str, code: str, setting: str) -> None:
    verdict = why_it_ended(ended(reason), misbehaved=False)
    assert (verdict.permanent, verdict.code) == (True, code)
    assert setting in (verdict.remedy or "")


def test_every_bound_a_child_can_meet_has_a_reason() -> None:
    others = {"completed", "failed", "killed", "crashed"}
    assert {reason for reason in get_args(Ended) if cap_met(reason)} == set(get_args(Ended)) - others
    assert cap_met(None) is None


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
