"""Equal seeds give our surrogate of an image and that of lime 0.2.0.1; where lime is wrong, both answers stand here."""

import numpy as np
import pytest
import torch
from lime.lime_image import LimeImageExplainer
from scipy.ndimage import gaussian_filter
from skimage.segmentation import slic

from tests.workers.neighbourhoods.pictures import Reads, asked, convolutional
from workers.neighbourhoods.image import ImageSettings, image
from workers.surrogate.explain import explain
from workers.surrogate.settings import Settings

LABELS = (0, 1, 2)
DRAWN = 48


def theirs(asks, labels_of_pixels, *, seed, samples, features, selection="auto", hide=None):
    """lime's own explanation of the first example: all of its samples, masks, forward passes and regressions."""
    raw = asks.raw[0][0].double()
    predict = asks.at(0)

    def classify(pictures):
        planes = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        return predict((asks.subject.prepared(planes[:, : len(raw)].contiguous()),))

    pixels = raw.permute(1, 2, 0).numpy()
    explainer = LimeImageExplainer(random_state=np.random.RandomState(seed), feature_selection=selection)
    return explainer.explain_instance(
        pixels[..., 0] if len(raw) == 1 else pixels, classify, labels=LABELS, top_labels=None, hide_color=hide,
        num_features=features, num_samples=samples, batch_size=32, segmentation_fn=lambda _: labels_of_pixels,
        random_seed=1,
    )  # fmt: skip


def drawn_case(seed):
    """A network, an image, and how it is parted, filled and fitted, all drawn."""
    draw = np.random.RandomState(1000 + seed)
    channels, side = (1, 3)[draw.randint(2)], int(draw.randint(8, 20))
    raw = torch.from_numpy(draw.rand(2, channels, side, side)).float() * 255
    declared = {
        "bounds": {"low": [0.0], "high": [255.0]},
        "preprocessing": {"mean": [120.0] * channels, "std": (40 + 30 * draw.rand(channels)).tolist()},
    }
    asks = asked(convolutional(channels, seed), raw, declared=declared, scale="probability")
    fill = ("mean", "blur", "colour")[seed % 3]
    given = tuple(map(tuple, draw.randint(0, 12, (side, side)).tolist()))
    parted = ({"segmentation": "grid", "cells": 3}, {"segmentation": "given", "given": given},
              {"segmentation": "slic", "segments": 14})[draw.randint(3)]  # fmt: skip
    colour = tuple((255 * draw.rand(channels)).tolist())
    settings = ImageSettings(fill=fill, blur=1.5, colour=colour, **parted)
    if fill == "colour":
        hide = np.resize(colour, 3)
    else:
        smooth = [gaussian_filter(plane.double().numpy(), 1.5, mode="nearest") for plane in raw[0]]
        hide = np.stack(smooth, axis=-1) if fill == "blur" else None
    asking = {
        "samples": int(draw.randint(60, 160)), "features": int((2, 4, 8, 100)[draw.randint(4)]),
        "selection": ("auto", "auto", "highest_weights", "lasso_path", "none")[draw.randint(5)],
    }  # fmt: skip
    return asks, settings, asking, hide


@pytest.mark.parametrize("seed", range(DRAWN))
def test_the_same_seed_gives_lime_s_coefficients_intercept_fit_and_features(seed):
    asks, settings, asking, hide = drawn_case(seed)
    around = image(asks, 0, settings)
    ours = explain(around, asks.at(0), Settings(paired=False, rows=37, **asking), seed=seed)
    lime = theirs(asks, around.segments.labels, seed=seed, hide=hide, **asking)
    for label, mine in zip(LABELS, ours.labels, strict=True):
        known = np.zeros(around.segments.count)
        for feature, value in lime.local_exp[label]:
            known[feature] = value
        scale = np.abs(known).max()
        assert scale > 0
        assert set(mine.chosen) == {feature for feature, _ in lime.local_exp[label]}
        assert np.abs(mine.coefficients - known).max() <= 1e-5 * scale
        assert mine.intercept == pytest.approx(lime.intercept[label], abs=1e-5 * scale)
    assert ours.labels[-1].r2 == pytest.approx(lime.score, abs=1e-5)
    assert ours.labels[-1].local == pytest.approx(float(lime.local_pred[0]), abs=1e-5)


def test_lime_keeps_the_fit_of_the_last_label_alone_and_ours_has_each():
    asks, settings, _, _ = drawn_case(2)
    around = image(asks, 0, settings)
    asking = {"samples": 120, "features": 100}
    hide = np.resize(settings.colour, 3)
    ours = explain(around, asks.at(0), Settings(paired=False, **asking), seed=4)
    lime = theirs(asks, around.segments.labels, seed=4, hide=hide, **asking)
    assert np.ndim(lime.score) == 0
    assert ours.labels[2].r2 == pytest.approx(lime.score, abs=1e-9)
    assert len({round(each.r2, 3) for each in ours.labels}) == 3
    assert len({round(each.local, 3) for each in ours.labels}) == 3


def test_where_labels_begin_at_1_lime_never_hides_the_last_segment_and_ours_does():
    down, across = np.mgrid[:12, :12]
    colours = np.stack([down, across, down * across / 11], axis=-1) / 11
    labels = np.asarray(slic(colours, n_segments=9, compactness=10, sigma=0, start_label=1))
    last = labels == labels.max()
    inputs = torch.from_numpy(colours).permute(2, 0, 1)[None].float().clamp(0.1, 1)
    asks = asked(Reads(torch.from_numpy(last).double()), inputs)
    given = ImageSettings(segmentation="given", given=tuple(map(tuple, labels.tolist())), fill="colour")
    around = image(asks, 0, given)
    asking = {"samples": 200, "features": 100}
    ours = explain(around, asks.at(0), Settings(paired=False, **asking), seed=0).labels[0]
    lime = dict(theirs(asks, labels, seed=0, hide=0.0, **asking).local_exp[0])
    right = dict(theirs(asks, labels - 1, seed=0, hide=0.0, **asking).local_exp[0])
    assert max(map(abs, lime.values())) < 1e-9
    assert ours.chosen[0] == around.segments.count - 1
    assert ours.coefficients[-1] > 0.5
    assert ours.coefficients[-1] == pytest.approx(right[around.segments.count - 1], abs=1e-9)
    assert around.names[-1] == f"segment {labels.max()}"
