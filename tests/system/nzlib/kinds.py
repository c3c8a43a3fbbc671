# SPDX-License-Identifier: MPL-2.0
"""Every kind of probe against a real server: up, down, wrong, hanging, slow.

One table of cases, which a test and a figure share.  What is slow is a real
server behind a forwarder that waits; what hangs takes a connection and says
nothing.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

from nzlib.base import free_port, patience, scratch, wait_for
from nzlib.named import Named
from nzlib.pki import certificate
from nzlib.probed import PROBED

HOST = "127.0.0.1"
NAME = "probes.test"
SLOW_S = 0.4
PLUGINS = "/usr/lib/nagios/plugins"
NEEDS = ["/usr/sbin/nginx", "/usr/lib/nginx/modules/ngx_rtmp_module.so",
         "/usr/sbin/vsftpd", "/usr/sbin/postfix", "/usr/sbin/named",
         PLUGINS + "/check_tcp", "/usr/bin/rtsp-server-perl"]

_SDP = "\r\n".join((
    "v=0", f"o=- 0 0 IN IP4 {HOST}", "s=probe", f"c=IN IP4 {HOST}", "t=0 0",
    "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:streamid=0",
    ""))


def missing():
    """What these cases need and this machine has not."""
    absent = [path for path in NEEDS if not os.path.exists(path)]
    return absent + (["root"] if os.getuid() != 0 else [])


def listens(port, address=HOST):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


# -- real servers --------------------------------------------------------------

@contextlib.contextmanager
def process(command, port, what):
    """A server in the foreground; ends with the block."""
    where = scratch("kind")
    with open(os.path.join(where, "output"), "ab") as out:
        run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                               stderr=out)
    try:
        def ready():
            with open(os.path.join(where, "output"), encoding="utf-8",
                      errors="replace") as f:
                assert run.poll() is None, (command, f.read())
            return listens(port)
        wait_for(ready, f"{what} to listen", 20)
        yield run
    finally:
        run.send_signal(signal.SIGTERM)
        try:
            run.wait(patience(10))
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()


@contextlib.contextmanager
def nginx(ports, tls):
    where = scratch("nginx")
    temp = "".join(f"{kind}_temp_path {where}/{kind};\n" for kind in
                   ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    site = ("location / { add_header X-Health fine; return 200 "
            "'all is well, load 17'; }\n"
            "location /gone { return 503; }\n")
    secret = (f"ssl_certificate {tls[0]};\nssl_certificate_key {tls[1]};\n")
    conf = os.path.join(where, "conf")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"""
load_module modules/ngx_rtmp_module.so;
daemon off;
master_process off;
pid {where}/pid;
events {{ worker_connections 512; }}
rtmp {{ server {{ listen {HOST}:{ports["rtmp"]}; application live {{ live on; }} }} }}
http {{
    access_log off;
    {temp}
    server {{ listen {HOST}:{ports["http"]}; {site} }}
    server {{ listen {HOST}:{ports["https"]} ssl; {secret} {site} }}
    server {{ listen {HOST}:{ports["http2"]} ssl http2; {secret} {site} }}
}}
""")
    with process(["/usr/sbin/nginx", "-p", "/usr/share/nginx", "-e",
                  os.path.join(where, "error"), "-c", conf], ports["rtmp"],
                 "nginx"):
        yield


@contextlib.contextmanager
def vsftpd(port, tls, implicit):
    where = scratch("vsftpd")
    os.makedirs(os.path.join(where, "empty"))
    conf = os.path.join(where, "conf")
    with open(conf, "w", encoding="utf-8") as f:
        f.write(f"""listen=YES
