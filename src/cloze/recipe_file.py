"""Recipes as YAML files: reading with overrides, one error for all mistakes, printing with comments, the JSON schema.

Types, limits, units and sources come from the JSON schema of `Recipe`: nothing is said twice.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cloze.errors import ClozeError, RecipeError
from cloze.recipe import Recipe
from cloze.yaml_file import Key, Loader, Place, Problems, as_yaml, dotted, load, shown, touches


@dataclass(frozen=True, slots=True)
class Setting:
    """What a user may know about one setting."""

    help: str
    unit: str
    source: str
    expected: str
    """The values it takes, in words."""
    default: object = None


def read_recipe(
    path: Path, overrides: Mapping[str, object] | None = None, places: Mapping[str, Place] | None = None
) -> Recipe:
    """Read `path`, lay `overrides` over it (dotted key -> value; text is read as YAML) and check everything.

    `places` say where overrides were given; those without one are flags. Raises RecipeError that lists all problems
    with their lines, or the places that caused them.
    """
    data, problems = load(path)
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: holds {shown(data)}, expected sections such as `model:` with indented settings.")
    for name, value in (overrides or {}).items():
        plain = value.item() if hasattr(value, "item") else value  # numpy's numbers are Python's
        place = (places or {}).get(name, partial(_flag, name))
        if wrong := _override(data, _key(name), plain):
            problems.found.append((True, 0, f"{place(())}: {wrong}"))
        else:
            problems.laid_over[_key(name)] = place
    recipe = _validate(data, problems)
    if problems.found or recipe is None:
        raise RecipeError(problems.message())
    return recipe


def show(recipe: Recipe) -> str:
    """The resolved recipe as YAML, a comment with unit and source after each value; `read_recipe` reads it back."""
    lines = [f"# cloze recipe {recipe.name}, resolved. After each value: unit; the default's source; what null means."]
    lines += _shown_section(recipe.model_dump(mode="json"), (), "")
    return "\n".join(lines) + "\n"


def schema_text() -> str:
    """JSON schema of a recipe, for editors; recipes/schema.json holds it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def list_recipes(folder: Path) -> dict[Path, str]:
    """The files of a folder and what each recipe is for, or why it is none. Raises ClozeError for no folder."""
    if not folder.is_dir():
        raise ClozeError(f"{folder} is no folder. Pass the folder that holds your recipes (*.yaml).")
    return {path: _purpose(path) for path in sorted(folder.glob("*.yaml"))}


def _purpose(path: Path) -> str:
    try:
        return read_recipe(path).description
    except ClozeError as error:
        return f"(no recipe: {str(error).splitlines()[0]})"


@cache
def settings() -> dict[Key, Setting]:
    """Every setting by its key; an element of a list stands under the place 0."""
    schema = Recipe.model_json_schema()
    return dict(_walk(schema["properties"], schema["$defs"], ()))


def _validate(data: dict[Any, Any], problems: Problems) -> Recipe | None:
    """Validate again and again, each time without the values found wrong, so that no mistake hides another."""
    wrong: set[Key] = set()
    while True:
        try:
            return Recipe.model_validate(data)
        except ValidationError as error:
            before, standing_in = set(wrong), set[Key]()
            for keys, kind, message in explain(error):
                known = touches(keys, before)
                if not known:
                    given = [key for key in keys if touches([key], problems.laid_over)]
                    problems.add((given or keys)[0], message)
                if not known or kind == "unfit":
                    wrong.update(keys)
                if kind == "missing":
                    _set(data, keys[0], "missing")  # stands in, so that the other checks can go on
                    standing_in.update(keys)
            for key in wrong - before - standing_in:
                _delete(data, key)
            if wrong == before:
                return None


def explain(error: ValidationError, section: Key = ()) -> Iterator[tuple[list[Key], str, str]]:
    """Every problem of a recipe, or of its `section`: the settings that it touches, the one to send the user to first;
    its type; and what is wrong in words."""
    for detail in error.errors(include_url=False):
        key, kind = section + detail["loc"], detail["type"]
        if kind == "unfit":
            for names, message in detail["ctx"]["problems"]:
                yield [key + _key(name) for name in names.split()], kind, message
        else:
            yield [key], kind, _explain(key, kind, detail["input"])


def _flag(name: str, below: Key) -> str:
    """The place of an override that was given on the command line."""
    return f"--{dotted((name, *below))}"


def _explain(key: Key, kind: str, value: object) -> str:
    """What is wrong with one value and what was expected."""
    if kind in ("extra_forbidden", "invalid_key"):
        return f"no such setting. {_nearest(_pattern(key))}"
    setting = settings().get(_pattern(key))
    expected = setting.expected if setting else "a section of settings"
    if kind == "missing":
        return f"missing; expected {expected}"
    hint = f"; unit: {setting.unit}" if setting and "number" in expected else ""
    names = re.findall(r"[\w-]+", expected.partition("one of ")[2])
    if isinstance(value, str) and (match := difflib.get_close_matches(value, names, 1)):
        hint = f". Did you mean {match[0]}?"
    return f"{shown(value)} is not {expected}{hint}"


def _nearest(key: Key) -> str:
    """The setting that was probably meant."""
    *section, name = key
    known = settings()
    beside = [str(other[-1]) for other in known if list(other[:-1]) == section and other[-1] != 0]
    if match := difflib.get_close_matches(str(name), beside, 1, cutoff=0.6):
        return f"Did you mean {dotted((*section, match[0]))}?"
    if elsewhere := [other for other in known if other[-1] == name != 0]:
        return f"Did you mean {' or '.join(map(dotted, elsewhere))}?"
    return f"Expected one of {', '.join(beside)}." if beside else f"{dotted(tuple(section))} has no settings below it."


