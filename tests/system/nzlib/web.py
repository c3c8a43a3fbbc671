# SPDX-License-Identifier: MPL-2.0
"""Servers to be tested: a real nginx, and some that misbehave."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time

from nzlib.base import free_port, patience, scratch, wait_for

ADDRESS = "127.0.0.11"
NGINX = os.environ.get("NGINX", "/usr/sbin/nginx")

_FORMAT = ('{"time":$msec,"method":"$request_method","uri":"$request_uri",'
           '"protocol":"$server_protocol","host":"$http_host",'
           '"sni":"$ssl_server_name","agent":"$http_user_agent",'
           '"session":"$ssl_session_reused","connection":$connection,'
           '"client":"$remote_addr","status":$status}')


def _quoted(text):
    """A string of nginx's configuration; '$' would begin a variable."""
    assert "$" not in text, text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Web:
    """Answers every request with 'status' and 'body'.

    'tls' is a pair of files, certificate and key; None: no TLS.  'more' goes
    into the server block.  Attributes changed take effect at restart().
    """

    def __init__(self, address=ADDRESS, port=None, tls=None, body="ok",
                 status=200, more=""):
        self.address = address
        self.port = port or free_port()
        self.tls = tls
        self.body = body
        self.status = status
        self.more = more
        self.dir = scratch("web")
        self.process = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def _write_conf(self):
        at = f"[{self.address}]" if ":" in self.address else self.address
        tls = ""
        if self.tls:
            tls = (f"ssl_certificate {self.tls[0]};\n"
                   f"ssl_certificate_key {self.tls[1]};\n")
        temp = "".join(f"{kind}_temp_path {self.dir}/{kind};\n" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(self.path("conf"), "w", encoding="utf-8") as f:
            f.write(f"""
daemon off;
master_process off;
pid {self.dir}/pid;
error_log {self.dir}/error info;
events {{ worker_connections 4096; }}
http {{
    log_format json escape=json '{_FORMAT}';
    access_log {self.dir}/access json;
    default_type text/plain;
    {temp}
    server {{
        listen {at}:{self.port}{' ssl' if self.tls else ''};
        server_name _;
        {tls}
        {self.more}
        location / {{ return {self.status} {_quoted(self.body)}; }}
    }}
}}
""")

    def start(self):
        assert self.process is None
        self._write_conf()
        with open(self.path("output"), "ab") as out:
            self.process = subprocess.Popen(
                [NGINX, "-p", self.dir, "-e", self.path("error"), "-c",
                 self.path("conf")], stdin=subprocess.DEVNULL, stdout=out,
                stderr=out)
        try:
            wait_for(self._is_ready, "nginx to listen")
        except AssertionError:
            self.kill()
            raise
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            with open(self.path("output"), encoding="utf-8") as f:
                raise AssertionError(f"nginx ended: {f.read()}")
        try:
            socket.create_connection((self.address, self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self):
        """Ends it; its port then refuses connections.  Idempotent."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(patience(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self):
        """SIGKILL: for a machine that dies."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def pause(self):
        """It holds its port, and the kernel its connections; no answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process is not None:
            self.resume()
        self.stop()

    def requests(self, since=0.0):
        """What it was asked, oldest first, from the unix time 'since' on."""
        try:
            with open(self.path("access"), encoding="utf-8") as f:
                lines = f.read().split("\n")[:-1]
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines]
        return [r for r in found if r["time"] >= since]

    def wait_request(self, since=None, seconds=10):
        """The first request from now, or from 'since', on."""
        since = time.time() if since is None else since
        return wait_for(lambda: self.requests(since), "a request",
                        seconds)[0]


class Script:
    """A TCP server that reads a request and answers with pieces.

    Each piece is sent on its own, 'gap' seconds after the one before; with
    'hold' the connection then stays open.  'times': when clients came.
    """

    def __init__(self, *pieces, gap=0.0, hold=False, address=ADDRESS, read=True):
        self.pieces = pieces
        self.gap = gap
        self.hold = hold
        self.read = read
        self.times = []
        self.held = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = free_port()
        self.listener.bind((address, self.port))
        self.listener.listen(200)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.times.append(time.monotonic())
            threading.Thread(target=self._answer, args=(client,),
                             daemon=True).start()

    def _answer(self, client):
        with contextlib.suppress(OSError):
            if self.read:
                client.recv(65536)
            for piece in self.pieces:
                client.sendall(piece)
                time.sleep(self.gap)
        if self.hold:
            self.held.append(client)
            return
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
            client.recv(65536)
        client.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for client in self.held:
            client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Full:
    """A listener whose queue is full: whoever connects hears nothing."""

    def __init__(self):
        self.port = free_port()
        self.listener = socket.socket()
        self.listener.bind((ADDRESS, self.port))
        self.listener.listen(0)
        self.fillers = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((ADDRESS, self.port))
            self.fillers.append(s)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in [self.listener, *self.fillers]:
            s.close()


def expired_certificate(name):
    """A certificate that ended yesterday: (cert, key)."""
    where = scratch("expired")
    key, cert = os.path.join(where, "key.pem"), os.path.join(where, "cert.pem")
    request, more = os.path.join(where, "req"), os.path.join(where, "ext")
    with open(more, "w", encoding="utf-8") as f:
        f.write(f"subjectAltName=DNS:{name}\n")
    for command in (
            ["openssl", "req", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
             request, "-subj", f"/CN={name}"],
            ["openssl", "x509", "-req", "-in", request, "-signkey", key,
             "-days", "-1", "-extfile", more, "-out", cert]):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key
