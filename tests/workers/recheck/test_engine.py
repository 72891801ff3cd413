"""Does everything that the engine finds stand up before code that knows nothing of it?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contracts.facts import ModelFacts
from tests.workers import subjects
from workers.attack.frontier import attack
from workers.attack.settings import Settings
from workers.attack.space import Norm
from workers.passes.aims import Wanted, aim_of
from workers.passes.attacked import Attacked
from workers.recheck.asking import Asking
from workers.recheck.recheck import recheck
from workers.subject.subject import Subject
from workers.tensorfile import save


def prepared(of: Subject) -> Subject:
    """The same in raw units of 10 to 20, from which a mean is taken off, and without labels."""
    declared = of.facts.model_dump(mode="json")
    declared["input"]["preprocessing"] = {"mean": [15.0], "std": [5.0]}
    declared["input"]["bounds"] = {"low": [10.0], "high": [20.0]}
    data = of.examples["evaluation"]
    within = replace(data, inputs=15 + 5 * data.inputs.tanh(), labels=None)
    return replace(of, facts=ModelFacts.model_validate(declared), examples={"evaluation": within})


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("kind", ["classifier", "images", "series"])
def test_what_the_engine_finds_is_confirmed_from_its_bytes(kind: str, norm: Norm, tmp_path: Path) -> None:
    of = prepared(getattr(subjects, kind)())
    attacked = Attacked.of(of, norm=norm, examples=6)
    aim = aim_of(attacked, Wanted())
    settings = Settings(norm=norm, epsilons=(0.1, 1.0, 4.0, 40.0), steps=50, queries=50)
    victim = attacked.victim(aim.read, 32)
    with attacked.quiet():
        found = attack(victim, aim.goal, attacked.x, attacked.space, settings, range(len(attacked)))
    rows = (found.clean & (found.at < 4)).nonzero().flatten()
    assert aim.truth is not None
    with torch.no_grad():
        given = of.model(of.prepared(found.made[rows]))
    said = {
        "index": rows.numpy(), "made": found.made[rows].numpy(), "unit": attacked.space.unit.numpy(),
        "epsilon": np.asarray(settings.epsilons)[found.at[rows].numpy()], "prediction": given.argmax(1).numpy(),
        "label": aim.truth[rows].numpy(), "value": given.numpy(),
    }  # fmt: skip
    save(said, tmp_path / "found")
    checked = recheck(Asking(of), (tmp_path / "found").read_bytes(), norm, rounded=True)
    assert checked.refused == ()
    assert checked.n == len(rows) > 0
