# SPDX-License-Identifier: MPL-2.0
"""nzctl doctor: what it finds on a machine that is well, and one that is not."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from nzlib.base import free_port, patience, scratch, wait_for
from nzlib.edge import Edge
from nzlib.probed import Probed, Sink
from nzlib.web import Web

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
MMDB = os.path.join(TOP, "tests", "mmdb", "GeoLite2-ASN-Test.mmdb")
CLOCK = {"clock"}  # as the machine has it
PROFILE = "/etc/apparmor.d/usr.sbin.named"


def doctor(socket, *args, status=(0, 1), prefix=()):
    """The report: check -> lines of it."""
    done = subprocess.run(
        [*prefix, os.environ["NZCTL"], "--json", "--socket", socket,
         "--timeout", "5", "doctor", *args], capture_output=True, text=True,
        timeout=patience(30), check=False)
    assert done.returncode in status, done
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    assert report["ok"] == all(line["state"] != "fail"
                               for line in report["checks"])
    lines = {}
    for line in report["checks"]:
        assert line["state"] in ("ok", "warn", "fail")
        assert ("do" in line) <= (line["state"] != "ok")
        lines.setdefault(line["check"], []).append(line)
    return lines


def expect(lines, check, state, *words):
    """Some line of the check is so; returns it."""
    found = [line for line in lines[check] if line["state"] == state and all(
        word in line["text"] + " " + line.get("do", "") for word in words)]
    assert found, (check, state, words, lines[check])
    return found[0]


def edge_of(**doc):
    edge = Edge({})
    edge.doc["services"] = {"web": {"probe": "tcp", "port": 1,
                                    "interval": "1s"}}
    edge.doc["pops"] = {"pop": {"servers": {
        "srv": {"addresses": ["127.0.0.11"], "services": ["web"]}}}}
    edge.doc["feed"] = {"interval": "100ms"}
    edge.doc.update(doc)
    edge.write_json()
    return edge


@contextlib.contextmanager
def scene(web=None, **doc):
    edge = edge_of(**doc)
    if web:
        edge.doc["services"]["web"]["port"] = web.port
        edge.write_json()
    with edge, Probed(edge.json_path, "t1") as probed:
        wait_for(lambda: edge.status()["traffic"]["feed"].get("last_s")
                 is not None, "the plugin to be fed")
        yield edge, probed


def tree(top):
    """A digest of all files below, with their modes and times."""
    out = hashlib.sha256()
    for where, dirs, files in sorted(os.walk(top)):
        dirs.sort()
        for name in sorted(files):
            path = os.path.join(where, name)
            st = os.lstat(path)
            out.update(f"{path} {st.st_mode} {st.st_mtime_ns}".encode())
    return out.hexdigest()


def test_a_machine_that_is_well():
    with Web() as web, scene(web, cache={"size": "64MiB"}) as (edge, probed):
        edge.doc["cache"]["state-directory"] = edge.dir
        os.chmod(edge.socket, 0o660)
        edge.write_json()
        edge.nzctl("reload")
        edge.process.send_signal(0)
        lines = doctor(edge.socket, status=(0,))
        for check in ("config", "abi", "plugin", "socket", "in-force",
                      "version", "state", "geo", "files", "side-car"):
            for line in lines[check]:
                assert line["state"] == "ok", line
        expect(lines, "plugin", "ok", f"pid {edge.process.pid}")
        expect(lines, "side-car", "ok", f"pid {probed.process.pid}", "t1")
        assert len(lines["files"]) == 2
        text = edge.nzctl("doctor", plain=True)
        for check, found in lines.items():
            assert f"  {check}" in text, check
            for line in found:
                if check != "side-car":
                    assert line["text"] in text
        assert all(row[:6] in ("ok    ", "warn  ", "FAIL  ")
                   for row in text.splitlines())


def test_it_changes_nothing():
    with Web() as web, scene(web) as (edge, probed):
        probed.pause()  # so that nobody else writes
        edge.pause()
        before = tree(edge.dir)
        doctor(edge.socket)
        assert tree(edge.dir) == before
        edge.resume()
        probed.resume()


def test_configurations_that_are_not_good():
    with scene() as (edge, _):
        edge.write_json('{"version": 1, "zonse": {}}')
        lines = doctor(edge.socket, status=(1,))
        expect(lines, "config", "fail", "zonse", "zones", "nzctl check")
        expect(lines, "in-force", "ok")
        edge.nzctl("reload", status=(1,))
        lines = doctor(edge.socket, status=(1,))
        expect(lines, "in-force", "fail", "refused", "zonse")
        edge.doc["serial"] = 77
        edge.write_json()
        edge.nzctl("reload")
        edge.doc["serial"] = 78
        edge.write_json()
        expect(doctor(edge.socket), "in-force", "warn", "77", "78", "reload")
        other = edge.write("other.json", json.dumps(edge.doc))
        expect(doctor(edge.socket, "--config", other), "in-force", "warn",
               edge.json_path, other)


def test_named_is_dead_or_stopped():
    with scene() as (edge, probed):
        edge.pause()
        lines = doctor(edge.socket, "--timeout", "0.3", "--config",
                       edge.json_path, status=(1,))
        expect(lines, "socket", "fail", "timed out")
        edge.resume()
        edge.kill()
        lines = doctor(edge.socket, "--config", edge.json_path, status=(1,))
        expect(lines, "socket", "fail", "refused", "start named")
        assert lines["plugin"][0]["state"] == "fail"
        expect(lines, "config", "ok")
        expect(doctor(edge.socket, "--config", edge.json_path, "--plugin",
                      os.path.join(edge.libdir, "nearzone.so")), "abi", "ok")
        expect(lines, "side-car", "warn", str(probed.process.pid))
        os.unlink(edge.socket)
        lines = doctor(edge.socket, "--config", edge.json_path, status=(1,))
        expect(lines, "socket", "fail", "No such file", "--socket")
        assert "in-force" not in lines and "version" not in lines


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_nothing_runs_at_all():
    edge = edge_of()
    lines = doctor(edge.socket, "--config", edge.json_path, status=(1,),
                   prefix=["unshare", "--pid", "--fork", "--mount-proc"])
    expect(lines, "plugin", "fail", "named does not run")
    expect(lines, "side-car", "fail", "does not run", "start nearzone-probed")
    assert "files" not in lines
    edge.doc["services"] = edge.doc["pops"] = {}
    edge.write_json()
    lines = doctor(edge.socket, "--config", edge.json_path, status=(1,),
                   prefix=["unshare", "--pid", "--fork", "--mount-proc"])
    expect(lines, "side-car", "ok", "nothing to test")


def test_builds_that_do_not_fit():
    with scene() as (edge, _):
        lib = os.path.join(scratch("lib"), "bind")
        os.makedirs(os.path.join(lib, "nearzone", "9.18.0"))
        stub = os.path.join(lib, "nearzone.so")
        lines = doctor(edge.socket, "--plugin", stub, status=(1,))
        expect(lines, "abi", "fail", stub, "No such file")
        shutil.copy(os.path.join(edge.libdir, "nearzone.so"), stub)
        lines = doctor(edge.socket, "--plugin", stub, status=(1,))
        expect(lines, "abi", "fail", "no core for BIND 9.18", "INACTIVE")
        lines = doctor(edge.socket, "--named", "/nonexistent/named",
                       "--plugin", stub, status=(1,))
        expect(lines, "abi", "fail", "no core")  # of the one that runs
        other = os.path.join(lib, "named")
        with open(other, "wb") as f:
            f.write(b"\x7fELF\0libisc-9.18.99-other.so\0")
        lines = doctor(edge.socket, "--named", other, status=(1,))
        expect(lines, "upgrade", "warn", "9.18.99-other", "restart")
        expect(lines, "abi", "fail", "9.18.99-other")
        # A named that has loaded the stub alone.
        lonely = edge_of()
        lonely.libdir = lib
        with lonely:
            lines = doctor(lonely.socket, "--config", lonely.json_path,
                           status=(1,))
            assert lines["plugin"][0]["state"] == "fail"


def test_version_of_the_plugin():
    def answer(request):
        assert request == {"command": "status"}
        return {"ok": True, "status": {"version": "0.0.1", "bind": "x"}}
    with Sink(answer=answer) as sink:
        lines = doctor(sink.path, "--config", edge_of().json_path)
        expect(lines, "version", "warn", "0.0.1", "restart named")
        expect(lines, "socket", "warn", "open to all")
    for reply in (b"nonsense\n", b"[]\n", b'{"ok":true}\n',
                  b'{"status":7}\n', b'{"status":{"pid":"x"}}\n'):
        with Sink(answer=lambda _, reply=reply: reply) as sink:
            doctor(sink.path, "--config", edge_of().json_path, status=(1,))


def test_state_directory():
    edge = edge_of()
    for path, mode, state in ((scratch("state"), 0o700, "ok"),
                              (scratch("state"), 0o777, "warn"),
                              ("/nonexistent/state", None, "fail"),
                              (edge.json_path, None, "fail")):
        edge.doc["cache"]["state-directory"] = path
        edge.write_json()
        if mode is not None:
            os.chmod(path, mode)
            if os.geteuid() == 0:
                shutil.chown(path, "bind")
        os.chmod(edge.dir, 0o755)
        lines = doctor(edge.socket, "--config", edge.json_path)
        if state != "ok" or os.geteuid() == 0:
            expect(lines, "state", state, path)


def test_geo_databases():
    edge = edge_of()
    broken = edge.write("broken.mmdb", "this is none")
    edge.doc["geo"] = {"databases": [MMDB, broken, "/nonexistent/x.mmdb"]}
    edge.write_json()
    lines = doctor(edge.socket, "--config", edge.json_path, status=(1,))
    assert len(lines["geo"]) == 3
    expect(lines, "geo", "fail", broken)
    expect(lines, "geo", "fail", "/nonexistent/x.mmdb")
    assert any(line["state"] == "warn" and "days old" in line["text"]
               or "may not read" in line["text"] for line in lines["geo"])


# -- AppArmor --------------------------------------------------------------

def machine(profile, loaded="named (enforce)\n", enabled="Y\n", local=None):
    """A root directory with that profile."""
    root = scratch("root")

    def put(path, text):
        whole = os.path.join(root, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8") as f:
            f.write(text)
    put("sys/module/apparmor/parameters/enabled", enabled)
    if loaded is not None:
        put("sys/kernel/security/apparmor/profiles",
            "man_filter (enforce)\n" + loaded)
    if profile is not None:
        put("etc/apparmor.d/usr.sbin.named", profile)
    if local is not None:
        put("etc/apparmor.d/local/usr.sbin.named", local)
    return root, put


def armor(edge, root):
    return doctor(edge.socket, "--config", edge.json_path, "--root", root,
                  "--plugin", "/usr/lib/x86_64-linux-gnu/bind/nearzone.so")


def real_profile():
    """Debian's own, of bind9; and a base of libraries."""
    if not os.path.exists(PROFILE):
        pytest.skip("bind9 has no profile here")
    with open(PROFILE, encoding="utf-8") as f:
        return f.read()