def _override(data: dict[Any, Any], key: Key, value: object) -> str:
    """Lay one value over the data; return what is wrong with the way to it, or nothing."""
    setting = settings().get(_pattern(key))
    expected = setting.expected if setting else ""
    if isinstance(value, str) and expected.startswith(("text", "a path")):
        value = None if expected.endswith("or null") and value in ("null", "~") else value
    elif isinstance(value, str):
        try:
            value = yaml.load(value, Loader)
        except (yaml.YAMLError, ValueError, AttributeError, RecursionError):
            return f"{shown(value)} is not YAML; quote it"
    if isinstance(value, dict) and expected == "a section of settings":
        inner = ", ".join(f"{dotted(key)}.{name}" for name in value) or f"{dotted(key)}.NAME"
        return f"is a section, whose other settings would be lost; set {inner} one by one"
    around: Any = data
    for depth, part in enumerate(key):
        way, is_list, is_dict = dotted(key[:depth]), isinstance(around, list), isinstance(around, dict)
        if not is_list and not is_dict:
            return f"{way} is {shown(around)}: it has no settings below it"
        if is_list and not (isinstance(part, int) and part < len(around)):
            return f"{way} has {len(around)} entries, numbered from 0; found {part!r}"
        if depth == len(key) - 1:
            around[part] = copy.deepcopy(value)  # Further overrides write into it.
        elif is_dict and around.get(part) is None:
            around[part] = [] if isinstance(key[depth + 1], int) else {}
        around = around[part]
    return ""


def _walk(properties: Mapping[str, Any], definitions: Mapping[str, Any], key: Key) -> Iterator[tuple[Key, Setting]]:
    """The settings of a section of the schema and those below."""
    for name, field in properties.items():
        text = " ".join(field.get("description", "").split())
        match = re.fullmatch(r"(?P<help>.*) Unit: (?P<unit>.+?)\. Source: (?P<source>.+)\.", text)
        groups = match.groupdict() if match else {"help": text, "unit": "", "source": ""}
        yield (*key, name), Setting(expected=_expected(field), default=field.get("default"), **groups)
        section, below = field.get("$ref"), (*key, name)
        if "items" in field:
            section, below = field["items"].get("$ref"), (*key, name, 0)
            yield below, Setting(groups["help"], groups["unit"], groups["source"], _expected(field["items"]))
        if section:
            yield from _walk(definitions[section.rpartition("/")[2]]["properties"], definitions, below)


def _expected(field: Mapping[str, Any]) -> str:
    """The values that a schema allows, in words."""
    if "anyOf" in field:
        return " or ".join("null" if option.get("type") == "null" else _expected(option) for option in field["anyOf"])
    if "$ref" in field:
        return "a section of settings"
    if "enum" in field or "const" in field:
        return "one of " + ", ".join(field.get("enum") or [field["const"]])
    if field["type"] == "array":
        longer = f" of {field['minItems']} or more" if "minItems" in field else ""
        return f"a list{longer}, each {_expected(field['items'])}"
    words = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    limits = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
    }
    said = [text.format(f"{field[name]:,}".removesuffix(".0")) for name, text in limits.items() if name in field]
    if "pattern" in field:
        said.append("letters, digits, dot, dash, underscore")
    kind = "a path" if field.get("format") == "path" else words[field["type"]]
    return f"{kind} ({', '.join(said)})" if said else kind


def _shown_section(values: Mapping[str, Any], key: Key, indent: str) -> list[str]:
    """YAML lines of one section."""
    lines: list[str] = []
    for name, value in values.items():
        setting = settings()[_pattern((*key, name))]
        if isinstance(value, dict):
            lines += ["", f"{indent}{name}:  # {setting.help}", *_shown_section(value, (*key, name), indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines += ["", f"{indent}{name}:  # {setting.help}"]
            for place, item in enumerate(value):
                inner = _shown_section(item, (*key, name, place), indent + "    ")
                lines += [f"{indent}  - {inner[0].strip()}", *inner[1:]]
        else:
            lines.append(f"{f'{indent}{name}: {as_yaml(value)}':<40}  # {_comment(setting, value)}")
    return lines


def _comment(setting: Setting, value: object) -> str:
    """Unit and source of a value; of one that is not the default, what that would be."""
    source = setting.source if value == setting.default else f"default {as_yaml(setting.default)} ({setting.source})"
    null = re.search(r"null: ([^;.]+)", setting.help)
    return "; ".join([setting.unit, source, *([f"null: {null[1]}"] if null and value is None else [])])


def _key(name: str) -> Key:
    return tuple(int(part) if part.isdecimal() else part for part in name.split("."))


def _pattern(key: Key) -> Key:
    """The key as `settings` has it: every place in a list is 0."""
    return tuple(0 if isinstance(part, int) else part for part in key)


def _set(data: Any, key: Key, value: object) -> None:
    for part in key[:-1]:
        data = data[part]
    data[key[-1]] = value


def _delete(data: Any, key: Key) -> None:
    """Remove a value; a list goes as a whole, for its other places keep their numbers that way."""
    around = data
    for part in key[:-1]:
        if isinstance(around, dict) and part not in around:
            return
        around = around[part]
    if isinstance(around, list):
        _delete(data, key[:-1])
    else:
        around.pop(key[-1], None)
