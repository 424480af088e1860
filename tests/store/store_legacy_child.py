"""Migrates until it is done or killed; says so after every page. Arguments: old database, folder, rows per window."""

from __future__ import annotations

import sys
from pathlib import Path

from rig.legacy import NOW_MS

from growy.config import StoreConfig
from growy.store.legacy import Options, move, open_source

path, folder, window_rows = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
with open_source(path, path.parent) as source:
    options = Options(window_rows=window_rows, now_ms=NOW_MS)
    move(source, StoreConfig(chunk_readings=60), folder, options, lambda _: print("page", flush=True))
print("done", flush=True)
