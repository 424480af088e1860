"""Answers about God, Kaisers, owners of devices and command chains."""

from __future__ import annotations

from growy.model.control import Tenure
from growy.model.errors import Duplicate, EspNotFound
from growy.model.hierarchy import ChainStatus, ChainType, NodeState, TransferStep
from growy.model.tree_errors import (
    ChainEnded,
    ChainNotFound,
    NodeNotFound,
    NodeSilent,
    NotGod,
    OrderRefused,
    TransferRefused,
)
from growy.model.tree_messages import NodeRefusal
from growy.web.shape import (
    FLAG,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    TEXT,
    TIME,
    counted,
    either,
    many,
    maybe,
    record,
    said,
    success,
    words,
)
from growy.web.shapes.devices import DEVICE, ZONE

# --- chains and devices -------------------------------------------------------------------------------------------

CHAIN = record(
    "CommandChain",
    command_id=TEXT,
    god_id=TEXT,
    kaiser_id=TEXT,
    esp_id=maybe(TEXT),
    command_type=words(ChainType),
    command_data=OBJECT,
    status=words(ChainStatus),
    step=maybe(words(TransferStep)),
    response_data=OBJECT,
    message=maybe(TEXT),
    issued_by=maybe(TEXT),
    timeout_s=maybe(NUMBER),
    created_at=TIME,
    completed_at=maybe(TIME),
)
CHAINS = counted(command_chains=many(CHAIN))
ONE_CHAIN = said(CHAIN)
MOVING = {
    "new_owner": TEXT,
    "owner": TEXT,
    "command_id": TEXT,
    "status": words(ChainStatus),
    "step": maybe(words(TransferStep)),
}
"""How far a transfer is."""
TRANSFER = success(message=TEXT, esp_id=TEXT, **MOVING)
ASSIGNED = success(message=TEXT, device_id=TEXT, kaiser_id=TEXT, previous_kaiser_id=TEXT).maybe_with(
    esp_id=TEXT, **MOVING
)
"""To a node; without a transfer when it is there already."""
GIVEN = success(message=TEXT, kaiser_id=TEXT, esp_id=TEXT, **MOVING)
OWNED = record(
    "OwnedDevice",
    esp_id=TEXT,
    name=maybe(TEXT),
    owner=TEXT,
    home=TEXT,
    online=maybe(FLAG),
    epoch=maybe(INTEGER),
    lease_left_s=maybe(NUMBER),
    owned_since=maybe(TIME),
    previous_owner=maybe(TEXT),
    reason=maybe(TEXT),
    transfer=maybe(CHAIN),
)

# --- nodes --------------------------------------------------------------------------------------------------------

