"""Tagging: both formats are read, tags sit on the right tokens, F1 is conlleval's and KLUE's, and it is learned."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer as Library
from tokenizers import models, normalizers, pre_tokenizers, trainers

from cloze import predict
from cloze.errors import ClozeError
from cloze.progress import Silent
from cloze.recipe import Recipe, TaskSettings
from cloze.tasks.features import IGNORED
from cloze.tasks.finetuning import finetune
from cloze.tasks.tagging import KIND, Entity, align, entities, entity_scores, units_of
from cloze.tasks.task import Layout
from cloze.tokens.tokenizer import Tokenizer
from tests.tasks.conftest import BAD, FILLER, GOOD

KLUE = (
    "## a-1\t<임종석:PS>이 간다\n임\tB-PS\n종\tI-PS\n석\tI-PS\n이\tO\n \tO\n간\tO\n다\tO\n\t\n"
    "## a-2\t<서울:LC>\n서\tB-LC\n울\tI-LC\n"
)


def settings(folder: Path = Path(), **changes: Any) -> TaskSettings:
    given: dict[str, Any] = {
        "name": "ner",
        "kind": "tagging",
        "train": folder / "train.tsv",
        "test": folder / "test.tsv",
    }
    return TaskSettings(**(given | changes))


def read(path: Path, text: str, **changes: Any) -> Any:
    path.write_text(text, encoding="utf-8")
    return KIND.read(path, settings(**changes))


def wordpiece(*entries: str) -> Tokenizer:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *entries]
    library = Library(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.add_special_tokens(names[:5])
    return Tokenizer(library.to_str())


def byte_bpe() -> Tokenizer:
    """Without merges: three tokens a syllable."""
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    library.train_from_iterator([], trainers.BpeTrainer(special_tokens=names, initial_alphabet=alphabet))
    return Tokenizer(library.to_str())


BYTES = byte_bpe()


def one_hot(aligned: Any, labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Outputs that say what the labels say, and class 0 elsewhere."""
    return np.eye(classes, dtype=np.float32)[np.where(labels == IGNORED, 0, labels)]


def test_sentences_words_and_characters_become_one_form(tmp_path: Path) -> None:
    naver = read(tmp_path / "a.tsv", "임종석이 서울로 간다 .\tPER-B LOC-B O O\n가 나\tO O\n")
    assert naver.texts == ["임종석이 서울로 간다 .", "가 나"]
    assert naver.units[0] == [(0, 4), (5, 8), (9, 11), (12, 13)]
    assert naver.tags == [["B-PER", "B-LOC", "O", "O"], ["O", "O"]]
    assert naver.counts == {"examples": 2, "units": 6, "empty": 0, "left_out": 0, "repeated_ids": 0}
    conll = read(
        tmp_path / "b.txt", "-DOCSTART- -X- O\n\nEU NNP B-ORG\nrejects VBZ O\n\nPeter B-PER\n", tag_format="words"
    )
    assert (conll.texts, conll.tags) == (["EU rejects", "Peter"], [["B-ORG", "O"], ["B-PER"]])
    assert conll.lines == [[3, 4], [6]]
    dutch = read(
        tmp_path / "d.txt", "-DOCSTART- -DOCSTART- O\nMet Prep O\nEU N B-ORG\n\n## O\nJan B-PER\n", tag_format="words"
    )
    assert dutch.texts == ["Met EU", "## Jan"], "a document may begin in its first sentence's lines, and a word be ##"
    klue = read(tmp_path / "c.tsv", KLUE, tag_format="characters")
    assert klue.texts == ["임종석이 간다", "서울"]
    assert klue.units[0] == [(0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7)], "white space is no unit"
    assert klue.tags[1] == ["B-LC", "I-LC"]


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        ("sentences", "가 나\tO O\n가 나\tO\n", r"line 2: 2 words and 1 tags"),
        ("sentences", "가 나\tO O\n가 나\n", r"line 2: 1 tab-separated field"),
        ("sentences", "가 나\tO B_PER\n", r"line 1: the tag 'B_PER' is none; expected O, B-X or I-X"),
        ("words", "가 B-PER\n나\n", r"line 2: expected a word and, last in the line, its tag"),
        ("words", "-DOCSTART- O\n\n", r"has no sentences"),
        ("characters", "가\tO\n나 O\n", r"line 2: expected a character, a tab and its tag"),
    ],
)
def test_what_is_no_such_file_is_told_with_its_line(tmp_path: Path, form: str, text: str, message: str) -> None:
    with pytest.raises(ClozeError, match=message):
        read(tmp_path / "a.tsv", text, tag_format=form)


