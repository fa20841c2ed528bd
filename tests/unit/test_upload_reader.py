"""Bulk uploads: the same rows, however they are written and wherever their bytes are cut."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from flask_tenant_provisioning.bulk.upload.reader import MEDIA_TYPES, UploadChunk, read_chunks
from tests.support.upload_rows import CSV, JSON, LIMITS, NDJSON, read_rows

WIDTHS = st.integers(1, 40)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.text('[]{}",:\\ \n\r;', max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.text('",;\t\r\n a', max_size=6)
exhaustive = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def values(data: bytes, media_type: str, width: int = 1 << 16, encoding: str | None = None) -> list[Any]:
    return [json.loads(row) for _, row in read_rows(data, media_type, width, encoding)]


@exhaustive
@given(st.lists(VALUES, max_size=8), st.sampled_from([None, 0, 2, "\t"]), st.booleans(), WIDTHS)
def test_an_array_gives_its_elements(items: list[Any], indent: Any, ascii_only: bool, width: int) -> None:
    data = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode()

    assert values(data, JSON, width) == values(data, JSON) == items


@exhaustive
@given(st.lists(VALUES, max_size=8), st.text(" \t\r\n", max_size=6), WIDTHS)
def test_space_around_an_arrays_elements_is_no_matter(items: list[Any], space: str, width: int) -> None:
    inside = f"{space},{space}".join(map(json.dumps, items))
    data = f"{space}[{space}{inside}{space}]{space}".encode()

    assert values(data, JSON, width) == values(data, JSON) == items


@exhaustive
@given(st.lists(VALUES, max_size=8), st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \r\n\t\n"]), st.booleans(), WIDTHS)
def test_ndjson_gives_its_lines(items: list[Any], end: bytes, ended: bool, width: int) -> None:
    data = end.join(json.dumps(item).encode() for item in items) + end * ended

    assert values(data, NDJSON, width) == items


@exhaustive
@given(
    st.lists(CELLS.filter(lambda name: name and not name.startswith("result.")), min_size=1, max_size=5, unique=True),
    st.lists(st.lists(CELLS, min_size=5, max_size=5), max_size=8),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    WIDTHS,
)
def test_a_table_gives_its_records(
    names: list[str], records: list[list[str]], delimiter: str, end: str, quoting: Any, width: int
) -> None:
    if quoting == csv.QUOTE_MINIMAL:  # before Python 3.13 the writer quotes its own line ends alone
        records = [[cell.replace("\r", "").replace("\n", "") for cell in record] for record in records]
    records = [[*record[: len(names)], "x", "y"] for record in records]
    names = [*names, "last one", "very last one"]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerow(names)
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(records)
    data = text.getvalue().encode()
    expected = [{name: cell for name, cell in zip(names, record, strict=True) if cell} for record in records]

    assert values(data, CSV, width) == values(data, CSV) == expected


@pytest.mark.parametrize("media_type", [JSON, NDJSON, CSV])
@pytest.mark.parametrize("width", [1, 2, 3, 100])
@pytest.mark.parametrize("encoding", [None, "gzip", "x-gzip"])
def test_byte_order_mark_is_skipped(media_type: str, width: int, encoding: str | None) -> None:
    data = {JSON: b'[{"a":"1"},{"a":"2"}]', NDJSON: b'{"a":"1"}\n{"a":"2"}', CSV: b"a\n1\n2"}[media_type]
    sent = codecs.BOM_UTF8 + data

    assert values(gzip.compress(sent) if encoding else sent, media_type, width, encoding) == [{"a": "1"}, {"a": "2"}]


@pytest.mark.parametrize("media_type", [JSON, NDJSON, CSV])
@pytest.mark.parametrize("data", [b"", codecs.BOM_UTF8, b"\n", b"\r\n\r\n"])
def test_an_empty_upload_has_no_chunk(media_type: str, data: bytes) -> None:
    assert read_rows(data, media_type) == read_rows(gzip.compress(data), media_type, encoding="gzip") == []


def test_a_table_of_a_header_alone_has_no_chunk() -> None:
    assert read_rows(b"a,b", CSV) == read_rows(b"a,b\r\n", CSV) == []


@pytest.mark.parametrize("width", [1, 2, 5, 100])
def test_each_row_has_its_first_line_number(width: int) -> None:
    array = b'\n[\n\n{"a":\n1},\n\n{"b":[\n2,\r\n3]}  , 4\n\n,[[[[[\n5]]]]],6\n]\n'
    lines = b'{"a":1}\r\n\r\n \n{"a":2}\n\n{"a":3}'
    table = b'\r\na,"b\nc"\r\n\r\n1,2\r\n"3\n\n4",5\r6,7\n\n8,9'

    assert [line for line, _ in read_rows(array, JSON, width)] == [4, 7, 9, 11, 12]
    assert [row for _, row in read_rows(array, JSON, width)][1::2] == [b'{"b":[\r2,\r\r3]}', b"[[[[[\r5]]]]]"]
    assert read_rows(lines, NDJSON, width) == [(1, b'{"a":1}'), (4, b'{"a":2}'), (6, b'{"a":3}')]
    assert read_rows(table, CSV, width) == [
        (5, rb'{"a":"1","b\nc":"2"}'),
        (6, rb'{"a":"3\n\n4","b\nc":"5"}'),
        (9, rb'{"a":"6","b\nc":"7"}'),
        (11, rb'{"a":"8","b\nc":"9"}'),
    ]


def test_a_chunk_ends_with_its_number_of_rows() -> None:
    data = b"\n".join(b"%d" % number for number in range(1, 6))

    assert list(read_chunks([data], NDJSON, None, LIMITS, rows_per_chunk=2)) == [
        UploadChunk(1, [1, 2], b"1\n2"),
        UploadChunk(3, [3, 4], b"3\n4"),
        UploadChunk(5, [5], b"5"),
    ]


def test_chunks_are_limited_by_size() -> None:
    chunks = list(read_chunks((b"x" * 100_000 + b"\n" for _ in range(5)), NDJSON, None, LIMITS))

    assert [(chunk.first_row, chunk.lines) for chunk in chunks] == [(1, [1, 2]), (3, [3, 4]), (5, [5])]


@pytest.mark.parametrize(("size", "together"), [(128 * 1024 - 1, 2), (128 * 1024, 1)])
def test_a_chunk_may_have_256_kib(size: int, together: int) -> None:
    chunks = list(read_chunks([b"x" * size + b"\n"] * 2, NDJSON, None, LIMITS))

    assert [len(chunk.lines) for chunk in chunks] == [together] * (2 // together)


@pytest.mark.parametrize(
    ("header", "record"),
    [
        (b"a,b;c,d", b"1,2,3"),
        (b"a;b,c;d", b"1;2;3"),
        (b"a\tb\tc", b"1\t2\t3"),
        (b'"a;;;;",b,c', b"1,2,3"),
        (b'a;"b,,,,";c', b"1;2;3"),
    ],
    ids=["comma", "semicolon", "tab", "quoted semicolons", "quoted commas"],
)
def test_the_delimiter_is_the_headers(header: bytes, record: bytes) -> None:
    ((row),) = values(header + b"\n" + record, CSV)

    assert list(row.values()) == ["1", "2", "3"]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
@pytest.mark.parametrize("first", ["sep={}", "SEP={}", '"sep={}"'])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_a_first_line_may_name_the_delimiter(sign: str, first: str, mark: bytes) -> None:
    data = f"{first}\r\na{sign}b,;c\r\n1{sign}2\r\n".format(sign).encode()
    data = data.replace(b"b,;c", b'"b,;c"')

    assert read_rows(mark + data, CSV) == [(3, b'{"a":"1","b,;c":"2"}')]


@pytest.mark.parametrize("blank", [",", ",,", ",,,,", '"",""', ";;", '""'])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_of_delimiters_alone_are_blank(blank: str, end: str) -> None:
    sign = ";" if ";" in blank else ","
    lines = [blank, f"a{sign}b", blank, f"1{sign}2", blank, blank, f'{sign}"4"', blank]

    assert read_rows(end.join(lines).encode(), CSV) == [(4, b'{"a":"1","b":"2"}'), (7, b'{"b":"4"}')]


def test_columns_of_a_result_file_are_ignored_and_empty_cells_left_out() -> None:
    data = b'result.row,email,plan,result.state,"result.problem"\n1,a@example.com,,failed,"{""status"": 400}"\n'

    assert values(data, CSV) == [{"email": "a@example.com"}]


def test_supported_media_types_are_listed() -> None:
    assert MEDIA_TYPES == (JSON, NDJSON, "application/jsonl", CSV)


@pytest.mark.parametrize(("media_type", "encoding"), [("text/plain", None), (NDJSON, "br"), (NDJSON, "")])
def test_unknown_media_type_is_a_callers_error(media_type: str, encoding: str | None) -> None:
    with pytest.raises(ValueError, match="unsupported media type"):
        read_chunks([], media_type, encoding, LIMITS)