background=NO
run_as_launching_user=YES
listen_address={HOST}
listen_port={port}
anonymous_enable=YES
anon_root={where}
secure_chroot_dir={where}/empty
ftpd_banner=files of {NAME}
ssl_enable=YES
implicit_ssl={"YES" if implicit else "NO"}
allow_anon_ssl=YES
force_local_logins_ssl=NO
force_local_data_ssl=NO
rsa_cert_file={tls[0]}
rsa_private_key_file={tls[1]}
""")
    with process(["/usr/sbin/vsftpd", conf], port, "vsftpd"):
        yield


@contextlib.contextmanager
def postfix(port, tls):
    where = scratch("postfix")
    os.chmod(where, 0o755)
    conf, queue, data = (os.path.join(where, d)
                         for d in ("conf", "queue", "data"))
    for path in (conf, queue, data):
        os.mkdir(path)
    shutil.chown(data, "postfix")
    with open(os.path.join(conf, "main.cf"), "w", encoding="utf-8") as f:
        f.write(f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mail.{NAME}
mydestination =
maillog_file = {where}/log
maillog_file_prefixes = {where}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {tls[0]}
smtpd_tls_key_file = {tls[1]}
smtpd_peername_lookup = no
smtpd_recipient_restrictions = reject
""")
    with open(os.path.join(conf, "master.cf"), "w", encoding="utf-8") as f:
        f.write(f"""{HOST}:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
""")
    subprocess.run(["/usr/sbin/postfix", "-c", conf, "start"], check=True,
                   capture_output=True, timeout=60)
    try:
        wait_for(lambda: listens(port), "postfix to listen", 20)
        yield
    finally:
        subprocess.run(["/usr/sbin/postfix", "-c", conf, "stop"], check=False,
                       capture_output=True, timeout=60)


@contextlib.contextmanager
def rtsp(port):
    """An RTSP server with one stream, whose source never sends anything."""
    source, media = free_port(), free_port()
    url = f"rtsp://{HOST}:{source}/live"
    with process(["/usr/bin/rtsp-server-perl", "--clientport", str(port),
                  "--client_listen_address", HOST,
                  "--serverport", str(source),
                  "--source_listen_address", HOST,
                  "--rtp_start_port", str(media)], port, "the RTSP server"), \
            socket.create_connection((HOST, source), 5) as wire, \
            wire.makefile("rb") as replies:
        for i, (request, body) in enumerate((
                (f"ANNOUNCE {url} RTSP/1.0\r\n"
                 "Content-Type: application/sdp\r\n"
                 f"Content-Length: {len(_SDP)}\r\n", _SDP),
                (f"SETUP {url}/streamid=0 RTSP/1.0\r\n"
                 "Transport: RTP/AVP/UDP;unicast;client_port=9-10;"
                 "mode=record\r\n", ""),
                (f"RECORD {url} RTSP/1.0\r\n", ""))):
            wire.sendall(f"{request}CSeq: {i}\r\n\r\n{body}".encode())
            assert replies.readline() == b"RTSP/1.0 200 OK\r\n", request
            while replies.readline() != b"\r\n":
                pass
        yield


class Servers:
    """All of them, and their ports."""

    def __init__(self):
        self.tls = certificate(NAME)
        self.ports = {kind: free_port() for kind in
                      ("http", "https", "http2", "rtmp", "ftp", "ftps",
                       "smtp", "rtsp")}
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for path in self.tls:
                os.chmod(path, 0o644)
                os.chmod(os.path.dirname(path), 0o755)
            stack.enter_context(nginx(self.ports, self.tls))
            stack.enter_context(vsftpd(self.ports["ftp"], self.tls, False))
            stack.enter_context(vsftpd(self.ports["ftps"], self.tls, True))
            stack.enter_context(postfix(self.ports["smtp"], self.tls))
            stack.enter_context(rtsp(self.ports["rtsp"]))
            named = Named("probednamed",
                          body=lambda n: f'zone "{NAME}" {{ type primary; '
                          f'file "{n.path("zone")}"; }};')
            named.write("zone", f"""$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ MX 10 mail
ns A 192.0.2.53
www A 192.0.2.80
www AAAA 2001:db8::80
text TXT "all is well"
""")
            stack.enter_context(named)
            self.ports["dns"] = named.port
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()


