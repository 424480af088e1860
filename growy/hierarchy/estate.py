"""What the shell of a node needs of the rest of the house. The daemon wires it; nothing here knows how it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from growy.model.audit import AuditEntry
from growy.model.handover import HandedOver
from growy.model.tree_messages import Health


class Estate(Protocol):
    """Devices as this node has them. What does not say `async` is done when it returns, and does not wait."""

    def changed(self, esp_id: str) -> None:
        """Its tenure has changed: whoever looks at it looks again."""

    def freeze(self, esp_id: str) -> None:
        """Whatever runs gets a fresh lease; to be called before its tenure says that it is frozen."""

    async def survey(self, esp_id: str) -> HandedOver | None:
        """What it does, once nothing is under way to it any more."""

    def take(self, esp_id: str, state: HandedOver | None) -> None:
        """It is ours; to be called when its tenure says so."""

    def dropped(self, esp_id: str) -> None:
        """Nobody here holds anything on it any more; to be called when its tenure says so."""

    async def papers(self, esp_id: str) -> tuple[str, bytes] | None:
        """Version and content of what a node needs before the device can be its own. None: it is not known here."""

    async def prepare(self, esp_id: str, content: bytes) -> None:
        """Such content of another node's is on the disk here when this returns. Raises GrowyError: it is not."""

    async def stop(self, esp_id: str | None, reason: str, by: str) -> str:
        """Emergency stop of everything here, or of one device; returns its id."""

    def proof(self, stop_id: str) -> Mapping[str, object]:
        """How far a stop is, as JSON can hold it; `proven` says whether every device that is there has proven it."""

    def publish(self, esp_id: str, tail: str, payload: bytes) -> bool:
        """To a device on this node's own broker."""

    def heard_from_afar(self, esp_id: str, tail: str, payload: bytes, received_ms: int) -> None:
        """A device of ours on another node's broker has said something."""

    def heard_again(self, esp_id: str, tail: str, payload: bytes, received_ms: int) -> None:
        """What a device on this node's own broker has said while it was another's."""

    def note(self, entry: AuditEntry) -> None: ...

    def tell(self, event: str, data: Mapping[str, object]) -> None:
        """Those who watch."""

    def health(self) -> Health:
        """For God."""


class Mail(Protocol):
    """The way to the other nodes: God's broker."""

    def __call__(self, topic: str, payload: bytes, *, urgent: bool = False) -> bool: ...
