"""What a crowd that logs in costs everybody else: the loop's punctuality, a forced write as an emergency stop needs it,
and a request's way through the gate.

A login is Argon2id with 19 MiB, a tenth of a second of one core, and a forced write of its own. Prints each figure
alone and under eight who log in again and again, rightly (who guesses is slowed down), with their ratio. The aim: the
loop stays within 10 ms, and a forced write waits for one other at most.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from growy.config import StoreConfig
from growy.daemon import SWITCH_S
from growy.model.errors import GrowyError
from growy.model.people import LOCAL, Peer, Role
from growy.store import Store, open_store
from growy.web.accounts.accounts import Accounts, open_accounts
from growy.web.accounts.logins import Tokens
from growy.web.api import ENDPOINTS
from growy.web.gate import Gate

SECONDS = 8.0
PASSWORD = "seven green peppers"


async def main() -> None:
    sys.setswitchinterval(SWITCH_S)  # as the daemon does
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(StoreConfig(min_free_mb=0), Path(folder)) as store:
            accounts = await open_accounts(
                store, Path(folder), note=lambda entry: None, wall_ms=lambda: time.time_ns() // 1_000_000
            )
            await accounts.administration.add_user("ann", None, "", PASSWORD, Role.ADMIN, caller=LOCAL)
            tokens, _ = await accounts.logins.login("ann", PASSWORD, remember=False, peer=Peer("", True))
            gate_cost(accounts, tokens)
            alone = await measured(store)
            logins: list[float] = []
            async with trio.open_nursery() as nursery:
                for number in range(8):
                    nursery.start_soon(crowd, accounts, Peer(f"10.0.0.{number}"), logins)
                crowded = await measured(store)
                nursery.cancel_scope.cancel()
    print(f"logins={len(logins) / SECONDS:.1f}/s p50_ms={statistics.median(logins):.0f}")
    for name in alone:
        quiet, busy = p99(alone[name]), p99(crowded[name])
        print(f"{name}_p99_ms={quiet:.2f} under_logins={busy:.2f} ratio={busy / quiet:.2f}")


async def crowd(accounts: Accounts, peer: Peer, took: list[float]) -> None:
    while True:
        began = time.perf_counter()
        try:
            await accounts.logins.login("ann", PASSWORD, remember=False, peer=peer)
        except GrowyError:
            await trio.sleep(0.01)
            continue
        took.append(1000 * (time.perf_counter() - began))


async def measured(store: Store) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {"loop": [], "forced_write": []}

    async def punctual() -> None:
        while True:
            due = trio.current_time() + 0.002
            await trio.sleep_until(due)
            took["loop"].append(1000 * (trio.current_time() - due))

    async def write() -> None:
        for number in range(sys.maxsize):
            await timed(lambda number=number: store.set_keyed("bench", str(number)), took["forced_write"])
            await trio.sleep(0.02)

    with trio.move_on_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(punctual)
            nursery.start_soon(write)
    return took


async def timed(call: Callable[[], Awaitable[None]], took: list[float]) -> None:
    began = time.perf_counter()
    await call()
    took.append(1000 * (time.perf_counter() - began))


def gate_cost(accounts: Accounts, tokens: Tokens) -> None:
    gate, peer = Gate(accounts), Peer("10.0.0.9")
    endpoint = next(one for one in ENDPOINTS if one.path == "/api/v1/sensors" and one.method == "GET")
    headers = {b"authorization": f"Bearer {tokens.access}".encode()}

    def us(times: int, forget: bool) -> float:
        began = time.perf_counter()
        for _ in range(times):
            if forget:
                accounts._core.sessions._checked.clear()
            gate.admit(endpoint, headers, "", peer)
        return 1e6 * (time.perf_counter() - began) / times

    first, known = us(2000, forget=True), us(50_000, forget=False)
    print(f"gate_us first_look={first:.1f} known_token={known:.2f} ratio={known / first:.3f}")


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


if __name__ == "__main__":
    trio.run(main)
