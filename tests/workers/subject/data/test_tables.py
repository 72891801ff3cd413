"""Do the same rows become the same examples in every format of tables, and is every fault named by row and column?"""

import json

import numpy as np
import pytest
import torch

from tests.workers.subject.data.files import npz, parquet_of, table_facts, text_facts
from workers.subject.data.arrow import pa

CSV = "a,b,labels\n1,0.1,0\n-2.5,3e-1,1\n"
ROWS = [{"a": 1, "b": 0.1, "labels": 0}, {"a": -2.5, "b": 0.3, "labels": 1}]
NUMBERS = [[1.0, 0.1], [-2.5, 0.3]]
COLUMNS = [{"name": "a"}, {"name": "b"}, {"name": "labels", "role": "label"}]


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


SAME = {
    "csv": CSV,
    "csv with a byte order mark and Windows line ends": "\ufeff" + CSV.replace("\n", "\r\n"),
    "csv with semicolons, quotes and class names": 'a;b;labels\n"1";.1;cat\n-2.50;+0.3;dog\n\n',
    "csv with tabs in another order of columns": "labels\tb\ta\ncat\t0.1\t 1 \ndog\t0.3\t-25e-1",
    "csv with a column nobody asked for": "a,b,id,labels\n1,0.1,x,0\n-2.5,0.3,y,1\n",
    "jsonl": lines(ROWS),
    "jsonl with lists": lines({"inputs": row, "labels": label} for row, label in zip(NUMBERS, (0, 1), strict=True)),
    "jsonl with numbers as text and blank lines": '{"a": "1", "b": "0.1", "labels": "cat"}\n\n'
    + lines([{**ROWS[1], "labels": "dog"}]),
    "parquet": parquet_of({"a": [1.0, -2.5], "b": [0.1, 0.3], "labels": [0, 1]}),
    "parquet with text labels": parquet_of(
        {
            "b": [0.1, 0.3],
            "labels": pa.array(["cat", "dog"]).dictionary_encode(),
            "a": pa.array([1.0, -2.5], pa.float32()),
        }
    ),
    "parquet in groups of one row": parquet_of(
        {"a": [1.0, -2.5], "b": [0.1, 0.3], "labels": [0, 1]}, row_group_size=1
    ),
    "npz": npz(inputs=np.array(NUMBERS), labels=[0, 1]),
    "npz of float32": npz(inputs=np.array(NUMBERS, np.float32), labels=np.array([0, 1], np.uint8)),
}  # fmt: skip


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_equal_rows_are_equal_examples_with_one_digest_in_every_format(content, take):
    columns = (
        ()
        if content in (SAME["jsonl with lists"], *(each for name, each in SAME.items() if "npz" in name))
        else COLUMNS
    )
    manifest, examples = take(content, table_facts(columns=columns))
    assert torch.equal(examples.inputs, torch.tensor(NUMBERS))
    assert examples.inputs.dtype == torch.float32
    assert examples.labels.tolist() == [0, 1]
    assert manifest.canonical_digest == take(CSV)[0].canonical_digest
    assert (manifest.examples, manifest.label_counts, manifest.low) == (2, (1, 1), -2.5)


def test_features_stand_in_the_declared_order_and_other_columns_are_noted(take):
    columns = [{"name": "y", "role": "label"}, {"name": "b"}, {"name": "a"}]
    manifest, examples = take("a,id,b,y\n1,7,2,dog\n3,8,4,cat\n", table_facts(columns=columns))
    assert examples.inputs.tolist() == [[2.0, 1.0], [4.0, 3.0]]
    assert examples.labels.tolist() == [1, 0]
    assert manifest.notes == ("not read: 'id'",)


def test_without_declared_columns_feature_names_give_the_order(take):
    facts = table_facts()
    facts = facts.model_copy(update={"input": facts.input.model_copy(update={"feature_names": ("b", "a")})})
    assert take("a,b,labels\n1,2,0\n", facts)[1].inputs.tolist() == [[2.0, 1.0]]


def test_a_table_of_pixels_becomes_images_row_by_row(take):
    facts = table_facts(low=0, high=9)
    given = facts.input.model_copy(update={"kind": "image", "layout": "NCHW", "shape": (1, 2, 2)})
    facts = facts.model_copy(update={"input": given})
    assert take("p,q,r,s,labels\n1,2,3,4,0\n", facts)[1].inputs.tolist() == [[[[1.0, 2.0], [3.0, 4.0]]]]


