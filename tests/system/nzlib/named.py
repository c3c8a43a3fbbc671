# SPDX-License-Identifier: MPL-2.0
"""A named of our own: started, asked, watched and stopped."""

import collections
import os
import re
import signal
import subprocess
import time

from nzlib.ask import exchange
from nzlib.base import Pausable, free_port, patience, scratch, wait_for

NAMED = os.environ.get("NAMED", "/usr/sbin/named")
RNDC = os.environ.get("RNDC", "/usr/sbin/rndc")

# Any of these in a log is a failure, whatever else a test asserts.
BAD = re.compile(r"assertion|REQUIRE|INSIST|ENSURE\(|AddressSanitizer"
                 r"|LeakSanitizer|ThreadSanitizer|runtime error")

QUERY = re.compile(r"client @\S+ (?P<client>[^#]+)#(?P<port>\d+)"
                   r"(?:/key (?P<key>\S+))? \(\S*\): "
                   r"(?:view (?P<view>\S+): )?query: (?P<name>\S+) "
                   r"(?P<rdclass>\S+) (?P<rdtype>\S+) (?P<flags>\S+)")

Question = collections.namedtuple(
    "Question", "name rdtype flags key view client port")

_VERSION_BIND = (b"\x12\x34\0\0\0\1\0\0\0\0\0\0"
                 b"\7version\4bind\0\0\x10\0\3")

alive = []  # every Named that runs, for the report of a failed test


class StartFailed(Exception):
    """named ended, or was not ready in time; the text is its log's end."""


def _sanitized():
    """Command prefix and environment for a plugin with a sanitizer in it."""
    env = dict(os.environ)
    flavour = env.get("NZ_SANITIZER")  # asan or tsan
    if not flavour:
        return [], env
    here = os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__))))
    env["LD_PRELOAD"] = subprocess.run(
        ["gcc", f"-print-file-name=lib{flavour}.so"], check=True,
        capture_output=True, text=True).stdout.strip()
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    env.setdefault("LSAN_OPTIONS", f"suppressions={here}/lsan.supp:"
                   "print_suppressions=0")
    env.setdefault("TSAN_OPTIONS", f"suppressions={here}/tsan.supp:"
                   "print_suppressions=0")
    # named's own races, where no code of ours is on either side.
    env["TSAN_OPTIONS"] += ":ignore_noninstrumented_modules=1"
    # Shadow memory wants the addresses where they were in its youth.
    return ["setarch", "--addr-no-randomize"], env


