"""Bulk uploads that are broken, hostile or too large: a sentence and a line, and never more memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator

import pytest

from flask_tenant_provisioning.bulk.upload.limits import UploadError, UploadFormatError, UploadLimitError, UploadLimits
from flask_tenant_provisioning.bulk.upload.reader import read_chunks
from tests.support.upload_rows import CSV, JSON, NDJSON, read_rows

LIMITS = UploadLimits(max_rows=100_000, max_bytes=1 << 30)
MIB = 1 << 20
NO_ARRAY = "The upload is not a JSON array: it does not begin with [."
WITHIN = "The JSON array ends within a row."
OPEN = "The JSON array is not closed."
COMMA = "A comma is missing between two rows."
OTHER_KIND = "A bracket is closed by one of the other kind."
AFTER = "Something follows after the JSON array."
STRAY = "A quote inside of a cell is not doubled."
GOES_ON = "A cell continues after its closing quote. Write a quote inside of a cell twice."
NOT_CLOSED = "A quote is not closed."
SEPARATOR = "The first line names a delimiter that is none of , ; | and tab."
UNREADABLE = "The header is not UTF-8, or holds a NUL character."

BROKEN = {
    "no array": (JSON, b'\n{"a":1}', NO_ARRAY, 2),
    "UTF-16": (JSON, "[1]".encode("utf-16"), NO_ARRAY, 1),
    "bracket alone": (JSON, b"[\n", WITHIN, 2),
    "ends after a comma": (JSON, b"[1,\n", WITHIN, 2),
    "ends in an object": (JSON, b'[1,\n{"a":1', WITHIN, 2),
    "ends in a text": (JSON, b'[\n"a\n]', WITHIN, 2),
    "ends in a word": (JSON, b"[1", WITHIN, 1),
    "ends after an escape": (JSON, b'["a\\', WITHIN, 1),
    "not closed": (JSON, b'[{"a":1}\n\n', OPEN, 3),
    "no comma": (JSON, b'[{"a":1}\n{"a":2}]', COMMA, 2),
    "no comma between words": (JSON, b"[1 2]", COMMA, 1),
    "a word with a text": (JSON, b'[a"b"]', COMMA, 1),
    "comma too many": (JSON, b"[1,\n]", "A row is missing before ].", 2),
    "two commas": (JSON, b"[1,,2]", "A row is missing before ,.", 1),
    "comma first": (JSON, b"[,1]", "A row is missing before ,.", 1),
    "brace": (JSON, b"[}]", "A row is missing before }.", 1),
    "wrong bracket": (JSON, b'[1,\n{"a":\n1], {"b":2}]', OTHER_KIND, 3),
    "wrong bracket, deep": (JSON, b"[[[[[[[{]]]]]]]]", OTHER_KIND, 1),
    "closed too often": (JSON, b'[{"a":1}]]', AFTER, 1),
    "something after": (JSON, b"[]\n\nx", AFTER, 3),
    "two arrays": (JSON, b"[1]\n[2]", AFTER, 2),
    "header twice": (CSV, b"a,b,a\n", 'The header names the column "a" twice.', 1),
    "header with an empty name": (CSV, b"\na,,b\n", "Column 2 of the header has no name.", 2),
    "header not UTF-8": (CSV, b"a,\xff\n1,2", UNREADABLE, 1),
    "header with NUL": (CSV, b"a,b\0\n1,2", UNREADABLE, 1),
    "10,000 columns": (CSV, b",".join(b"%d" % n for n in range(10_000)), "The header has more than 1000 columns.", 1),
    "open quote": (CSV, b'a,b\n1,"2\n3,4\n', NOT_CLOSED, 2),
    "open quote, later": (CSV, b'a,b\n"1\n\n1","2\n3,4\n', NOT_CLOSED, 4),
    "open quote in the header": (CSV, b'a,"b\n1,2', NOT_CLOSED, 1),
    "stray quotes on two lines": (CSV, b'a,b\n1,5" x\n2,6" x\n', STRAY, 2),
    "stray and open quote": (CSV, b'a,b\n5",",\n', STRAY, 2),
    "stray and never closed": (CSV, b'a,b\n1,2\n5" x,1\n2,3\n', STRAY, 3),
    "two stray quotes in a cell": (CSV, b'a\n1\n5" x 6"\n', STRAY, 3),
    "a quote after a space": (CSV, b'a,b\n1, "2"\n', STRAY, 2),
    "text after a quote": (CSV, b'a\n"1"2\n', GOES_ON, 2),
    "space after a quote": (CSV, b'a,b\n"1" ,2\n', GOES_ON, 2),
    "text after a quote over lines": (CSV, b'a,b\n1,"2\r\n3\r4\n5"6\n7,8\n', GOES_ON, 5),
    "quotes escaped by a backslash": (CSV, b'a,b\n1,"A \\"B\\" C"\n', GOES_ON, 2),
    "a last quote escaped by a backslash": (CSV, b'a,b\n"A \\"",1\n"B",2\n', GOES_ON, 3),
    "text after a quote in the header": (CSV, b'"a"x,b\n1,2\n', GOES_ON, 1),
    "backslashes in the header": (CSV, b'"a\\"b",c\n1,2\n', GOES_ON, 1),
    "a delimiter that is none": (CSV, b"sep=a\na,b\n1,2\n", SEPARATOR, 1),
}


@pytest.mark.parametrize("width", [1, 7, 1 << 16])
@pytest.mark.parametrize(("media_type", "data", "detail", "line"), BROKEN.values(), ids=BROKEN)
def test_a_broken_upload_is_refused_with_its_line(
    media_type: str, data: bytes, detail: str, line: int, width: int
) -> None:
    with pytest.raises(UploadFormatError) as caught:
        read_rows(data, media_type, width)

    assert (caught.value.detail, caught.value.line) == (detail, line)
    assert str(caught.value) == f"{detail} (line {line})"


DEEP = b"[" * 1000 + b"]" * 1000
WRONG = {
    "lines that are no JSON": (NDJSON, b'{"a":1\nx\n{}}\n\xff\0', [b'{"a":1', b"x", b"{}}", b"\xff\0"]),
    "words": (JSON, b"[1,-1e5,NaN,nul,true,\xff]", [b"1", b"-1e5", b"NaN", b"nul", b"true", b"\xff"]),
    "1000 deep": (JSON, b"[1,%b,2]" % DEEP, [b"1", DEEP, b"2"]),
    "the same key twice": (JSON, b'[{"a":1,"a":2},3]', [b'{"a":1,"a":2}', b"3"]),
    "no colon": (JSON, b'[{"a" 1,},3]', [b'{"a" 1,}', b"3"]),
    "not UTF-8": (JSON, b'[{"a":"\xff"},3]', [b'{"a":"\xff"}', b"3"]),
    "a line's end in a text": (JSON, b'[{"a":"1\n2"},3]', [b'{"a":"1\r2"}', b"3"]),
    "brackets in texts": (JSON, b'["]","}\\"]",{"[":"\\\\"}]', [b'"]"', b'"}\\"]"', b'{"[":"\\\\"}']),
    "cells too many, too few": (CSV, b'a,b\n1,2,3\n"1"\n', [b'["1","2","3"]', b'["1"]']),
    "cells without a column": (CSV, b"a\n1" + b"," * 5000, [b'["1",' + b",".join([b'""'] * 1000) + b"]"]),
    "quoted cells without a column": (CSV, b'a\n"1"' + b"," * 5000, [b'["1",' + b",".join([b'""'] * 1000) + b"]"]),
    "a record not UTF-8": (CSV, b"a,b\n\xff,2\n3,4", [b'{"a":"\xff","b":"2"}', b'{"a":"3","b":"4"}']),
    "a record with NUL": (CSV, b"a\n1\0", [b'{"a":"1\\u0000"}']),
    "quotes within cells": (CSV, b'a,b\n"""3""",""""\n"\\",1\n', [rb'{"a":"\"3\"","b":"\""}', rb'{"a":"\\","b":"1"}']),
    "a cell of 200 KiB": (CSV, b'a\n"' + b"x" * 200_000 + b'"\n', [b'{"a":"' + b"x" * 200_000 + b'"}']),
}


