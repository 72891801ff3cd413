"""Which characters can a document show? Those the fonts that typst carries have glyphs for; the rest are marked.

PDF/A refuses a character without a glyph, and a report must not fail because of somebody's name. The table was made by
setting every character of the planes it covers under PDF/A-3a with typst 0.15; a test sets them all again.
"""

import unicodedata
from bisect import bisect_right
from functools import cache

MARK = "\ufffd"
_RANGES = (
    "20-7e a0-ac ae-2ff 370-377 37a-37f 384-38a 38c 38e-3a1 3a3-482 48a-4ff 510-513 51a-51d 531-556 559-58a "
    "58d-58f 5be 5c0 5c3 5c6 5d0-5ea 5ef-5f4 606-60c 61b 61f 621-63a 640-64a 660-66d 674 679-67b 67e-680 683-684 "
    "686-687 691 698 6a4 6a9 6af 6be 6cc 6f0-6f9 904-939 93d 950 958-961 964-97f e3f e81-e82 e84 e87-e88 e8a e8d "
    "e94-e97 e99-e9f ea1-ea3 ea5 ea7 eaa-eab ead-eb0 eb2-eb3 10d0-10ff 115f-1160 13a0-13f5 13f8-13fd 1d00-1dbf "
    "1e00-1f15 1f18-1f1d 1f20-1f45 1f48-1f4d 1f50-1f57 1f59 1f5b 1f5d 1f5f-1f7d 1f80-1fb4 1fb6-1fc4 1fc6-1fd3 "
    "1fd6-1fdb 1fdd-1fef 1ff2-1ff4 1ff6-1ffe 2000-200a 2010-2027 202f-205f 2070-2071 2074-208e 2090-209c "
    "20a0-20c0 2100-2151 2153-2184 2189 2190-23ff 2422-2423 2460-262f 2638-268b 2690-269c 26a0-26a7 26aa-26b2 "
    "2701-2704 2706-2709 270c-2727 2729-274b 274d 274f-2752 2756 2758-275e 2761-277f 2794 2798-27af 27b1-2b73 "
    "2b76-2b95 2b97-2bff 2c60-2cee 2cf2-2cf3 2cf9-2cff 2e02-2e05 2e08-2e0a 2e17-2e18 2e1f 2e22-2e25 2e2e "
    "a640-a641 a648-a649 a656-a657 a708-a716 a71b-a727 a72d a730 a735 a765 a789-a78e a790-a791 a793 a7aa "
    "a7f8-a7f9 fb00-fb06 fb13-fb17 fb1d fb1f-fb36 fb38-fb3c fb3e fb40-fb41 fb43-fb44 fb46-fb4f fffd 1d400-1d454 "
    "1d456-1d49c 1d49e-1d49f 1d4a2 1d4a5-1d4a6 1d4a9-1d4ac 1d4ae-1d4b9 1d4bb 1d4bd-1d4c3 1d4c5-1d505 1d507-1d50a "
    "1d50d-1d514 1d516-1d51c 1d51e-1d539 1d53b-1d53e 1d540-1d544 1d546 1d54a-1d550 1d552-1d6a5 1d6a8-1d7cb "
    "1d7ce-1d7ff "
)


@cache
def _bounds() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First and last code points of the ranges that have glyphs."""
    pairs = [(part.split("-")[0], part.split("-")[-1]) for part in _RANGES.split()]
    return tuple(int(first, 16) for first, _ in pairs), tuple(int(last, 16) for _, last in pairs)


def covered(character: str) -> bool:
    """Whether some font of the document has a glyph for a character."""
    firsts, lasts = _bounds()
    place = bisect_right(firsts, ord(character)) - 1
    return place >= 0 and ord(character) <= lasts[place]


def every() -> str:
    """All characters that have a glyph."""
    firsts, lasts = _bounds()
    return "".join(chr(one) for first, last in zip(firsts, lasts, strict=True) for one in range(first, last + 1))


def legible(text: str) -> str:
    """The text as a document can set it: composed, line ends as spaces, and what has no glyph as U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    composed = unicodedata.normalize("NFC", text)
    return "".join(one if covered(one) else " " if one in "\n\t\r" else MARK for one in composed)
