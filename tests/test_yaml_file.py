"""YAML as people write it: plain words, keys that stand twice, and what is no YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloze.errors import RecipeError
from cloze.yaml_file import as_yaml, load

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aeno1.-~: #"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abno1e", min_size=1), inner, max_size=3),
    max_leaves=6,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "a.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path) -> object:
    data, problems = load(path)
    if problems.found:
        raise RecipeError(problems.message())
    return data


@given(value=VALUES)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    found, _ = load(write(tmp_path_factory.mktemp("y"), f"key: {as_yaml(value)}\n"))
    assert found == {"key": value} and type(found["key"]) is type(value)


def test_words_are_words_and_numbers_numbers(tmp_path: Path) -> None:
    text = "[yes, no, on, 1e-4, 1.0, 010, 1_000, 12:30:00, 0x1F, ~, true, 2024-01-01]"
    assert read(write(tmp_path, text)) == [
        *("yes", "no", "on", 1e-4, 1.0, "010", 1_000, "12:30:00", "0x1F", None, True, "2024-01-01")
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "a: 1\nb: {c: 1, c: 2}\na: 3\n",
            r"2 problems.*\n.*a\.yaml:2: b\.c: stands more than once.*\n.*a\.yaml:3: a: stands",
        ),
        ("a: [1\n", r"a\.yaml:2:1: not YAML"),
        ("a: !!binary x", "not YAML|cannot be read"),
        ("a: !!float x", "a value that cannot be read"),
        ("[" * 3_000, "nested too deeply"),
    ],
)
def test_what_is_wrong_has_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        read(write(tmp_path, text))


def test_a_merged_section_may_differ_from_what_it_merges(tmp_path: Path) -> None:
    found = read(write(tmp_path, "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n"))
    assert found == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}
