# SPDX-License-Identifier: MPL-2.0
"""A strict reader of Prometheus's text format, and of HTTP by hand."""

import re
import socket

from nzlib.base import patience

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
_VALUE = re.compile(r"[0-9]+(\.[0-9]+)?\Z")
_ESCAPE = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_UNITS = ("_ms", "_milliseconds", "_us", "_minutes", "_kib", "_mib")


def _labels(text):
    """The labels between braces; all of the text must be labels."""
    labels, at = {}, 0
    while at < len(text):
        found = _LABEL.match(text, at)
        assert found, text
        name, value = found.groups()
        assert name not in labels and not name.startswith("__"), text
        labels[name] = re.sub(r'\\[\\"n]', lambda m: _ESCAPE[m[0]], value)
        at = found.end()
        if at < len(text):
            assert text[at] == "," and at + 1 < len(text), text
            at += 1
    return labels


def _sample(line):
    found = re.match(r"([^ {]+)(?:\{(.*)\})? ([^ ]+)\Z", line)
    assert found, line
    name, labels, value = found.groups()
    assert _NAME.match(name) and _VALUE.match(value), line
    assert labels != "", line
    return name, _labels(labels or ""), float(value)


class Metrics:
    """All samples of a text, after it was held against the rules."""

    def __init__(self, text):
        self.text = text
        self.families = {}  # name -> (type, help)
        self.samples = {}  # (name, labels as sorted pairs) -> value
        assert text.endswith("\n") and "\r" not in text
        lines = text[:-1].split("\n")
        at = 0
        while at < len(lines):
            at = self._family(lines, at)
        self._check_names()
        self._check_histograms()

    def _family(self, lines, at):
        """HELP, TYPE, and one or more samples; nothing else."""
        head = re.match(r"# HELP ([^ ]+) ([^\\]+\.)\Z", lines[at])
        assert head, lines[at]
        name = head[1]
        kind = re.match(rf"# TYPE {name} (counter|gauge|histogram)\Z",
                        lines[at + 1])
        assert kind, lines[at + 1]
        assert name not in self.families, f"{name} is there twice"
        self.families[name] = (kind[1], head[2])
        at += 2
        allowed = {name} if kind[1] != "histogram" else {
            name + "_bucket", name + "_sum", name + "_count"}
        first = at
        while at < len(lines) and not lines[at].startswith("#"):
            sample, labels, value = _sample(lines[at])
            assert sample in allowed, lines[at]
            key = (sample, tuple(sorted(labels.items())))
            assert key not in self.samples, f"twice: {lines[at]}"
            self.samples[key] = value
            at += 1
        assert at > first, f"{name} has no samples"
        return at

    def _check_names(self):
        for name, (kind, _) in self.families.items():
            assert name.startswith("nearzone_"), name
            assert (kind == "counter") == name.endswith("_total"), name
            assert not name.removesuffix("_total").endswith(_UNITS), name
            if "_age" in name or "duration" in name or "lag" in name:
                assert name.endswith("_seconds"), name

    def _check_histograms(self):
        for name, (kind, _) in self.families.items():
            if kind == "histogram":
                for labels in self.labels(name + "_count"):
                    self._check_histogram(name, labels)

    def _check_histogram(self, name, labels):
        buckets = sorted((float(b["le"]), self.get(name + "_bucket", **b))
                         for b in self.labels(name + "_bucket")
                         if {k: v for k, v in b.items() if k != "le"}
                         == labels)
        counts = [n for _, n in buckets]
        assert counts == sorted(counts) and len(counts) > 2
        assert buckets[-1][0] == float("inf")
        assert counts[-1] == self.get(name + "_count", **labels)
        assert self.get(name + "_sum", **labels) >= 0

    def labels(self, name):
        """The labels of each sample of that name."""
        return [dict(labels) for sample, labels in self.samples
                if sample == name]

    def get(self, name, **labels):
        """The value of one sample; None: it is not there."""
        return self.samples.get((name, tuple(sorted(labels.items()))))


class Answer:
    """An answer of HTTP, taken apart."""

    def __init__(self, octets, head_only=False):
        head, found, self.body = octets.partition(b"\r\n\r\n")
        assert found, octets[:200]
        first, *fields = head.decode("ascii").split("\r\n")
        version, status, self.words = first.split(" ", 2)
        assert version == "HTTP/1.1"
        self.status = int(status)
        self.fields = dict(f.split(": ", 1) for f in fields)
        assert len(self.fields) == len(fields)
        assert self.fields["Connection"] == "close"
        self.length = int(self.fields["Content-Length"])
        assert len(self.body) == (0 if head_only else self.length)


class Client:
    """A connection on which octets are sent as they are."""

    def __init__(self, port, address="127.0.0.1", buffer=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(patience(20))
        self.socket.connect((address, port))

    def send(self, octets):
        self.socket.sendall(octets)
        return self

    def rest(self):
        """All that comes until the other side ends."""
        parts = []
        while True:
            part = self.socket.recv(1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def http(port, octets, address="127.0.0.1", head_only=False):
    """Sends octets; returns the answer."""
    with Client(port, address) as client:
        return Answer(client.send(octets).rest(), head_only)


def get(port, path="/metrics", address="127.0.0.1", method="GET"):
    return http(port, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
                address, method == "HEAD")


def scrape(port, address="127.0.0.1"):
    """The metrics, after all that can be said of them has been checked."""
    answer = get(port, address=address)
    assert answer.status == 200, answer.body[:500]
    assert answer.fields["Content-Type"] == TYPE
    return Metrics(answer.body.decode("utf-8"))
