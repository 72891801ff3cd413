"""Do images come in as the raw values they hold, upright and resized as declared, and is every other file named?"""

import io

import numpy as np
import PIL.Image
import pytest
import torch

from tests.workers.subject.data.files import image, image_facts, npz, zipped

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (7, 7, 7)
PIXELS = np.array([[RED, BLUE], [GREY, (1, 2, 3)]], dtype=np.uint8)
CHANNELS = PIXELS.transpose(2, 0, 1).astype(np.float32)


def test_pixels_are_raw_values_in_the_declared_layout_and_folders_are_classes(take):
    content = zipped({"dog/b.png": image(PIXELS), "cat/a.PNG": image(PIXELS[::-1])})
    manifest, examples = take(content, image_facts())
    assert torch.equal(examples.inputs, torch.from_numpy(np.stack([CHANNELS[:, ::-1], CHANNELS])))
    assert examples.labels.tolist() == [0, 1]
    assert (manifest.format, manifest.low, manifest.high, manifest.notes) == ("images", 0.0, 255.0, ())
    _, last = take(content, image_facts((2, 2, 3), "NHWC"))
    assert torch.equal(last.inputs, examples.inputs.permute(0, 2, 3, 1))


def test_the_same_pixels_as_png_webp_or_array_are_the_same_dataset(take):
    facts = image_facts()
    as_array = take(npz(inputs=CHANNELS[None], labels=[1]), facts)[0]
    for form, options in (("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("PNG", {"mode": "RGBA"})):
        manifest = take(zipped({"dog/x." + form.lower(): image(PIXELS, form, **options)}), facts)[0]
        assert manifest.canonical_digest == as_array.canonical_digest


def test_order_goes_by_name_wherever_members_stand_in_the_zip(take):
    members = {f"{label}/{at}.png": image(np.full((2, 2, 3), at)) for at, label in enumerate(("dog", "cat", "dog"))}
    forth, back = (
        take(zipped(dict(order)), image_facts())[0] for order in (members.items(), reversed(members.items()))
    )
    assert forth.canonical_digest == back.canonical_digest


def test_labels_csv_names_what_folders_do_not(take):
    content = zipped(
        {"1.png": image(PIXELS), "x/2.png": image(PIXELS), "labels.csv": "label,file\ndog,1.png\n0,x/2.png\n"}
    )
    labelled = content.replace(b"\n0,x/2.png", b"\ncat,x/2.png")
    assert len(labelled) != len(content)
    content = zipped(
        {"1.png": image(PIXELS), "x/2.png": image(PIXELS), "labels.csv": "label,file\ndog,1.png\ncat,x/2.png\n"}
    )
    manifest, examples = take(content, image_facts())
    assert examples.labels.tolist() == [1, 0]
    assert manifest.labels.name == "labels.csv"


def test_a_folder_around_everything_is_no_class(take):
    content = zipped({"pets/cat/1.png": image(PIXELS), "pets/dog/2.png": image(PIXELS), "pets/.DS_Store": b"x"})
    assert take(content, image_facts())[1].labels.tolist() == [0, 1]


def test_unlabelled_images_come_in_where_no_labels_are_declared(take):
    manifest, examples = take(zipped({"1.png": image(PIXELS), "readme.txt": b"x"}), image_facts(labels_array=None))
    assert examples.labels is None
    assert manifest.notes == ("not read: 'readme.txt'",)


def test_grey_and_colour_are_brought_to_the_declared_channels(take):
    grey = np.array([[10, 20], [30, 40]], dtype=np.uint8)
    manifest, examples = take(zipped({"cat/1.png": image(grey)}), image_facts())
    assert torch.equal(examples.inputs[0], torch.from_numpy(grey).float().expand(3, 2, 2))
    assert manifest.notes == ("grey values repeated in three channels: 1 images",)
    manifest, examples = take(zipped({"cat/1.png": image(PIXELS)}), image_facts((1, 2, 2)))
    assert examples.inputs[0, 0].tolist() == [[76.0, 29.0], [7.0, 2.0]]  # 0.299 R + 0.587 G + 0.114 B
    assert manifest.notes == ("colours turned to grey (ITU-R 601 luma): 1 images",)
    _, flat = take(zipped({"cat/1.png": image(grey)}), image_facts((2, 2), "NHW"))
    assert flat.inputs[0].tolist() == grey.tolist()


def test_transparency_is_laid_on_white(take):
    pixels = np.array([[[0, 0, 0, 0], [0, 0, 0, 255]], [[100, 100, 100, 51], [9, 9, 9, 255]]], dtype=np.uint8)
    manifest, examples = take(zipped({"cat/1.png": image(pixels)}), image_facts())
    assert examples.inputs[0, 0].tolist() == [[255.0, 0.0], [224.0, 9.0]]  # 0.2 * 100 + 0.8 * 255 = 224
    assert manifest.notes == ("transparency laid on white: 1 images",)


@pytest.mark.parametrize(("orientation", "turned"), [(3, PIXELS[::-1, ::-1]), (6, np.rot90(PIXELS, -1)), (1, PIXELS)])
def test_exif_orientation_is_applied_and_noted(orientation, turned, take):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    content = zipped({"cat/1.png": image(PIXELS, exif=exif.tobytes())})
    manifest, examples = take(content, image_facts())
    assert torch.equal(examples.inputs[0], torch.from_numpy(turned.transpose(2, 0, 1).astype(np.float32)))
    assert bool(manifest.notes) is (orientation != 1)


def row(*values: int) -> np.ndarray:
    """A grey image of one row."""
    return np.array([values], dtype=np.uint8)


@pytest.mark.parametrize(
    ("resize", "pixels", "shape", "expected"),
    [
        ({"method": "nearest"}, row(1, 2), (1, 1, 4), [[1, 1, 2, 2]]),
        ({"method": "box"}, row(0, 100, 20, 40), (1, 1, 2), [[50, 30]]),
        ({"method": "bilinear"}, row(0, 100), (1, 1, 4), [[0, 25, 75, 100]]),
        ({"method": "box", "fit": "crop"}, row(9, 1, 2, 9), (1, 1, 2), [[1, 2]]),
        ({"method": "box", "fit": "pad", "fill": 5}, row(1, 2), (1, 2, 4), [[1, 1, 2, 2], [1, 1, 2, 2]]),
        ({"method": "box", "fit": "pad", "fill": 5}, np.full((2, 1), 8), (1, 2, 4), [[5, 8, 5, 5], [5, 8, 5, 5]]),
        ({"method": "nearest", "fit": "crop", "short_side": 2}, row(1, 2, 3), (1, 1, 2), [[2, 2]]),
    ],
)
def test_resizing_gives_the_declared_raw_values(resize, pixels, shape, expected, take):
    manifest, examples = take(zipped({"cat/1.png": image(pixels)}), image_facts(shape, resize=resize))
    assert examples.inputs[0, 0].tolist() == expected
    assert manifest.notes[0].startswith(f"resized to {shape[2]} x {shape[1]} (")


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos", "box"])
def test_resizing_is_pillows_own_on_eight_bits(method, take):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    filter_ = getattr(PIL.Image.Resampling, method.upper())
    expected = np.asarray(PIL.Image.fromarray(pixels).resize((4, 5), filter_)).transpose(2, 0, 1)
    facts = image_facts((3, 5, 4), resize={"method": method})
    _, examples = take(zipped({"cat/1.png": image(pixels)}), facts)
    assert torch.equal(examples.inputs[0], torch.from_numpy(expected.astype(np.float32)))


# --- refusals


def sixteen() -> bytes:
    target = io.BytesIO()
    PIL.Image.fromarray(np.full((2, 2), 300, dtype=np.uint16)).save(target, "PNG")
    return target.getvalue()


def animated(form: str) -> bytes:
    target = io.BytesIO()
    frames = [PIL.Image.fromarray(PIXELS), PIL.Image.fromarray(PIXELS[::-1])]
    frames[0].save(target, form, save_all=True, append_images=frames[1:])
    return target.getvalue()


BIG = image(np.zeros((5001, 5000), np.uint8), mode="1")


@pytest.mark.parametrize(
    ("members", "code", "said"),
    [
        ({"cat/1.png": b"hello"}, "not-an-image", "'cat/1.png' is named as an image"),
        ({"cat/1.png": b"GIF89a" + bytes(40)}, "not-an-image", "no PNG, JPEG or WebP"),
        ({"cat/1.webp": b"RIFF\x10\0\0\0WAVEfmt "}, "not-an-image", "no PNG, JPEG or WebP"),
        ({"cat/1.png": image(PIXELS)[:-20]}, "bad-image", "'cat/1.png' cannot be decoded"),
        ({"cat/1.jpg": image(np.zeros((64, 64, 3)), "JPEG")[:-200]}, "bad-image", "'cat/1.jpg' cannot be decoded"),
        ({"cat/1.png": BIG}, "image-bomb", "25,000,000 pixels"),
        ({"cat/1.png": sixteen()}, "image-mode", "16 bits per channel"),
        ({"cat/1.jpg": image(PIXELS, "JPEG", mode="CMYK")}, "image-mode", "'CMYK'"),
        ({"cat/1.png": animated("PNG")}, "image-frames", "animation"),
        ({"cat/1.webp": animated("WEBP")}, "image-frames", "animation"),
        ({"cat/1.png": image(np.zeros((2, 3, 3)))}, "image-size", "has 3 x 2 pixels (width x height)"),
        ({"bird/1.png": image(PIXELS)}, "labels-range", "image 'bird/1.png': label 'bird' is not one of the classes"),
        ({"1.png": image(PIXELS)}, "missing-label", "lies in no folder"),
        ({"1.png": image(PIXELS), "labels.csv": "file,label\n"}, "missing-label", "'1.png' has no line"),
        ({"1.png": image(PIXELS), "labels.csv": "a,b\n"}, "bad-labels", "its columns are 'a', 'b'"),
        ({"1.png": image(PIXELS), "labels.csv": "file,label\n1.png,cat,x\n"}, "bad-labels", "line 2: it has 3 cells"),
        ({"1.png": image(PIXELS), "labels.csv": "file,label\n1.png,cat\n1.png,dog\n"}, "bad-labels", "twice"),
        ({"1.png": image(PIXELS), "labels.csv": 'file,label\n"1.png,cat'}, "bad-labels", "line 2"),
        ({"1.png": image(PIXELS), "labels.csv": b"file,label\n1.png,\xff\n"}, "not-utf8", "line 2"),
        ({"__MACOSX/cat/1.png": image(PIXELS), "cat/.x.png": b""}, "empty-dataset", "no image"),
    ],
)
def test_every_image_that_does_not_come_in_is_named(members, code, said, refuse):
    refusal = refuse(zipped(members), image_facts())
    assert (refusal.code, said in refusal.detail) == (code, True), refusal.detail


def test_an_extreme_shape_is_not_blown_up_before_it_is_cut(refuse):
    facts = image_facts((3, 200, 200), resize={"fit": "crop"})
    assert refuse(zipped({"cat/1.png": image(np.zeros((1, 60_000), np.uint8))}), facts).code == "too-large"


@pytest.mark.parametrize(("shape", "layout"), [((4, 2, 2), "NCHW"), ((3, 4), "NTC"), ((12,), "NF")])
def test_facts_that_no_image_can_have_are_refused(shape, layout, refuse):
    assert refuse(zipped({"cat/1.png": image(PIXELS)}), image_facts(shape, layout)).code in (
        "image-shape",
        "not-images",
    )


def test_bounds_in_another_unit_than_raw_values_are_named(refuse):
    given = {"kind": "image", "layout": "NCHW", "shape": [3, 2, 2], "bounds": {"low": [0], "high": [1]}}
    facts = image_facts(input=given)
    refusal = refuse(zipped({"cat/1.png": image(PIXELS)}), facts)
    assert refusal.code == "out-of-bounds"
    assert "image 'cat/1.png': value 255.0 at [0, 0, 0]" in refusal.detail