BASE = ("  /{usr/,}lib{,32,64}/** r,\n"
        "  /{usr/,}lib/@{multiarch}/**.so* mr,\n")


def test_apparmor_with_the_profile_of_debian():
    edge = edge_of(control={"socket": "/var/lib/bind/nearzone/control.sock"},
                   cache={"state-directory": "/var/lib/bind/nearzone"},
                   geo={"databases": ["/usr/share/GeoIP/x.mmdb"]})
    root, put = machine(real_profile(), local="# nothing\n")
    put("etc/apparmor.d/abstractions/base", BASE)
    lines = armor(edge, root)
    # All but the configuration, which is where this test has put it.
    found = expect(lines, "apparmor", "fail", edge.json_path,
                   "local/usr.sbin.named", "apparmor_parser -r")
    assert lines["apparmor"] == [found]
    put("etc/apparmor.d/local/usr.sbin.named", f"{edge.dir}/*.json r,\n")
    expect(armor(edge, root), "apparmor", "ok", "all 5 paths")


def test_apparmor_rules():
    edge = edge_of(control={"socket": "/run/nz/control.sock"},
                   cache={"state-directory": "/srv/nz/state"})
    allow = (f"{edge.dir}/** r,\n/usr/lib/** rm,\n"
             "/srv/nz/** rw,\n/run/nz/** rw,\n")
    good = {
        "plain": allow,
        "perms first": allow.replace("/srv/nz/** rw,", "rw /srv/nz/**,"),
        "braces": allow.replace("/srv/nz", "/{srv,opt{,/a}}/{nz,zn}"),
        "class": allow.replace("/run/nz", "/run/[a-nm-o]z"),
        "question": allow.replace("/run/nz/**", "/run/??/con*.soc?"),
        "quoted": allow.replace("/srv/nz/**", '"/srv/nz/**"'),
        "words": allow.replace("/srv", "audit owner allow file /srv"),
        "deny others": allow + "deny /srv/nz/state/secret rw,\n",
        "run": allow.replace("/run/nz", "@{run}/nz"),
    }
    for what, text in good.items():
        root, _ = machine(f"profile named /usr/sbin/named {{\n{text}}}\n")
        assert expect(armor(edge, root), "apparmor", "ok"), what
    bad = {
        "one level": (allow.replace("/srv/nz/**", "/srv/nz/*"), "/srv/nz"),
        "read": (allow.replace("/run/nz/** rw", "/run/nz/** r"), "/run/nz"),
        "other": (allow.replace("/run/nz", "/run/no"), "/run/nz"),
        "comment": (allow.replace("/run/nz", "# /run/nz"), "/run/nz"),
        "denied": (allow + "deny /run/nz/* w,\n", "/run/nz"),
        "unknown": (allow.replace("/srv", "@{nobody}"), "/srv/nz"),
        "no execute": (allow.replace(" rm,", " r,"), "core.so"),
        "huge": (allow.replace("/run/nz", "/run/" + "{a,b}" * 200), "/run/nz"),
        "stars": (allow.replace("/run/nz", "/" + "**a" * 300), "/run/nz"),
    }
    for what, (text, path) in bad.items():
        root, _ = machine(f"profile named /usr/sbin/named {{\n{text}}}\n")
        found = expect(armor(edge, root), "apparmor", "fail", path)
        assert found, what


