"""Every topic, every firmware generation: what a device says becomes the right value under the right name."""

from __future__ import annotations

import json

import cbor2
import pytest
from wire_samples import HEARTBEAT, JAN_2026_HEARTBEAT, METRICS, SAMPLES, Sample

from growy.model.errors import WireError
from growy.model.events import ConfigFailure, ConfigResponse, OnewireDevice, OnewireScanResult
from growy.model.messages import GpioStatus, Heartbeat, Will
from growy.wire.decode import decode
from growy.wire.table import MESSAGE_TYPES
from growy.wire.topics import Topic, TopicKind

ids = [f"{sample.kind.name}-{index}" for index, sample in enumerate(SAMPLES)]


def topic_of(sample: Sample) -> Topic:
    return Topic("god", "ESP_EA5484", sample.kind, sample.gpio)


def says(kind: TopicKind, payload: dict[str, object], gpio: int | None = None) -> object:
    return decode(Topic("god", "ESP_EA5484", kind, gpio), json.dumps(payload).encode())


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_a_firmware_message_means_what_the_firmware_means(sample: Sample) -> None:
    message = decode(topic_of(sample), sample.payload)

    assert type(message) is MESSAGE_TYPES[sample.kind]
    assert {name: getattr(message, name) for name in sample.expected} == sample.expected


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_cbor_says_the_same_as_json(sample: Sample) -> None:
    as_cbor = cbor2.dumps(json.loads(sample.payload))

    assert decode(topic_of(sample), as_cbor) == decode(topic_of(sample), sample.payload)


def test_every_topic_kind_has_a_sample_and_a_message_type() -> None:
    assert {sample.kind for sample in SAMPLES} == set(TopicKind)
    assert set(MESSAGE_TYPES) == set(TopicKind)


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_fields_that_growyd_does_not_know_are_no_fault(sample: Sample) -> None:
    known = json.loads(sample.payload)
    more = json.dumps(known | {"from_the_future": {"a": [1, None]}}).encode()

    message = decode(topic_of(sample), more)

    if sample.kind is not TopicKind.COMMAND_RESPONSE:  # which keeps its whole answer
        assert message == decode(topic_of(sample), sample.payload)


def test_the_gpio_of_the_topic_wins_over_the_payload() -> None:
    alert = says(TopicKind.ACTUATOR_ALERT, {"alert_type": "emergency_stop", "gpio": 3}, gpio=18)

    assert alert.gpio == 18


def test_counters_inside_a_heartbeat_are_the_metrics() -> None:
    inline = f"{HEARTBEAT[:-1]},{METRICS}}}".encode()

    heartbeat = decode(Topic("god", "ESP_EA5484", TopicKind.HEARTBEAT, None), inline)

    assert isinstance(heartbeat, Heartbeat)
    assert heartbeat.metrics is not None
    assert heartbeat.metrics.handover_contract_reject_count == 5
    assert heartbeat.metrics.ts == heartbeat.ts


def test_a_heartbeat_may_say_nothing_at_all() -> None:
    assert says(TopicKind.HEARTBEAT, {}) == Heartbeat()


def test_the_pin_table_takes_owners_of_any_name() -> None:
    heartbeat = decode(Topic("god", "ESP_EA5484", TopicKind.HEARTBEAT, None), JAN_2026_HEARTBEAT.encode())

    assert heartbeat.gpio_status == (
        GpioStatus(gpio=4, owner="bus/onewire/4", component="ds18b20", mode=1, safe=False),
    )


def test_failed_items_of_a_config_push_are_listed() -> None:
    response = says(
        TopicKind.CONFIG_RESPONSE,
        {
            "status": "PARTIAL_SUCCESS",
            "type": "sensor",
            "failures": [{"type": "sensor", "gpio": 5, "error_code": 1002, "error": "GPIO_CONFLICT"}],
        },
    )

    assert response == ConfigResponse(
        status="partial_success",
        scope="sensor",
        failures=(ConfigFailure(scope="sensor", gpio=5, error_code=1002, error="GPIO_CONFLICT"),),
    )


