"""Special tokens: their names in each kind of tokenizer, and who plays which role in one that others wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from cloze.errors import DamagedError

Kind = Literal["wordpiece", "byte-bpe", "unigram"]

SPECIAL_TOKENS: dict[Kind, dict[str, str]] = {
    "wordpiece": {"pad": "[PAD]", "unknown": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"},
    "byte-bpe": {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unknown": "<unk>", "mask": "<mask>"},
    "unigram": {"pad": "<pad>", "unknown": "<unk>", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"},
}
"""The special tokens by their role, in the order of their ids 0 to 4: BERT's, RoBERTa's and ALBERT's."""

CONFIG_FILE = "tokenizer_config.json"

_ROLES_FILES = (CONFIG_FILE, "special_tokens_map.json")
_KEYS = {"pad": "pad_token", "unknown": "unk_token", "cls": "cls_token", "sep": "sep_token", "mask": "mask_token"}


def read_roles(folder: Path) -> list[dict[str, str]]:
    """Names by role, as tokenizer_config.json and special_tokens_map.json of a folder give them, in this order.

    A file that is absent names nothing. Raises DamagedError for one that isn't a JSON object.
    """
    found = []
    for name in _ROLES_FILES:
        path = folder / name
        if not path.is_file():
            continue
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:  # broken UTF-8 is one too
            raise DamagedError(f"{path} can't be read as JSON: {error}. Save or copy the tokenizer again.") from None
        if not isinstance(described, dict):
            raise DamagedError(f"{path} holds {type(described).__name__}, expected a JSON object. Copy it again.")
        found.append({role: text for role, key in _KEYS.items() if (text := _content(described.get(key)))})
    return found


def find_roles(
    kind: Kind, description: Mapping[str, Any], ids: Mapping[str, int], named: Sequence[Mapping[str, str]]
) -> dict[str, str]:
    """The entry of each role, in the order of `SPECIAL_TOKENS[kind]`.

    The first of these that is an entry: what the model itself puts for unknown text, what `named` says, what the
    post-processor puts around a text, the usual names of this kind and of the others. `description` is the content of
    tokenizer.json; `ids` are all its entries. Raises ValueError with the roles that nobody plays.
    """
    sources = [_of_model(description["model"]), *named, _of_post_processor(description.get("post_processor"))]
    sources += [SPECIAL_TOKENS[kind], *SPECIAL_TOKENS.values()]
    roles: dict[str, str] = {}
    for role in SPECIAL_TOKENS[kind]:
        names = (source[role] for source in sources if role in source)
        if (found := next((name for name in names if name in ids), None)) is not None:
            roles[role] = found
    if missing := [f"{role} ({SPECIAL_TOKENS[kind][role]})" for role in SPECIAL_TOKENS[kind] if role not in roles]:
        raise ValueError(f"it has no special token for {', '.join(missing)}")
    return roles


def hugging_face_config(
    kind: Kind, roles: Mapping[str, str], *, segments: bool, max_length: int | None
) -> dict[str, Any]:
    """What tokenizer_config.json says, so that `AutoTokenizer` takes tokenizer.json as it stands.

    Without the class, it builds its own BERT or RoBERTa tokenizer, which turns Korean into [UNK]. `segments`: whether
    rows have more than one, which the model knows; others it would look up in a table that is too short, or refuse.
    `max_length`: tokens that `truncation=True` cuts to.
    """
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **{_KEYS[role]: roles[role] for role in _KEYS},
    }
    if max_length is not None:
        config["model_max_length"] = max_length
    if not segments:
        config["model_input_names"] = ["input_ids", "attention_mask"]
    if kind != "wordpiece":
        config |= {"bos_token": roles["cls"], "eos_token": roles["sep"]}
    return config


def _content(token: Any) -> str | None:
    """A token is a string, or an object with its content and how it is matched."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _of_model(model: Mapping[str, Any]) -> dict[str, str]:
    unknown = model.get("unk_token")
    if model.get("type") == "Unigram" and model.get("unk_id") is not None:
        unknown = model["vocab"][model["unk_id"]][0]
    return {"unknown": unknown} if isinstance(unknown, str) else {}


def _of_post_processor(processor: Any) -> dict[str, str]:
    """The tokens before and after a single text."""
    for step in _steps(processor):
        if step.get("type") in ("BertProcessing", "RobertaProcessing"):
            return {role: step[role][0] for role in ("cls", "sep")}
        if step.get("type") == "TemplateProcessing":
            row = [next(iter(piece.items())) for piece in step["single"]]
            place = [name for name, _ in row].index("Sequence")
            around = {"cls": row[:place][:1], "sep": row[place + 1 :][:1]}
            return {role: piece[0][1]["id"] for role, piece in around.items() if piece}
    return {}


def _steps(processor: Any) -> Iterator[dict[str, Any]]:
    if isinstance(processor, dict):
        yield processor
        for step in processor.get("processors", ()):
            yield from _steps(step)
