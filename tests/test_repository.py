"""What holds for the repository as a whole: imports point one way, links of the docs lead somewhere."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "src" / "cloze"

ORDER = [
    *("errors", "files", "yaml_file", "progress", "workers", "recipe", "recipe_file"),
    *("corpus", "tokens", "inputs", "objectives", "models", "interop", "training", "tasks", "predict"),
    *("report", "export", "stages", "pipeline", "finetune", "evaluate", "study", "cli_models", "cli_data", "cli"),
    *("__init__", "__main__"),
]
"""The pipeline: a module may import from its own part and from those before it."""


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_parts(tree: ast.AST) -> set[str]:
    """Parts of cloze that a module imports anywhere, but for the names that only type checkers see."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cloze."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("cloze.")}
        found |= imported_parts(node)
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_backwards_along_the_pipeline(path: Path) -> None:
    part = part_of(path)
    assert part in ORDER, f"put {part} where it belongs in ORDER"
    later = {
        name
        for name in imported_parts(ast.parse(path.read_text(encoding="utf-8")))
        if name not in ORDER[: ORDER.index(part) + 1]
    }
    assert not later, f"{path.relative_to(REPOSITORY)} imports from {later}, which comes after {part}"


PAGES = [*sorted((REPOSITORY / "docs").rglob("*.md")), *sorted(REPOSITORY.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_of_the_docs_lead_to_files(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    absent = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not absent


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_no_page_has_a_hole(page: Path) -> None:
    """A marker that something was to be put in place of."""
    assert not re.findall(r"@[A-Z]+@|\bTODO\b|\bFIXME\b|\bTBD\b", page.read_text(encoding="utf-8"))


def test_nothing_large_or_built_is_tracked() -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("what is tracked is asked of git, and this is no checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    files = [REPOSITORY / name for name in listed.stdout.split("\0") if name]
    wrong = [str(path) for path in files if path.suffix in (".whl", ".safetensors", ".gz", ".arrow")]
    assert files and not wrong
    assert not [str(path) for path in files if path.is_file() and path.stat().st_size > 1_000_000]


def test_every_page_is_there_in_both_languages() -> None:
    english = {page.name for page in (REPOSITORY / "docs").glob("*.md") if not page.name.endswith(".ko.md")}
    korean = {page.name.replace(".ko.md", ".md") for page in (REPOSITORY / "docs").glob("*.ko.md")}
    assert english == korean


def test_the_index_lists_every_page() -> None:
    for name in ("index.md", "index.ko.md"):
        text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
        korean = name.endswith(".ko.md")
        pages = [page.name for page in (REPOSITORY / "docs").glob("*.md") if page.name.endswith(".ko.md") == korean]
        assert [page for page in sorted(pages) if page != name and f"]({page})" not in text] == []
