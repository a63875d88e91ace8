"""What the pages say of files, sections, goals, modes, settings and metrics is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from documents import ROOT, anchors, files, name, pages, rows, section, sources, text_of, without_code

README_LINES = 200
# Pages, folders and lists that only some machine has.
OUTSIDE = (
    r"\.\./shared\b",
    r"\binterface\.md\b",
    r"\bdesign\.md\b",
    r"\bissue (?:#|\d)",
    r"(?<![\w.])/work/",
)
ARCHITECTURE_LINES = 350


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links(page: Path) -> None:
    """Files are there, and so are the sections that links name."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


def test_anchors_are_githubs() -> None:
    text = "# One: `two`, and 3!\n\n```sh\n# no title\n```\n## A  b\n"
    assert anchors(text) == {"one-two-and-3", "a--b"}


@pytest.mark.parametrize(
    ("page", "limit"), [("README.md", README_LINES), ("docs/ARCHITECTURE.md", ARCHITECTURE_LINES)]
)
def test_length(page: str, limit: int) -> None:
    lines = len(text_of(page).splitlines())
    assert lines <= limit, f"{page} has {lines} lines"


def test_readme_lists_every_document() -> None:
    listed = section(text_of("README.md"), "Documents")
    targets = set(re.findall(r"\]\(([^)#\s]+)\)", listed))
    for page in pages():
        path = name(page)
        if path.startswith((".github/", "deploy/")) and path != "deploy/README.md":
            continue  # each folder of deploy is in deploy/README.md
        if path.startswith("examples/shops/"):
            continue  # each is in docs/SHOPS.md
        assert path == "README.md" or path in targets, path


def test_deploy_lists_every_folder() -> None:
    targets = set(re.findall(r"\]\(([^)#\s]+)\)", text_of("deploy/README.md")))
    for page in pages():
        if re.fullmatch(r"deploy/[^/]+/README.md", name(page)):
            assert f"{page.parent.name}/" in targets, page


def test_every_shop_is_listed_and_whole() -> None:
    targets = set(re.findall(r"\]\(([^)#\s]+)\)", section(text_of("docs/SHOPS.md"), "Eleven shops")))
    shops = sorted((ROOT / "examples" / "shops").iterdir())
    assert len(shops) == 11
    for shop in shops:
        assert f"../examples/shops/{shop.name}/README.md" in targets, shop.name
        assert {path.name for path in shop.iterdir()} == {"schema.sql", "queues.yaml", "README.md"}


