# SPDX-License-Identifier: MPL-2.0
"""Keys: certificates for TLS, TSIG keys, and signed zones."""

import base64
import glob
import os
import re
import subprocess

from nzlib.ask import tool
from nzlib.base import scratch


def _run(*command, cwd=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def certificate(name):
    """A self-signed certificate for 'name' and 127.0.0.1: (cert, key)."""
    where = scratch("cert")
    cert, key = os.path.join(where, "cert.pem"), os.path.join(where, "key.pem")
    _run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-keyout",
         key, "-out", cert, "-subj", f"/CN={name}", "-addext",
         f"subjectAltName=DNS:{name},IP:127.0.0.1")
    return cert, key


def tsig_key(name, secret):
    """A key statement for named.conf."""
    text = base64.b64encode(secret.encode()).decode()
    return (f'key "{name}" {{ algorithm hmac-sha256; '
            f'secret "{text}"; }};\n')


class SignedZone:
    """A zone signed with two P-256 keys: .text, and .anchor for delv."""

    def __init__(self, name, text, nsec3=False):
        self.name = name
        self.dir = scratch("signed")
        for more in (["-f", "KSK"], []):
            _run(tool("dnssec-keygen"), "-q", "-K", self.dir, "-a",
                 "ECDSAP256SHA256", *more, name)
        with open(os.path.join(self.dir, "zone"), "w",
                  encoding="utf-8") as f:
            f.write(text)
        _run(tool("dnssec-signzone"), "-q", "-S", "-K", self.dir, "-o", name,
             *(["-3", "-", "-H", "0"] if nsec3 else []), "-f", "signed",
             "zone", cwd=self.dir)
        with open(os.path.join(self.dir, "signed"), encoding="utf-8") as f:
            self.text = f.read()
        self.anchor = os.path.join(self.dir, "anchor")
        with open(self.anchor, "w", encoding="utf-8") as f:
            f.write("trust-anchors {" + self._ksk() + "};\n")

    def _ksk(self):
        for path in glob.glob(os.path.join(self.dir, "K*.key")):
            with open(path, encoding="utf-8") as f:
                m = re.search(r"DNSKEY\s+257 3 (\d+) (.+)", f.read())
            if m:
                key = m[2].replace(" ", "")
                return f'"{self.name}" static-key 257 3 {m[1]} "{key}";'
        raise AssertionError("no key-signing key")

    def delv(self, server, name, rdtype="A"):
        """What delv says of a name, asked of 'server'."""
        return _run(tool("delv"), f"@{server.address}", "-p",
                    str(server.port), "-a", self.anchor,
                    f"+root={self.name}", name, rdtype)
