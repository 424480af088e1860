"""The help page answers at once, tells the truth, and the documentation names every command and option."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from growy.cli import COMMANDS, main
from growy.cli.exits import MEANING, ExitCode

HEAVY = {
    "numpy",
    "trio",
    "rich",
    "paho",
    "apsw",
    "cattrs",
    "msgspec",
    "cbor2",
    "h11",
    "tomllib",
    "http.client",
}
PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")


def loaded_by(code):
    """Names of all modules that are loaded after `code` in a fresh interpreter."""
    program = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr)), done.stdout


def commands(group=main, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["status", "--help"], ["demo", "--help"]),
        *(["devices", "--help"], ["devices", "config", "--help"]),
    ],
)
def test_help_loads_nothing_heavy(arguments):
    modules, output = loaded_by(
        f"from growy.cli import main\nmain({arguments!r}, prog_name='growyd', standalone_mode=False)"
    )

    assert output.startswith(("Usage: growyd", "growyd "))
    assert not HEAVY & modules
    if arguments == ["--help"]:
        assert not any(name.startswith("growy.cli.") and name != "growy.cli.exits" for name in modules)


def test_the_program_also_starts_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "growy", "--help"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("Usage: growyd ")


def test_the_help_page_names_every_command_with_its_own_words():
    page = " ".join(CliRunner().invoke(main, ["--help"]).output.split())

    for name, (_, text) in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").split("\n\n")[0].replace("\n", " ").strip() == text
        assert f"{name} {text}" in page


def test_the_help_page_explains_the_exit_codes():
    page = CliRunner().invoke(main, ["--help"]).output

    for code, meaning in MEANING.items():
        assert f"{code.value:<4} {meaning}" in page
    assert set(MEANING) == set(ExitCode)


def test_every_command_has_help_for_itself_and_for_each_option():
    for path, command in commands():
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


def test_the_documentation_names_every_command_option_and_exit_code():
    for path, command in commands():
        section = PAGE.partition(f"growyd {' '.join(path)}")
        assert section[1], f"docs/cli.md does not name growyd {' '.join(path)}"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert f"`{parameter.opts[0]}" in PAGE, (
                    f"docs/cli.md does not name {parameter.opts[0]} of {path}"
                )
    for code, meaning in MEANING.items():
        assert f"| {code.value} | {meaning} |" in PAGE


def test_an_unknown_command_is_wrong_use():
    assert CliRunner().invoke(main, ["stats"]).exit_code == ExitCode.CONFIG
