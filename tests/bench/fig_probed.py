# SPDX-License-Identifier: MPL-2.0
"""What the side-car's tests cost, how late they are, how soon they tell.

Real web servers (nginx), the real side-car, a real named; everything on
addresses of 127/8.
"""

import contextlib
import functools
import os
import random
import re
import socket
import threading
import time
import urllib.request

from harness import (Broken, Daemon, Lab, figure, find, median, need,
                     quantile, query_wire, wait_for)
from nzlib.base import free_port
from nzlib.probed import PROBED
from nzlib.prom import get

SERVERS = 10000
ADDRESSES = ['127.2.0.%d' % i for i in range(1, 251)]
INTERVAL_S = 5
SECONDS = 30
LAG = 'nearzone_probed_schedule_lag_seconds'


# -- what is tested, and by whom ----------------------------------------------

class Process(Daemon):
    """A process of the lab, what it says in a file."""

    def __init__(self, lab, name, argv):
        self.log = lab.path(name + '.log')
        with open(self.log, 'w') as log:
            self.process = lab.spawn(argv, stdout=log, stderr=log)

    def said(self, pattern):
        if self.process.poll() is not None:
            raise Broken('it ended: ' + self.text()[-300:])
        return re.search(pattern, self.text(), re.M)

    def text(self):
        with open(self.log) as f:
            return f.read()

    def peak_mb(self):
        with open('/proc/%d/status' % self.process.pid) as f:
            return int(re.search(r'VmHWM:\s+(\d+)', f.read()).group(1)) / 1024


def web(lab, port, addresses):
    """One nginx on all of them, without a log."""
    temp = ''.join('%s_temp_path %s;\n' % (kind, lab.path('nginx-' + kind))
                   for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi',
                                'scgi'))
    conf = lab.write('nginx.conf', '''daemon off; master_process off;
pid %s; error_log %s error;
events { worker_connections 8192; }
http { access_log off; %s
  server { %s location / { return 200 "all is well\\n"; }
           location = /count { stub_status; } }
}
''' % (lab.path('nginx.pid'), lab.path('nginx.err'), temp,
       ' '.join('listen %s:%d backlog=4096;' % (a, port)
                for a in addresses)))
    process = Process(lab, 'nginx', [find('nginx'), '-p', lab.dir, '-e',
                                     lab.path('nginx.err'), '-c', conf])
    wait_for(lambda: process.said('') and os.path.exists(
        lab.path('nginx.pid')), 'nginx to run')
    return process


def service(probe, port, **more):
    return {'probe': probe, 'port': port, 'interval': '%ds' % INTERVAL_S,
            'timeout': '1s', 'rise': 2, 'fall': 2, **more}


