"""Labels are numbered 0 to K - 1 in their order; what cannot be ranked is refused with what to change."""

import numpy as np
import pytest
from lime.wrappers.scikit_image import SegmentationAlgorithm

from workers.kind import AnalysisError
from workers.neighbourhoods.segments import SegmentSettings, segments


def picture(height, width, seed=0):
    """Waves and a little noise, in colour."""
    down, across = np.mgrid[:height, :width] / max(height, width)
    waves = np.stack([np.sin(6 * across), np.cos(5 * down), np.sin(9 * across * down)], axis=-1)
    return (0.5 + 0.4 * waves + 0.02 * np.random.RandomState(seed).randn(height, width, 3)).clip(0, 1)


def given(*rows):
    return SegmentSettings(segmentation="given", given=rows)


def test_a_grid_has_cells_of_equal_size_in_reading_order():
    made = segments(picture(4, 6), SegmentSettings(segmentation="grid", cells=2))
    assert made.labels.tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 3, 3, 3]] * 2
    assert made.names == ("row 0, column 0", "row 0, column 1", "row 1, column 0", "row 1, column 1")
    assert made.sizes.tolist() == [6, 6, 6, 6]


def test_a_grid_has_at_most_one_cell_for_each_pixel():
    made = segments(picture(3, 8), SegmentSettings(segmentation="grid", cells=5))
    assert (made.made["rows"], made.made["columns"], made.count) == (3, 5, 15)


@pytest.mark.parametrize(
    ("height", "width", "method"), [(8, 8, "grid"), (31, 64, "grid"), (32, 32, "slic"), (64, 48, "slic")]
)
def test_the_default_is_a_grid_below_32_pixels_and_slic_above(height, width, method):
    assert segments(picture(height, width), SegmentSettings()).made["segmentation"] == method


def test_slic_gives_about_as_many_segments_as_were_asked_for():
    assert 40 <= segments(picture(64, 64), SegmentSettings()).count <= 60


def test_given_numbers_are_renumbered_in_their_order_and_keep_their_names():
    made = segments(picture(2, 3), given((9, 9, -2), (4, 7, 7)))
    assert made.labels.tolist() == [[3, 3, 0], [1, 2, 2]]
    assert made.names == ("segment -2", "segment 4", "segment 7", "segment 9")


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        (
            SegmentSettings(segmentation="slic", segments=30, compactness=5.0, sigma=0.5),
            SegmentationAlgorithm("slic", n_segments=30, compactness=5.0, sigma=0.5, start_label=1),
        ),
        (
            SegmentSettings(segmentation="quickshift", kernel_size=2.0, max_dist=8.0, ratio=0.5, seed=7),
            SegmentationAlgorithm("quickshift", kernel_size=2.0, max_dist=8.0, ratio=0.5, rng=7),
        ),
        (
            SegmentSettings(segmentation="felzenszwalb", scale=20.0, smoothing=0.5, min_size=10),
            SegmentationAlgorithm("felzenszwalb", scale=20.0, sigma=0.5, min_size=10),
        ),
    ],
    ids=["slic", "quickshift", "felzenszwalb"],
)
def test_segmentations_are_those_that_lime_would_run(settings, theirs):
    colours = picture(40, 48)
    ours, known = segments(colours, settings).labels, theirs(colours)
    assert len(np.unique(known)) >= 4
    assert np.array_equal(ours, known - known.min())
    assert sorted(set(ours.ravel().tolist())) == list(range(ours.max() + 1))


@pytest.mark.parametrize("method", ["grid", "slic", "quickshift", "felzenszwalb"])
def test_equal_pictures_give_equal_segments_and_equal_provenance(method):
    settings = SegmentSettings(segmentation=method, max_dist=8.0, scale=20.0, min_size=10)
    first, second = (segments(picture(40, 40).copy(), settings) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)
    assert first.as_json() == second.as_json()


def test_other_segments_have_another_digest():
    one = segments(picture(2, 2), given((0, 1), (2, 3))).as_json()
    assert one["labels_digest"] != segments(picture(2, 2), given((0, 1), (3, 2))).as_json()["labels_digest"]
    assert one["count"] == 4


def test_means_are_those_of_each_segment_and_channel_and_exact_where_it_has_one_colour():
    made = segments(picture(2, 3), given((0, 0, 1), (2, 3, 3)))
    image = np.array([[[1.0, 2.0, 5.0], [0.0, 4.0, 8.0]], [[0.1] * 3] * 2])
    assert made.means(image).tolist() == [[1.5, 5.0, 0.0, 6.0], [0.1] * 4]


@pytest.mark.parametrize(
    ("settings", "failed", "remedy"),
    [
        (given((0, 0, 1), (2, 2, 2)), "given gives 3 segments of this image of 2 x 3 pixels", "at least 4"),
        (given((1, 1, 1), (1, 1, 1)), "given gives 1 segment of this image", "at least 4"),
        (given((0, 1), (2, 3)), "have 2 rows (rows of 2) and the image has 2 rows of 3 pixels", "each pixel"),
        (given((0, 1, 2), (2, 3)), "(rows of 2 and 3)", "each pixel"),
        (given(), "0 rows (no rows)", "each pixel"),
        (given((0, 1, 2), (3, 4, 2**70)), "whole numbers", "one number"),
        (SegmentSettings(segmentation="grid", cells=1), "grid gives 1 segment", "more cells"),
        (SegmentSettings(segmentation="grid", cells=0), "not 0", "between 2 and 32"),
        (SegmentSettings(segmentation="quickshift"), "quickshift gives 1 segment", "smaller max_dist"),
        (SegmentSettings(segmentation="felzenszwalb"), "felzenszwalb gives 1 segment", "smaller scale"),
    ],
)
def test_what_has_no_four_segments_is_refused_with_what_to_change(settings, failed, remedy):
    with pytest.raises(AnalysisError) as refusal:
        segments(picture(2, 3), settings)
    assert refusal.value.code == "segments"
    assert failed in str(refusal.value)
    assert remedy in refusal.value.remedy


def test_more_segments_than_a_surrogate_reads_are_refused():
    with pytest.raises(AnalysisError, match=r"gives 1600 segments.*at most 1024") as refusal:
        segments(picture(40, 40), SegmentSettings(segmentation="grid", cells=40))
    assert refusal.value.remedy == "Ask for fewer cells."


@pytest.mark.parametrize(
    "settings",
    [SegmentSettings(segmentation="slic", segments=0), SegmentSettings(segmentation="quickshift", kernel_size=0.5)],
)
def test_settings_that_scikit_image_does_not_run_with_are_refused(settings):
    with pytest.raises(AnalysisError, match="does not run with"):
        segments(picture(40, 40), settings)
