"""One long array: values cut at any place, and mistakes that cost no other record."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.corpus.readers import array
from cloze.corpus.readers.array import ArrayReader, Value

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def values(data: bytes) -> tuple[list[Value], bool]:
    place = data.index(b"[") + 1
    file = io.BytesIO(data)
    file.seek(place)
    reader = ArrayReader(file, place, lambda value: value.decode(errors="replace"))
    return list(reader), reader.ended


@given(st.lists(VALUES), st.integers(1, 40), st.booleans(), st.sampled_from([None, 1]))
def test_values_are_those_of_a_parser_wherever_chunks_end(
    expected: list[Any], chunk: int, ascii_only: bool, indent: int | None
) -> None:
    data = json.dumps(expected, ensure_ascii=ascii_only, indent=indent).encode(errors="surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array, "CHUNK_BYTES", chunk)
        found, ended = values(data)
    assert ended and all(data[value.place : value.place + 1].strip() for value in found)
    if b"\\ud" not in data:
        assert [value.value for value in found] == expected and not any(value.problem for value in found)


@given(st.binary(max_size=60), st.integers(1, 5))
def test_any_bytes_end(data: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array, "CHUNK_BYTES", chunk)
        found, _ = values(b"[" + data)
    places = [value.place for value in found]
    assert places == sorted(places) and all(1 <= place <= len(data) + 1 for place in places)


@given(st.data())
def test_a_mistake_costs_at_most_the_records_it_touches(data: st.DataObject) -> None:
    records = [{"namespace": "0", "title": f"{n}", "text": '{["\\ ' * n} for n in range(9)]
    encoded = json.dumps(records).encode()
    starts = [value.place for value in values(encoded)[0]]
    broken = data.draw(st.integers(1, 7))
    begin, end = starts[broken] + 1, starts[broken + 1] - 2
    place = data.draw(st.integers(begin, end - 1))
    changed = encoded[:place] + data.draw(st.sampled_from([b"", b'"', b"{", b"}]", b"\\"])) + encoded[place + 1 :]
    found = [
        value.value["title"] for value in values(changed)[0] if isinstance(value.value, dict) and "title" in value.value
    ]
    whole = [f"{n}" for n in range(9) if n != broken]
    assert [title for title in found if title in whole] == whole


def test_a_value_that_is_too_long_is_left_out_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array, "CHUNK_BYTES", 100)
    monkeypatch.setattr(array, "SUSPICIOUS_BYTES", 300)
    monkeypatch.setattr(array, "MAX_DOCUMENT_BYTES", 1_000)
    long = b'{"a": "' + b'\\" \\\\' * 2_000 + b'"}'
    found, ended = values(b'[{"a": "1"}, ' + long + b', {"a": "2"}]')
    assert ended and [value.value or value.problem for value in found] == [
        {"a": "1"},
        "longer than 1,000 bytes",
        {"a": "2"},
    ]


@pytest.mark.parametrize("behind", ["}", ', "version": "1"}', " , 3 } \n"])
def test_what_follows_an_array_in_an_object_is_no_mistake_but_another_object_is(behind: str) -> None:
    objects = b'{"a": 1}, {"a": 2}'

    def found(data: bytes) -> list[Any]:
        values = ArrayReader(io.BytesIO(data), 0, lambda value: value.decode(), nested=True)
        return [value.value or "mistake" for value in values]

    assert found(objects + b"]" + behind.encode()) == [{"a": 1}, {"a": 2}]
    assert found(objects + b'], {"a": 3}]' + behind.encode()) == [{"a": 1}, {"a": 2}, "mistake", {"a": 3}]
