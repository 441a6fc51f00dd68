"""Errors that a user can act on.

A `ClozeError` says what was found, where, what was expected and what to do next. The command line prints its message
and exits with status 2; anything else that escapes is a defect of cloze and keeps its traceback.
"""

from collections.abc import Sequence


def some(names: Sequence[object], most: int, *, total: int | None = None, mark: str = ", ") -> str:
    """The first `most` names, and how many more there are; `total`: of all, where `names` are not all of them."""
    more = (len(names) if total is None else total) - min(most, len(names))
    return mark.join(map(str, names[:most])) + (f"{mark.rstrip(', ')} and {more:,} more" if more > 0 else "")


class ClozeError(Exception):
    """Wrong input, a damaged file or a full disk: the message is all that a user needs."""


class RecipeError(ClozeError):
    """One or more settings of a recipe are wrong; the message lists all of them."""


class DamagedError(ClozeError):
    """A file of cloze's own is incomplete or was changed after it was written."""


class SourceDamaged(ClozeError):
    """A source ends in the middle or cannot be read any further: what came before is good."""


class OutOfMemoryError(ClozeError):
    """What was to be computed does not fit into memory: the same settings would not again."""


class NotFiniteError(ClozeError):
    """A loss or gradient became NaN or infinite: the same settings would do so again."""
