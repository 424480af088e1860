"""What rules say to people and programs: a WebSocket event and an entry of the audit trail, or a POST to a webhook.

A webhook goes only where `control.webhooks` allows, follows no redirect, and nobody waits for it: rules run on while a
server sleeps. What finds no room or no ear is counted and noted, never tried for ever.
"""

from __future__ import annotations

import http.client
import math
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

import attrs
import msgspec
import trio

from growy.config.webhooks import allowed
from growy.control.rules.effects import Post
from growy.model.audit import AuditEntry
from growy.model.rules import Channel
from growy.ops.log import get_log

log = get_log(__name__)

WAITING = 100
"""Posts that wait; more than that means that the other side has not answered for minutes."""
TIMEOUT_S = 5.0
ATTEMPTS = 3
PAUSE_S = (2.0, 10.0)
ANSWER_BYTES = 4096


@attrs.frozen(kw_only=True)
class NoticeStatistics:
    notices: int
    """WebSocket events and entries of the audit trail."""
    posted: int
    """Webhooks that answered with 2xx."""
    failed: int
    """Given up after three attempts, or not allowed any more."""
    dropped: int
    """No room: a hundred were waiting."""
    waiting: int
    last_error: str


class Notices:
    """Takes `Post` effects; `run` sends the webhooks.

    Args:
        tell: a WebSocket event.
        note: an entry of the audit trail.
        prefixes: where webhooks may go.
    """

    def __init__(
        self,
        *,
        tell: Callable[[str, Mapping[str, object], str | None], None],
        note: Callable[[AuditEntry], None],
        prefixes: tuple[str, ...],
        wall_ms: Callable[[], int],
    ) -> None:
        self._tell = tell
        self._note = note
        self._prefixes = prefixes
        self._wall_ms = wall_ms
        self._send, self._receive = trio.open_memory_channel[Post](WAITING)
        self._notices = self._posted = self._failed = self._dropped = 0
        self._last_error = ""

    def take(self, post: Post) -> None:
        """Never waits."""
        self._say(post)
        if post.channel is not Channel.WEBHOOK:
            return
        try:
            self._send.send_nowait(post)
        except trio.WouldBlock:
            self._dropped += 1
            self._complain(post, "too many webhooks wait")

    def _say(self, post: Post) -> None:
        self._notices += 1
        now_ms = self._wall_ms()
        data = {
            "title": post.rule_name,
            "message": post.text,
            "severity": post.severity,
            "rule_id": post.rule_id,
            "rule_name": post.rule_name,
            "timestamp": now_ms // 1000,
            **{name: value for name, value in post.trigger.items() if name not in ("timestamp",)},
        }
        self._tell("notification", data, None)
        self._note(
            AuditEntry(
                ts_ms=now_ms,
                event_type="notification",
                severity=post.severity,
                source_id=post.rule_id,
                message=f"{post.rule_name}: {post.text}",
                details=dict(post.trigger),
                error_code=post.rule_id,
            )
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sends webhooks, one after the other, until cancelled."""
        task_status.started()
        async for post in self._receive:
            await self._deliver(post)

    async def _deliver(self, post: Post) -> None:
        if not allowed(post.target, self._prefixes):
            self._fail(post, "control.webhooks does not allow it any more")
            return
        body = msgspec.json.encode(
            {
                "message": post.text,
                "rule_id": post.rule_id,
                "rule_name": post.rule_name,
                "severity": post.severity,
                "trigger": dict(post.trigger),
            }
        )
        error = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await trio.sleep(PAUSE_S[attempt - 1])
            error = await trio.to_thread.run_sync(
                partial(post_json, post.target, body), abandon_on_cancel=True
            )
            if not error:
                self._posted += 1
                self._last_error = ""
                return
        self._fail(post, error)

    def _fail(self, post: Post, error: str) -> None:
        self._failed += 1
        self._complain(post, error)

    def _complain(self, post: Post, error: str) -> None:
        self._last_error = f"{post.target}: {error}"
        log.once_per(f"webhook {post.target}").warning(
            "webhook not delivered", rule=post.rule_name, target=post.target, error=error
        )
        self._note(
            AuditEntry(
                ts_ms=self._wall_ms(),
                event_type="notification",
                severity="warning",
                source_id=post.rule_id,
                status="failed",
                message=f"{post.rule_name}: the webhook {post.target} was not reached: {error}",
                error_code="webhook_failed",
            )
        )

    def statistics(self) -> NoticeStatistics:
        return NoticeStatistics(
            notices=self._notices,
            posted=self._posted,
            failed=self._failed,
            dropped=self._dropped,
            waiting=self._receive.statistics().current_buffer_used,
            last_error=self._last_error,
        )


def post_json(url: str, body: bytes, timeout_s: float = TIMEOUT_S) -> str:
    """POSTs JSON; "" when the answer was 2xx, else what went wrong. Blocking. Follows no redirect: it could lead to a
    place that nobody allowed."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, {"Content-Type": "application/json", "User-Agent": "growyd"})
        answer = connection.getresponse()
        answer.read(ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if math.floor(answer.status / 100) == 2 else f"HTTP {answer.status}"
