"""How the firmware takes a sensor into service, changes, stores and removes it. Pure: `configure(board, config)`.

The traps are the firmware's and meant: an entry is found by its gpio label first, whatever kind it is; a pushed
`i2c_address` of 0 falls back to the chip's default for the search but is stored as 0; the store is written twice,
by two different rules. What growyd must refuse, it can be seen to break here.
"""

from __future__ import annotations

import string

import attrs

from growy.sim.board import Board, Generation, SensorConfig, TrackedError
from growy.sim.pins import can_be_requested, holder
from growy.sim.sensor_types import is_i2c, is_onewire, known
from growy.sim.spec import onewire_crc

RESTORED_AT_BOOT = 10

NVS_WRITE_FAILED, GPIO_RESERVED, GPIO_CONFLICT, SENSOR_INIT_FAILED = 2003, 1001, 1002, 1041
I2C_DEVICE_NOT_FOUND = 1011
ONEWIRE_INIT_FAILED, ONEWIRE_NO_DEVICES, ROM_LENGTH, ROM_FORMAT, ROM_CRC, ROM_DUPLICATE = (
    1020,
    1021,
    1023,
    1024,
    1025,
    1029,
)

Errors = tuple[TrackedError, ...]


def find(
    sensors: tuple[SensorConfig, ...], gpio: int, rom: str = "", address: int = 0, sensor_type: str = ""
) -> int | None:
    """Index of the first entry on a gpio; what else is given must match, too."""
    for index, sensor in enumerate(sensors):
        if sensor.gpio != gpio or (rom and sensor.onewire_address != rom):
            continue
        if (address and sensor.i2c_address != address) or (sensor_type and sensor.sensor_type != sensor_type):
            continue
        return index
    return None


def reachable(board: Board, config: SensorConfig) -> bool:
    """Whether a read succeeds: the chip is there, and the one OneWire bus is on its pin."""
    found = known(config.sensor_type)
    if is_onewire(config.sensor_type):
        here = board.attached.onewire.get(config.gpio, ())
        return board.onewire_pin == config.gpio and config.onewire_address.upper() in here
    if found is not None and found.i2c_address:
        address = config.i2c_address or found.i2c_address
        return board.attached.i2c.get(address) == found.device
    return True


def valid(board: Board, config: SensorConfig) -> bool:
    """The check before any hardware is touched."""
    if not config.sensor_type:
        return False
    if is_i2c(config.sensor_type) and board.generation is Generation.APR_2026:
        return True
    return config.gpio <= 39


def store(board: Board, config: SensorConfig) -> tuple[Board, bool, Errors]:
    """Write one entry to flash; False when its ROM code is no ROM code. An old one is found by gpio and type, and
    by its addresses only as far as the new one has any."""
    saved = board.nvs.sensors
    index = find(saved, config.gpio, config.onewire_address, config.i2c_address, config.sensor_type)
    errors: Errors = ()
    rom = config.onewire_address
    written = config
    ok = True
    if rom:
        ok, errors = _rom_is_readable(rom)
        if not ok:
            written = attrs.evolve(
                config, onewire_address="" if index is None else saved[index].onewire_address
            )
    elif index is not None:
        # An empty ROM code is not written, so the old one stays.
        written = attrs.evolve(config, onewire_address=saved[index].onewire_address)
    entries = (*saved, written) if index is None else (*saved[:index], written, *saved[index + 1 :])
    return attrs.evolve(board, nvs=attrs.evolve(board.nvs, sensors=entries)), ok, errors


def configure(board: Board, config: SensorConfig) -> tuple[Board, bool, Errors]:
    """Take a sensor into service or change it; False and why, when it cannot be."""
    i2c = is_i2c(config.sensor_type)
    if config.gpio == 255:
        return board, False, (TrackedError(SENSOR_INIT_FAILED, 2, "Invalid GPIO for sensor"),)
    if config.gpio == 0 and not i2c:
        return board, False, (TrackedError(SENSOR_INIT_FAILED, 2, "GPIO 0 invalid for non-I2C sensor"),)
    found = known(config.sensor_type)
    address = config.i2c_address or (found.i2c_address if found else 0)
    index = find(
        board.sensors, config.gpio, config.onewire_address, address, config.sensor_type if i2c else ""
    )
    if index is not None:
        # In place and as pushed: an address of 0 replaces the one that found it.
        sensors = (*board.sensors[:index], config, *board.sensors[index + 1 :])
        board, _, errors = store(attrs.evolve(board, sensors=sensors), config)
        return _due(board, index), True, errors
    if len(board.sensors) >= board.attached.variant.max_sensors:
        return board, False, (TrackedError(SENSOR_INIT_FAILED, 2, "Maximum sensor count reached"),)
    if i2c:
        return _add_on_i2c(board, config, address)
    if is_onewire(config.sensor_type):
        return _add_on_onewire(board, config)
    return _add_on_pin(board, config)


