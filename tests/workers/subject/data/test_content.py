"""Are repeated, constant and unbalanced examples told, and is one example recognised wherever it stands?"""

import hashlib

import numpy as np
import torch

from tests.workers.subject.data.files import npz, table_facts, text_facts
from workers.subject.data.canonical import content_of
from workers.subject.data.overlap import repeated, shared

ROWS = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.0], [5.0, 6.0]])


def codes(manifest) -> dict[str, str]:
    return {warning.code: warning.detail for warning in manifest.warnings}


def test_the_content_digest_is_blake2b_of_the_raw_float32_values(take):
    _, examples = take(npz(inputs=ROWS, labels=[0, 1, 0, 1, 0]))
    raw = np.array([3.0, 4.0], dtype="<f4").tobytes()
    expected = hashlib.blake2b(raw, digest_size=16, person=b"lamina.content/1").digest()
    assert examples.content[1].numpy().tobytes() == expected
    assert examples.content.dtype == torch.uint8
    assert examples.content.shape == (5, 16)


def test_labels_are_no_part_of_the_content_and_the_sign_of_zero_is_none(take):
    _, first = take(npz(inputs=[[0.0, 1.0]], labels=[0]))
    _, second = take(npz(inputs=[[-0.0, 1.0]], labels=[1]))
    assert torch.equal(first.content, second.content)


def test_repeated_examples_are_counted_with_the_first_places(take):
    manifest, _ = take(npz(inputs=ROWS, labels=[0, 1, 0, 1, 0]))
    assert codes(manifest) == {
        "duplicate-examples": "2 examples repeat an earlier one exactly, labels aside: example 2 repeats 0, example 3"
        " repeats 0"
    }
    found = repeated(content_of((ROWS,)), places=1)
    assert (found.count, found.places) == (2, ((2, 0),))


def test_repeated_texts_are_told(take):
    manifest, _ = take("text,label\nsame,cat\nother,dog\nsame,dog\n", text_facts())
    assert "example 2 repeats 0" in codes(manifest)["duplicate-examples"]


def test_examples_that_two_datasets_share_are_counted_from_each_side():
    first, second = (torch.from_numpy(content_of((rows,)).copy()) for rows in (ROWS, ROWS[[0, 4]]))
    assert (shared(first, second), shared(second, first)) == (4, 2)
    assert shared(first, torch.from_numpy(content_of((ROWS + 1,)).copy())) == 0


def test_constant_features_are_named(take):
    manifest, _ = take("age,site <b>,labels\n1,7,0\n-9,7,1\n")
    assert codes(manifest) == {"constant-features": "1 of 2 features have one value in all examples: 'site <b>'"}


def test_bounds_far_wider_than_the_data_are_told_for_all_or_for_each_feature(take):
    rows = [[1.0, 2.0], [2.0, 3.0]]
    assert "bounds-wide" not in codes(take(npz(inputs=rows, labels=[0, 1]))[0])
    wide = codes(take(npz(inputs=rows, labels=[0, 1]), table_facts(low=-100, high=100))[0])
    assert wide == {"bounds-wide": "the declared bounds are more than 10 times as wide as the values found (1 to 3)"}
    bounds = {"kind": "table", "layout": "NF", "shape": [2], "bounds": {"low": [0, 0], "high": [5, 50]}}
    each = codes(take(npz(inputs=rows, labels=[0, 1]), table_facts(input=bounds))[0])
    assert each["bounds-wide"].endswith("(1 to 3), in 1 of 2 channels or features")


def rows(count: int) -> list[list[float]]:
    return [[float(at % 19 - 9), at / count * 9] for at in range(count)]


def test_labels_of_one_class_missing_classes_and_imbalance_are_told(take):
    three = ["cat", "dog", "bird"]
    one = codes(take(npz(inputs=rows(4), labels=[1, 1, 1, 1]))[0])
    assert one == {"single-class": "every example has the label 'dog'"}
    missing = codes(take(npz(inputs=rows(4), labels=[0, 1, 0, 1]), table_facts(classes=three))[0])
    assert missing == {"class-missing": "1 of 3 classes have no example: 'bird'"}
    uneven = codes(take(npz(inputs=rows(11), labels=[0] * 10 + [1]))[0])
    assert uneven == {"classes-imbalanced": "'cat' has 10 examples, 'dog' has 1"}
    assert codes(take(npz(inputs=rows(10), labels=[0] * 9 + [1]))[0]) == {}