def typed(*columns, features=2, **changes):
    return table_facts(features, columns=list(columns), **changes)


LABEL = {"name": "y", "role": "label"}


def test_every_type_of_column_is_read_as_it_is_declared(take):
    facts = typed(
        {"name": "i", "type": "integer"},
        {"name": "c", "type": "category", "categories": ["low", "high, very"]},
        {"name": "t", "type": "boolean"},
        LABEL,
        features=3,
    )
    _, from_csv = take('i,c,t,y\n3,"high, very",yes,cat\n-4.0,low,FALSE,dog\n', facts)
    assert from_csv.inputs.tolist() == [[3.0, 1.0, 1.0], [-4.0, 0.0, 0.0]]
    rows = [{"i": 3, "c": "high, very", "t": True, "y": "cat"}, {"i": -4.0, "c": "low", "t": 0, "y": "dog"}]
    columns = {"i": [3, -4], "c": ["high, very", "low"], "t": [True, False], "y": [0, 1]}
    for content in (lines(rows), parquet_of(columns)):
        assert torch.equal(take(content, facts)[1].inputs, from_csv.inputs)


def test_whole_numbers_and_truths_may_name_categories(take):
    facts = typed({"name": "c", "type": "category", "categories": ["7", "true", "8"]}, features=1, labels_array=None)
    for content in ("c\n8\ntrue\n7\n", lines([{"c": 8}, {"c": True}, {"c": 7.0}])):
        assert take(content, facts)[1].inputs.tolist() == [[2.0], [1.0], [0.0]]


def test_class_names_come_before_positions_and_that_is_noted(take):
    facts = table_facts(1, columns=[{"name": "x"}, LABEL], classes=["1", "2"])
    manifest, examples = take("x,y\n5,1\n5,2\n", facts)
    assert examples.labels.tolist() == [0, 1]
    assert "labels such as '1' were read as class names, not as positions from 0" in manifest.notes


def test_labels_of_a_category_or_of_truths_go_by_their_own_order(take):
    by_category = typed({"name": "x"}, {**LABEL, "type": "category", "categories": ["cat", "dog"]}, features=1)
    by_truth = typed({"name": "x"}, {**LABEL, "type": "boolean"}, features=1)
    assert take("x,y\n1,dog\n2,cat\n", by_category)[1].labels.tolist() == [1, 0]
    assert take("x,y\n1,yes\n2,no\n", by_truth)[1].labels.tolist() == [1, 0]


def test_empty_cells_become_what_was_declared_and_are_counted(take):
    facts = typed({"name": "a", "missing": -1.5}, {"name": "b"}, LABEL)
    gone = {
        "csv": "a,b,y\n,1,0\n2,3,1\n ,4,1\n",
        "jsonl": lines([{"b": 1, "y": 0}, {"a": 2, "b": 3, "y": 1}, {"a": None, "b": 4, "y": 1}]),
    }
    gone["parquet"] = parquet_of({"a": [None, 2.0, float("nan")], "b": [1, 3, 4], "y": [0, 1, 1]})
    for content in gone.values():
        manifest, examples = take(content, facts)
        assert examples.inputs[:, 0].tolist() == [-1.5, 2.0, -1.5]
        assert manifest.notes == ("2 empty cells of column 'a' became what was declared for them",)


def test_blocks_of_rows_meet_without_a_seam(take, monkeypatch):
    monkeypatch.setattr("workers.subject.data.rows.BLOCK_CELLS", 12)
    numbers = np.round(np.linspace(-9, 9, 200), 3).reshape(100, 2)
    text = "a,b,labels\n" + "".join(f"{a!r},{b!r},{at % 2}\n" for at, (a, b) in enumerate(numbers.tolist()))
    rows = [{"a": a, "b": b, "labels": at % 2} for at, (a, b) in enumerate(numbers.tolist())]
    table = parquet_of({"a": numbers[:, 0], "b": numbers[:, 1], "labels": np.arange(100) % 2})
    expected = npz(inputs=numbers, labels=np.arange(100) % 2)
    assert len({take(content)[0].canonical_digest for content in (text, lines(rows), table, expected)}) == 1


def test_whole_numbers_beyond_float32_are_said_to_be_rounded_and_decimals_are_not(take):
    assert take("a,b,labels\n0.1,0.2,0\n")[0].notes == ()
    wide = table_facts(low=0, high=1e9)
    assert take("a,b,labels\n16777217,1,0\n", wide)[0].notes == ("inputs were rounded from float64 to float32",)


