"""How much may a file of examples hold? Every cap of dataset intake, each with its reason.

Sizes are checked against what a file says of itself before memory is taken, and against what is really there while it
is read. The sandbox's caps on memory, time and file size stand behind these.
"""

MIB, GIB = 1 << 20, 1 << 30

EXAMPLES = 10_000_000
"""Beyond this, even the labels and digests of the examples fill a gigabyte."""
CANONICAL_BYTES = 4 * GIB
"""Of the canonical form: a child may write files of 8 GiB and holds the numbers twice while it converts them."""

ARCHIVE_RATIO = 200
"""Uncompressed to compressed, of one member: deflate of real numbers stays below 20, a bomb begins at 1000."""
NPZ_MEMBERS = 64
"""An `.npz` is a handful of named arrays."""
ARRAY_HEADER = 1 << 14
"""numpy writes less than 1 KiB; its own reader stops at 10 000 characters."""
SAFETENSORS_HEADER = 16 * MIB
"""A hundred thousand tensor names; the format's own reader stops at 100 MiB."""

COLUMNS = 10_000
"""As many as facts can declare."""
LINE_BYTES = 4 * MIB
"""Of one line: ten thousand columns of four hundred characters. Longer ones are seldom lines at all."""
CELL_CHARACTERS = 1 << 17
"""Of one cell or text, 131 072: what Python's csv reader takes by default; a book chapter."""
NUMBER_CHARACTERS = 64
"""Of a number as text: the longest double that is written without need of more has 24."""
TEXT_BYTES = GIB
"""All texts together, as UTF-8."""
DISTINCT_LABELS = 100_000
"""As many as facts can name classes."""
FAULTS = 20
"""Faults listed before reading stops: enough to see a pattern."""

PARQUET_FOOTER = 16 * MIB
"""A footer of ten thousand columns and a hundred row groups takes about this."""
PARQUET_GROUPS = 10_000
"""Row groups: each costs a seek and a page header for every column."""
PARQUET_BATCH = 1 << 14
"""Rows decoded at a time, so that a page of one repeated long value cannot become all of it at once."""

IMAGES = 100_000
"""Members of a zip of images; its directory is read whole before anything else."""
IMAGE_BYTES = 32 * MIB
"""Of one compressed image."""
IMAGE_PIXELS = 25_000_000
"""Of one image before it is resized: 25 megapixels take 100 MB as RGBA, and a PNG of 900 fits into 109 kB."""
IMAGE_LABELS_BYTES = 64 * MIB
"""Of labels.csv in a zip of images."""
