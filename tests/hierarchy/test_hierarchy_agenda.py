"""What a core wants is done in order, and nobody is told that something was done which was dropped."""

from __future__ import annotations

import pytest
import trio

from growy.hierarchy.agenda import Agenda
from growy.hierarchy.effects import Drop
from growy.model.errors import StoreUnavailable

A, B, C = [Drop(esp_id="A")], [Drop(esp_id="B")], [Drop(esp_id="C")]


async def test_it_is_told_in_order_and_waits_until_it_is_done() -> None:
    agenda = Agenda()
    agenda.add(A)
    agenda.add([])
    agenda.add(B)
    assert (await agenda.next(), await agenda.next()) == (A, A)
    agenda.done()
    assert await agenda.next() == B


async def test_settled_waits_for_what_was_added_before_it_and_no_longer(autojump_clock: object) -> None:
    agenda = Agenda()
    agenda.add(A)

    async def work() -> None:
        for more in (B, C):
            await agenda.next()
            agenda.add(more)  # there is always something new
            await trio.sleep(1)
            agenda.done()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await agenda.settled(5)
        assert await agenda.next() == B


async def test_what_takes_too_long_may_not_be_done(autojump_clock: object) -> None:
    agenda = Agenda()
    agenda.add(A)
    with pytest.raises(StoreUnavailable):
        await agenda.settled(5)


async def test_what_is_dropped_is_not_said_to_be_done(autojump_clock: object) -> None:
    agenda = Agenda()
    agenda.add(A)

    async def refuse() -> None:
        await trio.sleep(1)
        agenda.shut()
        agenda.reopen()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refuse)
        with pytest.raises(StoreUnavailable):
            await agenda.settled(5)


async def test_while_it_is_shut_nothing_is_taken_on(autojump_clock: object) -> None:
    agenda = Agenda()
    agenda.shut()
    agenda.add(A)
    with pytest.raises(StoreUnavailable):
        await agenda.settled(5)
    agenda.reopen()
    agenda.add(B)
    assert await agenda.next() == B
    assert agenda.shuts == 1