def test_token_ids_are_kept_as_whole_numbers(take):
    given = {"kind": "tokens", "layout": "NT", "shape": [3], "bounds": {"low": [0], "high": [30000]}}
    facts = table_facts(input=given)
    for content in (
        lines([{"inputs": [101, 29999, 0], "labels": 1}]),
        npz(inputs=np.array([[101, 29999, 0]], np.int32), labels=[1]),
        "a,b,c,labels\n101,29999,0,1\n",
    ):
        _, examples = take(content, facts)
        assert examples.inputs.dtype == torch.int64
        assert examples.inputs.tolist() == [[101, 29999, 0]]


# --- texts


TEXT = 'text,label\n"Two\nlines, ""quoted""",cat\nGrüße \U0001f408,dog\n'


def test_texts_are_kept_as_they_are_in_every_format(take):
    words = ['Two\nlines, "quoted"', "Grüße \U0001f408"]
    rows = [{"text": words[0], "label": "cat"}, {"text": words[1], "label": "dog"}]
    digests = set()
    for content in (TEXT, lines(rows), parquet_of({"text": words, "label": ["cat", "dog"]})):
        manifest, examples = take(content, text_facts())
        assert examples.texts == tuple(words)
        assert examples.inputs.shape == (2, 0)
        assert examples.labels.tolist() == [0, 1]
        assert (manifest.low, manifest.high, manifest.inputs.dtype) == (7.0, 19.0, "text")
        digests.add(manifest.canonical_digest)
    assert len(digests) == 1


def test_without_declared_columns_the_text_stands_in_the_column_of_the_inputs_array(take):
    facts = text_facts(columns=[], inputs_array="said", labels_array=None)
    assert take("id,said\n1,hello\n", facts)[1].texts == ("hello",)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("bell \x07", "character 6 is the control or broken character U+0007"),
        ("\uffff", "U+FFFF"),
        ("", "the cell is empty"),
        ("x" * 131_072 + "y", "131,072"),
    ],
)
def test_texts_that_no_report_may_hold_are_named(cell, said, refuse):
    refusal = refuse(f'text,label\nfine,cat\n"{cell}",dog\n', text_facts())
    assert said in refusal.detail
    assert "line" in refusal.detail


def test_half_a_surrogate_pair_is_no_text(refuse):
    assert "U+D83D" in refuse('{"text": "\\ud83d", "label": 0}\n', text_facts()).detail


