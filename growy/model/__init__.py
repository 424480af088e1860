"""Value types of growyd: what the rooms say to each other. No I/O, no clocks, imports nothing of growy.

Rows that a person reads are attrs records (`Reading`, `Series`); readings in bulk are columns (`Columns`), because
twenty thousand of them a second are too many objects. What an ESP32 says is a `msgspec.Struct` (`messages`): the same
definition is the model type and the typed JSON decoder, and building one costs a tenth of an attrs record.
"""
