"""What a broker says to a client certificate that it does not like, or to none, in words that say what to do."""

from __future__ import annotations

import ssl

from growy.broker.engine import Endpoint
from growy.model.errors import BrokerRefused

_MAKE = "`growyd certs --client` on the Pi of God makes one for a Kaiser; [{section}] cert_file and key_file name it"
_ALERTS = {
    "CERTIFICATE_REQUIRED": ("it asks for a client certificate, and got none", _MAKE),
    "UNKNOWN_CA": (
        "it does not know the authority of the client certificate",
        "The ca.pem of that authority belongs into the broker's cafile; or " + _MAKE,
    ),
    "CERTIFICATE_EXPIRED": ("the client certificate has expired", "Renew it: " + _MAKE),
    "CERTIFICATE_REVOKED": ("the client certificate is revoked", _MAKE),
    "BAD_CERTIFICATE": ("it does not take the client certificate", _MAKE),
    "CERTIFICATE_UNKNOWN": ("it does not take the client certificate", _MAKE),
    "UNSUPPORTED_CERTIFICATE": ("the certificate is not one for clients", _MAKE),
}
"""By what the alert's name holds (RFC 8446, 6.2); OpenSSL puts TLSV1_, TLSV13_ or SSLV3_ before it."""
_SILENT = ("it broke off the connection, as one does that asks for a client certificate and gets none", _MAKE)
_SILENT_TO_OURS = (
    "it broke off the connection before it answered, perhaps because of the client certificate",
    "The broker's log says why; " + _MAKE,
)


def refusal_of(endpoint: Endpoint, error: BaseException, *, unanswered: bool = False) -> BrokerRefused | None:
    """The broker's refusal of our certificate behind a broken connection; None: it died of something else.

    Args:
        unanswered: TLS stood, and CONNECT had no answer. Then the alert may have been lost on the way: a socket that is
            closed with our CONNECT unread in it is reset, which can overtake it (Mosquitto 2.0: once in 200 times).
    """
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    reason = (cause.reason or "") if isinstance(cause, ssl.SSLError) else ""
    if "ALERT" in reason:
        found = next((said for name, said in _ALERTS.items() if reason.endswith(name)), None)
        # A broker that speaks TLS 1.2 says handshake_failure (RFC 5246, 7.2.2) where 1.3 has certificate_required.
        if found is None and reason.endswith("HANDSHAKE_FAILURE") and not endpoint.cert_file:
            found = _SILENT
    else:
        reset = endpoint.tls and unanswered and isinstance(cause, ConnectionError)
        found = (_SILENT_TO_OURS if endpoint.cert_file else _SILENT) if reset else None
    if found is None:
        return None
    why, cure = found
    return BrokerRefused(
        f"The broker at {endpoint} refused the connection: {why}", cure=cure.format(section=endpoint.section)
    )
