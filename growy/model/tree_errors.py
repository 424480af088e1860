"""Errors of several Pis: nodes, command chains, and what one asks of another."""

from __future__ import annotations

from growy.model.errors import GrowyError, NotFound


class NodeNotFound(NotFound):
    code = "KAISER_NOT_FOUND"
    numeric_code = 5790


class ChainNotFound(NotFound):
    code = "COMMAND_CHAIN_NOT_FOUND"
    numeric_code = 5791


class TransferRefused(GrowyError):
    """A device's owner cannot be changed as asked: nothing was changed. `details["reason"]` is the check's own word."""

    code = "TRANSFER_REFUSED"
    numeric_code = 5792
    http_status = 409


class ChainEnded(GrowyError):
    """A command chain that can no longer be cancelled."""

    code = "COMMAND_CHAIN_ENDED"
    numeric_code = 5793
    http_status = 409


class NotGod(GrowyError):
    """A Kaiser was asked for what only its God can do, or knows. The cure names the God."""

    code = "NOT_GOD"
    numeric_code = 5794
    http_status = 409


class NodeSilent(GrowyError):
    """A Kaiser did not answer in time. It may have done what was asked."""

    code = "KAISER_SILENT"
    numeric_code = 5795
    http_status = 504


class OrderRefused(GrowyError):
    """A Kaiser was asked for something, and says that it will not do it: nothing was changed."""

    code = "KAISER_COMMAND_REFUSED"
    numeric_code = 5796
    http_status = 409
