"""The Mosquitto on this machine, as far as growyd may touch it: its password file and a SIGHUP. Everything here blocks:
it is for a thread.

It must never signal a process that is no Mosquitto, never leave half a file, and never put a file that the broker
cannot read where there was one that it could.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from growy.config import BrokerConfig
from growy.model.errors import BrokerError, LoginNotChanged

COMMAND = b"mosquitto"
LARGEST_FILE = 1 << 20
"""Bytes of a password file that is read: some eight thousand users."""
ACCESS_LIST = "system.posix_acl_access"
SEE = "docs/operations.md says how growyd is allowed to it"


@attrs.frozen(kw_only=True)
class Mosquitto:
    """Where its files are.

    Attributes:
        password_file: as in mosquitto.conf.
        pid_file: as in mosquitto.conf. None: something else (systemd) makes Mosquitto read the password file when that
            changes; growyd only changes it.
    """

    password_file: Path
    pid_file: Path | None

    def check(self) -> None:
        """Raises LoginNotChanged: Mosquitto could not be told of a change."""
        if self.pid_file is not None:
            with self._process() as process:
                try:
                    signal.pidfd_send_signal(process, 0)
                except OSError as error:
                    raise LoginNotChanged(f"Mosquitto cannot be told: {error.strerror}", cure=SEE) from error

    def exists(self) -> bool:
        """Whether the password file is there, as far as growyd may see that."""
        return os.path.isfile(self.password_file)

    def read(self) -> bytes:
        """Raises LoginNotChanged: there is no such file, or it cannot be read."""
        path = self.password_file
        try:
            with path.open("rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise LoginNotChanged(f"{path} is no file")
                content = file.read(LARGEST_FILE + 1)
        except FileNotFoundError as error:
            raise LoginNotChanged(
                f"There is no password file {path}",
                cure=f"Make an empty one that Mosquitto can read, and say it in mosquitto.conf; {SEE}",
            ) from error
        except OSError as error:
            raise LoginNotChanged(
                f"The password file {path} cannot be read: {error.strerror}", cure=SEE
            ) from error
        if len(content) > LARGEST_FILE:
            raise LoginNotChanged(f"The password file {path} is larger than {LARGEST_FILE} bytes")
        return content

    def replace(self, content: bytes) -> None:
        """Puts another file in its place, at once, on disk, with the same owner, group, mode and access list. After a
        crash there is the one or the other. A symbolic link stays one.

        Raises BrokerError: it could not. The file is the old one; the new, if only the folder did not reach the disk.
        """
        path = os.path.realpath(self.password_file)
        folder, name = os.path.split(path)
        fresh = os.path.join(folder, f".{name}.growyd")
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh)  # of one who was killed
            _write(fresh, content, like=path)
            os.replace(fresh, path)
            _sync_folder(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise BrokerError(
                f"The password file {self.password_file} cannot be written: {error.strerror}", cure=SEE
            ) from error

    def nudge(self) -> None:
        """Makes Mosquitto read its password file. It says nothing about whether it has.

        Raises BrokerError: it could not be told.
        """
        if self.pid_file is None:
            # Whoever watches the file may have been busy with the last change when this one came.
            try:
                os.utime(self.password_file)
            except OSError as error:
                raise BrokerError(f"{self.password_file} cannot be touched: {error.strerror}") from error
            return
        with self._process() as process:
            try:
                signal.pidfd_send_signal(process, signal.SIGHUP)
            except OSError as error:
                raise LoginNotChanged(f"Mosquitto cannot be told: {error.strerror}", cure=SEE) from error

    @contextmanager
    def _process(self) -> Iterator[int]:
        """A handle on the process of the pid file, which is a Mosquitto. The handle stays with the process: a number
        that is given to another program meanwhile means nothing to it.

        Raises LoginNotChanged.
        """
        assert self.pid_file is not None
        cure = "Check [broker] pid_file and pid_file in mosquitto.conf; " + SEE
        try:
            text = self.pid_file.read_bytes().strip()
        except OSError as error:
            raise LoginNotChanged(
                f"Mosquitto's pid file {self.pid_file} cannot be read: {error.strerror}", cure=cure
            ) from error
        pid = int(text) if text.isdigit() and len(text) < 11 else 0
        if not 1 < pid < 1 << 31:
            raise LoginNotChanged(f"There is no process id in {self.pid_file}", cure=cure)
        try:
            process = os.pidfd_open(pid)
        except OSError as error:
            gone = error.errno == errno.ESRCH
            why = "does not run" if gone else f"cannot be reached: {error.strerror}"
            raise LoginNotChanged(f"Process {pid} of {self.pid_file} {why}", cure=cure) from error
        try:
            try:
                command = Path(f"/proc/{pid}/comm").read_bytes().strip()
            except OSError as error:  # another user's, under ProtectProc=
                raise LoginNotChanged(f"growyd may not see what process {pid} is", cure=SEE) from error
            if command != COMMAND:
                raise LoginNotChanged(f"Process {pid} of {self.pid_file} is no Mosquitto", cure=cure)
            yield process
        finally:
            os.close(process)


def _write(path: str, content: bytes, *, like: str) -> None:
    """A new file on disk that the same people may read as `like`. Raises OSError."""
    there = os.stat(like)
    access = _access_list(like)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    with open(file, "wb") as out:
        made = os.fstat(file)
        if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
            os.fchown(file, there.st_uid, there.st_gid)
        os.fchmod(file, stat.S_IMODE(there.st_mode))
        if access is not None:
            os.setxattr(file, ACCESS_LIST, access)
        out.write(content)
        out.flush()
        os.fsync(file)


def _access_list(path: str) -> bytes | None:
    try:
        return os.getxattr(path, ACCESS_LIST)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise


def _sync_folder(folder: str) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def mosquitto_of(config: BrokerConfig) -> Mosquitto | None:
    """Whose password file growyd may change; None for its own embedded broker."""
    if config.address.embedded:
        return None
    return Mosquitto(
        password_file=Path(config.password_file).expanduser(),
        pid_file=Path(config.pid_file).expanduser() if config.pid_file else None,
    )