@pytest.mark.parametrize("form", ["sentences", "words", "characters"])
def test_a_few_broken_texts_are_left_out_named_and_counted(tmp_path: Path, form: str) -> None:
    good, wrong, line = {
        "sentences": ("가 나\tB-PS O\n", "가 나\tO\n", 20),
        "words": ("가 B-PS\n\n", "가 B-PS\n나\n\n", 40),
        "characters": ("가\tB-PS\n\n", "가\tB-PS\n나 O\n\n", 40),
    }[form]
    with pytest.warns(UserWarning, match=rf"1 of 20 examples .* left out: line {line}: "):
        found = read(tmp_path / "a.tsv", good * 19 + wrong, tag_format=form)
    assert (found.counts["examples"], found.counts["left_out"]) == (19, 1)


def test_ids_that_repeat_are_named_and_counted(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"line 4 has 'a', the id of line 1"):
        found = read(tmp_path / "a.tsv", "## a\n가\tO\n\n## a\n나\tO\n", tag_format="characters")
    assert (len(found.texts), found.counts["repeated_ids"]) == (2, 1)


def test_classes_are_both_sides_of_every_type_and_strange_types_are_told(tmp_path: Path) -> None:
    train = read(tmp_path / "train.tsv", "가 나\tPER-B LOC-I\n")
    assert KIND.classes(train, train) == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    inside = read(tmp_path / "inside.tsv", "가 나\tPER-B PER-I\n")
    assert len(KIND.classes(train, inside)) == 5, "an I that training lacks can still be told"
    with pytest.raises(ClozeError, match=r"strange\.tsv, line 2: the label 'ORG' never occurs in .*'LOC', 'PER'"):
        KIND.classes(train, read(tmp_path / "strange.tsv", "가\tO\n가 나\tORG-B O\n"))
    with pytest.raises(ClozeError, match="the tag O only"):
        KIND.classes(read(tmp_path / "o.tsv", "가\tO\n"), train)


def test_only_the_first_token_of_a_word_carries_its_tag(tmp_path: Path) -> None:
    layout = Layout(wordpiece("임종석", "##이", "서울", "##로", "가"), 16, 2)
    train = read(tmp_path / "a.tsv", "임종석이 서울로 가\tPER-B LOC-B O\n")
    classes = KIND.classes(train, train)
    inputs = KIND.inputs(train, classes, layout, settings())
    assert [layout.tokenizer.token(i) for i in inputs.features.ids] == [
        "[CLS]", "임종석", "##이", "서울", "##로", "가", "[SEP]"
    ]  # fmt: skip
    b_per, b_loc = classes.index("B-PER"), classes.index("B-LOC")
    assert inputs.labels.tolist() == [IGNORED, b_per, IGNORED, b_loc, IGNORED, 0, IGNORED]
    target = inputs.features.batch(np.array([0]), {"tagging": inputs.labels}, per_token=True).targets["tagging"]
    assert (target.positions.tolist(), target.labels.tolist()) == ([1, 3, 5], [b_per, b_loc, 0])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("tokenizer", [wordpiece("임", "##종석", "##이", "간다", "서울"), byte_bpe()])