# --- refusals


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("a,b,labels\n1,2,0\n3,x,1\n", "bad-cell", "line 3, column 'b': 'x' is not a number such as 12.5"),
        ("a,b,labels\n1,2,0\n3,nan,1\n", "bad-cell", "line 3, column 'b': 'nan'"),
        ("a,b,labels\n1,2,0\n3,1_0,1\n", "bad-cell", "'1_0' is not a number"),
        ("a,b,labels\n1,2,0\n3,0x10,1\n", "bad-cell", "'0x10' is not a number"),
        ("a,b,labels\n1,2,0\n3,1e999,1\n", "bad-cell", "'1e999' is not a number"),
        ("a,b,labels\n1,2,0\n3,\u0663,1\n", "bad-cell", "is not a number"),
        ("a,b,labels\n1,2,0\n3,=1+1,1\n", "bad-cell", "'=1+1' is not a number"),
        ('a,b,labels\n1,2,0\n3,"1,5",1\n', "bad-cell", "a decimal comma is not read"),
        ("a,b,labels\n1,2,0\n3,,1\n", "missing-value", "line 3, column 'b': the cell is empty"),
        ('a,b,labels\n1,2,0\n\n3,"",1\n', "missing-value", "line 4, column 'b'"),
        ("a,b,labels\n1,2,0\n3,99,1\n", "out-of-bounds", "line 3, column 'b': value 99.0 lies outside"),
        ("a,b,labels\n1,2,0\n3,4,2\n", "labels-range", "line 3, column 'labels': label '2'"),
        ("a,b,labels\n1,2,cat\n3,4,bird\n", "labels-range", "line 3, column 'labels': label 'bird'"),
        ("a,b,labels\n1,2,cat\n3,4,1\n", "labels-range", "line 3, column 'labels': label '1'"),
        ("a,b,labels\n1,2,0\n3,4,1.5\n", "labels-range", "label '1.5'"),
        ("a,b,labels\n1,2,0\n3,4,-1\n", "labels-range", "label '-1'"),
        ("a,b,labels\n1,2,0\n3,4,\n", "missing-value", "column 'labels'"),
        ("a,b,labels\n1,2,0\n3,4\n", "row-length", "line 3 has 2 cells; the header names 3 columns"),
        ("a,b,labels\n1,2,0,\n", "row-length", "line 2 has 4 cells"),
        ("a,b,label\n1,2,0\n", "missing-column", "did you mean 'label'?"),
        ("a,labels\n1,0\n", "input-shape", "the table has 1 feature columns ('a')"),
        ("a,a,labels\n1,2,0\n", "duplicate-column", "two columns are named 'a'"),
        ("1,2,3\n4,5,6\n", "no-header", "'1', '2', '3'"),
        ("a,b,labels\n", "empty-dataset", "no row"),
        ("", "not-a-dataset", "empty"),
        ('a,b,labels\n1,"2,0\n3,4,1\n', "bad-csv", "is not csv: unexpected end of data"),
        ('a,b,labels\n1,"2"x,0\n', "bad-csv", "line 2 is not csv"),
        ("a,b,labels\r1,2,0\r", "bad-csv", "carriage return alone"),
        (b"a,b,labels\n1,2,0\n3,\xff,1\n", "not-utf8", "line 3 is not UTF-8 at byte 3 (0xFF)"),
        ("a,b,labels\n1,2,0\n".encode("utf-16"), "not-a-dataset", "UTF-16"),
        (b"a,b,labels\n" + b"1,2,0\n" * 20000 + b"1,\x00,0\n", "bad-text", "line 20,002 holds a NUL byte"),
        ("a,b,labels\n" + "9" * 65 + ",2,0\n", "bad-cell", "is not a number"),
        ("a,b,labels\n1,2," + "z" * 200_000 + "\n", "cell-too-long", "131,072"),
        (",".join(f"c{at}" for at in range(10_001)) + "\n", "too-large", "10,001 columns; at most 10,000"),
    ],
)  # fmt: skip
def test_every_fault_of_a_csv_is_named_with_its_place(content, code, said, refuse):
    refusal = refuse(content)
    assert (refusal.code, said in refusal.detail) == (code, True), refusal.detail


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ('{"a": 1, "b": 2, "labels": 0}\n{"a": NaN, "b": 2, "labels": 0}\n', "bad-json", "line 2"),
        ('{"a": 1, "b": 2, "labels": 0}\n{"a": 1, "a": 2, "b": 2, "labels": 0}\n', "bad-json", "'a' occurs twice"),
        ('{"a": 1, "b": 2, "labels": 0}\n[1, 2, 0]\n', "bad-json", "line 2 is not one whole JSON object"),
        ('{"a": 1,\n "b": 2, "labels": 0}\n', "bad-json", "line 1"),
        ('{"a": 1, "b": {"c": 2}, "labels": 0}\n', "bad-cell", "line 1, column 'b': an object is not a number"),
        ('{"a": 1, "b": [2], "labels": 0}\n', "bad-cell", "line 1, column 'b': a list is not a number"),
        ('{"a": 1, "b": true, "labels": 0}\n', "bad-cell", "line 1, column 'b': True is not a number"),
        ('{"a": 1, "b": 1e999, "labels": 0}\n', "bad-cell", "column 'b'"),
        ('{"a": 1, "b": 2, "labels": 0}\n{"a": 1, "labels": 0}\n', "missing-value", "line 2, column 'b'"),
        ('{"a": 1, "b": 2, "labels": [0]}\n', "labels-range", "column 'labels'"),
        ('{"a": 1, "b": ' + "[" * 100_000, "bad-json", "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}\n", "bad-json", "5,000 digits"),
        ('{"a": ' + "9" * 400 + ', "b": 1, "labels": 0}\n', "bad-cell", "column 'a'"),
        ('{"inputs": [1, 2, 3], "labels": 0}\n', "input-shape", "line 1, column 'inputs'"),
        ('{"inputs": [1, [2]], "labels": 0}\n', "bad-cell", "column 'inputs[1]'"),
        ('{"x": 1}\n', "missing-column", "it has 'x'"),
        ("{\n", "bad-json", "line 1"),
        ('[{"a": 1}]\n', "not-a-dataset", "a JSON array"),
        ('{"a": "' + "x" * (4 << 20) + '"}\n', "line-too-long", "line 1 has more than 4,194,304 bytes"),
    ],
)  # fmt: skip
def test_every_fault_of_json_lines_is_named_with_its_place(content, code, said, refuse):
    refusal = refuse(content)
    assert (refusal.code, said in refusal.detail) == (code, True), refusal.detail


