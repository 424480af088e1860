"""What the firmware writes about intents: outcomes and the stages on the way. Byte for byte, like `payload.py`;
these it writes with a JSON library, so strings are escaped.
"""

from __future__ import annotations

import msgspec

from growy.sim.flash import Intent, Outcome, OutcomeCounts
from growy.sim.payload import flag

RETRY_LIMIT = 5
_LEGACY = {"persisted": "success", "accepted": "processing", "applied": "processing"}


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def intent_outcome(
    outcome: Outcome, counts: OutcomeCounts, *, seq: int, ts: int, recovered: bool = False
) -> bytes:
    """`system/intent_outcome`. A recovered one was stored while it could not be sent."""
    intent = outcome.intent
    critical = recovered or outcome.outcome != "accepted"
    return (
        f'{{"seq":{seq},"flow":"{outcome.flow}","intent_id":{_quoted(intent.intent_id)},'
        f'"correlation_id":{_quoted(intent.correlation_id)},"generation":{intent.generation},'
        f'"created_at_ms":{intent.created_at_ms},"ttl_ms":{intent.ttl_ms},"epoch":{intent.epoch},'
        f'"outcome":"{outcome.outcome}","contract_version":2,"semantic_mode":"target",'
        f'"legacy_status":"{_LEGACY.get(outcome.outcome, outcome.outcome)}",'
        f'"target_status":"{outcome.outcome}","code":"{outcome.code}","reason":{_quoted(outcome.reason)},'
        f'"retryable":{flag(outcome.retryable)},"critical":{flag(critical)},"retry_limit":{RETRY_LIMIT},'
        f'"retry_count":{int(recovered)},"recovered":{flag(recovered)},'
        f'"delivery_mode":"{"recovered" if recovered else "direct"}",'
        f'"outcome_retry_count":{counts.retried},"outcome_recovered_count":{counts.recovered},'
        f'"outcome_drop_count_critical":{counts.dropped},'
        f'"outcome_final_confirmed_count":{counts.confirmed},"ts":{ts}}}'
    ).encode()


def chain_stage(intent: Intent, stage: str, code: str, detail: str, *, seq: int, ts: int) -> bytes:
    """One stage of a command, on `system/intent_outcome/lifecycle`."""
    return (
        f'{{"seq":{seq},"event_type":"intent_chain_stage","schema":"intent_chain_stage_v1",'
        f'"flow":"command","stage":"{stage}","intent_id":{_quoted(intent.intent_id)},'
        f'"correlation_id":{_quoted(intent.correlation_id)},"generation":{intent.generation},'
        f'"epoch":{intent.epoch},"code":"{code}","detail":{_quoted(detail)},"ts":{ts}}}'
    ).encode()