def test_apparmor_that_is_not_in_force():
    edge = edge_of()
    cases = [
        ({"enabled": "N\n"}, "ok", "not in use"),
        ({"loaded": ""}, "ok", "no profile of named is loaded"),
        ({"loaded": "/usr/sbin/named (complain)\n"}, "ok", "only complains"),
        ({"loaded": "/usr/sbin/named (enforce)\n"}, "fail", "does not allow"),
        ({"loaded": None}, "warn", "ask as root"),
    ]
    for more, state, words in cases:
        root, _ = machine("profile named /usr/sbin/named { }\n", **more)
        expect(armor(edge, root), "apparmor", state, words)
    root, _ = machine(None)
    expect(armor(edge, root), "apparmor", "warn", "cannot be read")
    # Files that include each other do not go on for ever.
    root, put = machine("#include <local/usr.sbin.named>\n",
                        local="include <usr.sbin.named>\n"
                        "include if exists <local>\n")
    expect(armor(edge, root), "apparmor", "fail", "does not allow")
    assert put


# -- the side-car ------------------------------------------------------------

def test_side_car():
    with Web() as web, scene(web) as (edge, probed):
        other = Probed(edge.write("copy.json", json.dumps(edge.doc)), "t2")
        with other:
            expect(doctor(edge.socket), "side-car", "ok",
                   str(probed.process.pid))
        probed.process.send_signal(signal.SIGTERM)
        assert probed.wait() == 0
        probed.start()
        lines = doctor(edge.socket)
        assert lines["side-car"][0]["state"] != "fail"


