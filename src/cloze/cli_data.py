"""The commands for published data sets: data list, data get. What each does stands in its docstring, its help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from cloze.errors import ClozeError

if TYPE_CHECKING:
    from cloze.corpus.catalogue import DataSet

data_sets = App(name="data", help="List and fetch published data sets.")


@data_sets.command(name="list")
def list_(*, data: Path = Path("data")) -> None:
    """List the data sets of the catalogue: what each is for, its size and licence, and whether it is here.

    Parameters
    ----------
    data
        Folder with data, as in recipes.
    """
    from rich.console import Console
    from rich.table import Table

    from cloze.corpus.catalogue import read_catalogue
    from cloze.corpus.fetch import present

    table = Table(box=None, pad_edge=False)
    for column in ("name", "task", "size", "licence", "here"):
        table.add_column(column, no_wrap=column != "task")
    for name, data_set in read_catalogue().items():
        found, wanted = present(data_set, data), len(data_set.files)
        here = "by hand" if not wanted else "yes" if found == wanted else f"{found} of {wanted}" if found else "no"
        table.add_row(name, data_set.task, _size(data_set), data_set.licence, here)
    Console().print(table)
    print("\n`cloze data get NAME` fetches one, or says where to find it (by hand).")


@data_sets.command
def get(
    *names: str,
    data: Path = Path("data"),
    mirror: Annotated[str | None, Parameter(env_var="CLOZE_DATA_MIRROR")] = None,
) -> None:
    """Fetch data sets, check them, and put them where the recipes look for them. Prints licence and citation first.

    A fetch that was broken off goes on when the same command is given again. What is here already is checked.

    Parameters
    ----------
    names
        Names of data sets; `cloze data list` shows them.
    data
        Folder with data, as in recipes.
    mirror
        Folder or address where the files lie as REPOSITORY/COMMIT/PATH or NAME/FILE; it is tried before the publisher.
    """
    from cloze.corpus.catalogue import find
    from cloze.corpus.fetch import fetch, present
    from cloze.progress import RichProgress

    if not names:
        raise ClozeError("no data set is named. `cloze data list` shows those there are; cloze data get nsmc gets one.")
    for data_set in [find(name) for name in names]:
        if present(data_set, data) < len(data_set.files):
            print(f"{_introduced(data_set)}\n", flush=True)
        fetched = fetch(data_set, data, RichProgress(), mirror or None)
        files = f"{len(data_set.files)} file{'s' if len(data_set.files) > 1 else ''}"
        how = f"{len(fetched)} fetched, all checked" if fetched else "all here already, and checked"
        print(f"{data / data_set.name}: {files}, {how}. Licence: {data_set.licence}.")


def _introduced(data_set: DataSet) -> str:
    """What a user must know before the first use."""
    from cloze.corpus.catalogue import terms

    licence = f"{data_set.licence}, {data_set.licence_address}" if data_set.licence_address else data_set.licence
    lines = [
        f"{data_set.name}: {data_set.title} (language: {data_set.language})",
        f"  from      {data_set.address}, commit {data_set.commit}",
        f"  size      {_size(data_set)}, {len(data_set.files)} files",
        f"  licence   {licence}",
        f"  cite      {data_set.citation}",
    ]
    return "\n".join([*lines, *(f"  note      {sentence}" for sentence in terms(data_set.name, data_set.licence))])


def _size(data_set: DataSet) -> str:
    return "unknown" if data_set.bytes is None else f"{data_set.bytes / 1e6:,.1f} MB"
