"""A workplace with the sample in it, and a tiny run."""

from __future__ import annotations

import gzip
import shlex

import pytest

from tests.end_to_end.workplace import REPOSITORY, Workplace, flags


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The sample, the recipes, and ../shared/data with the files that recipes name, cut from the sample."""
    folder = tmp_path_factory.mktemp("workplace") / "cloze"
    folder.mkdir()
    (folder / "recipes").symlink_to(REPOSITORY / "recipes")
    place = Workplace(folder)
    done = place.cloze("sample", "data/sample")
    assert done.returncode == 0, done.stderr
    beside, sample = folder.parent / "shared" / "data", folder / "data" / "sample"
    for name in ("nsmc", "corpus"):
        (beside / name).mkdir(parents=True)
    train = (sample / "reviews_train.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    (beside / "nsmc" / "ratings_train.txt").write_text("".join(train[:1000]), encoding="utf-8")
    (beside / "nsmc" / "ratings_test.txt").write_bytes((sample / "reviews_test.txt").read_bytes())
    reviews = [line.split("\t")[1] + "\n" + "\n" * (place % 5 == 0) for place, line in enumerate(train[1:])]
    with gzip.open(beside / "corpus" / "reviews.txt.gz", "wt", encoding="utf-8") as file:
        file.writelines(reviews)
    return place


@pytest.fixture(scope="session")
def finished(workplace: Workplace) -> Workplace:
    """The workplace after a tiny run of recipes/quickstart.yaml."""
    done = workplace.bash(f"cloze run recipes/quickstart.yaml {shlex.join(flags())}")
    assert done.returncode == 0, done.stdout + done.stderr
    (workplace.folder / "run.out").write_text(done.stdout, encoding="utf-8")
    return workplace