def test_side_car_with_another_plugin():
    """It runs, but feeds somebody else."""
    with Sink() as sink:
        edge = edge_of()
        with edge, Probed(edge.json_path, "t1", socket=sink.path):
            wait_for(sink.count, "a batch")
            lines = doctor(edge.socket, status=(1,))
            expect(lines, "side-car", "fail", "told named nothing")


def test_files_of_the_side_car():
    edge = edge_of()
    edge.doc["pops"]["pop"]["servers"]["srv"]["addresses"] = [
        f"127.0.1.{i}" for i in range(1, 17)]
    edge.doc["services"]["web"].update(
        {"interval": "1s", "timeout": "1s", "port": free_port()})
    edge.write_json()
    few = ["prlimit", "--nofile=70:70"]
    with edge, Probed(edge.json_path, "t1", prefix=few):
        lines = doctor(edge.socket, status=(1,))
        expect(lines, "files", "fail", "the side-car may have 70",
               "LimitNOFILE")
        expect(lines, "files", "ok", "named")


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_ping():
    def root(text):
        _, put = (where, put) = machine(None, enabled="N\n")
        if text:
            put("proc/sys/net/ipv4/ping_group_range", text)
        return where
    edge = edge_of()
    drop = ["setpriv", "--bounding-set", "-net_raw", "--clear-groups"]
    with edge:
        with Probed(edge.json_path, "t1"):
            expect(doctor(edge.socket), "ping", "ok", "CAP_NET_RAW")
        with Probed(edge.json_path, "t1", prefix=drop):
            for text, state in (("1\t0\n", "warn"), ("0\t2147483647\n", "ok"),
                                ("100\t200\n", "warn"), (None, "warn"),
                                ("x", "warn")):
                expect(doctor(edge.socket, "--root", root(text)), "ping",
                       state)


# -- usage -------------------------------------------------------------------

def test_usage():
    def run(*args):
        return subprocess.run([os.environ["NZCTL"], *args],
                              capture_output=True, text=True, timeout=20,
                              check=False)
    assert "whether this machine is as Nearzone needs it" in run("help").stdout
    assert "FAIL" in run("help", "doctor").stdout
    assert run("doctor", "now").returncode == 2
    assert run("status", "--root", "/").returncode == 2
    assert sys.version_info >= (3, 9)
