from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from cloze.training.tracking import FolderTracker, cut_lines


@given(
    st.lists(st.integers(0, 20), max_size=20).map(sorted),
    st.integers(-1, 21),
    st.sampled_from(["", '{"step": 3, "lo', "\0\0\0", "\0\0\n"]),
)
def test_only_lines_of_later_steps_and_broken_ends_are_cut(steps: list[int], step: int, end: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        lines = [json.dumps({"step": n, "loss": 0.1 * i}) + "\n" for i, n in enumerate(steps)]
        path.write_text("".join(lines) + end)
        cut_lines(path, step)
        assert path.read_text() == "".join(line for line, n in zip(lines, steps, strict=True) if n <= step)


def test_a_resumed_run_has_each_step_once(tmp_path: Path) -> None:
    def write(tracker: FolderTracker, steps: range, value: float) -> None:
        for step in steps:
            tracker.write({"kind": "train", "step": step, "loss": value})
        tracker.sync()
        tracker.close()

    first, second = FolderTracker(tmp_path), FolderTracker(tmp_path)
    first.resume(0)
    write(first, range(1, 6), 1.0)
    (tmp_path / "guesses.jsonl").write_text('{"step": 2}\n{"step": 4}\n')
    time.sleep(1.01)  # TensorBoard reads the files of one second in the order of their names' last digits, as text
    second.resume(3)
    write(second, range(4, 8), 2.0)

    expected = [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0), (7, 2.0)]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == expected
    charts = EventAccumulator(str(tmp_path / "tensorboard" / "train"))
    charts.Reload()
    assert [(event.step, event.value) for event in charts.Scalars("loss")] == expected
    assert (tmp_path / "guesses.jsonl").read_text() == '{"step": 2}\n'
