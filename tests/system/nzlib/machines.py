# SPDX-License-Identifier: MPL-2.0
"""What is measured: a real prometheus-node-exporter, a real snmpd."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

from nzlib.base import Pausable, free_port, scratch, wait_for

ADDRESS = "127.0.0.1"


class _Daemon(Pausable):
    def __init__(self, what):
        self.dir = scratch(what)
        self.port = free_port()
        self.process = None
        self.paused = False

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o644):
        """Writes a file whole: a reader sees the old one or the new one."""
        path = self.path(name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)
        return path

    def spawn(self, argv, **env):
        assert self.process is None
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, **env))
        try:
            wait_for(self._answers, f"{argv[0]} to answer")
        except AssertionError:
            self.stop()
            with open(self.path("log"), encoding="utf-8") as f:
                print(f.read()[-3000:])
            raise
        return self

    def stop(self):
        if self.process is not None:
            self.resume()
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Exporter(_Daemon):
    """A node-exporter that sees a machine of ours: 'set' says how it is."""

    def __init__(self):
        super().__init__("exporter")
        os.makedirs(self.path("self/net"), exist_ok=True)
        os.makedirs(self.path("net"), exist_ok=True)
        self.machine = {"load": 0.5, "swap_mb": 0, "total_mb": 2000,
                        "rx": 0, "tx": 0}
        self.set()

    def set(self, **machine):
        """Load average, swap in use and in all (MB), octets of eth0."""
        self.machine.update(machine)
        m = self.machine
        self.write("loadavg", f"{m['load']:.2f} 0.20 0.10 1/100 4711\n")
        total, used = (int(m[key] * 1000000 / 1024)
                       for key in ("total_mb", "swap_mb"))
        lines = {"MemTotal": 8000000, "MemFree": 1000000,
                 "MemAvailable": 6000000, "SwapTotal": total,
                 "SwapFree": total - used}
        if m["total_mb"] is None or m.get("no_swap"):
            lines.pop("SwapTotal")
            lines.pop("SwapFree")
        self.write("meminfo", "".join(f"{name}: {value} kB\n"
                                      for name, value in lines.items()))
        dev = ("Inter-|   Receive                                    |  "
               "Transmit\n face |bytes    packets errs drop fifo frame "
               "compressed multicast|bytes    packets errs drop fifo colls "
               "carrier compressed\n"
               f"  eth0: {m['rx']} 1 0 0 0 0 0 0 {m['tx']} 1 0 0 0 0 0 0\n")
        self.write("net/dev", dev)
        self.write("self/net/dev", dev)

    def start(self):
        return self.spawn([
            shutil.which("prometheus-node-exporter"),
            "--collector.disable-defaults", "--collector.loadavg",
            "--collector.meminfo", "--collector.netdev",
            "--no-collector.netdev.netlink",
            f"--path.procfs={self.dir}",
            f"--web.listen-address={ADDRESS}:{self.port}"])

    def text(self):
        with urllib.request.urlopen(
                f"http://{ADDRESS}:{self.port}/metrics", timeout=5) as reply:
            return reply.read().decode()

    def _answers(self):
        with contextlib.suppress(OSError):
            return "node_load1" in self.text()
        return False


# What snmpd asks about interfaces, and where it is written what they are.
_AGENT = r'''
import json, sys

IF, IFX = "1.3.6.1.2.1.2.2.1.", "1.3.6.1.2.1.31.1.1.1."

def tree():
    with open(sys.argv[1]) as f:
        interfaces = json.load(f)
    out = {}
    for i in interfaces:
        n = i["index"]
        out[IF + f"1.{n}"] = ("integer", n)
        out[IF + f"2.{n}"] = ("string", i["descr"])
        out[IF + f"10.{n}"] = ("counter", i["in"] % 2**32)
        out[IF + f"16.{n}"] = ("counter", i["out"] % 2**32)
        out[IFX + f"1.{n}"] = ("string", i["name"])
        if i.get("wide", True):
            out[IFX + f"6.{n}"] = ("counter64", i["in"] % 2**64)
            out[IFX + f"10.{n}"] = ("counter64", i["out"] % 2**64)
        out[IFX + f"19.{n}"] = ("timeticks", i.get("begun", 0))
    return out

def key(name):
    return [int(part) for part in name.strip(".").split(".")]

def line():
    text = sys.stdin.readline()
    if not text:
        sys.exit(0)
    return text.strip()

while True:
    word = line()
    if word.upper() == "PING":
        print("PONG", flush=True)
        continue
    name = line().strip(".")
    t = tree()
    if word == "getnext":
        later = sorted((n for n in t if key(n) > key(name)), key=key)
        name = later[0] if later else ""
    if name in t:
        kind, value = t[name]
        print(f".{name}\n{kind}\n{value}", flush=True)
    else:
        print("NONE", flush=True)
'''

COMMUNITY = "wonderland"
USER = "probe"
AUTH, PRIV = "auth pass".replace(" ", "-") + "-12", "priv-pass-34"


class Snmpd(_Daemon):
    """A snmpd; its interfaces are ours ('set'), or this machine's."""

    def __init__(self, real=False, users=(("SHA-256", "AES"),)):
        super().__init__("snmpd")
        self.real = real
        self.users = users
        self.interfaces = [self.interface(1, "uplink1"),
                           self.interface(2, "uplink2")]
        self.set()

    @staticmethod
    def interface(index, name, octets_in=0, octets_out=0, **more):
        return {"index": index, "name": name, "descr": f"port {name}",
                "in": octets_in, "out": octets_out, **more}

    def set(self, *interfaces):
        if interfaces:
            self.interfaces = list(interfaces)
        self.write("interfaces.json", json.dumps(self.interfaces))

    def grow(self, octets_in, octets_out=0):
        """So many octets more, on each interface."""
        for interface in self.interfaces:
            interface["in"] += octets_in
            interface["out"] += octets_out
        self.set()

    def start(self):
        agent = self.write("agent.py", _AGENT)
        lines = [f"agentaddress udp:{ADDRESS}:{self.port}",
                 f"rocommunity {COMMUNITY} {ADDRESS}"]
        for i, (auth, priv) in enumerate(self.users):
            lines += [f"createUser {USER}{i or ''} {auth} {AUTH} {priv} {PRIV}",
                      f"rouser {USER}{i or ''} authpriv"]
        modules = []
        if not self.real:
            for table in ("1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"):
                lines.append(f"pass_persist .{table} {sys.executable} {agent} "
                             f"{self.path('interfaces.json')}")
            modules = ["-I", "-ifTable,ifXTable"]
        conf = self.write("snmpd.conf", "\n".join(lines) + "\n", 0o600)
        return self.spawn(
            [shutil.which("snmpd") or "/usr/sbin/snmpd", "-f", "-C", "-c",
             conf, "-Lo", *modules],
            SNMP_PERSISTENT_DIR=self.dir, MIBS="", MIBDIRS="")

    def get(self, *names):
        """The values of 'names', by snmpget; for comparison."""
        done = subprocess.run(
            ["snmpget", "-v2c", "-c", COMMUNITY, "-Oqvt", "-r1", "-t2",
             f"{ADDRESS}:{self.port}", *names], capture_output=True,
            text=True, timeout=20, check=False,
            env=dict(os.environ, MIBS="", MIBDIRS="",
                     SNMP_PERSISTENT_DIR=self.dir))
        return done.stdout.split()

    def _answers(self):
        return bool(self.get("1.3.6.1.2.1.1.3.0"))

    # -- who we are to it --------------------------------------------------

    def community(self, text=COMMUNITY, mode=0o600):
        return self.write("community", f"# who we are\ncommunity {text}\n",
                          mode)

    def user(self, number=0, auth_key=AUTH, priv_key=PRIV):
        auth, priv = self.users[number]
        return self.write(f"user{number}",
                          f"user {USER}{number or ''}\n"
                          f"auth {auth} {auth_key}\npriv {priv} {priv_key}\n",
                          0o600)


def send_octets(octets, seconds):
    """UDP on the loopback, bounded; for counters of real interfaces."""
    datagram = bytes(60000)
    n = max(octets // len(datagram), 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind((ADDRESS, 0))
        for _ in range(n):
            s.sendto(datagram, sink.getsockname())
            time.sleep(seconds / n)
