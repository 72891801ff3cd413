"""How does one PNG, JPEG or WebP become raw values of the declared shape? Decoded by Pillow within caps, then resized.

Values are those of 8-bit images, 0 to 255. Resampling is Pillow's on 8-bit values, as image classifiers are commonly
trained: it averages over the source area when it shrinks (all but nearest), and gives whole numbers.
"""

import io
import warnings
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import PIL.Image
import PIL.ImageOps

from service.contracts.facts import DatasetFacts, Resize
from workers.subject.data.found import Array
from workers.subject.data.limits import IMAGE_PIXELS
from workers.subject.refusal import Refusal, quoted, without_paths

_FORMATS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WEBP"}
_FILTERS = {
    "nearest": PIL.Image.Resampling.NEAREST,
    "bilinear": PIL.Image.Resampling.BILINEAR,
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "lanczos": PIL.Image.Resampling.LANCZOS,
    "box": PIL.Image.Resampling.BOX,
}
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa")
_AGAIN = 'Save it again: PIL.Image.open(file).convert("RGB").save("image.png")'
_WHITE = 255


@dataclass(slots=True)
class Pixels:
    """A reader of images for one dataset; it counts what it changed. layout: the axes of an example, by letter."""

    height: int
    width: int
    channels: int
    layout: str
    resize: Resize | None
    changed: Counter[str] = field(default_factory=Counter)

    @classmethod
    def declared(cls, facts: DatasetFacts) -> "Pixels":
        """As the facts declare the examples. Raises Refusal where no image can have that shape."""
        letters = facts.input.layout[1:]
        sizes = dict(zip(letters, facts.input.shape, strict=True))
        channels = sizes.get("C", 1)
        if sorted(letters) not in (["C", "H", "W"], ["H", "W"]) or channels not in (1, 3):
            raise Refusal(
                "image-shape",
                f"facts.input declares examples of layout {facts.input.layout} and shape {list(facts.input.shape)};"
                " images have the axes H and W, and C of 1 (grey) or 3 (red, green, blue)",
                "Declare layout NCHW with shape [3, height, width], or send other arrays as .npz.",
            )
        return cls(
            height=sizes["H"], width=sizes["W"], channels=channels, layout=letters, resize=facts.resize
        )  # fmt: skip

    def read(self, content: bytes, name: str) -> Array:
        """One image as float32 raw values of the declared shape. Raises Refusal, naming the image."""
        image = self._fitted(self._plain(_decoded(content, name), name), name)
        values: Array = np.asarray(image, dtype=np.float32)
        if values.ndim == 2 and "C" in self.layout:
            values = values[:, :, None]
        return values.transpose(["HWC".index(letter) for letter in self.layout])

    def notes(self) -> tuple[str, ...]:
        """What was done to how many images."""
        return tuple(f"{what}: {count:,} images" for what, count in sorted(self.changed.items()))

    def _plain(self, image: PIL.Image.Image, name: str) -> PIL.Image.Image:
        """Upright, without transparency, in the declared channels."""
        if image.mode not in _MODES:
            raise Refusal(
                "image-mode",
                f"image {quoted(name)} has the colour mode {quoted(image.mode)}; 8-bit grey and RGB images are read",
                _AGAIN,
            )
        upright = self._upright(image)
        if "A" in upright.mode or "a" in upright.mode or "transparency" in upright.info:
            self.changed["transparency laid on white"] += 1
            upright = upright.convert("RGBA")
            ground = PIL.Image.new("RGBA", upright.size, (_WHITE, _WHITE, _WHITE, _WHITE))
            upright = PIL.Image.alpha_composite(ground, upright).convert("RGB")
        mode = "L" if self.channels == 1 else "RGB"
        if upright.mode != mode:
            grey = upright.mode in ("1", "L")
            if grey is not (mode == "L"):
                what = "grey values repeated in three channels" if grey else "colours turned to grey (ITU-R 601 luma)"
                if not grey and _is_grey(upright):
                    what = "grey values taken from three equal channels"
                self.changed[what] += 1
            upright = upright.convert(mode)
        return upright

    def _upright(self, image: PIL.Image.Image) -> PIL.Image.Image:
        try:
            orientation = image.getexif().get(0x0112, 1)
        except Exception:  # noqa: BLE001  # a broken EXIF block says nothing of the pixels
            return image
        if orientation in range(2, 9):
            self.changed["turned upright, as EXIF orientation says"] += 1
            return PIL.ImageOps.exif_transpose(image)
        return image

    def _fitted(self, image: PIL.Image.Image, name: str) -> PIL.Image.Image:
        target = (self.width, self.height)
        if image.size == target:
            return image
        if self.resize is None:
            raise Refusal(
                "image-size",
                f"image {quoted(name)} has {image.width} x {image.height} pixels (width x height);"
                f" facts.input.shape declares {self.width} x {self.height}",
                "Send images of the declared size, or declare facts.resize: they are then resized in raw values.",
            )
        self.changed[f"resized to {self.width} x {self.height} ({self.resize.method}, {self.resize.fit})"] += 1
        method = _FILTERS[self.resize.method]
        if self.resize.fit == "stretch":
            return image.resize(target, method)
        if self.resize.fit == "pad":
            return self._padded(image, name, self.resize.fill)
        return self._cropped(image, name)

    def _padded(self, image: PIL.Image.Image, name: str, fill: float) -> PIL.Image.Image:
        assert self.resize is not None  # the caller looked
        scale = min(self.width / image.width, self.height / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        inner = image.resize(_sane(size, name), _FILTERS[self.resize.method])
        ground = PIL.Image.new(image.mode, (self.width, self.height), (round(fill),) * len(image.getbands()))
        ground.paste(inner, ((self.width - size[0]) // 2, (self.height - size[1]) // 2))
        return ground

    def _cropped(self, image: PIL.Image.Image, name: str) -> PIL.Image.Image:
        """The centre, after the shorter side became `short_side`, or what covers the shape where none is declared."""
        assert self.resize is not None  # the caller looked
        if self.resize.short_side is None:
            scale = max(self.width / image.width, self.height / image.height)
            size = (max(self.width, round(image.width * scale)), max(self.height, round(image.height * scale)))
        else:
            short = self.resize.short_side
            scale = short / min(image.size)
            size = (max(short, int(image.width * scale)), max(short, int(image.height * scale)))
        resized = image.resize(_sane(size, name), _FILTERS[self.resize.method])
        left, top = round((size[0] - self.width) / 2), round((size[1] - self.height) / 2)
        return resized.crop((left, top, left + self.width, top + self.height))


def _sane(size: tuple[int, int], name: str) -> tuple[int, int]:
    if size[0] * size[1] > IMAGE_PIXELS:
        raise Refusal(
            "too-large",
            f"image {quoted(name)} would be resized to {size[0]:,} x {size[1]:,} pixels before it is cut;"
            f" at most {IMAGE_PIXELS:,} are made",
            'Cut it to a less extreme shape, or declare the fit "stretch" or "pad".',
        )
    return size


def _is_grey(image: PIL.Image.Image) -> bool:
    red, green, blue = (channel.tobytes() for channel in image.convert("RGB").split())
    return red == green == blue


def _decoded(content: bytes, name: str) -> PIL.Image.Image:
    """The pixels of one still image, all of them. Refuses anything Pillow would only warn of."""
    form = next((form for magic, form in _FORMATS.items() if content.startswith(magic)), None)
    if form is None or (form == "WEBP" and content[8:12] != b"WEBP"):
        raise Refusal("not-an-image", f"member {quoted(name)} is named as an image and is no PNG, JPEG or WebP", _AGAIN)
    if form == "PNG" and content[24:25] == b"\x10":
        raise Refusal(
            "image-mode",
            f"image {quoted(name)} has 16 bits per channel, of which 8 would be lost",
            "Send such images as arrays: numpy.savez with float32 inputs and their real bounds.",
        )
    PIL.Image.MAX_IMAGE_PIXELS = IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)
            if form == "PNG":  # Pillow forgives a file that ends after its last pixel; its checksums tell
                PIL.Image.open(io.BytesIO(content), formats=(form,)).verify()
            image = PIL.Image.open(io.BytesIO(content), formats=(form,))
            if image.width * image.height > IMAGE_PIXELS:
                raise PIL.Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            if getattr(image, "n_frames", 1) != 1:
                raise Refusal("image-frames", f"image {quoted(name)} is an animation", "Send one still image each.")
            image.load()
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise Refusal(
            "image-bomb",
            f"image {quoted(name)} has more than the {IMAGE_PIXELS:,} pixels that are decoded",
            "Make it smaller before sending it.",
        ) from error
    except (Refusal, MemoryError):
        raise
    except PIL.UnidentifiedImageError as error:
        raise Refusal("bad-image", f"image {quoted(name)} begins as {form} and is none", _AGAIN) from error
    except Exception as error:  # whatever a damaged image raises in Pillow says that it is damaged
        said = without_paths(str(error)).partition("\n")[0]
        raise Refusal("bad-image", f"image {quoted(name)} cannot be decoded: {quoted(said, 160)}", _AGAIN) from error
    return image
