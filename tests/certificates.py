"""Certificates for the servers of tests."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from pathlib import Path

_DAY = dt.timedelta(days=1)


class Authority:
    """A certificate authority. All files are PEM.

    Args:
        folder: Folder for its files.

    Attributes:
        certfile: The authority's certificate, which clients trust.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
        now = dt.datetime.now(dt.UTC)
        self.certfile = self._own_certificate(now - _DAY, now + _DAY)

    def expired(self) -> Path:
        """Return an expired certificate of the authority."""
        now = dt.datetime.now(dt.UTC)
        return self._own_certificate(now - 2 * _DAY, now - _DAY)

    def issue(self, name: x509.GeneralName) -> tuple[Path, Path]:
        """Issue a certificate for a server name. Returns the files of the certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        builder = (
            self._builder(x509.Name([]), key.public_key(), now - _DAY, now + _DAY)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        keyfile = self._folder / f"key-{next(self._numbers)}.pem"
        keyfile.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self._sign(builder), keyfile

    def _own_certificate(self, start: dt.datetime, end: dt.datetime) -> Path:
        other_uses = (
            "digital_signature content_commitment key_encipherment data_encipherment key_agreement crl_sign"
            " encipher_only decipher_only"
        )
        usage = dict.fromkeys(other_uses.split(), False)
        builder = (
            self._builder(self._name, self._key.public_key(), start, end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage, key_cert_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        return self._sign(builder)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, start: dt.datetime, end: dt.datetime
    ) -> x509.CertificateBuilder:
        number = x509.random_serial_number()
        return x509.CertificateBuilder(self._name, subject, key, number, start, end)

    def _sign(self, builder: x509.CertificateBuilder) -> Path:
        certfile = self._folder / f"certificate-{next(self._numbers)}.pem"
        certfile.write_bytes(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return certfile