# -- in front of them ----------------------------------------------------------

class Slow:
    """Takes connections and passes them on, after a while."""

    def __init__(self, port):
        self.to = port
        self.port = free_port()
        self.listener = socket.create_server((HOST, self.port), backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,),
                             daemon=True).start()

    def _pass(self, client):
        time.sleep(SLOW_S)
        with contextlib.suppress(OSError):
            server = socket.create_connection((HOST, self.to), 5)
            server.settimeout(None)
            threading.Thread(target=self._copy, args=(client, server),
                             daemon=True).start()
            self._copy(server, client)

    @staticmethod
    def _copy(come, go):
        with contextlib.suppress(OSError):
            while data := come.recv(65536):
                go.sendall(data)
        for s in (come, go):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


class SlowNames:
    """The same for datagrams."""

    def __init__(self, port):
        self.to = port
        self.port = free_port()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                data, client = self.socket.recvfrom(65536)
            except OSError:
                return
            time.sleep(SLOW_S)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(2)
                s.sendto(data, (HOST, self.to))
                with contextlib.suppress(OSError):
                    self.socket.sendto(s.recv(65536), client)

    def close(self):
        self.socket.close()


class Mute:
    """Takes connections, or datagrams, and says nothing."""

    def __init__(self):
        self.port = free_port()
        self.listener = socket.create_server((HOST, self.port), backlog=256)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((HOST, self.port))

    def close(self):
        self.listener.close()
        self.udp.close()


class Bad:
    """A TCP server that sends what 'pieces' yields, then does 'last'."""

    def __init__(self, pieces, reset=False):
        self.pieces = pieces
        self.reset = reset
        self.port = free_port()
        self.listener = socket.create_server((HOST, self.port), backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._send, args=(client,),
                             daemon=True).start()

    def _send(self, client):
        with contextlib.suppress(OSError), client:
            for piece in self.pieces():
                client.sendall(piece)
            if self.reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack("ii", 1, 0))

    def close(self):
        self.listener.close()


# -- the cases -----------------------------------------------------------------

UP, SLOW = "up", "slow"
REFUSED, TIMEOUT = "connection refused", "timed out"


def plugin(name, *args):
    return [f"{PLUGINS}/{name}", *args]


