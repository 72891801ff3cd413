"""The demo's networks learn what the demo promises, the same each time, and declare what is true of their data."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lamina.demo_networks import (
    MOST_TEST_EXAMPLES,
    NotLearned,
    Task,
    Trained,
    accuracy,
    digits,
    save_examples,
    train,
    tumours,
)

MAKERS = {"digits": digits, "tumours": tumours}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained() -> dict[str, tuple[Trained, Trained]]:
    return {name: train(make()) for name, make in MAKERS.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "promised"), [("digits", 0.97), ("tumours", 0.95)])
def test_full_training_reaches_the_promised_test_accuracy_and_one_epoch_less(
    trained: dict[str, tuple[Trained, Trained]], name: str, promised: float
) -> None:
    early, full = trained[name]
    assert (early.version, early.epochs, full.version) == ("1", 1, "2")
    assert full.accuracy >= promised
    assert early.accuracy < full.accuracy
    assert full.accuracy == accuracy(full.task, full.network)
    assert not full.network.training


def test_training_again_gives_the_same_numbers_and_leaves_the_callers_generator_alone(
    trained: dict[str, tuple[Trained, Trained]],
) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    again = train(tumours())
    assert torch.rand(2).tolist() == expected.tolist()
    for before, after in zip(trained["tumours"], again, strict=True):
        for name, weights in before.network.state_dict().items():
            assert torch.equal(weights, after.network.state_dict()[name]), name


def test_every_epoch_is_told() -> None:
    seen: list[tuple[int, int]] = []
    task = tumours()
    train(task, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1), *((done, task.epochs) for done in range(1, task.epochs + 1))]


def test_training_that_does_not_reach_its_accuracy_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamina.demo_networks.accuracy", lambda _task, _network: 0.5)
    with pytest.raises(NotLearned, match=r"tumour-mlp reached a test accuracy of 0\.500 after 30 epochs"):
        train(tumours())


@pytest.mark.parametrize("name", MAKERS)
def test_bounds_hold_every_example_and_training_never_saw_the_test(name: str) -> None:
    task: Task = MAKERS[name]()
    low, high = np.asarray(task.input.bounds.low), np.asarray(task.input.bounds.high)
    for inputs in (task.train_inputs, task.test_inputs):
        assert inputs.dtype == np.float32
        assert inputs.shape[1:] == task.input.shape
        assert (inputs >= low).all()
        assert (inputs <= high).all()
    training = {example.tobytes() for example in task.train_inputs}
    assert not any(example.tobytes() in training for example in task.test_inputs)


def test_preprocessing_is_declared_as_numbers_and_done_outside_the_network() -> None:
    task = tumours()
    preprocessed = task.preprocessed(task.train_inputs)
    torch.testing.assert_close(preprocessed.mean(dim=0), torch.zeros(30), atol=1e-4, rtol=0)
    torch.testing.assert_close(preprocessed.std(dim=0, correction=0), torch.ones(30), atol=1e-4, rtol=0)
    assert list(dict(task.network().named_buffers())) == []


def test_pixels_are_preprocessed_alike() -> None:
    task = digits()
    declared = task.input.preprocessing
    assert (len(declared.mean), len(declared.std)) == (1, 1)
    raw = np.full((1, 1, 8, 8), 16, dtype=np.float32)
    expected = (16 - declared.mean[0]) / declared.std[0]
    torch.testing.assert_close(task.preprocessed(raw), torch.full((1, 1, 8, 8), expected))


@pytest.mark.parametrize("name", MAKERS)
def test_facts_name_every_class_and_feature(name: str) -> None:
    task: Task = MAKERS[name]()
    facts = task.model_facts(0.5)
    assert facts.accuracy == 0.5
    assert facts.output.classes == task.dataset_facts().classes
    assert set(task.test_labels.tolist()) == set(range(len(facts.output.classes)))
    assert len(facts.input.feature_names) == (30 if name == "tumours" else 0)


@pytest.mark.parametrize(("name", "count"), [("digits", MOST_TEST_EXAMPLES), ("tumours", 143)])
def test_the_test_examples_are_saved_in_raw_units_without_pickles(tmp_path: Path, name: str, count: int) -> None:
    task: Task = MAKERS[name]()
    assert save_examples(task, tmp_path / "data.npz") == count
    with np.load(tmp_path / "data.npz", allow_pickle=False) as saved:
        assert set(saved) == {"inputs", "labels"}
        np.testing.assert_array_equal(saved["inputs"], task.test_inputs[:count])
        np.testing.assert_array_equal(saved["labels"], task.test_labels[:count])