GOOD = parquet_of({"a": [1.0, 2.0], "b": [3.0, 4.0], "labels": [0, 1]})


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (GOOD[:-1], "bad-parquet", "does not end as it must"),
        (GOOD[:40], "bad-parquet", "does not end as it must"),
        (b"PAR1PAR1", "bad-parquet", "does not end as it must"),
        (b"PAR1" + b"\xff" * 40 + (40).to_bytes(4, "little") + b"PAR1", "bad-parquet", "cannot be read as Parquet"),
        (b"PAR1" + (1 << 30).to_bytes(4, "little") + b"PAR1", "bad-parquet", "does not end as it must"),
        (parquet_of({"a": [1.0], "b": [[1.0]], "labels": [0]}), "column-type", "column 'b' holds 'list<"),
        (parquet_of({"a": [1.0], "b": [{"x": 1}], "labels": [0]}), "column-type", "struct"),
        (parquet_of({"a": [1.0], "b": [b"x"], "labels": [0]}), "column-type", "binary"),
        (parquet_of({"a": [1.0], "b": pa.array([1], pa.timestamp("s")), "labels": [0]}), "column-type", "timestamp"),
        (parquet_of({"a": [1.0], "b": [None], "labels": [0]}), "missing-value", "row 1, column 'b'"),
        (parquet_of({"a": [1.0, 2.0], "b": [1.0, float("inf")], "labels": [0, 0]}), "not-finite", "row 2, column 'b'"),
        (parquet_of({"a": [1.0], "b": ["x"], "labels": [0]}), "bad-cell", "row 1, column 'b': 'x' is not a number"),
        (parquet_of({"a": [1.0], "labels": [0]}), "input-shape", "1 feature columns"),
        (parquet_of({"a": [], "b": [], "labels": []}), "empty-dataset", "no row"),
    ],
)
def test_every_fault_of_a_parquet_file_is_named_with_its_place(content, code, said, refuse):
    refusal = refuse(content)
    assert (refusal.code, said in refusal.detail) == (code, True), refusal.detail


def test_twenty_faults_are_listed_and_then_reading_stops(refuse):
    refusal = refuse("a,b,labels\n" + "x,1,0\n" * 1000)
    assert refusal.detail == "line 2, column 'a': 'x' is not a number such as 12.5, and at least 19 more"
    assert len(refusal.faults) == 20
    assert "line 21, column 'a'" in refusal.faults[-1].detail
    assert len(refusal.reason().faults) == 20


def test_a_few_faults_are_all_listed(refuse):
    refusal = refuse("a,b,labels\nx,1,0\n1,2,0\n1,y,0\n")
    assert [fault.detail.partition(":")[0] for fault in refusal.faults] == ["line 2, column 'a'", "line 4, column 'b'"]


def test_a_delimiter_that_was_declared_is_not_guessed(take, refuse):
    content = "a;b;labels,x\n1;2;0\n"
    facts = table_facts(columns=[*COLUMNS[:2], {"name": "labels,x", "role": "label"}])
    assert take(content, facts)[1].inputs.tolist() == [[1.0, 2.0]]
    assert refuse(content, facts.model_copy(update={"delimiter": ","})).code == "missing-column"


@pytest.mark.parametrize("type_", ["integer", "boolean"])
def test_values_of_another_type_are_named(type_, refuse):
    facts = typed({"name": "a", "type": type_}, features=1, labels_array=None)
    for content in ("a\n1\n2.5\n", lines([{"a": 1}, {"a": 2.5}]), parquet_of({"a": [1.0, 2.5]})):
        refusal = refuse(content, facts)
        assert refusal.code == "bad-cell"
        assert "2.5" in refusal.detail
        assert any(place in refusal.detail for place in ("line 3,", "line 2,", "row 2,"))


def test_a_category_that_was_not_declared_is_named_with_those_that_were(refuse):
    facts = typed({"name": "c", "type": "category", "categories": ["low", "high"]}, features=1, labels_array=None)
    assert refuse("c\nlow\nLow\n", facts).detail == "line 3, column 'c': 'Low' is none of the categories 'low', 'high'"


def test_a_table_cannot_hold_further_inputs(refuse):
    given = {"kind": "table", "layout": "NF", "shape": [2], "bounds": {"low": [0], "high": [1]}}
    facts = table_facts(further_inputs=[{"name": "mask", "input": given}])
    assert refuse(CSV, facts).code == "further-inputs"