def kinds_of(servers):
    """Of each kind: its port, what its service is, and what is wrong."""
    ports = servers.ports
    tls = {"host": NAME, "ca-file": servers.tls[0]}
    zone = {"name": f"www.{NAME}"}
    yield "tcp", ports["smtp"], {}, [
        ({"expect": {"body": "HELO"}}, "timed out"),
    ], [{"expect": {"body": "220 mail"}}, {"expect": {"regex": "^220 .*P"}}]
    wrong = [({"path": "/gone"}, "unexpected status"),
             ({"expect": {"status": 204}}, "unexpected status"),
             ({"expect": {"status": ["300-399", 204]}}, "unexpected status"),
             ({"expect": {"body": "all is ill"}}, "expected text not found"),
             ({"expect": {"regex": "load [0-9]$"}}, "expected text not found"),
             ({"expect": {"headers": ["X-None"]}},
              "expected header not found"),
             ({"expect": {"headers": "X-Health: ill".split("|")}},
              "expected header not found"),
             ({"expect": {"size-max": 10}}, "unexpected size"),
             ({"expect": {"size-min": 100}}, "unexpected size"),
             ({"expect": {"sha256": "0" * 64}}, "unexpected content")]
    good = [{}, {"expect": {
        "status": ["200-204", 301], "body": "is well",
        "regex": "load [0-9]+$", "headers": ["x-health: fine", "Server"],
        "size-min": 20, "size-max": 20, "sha256":
        hashlib.sha256(b"all is well, load 17").hexdigest()}},
            {"method": "HEAD"}, {"headers": ["X-Who: nz"]},
            {"source": "127.0.0.12"}]
    yield "http", ports["http"], {}, wrong, good
    more = [({"host": "other.test"}, "certificate not accepted"),
            ({"expect": {"valid-for": "300d"}}, "certificate not accepted")]
    secure = [{"verify": False, "host": "other.test"},
              {"expect": {"valid-for": "7d"}}]
    yield "https", ports["https"], tls, wrong + more, good + secure
    yield "http2", ports["http2"], tls, [
        *wrong, *more, ({"port": ports["https"]}, "unexpected protocol")], \
        good + secure
    yield "tls", ports["https"], tls, [
        *more, ({"port": ports["http"]}, "TLS handshake failed")], \
        [{}, *secure]
    yield "ftp", ports["ftp"], {}, [
        ({"expect": {"body": "other files"}}, "expected text not found"),
        ({"port": ports["rtmp"]}, TIMEOUT),
        ({"starttls": True, "host": "other.test",
          "ca-file": servers.tls[0]}, "certificate not accepted")], [
        {}, {"expect": {"body": NAME}}, {"starttls": True, **tls}]
    yield "ftps", ports["ftps"], tls, [
        ({"expect": {"body": "other files"}}, "expected text not found"),
        *more, ({"port": ports["ftp"]}, "TLS handshake failed")], [
        {}, {"expect": {"regex": "files of [a-z.]+"}}, *secure]
    yield "smtp", ports["smtp"], {}, [
        ({"expect": {"body": "other.test"}}, "expected text not found"),
        ({"starttls": True, "host": "other.test",
          "ca-file": servers.tls[0]}, "certificate not accepted")], [
        {}, {"expect": {"body": f"mail.{NAME}"}}, {"starttls": True, **tls}]
    yield "rtsp", ports["rtsp"], {}, [
        ({"method": "DESCRIBE", "path": "/none"}, "unexpected status"),
        ({"method": "DESCRIBE", "path": "/live",
          "expect": {"body": "m=audio"}}, "expected text not found"),
        ({"port": ports["http"]}, "unexpected protocol")], [
        {}, {"expect": {"headers": ["Public: OPTIONS"]}},
        {"method": "DESCRIBE", "path": "/live",
         "expect": {"body": "m=video", "status": 200}}]
    yield "rtmp", ports["rtmp"], {}, [
        ({"port": ports["http"]}, "unexpected protocol"),
        ({"port": ports["smtp"]}, "unexpected protocol")], [
        {}, {"source": "127.0.0.12"}]
    for transport in ("udp", "tcp"):
        way = {"transport": transport}
        yield "dns", ports["dns"], {"question": {**zone, **way}}, [
            ({"expect": {"answers": "192.0.2.81"}},
             "expected text not found"),
            ({"expect": {"rcode": "NXDOMAIN"}}, "unexpected status"),
            ({"question": {"name": f"none.{NAME}", **way}},
             "unexpected status"),
            ({"question": {"name": "www.other.test", **way}},
             "unexpected status")], [
            {}, {"expect": {"answers": "192.0.2.80"}},
            {"question": {**zone, "type": "AAAA", **way},
             "expect": {"answers": ["2001:DB8:0::80"]}},
            {"question": {"name": f"text.{NAME}", "type": "TXT", **way},
             "expect": {"answers": ["all is well"]}},
            {"question": {"name": NAME, "type": "MX", **way},
             "expect": {"answers": [f"10 mail.{NAME}."]}},
            {"question": {"name": f"none.{NAME}", **way},
             "expect": {"rcode": ["NXDOMAIN"]}},
            {"question": {"name": "www.other.test", **way},
             "expect": {"rcode": ["SERVFAIL", "REFUSED"]}}]
    reach = plugin("check_tcp", "-H", "{address}", "-p", "{port}", "-e",
                   "220", "-t", "5")
    yield "program", ports["smtp"], {"command": reach}, [
        ({"command": plugin("check_dummy", "2", "ill")},
         "the program reports a failure (critical: CRITICAL: ill)"),
        ({"command": plugin("check_dummy", "3", "who knows")},
         "the program reports a failure (cannot say, exit 3"),
        ({"command": ["/bin/sh", "-c", "kill -9 $$"]},
         "the program reports a failure (ended by signal 9)"),
        ({"command": ["/nowhere/check"]}, "trouble of the tester itself"),
        ({"command": ["/usr/bin/yes"]},
         "the program reports a failure (killed"),
        ({"perfdata": "none"}, "expected text not found"),
        ({"command": plugin("check_dummy", "0", "fine"),
          "expect": {"body": "ill"}}, "expected text not found")], [
        {}, {"perfdata": "time"},
        {"command": plugin("check_dummy", "0", "$(exit 2); a|b=7"),
         "perfdata": "b"}]