def test_a_rom_code_has_one_spelling() -> None:
    result = says(TopicKind.ONEWIRE_SCAN_RESULT, {"devices": [{"rom_code": "28ff641e8d3c0c79"}]})

    assert result == OnewireScanResult(devices=(OnewireDevice(rom_code="28FF641E8D3C0C79"),))


def test_an_answer_to_a_system_command_keeps_everything_it_said() -> None:
    answer = {"command": "get_config", "zone": {"zone_id": "z"}, "sensors": [], "status": 3, "details": "x"}

    response = says(TopicKind.COMMAND_RESPONSE, answer)

    assert response.details == answer
    assert (response.command, response.status) == ("get_config", None)


def test_a_cleared_will_is_a_message() -> None:
    assert decode(Topic("god", "ESP_EA5484", TopicKind.WILL, None), b"") == Will()
    assert Will().cleared


@pytest.mark.parametrize("kind", sorted(set(TopicKind) - {TopicKind.WILL}, key=lambda kind: kind.name))
def test_any_other_empty_payload_is_a_fault(kind: TopicKind) -> None:
    with pytest.raises(WireError, match="empty payload") as caught:
        decode(Topic("god", "ESP_EA5484", kind, 4 if kind.has_gpio else None), b"")
    assert caught.value.reason == "empty_payload"


@pytest.mark.parametrize(
    ("kind", "payload", "reason", "message"),
    [
        (TopicKind.ACTUATOR_STATUS, {"state": "maybe"}, "out_of_range", "$.state: expected on or off"),
        (TopicKind.ACTUATOR_STATUS, {"pwm": 255}, "missing_field", "$.state: required"),
        (TopicKind.ACTUATOR_ALERT, {"message": "m"}, "missing_field", "$.alert_type: required"),
        (
            TopicKind.ACTUATOR_RESPONSE,
            {"command": "ON", "success": 1},
            "wrong_type",
            "$.success: expected bool",
        ),
        (TopicKind.HEARTBEAT, {"uptime": "long"}, "wrong_type", "$.uptime: expected int, got str"),
        (
            TopicKind.HEARTBEAT,
            {"gpio_status": [{"gpio": "x"}]},
            "wrong_type",
            "$.gpio_status[0].gpio: expected int",
        ),
        (TopicKind.HEARTBEAT, {"seq": -1}, "out_of_range", "$.seq: expected int >= 0"),
        (TopicKind.SESSION_ANNOUNCE, {"reason": "boot"}, "missing_field", "$.handover_epoch: required"),
        (
            TopicKind.ONEWIRE_SCAN_RESULT,
            {"devices": [{"rom_code": "28"}]},
            "out_of_range",
            "$.devices[0].rom_code",
        ),
        (TopicKind.PI_ENHANCED_REQUEST, {"sensor_type": "ph"}, "missing_field", "$.raw: required"),
        (
            TopicKind.SYSTEM_ERROR,
            {"error_code": 2**70},
            "out_of_range",
            "$.error_code: integer of more than 64 bits",
        ),
    ],
)
def test_a_refusal_names_the_field(kind: TopicKind, payload: dict, reason: str, message: str) -> None:
    with pytest.raises(WireError) as caught:
        says(kind, payload, gpio=18 if kind.has_gpio else None)

    assert caught.value.reason == reason
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("boot_ts", ["", "unknown"])
def test_a_boot_time_that_is_not_known_yet_is_no_fault(boot_ts: str) -> None:
    assert says(TopicKind.SESSION_ANNOUNCE, {"handover_epoch": 2, "boot_ts": boot_ts}).boot_ts is None


def test_a_request_id_may_be_a_number() -> None:
    request = says(TopicKind.PI_ENHANCED_REQUEST, {"raw": 1.5, "sensor_type": "ec", "correlation_id": 7})

    assert (request.request_id, request.raw) == ("7", 1.5)