CERTIFICATE = record("ClientCertificate", fingerprint=TEXT, expires=TIME)
"""That a Kaiser shows God's broker."""
KAISER = record(
    "Kaiser",
    id=TEXT,
    kaiser_id=TEXT,
    name=maybe(TEXT),
    status=words(NodeState),
    esp_count=INTEGER,
    max_esps=INTEGER,
    last_heartbeat=maybe(TIME),
    last_seen=maybe(TIME),
    zone_ids=many(TEXT),
    capabilities=maybe(OBJECT),
    stand_in=TEXT,
    failover=FLAG,
    gives_to=many(TEXT),
    instance=maybe(TEXT),
    registered=FLAG,
    backlog=maybe(INTEGER),
    esps_online=maybe(INTEGER),
    uptime_s=maybe(NUMBER),
    version=maybe(TEXT),
    cpu_percent=maybe(NUMBER),
    memory_percent=maybe(NUMBER),
    certificate=maybe(CERTIFICATE),
    refused=maybe(record(reason=words(NodeRefusal), instance=TEXT, at=TIME)),
    created_at=maybe(TIME),
    esps=many(OWNED),
)
LOCAL = record(
    "KaiserItself",
    id=TEXT,
    kaiser_id=TEXT,
    status=words("online", "offline", "refused"),
    esp_count=INTEGER,
    last_heartbeat=NULL,
    last_seen=NULL,
    zone_ids=NULL,
    capabilities=NULL,
    instance=TEXT,
    certificate=maybe(CERTIFICATE),
    god=record(
        id=TEXT,
        instance=maybe(TEXT),
        heard=FLAG,
        heard_seconds_ago=maybe(NUMBER),
        refusal=maybe(words(NodeRefusal)),
    ),
    esps=many(
        record(
            "HeldDevice",
            esp_id=TEXT,
            owner=maybe(TEXT),
            home=TEXT,
            tenure=words(Tenure),
            epoch=maybe(INTEGER),
            lease_left_s=maybe(NUMBER),
        )
    ),
)
"""A Kaiser as it knows itself."""
NODE = either(KAISER, LOCAL)
GOD = record(
    "God",
    id=TEXT,
    type=words("god"),
    total_kaisers=INTEGER,
    total_esps=INTEGER,
    esp_count=INTEGER,
    instance=TEXT,
    esps=many(OWNED),
)
_GOD_FROM_AFAR = record(id=TEXT, type=words("god"), total_kaisers=NULL, total_esps=NULL)
HIERARCHY = success(complete=FLAG, god=either(GOD, _GOD_FROM_AFAR), kaisers=many(NODE))
KAISERS = success(complete=FLAG, data=many(NODE), total_count=INTEGER)
ONE_KAISER = said(KAISER)
_METADATA = record(name=maybe(TEXT), version=maybe(TEXT), instance=maybe(TEXT))
DETAIL = either(
    said(KAISER.plus(kaiser_metadata=_METADATA)),
    said(LOCAL.plus(kaiser_metadata=_METADATA)),
    said(GOD.plus(kaiser_id=TEXT, status=words("online"), zone_ids=many(TEXT), kaiser_metadata=_METADATA)),
)
REGISTERED = said(KAISER.plus(message=TEXT))
ADDED = success(
    message=TEXT,
    kaiser_id=TEXT,
    esp_count=INTEGER,
    transfers=many(record(esp_id=TEXT, **MOVING)),
    refused=many(record(esp_id=TEXT, code=TEXT, message=TEXT).maybe_with(reason=TEXT)),
    kaiser=KAISER,
)
REMOVED = success(message=TEXT, kaiser_id=TEXT, removed=FLAG, reassigned=many(TEXT), left=many(TEXT))
_NOT_HERE = record(device_id=TEXT, esp_id=TEXT, status=NULL, online=NULL)
"""A device of which only the owner is known."""
BY_ZONE = success(
    kaiser_id=TEXT,
    status=TEXT,
    capabilities=maybe(OBJECT),
    last_seen=maybe(TIME),
    zones=many(ZONE.plus(devices=many(either(DEVICE, _NOT_HERE)))),
    unassigned_devices=many(either(DEVICE, _NOT_HERE)),
    total_devices=INTEGER,
    total_zones=INTEGER,
)

COMMANDED = success(kaiser_id=TEXT, command=words("sync_data", "transfer_esp"), message=TEXT, data=OBJECT)
"""`data` is what the Kaiser has answered; of a transfer that God begins, how far that is."""

# --- stops and figures --------------------------------------------------------------------------------------------

STOPPED = success(
    message=TEXT,
    incident=TEXT,
    proven=FLAG,
    nodes=many(
        record(
            "NodeProof",
            node=TEXT,
            status=maybe(words(NodeState)),
            proven=FLAG,
            heard=FLAG,
            stop_id=maybe(TEXT),
            devices=many(record(esp_id=TEXT, proven=FLAG, online=FLAG, told=INTEGER)),
        )
    ),
)
PERFORMANCE = success(
    avg_processing_time=maybe(NUMBER),
    avg_commit_time=maybe(NUMBER),
    avg_transfer_time=maybe(NUMBER),
    cache_hit_ratio=NULL,
    active_command_chains=INTEGER,
    registered_kaisers=INTEGER,
    kaisers_online=INTEGER,
    unit=words("ms"),
    period_s=INTEGER,
)

# --- errors -------------------------------------------------------------------------------------------------------

ASKED = (NotGod, NodeNotFound)
MOVED = (NotGod, EspNotFound, NodeNotFound, TransferRefused)
CHAINED = (NotGod, ChainNotFound)
ORDERED = (NodeNotFound, EspNotFound, ChainEnded, NodeSilent, OrderRefused, TransferRefused)
DECIDED = (NotGod, ChainNotFound, ChainEnded, TransferRefused)
WRITTEN = (NotGod, NodeNotFound, Duplicate)