@pytest.mark.parametrize("page", pages(), ids=name)
def test_goals(page: Path) -> None:
    """`make` with a goal: in code, since prose makes things too."""
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"`([^`\n]+)`", without_code(text))
    code += re.findall(r"^ *```sh\n(.*?)^ *```", text, flags=re.M | re.S)
    goals = set(re.findall(r"^([a-z][\w.-]*):(?!=)", text_of("Makefile"), flags=re.M))
    phony = re.search(r"^\.PHONY: (.*)", text_of("Makefile").replace("\\\n", ""), flags=re.M)
    goals |= set(phony[1].split()) if phony else set()
    for piece in code:
        for line in piece.splitlines():
            command = line.partition("#")[0]
            for call in re.findall(r"(?:^|[;&|]|sudo )\s*make((?: +[\w./=-]+)*)", command):
                for word in call.split():
                    if "=" not in word and not word.startswith("-") and not word.isdigit():
                        assert word in goals or "/" in word, f"make {word}"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_commands_can_be_pasted(page: Path) -> None:
    """A shell reads every block of commands."""
    blocks = re.findall(r"^( *)```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for indent, block in blocks:
        commands = "\n".join(line.removeprefix(indent) for line in block.splitlines())
        done = subprocess.run(["bash", "-n"], input=commands, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{commands}"


# Options of other programs that pages name with two dashes, in code with the sweeper's own.
FLAG = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")


def flags() -> set[str]:
    return set(re.findall(r'"--([a-z-]+)"', text_of("src/config/config_table.c")))


@pytest.mark.parametrize("page", pages(), ids=name)
def test_flags(page: Path) -> None:
    """Every flag that stands behind the program's name, or alone in code, is one that it takes."""
    text = page.read_text(encoding="utf-8")
    known = flags()
    assert "once" in known and "batch-size" in known
    for span in re.findall(r"`(--[a-z-]+)[^`\n]*`", without_code(text)):
        others = {"--no-healthcheck", "--explore"}  # of docker, tools/mutants
        others |= {"--only", "--quick", "--former", "--aims"}  # of bench/run
        assert span in others or span[2:] in known, span
    for line in text.splitlines():
        for words in re.findall(r"reservation-sweeper((?: +[^\s`|;&#>'\")]+)+)", line):
            if re.search(r"docker|systemctl|journalctl|gcloud|az |aws |kubectl|useradd", line):
                continue
            for flag in FLAG.findall(words):
                assert flag in known, f"--{flag}: {line}"


def test_readme_has_every_mode() -> None:
    modes = section(text_of("README.md"), "Modes and exit statuses")
    table = text_of("src/config/config_table.c")
    for kind in ("modes", "modifiers"):
        body = re.search(rf"\b{kind}\[\w+\] = \{{(.*?)^\}};", table, flags=re.M | re.S)
        assert body, kind
        found = re.findall(r'"(--[a-z-]+)"', body[1])
        assert found, kind
        for flag in found:
            assert f"`{flag}" in modes, flag


SETTING = re.compile(r"\b(SWEEPER_[A-Z]+(?:_[A-Z]+)*)\b(?!_)")


@pytest.mark.parametrize("page", [*pages(), ROOT / ".env.example", ROOT / "docker-compose.yml"], ids=name)
def test_settings(page: Path) -> None:
    known = set(re.findall(r'"(SWEEPER_[A-Z_]+)"', text_of("src/config/config_table.c")))
    assert "SWEEPER_LEASE" in known
    others = {"SWEEPER_IMAGE", "SWEEPER_MEMORY", "SWEEPER_PORT"}  # of docker-compose.yml
    for setting in SETTING.findall(page.read_text(encoding="utf-8")):
        assert setting.removesuffix("_FILE") in known | others, setting


def names_and_default(line: str) -> tuple[str, ...]:
    """Of a row of settings: variable, flag, default; what it means may be put in other words."""
    return tuple(line.split(" | ")[:3]) if line.startswith("| `") else ()


def test_readme_settings_are_those_of_the_document() -> None:
    readme = section(text_of("README.md"), "Settings")
    own = [row for row in map(names_and_default, readme.splitlines()) if row]
    everything = map(names_and_default, text_of("docs/CONFIGURATION.md").splitlines())
    assert len(own) == 10
    assert set(own) <= set(everything), set(own) - set(everything)


def metrics() -> set[str]:
    texts = [path.read_text(encoding="utf-8") for path in sources("src", ".c", ".h")]
    names = set(re.findall(r'PREFIX "(\w+)"', "\n".join(texts)))
    names |= {f"{n}_{part}" for n in names for part in ("bucket", "sum", "count")}
    return names


@pytest.mark.parametrize("page", pages(), ids=name)
def test_metrics(page: Path) -> None:
    known = metrics()
    assert "released_total" in known
    text = page.read_text(encoding="utf-8")
    for metric in re.findall(r"\breservation_sweeper_([a-z_]+[a-z])\b", text):
        assert metric in known, metric
    for metric in re.findall(r"`([a-z_]+_(?:total|seconds))(?:\{[^}`]*\})?`", text):
        name_only = metric.removeprefix("reservation_sweeper_")
        assert name_only in known or metric.startswith("process_"), metric


def test_nothing_outside_the_repository_is_referred_to() -> None:
    """A path, or the name of a page, that only some machine has."""
    for path in files():
        if path.suffix in (".svg", ".json") or path.is_relative_to(ROOT / "tests" / "docs"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for word in OUTSIDE:
            assert not re.search(word, text), f"{name(path)}: {word}"


def test_rows_are_read() -> None:
    assert rows("| a | b |\n| --- | --- |\n| 1 | `x \\| y` |\n\ntext\n") == [["1", "`x | y`"]]