def many(services, port, n=SERVERS):
    """'n' servers, a service each in turn, on the addresses in turn."""
    names = list(services)
    return {
        'services': {name: service(probe, port)
                     for name, probe in services.items()},
        'pops': {'p%d' % p: {'servers': {
            's%d' % i: {'addresses': [ADDRESSES[i % len(ADDRESSES)]],
                        'services': [names[i // len(ADDRESSES) % len(names)]]}
            for i in range(p, n, 10)}} for p in range(10)},
        'hostnames': {},
    }


def side_car(lab, server):
    if not os.path.exists(PROBED):
        raise Broken('%s is not built' % PROBED)
    probed = Process(lab, 'probed', [
        PROBED, '--config', server.lab.path(server.name, 'nearzone.json'),
        '--node', 'bench'])
    wait_for(lambda: probed.said('first round done'), 'the first round', 30)
    return probed


def histogram(text, name):
    return {float(le): int(n) for le, n in re.findall(
        r'^%s_bucket\{le="([^"]+)"\} (\d+)$' % name, text, re.M)}


def bucket_of(before, after, q):
    """The upper bound of the bucket in which the quantile is."""
    n = {le: after[le] - before[le] for le in after}
    total = n[float('inf')]
    return min(le for le in n if n[le] >= q * total), total


@functools.lru_cache(None)
def steady():
    """(lag in ms, cores, peak in MB, lines)"""
    need('nginx')
    port, metrics = free_port(), free_port()
    with Lab() as lab:
        web(lab, port, ADDRESSES)
        server = lab.named('edge', steer={
            **many({'tcp': 'tcp', 'web': 'http'}, port),
            'metrics': {'address': ['127.0.0.1'], 'port': metrics}})
        server.start()
        probed = side_car(lab, server)
        time.sleep(INTERVAL_S)
        before = histogram(get(metrics).body.decode(), LAG)
        cpu, began = probed.cpu_ns(), time.monotonic()
        time.sleep(SECONDS)
        cpu = (probed.cpu_ns() - cpu) / 1e9
        took = time.monotonic() - began
        text = get(metrics).body.decode()
        lag, n = bucket_of(before, histogram(text, LAG), 0.99)
        up = re.search(r'^nearzone_probed_targets\{state="up"\} (\d+)', text,
                       re.M)
        if int(up.group(1)) != SERVERS:
            raise Broken('%s servers are up: %s' % (up.group(1),
                                                    probed.text()[-500:]))
        peak = probed.peak_mb()
    if n < 0.95 * SERVERS / INTERVAL_S * took:
        raise Broken('only %d tests in %.1f s' % (n, took))
    return lag * 1000, cpu / took, peak, [
        '%d servers, half tcp, half http, each every %d s, against one nginx on'
        ' %d addresses, results to named: %d tests in %.1f s, %.0f us of the'
        " side-car's CPU each; a scrape of all metrics at either end"
        % (SERVERS, INTERVAL_S, len(ADDRESSES), n, took, cpu / n * 1e6)]


@figure('probe-lag-ms', '<=100')
def probe_lag():
    lag, _, _, lines = steady()
    return lag, ['upper bound of the bucket in which the 99th percentile is',
                 *lines]


@figure('probe-cpu', '<=0.6')
def probe_cpu():
    _, cores, _, lines = steady()
    return cores, lines


@figure('probe-rss-mb', '<=150')
def probe_rss():
    _, _, peak, lines = steady()
    return peak, ['the peak since the start', *lines]


# -- what another one needs for the same ---------------------------------------

PEER_TESTS = 5000
PEER_S = 10
ROUNDS = 3
KINDS = PEER_TESTS // len(ADDRESSES)


def requests(port):
    """How many requests the web server has had, this one left out."""
    found = re.search(r' (\d+) (\d+) (\d+) $', get_raw(port), re.M)
    return int(found.group(3)) - 1


def get_raw(port):
    with urllib.request.urlopen('http://%s:%d/count' % (ADDRESSES[0], port),
                                timeout=10) as reply:
        return reply.read().decode()


def gdnsd(lab, port, dns_port):
    """Tests each address once for each kind of service."""
    root = lab.path('gdnsd')
    types = '\n'.join(
        'k%d => { plugin => http_status, port => %d, url_path => "/",'
        ' interval => %d, timeout => 1, up_thresh => 2, ok_thresh => 1,'
        ' down_thresh => 2 }' % (k, port, INTERVAL_S) for k in range(KINDS))
    sets = '\n'.join(
        'r%d => { service_types => [ %s ], %s }' % (
            i, ', '.join('k%d' % k for k in range(KINDS)),
            'a => %s' % address)
        for i, address in enumerate(ADDRESSES))
    lab.write('gdnsd/config', '''options => {
  listen => [ "127.0.0.1" ], dns_port => %d,
  run_dir => "%s/run", state_dir => "%s/state", udp_threads => 1,
  tcp_threads => 1 }
service_types => { %s }
plugins => { multifo => { %s } }
''' % (dns_port, root, root, types, sets))
    os.makedirs(root + '/zones', exist_ok=True)
    process = Process(lab, 'gdnsd-log', [find('gdnsd'), '-c', root, 'start'])
    wait_for(lambda: process.said('DNS listeners started'), 'gdnsd', 30)
    return process


def cost(process, port):
    """CPU of a test in microseconds, and how many there were."""
    time.sleep(2 * INTERVAL_S)
    cpu, n = process.cpu_ns(), requests(port)
    time.sleep(PEER_S)
    n = requests(port) - n
    cpu = process.cpu_ns() - cpu
    want = PEER_TESTS / INTERVAL_S * PEER_S
    if not 0.8 * want < n < 1.25 * want:
        raise Broken('%d tests in %d s, want about %d' % (n, PEER_S, want))
    process.process.terminate()
    process.process.wait(20)
    return cpu / n / 1000, n


@figure('probe-cost-peer', '<=0.7')
def probe_cost_peer():
    need('nginx', 'gdnsd')
    port, dns_port = free_port(), free_port()
    ours, theirs, lines = [], [], []
    with Lab() as lab:
        web(lab, port, ADDRESSES)
        names = ['k%d' % k for k in range(KINDS)]
        server = lab.named('edge', steer={
            'services': {name: service('http', port) for name in names},
            'pops': {'p': {'servers': {
                's%d' % i: {'addresses': [a], 'services': names}
                for i, a in enumerate(ADDRESSES)}}},
            'hostnames': {}})
        server.start()
        for _ in range(ROUNDS):
            us, n = cost(side_car(lab, server), port)
            them, m = cost(gdnsd(lab, port, dns_port), port)
            ours.append(us)
            theirs.append(them)
            lines.append('ours %.1f us (%d tests), gdnsd %.1f us (%d): %.2f'
                         % (us, n, them, m, us / them))
    return median([a / b for a, b in zip(ours, theirs)]), [
        "CPU a test of HTTP, ours by the side-car's (which also reports to"
        " named), the other's gdnsd's, all threads; %d tests every %d s,"
        ' counted by nginx, alternating, median of %d'
        % (PEER_TESTS, INTERVAL_S, ROUNDS), *lines]


# -- how soon an answer changes --------------------------------------------------

PAIRS = 10
TIMES = 10
ASK_S = 0.02


class Asker:
    """
    Watches one hostname's answer, in which a server is as long as it is up:
    the other one is a backup.
    """

    def __init__(self, port, name, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(('127.0.0.1', port))
        self.socket.settimeout(0.5)
        self.query = query_wire(name)
        self.address = socket.inet_aton(address)

    def is_named(self):
        """Whether the answer has the address; None: no answer."""
        with contextlib.suppress(TimeoutError):
            self.socket.send(self.query)
            return self.address in self.socket.recv(4096)
        return None

    def seconds_until(self, named, since, limit_s=15):
        while time.monotonic() < since + limit_s:
            if self.is_named() is named:
                return time.monotonic() - since
            time.sleep(ASK_S)
        raise Broken('the answer has not changed in %d s' % limit_s)

    def close(self):
        self.socket.close()


def kill_and_revive(server, one, asker, seed, out):
    rng = random.Random(seed)
    for _ in range(TIMES):
        time.sleep(rng.uniform(0, 1))  # at any moment between two tests
        began = time.monotonic()
        one.kill()
        out['fail'].append(asker.seconds_until(False, began))
        time.sleep(rng.uniform(0.5, 1.5))
        began = time.monotonic()
        one.start()
        out['revive'].append(asker.seconds_until(True, began))


@functools.lru_cache(None)
def changes():
    need('nginx')
    from nzlib.web import Web
    spare = Web(address='127.0.0.40')
    webs = [Web(address='127.0.0.%d' % (41 + i), port=spare.port)
            for i in range(PAIRS)]
    servers = {'s%d' % i: {'addresses': [one.address]}
               for i, one in enumerate([*webs, spare])}
    out = {'fail': [], 'revive': [], 'broken': []}

    def run(number, one, asker):
        try:
            kill_and_revive(server, one, asker, number, out)
        except Exception as error:  # told below, by who waits
            out['broken'].append(error)

    with Lab() as lab, contextlib.ExitStack() as stack:
        server = lab.named('edge', steer={
            'services': {'web': service('http', spare.port, interval='1s',
                                        timeout='500ms')},
            'pops': {'p': {'servers': servers}},
            'domains': {'gslb.test': {'ns': ['ns.elsewhere.test']}},
            'hostnames': {'w%d.gslb.test' % i: {
                'service': 'web', 'servers': ['s%d' % i],
                'backup': ['s%d' % PAIRS], 'ttl': 1} for i in range(PAIRS)}})
        for one in [*webs, spare]:
            stack.callback(one.kill)
            one.start()
        server.start()
        side_car(lab, server)
        threads = []
        for i, one in enumerate(webs):
            asker = Asker(server.port, 'w%d.gslb.test' % i, one.address)
            stack.callback(asker.close)
            asker.seconds_until(True, time.monotonic())
            threads.append(threading.Thread(target=run, args=(i, one, asker)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if out['broken']:
        raise out['broken'][0]
    return out


def seconds(kind, what):
    values = changes()[kind]
    return quantile(values, 0.99), [
        '%d times, %d servers of %d hostnames at once, interval 1 s, rise 2,'
        ' fall 2: from %s to the first answer %s, asked every %d ms: median'
        ' %.2f s, worst %.2f s' % (len(values), PAIRS, PAIRS, *what,
                                   ASK_S * 1000, median(values), max(values))]


@figure('failover-p99-s', '<=3.2')
def failover_p99():
    return seconds('fail', ('the kill (SIGKILL) of nginx', 'without it'))


@figure('revive-p99-s', '<=3.2')
def revive_p99():
    return seconds('revive', ("the start of nginx's process", 'with it'))
