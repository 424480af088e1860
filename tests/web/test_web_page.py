"""The page's files: small, complete, without a script in the markup, cached by what is in them, and in the wheel."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from growy.web.page import POLICY, STATIC, load, page

ROOT = Path(__file__).parents[2]
LARGEST = 150_000
HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
OURS = [file for file in sorted(STATIC.iterdir()) if not file.name.startswith("uplot.")]
INDEX = (STATIC / "index.html").read_text(encoding="utf-8")


def test_all_of_it_fits_into_150_kb() -> None:
    assert sum(file.stat().st_size for file in STATIC.iterdir()) <= LARGEST


def test_every_file_in_the_folder_is_served_and_none_is_longer_than_300_lines() -> None:
    assert set(page().files) == {file.name for file in STATIC.iterdir()}
    assert [one.name for one in OURS if len(one.read_text(encoding="utf-8").splitlines()) > 300] == []


def test_what_others_have_written_stands_there_with_its_licence() -> None:
    assert "MIT License" in (STATIC / "uplot.LICENSE.txt").read_text(encoding="utf-8")
    assert (
        (STATIC / "uplot.min.js")
        .read_text(encoding="utf-8")
        .startswith("/*! https://github.com/leeoniya/uPlot")
    )


def test_every_file_that_the_page_and_its_modules_name_is_there() -> None:
    named = set(re.findall(r'"/static/\{\{build\}\}/([^"]+)"', INDEX))
    for file in STATIC.glob("*.js"):
        named |= set(re.findall(r'^import .* from "\./([^"]+)";$', file.read_text("utf-8"), re.MULTILINE))

    assert named - set(page().files) == set()
    assert {file.name for file in OURS} - named == {"index.html"}


def test_no_script_and_no_style_stands_in_the_markup() -> None:
    assert re.findall(r"<script(?![^>]*\bsrc=)", INDEX) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", INDEX) == []
    assert "unsafe" not in POLICY
    assert "default-src 'none'" in POLICY


@pytest.mark.parametrize(
    "way", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc"]
)
def test_no_data_can_become_markup(way: str) -> None:
    assert [file.name for file in OURS if way in file.read_text(encoding="utf-8")] == []


def test_nothing_is_asked_of_another_host() -> None:
    elsewhere = [
        (file.name, url)
        for file in OURS
        for url in re.findall(r"(?:https?|wss?)://[^\s\"'`)]+", file.read_text(encoding="utf-8"))
        if url != "http://www.w3.org/2000/svg"  # a name, not an address
    ]

    assert [one for one in elsewhere if "${" not in one[1]] == []


async def test_a_browser_gets_the_page_and_a_program_the_hint(client: Any) -> None:
    seen = await client.ask("GET", "/", Accept=HTML)
    told = await client.ask("GET", "/", Accept="application/json")

    assert seen.headers["content-type"] == "text/html; charset=utf-8"
    assert seen.headers["content-security-policy"] == POLICY
    assert seen.headers["cache-control"] == "no-cache"
    assert "{{build}}" not in seen.body.decode()
    assert told.json()["api"] == "/api/v1"
    assert "Accept" in told.headers["vary"].split(", ")
    assert "Accept" in seen.headers["vary"].split(", ")


async def test_files_are_kept_for_ever_under_the_address_that_says_what_is_in_them(client: Any) -> None:
    build = page().build
    kept = await client.ask("GET", f"/static/{build}/main.js")
    old = await client.ask("GET", "/static/0123456789abcdef/main.js")

    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert kept.headers["content-type"] == "text/javascript; charset=utf-8"
    assert old.headers["cache-control"] == "no-cache"
    assert kept.body == old.body == (STATIC / "main.js").read_bytes()


@pytest.mark.parametrize("path", ["/", "/static/0123456789abcdef/style.css"])
async def test_what_a_browser_has_already_is_not_sent_again(client: Any, path: str) -> None:
    first = await client.ask("GET", path, Accept=HTML)
    again = await client.ask("GET", path, Accept=HTML, If_None_Match=f'"other", W/{first.headers["etag"]}')
    changed = await client.ask("GET", path, Accept=HTML, If_None_Match='"other"')

    assert again.status == 304
    assert again.body == b""
    assert "content-length" not in again.headers
    assert again.headers["etag"] == first.headers["etag"]
    assert changed.status == 200


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2Fpage.py", "%2e%2e", "uplot.min.js%00"])
async def test_no_other_file_is_served(client: Any, name: str) -> None:
    assert (await client.ask("GET", f"/static/{page().build}/{name}")).status == 404


def test_any_change_is_another_build(tmp_path: Path) -> None:
    def build(**files: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, text in {"index": "{{build}}", **files}.items():
            (folder / f"{name}.html").write_text(text)
        return load(folder).build

    builds = [build(a="1"), build(a="2"), build(b="1"), build(a="1", b="1")]
    assert len(set(builds)) == 4
    assert build(a="1") == builds[0]


def test_the_wheel_has_every_file_of_the_page(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-q",
            "-w",
            tmp_path,
            ROOT,
        ],
        check=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        there = {name.rpartition("/")[2] for name in wheel.namelist() if name.startswith("growy/web/static/")}

    assert there == set(page().files)
