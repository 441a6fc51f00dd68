"""Training that fails without an error: numbers of a train line that should not be near 0 for long.

ELECTRA goes wrong silently: the loss of the discriminator looks fine while it calls every token original. torch isn't
imported here, because the report asks too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FAKE_FRAC, RECALL = "replaced_tokens/fake_frac", "replaced_tokens/recall"


@dataclass(frozen=True)
class Alarm:
    """A number of a train line, the value that it must reach, and what it means if it does not."""

    key: str
    least: float
    meaning: str


ALARMS = (
    Alarm(RECALL, 0.01, "of the replaced tokens are found: the discriminator calls nearly everything original"),
    Alarm(FAKE_FRAC, 0.001, "of all tokens are replaced: the discriminator has nothing to find"),
    Alarm("masked_tokens/accuracy", 0.01, "of the masked tokens are guessed right: the generator learns nothing"),
)
"""For objectives with health figures; the thresholds are far below what a healthy run shows at that time."""


def raised(line: Mapping[str, float], *, step: float, warmup_steps: int) -> dict[str, str]:
    """Name -> text of each alarm that a train line raises; {} for families without health figures.

    Nothing is raised before twice the warm-up: until then a model may well guess by frequency alone.
    """
    if FAKE_FRAC not in line or step <= 2 * warmup_steps:
        return {}
    low = (alarm for alarm in ALARMS if line.get(alarm.key, alarm.least) < alarm.least)
    return {alarm.key: f"{line[alarm.key]:.2%} {alarm.meaning}" for alarm in low}
