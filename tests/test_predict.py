"""A saved model in use: classes, gaps and vectors, and what wrong folders and texts are told."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cloze.corpus.build import build_corpus
from cloze.corpus.corpus import Corpus
from cloze.errors import ClozeError
from cloze.interop.huggingface import save_classifier, save_model
from cloze.models import build
from cloze.models.classifier import Classifier
from cloze.predict import LoadedModel, load
from cloze.progress import Silent
from cloze.recipe import CorpusSettings, ModelSettings, TokenizerSettings
from cloze.tokens.tokenizer import Tokenizer, train_tokenizer

TEXTS = ["이 영화 정말 재밌다", "", "배우 연기 좋았다", "음악", "이 영화 정말 지루하다 배우 연기"]
CORPUS = [*TEXTS, "음악이 좋고 결말도 좋아서 다시 보고 싶은 작품", "시간이 아까운 이야기, 각본부터 다시 써야 할 듯"]


def make(folder: Path, kind: str, family: str) -> Path:
    """A run's folder with a pretrained model and a classifier, both with random weights."""
    (folder / "texts.txt").write_text("\n\n".join(text for text in CORPUS * 5 if text) + "\n", encoding="utf-8")
    for name in ("corpus", "tokenizer", "pretraining/model", "tasks/reviews/model"):
        (folder / name).mkdir(parents=True)
    build_corpus(CorpusSettings(sources=[Path("texts.txt")], kind="text"), folder, folder / "corpus", Silent())
    settings = TokenizerSettings(kind=kind, vocabulary_size=64 if kind == "wordpiece" else 290, min_frequency=1)  # type: ignore[arg-type]
    train_tokenizer(Corpus(folder / "corpus"), settings, folder / "tokenizer", Silent())
    tokenizer = Tokenizer.load(folder / "tokenizer")
    model = build(
        ModelSettings(family=family, layers=1, heads=2, width=16, initialisation_std=0.3),  # type: ignore[arg-type]
        vocabulary_size=tokenizer.vocabulary_size,
        length=24,
        pad_id=tokenizer.pad_id,
        pairs=False,
        seed=3,
    )
    save_model(folder / "pretraining" / "model", model, tokenizer)
    torch.manual_seed(5)
    save_classifier(folder / "tasks" / "reviews" / "model", Classifier(model, ["나쁨", "좋음"]), tokenizer)
    return folder


@pytest.fixture(scope="module", params=[("wordpiece", "bert"), ("byte-bpe", "roberta")], ids=["bert", "roberta"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("run"), *request.param)


@pytest.fixture
def classifier(folder: Path) -> LoadedModel:
    return load(folder / "tasks" / "reviews" / "model", device="cpu")


@pytest.fixture
def pretrained(folder: Path) -> LoadedModel:
    return load(str(folder / "pretraining" / "model"), device="cpu")


def test_predictions_are_probabilities_in_the_texts_order(classifier: LoadedModel) -> None:
    together = classifier.predict(TEXTS)
    for text, prediction in zip(TEXTS, together, strict=True):
        assert list(prediction.probabilities) == ["나쁨", "좋음"]
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0)
        assert prediction.probability == max(prediction.probabilities.values()) >= 0.5
        assert prediction.probabilities[prediction.label] == prediction.probability
        assert classifier.predict([text])[0].probability == pytest.approx(prediction.probability, abs=1e-5)
    assert len({prediction.probability for prediction in together}) == len(TEXTS)
    assert classifier.predict([]) == []


def test_decomposed_text_is_composed_first(classifier: LoadedModel) -> None:
    assert classifier.predict(["\u110b\u1167\u11bc\u1112\u116a"]) == classifier.predict(["영화"])


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (b"abc", "expected a list of texts, found the text b'abc'"),
        (["a", None], "text 2 is None, expected a text or a pair of texts"),
        ([float("nan")], "text 1 is nan, expected a text"),
        ([b"abc"], "text 1 is b'abc'"),
        ([("a", None)], r"text 1 is \('a', None\)"),
        ([()], r"text 1 has 0 parts, \(\); expected a text or a pair"),
        ([("a", "b", "c")], "text 1 has 3 parts"),
        (["a", "b\ud800"], r"text 2 is no valid Unicode: character 2 is '\\ud800'"),
        (["a", ("a", "b")], "single texts and pairs are mixed"),
    ],
)
def test_what_is_no_text_is_told_by_its_place(texts: Any, told: str, classifier: LoadedModel) -> None:
    for use in (classifier.predict, classifier.encode):
        with pytest.raises(ClozeError, match=told):
            use(texts)


def test_texts_may_come_one_by_one_and_pairs_as_lists(classifier: LoadedModel) -> None:
    assert classifier.predict(iter(TEXTS)) == classifier.predict(TEXTS)
    pair: Any = [["음악", "영화"]]
    assert classifier.predict(pair) == classifier.predict([("음악", "영화")])


@pytest.mark.parametrize(
    ("text", "top", "told"),
    [
        (["[MASK]"], 5, r"expected one text with \[MASK\] in it, found \['\[MASK\]'\]"),
        (b"[MASK]", 5, "expected one text with"),
        ("[MASK]", 0, "1 or more; found 0"),
        ("[MASK]", 1.5, r"1 or more; found 1\.5"),
        ("\udcff [MASK]", 5, "the text is no valid Unicode: character 1"),
    ],
)
def test_what_cannot_be_filled(text: Any, top: Any, told: str, pretrained: LoadedModel) -> None:
    with pytest.raises(ClozeError, match=told):
        pretrained.fill(text, top)


