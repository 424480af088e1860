"""Answers `pi_enhanced/request`: a device sends a raw value, gets the converted one back, nothing is stored.

Requests wait in a short bounded queue; one that finds it full is refused by the intake, counted and kept as a dead
letter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import attrs
import numpy as np
import trio

from growy.model.errors import CalibrationError, ConversionError
from growy.model.messages import PiEnhancedRequest
from growy.model.reading import Quality
from growy.sensors.pool import Pool
from growy.wire import topics
from growy.wire.encode import pi_enhanced_response
from growy.wire.topics import Topic

WAITING = 100

Send: TypeAlias = Callable[[str, bytes], bool]


@attrs.frozen(kw_only=True)
class EnhancedStatistics:
    answered: int
    unanswered: int
    """Answers that the broker link had no room for."""
    failed: int
    waiting: int


class EnhancedResponder:
    """Converts on demand.

    Args:
        pool: the conversion workers.
        send: takes (topic, payload).
        wall_ms: Unix ms.
    """

    def __init__(self, pool: Pool, send: Send, wall_ms: Callable[[], int]) -> None:
        self._pool = pool
        self._send = send
        self._wall_ms = wall_ms
        self._in, self._out = trio.open_memory_channel[tuple[Topic, PiEnhancedRequest]](WAITING)
        self._answered = 0
        self._unanswered = 0
        self._failed = 0

    def take(self, topic: Topic, request: PiEnhancedRequest) -> bool:
        """Takes a request; False when too many wait."""
        try:
            self._in.send_nowait((topic, request))
        except trio.WouldBlock:
            return False
        return True

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        async for topic, request in self._out:
            payload = await self._answer(request)
            if self._send(topics.pi_enhanced_response(topic.kaiser_id, topic.esp_id), payload):
                self._answered += 1
            else:
                self._unanswered += 1

    async def _answer(self, request: PiEnhancedRequest) -> bytes:
        value: float | None = None
        quality = Quality.ERROR
        unit = quantity = ""
        error: str | None = None
        try:
            plan = self._pool.registry.plan(request.sensor_type, request.params)
        except (ConversionError, CalibrationError) as refused:
            error = str(refused)
        else:
            unit, quantity = plan.unit, plan.quantity
            result = await self._pool.convert([plan], np.zeros(1, np.int64), np.array([request.raw]))
            number = float(result.value[0])
            quality = Quality(int(result.quality[0]))
            value = None if math.isnan(number) else number
            if value is None:
                error = f"{request.sensor_type} raw {request.raw:g} has no value (quality {quality.word})"
        if error is not None:
            self._failed += 1
        return pi_enhanced_response(
            sensor_type=request.sensor_type,
            ts_ms=self._wall_ms(),
            value=value,
            quantity=quantity,
            unit=unit,
            quality=quality,
            error=error,
            gpio=request.gpio,
            request_id=request.request_id,
        )

    def statistics(self) -> EnhancedStatistics:
        return EnhancedStatistics(
            answered=self._answered,
            unanswered=self._unanswered,
            failed=self._failed,
            waiting=self._in.statistics().current_buffer_used,
        )
