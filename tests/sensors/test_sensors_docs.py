"""docs/sensors.md names every shipped type, alias and parameter with its default, and its example works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sensor_libs
from growy.sensors.apply import self_test
from growy.sensors.calibration import METHODS
from growy.sensors.worker import load
from sensor_libs import Number

PAGE = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text()
FILES = sorted(Path(sensor_libs.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_library_is_documented(path: Path) -> None:
    library = load(str(path), path.read_bytes()).library
    for output in library.outputs:
        row = next(
            line for line in PAGE.splitlines() if line.startswith(f"| `{library.name}` | `{output.type}` |")
        )
        assert f"| {output.unit} | {output.low:g} .. {output.high:g} | {output.decimals} |" in row
        assert all(f"`{alias}`" in row for alias in output.aliases)
    for name, parameter in library.parameters.items():
        default = parameter.default
        shown = (
            ("–" if default != default else f"{default:g}")
            if isinstance(parameter, Number)
            else f"`{default}`"
        )
        assert f"| `{name}` | {shown} |" in PAGE


def test_calibration_methods_are_documented() -> None:
    assert all(f"| `{method}` |" in PAGE for method in METHODS)


def test_the_example_on_the_page_passes_its_self_test() -> None:
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    loaded = load("my_probe.py", example.group(1).encode())
    assert loaded.library.checks
    self_test(loaded, loaded.library.checks)
