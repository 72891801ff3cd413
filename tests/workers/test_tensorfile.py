"""What is written here the library reads, with the same values; and equal arrays give equal bytes."""

import numpy as np
import pytest
import safetensors.numpy

from workers.tensorfile import save

KINDS = [np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_]


def test_every_dtype_and_shape_reads_back(tmp_path):
    draw = np.random.default_rng(0)
    arrays = {f"{np.dtype(kind).name}/{at}": draw.integers(0, 2, shape).astype(kind)
              for kind in KINDS for at, shape in enumerate([(3, 5), (), (0, 4), (7,)])}  # fmt: skip
    save(arrays, tmp_path / "a.safetensors")
    found = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_order_strides_and_byte_order_do_not_change_the_bytes(tmp_path):
    grid = np.arange(12, dtype=np.float32).reshape(3, 4)
    save({"a": grid, "b": grid.T.copy()}, tmp_path / "one")
    save({"b": grid.T, "a": grid.astype(">f4")}, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_dtype_without_a_name_is_an_error(tmp_path):
    with pytest.raises(KeyError):
        save({"a": np.zeros(2, dtype=complex)}, tmp_path / "a")
