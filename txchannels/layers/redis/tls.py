"""TLS to a Redis: a host's files into what a connection needs.

The server's certificate and name are verified, always. The files are read for every connection, so
that renewed ones count from the next.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from OpenSSL import SSL
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)

from txchannels.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator

    from txchannels.layers.redis.config import Tls

__all__ = ["options"]

_KEY = "CONFIG['tls']['key_file']"


def options(tls: Tls, name: str) -> IOpenSSLClientConnectionCreator:
    """What a connection to the host *name* (or address) verifies and shows.

    Raises: ConfigurationError: a file cannot be read, or is not what it should be.
    """
    own = {} if tls.cert_file is None else _own(tls.cert_file, tls.key_file or tls.cert_file)
    return optionsForClientTLS(
        name, trustRoot=_trust_root(tls.ca_file), extraCertificateOptions=own
    )


def _trust_root(ca_file: str | None) -> Any:
    if ca_file is None:
        return platformTrust()
    return trustRootFromCertificates(
        [
            Certificate.loadPEM(certificate.public_bytes(Encoding.PEM))
            for certificate in _certificates("CONFIG['tls']['ca_file']", ca_file)
        ]
    )


def _own(cert_file: str, key_file: str) -> dict[str, Any]:
    certificate, *chain = _certificates("CONFIG['tls']['cert_file']", cert_file)
    key = _private_key(key_file)
    own: dict[str, Any] = {
        "certificate": certificate,
        "privateKey": key,
        "extraCertChain": chain,
    }
    try:
        # What OpenSSL does not take would be found in the middle of a connection, by nobody.
        CertificateOptions(**own).getContext()
    except SSL.Error as error:
        said = "; ".join(entry[-1] for entry in error.args[0])
        raise ConfigurationError(_KEY, key_file, f"not with {cert_file!r}: {said}") from None
    return own


def _certificates(setting: str, path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(setting, path))
    except ValueError:
        raise ConfigurationError(setting, path, "it holds no certificate in PEM form") from None


def _private_key(path: str) -> PrivateKeyTypes:
    try:
        # OpenSSL's own loader would ask the terminal for a passphrase.
        return load_pem_private_key(_read(_KEY, path), password=None)
    except TypeError:
        raise ConfigurationError(_KEY, path, "it is encrypted") from None
    except ValueError:
        raise ConfigurationError(_KEY, path, "it holds no private key in PEM form") from None


def _read(setting: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(setting, path, f"cannot be read: {error.strerror}") from None
