"""README and the pages under docs/ hang together, and name only what exists: links, settings, commands, rooms."""

from __future__ import annotations

import pkgutil
import re
from collections import Counter
from pathlib import Path

import click
import pytest

import growy
from growy.cli import main
from growy.config.names import SETTINGS, VARIABLES

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
INLINE_CODE = re.compile(r"`[^`\n]+`")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return FENCE.sub("", text(page))


def anchors(page: Path) -> set[str]:
    """What a heading can be linked by, as GitHub makes it: a heading said twice gets a number."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", INLINE_CODE.sub("", prose(page)))


def command_at(words: list[str]) -> str | None:
    """The first word that is no command of growyd; None when all lead to one."""
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            return None
        found = command.get_command(click.Context(command), word)
        if found is None:
            return word
        command = found
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}

    assert [page.name for page in PAGES if page != README and page not in linked] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = {
        f"{section}.{key}"
        for code in INLINE_CODE.findall(prose(page))
        for section, key in re.findall(r"\[([a-z]+)\] ([a-z_]+)", code)
    }
    variables = set(re.findall(r"GROWY_[A-Z]+__[A-Z_]*[A-Z]", text(page))) - {"GROWY_SECTION__KEY"}

    assert named - set(SETTINGS) == set()
    assert variables - set(VARIABLES) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    code = "\n".join([*FENCE.findall(text(page)), *INLINE_CODE.findall(prose(page))])
    unknown = {
        words
        for words in re.findall(r"(?:^|[`/ ])growyd((?: [a-z]+(?:-[a-z]+)*)+)", code, re.MULTILINE)
        if command_at(words.split()) is not None
    }

    # What systemctl and pip say about growyd is no command of it: "restart growyd" has none after it.
    assert unknown == set()


def test_the_readme_names_the_settings_that_others_rely_on_with_their_defaults() -> None:
    relied_on = {
        "broker.url",
        "web.host",
        "web.port",
        "web.socket",
        "store.path",
        "store.commit_interval",
        "node.kaiser_id",
        "fleet.auto_approve",
        "sensors.workers",
        "sensors.library_dir",
    }
    rows = {
        f"{section}.{key}": default
        for section, key, default in re.findall(
            r"^\| `\[(\w+)\] (\w+)` \| `([^`]*)` \|", text(README), re.MULTILINE
        )
    }

    assert relied_on - set(rows) == set()
    for path, default in rows.items():
        declared = SETTINGS[path].default
        # An empty default means "beside the other data"; the table says where that is.
        shown = str(declared).lower() if isinstance(declared, bool) else str(declared)
        assert default == shown or (shown == "" and default.startswith("{data_dir}")), path


def test_the_architecture_page_names_every_room() -> None:
    page = text(ROOT / "docs" / "architecture.md")
    rooms = [
        f"`growy/{module.name}/`" if module.ispkg else f"`growy/{module.name}.py`"
        for module in pkgutil.iter_modules(growy.__path__)
        if module.name != "__main__"
    ]

    assert len(rooms) > 10
    assert [room for room in rooms if f"| {room} |" not in page] == []


def test_every_file_that_the_architecture_page_names_exists() -> None:
    named = re.findall(
        r"`((?:growy|sensor_libs|docs|bench)/[\w/.]+)`", text(ROOT / "docs" / "architecture.md")
    )

    assert [name for name in named if not (ROOT / name).exists()] == []
