"""What of a file of texts is left for teachers to judge: nothing that the task is tested on."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from cloze.errors import ClozeError
from cloze.tasks.unlabelled import read_unlabelled

LONG = (
    "이 영화는 정말 오랜만에 극장에서 끝까지 집중해서 본 작품이었고 배우들의 연기와 음악과 결말이 모두 마음에 들었다고 "
)
LONG += "말하고 싶습니다"
OWN = {"train": ["좋았다", "둘 다"], "development": ["그저 그랬다"], "test": ["최고!!", LONG, "둘 다"]}


def test_texts_of_the_tasks_own_files_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = [
        *("새로운 글", "", " 최고 ", "최고라고는 못 하겠다", f"동의합니다. {LONG[3:]} 그렇죠?", "둘다"),  # the test's
        *("좋았다~", "그저 그랬다", "새로운 글!", "\t", "또 다른 글"),
    ]
    path = tmp_path / "texts.txt.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    kept, counts = read_unlabelled(path, "document", OWN)
    assert kept == ["새로운 글", "최고라고는 못 하겠다", "또 다른 글"]
    assert counts == {
        "found": 9,
        "in_train": 1,
        "in_development": 1,
        "in_test": 3,
        "repeated": 1,
        "kept": 3,
        "malformed": 0,
    }


def test_a_table_has_its_texts_in_the_tasks_column(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"document": "새로운\\n글"}\n{"document": 3}\n', encoding="utf-8")
    kept, counts = read_unlabelled(path, "document", OWN)
    assert (kept, counts["found"], counts["malformed"]) == (["새로운\n글"], 1, 1)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("texts.txt", "최고\n", r"1 texts, and none that is not in the task's own files"),
        ("texts.txt", "id\tdocument\tlabel\n1\t글\t0\n", r"names of columns \(id, document, label\).* \.tsv"),
        ("texts.jsonl", '{"text": "글"}\n', "document"),
        ("page.html", "<html><body><p>글</p></body></html>", r"articles in markup \(html\)"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ClozeError, match=told):
        read_unlabelled(tmp_path / name, "document", OWN)
