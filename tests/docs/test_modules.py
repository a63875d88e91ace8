"""docs/ARCHITECTURE.md knows every file of src/, and leads to files that there are."""

from __future__ import annotations

import re

from documents import ROOT, name, rows, section, sources, text_of

ARCHITECTURE = "docs/ARCHITECTURE.md"


def modules() -> dict[str, str]:
    """Each file with its description."""
    found = {}
    for folder, cell in rows(section(text_of(ARCHITECTURE), "Modules")):
        folder = folder.strip("`")
        for part in cell.split("; ") if folder not in ("lua/", "sql/") else []:
            file, _, description = part.partition(": ")
            assert re.fullmatch(r"`\w+\.c`", file) and description, part
            path = f"src/{file[1:-1]}" if folder == "src/" else f"src/{folder}{file[1:-1]}"
            assert path not in found, f"twice: {path}"
            found[path] = description
    return found


def test_every_file_has_a_row() -> None:
    missing = {name(path) for path in sources("src", ".c")} - set(modules())
    assert not missing, missing


def test_every_row_has_its_file() -> None:
    left = set(modules()) - {name(path) for path in sources("src", ".c")}
    assert not left, left


def test_places_to_change_are_there() -> None:
    """Of every document: a path in code that begins with a folder of the repository is a file or a folder."""
    pattern = r"`((?:src|include|lua|sql|tests|tools|docs|deploy|examples|bench)/[\w./-]*)`"
    for path in ROOT.glob("docs/**/*.md"):
        if name(path) == "docs/FAILURES.md":
            continue  # its paths begin below tests/: test_failures.py
        for target in re.findall(pattern, path.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{name(path)}: {target}"


def test_paths_in_comments_are_there() -> None:
    pattern = r"\b(?:src(?!/backend)|include|lua|sql|tests|tools|docs)/[\w/.-]*\.(?:c|h|lua|sql|py|md)\b"
    for folder, suffix in (("src", ".c"), ("src", ".h"), ("include", ".h"), ("sql", ".sql"), ("lua", ".lua")):
        for path in sources(folder, suffix):
            for target in re.findall(pattern, path.read_text(encoding="utf-8")):
                assert (ROOT / target).exists(), f"{name(path)}: {target}"


def test_a_newcomer_finds_the_place() -> None:
    """The tasks that come most often are in the table that says where to change what."""
    tasks = section(text_of(ARCHITECTURE), "Where to change what").casefold()
    for task in (
        "refused",
        "metric",
        "setting",
        "loses its data",
        "type of an id",
        "250 ms",
        "route",
        "tls",
        "finding",
        "pace",
    ):
        assert task in tasks, task