def test_a_device_that_there_is_not(folder: Path) -> None:
    with pytest.raises(ClozeError, match="the device is 'gpu', expected auto, cpu or cuda"):
        load(folder / "pretraining" / "model", device="gpu")  # type: ignore[arg-type]


def test_long_texts_are_cut_and_counted(classifier: LoadedModel) -> None:
    with pytest.warns(UserWarning, match="1 of 2 texts had more than 24 tokens"):
        classifier.predict(["음악 " * 30, "음악"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.predict(["음악"])


def test_vectors_are_means_of_hidden_states(pretrained: LoadedModel, classifier: LoadedModel) -> None:
    vectors = pretrained.encode(TEXTS)
    assert vectors.shape == (5, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, classifier.encode(TEXTS), atol=1e-6, err_msg="both folders hold one encoder")
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(pretrained.encode([text])[0], vector, atol=1e-5)
    assert pretrained.encode([]).shape == (0, 16)


def test_a_mean_is_over_its_own_row(pretrained: LoadedModel) -> None:
    from cloze.tasks.features import featurise

    vector = pretrained.encode(TEXTS)[0]
    batch = featurise(TEXTS[:1], pretrained.tokenizer, 24).batch(np.array([0]))
    with torch.no_grad():
        hidden = pretrained.model.encoder(batch)
    np.testing.assert_allclose(vector, hidden.mean(dim=0).numpy(), atol=1e-5)


@pytest.mark.parametrize("text", ["이 영화 정말 [MASK]", "[MASK] 영화 [MASK] 좋았다"])
def test_gaps_get_their_likeliest_tokens(pretrained: LoadedModel, text: str) -> None:
    guesses = pretrained.fill(text, top=4)
    assert len(guesses) == text.count("[MASK]")
    for gap in guesses:
        probabilities = [guess.probability for guess in gap]
        assert len(gap) == 4
        assert probabilities == sorted(probabilities, reverse=True)
    assert guesses == pretrained.fill(text.replace("[MASK]", "<mask>"), top=4), "either spelling works"
    every = pretrained.fill(text, top=10**6)
    assert sum(guess.probability for guess in every[0]) == pytest.approx(1.0, abs=1e-4)
    assert every[0][:4] == guesses[0]


def test_the_gap_is_the_mask_token_where_it_stands(pretrained: LoadedModel) -> None:
    tokenizer = pretrained.tokenizer
    ids = pretrained._row_with_gaps("영화 [MASK] 좋았다").ids.tolist()
    before, after = tokenizer.encode(["영화", " 좋았다"])
    assert ids == [tokenizer.cls_id, *before, tokenizer.mask_id, *after, tokenizer.sep_id]


def test_rows_of_a_table_beyond_the_tokenizers_entries_are_no_guesses(pretrained: LoadedModel, tmp_path: Path) -> None:
    """Published tables are rounded up."""
    tokenizer, family = pretrained.tokenizer, pretrained.model.family
    settings = ModelSettings(family=family, layers=1, heads=2, width=16)  # type: ignore[arg-type]
    size = tokenizer.vocabulary_size + 50
    padded = build(settings, vocabulary_size=size, length=24, pad_id=tokenizer.pad_id, pairs=False, seed=1)
    save_model(tmp_path, padded, tokenizer)
    (guesses,) = load(tmp_path, device="cpu").fill("이 영화 [MASK]", top=10**6)
    assert len(guesses) == tokenizer.vocabulary_size
    assert sum(guess.probability for guess in guesses) == pytest.approx(1.0, abs=1e-4)


def test_texts_without_a_gap_in_reach_are_told(pretrained: LoadedModel) -> None:
    with pytest.raises(ClozeError, match=r"no gap in '이 영화'.*\[MASK\]"):
        pretrained.fill("이 영화")
    with pytest.raises(ClozeError, match=r"beyond the first 22"):
        pretrained.fill("음악 " * 30 + "[MASK]")
    with pytest.warns(UserWarning, match="cut off"):
        pretrained.fill("[MASK]" + " 음악" * 30)


def test_each_model_says_what_it_cannot_do(pretrained: LoadedModel, classifier: LoadedModel) -> None:
    with pytest.raises(ClozeError, match=r"pretraining.model has no classifier.*tasks/TASK/model"):
        pretrained.predict(["영화"])
    with pytest.raises(ClozeError, match=r"cannot fill gaps: it is a classifier \(나쁨, 좋음\).*pretraining/model"):
        classifier.fill("영화 [MASK]")
    assert (classifier.classes, pretrained.classes) == (("나쁨", "좋음"), ())


def test_wrong_folders_are_told_what_they_are(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ClozeError, match="none does not exist"):
        load(folder / "none")
    with pytest.raises(ClozeError, match=r"texts\.txt is a file"):
        load(folder / "texts.txt")
    with pytest.raises(ClozeError, match=r"holds some.*pretraining.model, .*tasks.reviews.model"):
        load(folder)
    with pytest.raises(ClozeError, match=r"holds nothing; expected config\.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ClozeError, match=r"config\.json says model_type None"):
        load(tmp_path)
