"""Errors that a user can act on.

A `ClozeError` says what was found, where, what was expected and what to do next. The command line prints its message
and exits with status 2; anything else that escapes is a defect of cloze and keeps its traceback.
"""


class ClozeError(Exception):
    """Wrong input, a damaged file or a full disk: the message is all that a user needs."""


class RecipeError(ClozeError):
    """One or more settings of a recipe are wrong; the message lists all of them."""


class DamagedError(ClozeError):
    """A file of cloze's own is incomplete or was changed after it was written."""


class SourceDamaged(ClozeError):
    """A source ends in the middle or cannot be read any further: what came before is good."""


class NotFiniteError(ClozeError):
    """A loss or gradient became NaN or infinite: the same settings would do so again."""
