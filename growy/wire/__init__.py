"""Bytes <-> model: the MQTT protocol of the ESP32 firmware in all its generations. No I/O, no clocks, no state.

`topics` takes topics apart and builds them, `decode` makes messages of payloads, `encode` payloads of answers;
`table` says which topic carries what, `reasons` why a message is refused.
"""
