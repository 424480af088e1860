"""The table of all settings in docs/configuration.md: made from the declaration, so that it cannot be out of date.

`python -m growy.config.reference docs/configuration.md` writes it anew; a test compares the two.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from growy.config.names import SECTIONS, SETTINGS
from growy.config.render import toml_value

BEGIN = "<!-- settings: made by python -m growy.config.reference -->"
END = "<!-- end of settings -->"


def settings_table() -> str:
    """Markdown: one section per [section], one row per setting."""
    parts = []
    for section, kind in SECTIONS.items():
        about = (kind.__doc__ or "").strip().partition(": ")[2]
        parts.append(f"### [{section}]\n\n{about[:1].upper()}{about[1:]}\n")
        parts.append("| setting | default | must be | meaning |\n|---|---|---|---|")
        for one in SETTINGS.values():
            if one.section == section:
                cells = (
                    f"`{one.name}`",
                    f"`{toml_value(one.default)}`",
                    one.rule.expected(one.kind),
                    one.rule.doc,
                )
                parts.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
        parts.append("")
    return "\n".join(parts)


def with_settings_table(page: str) -> str:
    """The page with the table between its two marks replaced.

    Raises:
        ValueError: the page has no marks.
    """
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no place for the table: {BEGIN} ... {END}")
    return pattern.sub(lambda _: f"{BEGIN}\n\n{settings_table()}\n{END}", page)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(with_settings_table(path.read_text("utf-8")), "utf-8")
