"""Judges growyd itself, its broker, and who can reach it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from growy.doctor.facts import BrokerFacts, CertificateFacts, PartsFacts, WebFacts
from growy.doctor.verdict import Finding, amber, green, red, some, span

RENEW_S = 30 * 86_400.0
"""A certificate that ends sooner ought to be renewed."""
_STORE_CURES = {
    "full": "Make room: sudo apt clean, sudo journalctl --vacuum-size=50M, old backups; growyd goes on by itself",
    "readonly": "Worn cards turn read-only: dmesg; ls -l /var/lib/growy",
}


def parts(facts: PartsFacts) -> Iterator[Finding]:
    """The daemon's parts."""
    if facts.standing_still:
        yield red(
            "growyd",
            "part_stands_still",
            f"Stands still: {some(facts.standing_still)}",
            "It is started again by systemd; the log says where it waited: journalctl -u growyd",
        )
    elif facts.faults:
        yield amber(
            "growyd",
            "faults",
            f"Runs for {span(facts.uptime_s)}, with {facts.faults} unforeseen faults of its own since",
            "journalctl -u growyd -p err; please report them",
        )
    else:
        yield green("growyd", "faults", f"Runs for {span(facts.uptime_s)}, all parts keep their deadlines")
    if facts.store_state != "ok":
        yield red(
            "store",
            f"store_{facts.store_state}",
            f"Nothing is stored: {facts.store_error or facts.store_state}. Readings wait at the broker",
            _STORE_CURES.get(facts.store_state, "journalctl -u growyd; dmesg"),
        )
    elif facts.damaged:
        yield amber(
            "store",
            "readings_damaged",
            f"{facts.damaged} blocks of readings on disk cannot be read; the rest can",
            "The card loses bits: make a backup now, and replace it",
        )
    else:
        yield green("store", "store_full", "Readings are stored")
    if facts.workers_alive < facts.workers:
        yield (red if facts.workers_alive == 0 else amber)(
            "workers",
            "worker_down",
            f"{facts.workers_alive} of {facts.workers} conversion workers run",
            "growyd starts them again; if that does not last: journalctl -u growyd, and free (memory)",
        )
    else:
        yield green(
            "workers", "worker_down", f"{facts.workers_alive} of {facts.workers} conversion workers run"
        )
    letters = sum(facts.dead_letters.values())
    if letters:
        ordered = sorted(facts.dead_letters.items(), key=lambda one: -one[1])
        more = "more than " if facts.dead_letters_full else ""
        yield amber(
            "messages",
            "dead_letters",
            f"{more}{letters} messages of the last day could not be used: "
            f"{some([f'{count} {reason}' for reason, count in ordered])}",
            "growyd deadletters shows them with their reasons",
        )
    else:
        yield green("messages", "dead_letters", "Every message of the last day could be used")


def broker(facts: BrokerFacts) -> Iterator[Finding]:
    """The connection to the broker and how it is set."""
    if not facts.connected:
        yield red(
            "broker",
            "broker_disconnected",
            f"No connection to {facts.place}{': ' + facts.said if facts.said else ''}",
            "systemctl status mosquitto; user, password and address in [broker] url",
        )
        return
    if facts.knocked:
        yield green(
            "broker", "broker_disconnected", f"{facts.place} answers; whether it lets growyd in is not known"
        )
        return
    yield green("broker", "broker_disconnected", f"Connected to {facts.place}")
    if facts.embedded:
        yield amber(
            "broker",
            "broker_embedded",
            "The embedded broker is for trials: it asks for no password, and keeps nothing over a restart",
            "Install Mosquitto: docs/operations.md, Mosquitto",
        )
    for sentence in facts.advice:
        yield amber("broker", "broker_settings", sentence, "docs/operations.md, Mosquitto")
    if facts.sessions_lost:
        yield amber(
            "broker",
            "broker_forgets",
            f"The broker has forgotten growyd's session {facts.sessions_lost} times, and with it what was queued",
            "persistence true in mosquitto.conf",
        )
    if not facts.local and not facts.tls:
        yield amber(
            "broker",
            "broker_plain",
            f"{facts.place} is another machine, and what is said to it can be read and changed on the way",
            "mqtts:// in [broker] url, with [broker] ca_file",
        )
    if facts.measured and not facts.advice:
        yield green("broker", "broker_settings", "The broker is set as growyd needs it")


def certificates(facts: tuple[CertificateFacts, ...]) -> Iterator[Finding]:
    """How long the client certificates last that brokers are shown."""
    cure = "growyd certs --client on the Pi of God; copy both files here (docs/operations.md, Several Pis)"
    for one in facts:
        if one.left_s is None:
            yield red(
                "certificate",
                "certificate_unreadable",
                f"The client certificate cannot be read: {one.fault}",
                f"{one.setting}; ls -l: growyd's user must be able to read it",
            )
        elif one.left_s <= 0:
            yield red(
                "certificate",
                "certificate_expired",
                f"The client certificate has expired {span(-one.left_s)} ago: no new connection is let in with it",
                cure,
            )
        elif one.left_s < RENEW_S:
            yield amber(
                "certificate",
                "certificate_expires",
                f"The client certificate ends in {span(one.left_s)}: then no new connection is let in",
                cure,
            )
        else:
            yield green(
                "certificate",
                "certificate_expires",
                f"The client certificate lasts for {span(one.left_s)}",
            )


def web(facts: WebFacts) -> Iterator[Finding]:
    """Who can reach the HTTP port."""
    where = f"{facts.host}:{facts.port}" if facts.port else facts.host
    if facts.loopback:
        yield green("web", "web_exposed", f"HTTP on {where}: this machine only")
    elif not facts.tls:
        yield amber(
            "web",
            "web_exposed",
            f"HTTP on {where} is open to the network without TLS: passwords and keys can be read on the way",
            'TLS in front of it, or [web] host = "127.0.0.1" and ssh -L',
        )
    else:
        yield green("web", "web_exposed", f"HTTPS on {where}")
    if facts.users is not None:
        yield _users(facts.users, facts.api_keys)


def _users(users: int, api_keys: int) -> Finding:
    if users:
        return green("users", "no_user", f"Users: {users}")
    if api_keys:
        return green("users", "no_user", "No user, only API keys; growyd user add NAME makes the first user")
    return amber(
        "users",
        "no_user",
        "There is no user yet: nobody can log in over HTTP",
        "sudo -u growy growyd user add NAME; or a browser, with the setup code that growyd status shows",
    )