def remove(board: Board, gpio: int, rom: str, address: int) -> Board:
    """Forget a sensor. In flash it is found without the I²C address, so that of two chips on one label the first
    goes."""
    index = find(board.sensors, gpio, rom, address)
    if index is None:
        return board
    gone = board.sensors[index]
    sensors = (*board.sensors[:index], *board.sensors[index + 1 :])
    saved = board.nvs.sensors
    stored = find(saved, gpio, rom, 0, gone.sensor_type)
    if stored is not None:
        saved = (*saved[:stored], *saved[stored + 1 :])
    released = (
        not is_i2c(gone.sensor_type) and gpio == board.onewire_pin and all(s.gpio != gpio for s in sensors)
    )
    return attrs.evolve(
        board,
        sensors=sensors,
        nvs=attrs.evolve(board.nvs, sensors=saved),
        onewire_released=board.onewire_released or released,
        sensor_due=frozenset(i - (i > index) for i in board.sensor_due if i != index),
    )


def _due(board: Board, index: int) -> Board:
    return attrs.evolve(board, sensor_due=board.sensor_due | {index})


def _add(board: Board, config: SensorConfig) -> tuple[Board, bool, Errors]:
    board, _, errors = store(attrs.evolve(board, sensors=(*board.sensors, config)), config)
    return _due(board, len(board.sensors) - 1), True, errors


def _add_on_i2c(board: Board, config: SensorConfig, address: int) -> tuple[Board, bool, Errors]:
    device = known(config.sensor_type)
    for sensor in board.sensors:
        other = known(sensor.sensor_type)
        if other is None or not other.i2c_address or sensor.i2c_address != address:
            continue
        if other.device != (device and device.device):
            return board, False, (TrackedError(I2C_DEVICE_NOT_FOUND, 2, "I2C address conflict"),)
    # A chip that does not answer is taken all the same; it fails when it is read.
    return _add(board, attrs.evolve(config, i2c_address=address))


def _add_on_pin(board: Board, config: SensorConfig) -> tuple[Board, bool, Errors]:
    if not can_be_requested(board, config.gpio):
        return board, False, (TrackedError(GPIO_CONFLICT, 2, "GPIO conflict for sensor"),)
    return _add(board, config)


def _rom_is_readable(rom: str) -> tuple[bool, Errors]:
    if len(rom) != 16:
        return False, (TrackedError(ROM_LENGTH, 2, f"ROM length {len(rom)} != 16"),)
    if not all(digit in string.hexdigits for digit in rom):
        return False, (TrackedError(ROM_FORMAT, 2, f"Invalid ROM format: {rom}"),)
    code = bytes.fromhex(rom)
    if onewire_crc(code[:7]) != code[7]:
        return True, (TrackedError(ROM_CRC, 1, f"ROM CRC invalid: {rom}"),)
    return True, ()


def _add_on_onewire(board: Board, config: SensorConfig) -> tuple[Board, bool, Errors]:
    rom, pin = config.onewire_address, config.gpio
    readable, errors = _rom_is_readable(rom)
    if not readable:
        what = "Invalid OneWire ROM-Code length" if len(rom) != 16 else "Failed to parse OneWire ROM-Code"
        return board, False, (TrackedError(SENSOR_INIT_FAILED, 2, what),)
    if any(sensor.onewire_address == rom for sensor in board.sensors):
        return board, False, (*errors, TrackedError(ROM_DUPLICATE, 2, f"Duplicate ROM: {rom}"))
    owner, _ = holder(board, pin)
    if owner and not owner.startswith("bus/onewire/"):
        return board, False, (*errors, TrackedError(GPIO_CONFLICT, 2, "GPIO conflict for OneWire sensor"))
    if board.onewire_pin not in (None, pin):
        return board, False, (*errors, TrackedError(ONEWIRE_INIT_FAILED, 2, "Single-bus conflict"))
    if board.onewire_pin is None:
        if not can_be_requested(board, pin):
            return board, False, (*errors, TrackedError(ONEWIRE_INIT_FAILED, 2, "OneWire bus init failed"))
        board = attrs.evolve(board, onewire_pin=pin)
    if rom.upper() not in board.attached.onewire.get(pin, ()):
        return board, False, (*errors, TrackedError(ONEWIRE_NO_DEVICES, 2, "OneWire device not found"))
    board, ok, more = _add(board, config)
    return board, ok, errors + more
