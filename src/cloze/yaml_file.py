"""YAML files as people write them: plain words by the 1.2 rules, and every mistake with its line.

Only true and false are yes and no (so `compile: yes` is a word), 1e-4 is a number, and a key that stands twice in a
section is a mistake, where YAML would keep the last one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor

from cloze.errors import RecipeError
from cloze.files import os_errors

Key = tuple[str | int, ...]
"""Way to a value, e.g. ("tasks", 0, "epochs")."""


def load(path: Path) -> tuple[object, Problems]:
    """What a file holds, and the keys that stand twice in it as problems. Raises RecipeError for what is no YAML."""
    text = _read_text(path)
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        problems = Problems(path, node)
        problems.duplicates()  # Before a merge (`<<`) adds the keys that its section may have as well.
        return ({} if node is None else loader.construct_document(node)), problems
    except yaml.YAMLError as error:
        raise RecipeError(_yaml_message(path, error)) from None
    except RecursionError:
        raise RecipeError(f"{path}: brackets or sections are nested too deeply; a recipe has three levels.") from None
    except (ValueError, LookupError, AttributeError) as error:  # A tag (`!!int x`) and a value that does not fit it.
        raise RecipeError(f"{path} holds a value that cannot be read: {error}.") from None


_PLAIN_WORDS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "int": (r"[-+]?(?:0|[1-9][0-9_]*)", "-+0123456789"),
    "float": (r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    "merge": (r"<<", "<"),
}
"""YAML type -> what an unquoted word of that type looks like, and the characters it may begin with."""


class Loader(yaml.SafeLoader):
    """SafeLoader with the plain words of YAML 1.2."""


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes a text which either YAML 1.1 or 1.2 would take for something else."""


Loader.yaml_implicit_resolvers = {
    first: [
        (f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"))
        for tag, (pattern, firsts) in _PLAIN_WORDS.items()
        if first in list(firsts)
    ]
    for first in ["", *"~nNtTfF-+.0123456789<"]
}
_Dumper.yaml_implicit_resolvers = {
    first: yaml.SafeDumper.yaml_implicit_resolvers.get(first, []) + Loader.yaml_implicit_resolvers.get(first, [])
    for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *Loader.yaml_implicit_resolvers}
}


Place = Callable[[Key], str]
"""Says where a value was given, or, of a key below it, where what stands there was."""


class Problems:
    """Everything wrong with a file, each with its line or with the place that laid something over it."""

    def __init__(self, path: Path, node: yaml.Node | None) -> None:
        self.path, self.node = path, node
        self.found: list[tuple[bool, int, str]] = []
        self.laid_over: dict[Key, Place] = {}

    def add(self, key: Key, text: str) -> None:
        """Add a problem of the value at `key`."""
        over = [(part, place) for part, place in self.laid_over.items() if touches([part], [key])]
        given = over[-1] if over else None  # What was laid on last is what stands there.
        where = self.where(key) if given is None else given[1](key[len(given[0]) :])
        self.found.append((given is not None, self._line(key), f"{where}: {text}"))

    def where(self, key: Key) -> str:
        """File, line and key of a value."""
        return f"{self.path}:{self._line(key)}: {dotted(key)}"

    def duplicates(self) -> None:
        """Add the keys that stand twice in one section: YAML would silently keep the last."""
        stack: list[tuple[Key, yaml.Node | None]] = [((), self.node)]
        seen: set[int] = set()
        while stack:
            key, node = stack.pop()
            if id(node) in seen:  # An alias (`*name`) may stand anywhere, even inside of what it names.
                continue
            seen.add(id(node))
            if isinstance(node, yaml.SequenceNode):
                stack += [((*key, place), item) for place, item in enumerate(node.value)]
            elif isinstance(node, yaml.MappingNode):
                pairs = [(_name(name), value) for name, value in node.value if isinstance(name, yaml.ScalarNode)]
                names = [name for name, _ in pairs]
                for name in sorted({name for name in names if names.count(name) > 1}):
                    self.add((*key, name), "stands more than once in its section; keep one")
                stack += [((*key, name), value) for name, value in pairs]

    def message(self) -> str:
        """All problems: those of the file in its order, then those of what was laid over it."""
        lines = [text for _, _, text in sorted(self.found, key=lambda problem: problem[:2])]
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        return "\n  ".join([f"{self.path} has {count}; nothing was run.", *lines])

    def _line(self, key: Key) -> int:
        """Line of the key, or of the nearest section around it; from 1."""
        node, line = self.node, 1
        for part in key:
            if isinstance(node, yaml.MappingNode):
                named = [(name, value) for name, value in node.value if isinstance(name, yaml.ScalarNode)]
                pairs = [(name, value) for name, value in named if _name(name) == str(part)]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                pairs = [(node.value[part], node.value[part])]
            else:
                break
            if not pairs:
                break
            line, node = pairs[-1][0].start_mark.line + 1, pairs[-1][1]
        return line


def _name(node: yaml.ScalarNode) -> str:
    """A key as text, as Python shows it: 1e-3 and 0.001 are one."""
    try:
        return str(SafeConstructor().construct_object(node))
    except (yaml.YAMLError, ValueError, LookupError, AttributeError):
        return str(node.value)


def as_yaml(value: object) -> str:
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=1_000_000)
    return text.removesuffix("\n").removesuffix("\n...")


def dotted(key: Key) -> str:
    return ".".join(map(str, key)) or "the recipe"


def touches(keys: Iterable[Key], others: Iterable[Key]) -> bool:
    """Whether one of `keys` lies at, above or below one of `others`."""
    return any(one[: len(other)] == other[: len(one)] for other in others for one in keys)


def shown(value: object) -> str:
    """A value as a file would have it, or, for one from Python that no file has, as Python shows it."""
    try:
        return "nothing (null)" if value is None else as_yaml(value)[:80]
    except yaml.YAMLError:
        return repr(value)[:80]
    except RecursionError:
        return "what is nested too deeply to show"


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise RecipeError(f"{path} is a folder, expected a recipe file. `cloze recipe list {path}` lists those in it.")
    if not path.exists():
        beside = [str(other) for other in sorted(path.parent.glob("*.yaml"))] if path.parent.is_dir() else []
        near = difflib.get_close_matches(str(path), beside, 1)
        hint = f"Did you mean {near[0]}?" if near else "`cloze recipe list FOLDER` lists the recipes of a folder."
        raise RecipeError(f"{path} does not exist. {hint}")
    with os_errors(path):
        data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = (
            f"{path}:{line}: byte {error.start:,} (0x{data[error.start]:02x}) is not UTF-8. Save the file as UTF-8."
        )
        raise RecipeError(message) from None


def _yaml_message(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"{path}: not YAML: {error}".replace("\n", " ")
    return (
        f"{path}:{mark.line + 1}:{mark.column + 1}: not YAML: {getattr(error, 'problem', error)}. Check indentation "
        "and colons; a text with `: `, `#` or a bracket needs quotes."
    )
