"""The network reads the example where a segment is shown and its fill where it is hidden; nothing else moves."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from tests.workers.neighbourhoods.pictures import Reads, asked, convolutional
from workers.kind import AnalysisError
from workers.neighbourhoods.image import Coins, ImageSettings, image
from workers.surrogate.explain import explain
from workers.surrogate.neighbourhood import Samples
from workers.surrogate.settings import Settings

QUARTERS = ImageSettings(segmentation="grid", cells=2)


class Flat(nn.Module):
    """Whatever the axes: three sums."""

    def forward(self, x, *others):
        return x.flatten(1).sum(1, keepdim=True) * torch.tensor([1.0, 2.0, 3.0]).to(x)


def images(*shape, seed=0):
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed))


def samples(*rows):
    z = np.array(rows, dtype=float)
    return Samples(z, 1 - np.sqrt(z.mean(1)), z)


def case(shape=(3, 4, 4), **changes):
    return asked(Flat(), images(*shape), precision="float32", **changes)


def test_a_hidden_segment_has_its_mean_colour_and_the_rest_is_the_example_bit_for_bit():
    asks = case()
    (made,) = image(asks, 1, QUARTERS).inputs(samples([1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0]))
    raw = asks.raw[0][1]
    assert torch.equal(made[0], raw)
    assert torch.equal(made[1][:, 2:], raw[:, 2:])
    assert torch.equal(made[1][:, :, 2:], raw[:, :, 2:])
    mean = raw[:, :2, :2].double().mean((1, 2)).float()
    assert torch.equal(made[1][:, :2, :2], mean[:, None, None].expand(3, 2, 2))
    assert torch.equal(made[2][:, 2:, 2:], raw[:, 2:, 2:].double().mean((1, 2)).float()[:, None, None].expand(3, 2, 2))


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((1, 5, 6), "NCHW"), ((3, 5, 6), "NCHW"), ((7, 5, 6), "NCHW"), ((5, 6, 3), "NHWC"), ((6, 5), "NWH"),
     ((5, 6), "NHW"), ((6, 3, 5), "NWCH")],
)  # fmt: skip
def test_any_order_of_the_axes_and_any_number_of_channels_is_masked_as_by_loops(shape, layout):
    preprocessing = {"mean": [0.5], "std": [0.25]}
    asks = case(shape, declared={"layout": layout, "preprocessing": preprocessing})
    around = image(asks, 0, ImageSettings(segmentation="grid", cells=3))
    drawn = around.stream(3, paired=False).take(6)
    (made,) = around.inputs(drawn)
    for row, z in enumerate(drawn.z):
        for place in np.ndindex(*shape):
            at = dict(zip(layout[1:], place, strict=True))
            segment = around.segments.labels[at["H"], at["W"]]
            same = [
                other for other in np.ndindex(*shape)
                if dict(zip(layout[1:], other, strict=True)).get("C") == at.get("C")
                and around.segments.labels[tuple(dict(zip(layout[1:], other, strict=True))[one] for one in "HW")]
                == segment
            ]  # fmt: skip
            mean = np.mean([float(asks.raw[0][0][other]) for other in same])
            expected = float(asks.raw[0][0][place]) if z[segment] else mean
            assert float(made[row][place]) == pytest.approx((expected - 0.5) / 0.25, abs=1e-6)


def test_colour_is_given_in_raw_units_and_goes_through_preprocessing():
    preprocessing = {"mean": [10.0, 20.0, 30.0], "std": [2.0, 4.0, 5.0]}
    declared = {"bounds": {"low": [0.0], "high": [255.0]}, "preprocessing": preprocessing}
    asks = asked(Flat(), 255 * images(3, 4, 4), declared=declared)
    around = image(asks, 0, ImageSettings(segmentation="grid", cells=2, fill="colour", colour=(12.0, 24.0, 255.0)))
    (made,) = around.inputs(samples([0, 0, 0, 0]))
    assert made[0, :, 0, 0].tolist() == [1.0, 1.0, 45.0]
    assert made.dtype == torch.float64
    assert around.as_json()["colour"] == [12.0, 24.0, 255.0]


@pytest.mark.parametrize(("blur", "sigma"), [(0.0, 0.8), (2.0, 2.0)])
def test_blur_smooths_each_channel(blur, sigma):
    asks = case((3, 8, 9))
    around = image(asks, 0, ImageSettings(segmentation="grid", cells=2, fill="blur", blur=blur))
    (made,) = around.inputs(samples([0, 0, 0, 0]))
    expected = [gaussian_filter(plane.double().numpy(), sigma, mode="nearest") for plane in asks.raw[0][0]]
    assert np.allclose(made[0].numpy(), np.stack(expected), atol=1e-6)
    assert around.as_json()["blur"] == pytest.approx(sigma)


def test_inputs_that_are_not_the_image_repeat_and_may_be_written_to():
    ids = {"kind": "tokens", "layout": "NT", "shape": [2], "bounds": {"low": [0], "high": [9]}}
    mask = {"name": "mask", "input": ids}
    asks = case(further=(torch.tensor([[1, 2], [3, 4]]),), more=(mask,))
    made = image(asks, 1, QUARTERS).inputs(samples([1, 1, 1, 1], [0, 0, 0, 1]))
    assert made[1].tolist() == [[3, 4], [3, 4]]
    made[0].zero_()
    made[1][0].zero_()
    assert made[1].tolist() == [[0, 0], [3, 4]]
    assert asks.x[1].tolist() == [[1, 2], [3, 4]]
    assert float(asks.x[0].abs().min()) > 0


def test_the_image_may_be_a_later_input():
    table = {"kind": "table", "layout": "NF", "shape": [5]}
    picture = {"name": "picture", "input": {"kind": "image", "layout": "NCHW", "shape": [3, 4, 4],
                                            "bounds": {"low": [0.0], "high": [1.0]}}}  # fmt: skip
    asks = asked(Flat(), images(5), declared=table, further=(images(3, 4, 4),), more=(picture,))
    around = image(asks, 0, QUARTERS)
    assert around.as_json()["input"] == 1
    made = around.inputs(samples([1, 1, 1, 1], [0, 0, 0, 0]))
    assert torch.equal(made[0], asks.x[0][:1].expand(2, 5))
    assert not torch.equal(made[1][0], made[1][1])


def test_inert_segments_are_those_that_look_the_same_when_hidden():
    inputs = images(3, 4, 4)
    inputs[0, :, :2, :2] = 0.3
    inputs[0, :, 2:, 2:] = torch.tensor([0.1, 0.7, 0.9])[:, None, None]
    asks = asked(Flat(), inputs)
    assert image(asks, 0, QUARTERS).inert == (0, 3)
    assert image(asks, 1, QUARTERS).inert == ()
    assert image(asks, 0, ImageSettings(segmentation="grid", cells=2, fill="colour", colour=(0.3,))).inert == (0,)


def test_units_of_the_image_do_not_move_its_segments():
    plain = asked(Flat(), images(3, 40, 40))
    bounds = {"bounds": {"low": [0.0], "high": [255.0]}}
    grey = asked(Flat(), 255 * images(3, 40, 40), declared=bounds)
    first, second = (image(each, 0, ImageSettings()).segments for each in (plain, grey))
    assert first.made["segmentation"] == "slic"
    assert np.array_equal(first.labels, second.labels)


def test_pictures_are_in_colour_and_unit_range():
    asks = asked(Flat(), 4 * images(1, 4, 4) - 2, declared={"bounds": {"low": [-2.0], "high": [2.0]}})
    around = image(asks, 0, QUARTERS)
    assert around.picture.shape == around.filled.shape == (3, 4, 4)
    assert torch.allclose(around.picture[2], (asks.raw[0][0, 0].double() + 2) / 4)
    assert torch.allclose(around.filled[0, :2, :2], around.picture[0, :2, :2].mean().expand(2, 2))


@pytest.mark.parametrize("features", [4, 37])
def test_samples_are_lime_s_own_and_blocks_continue_them(features):
    drawn = np.random.RandomState(5).randint(0, 2, 300 * features).reshape(300, features)
    drawn[0] = 1
    stream = Coins(features, 5, paired=False)
    blocks = [stream.take(count) for count in (1, 0, 64, 235)]
    assert np.array_equal(np.concatenate([each.z for each in blocks]), drawn)
    assert blocks[0].z.dtype == np.float64


def test_pairs_mirror_the_sample_before_and_blocks_continue_them():
    rows = np.random.RandomState(8).randint(0, 2, 51 * 6).reshape(51, 6)
    expected = [np.ones(6)]
    for row in rows[1:]:
        expected += [row, 1 - row]
    stream = Coins(6, 8, paired=True)
    found = np.concatenate([stream.take(count).z for count in (0, 1, 1, 1, 2, 3, 0, 5, 88)])
    assert np.array_equal(found, np.array(expected))


def test_distances_are_cosine_and_1_where_everything_is_hidden():
    stream = Coins(4, 0, paired=True)
    drawn = stream.take(400)
    cosine = [1 - row.sum() / (np.linalg.norm(row) * 2) if row.any() else 1.0 for row in drawn.z]
    assert np.allclose(drawn.distances, cosine, atol=1e-15)
    assert drawn.distances[0] == 0
    assert drawn.distances.max() == 1.0


@pytest.mark.parametrize("method", ["grid", "slic", "quickshift", "felzenszwalb"])
def test_a_model_that_reads_one_segment_is_explained_by_it(method):
    chosen = {"quickshift": {"max_dist": 6.0}, "felzenszwalb": {"scale": 5.0, "min_size": 40}}.get(method, {})
    settings = ImageSettings(segmentation=method, fill="colour", colour=(0.0,), cells=6, **chosen)
    inputs = images(3, 36, 36, seed=3)
    parts = image(asked(convolutional(3, 0), inputs), 0, settings).segments
    for segment in range(0, parts.count, max(1, parts.count // 4)):
        where = torch.from_numpy(parts.labels == segment).double()
        asks = asked(Reads(where), inputs)
        found = explain(image(asks, 0, settings), asks.at(0), Settings(features=5), seed=segment)
        for label, sign in zip(found.labels[:2], (1, -1), strict=True):
            assert label.chosen[0] == segment
            assert sign * label.coefficients[segment] > 0
            assert np.abs(np.delete(label.coefficients, segment)).max(initial=0) < 0.02 * abs(
                label.coefficients[segment]
            )
            assert label.verdict == "readable", label.reason
        assert found.labels[2].verdict == "nothing changes"


def test_equal_neighbourhoods_say_the_same_of_themselves_and_others_do_not():
    one, same = (image(case(), 0, QUARTERS).as_json() for _ in range(2))
    assert one == same
    assert one != image(case(), 0, ImageSettings(segmentation="grid", cells=3)).as_json()
    assert ImageSettings(given=((1, 2),)).as_json()["given"] == [[1, 2]]


def refusal(asks, settings=QUARTERS):
    with pytest.raises(AnalysisError) as found:
        image(asks, 0, settings)
    assert found.value.permanent
    assert found.value.remedy
    return str(found.value)


def test_what_has_no_image_is_refused():
    assert "reads table NF" in refusal(asked(Flat(), images(6), declared={"kind": "table", "layout": "NF"}))


def test_an_image_that_is_not_finite_is_refused():
    asks = case()
    asks.raw[0][0, 0, 0, 0] = torch.nan
    assert "example 0 holds NaN" in refusal(asks)


@pytest.mark.parametrize(
    ("colour", "failed"),
    [((0.1, 0.2), "2 numbers and the image 3 channels"), ((128.0,), "128 lies outside"), ((), "0 numbers"),
     ((0.5, 0.5, -0.1), "outside the declared bounds"), ((float("nan"),), "outside")],
)  # fmt: skip
def test_a_colour_that_no_image_has_is_refused(colour, failed):
    assert failed in refusal(case(), ImageSettings(segmentation="grid", cells=2, fill="colour", colour=colour))


def test_fewer_than_four_segments_are_refused():
    assert "1 segment" in refusal(case(), ImageSettings(segmentation="grid", cells=1))


def test_a_negative_blur_is_refused():
    assert "blurred by -1 pixels" in refusal(
        case(), ImageSettings(segmentation="grid", cells=2, fill="blur", blur=-1.0)
    )


@pytest.mark.slow
def test_nothing_is_imported_while_an_image_is_parted_filled_and_masked():
    script = """
import sys
import torch
from tests.workers.neighbourhoods.pictures import asked, convolutional
from workers.neighbourhoods.image import ImageSettings, image
case = asked(convolutional(3, 0), torch.rand(1, 3, 40, 40))
before = set(sys.modules)
for fill in ("mean", "blur", "colour"):
    for method in ("grid", "slic", "quickshift", "felzenszwalb"):
        settings = ImageSettings(segmentation=method, max_dist=8.0, scale=20.0, min_size=10, fill=fill)
        around = image(case, 0, settings)
        around.inputs(around.stream(0, paired=True).take(3))
        around.as_json()
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_cells_of_a_small_picture_are_more_than_a_pixel_where_their_mean_hides_them():
    small = asked(Flat(), images(1, 8, 8))
    assert len(image(small, 0, ImageSettings()).names) == 16
    assert image(small, 0, ImageSettings()).inert == ()
    assert len(image(small, 0, ImageSettings(fill="colour")).names) == 64


def test_a_picture_of_which_nothing_can_be_missed_is_refused():
    flat = asked(Flat(), torch.full((1, 1, 8, 8), 0.5))
    assert "each of the 16 segments of example 0 looks the same" in refusal(flat, ImageSettings())
