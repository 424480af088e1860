"""HTTPS: the certificate of `growyd certs` on the port, HTTP and WebSocket over it, peers that never shake hands."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from rig.people import api_key, key_headers
from trio_websocket import open_websocket_url

from growy.cli import main
from growy.cli.certs import own_names
from growy.config import WebConfig
from growy.model.errors import ConfigError
from growy.web.limits import Limits
from growy.web.tls import LOOK_S, certificate_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the certificates of `growyd certs`."""
    folder = tmp_path_factory.mktemp("tls")
    done = CliRunner().invoke(main, ["certs", "--out", str(folder), "--name", "growpi.home.arpa"])
    assert done.exit_code == 0, done.output
    assert f'cert_file = "{folder}/server.pem"' in done.output
    return folder


def with_tls(folder: Path) -> WebConfig:
    return WebConfig(port=0, cert_file=str(folder / "server.pem"), key_file=str(folder / "server.key"))


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


def test_the_keys_are_their_owners_alone_and_the_authority_stays(folder: Path) -> None:
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "ca.key": 0o600,
        "ca.pem": 0o644,
        "server.key": 0o600,
        "server.pem": 0o644,
    }
    before = {name: (folder / name).read_bytes() for name in ("ca.key", "ca.pem", "server.pem")}
    assert CliRunner().invoke(main, ["certs", "--out", str(folder)]).exit_code == 0
    after = {name: (folder / name).read_bytes() for name in before}
    assert [before[name] == after[name] for name in before] == [True, True, False]


def test_the_names_of_this_machine_are_in_the_certificate() -> None:
    assert {"localhost", "127.0.0.1", "::1"} < set(own_names())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
async def test_a_client_that_knows_the_authority_is_served(
    house: Any, serve: Any, folder: Path, name: str
) -> None:
    from web.conftest import Client

    async with serve(house, with_tls(folder)) as web:
        assert web.url.startswith("https://")
        plain = await trio.open_tcp_stream(web.host, web.port)
        async with trio.SSLStream(
            plain, trusting(folder), server_hostname=name, https_compatible=True
        ) as stream:
            client = Client(stream, await api_key(web))
            for _ in range(2):
                assert (await client.ask("GET", "/api/v1/sensors")).status == 200
            assert (await client.ask("GET", "/api/v1/sensors", X_API_Key="wrong")).status == 401


async def test_a_websocket_goes_over_it_too(house: Any, serve: Any, folder: Path) -> None:
    async with serve(house, with_tls(folder)) as web:
        url = f"wss://localhost:{web.port}/api/v1/ws"
        async with open_websocket_url(
            url, ssl_context=trusting(folder), extra_headers=await key_headers(web)
        ) as socket:
            assert "connection_established" in str(await socket.get_message())


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01"])
async def test_a_peer_that_never_shakes_hands_costs_nothing_for_long(
    house: Any, serve: Any, folder: Path, said: bytes
) -> None:
    limits = Limits(header_timeout=0.2, linger=0.2)
    async with serve(house, with_tls(folder), limits=limits) as web:
        async with await trio.open_tcp_stream(web.host, web.port) as stream:
            if said:
                await stream.send_all(said)
            with trio.fail_after(5):
                while await stream.receive_some():
                    pass
        with trio.fail_after(5):
            while web.statistics().connections:
                await trio.sleep(0.01)
        assert web.statistics().faults == 0


def test_a_certificate_that_cannot_be_used_is_named(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert CliRunner().invoke(main, ["certs", "--out", str(other)]).exit_code == 0
    pem, key = str(folder / "server.pem"), str(folder / "server.key")
    for config in (
        WebConfig(cert_file=pem),
        WebConfig(key_file=key),
        WebConfig(cert_file=str(tmp_path / "none.pem"), key_file=key),
        WebConfig(cert_file=pem, key_file=str(other / "server.key")),
        WebConfig(cert_file=key, key_file=pem),
    ):
        with pytest.raises(ConfigError, match=r"\[web\] (cert|key)_file"):
            certificate_of(config)
    assert certificate_of(WebConfig()) is None


async def shown(web: Any, folder: Path) -> bytes:
    """The certificate that a new connection sees."""
    plain = await trio.open_tcp_stream(web.host, web.port)
    async with trio.SSLStream(plain, trusting(folder), server_hostname="localhost") as stream:
        await stream.do_handshake()
        return stream.getpeercert(binary_form=True)


def renew(folder: Path, name: str = "another.home.arpa") -> None:
    assert CliRunner().invoke(main, ["certs", "--out", str(folder), "--name", name]).exit_code == 0


async def test_a_renewed_certificate_is_shown_without_a_restart(
    house: Any, serve: Any, tmp_path: Path
) -> None:
    from web.conftest import Client

    renew(tmp_path)
    async with serve(house, with_tls(tmp_path)) as web:
        plain = await trio.open_tcp_stream(web.host, web.port)
        tls = trio.SSLStream(plain, trusting(tmp_path), server_hostname="localhost", https_compatible=True)
        async with tls as open_before:
            client = Client(open_before, await api_key(web))
            assert (await client.ask("GET", "/api/v1/sensors")).status == 200
            before = await shown(web, tmp_path)
            renew(tmp_path)
            assert await shown(web, tmp_path) == before  # nobody has looked yet
            web.look_at_certificate()  # what SIGHUP does
            with trio.fail_after(5):
                while await shown(web, tmp_path) == before:
                    await trio.sleep(0.01)
            assert (await client.ask("GET", "/api/v1/sensors")).status == 200


async def test_it_is_seen_within_a_minute_without_being_told(tmp_path: Path, clock: trio.abc.Clock) -> None:
    renew(tmp_path)
    certificate = certificate_of(with_tls(tmp_path))
    assert certificate is not None
    first = certificate.context
    async with trio.open_nursery() as nursery:
        nursery.start_soon(certificate.run)
        renew(tmp_path)
        await trio.sleep(LOOK_S - 1)
        assert certificate.context is first  # the card is not asked all the time
        with trio.fail_after(10 * LOOK_S):  # the clock runs on while the files are read
            while certificate.context is first:
                await trio.sleep(1)
        nursery.cancel_scope.cancel()


async def test_a_pair_that_cannot_be_used_leaves_the_old_one_in_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    renew(tmp_path / "here")
    renew(tmp_path / "other")
    certificate = certificate_of(with_tls(tmp_path / "here"))
    assert certificate is not None
    first, here = certificate.context, tmp_path / "here"
    await certificate.look()
    assert certificate.context is first
    for name, content in (
        ("server.pem", (tmp_path / "other" / "server.pem").read_bytes()),  # and the key is still the old one
        ("server.pem", b"-----BEGIN CERTIFICATE-----"),
        ("server.key", b""),
    ):
        (here / name).write_bytes(content)
        await certificate.look()
        assert certificate.context is first
        await certificate.look()  # told once, not every minute
    (here / "server.key").unlink()
    await certificate.look()
    assert certificate.context is first
    said = [record.getMessage() for record in caplog.records if "old one stays" in record.getMessage()]
    assert len(said) == 4
    renew(here)
    await certificate.look()
    assert certificate.context is not first
