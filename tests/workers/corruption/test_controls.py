"""Does each control fail where what it guards is broken?"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contracts.outcome import ControlRun
from tests.workers.corruption import made
from tests.workers.lime.made import Reads
from tests.workers.subjects import context
from workers.analyses.corruption import KIND
from workers.corruption import controls, source
from workers.corruption.judge import Judge, Read
from workers.corruption.parameters import CorruptionParameters
from workers.corruption.spec import Corruption
from workers.subject.subject import Subject


def run(which: tuple[str, str], of: Subject | None = None, **asked: Any) -> ControlRun:
    parameters = CorruptionParameters.model_validate(asked)
    return controls.run(which, of or made.grey_rule(), parameters, context())


@pytest.mark.parametrize("which", controls.RUNS, ids=lambda each: each[0])
def test_a_sound_subject_passes(which):
    assert run(which).passed is True


def test_answers_that_change_from_call_to_call_are_found_at_severity_zero():
    calls = itertools.count()

    def odd(x: Tensor) -> Tensor:
        turned: Tensor = made.bright(x).flip(1) if next(calls) % 2 else made.bright(x)
        return turned

    found = run(controls.IDENTITY, replace(made.grey_rule(), model=Reads(odd)), corruptions=["fog", "brightness"])
    assert found.passed is False
    assert "other answers with" in found.observed


def test_a_brightness_that_adds_another_amount_is_found(monkeypatch: pytest.MonkeyPatch):
    twice: Callable[..., Tensor] = lambda x, added, _: x + 2 * added  # noqa: E731 # as short as what it replaces
    monkeypatch.setattr(controls, "_BRIGHTNESS", replace(controls._BRIGHTNESS, apply=twice))
    assert run(controls.THRESHOLD).passed is False


def test_bounds_that_are_scaled_wrongly_are_found(monkeypatch: pytest.MonkeyPatch):
    def half(changed: Tensor, own: Tensor, *_: object) -> Tensor:
        return own + (changed - own) / 2

    monkeypatch.setattr("workers.corruption.of_images.kept_within", half)
    assert source.kept_within is not half
    assert run(controls.THRESHOLD).passed is False


def test_a_judge_that_does_not_know_the_example_is_found(monkeypatch: pytest.MonkeyPatch):
    sound = Judge.read
    calls = itertools.count()

    def shifted(self: Judge, outputs: Tensor, x: tuple[Tensor, ...], index: Tensor) -> Read:
        return sound(self, outputs, x, index if next(calls) % 2 == 0 else index.flip(0) + 6)

    monkeypatch.setattr(Judge, "read", shifted)
    assert run(controls.CONSTANT).passed is False


def test_draws_that_hang_on_what_was_drawn_before_are_found(monkeypatch: pytest.MonkeyPatch):
    one = torch.Generator().manual_seed(0)
    monkeypatch.setattr(Corruption, "draws", lambda *_: one)
    found = run(controls.ALONE, corruptions=["gaussian_noise"])
    assert found.passed is False
    assert "gaussian_noise" in found.observed


def test_where_nothing_can_be_asked_a_control_says_why():
    found = run(controls.IDENTITY, replace(made.reads_texts(["a film"]), tokenizer=None))
    assert found.passed is None
    assert found.observed.startswith("not applicable, because")


def test_every_control_is_the_kinds():
    assert [each.name for each in KIND.controls] == [which[0] for which in controls.RUNS]