@pytest.mark.parametrize("width", [1, 7, 1 << 16])
@pytest.mark.parametrize(("media_type", "data", "expected"), WRONG.values(), ids=WRONG)
def test_invalid_row_is_kept_as_a_row(media_type: str, data: bytes, expected: list[bytes], width: int) -> None:
    pieces = max(width, len(data) // 20_000)
    assert [row for _, row in read_rows(data, media_type, pieces)] == expected


def refusal(
    stream: Iterable[bytes], media_type: str, limits: UploadLimits = LIMITS, encoding: str | None = None
) -> str:
    with pytest.raises(UploadError) as caught:
        list(read_chunks(stream, media_type, encoding, limits))
    assert isinstance(caught.value, UploadLimitError)
    return str(caught.value)


SMALL = UploadLimits(max_rows=2, max_bytes=100, max_row_bytes=10)
LONG = "A row is larger than 10 bytes. (line 2)"
LARGE = {
    "a line": (NDJSON, b"1\n12345678901\n2", LONG),
    "a line without an end": (NDJSON, b"1\n12345678901", LONG),
    "an element": (JSON, b"[1,\n[1,2,3,4,5,6]]", LONG),
    "an element without an end": (JSON, b"[1,\n[1,2,3,4,5,6", LONG),
    "a record as JSON": (CSV, b"a\n12345\n", LONG),
    "a record without an end": (
        CSV,
        b'a\n"12345\n6789',
        "A row is larger than 10 bytes; perhaps a quote is not closed. (line 2)",
    ),
    "three lines": (NDJSON, b"1\n2\n3\n", "The upload has more than 2 rows."),
    "three elements": (JSON, b"[1,2,3]", "The upload has more than 2 rows."),
    "three records": (CSV, b"a\n1\n2\n3", "The upload has more than 2 rows."),
    "101 bytes": (NDJSON, b" " * 101, "The upload is larger than 100 bytes."),
}


@pytest.mark.parametrize(("media_type", "data", "expected"), LARGE.values(), ids=LARGE)
def test_an_upload_beyond_a_limit_is_refused_with_the_limit(media_type: str, data: bytes, expected: str) -> None:
    assert refusal([data], media_type, SMALL) == expected


@pytest.mark.parametrize("media_type", [NDJSON, CSV])
def test_blank_lines_come_to_an_end_too(media_type: str) -> None:
    assert refusal([b"\n" * 200_000], media_type, UploadLimits(2, MIB)) == "The upload has more than 100032 lines."


def test_a_table_does_not_swell() -> None:
    header = b",".join(b"%0100d" % number for number in range(100))
    record = b"\n" + b",".join([b"1"] * 100)

    refused = refusal([header] + [record] * 100, CSV, UploadLimits(1000, 50_000))

    assert refused == "The rows are larger than 200000 bytes as JSON."


def bomb(content: bytes, times: int) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([packer.compress(content) for _ in range(times)]) + packer.flush()


def test_size_limit_applies_to_unpacked_gzip() -> None:
    sent = bomb(b"1\n" * 50, 1000)

    refused = refusal([sent], NDJSON, UploadLimits(10_000, 10_000), "gzip")

    assert refused == "The upload, unpacked, is larger than 10000 bytes."


ONE = gzip.compress(b"1\n")
DAMAGED = "The upload is not gzip, or it is damaged."
SHORT = "The gzip ends too early."
PACKED = {
    "nothing": (b"", SHORT),
    "plain": (b"1\n2\n", DAMAGED),
    "cut": (ONE[:-1], SHORT),
    "cut in the second member": (ONE + ONE[:5], SHORT),
    "wrong checksum": (ONE[:-8] + bytes(4) + ONE[-4:], DAMAGED),
    "wrong length": (ONE[:-1] + b"\1", DAMAGED),
    "something after": (ONE + b"garbage", DAMAGED),
    "zeros after": (ONE + bytes(16), DAMAGED),
}


@pytest.mark.parametrize("width", [1, 1 << 16])
@pytest.mark.parametrize(("data", "detail"), PACKED.values(), ids=PACKED)
def test_a_broken_gzip_is_refused(data: bytes, detail: str, width: int) -> None:
    with pytest.raises(UploadFormatError) as caught:
        read_rows(data, NDJSON, width, "gzip")

    assert (caught.value.detail, caught.value.line) == (detail, None)


@pytest.mark.parametrize("width", [1, 1 << 16])
def test_a_gzip_may_have_several_members(width: int) -> None:
    data = b"".join(map(gzip.compress, (b"1\n2", b"", b"3\n4")))

    assert [row for _, row in read_rows(data, NDJSON, width, "x-gzip")] == [b"1", b"23", b"4"]


def growth(stream: Iterable[bytes], media_type: str, encoding: str | None = None) -> int:
    """Return the most bytes held while an upload is read, whether it is refused or not."""
    tracemalloc.start()
    try:
        for _ in read_chunks(stream, media_type, encoding, LIMITS._replace(max_rows=10_000_000)):
            pass
    except UploadError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak


def repeat_part(first: bytes, part: bytes, size: int) -> Iterator[bytes]:
    yield first
    for _ in range(size // len(part)):
        yield part


@pytest.mark.parametrize("media_type", [JSON, NDJSON, CSV])
@pytest.mark.parametrize("content", [bytes(MIB), b"[" * MIB, b'"' * MIB, b" " * MIB], ids=["0", "[", "quote", "space"])
def test_a_gzip_bomb_does_not_go_off(media_type: str, content: bytes) -> None:
    assert growth([bomb(content, 64)], media_type, "gzip") < 16 * MIB


@pytest.mark.slow
@pytest.mark.parametrize(
    ("media_type", "first", "part"),
    [
        (NDJSON, b"", b'{"a":"%b"}\n' % (b"x" * 240)),
        (NDJSON, b"", b"x" * (MIB - 1) + b"\n"),
        (JSON, b"[1", b',\n{"a":{"b":["%b"]}}' % (b"x" * 240)),
        (JSON, b"[1", b",[[[[[[%b1]]]]]]" % (b"1," * (MIB // 2 - 20))),
        (CSV, b"a,b\n", b'"%b\n",1\n' % (b"x" * 240)),
        (CSV, b"a\n", b"," * (MIB - 1) + b"\n"),
    ],
    ids=["ndjson", "ndjson, long", "array", "array, long", "csv", "csv, long"],
)
def test_memory_does_not_grow_with_the_upload(media_type: str, first: bytes, part: bytes) -> None:
    assert growth(repeat_part(first, part, 48 * MIB), media_type) < 16 * MIB