def test_characters_get_back_the_tags_they_gave(form: Any, tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Whatever a token is: several syllables, one, or a byte of one; composed or not."""
    text = unicodedata.normalize(form, KLUE)
    if form == "NFD":  # a line is then a syllable of several code points
        assert len(text) > len(KLUE)
    examples = read(tmp_path / "a.tsv", text, tag_format="characters")
    classes = KIND.classes(examples, examples)
    inputs = KIND.inputs(examples, classes, Layout(tokenizer, 64, 1), settings(tag_format="characters"))
    aligned = align(examples.texts, examples.units, Layout(tokenizer, 64, 1), 128)
    labels = np.asarray(inputs.labels, dtype=np.int64)
    scores = inputs.score(one_hot(aligned, labels, len(classes)) * 50)
    assert (scores["entity_f1"], scores["entity_macro_f1"], scores["tag_f1"]) == (1, 1, 1)
    assert scores["loss"] == pytest.approx(0, abs=1e-6)
    found = aligned.tags(one_hot(aligned, labels, len(classes)), classes)
    assert found == [tag for tags in examples.tags for tag in tags]


@given(st.data())
def test_any_characters_get_back_any_tags(data: st.DataObject) -> None:
    """Bytes never cross a character, so nothing is lost: in windows, of any white space and any plane."""
    text = data.draw(st.text(st.sampled_from("가나힣a.[# \t\u3000😀漢\u1100"), max_size=30))
    units = units_of(text, "character")
    classes = ("O", "B-X", "I-X", "B-Y", "I-Y")
    wanted = data.draw(st.lists(st.sampled_from(classes), min_size=len(units), max_size=len(units)))
    aligned = align([text], [units], Layout(BYTES, data.draw(st.integers(3, 20)), 1), data.draw(st.integers(1, 20)))
    outputs = np.zeros((len(aligned.features.ids), 5), dtype=np.float32)
    outputs[aligned.places, [classes.index(tag) for tag in wanted]] = 1
    assert aligned.tags(outputs, classes) == wanted
    assert aligned.begins.all() and aligned.features.counts["units_without_token"] == 0


def test_a_word_cut_inside_by_its_token_keeps_the_tag_of_its_first_character(tmp_path: Path) -> None:
    layout = Layout(wordpiece("임종석이", "간다"), 16, 2)
    examples = read(tmp_path / "a.tsv", KLUE.split("\n\t\n")[0] + "\n", tag_format="characters")
    aligned = align(examples.texts, examples.units, layout, 128)
    classes = ("O", "B-PS", "I-PS")
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 0, 0]]
    assert aligned.tags(outputs, classes) == ["B-PS", "I-PS", "I-PS", "I-PS", "O", "O"]


def test_long_texts_are_read_in_windows_and_nothing_is_cut() -> None:
    layout = Layout(wordpiece("가", "나"), 8, 2)
    text = " ".join(["가", "나"] * 20)
    aligned = align([text, "가"], [units_of(text, "word"), [(0, 1)]], layout, 3)
    assert aligned.features.counts["texts_in_windows"] == 1 and aligned.features.lengths.max() == 8
    ids = aligned.features.ids[aligned.places]
    assert [layout.tokenizer.token(i) for i in ids] == ["가", "나"] * 20 + ["가"]
    assert len(set(aligned.places.tolist())) == 41


def test_a_unit_without_a_token_is_o_and_counted() -> None:
    layout = Layout(wordpiece("가", "나"), 8, 2)
    aligned = align(["가 \u200b 나"], [[(0, 1), (2, 3), (4, 5)]], layout, 128)
    assert aligned.features.counts["units_without_token"] == 1
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 1, 0]]
    assert aligned.tags(outputs, ("O", "B-X", "I-X")) == ["B-X", "O", "B-X"]


def test_a_text_without_any_token_is_all_o() -> None:
    aligned = align(["\u200b", "가"], [[(0, 1)], [(0, 1)]], Layout(wordpiece("가"), 8, 2), 128)
    assert aligned.places.tolist() == [-1, 3] and aligned.features.counts["units_without_token"] == 1
    assert aligned.tags(np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 0]], ("O", "B-X", "I-X")) == ["O", "B-X"]


def test_f1_of_hand_worked_tags() -> None:
    classes = ("O", "B-A", "I-A", "B-B", "I-B")
    wanted = [["B-A", "I-A", "O", "B-B"], ["B-A", "O", "O", "O"]]
    given = [["B-A", "I-A", "O", "B-A"], ["I-A", "O", "O", "B-B"]]
    found = entity_scores(wanted, given, classes)
    # conlleval: 3 A and 1 B given, A 2 of 3 right (an I-A begins one), B none; 3 wanted.
    assert found["entity_f1"] == pytest.approx(2 * 2 / (4 + 3))
    # Strict IOB2: the lone I-A is nothing, so A has 1 right of 2 given and 2 wanted; B 0.
    assert found["entity_macro_f1"] == pytest.approx((0.5 + 0) / 2)
    assert found["parts"] == {"A": {"f1": pytest.approx(0.8), "count": 2}, "B": {"f1": 0.0, "count": 1}}
    # Tags: O 3 of 3 and 4; B-A 1 of 2 and 2; I-A 1 of 2 and 1; B-B 0; I-B nowhere: 1, as KLUE counts it.
    assert found["tag_f1"] == pytest.approx((6 / 7 + 0.5 + 2 / 3 + 0 + 1) / 5)
    assert entity_scores([["O"]], [["O"]], classes)["entity_f1"] is None


def test_runs_of_tags_are_entities() -> None:
    text = "임종석이 서울 시로"
    tags = ["B-PS", "I-LC", "I-LC"]
    assert entities(text, units_of(text, "word"), tags) == [
        Entity("PS", "임종석이", 0, 4),
        Entity("LC", "서울 시로", 5, 10),
    ]
    plain = entities(text, units_of(text, "word"), ["ORG", "ORG", "O"])
    assert plain == [Entity("ORG", "임종석이 서울", 0, 7)], (
        "of a published model; an O is not the first letter of a name"
    )
    tags = ["B-PS", "I-PS", "I-PS", "O", "B-LC", "I-LC", "B-LC", "O"]
    assert [e.text for e in entities(text, units_of(text, "character"), tags)] == ["임종석", "서울", "시"]


def test_a_missing_package_is_told_before_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    examples = read(tmp_path / "a.tsv", "가\tB-X\n")
    monkeypatch.setattr("cloze.tasks.metrics.find_spec", lambda name: None if name == "seqeval" else name)
    with pytest.raises(ClozeError, match=r"needs seqeval, not installed: pip install 'cloze\[tasks\]'"):
        KIND.classes(examples, examples)


def write_sentences(path: Path, count: int, seed: int, form: str) -> None:
    """Praise is one kind of entity and blame another; words that are neither stand between."""
    random = Random(seed)
    parts = []
    for _ in range(count):
        words = [random.choice(FILLER if i % 2 else GOOD + BAD) for i in range(random.randrange(1, 9))]
        tags = ["B-P" if word in GOOD else "B-B" if word in BAD else "O" for word in words]
        if form == "sentences":
            parts.append(f"{' '.join(words)}\t{' '.join(tags)}\n")
            continue
        lines = []
        for i, (word, tag) in enumerate(zip(words, tags, strict=True)):
            lines += [" \tO"] if i else []
            lines += [f"{c}\t{tag if not j or tag == 'O' else 'I' + tag[1:]}" for j, c in enumerate(word)]
        parts.append("\n".join(lines) + "\n\n")
    path.write_text("".join(parts), encoding="utf-8")


@pytest.mark.parametrize("form", ["sentences", "characters"])
def test_it_learns_and_the_saved_model_finds_entities(data: Path, tmp_path: Path, form: str) -> None:
    for name, count, seed in (("train.tsv", 300, 1), ("test.tsv", 60, 2)):
        write_sentences(tmp_path / name, count, seed, form)
    changes: dict[str, Any] = {"epochs": 10, "batch_rows": 16, "peak_learning_rate": 5e-3, "length": 16, "seeds": [1]}
    task = settings(tmp_path, tag_format=form, stride=4, **changes)
    training = {"device": "cpu", "precision": "float32"}
    recipe = Recipe.model_validate({"name": "tiny", "data": data, "training": training, "tasks": [task]})
    results = finetune(recipe, task, data / "model", tmp_path / "task", Silent())
    found = results["pretrained"]["mean"]["test"]
    assert found["entity_f1"] > 0.95 and found["entity_macro_f1"] > 0.95 and found["tag_f1"] > 0.95
    assert results["classes"] == ["O", "B-B", "I-B", "B-P", "I-P"]
    assert results["counts"]["test"]["texts_in_windows"] > 0, "some are longer than a row"
    loaded = predict.load(tmp_path / "task" / "model")
    text = f"{FILLER[0]} {GOOD[0]} {FILLER[1]}"
    assert loaded.tag([text, ""]) == [[Entity("P", GOOD[0], 3, 3 + len(GOOD[0]))], []]


def test_the_naver_corpus_is_read_whole(shared_data: Path) -> None:
    found = KIND.read(shared_data / "naver-ner" / "test.tsv", settings())
    assert (found.counts["examples"], found.counts["empty"]) == (9000, 0)
    assert len(KIND.classes(found, found)) == 1 + 2 * 14
