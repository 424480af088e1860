"""A file layer under SQLite that refuses writes when told to: what a full, read-only or dying card does."""

from __future__ import annotations

from collections.abc import Callable

import apsw


class FaultyDisk(apsw.VFS):
    """The system's VFS, but `fault` is asked before every write; what it returns is raised."""

    count = 0

    def __init__(self) -> None:
        FaultyDisk.count += 1
        self.name = f"faulty{FaultyDisk.count}"
        self.fault: Callable[[], Exception | None] | None = None
        self.refused = 0
        super().__init__(self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _FaultyFile(self, name, flags)

    def check(self) -> None:
        error = self.fault() if self.fault is not None else None
        if error is not None:
            self.refused += 1
            raise error


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.check()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.check()
        super().xSync(flags)