class Named(Pausable):
    """One named; 'options' goes into options {}, 'body' after it.

    Either may be a function of this object, to name its files and ports.
    """

    address = "127.0.0.1"
    has_plugin = False  # and so perhaps a sanitizer
    within = ()  # a command that runs it: in another namespace

    def __init__(self, what="named", options="", body="", workers=2):
        self.what = what
        self.dir = scratch(what)
        self.port = free_port()
        self.rndc_port = free_port()
        self.workers = workers
        self.options = options
        self.body = body
        self.process = None
        self.paused = False

    # -- files ---------------------------------------------------------

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        """Writes a file whole: under another name first, then renamed."""
        path = self.path(name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)
        return path

    def write_conf(self):
        options, body = (part(self) if callable(part) else part
                         for part in (self.options, self.body))
        self.write("rndc.key", 'key "rndc" { algorithm hmac-sha256; '
                   'secret "bm90IGEgc2VjcmV0"; };\n')
        self.write("named.conf", f"""
options {{
    directory "{self.dir}";
    listen-on port {self.port} {{ {self.address}; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    notify no;
    querylog yes;
    tcp-clients 500;
    pid-file none;
    lock-file none;
    session-keyfile none;
    {options}
}};
include "rndc.key";
controls {{ inet 127.0.0.1 port {self.rndc_port} allow {{ 127.0.0.1; }}
    keys {{ "rndc"; }}; }};
{body}
""")

    # -- life ----------------------------------------------------------

    def start(self):
        self.write_conf()
        return self.start_again()

    def start_again(self):
        """Starts it with the files as they are; returns itself."""
        assert self.process is None
        mark = self.mark()
        prefix, env = _sanitized() if self.has_plugin else ([], None)
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                [*self.within, *prefix] + [NAMED, "-g", "-c", self.path("named.conf"),
                          "-n", str(self.workers)],
                cwd=self.dir, env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        alive.append(self)
        try:
            wait_for(lambda: self._is_ready(mark), f"{self.what} to run", 15)
        except (AssertionError, StartFailed):
            self._reap(kill=True)
            raise
        return self

    def _is_ready(self, mark):
        if self.process.poll() is not None:
            text = self.log(mark)
            raise StartFailed(text[max(text.find("loading conf"), 0):][:4000])
        if not re.search(r"^\S+ \S+ running$", self.log(mark), re.M):
            return False
        return exchange(self, _VERSION_BIND, seconds=0.5) is not None

    def _reap(self, kill=False):
        if kill:
            self.process.kill()
        status = self.process.wait(patience(20))
        self.process = None
        alive.remove(self)
        return status

    def stop(self):
        """SIGTERM; asserts a clean end and a clean log. Idempotent."""
        if self.process is None:
            return
        self.resume()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self._reap()
        except subprocess.TimeoutExpired:
            self._reap(kill=True)
            status = "none: it had to be killed"
        bad = BAD.search(self.log())
        assert not bad, f"{self.what}: {self.log()[bad.start() - 500:][:4000]}"
        assert status == 0, f"{self.what} ended with status {status}"

    def kill(self):
        """SIGKILL: for a machine that dies."""
        if self.process is not None:
            self._reap(kill=True)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()

    # -- what it says --------------------------------------------------

    def mark(self):
        """A place in the log: what is written later comes after it."""
        try:
            return os.path.getsize(self.path("log"))
        except FileNotFoundError:
            return 0

    def log(self, since=0):
        with open(self.path("log"), "rb") as f:
            f.seek(since)
            return f.read().decode("utf-8", "replace")

    def wait_log(self, pattern, since=0, seconds=10):
        return wait_for(lambda: re.search(pattern, self.log(since)),
                        f"'{pattern}' in the log of {self.what}", seconds)

    def questions(self, since=0, name=None, rdtype=None):
        """Every IN question it got since a mark, by its query log.

        named writes that line before it answers, so that who has the
        answer of a question finds the question here.
        """
        found = []
        for m in QUERY.finditer(self.log(since)):
            if m["rdclass"] != "IN":
                continue
            q = Question(m["name"].lower(), m["rdtype"], m["flags"],
                         m["key"], m["view"], m["client"], int(m["port"]))
            if name is not None and q.name != name.lower():
                continue
            if rdtype is not None and q.rdtype != rdtype:
                continue
            found.append(q)
        return found

    def rndc(self, *args, status=0):
        done = subprocess.run(
            [RNDC, "-k", self.path("rndc.key"), "-s", "127.0.0.1", "-p",
             str(self.rndc_port), *args], capture_output=True, text=True,
            timeout=patience(30), check=False)
        assert done.returncode == status, (args, done.stdout, done.stderr)
        return done.stdout


def zone_text(records, ttl=300, serial=1, negative=300):
    """A zone file: SOA and NS, then the records."""
    return (f"$TTL {ttl}\n"
            f"@ SOA ns1 hostmaster {serial} 3600 600 86400 {negative}\n"
            f"@ NS ns1\nns1 A 192.0.2.250\n{records}\n")


class Origin(Named):
    """A named with primary zones: {name: text of the whole zone file}."""

    def __init__(self, zones, what="origin", options="", body="",
                 zone_options="", **more):
        super().__init__(what, options, body, **more)
        self.zones = dict(zones)
        self.zone_options = zone_options
        self.rest = body
        self.body = lambda _: self._zone_statements()

    def _zone_statements(self):
        rest = self.rest(self) if callable(self.rest) else self.rest
        for name, text in self.zones.items():
            self.write(f"{name}.db", text)
        return rest + "".join(
            f'zone "{name}" {{ type primary; file "{name}.db"; '
            f'{self.zone_options} }};\n' for name in self.zones)

    def change(self, name, text):
        """Loads another content of a zone (its serial must be higher)."""
        mark = self.mark()
        self.zones[name] = text
        self.write(f"{name}.db", text)
        # named reloads a file only if its time changed, in whole seconds.
        later = time.time() + 5 + len(self.log().split("loaded serial"))
        os.utime(self.path(f"{name}.db"), (later, later))
        self.rndc("reload", name)
        self.wait_log(rf"zone {re.escape(name)}/IN: loaded serial", mark)
