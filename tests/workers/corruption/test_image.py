"""Each corruption of a picture against what follows by hand, and what all of them keep to."""

from __future__ import annotations

from math import exp, sqrt

import pytest
import torch
from torch import Tensor

from tests.workers.corruption.made import apply, draws, smooth
from workers.corruption.image import blur, digital, geometry, noise, weather
from workers.corruption.of_images import IMAGE
from workers.corruption.spec import SEVERITIES, Corruption

every = pytest.mark.parametrize("corruption", IMAGE, ids=lambda each: each.name)


def grey(level: float, channels: int = 1, side: int = 64) -> Tensor:
    return torch.full((channels, side, side), level, dtype=torch.float64)


def impulse(side: int = 41) -> Tensor:
    made = grey(0.0, side=side)
    made[0, side // 2, side // 2] = 1.0
    return made


def colour(corruption: Corruption, channels: int) -> bool:
    return corruption.name != "saturate" or channels == 3


# --- all of them


@every
def test_strengths_ascend(corruption):
    assert corruption.strengths[0] > 0
    assert list(corruption.strengths) == sorted(set(corruption.strengths))


@every
def test_at_severity_zero_nothing_changes(corruption):
    x = smooth(3, 12, 17)
    assert torch.equal(apply(corruption, x, 0), x)


@every
@pytest.mark.parametrize("size", [(8, 8), (9, 13), (8, 40), (28, 28)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_keeps_its_shape_and_stays_finite(corruption, size, channels):
    if not colour(corruption, channels):
        return
    x = smooth(channels, *size)
    for severity in (1, 5):
        made = apply(corruption, x, severity)
        assert made.shape == x.shape
        assert made.dtype == x.dtype
        assert bool(torch.isfinite(made).all())


@every
def test_a_higher_severity_is_further_away(corruption):
    pictures = [smooth(3, 32, 32, seed) for seed in range(6)]
    away = [
        sum(float((apply(corruption, x, severity, seed).clamp(0, 1) - x).norm()) for seed, x in enumerate(pictures))
        for severity in SEVERITIES
    ]
    assert away == sorted(away)
    assert away[0] > 0
    assert away[-1] > 1.2 * away[0]


@pytest.mark.parametrize("side", [16, 28, 48])
def test_larger_pixels_are_further_away_at_any_size(side):
    x = smooth(1, side, side)
    away = [float((digital.pixelate(x, share, draws()) - x).norm()) for share in digital.DIGITAL[1].strengths]
    assert away == sorted(away)


@every
def test_the_same_draws_give_the_same_picture(corruption):
    x = smooth(3, 16, 16)
    assert torch.equal(apply(corruption, x, 3, seed=5), apply(corruption, x, 3, seed=5))


# --- noise


def test_gaussian_noise_has_its_deviation_and_no_mean():
    made = noise.gaussian(grey(0.5), 0.1, draws()) - 0.5
    assert float(made.std()) == pytest.approx(0.1, rel=0.04)
    assert abs(float(made.mean())) < 4 * 0.1 / 64


def test_shot_noise_keeps_the_mean_and_its_variance_is_mean_times_quantum():
    made = noise.shot(grey(0.5), 0.04, draws())
    assert float(made.mean()) == pytest.approx(0.5, abs=4 * sqrt(0.5 * 0.04) / 64)
    assert float(made.var()) == pytest.approx(0.5 * 0.04, rel=0.08)
    torch.testing.assert_close((made / 0.04).round() * 0.04, made)


def test_shot_noise_leaves_black_black():
    assert not noise.shot(grey(0.0), 0.1, draws()).any()


def test_impulse_noise_sets_its_share_to_either_end():
    made = noise.impulse(grey(0.5), 0.2, draws())
    assert float((made == 0.5).double().mean()) == pytest.approx(0.8, abs=0.03)
    assert float((made == 0).double().mean()) == pytest.approx(0.1, abs=0.02)
    assert set(made.unique().tolist()) == {0.0, 0.5, 1.0}


def test_more_impulses_hold_all_that_fewer_hold():
    few, many = (noise.impulse(grey(0.5), share, draws()) != 0.5 for share in (0.1, 0.3))
    assert bool((many | ~few).all())


def test_speckle_is_as_strong_as_the_pixel_is_bright():
    made = [noise.speckle(grey(level), 0.3, draws()) - level for level in (0.2, 0.8)]
    torch.testing.assert_close(4 * made[0], made[1])
    assert float(made[1].std()) == pytest.approx(0.24, rel=0.04)


# --- blur


@pytest.mark.parametrize("of", [blur.gaussian, blur.defocus, blur.motion, blur.zoom])
def test_a_blur_leaves_one_grey_as_it_is(of):
    torch.testing.assert_close(of(grey(0.3, 3), 0.1, draws()), grey(0.3, 3))


def test_gaussian_blur_of_a_point_is_its_bell():
    made = blur.gaussian(impulse(), 1.5 / 41, draws())[0]
    centre = float(made[20, 20])
    for down, across in ((0, 1), (1, 0), (2, 1), (3, 3)):
        ratio = float(made[20 + down, 20 + across]) / centre
        assert ratio == pytest.approx(exp(-(down**2 + across**2) / (2 * 1.5**2)), rel=1e-9)
    assert float(made.sum()) == pytest.approx(1)


def test_defocus_of_a_point_is_a_disk_whose_edge_is_partly_in():
    made = blur.defocus(impulse(), 1 / 41, draws())[0]
    corner = 1.5 - sqrt(2)
    whole = 1 + 4 * 0.5 + 4 * corner
    expected = torch.tensor([[corner, 0.5, corner], [0.5, 1, 0.5], [corner, 0.5, corner]], dtype=torch.float64) / whole
    torch.testing.assert_close(made[19:22, 19:22], expected)
    assert float(made.sum()) == pytest.approx(1)


def test_motion_of_a_point_is_a_line_of_its_length():
    made = blur.motion(impulse(), 9 / 41, draws())[0]
    rows, columns = torch.nonzero(made > 1e-9, as_tuple=True)
    reach = ((rows - 20.0) ** 2 + (columns - 20.0) ** 2).sqrt().max()
    assert 3.5 <= float(reach) <= 4.5 + sqrt(2)
    assert float(made.sum()) == pytest.approx(1)
    spread = float(
        (made * ((torch.arange(41) - 20.0) ** 2)[:, None]).sum() + (made * (torch.arange(41) - 20.0) ** 2).sum()
    )
    assert spread == pytest.approx(9**2 / 12, rel=0.12)


def test_a_blur_repeats_the_edge_pixels():
    x = grey(0.0, side=32)
    x[:, :, :16] = 1.0
    made = blur.gaussian(x, 0.05, draws())
    torch.testing.assert_close(made[:, 0], made[:, 16])
    assert float(made[0, 5, 0]) == pytest.approx(1)


def test_zoom_reads_a_ramp_closer_to_its_centre():
    across = (torch.arange(32, dtype=torch.float64) + 0.5) / 16 - 1
    ramp = across.expand(1, 32, 32)
    made = blur.zoom(ramp, 1.0, draws())
    expected = across * sum(1 / (1 + at / 8) for at in range(9)) / 9
    torch.testing.assert_close(made[0, 7], expected)


def test_lengths_are_shares_of_the_shorter_side_and_of_32_pixels_at_least():
    assert blur.pixels(grey(0, side=64), 0.1) == pytest.approx(6.4)
    assert blur.pixels(grey(0, side=8), 0.1) == pytest.approx(3.2)
    assert blur.pixels(torch.zeros(1, 100, 50), 0.1) == pytest.approx(5)


# --- weather-like


def test_brightness_adds_as_much_everywhere():
    torch.testing.assert_close(weather.brightness(grey(0.25), 0.3, draws()), grey(0.55))


def test_lost_contrast_keeps_the_mean_of_each_channel_and_scales_what_departs():
    x = smooth(3, 16, 16)
    made = weather.contrast(x, 0.6, draws())
    mean = x.mean((1, 2), keepdim=True)
    torch.testing.assert_close(made - mean, 0.4 * (x - mean))


def test_fog_is_a_share_of_light_between_half_and_full():
    black, white = (weather.fog(grey(level), 0.4, draws()) for level in (0.0, 1.0))
    assert float(black.min()) == pytest.approx(0.2, abs=0.02)
    assert float(black.max()) == pytest.approx(0.4, abs=0.02)
    torch.testing.assert_close(white - black, grey(0.6))


def test_plasma_fills_its_square_and_neighbours_are_alike():
    made = weather.plasma(64, draws())
    assert made.shape == (64, 64)
    assert float(made.min()) == 0
    assert float(made.max()) == 1
    beside = float((made[1:] - made[:-1]).abs().mean())
    assert beside < 0.3 * float((made[:32] - made[32:]).abs().mean())


def test_fog_of_two_examples_differs():
    assert not torch.equal(weather.fog(grey(0.5), 0.4, draws(1)), weather.fog(grey(0.5), 0.4, draws(2)))


# --- digital


@pytest.mark.parametrize(("level", "coarse"), [(0.3, 2.0), (0.77, 5.0), (0.5, 7.1)])
def test_jpeg_of_one_grey_rounds_its_mean_alone(level, coarse):
    first = 8 * (level * 255 - 127.5)
    kept = round(first / (16 * coarse)) * 16 * coarse / 8 + 127.5
    torch.testing.assert_close(digital.jpeg(grey(level, side=16), coarse, draws()), grey(kept / 255, side=16))


def test_jpeg_keeps_grey_grey():
    x = smooth(1, 16, 16).expand(3, -1, -1)
    made = digital.jpeg(x, 3.0, draws())
    # the middle of the two colour differences lies within half a step, which the blocks round to a constant
    torch.testing.assert_close(made - made.mean(0), (made - made.mean(0))[:, :1, :1].expand_as(made))


def test_jpeg_with_steps_that_are_tiny_changes_next_to_nothing():
    x = smooth(3, 19, 21)
    torch.testing.assert_close(digital.jpeg(x, 1e-4, draws()), x, atol=2e-4, rtol=0)


def test_pixelate_takes_the_mean_of_what_a_large_pixel_covers():
    x = smooth(2, 8, 8)
    made = digital.pixelate(x, 0.75, draws())
    expected = x.reshape(2, 2, 4, 2, 4).mean((2, 4)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    torch.testing.assert_close(made, expected)


def test_saturation_moves_colours_away_from_grey_and_leaves_grey_alone():
    torch.testing.assert_close(digital.saturate(grey(0.4, 3), 2.0, draws()), grey(0.4, 3))
    red = torch.zeros(3, 8, 8, dtype=torch.float64)
    red[0] = 0.5
    luma = 0.299 * 0.5
    made = digital.saturate(red, 1.0, draws())
    assert made[:, 0, 0].tolist() == pytest.approx([1 - luma, -luma, -luma])


def test_quantise_rounds_to_steps():
    x = torch.tensor([[[0.1, 0.13, 0.4, 0.99]]], dtype=torch.float64)
    assert digital.quantise(x, 0.25, draws()).flatten().tolist() == [0.0, 0.25, 0.5, 1.0]


# --- geometry


def test_a_quarter_turn_moves_every_pixel_to_its_place():
    x = smooth(1, 9, 9) + torch.arange(81.0, dtype=torch.float64).reshape(1, 9, 9)
    torch.testing.assert_close(geometry.turned(x, 90), torch.rot90(x, 1, (1, 2)))


def test_half_a_turn_of_a_picture_that_is_not_square_mirrors_both_ways():
    x = smooth(2, 8, 14)
    torch.testing.assert_close(geometry.turned(x, 180), x.flip((1, 2)))


def test_a_shift_by_whole_pixels_moves_the_picture_and_repeats_the_edge():
    x = smooth(1, 8, 8)
    made = blur.transformed(x, torch.eye(2, dtype=torch.float64), torch.tensor([2 * 2 / 8, 0.0], dtype=torch.float64))
    torch.testing.assert_close(made[..., :6], x[..., 2:])
    torch.testing.assert_close(made[..., 6:], x[..., 7:].expand(1, 8, 2))


def test_translations_of_examples_go_in_other_directions():
    x = smooth(1, 16, 16)
    moved = {float(geometry.translation(x, 0.1, draws(seed))[0, 8, 8]) for seed in range(8)}
    assert len(moved) == 8