def cases(servers, stack):
    """Yields (name, service, what must come of it) for all kinds."""
    mute = Mute()
    stack.callback(mute.close)
    for i, (kind, port, more, wrong, good) in enumerate(kinds_of(servers)):
        def case(what, expected, *parts, kind=kind, port=port, more=more,
                 i=i):
            service = {"probe": kind, "port": port, "interval": "10s",
                       "timeout": "1500ms", "rise": 1, "fall": 1}
            for part in (more, *parts):
                service.update(part)
            return f"{kind}-{i}-{what}", service, expected
        for k, part in enumerate(good):
            yield case(f"up-{k}", UP, part)
        for k, (part, expected) in enumerate(wrong):
            yield case(f"wrong-{k}", expected, part)
        down, hangs = REFUSED, TIMEOUT
        if kind == "program":
            down = "the program reports a failure (critical"
        yield case("down", down, {"port": free_port()})
        talks = [{"expect": {"body": "220"}}] if kind == "tcp" else []
        yield case("hanging", hangs, {"port": mute.port}, *talks)
        udp = kind == "dns" and more["question"]["transport"] == "udp"
        slow = SlowNames(port) if udp else Slow(port)
        stack.callback(slow.close)
        yield case("slow", SLOW, {"port": slow.port, "degraded": "200ms"},
                   *talks)
    yield ("program-warning", {
        "probe": "program", "command": plugin("check_dummy", "1", "warm"),
        "interval": "10s"}, SLOW)


def once(services):
    """One round of the side-car: its rows, by service."""
    where = scratch("kinds")
    path = os.path.join(where, "nearzone.json")
    # A server offers at most 64 services, so there are several.
    names = list(services)
    servers = {f"s{i}": {"addresses": [HOST],
                         "services": names[i:i + 60]}
               for i in range(0, len(names), 60)}
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"version": 1, "services": services,
                   "pops": {"pop": {"servers": servers}}}, f)
    done = subprocess.run([PROBED, "--config", path, "--node", "n1", "--once",
                           "--json"], capture_output=True, text=True,
                          timeout=patience(60), check=False)
    assert done.returncode in (0, 1) and done.stderr == "", done.stderr
    return {row["service"]: row for row in json.loads(done.stdout)["targets"]}


def is_right(row, expected):
    if expected == UP:
        return row["state"] == "up" and not row.get("slow")
    if expected == SLOW:
        return row["state"] == "up" and row.get("slow") is True
    return row["state"] == "down" and row["error"].startswith(expected)


def judge():
    """Runs all cases: (number of them, [(name, expected, row) misjudged])."""
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(Servers())
        table = list(cases(servers, stack))
        rows = once({name: service for name, service, _ in table})
        return len(table), [(name, expected, rows[name])
                            for name, _, expected in table
                            if not is_right(rows[name], expected)]
