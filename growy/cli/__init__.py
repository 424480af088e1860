"""The command line, `growyd`: a thin client of the daemon's HTTP API. Never business logic.

A command's module is imported when the command is used, and heavy packages only inside it: `growyd
--help` and tab
completion must answer at once on a Raspberry Pi Zero. Texts for the help page therefore stand here; a
test compares
them with the commands' own.
"""

from __future__ import annotations

import errno
import importlib
import sys

import click

from growy import __version__
from growy.cli.exits import ExitCode, code_of, epilog
from growy.model.errors import GrowyError

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("growy.cli.run:run", "Run the daemon in the foreground."),
    "demo": (
        "growy.cli.demo:demo",
        "Broker, daemon and simulated ESP32s in one process, live in the terminal.",
    ),
    "status": ("growy.cli.status:status", "How the daemon is: health, causes, figures of every part."),
    "doctor": ("growy.cli.doctor:doctor", "Look at everything: what is wrong, and what to do about it."),
    "devices": (
        "growy.cli.devices:devices",
        "The ESP32s: list and show them, approve them, see how far their setup has come.",
    ),
    "actuators": (
        "growy.cli.actuators:actuators",
        "What every actuator does, why, and how long it ran today.",
    ),
    "set": (
        "growy.cli.actuators:set_",
        "Switch an actuator: VALUE is on, off, auto, toggle, 35% or 0.35.",
    ),
    "stop": ("growy.cli.stop:stop", "Emergency stop: everything off, at once, until somebody clears it."),
    "clear-stop": (
        "growy.cli.stop:clear_stop",
        "End an emergency stop: rules and people may switch on again.",
    ),
    "rules": (
        "growy.cli.rules:rules",
        "Rules: list and show them, add, test and replay them, switch them off and on.",
    ),
    "interlocks": (
        "growy.cli.interlocks:interlocks",
        "Interlocks: what must never run together, or only together.",
    ),
    "hierarchy": (
        "growy.cli.hierarchy:hierarchy",
        "God, its Kaisers and their devices, as a tree: who owns what, and until when.",
    ),
    "kaisers": (
        "growy.cli.hierarchy:kaisers",
        "The Kaisers of this God: list them, enter, register, ask and remove them.",
    ),
    "transfer": (
        "growy.cli.transfer:transfer",
        "Have a device change its owner. Its outputs stay as they are.",
    ),
    "chains": ("growy.cli.transfer:chains", "Command chains: what God wants of others, and how far that is."),
    "readings": ("growy.cli.readings:readings", "Stored readings of one ESP32, as a table or as CSV."),
    "sensors": ("growy.cli.sensors:sensors", "Sensor libraries: list them, load them anew."),
    "convert": ("growy.cli.convert:convert", "Convert raw values as the daemon would."),
    "deadletters": ("growy.cli.deadletters:deadletters", "Messages that could not be used, with the reason."),
    "events": ("growy.cli.events:events", "What happened: decisions, faults, devices that came and went."),
    "user": ("growy.cli.users:user", "Users: who may log in, and what they may do."),
    "key": ("growy.cli.keys:key", "API keys: how devices and scripts show who they are."),
    "login": (
        "growy.cli.login:login",
        "Log in at the growyd at URL. Commands with --url URL use it from then on.",
    ),
    "logout": ("growy.cli.login:logout", "Log out at the growyd at URL."),
    "certs": (
        "growy.cli.certs:certs",
        "Make a local certificate authority and a certificate for HTTPS with this machine's names and addresses.",
    ),
    "broker": ("growy.cli.broker:broker", "The broker's logins: set one up, take one away."),
    "migrate": (
        "growy.cli.migrate:migrate",
        "Take over the readings of the old server's growy_database.db.",
    ),
    "simulate": ("growy.cli.simulate:simulate", "Simulated ESP32s against any MQTT broker."),
    "config": ("growy.cli.settings:config", "Check and show the settings."),
}
"""Name -> where its command is, and its line on the help page."""


class LazyGroup(click.Group):
    """Imports a command when it is used; lists them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        formatter.write(epilog())

    def invoke(self, ctx: click.Context) -> None:
        """Errors of growyd become one clear message and their exit code; anything else is a bug and keeps its
        traceback.
        """
        from growy.cli.output import make_printable, output_failed

        make_printable()
        try:
            super().invoke(ctx)
            sys.stdout.flush()  # here, where it can be told: at the exit it would be a traceback
        except GrowyError as error:
            click.echo(f"growyd: {error}", err=True)
            ctx.exit(code_of(error))
        except OSError as error:
            # Of the system's errors only those of a full disk are told: growyd's parts make their own of theirs,
            # and a reader that has gone (EPIPE) is ended in silence by click.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            click.echo(f"growyd: {output_failed(error)}", err=True)
            ctx.exit(ExitCode.FAILED)
        except KeyboardInterrupt:
            ctx.exit(ExitCode.INTERRUPTED)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, message="growyd %(version)s")
def main() -> None:
    """growyd runs grow rooms and greenhouses from a Raspberry Pi: ESP32 readings in, converted, on disk, live."""
