# SPDX-License-Identifier: MPL-2.0
"""Traffic management beside its peers, and what its tables cost.

gdnsd and PowerDNS answer for the same names, each with its own plugins or
backend and its defaults, but one thread; the edge is a whole named.  Every
name has eight addresses to choose from, one in an answer.
"""

import gzip
import json
import multiprocessing
import os
import re
import socket
import threading
import time

from fig_diff import TOP
from fig_dnsdist import rotated
from fig_hit import HOSTS, KINDS, PAIRS, compare, cpu_us, questions
from fig_steer import ADDRESSES, SERVERS, document, feed, instructions
from harness import (Broken, Daemon, Lab, Skip, figure, find, load, median,
                     need, quantile, query_wire, wait_for, zone_text)
from nzlib.base import free_port

ZONES = {'weighted': 'w.test', 'geoip': 'g.test'}
SOA = 'ns.elsewhere.test hm.elsewhere.test 1 7200 1800 259200 900'


class Peer(Daemon):
    """Another server on a port of its own."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.port = free_port()
        os.makedirs(lab.path(name), exist_ok=True)

    def run(self, argv, cpu):
        with open(self.lab.path(self.name, 'log'), 'w') as log:
            self.process = self.lab.spawn(
                [find('taskset'), '-c', str(cpu)] + argv, stdout=log,
                stderr=log)
        wait_for(self._answers, self.name + ' to answer', 20)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            with open(self.lab.path(self.name, 'log')) as f:
                raise Broken('%s ended: %s' % (self.name, f.read()[-300:]))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.settimeout(0.2)
                s.connect(('127.0.0.1', self.port))
                s.send(query_wire('h7.' + self.zone))
                reply = s.recv(4096)
            except OSError:
                return False
        if reply[3] & 15 or reply[6:8] != b'\0\1':
            raise Broken('%s gives no address' % self.name)
        return True


class Gdnsd(Peer):
    zone = 'w.test'

    def start(self, cpu):
        path = self.lab.path(self.name)
        for sub in ('zones', 'run', 'state'):
            os.makedirs(os.path.join(path, sub), exist_ok=True)
        weights = ', '.join('a%d => [ %s, 10 ]' % (i, a)
                            for i, a in enumerate(ADDRESSES))
        places = ', '.join('d%d' % i for i in range(SERVERS))
        where = ', '.join('d%d => %s' % (i, a)
                          for i, a in enumerate(ADDRESSES))
        self.lab.write(self.name + '/config', '''
options => { listen => [127.0.0.1:%d], udp_threads => 1, tcp_threads => 1,
  run_dir => %s/run, state_dir => %s/state }
plugins => {
  weighted => { service_types => up, w => { %s } }
  geoip => {
    maps => { m => { datacenters => [ %s ], nets => { 127.0.0.0/8 => [ %s ] } } }
    resources => { g => { map => m, service_types => up, dcmap => { %s } } }
  }
}
''' % (self.port, path, path, weights, places, places, where))
        for zone, plugin in (('w.test', 'weighted!w'), ('g.test', 'geoip!g')):
            self.lab.write('%s/zones/%s' % (self.name, zone), ''.join(
                ['@ SOA %s\n@ NS ns.elsewhere.test.\n' % SOA.replace(
                    '.test ', '.test. ')] +
                ['h%d 3600 DYNA %s\n' % (i, plugin) for i in range(HOSTS)]))
        return self.run([find('gdnsd'), '-c', path, 'start'], cpu)


class Pdns(Peer):
    zone = 'g.test'

    def start(self, cpu):
        lines = ['domains:']
        for zone in ('g.test', 'l.test'):
            lines += ['- domain: ' + zone, '  ttl: 3600', '  records:',
                      '    %s:' % zone, '      - soa: ' + SOA,
                      '      - ns: ns.elsewhere.test']
            lines += ['    d%d.%s:\n      - a: %s' % (i, zone, a)
                      for i, a in enumerate(ADDRESSES)]
            if zone == 'l.test':
                choice = ','.join("{10,'%s'}" % a for a in ADDRESSES)
                lines += ['    h%d.l.test:\n      - lua: A "pickwrandom({%s})"'
                          % (i, choice) for i in range(HOSTS)]
                lines += ['  services: {}']
            else:
                lines += ['  services:'] + [
                    '    h%d.g.test: { default: [ "d1.g.test" ], 127.0.0.0/8:'
                    ' [ "d0.g.test" ] }' % i
                    for i in range(HOSTS)]
        file = self.lab.write(self.name + '/geo.yml', '\n'.join(lines) + '\n')
        return self.run([
            find('pdns_server'), '--no-config', '--launch=geoip',
            '--geoip-zones-file=' + file, '--local-address=127.0.0.1',
            '--local-port=%d' % self.port, '--daemon=no', '--guardian=no',
            '--socket-dir=' + self.lab.path(self.name), '--receiver-threads=1',
            '--distributor-threads=1', '--enable-lua-records=yes'], cpu)


def steering(lab):
    """A named that decides for w.test by weight, for g.test by place."""
    doc = document('w.test')
    near = document('g.test')
    doc['hostnames'].update(near['hostnames'])
    doc['pops'] = {'p%d' % i: {'servers': {
        's%d' % i: {'addresses': [a], 'weight': 10}}}
        for i, a in enumerate(ADDRESSES)}
    doc['clients'] = {'here': {'prefixes': ['127.0.0.0/8'], 'latency': {
        'p%d' % i: 10 * (i + 1) for i in range(SERVERS)}}}
    for name, host in doc['hostnames'].items():
        if name.endswith('.w.test'):
            host['weigh'] = {'latency': 0}
    doc['domains'] = {zone: {'ns': ['ns.elsewhere.test']}
                      for zone in ZONES.values()}
    return lab.named('edge', steer=doc)


def costs(lab, servers, zones, rounds):
    """{name: us a query, of each round}, by turns."""
    files = {name: questions(lab, zone, (False, True), False, 10000)
             for name, zone in zones.items()}
    for name, server in servers.items():
        cpu_us(lab, server, files[name], 3)
    cost = {name: [] for name in servers}
    for turn in range(rounds):
        for name in rotated(servers, turn):
            cost[name].append(cpu_us(lab, servers[name], files[name], 5))
    return cost


def ratio_line(cost, ours, theirs, what):
    ratios = [a / b for a, b in zip(cost[ours], cost[theirs])]
    return median(ratios), (
        '%s: edge %.2f us, %s %.2f us a query (medians); ratio %.3f,'
        ' quartiles %.3f .. %.3f' % (
            what, median(cost[ours]), theirs, median(cost[theirs]),
            median(ratios), quantile(ratios, .25), quantile(ratios, .75)))


@figure('gtm-cpu-gdnsd', '<=1.6')
def gtm_cpu_gdnsd():
    need('dnsperf', 'taskset', 'gdnsd')
    worst, lines = 0, []
    with Lab() as lab:
        edge = steering(lab).start(cpu=0, threads=1)
        feed(edge)
        peer = Gdnsd(lab, 'gdnsd').start(cpu=0)
        for kind, zone in ZONES.items():
            ratio, line = ratio_line(
                costs(lab, {'edge': edge, 'gdnsd': peer},
                      {'edge': zone, 'gdnsd': zone}, PAIRS),
                'edge', 'gdnsd', kind)
            worst = max(worst, ratio)
            lines.append(line)
    lines.append('%d rounds of 50000 questions each, half with EDNS; all on'
                 ' CPU 0, dnsperf on CPU 1; the stretch is 1.2' % PAIRS)
    return worst, lines


@figure('gtm-cpu-pdns', '<=0.5')
def gtm_cpu_pdns():
    need('dnsperf', 'taskset', 'pdns_server')
    with Lab() as lab:
        edge = steering(lab).start(cpu=0, threads=1)
        feed(edge)
        try:
            peer = Pdns(lab, 'pdns').start(cpu=0)
        except Broken as why:
            if 'geoip' in str(why):
                raise Skip('pdns-backend-geoip is not installed') from why
            raise
        cost = costs(lab, {'edge': edge, 'geoip': peer},
                     {'edge': 'g.test', 'geoip': 'g.test'}, PAIRS)
        file = questions(lab, 'l.test', (False, True), False, 3000)
        lua = [cpu_us(lab, peer, file, 1) for _ in range(5)]
    value, line = ratio_line(cost, 'edge', 'geoip', 'PowerDNS geoip')
    lines = [line, 'PowerDNS Lua, pickwrandom: %.2f us a query (median of 5'
             ' runs of 3000)' % median(lua)]
    lines.append('%d rounds of 50000 questions each, half with EDNS; all on'
                 ' CPU 0, dnsperf on CPU 1; defaults, its packet cache'
                 ' included' % PAIRS)
    return value, lines


# -- programs beside this ------------------------------------------------------

def helper(name):
    path = os.path.join(os.environ.get('builddir', '.'), 'tests/bench', name)
    if not os.access(path, os.X_OK):
        raise Skip('%s is not built: run make bench' % path)
    return path


def numbers(text):
    return {k: float(v) for k, v in re.findall(r'^(\w+) ([0-9.]+)', text,
                                               re.M)}


# -- shares --------------------------------------------------------------------

WEIGHTS = [1, 2, 3, 5, 8, 13, 21, 47]


@figure('weight-error', '<=0.3')
def weight_error():
    """A million answers: shares of weight asked for, and given."""
    need('dnsperf')
    doc = document('w.test')
    for i, weight in enumerate(WEIGHTS):
        doc['pops']['p']['servers']['s%d' % i]['weight'] = weight
    doc['domains'] = {'w.test': {'ns': ['ns.elsewhere.test']}}
    with Lab() as lab:
        edge = lab.named('edge', steer=doc).start()
        feed(edge)
        file = questions(lab, 'w.test', (False, True), False, 10000)
        load(lab, edge, file, times=100, window=100)
        given = {s['server']: s['given']
                 for s in edge.control(command='servers')['servers']}
    total = sum(given.values())
    if total < 1000000:
        raise Broken('only %d answers' % total)
    errors = {name: 100 * (given[name] / total - WEIGHTS[int(name[1:])] /
                           sum(WEIGHTS)) for name in given}
    worst = max(errors.values(), key=abs)
    return abs(worst), [
        '%d answers, weights %s: given %s per cent; off by %s points' % (
            total, WEIGHTS,
            ' '.join('%.2f' % (100 * given[n] / total) for n in given),
            ' '.join('%+.3f' % e for e in errors.values()))]


# -- configuration and feed ----------------------------------------------------

def big(hostnames=10000, servers=1000, each=10):
    names = ['s%04d' % i for i in range(servers)]
    return {
        'version': 1, 'serial': 1,
        'services': {'web': {'probe': 'https', 'path': '/health',
                             'interval': '1h', 'timeout': '1s'}},
        'pops': {'p%02d' % p: {'location': [p % 90, p % 180], 'servers': {
            names[i]: {'addresses': ['10.%d.%d.1' % (i >> 8, i & 255),
                                     '2001:db8:%x::1' % i], 'weight': 10}
            for i in range(p, servers, 50)}} for p in range(50)},
        'hostnames': {'h%d.big.test' % i: {
            'service': 'web', 'answers': 2, 'ttl': 30,
            'servers': [names[(i * 7 + k * 97) % servers]
                        for k in range(each)],
            'weigh': {'latency': 1, 'load': 0.5}} for i in range(hostnames)},
        'domains': {'big.test': {'ns': ['ns.elsewhere.test']}},
    }


def bench_config(lab, *args):
    return numbers(lab.run([helper('bench_config'), *args]).stdout)


@figure('config-ratio', '<=4')
def config_ratio():
    with Lab() as lab:
        file = lab.write('big.json', json.dumps(big(), indent=1))
        found = bench_config(lab, file)
        size = os.path.getsize(file)
    return found['load'] / found['parse'], [
        '10000 hostnames, 10 of 1000 servers each, %.1f MB: read, checked and'
        ' made ready in %.0f ms, json-c parses the file in %.0f ms (CPU,'
        ' medians of 7 by turns)' % (size / 1e6, found['load'],
                                     found['parse'])]


def rows_of(batches, n):
    """Lines of the feed, as a side-car sends them."""
    now = time.time() - batches
    for b in range(batches):
        yield json.dumps({'command': 'metrics', 'node': 'bench', 'rows': [
            ['s%04d' % (i % 1000), '10.%d.%d.1' % ((i % 1000) >> 8,
                                                   i % 1000 & 255),
             'web', round(now + b + (i // 1000) / 1000, 3), 'up',
             10 + (i + b) % 90, 0]
            for i in range(n)]}, separators=(',', ':'))


def send_lines(server, lines, rate=None):
    """Sends each and awaits its answer; rows a second; '.stop' ends it."""
    began = time.monotonic()
    rows = 0
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(server.socket)
        f = s.makefile('rwb')
        for line, n in lines:
            f.write(line + b'\n')
            f.flush()
            answer = json.loads(f.readline())
            if not answer['ok']:
                raise Broken('refused: %s' % answer)
            rows += n
            if rate:
                wait = began + rows / rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
    return rows / (time.monotonic() - began)


FEED_ROWS, FEED_BATCHES = 200, 500


def big_edge(lab):
    doc = big(hostnames=HOSTS)
    for key in ('version', 'serial'):
        del doc[key]
    for host in doc['hostnames'].values():
        host['answers'] = 1
    return lab.named('edge', steer=doc)


@figure('feed-ratio', '<=2.5')
def feed_ratio():
    with Lab() as lab:
        edge = big_edge(lab).start()
        lines = list(rows_of(FEED_BATCHES, FEED_ROWS))
        file = lab.write('rows', '\n'.join(lines) + '\n')
        ratios, rates, ours = [], [], []
        for turn in range(7):
            fresh = [(line.encode(), FEED_ROWS)
                     for line in rows_of(FEED_BATCHES, FEED_ROWS)]
            parse = bench_config(lab, '--lines', file)['parse']
            before = edge.cpu_ns()
            rates.append(send_lines(edge, fresh))
            ours.append((edge.cpu_ns() - before) / 1e6)
            ratios.append(ours[-1] / parse)
    n = FEED_BATCHES * FEED_ROWS
    return median(ratios), [
        '%d rows in lines of %d: %.2f us CPU of named a row, ratio to json-c'
        ' parsing the same lines %.2f, quartiles %.2f .. %.2f' % (
            n, FEED_ROWS, 1000 * median(ours) / n, median(ratios),
            quantile(ratios, .25), quantile(ratios, .75)),
        'one connection, a line at a time: %.0f rows a second (median)'
        % median(rates)]


class Asker(threading.Thread):
    """Asks one question after another; the time that each took, in ms."""

    def __init__(self, port, seconds):
        super().__init__()
        self.port, self.seconds, self.waits = port, seconds, []

    def run(self):
        wires = [query_wire('h%d.big.test' % (i % HOSTS))
                 for i in range(1000)]
        end = time.monotonic() + self.seconds
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.connect(('127.0.0.1', self.port))
            i = 0
            while time.monotonic() < end:
                began = time.perf_counter()
                s.send(wires[i % len(wires)])
                s.recv(4096)
                self.waits.append(1000 * (time.perf_counter() - began))
                i += 1


def sink(path, ready):
    """Answers as named would, and takes nothing: what sending alone costs."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
        s.listen()
        ready.set()
        while True:
            with s.accept()[0] as peer:
                f = peer.makefile('rwb')
                for _ in f:
                    f.write(b'{"ok":true}\n')
                    f.flush()


class Elsewhere:
    def __init__(self, path):
        self.socket = path


@figure('feed-latency', '<=1.2')
def feed_latency():
    """p99 of one asker while rows come, and while they go elsewhere."""
    ratios, lines = [], []
    with Lab() as lab:
        edge = big_edge(lab).start()
        fresh = [(line.encode(), FEED_ROWS)
                 for line in rows_of(FEED_BATCHES, FEED_ROWS)]
        rate = min(send_lines(edge, fresh), 2 * 200000)
        other = Elsewhere(lab.path('sink'))
        ready = multiprocessing.Event()
        process = multiprocessing.Process(target=sink, daemon=True,
                                          args=(other.socket, ready))
        process.start()
        ready.wait(10)
        for turn in range(15):
            p99 = {}
            for fed in (turn % 2 == 0, turn % 2 != 0):
                batches = int(1.8 * rate / 2 / FEED_ROWS)
                rows = [(line.encode(), FEED_ROWS)
                        for line in rows_of(batches, FEED_ROWS)]
                asker = Asker(edge.port, 2)
                asker.start()
                send_lines(edge if fed else other, rows, rate / 2)
                asker.join()
                p99[fed] = quantile(asker.waits, .99)
            ratios.append(p99[True] / p99[False])
            lines.append(p99)
        process.terminate()
    return median(ratios), [
        '%d rows a second; p99 of answers while fed %.3f ms, while the same'
        ' rows go to a program that takes nothing %.3f ms (medians of 15'
        ' pairs of 2 s, one asker, all on the same CPUs); ratios %s' % (
            rate / 2, median([p[True] for p in lines]),
            median([p[False] for p in lines]),
            ' '.join('%.2f' % r for r in ratios))]


# -- latencies -----------------------------------------------------------------

def find_instr(lab, times=20000):
    """Instructions of a look-up, scope included; None without valgrind."""
    if not find('valgrind'):
        return None
    out = lab.run([find('valgrind'), '--tool=callgrind',
                   '--callgrind-out-file=' + lab.path('cg'),
                   '--collect-atstart=no',
                   '--toggle-collect=gtm_groups_find',
                   helper('bench_groups'), '1000000', '1', str(times)])
    return int(re.search(r'Collected : (\d+)', out.stdout).group(1)) / (
        2 * times)


@figure('latency-bytes', '<=5.2')
def latency_bytes():
    with Lab() as lab:
        found = numbers(lab.run([helper('bench_groups'), '1000000', '50',
                                 '1000000']).stdout)
        count = find_instr(lab)
    return found['bytes_cell'], [
        '%d groups (IPv4 /16 to /24, IPv6 /29 to /56) x 50 POPs, growth of'
        ' the resident set; %.0f ns a value fed, %.0f ns a group found'
        % (found['groups'], found['put_ns'], found['find_ns']),
        'a look-up: %s instructions' % (
            '?' if count is None else '%.0f' % count)]


@figure('decide-instr', '<=2500')
def decide_instr():
    need('valgrind')
    counts = []
    with Lab() as lab:
        for times in (1000, 3000):
            out = lab.run([find('valgrind'), '--tool=callgrind',
                           '--callgrind-out-file=' + lab.path('cg'),
                           '--collect-atstart=no',
                           '--toggle-collect=gtm_decide',
                           helper('bench_groups'), '1000000', '8',
                           str(times)])
            counts.append(int(re.search(r'Collected : (\d+)',
                                        out.stdout).group(1)))
        found = numbers(lab.run([helper('bench_groups'), '1000000', '8',
                                 '1000000']).stdout)
    return (counts[1] - counts[0]) / 2000, [
        'eight servers in eight POPs, by latency, load, loss and bandwidth,'
        ' with capacities, shedding, slow start and a TTL that follows the'
        ' state; a million groups of mixed lengths',
        '%.0f ns a decision, most of them misses of the CPU cache'
        % found['decide_ns']]


def matrices(lab):
    place = os.environ.get('NZ_LATENCY') or os.path.join(
        os.path.dirname(TOP), 'shared', 'latency')
    files = []
    for name in ('planetlab-9.gz', 'planetlab-10.gz'):
        try:
            with gzip.open(os.path.join(place, name), 'rt') as f:
                files.append(lab.write(name[:-3], f.read()))
        except OSError as why:
            raise Skip('no %s in %s (NZ_LATENCY names another place)'
                       % (name, place)) from why
    return files


def excess(lab, known, true, *args):
    """Means over ten choices of POPs."""
    runs = [numbers(lab.run([helper('bench_pops'), known, true, '10', '', '',
                             *(args or ('0',)), str(seed)]).stdout)
            for seed in range(1, 11)]
    return {key: sum(r[key] for r in runs) / len(runs) for key in runs[0]}


@figure('pop-excess', '<=3')
def pop_excess():
    with Lab() as lab:
        then, now = matrices(lab)
        found = excess(lab, then, then)
        lines = ['%s: mean excess %.2f per cent, p95 %.2f per cent of a client;'
                 ' all latency together %.2f per cent over the best' % (
                     what, r['mean'], r['p95'], r['excess'])
                 for what, r in (
                     ('fresh table', found),
                     ('stale table, the time slice before',
                      excess(lab, then, now)),
                     ('30 per cent of it missing', excess(lab, then, then,
                                                          '30')),
                     ('empty table', excess(lab, then, then, '100')))]
    return found['mean'], lines + [
        '10 of 490 hosts are POPs, 480 clients, 200 answers each; means of 10'
        ' choices of POPs; default tolerance and exploration']


# -- all of it -----------------------------------------------------------------

FULL_WEIGH = {'latency': 1, 'load': 0.1, 'loss': 20, 'bandwidth': 0.5}


def full(lab):
    """A named whose decisions use everything, and its own zone beside."""
    doc = document('gslb.test')
    doc['domains'] = {'gslb.test': {'ns': ['ns.elsewhere.test']}}
    doc['pops'] = {'p%d' % i: {'servers': {'s%d' % i: {
        'addresses': [a], 'weight': 10, 'capacity': 1000, 'shed': 80,
        'slow-start': '1m'}}} for i, a in enumerate(ADDRESSES)}
    for host in doc['hostnames'].values():
        host['weigh'] = FULL_WEIGH
        host['ttl-min'] = '30s'
    return lab.named('edge', steer=doc, zones={
        'own.test': lab.write('zone.db', zone_text(HOSTS))})


def feed_full(server):
    feed(server)
    now = time.time()
    rows = []
    for i in range(SERVERS):
        rows += [['loss', 'p%d' % i, now, 0.1],
                 ['bandwidth', 'p%d' % i, now, 40 + i],
                 ['latency', '127.0.0.0/24', 'p%d' % i, now, 20 + 3 * i]]
    for a in range(16):  # others, so that there is something to look among
        rows += [['latency', '10.%d.%d.0/24' % (a, b), 'p0', now, 20]
                 for b in range(16)]
    for i in range(0, len(rows), 200):
        answer = server.control(command='metrics', node='bench',
                                rows=rows[i:i + 200])
        if answer['refused']:
            raise Broken('the feed was refused: %s' % answer)


@figure('gtm-full-instr', '<=0.65')
def gtm_full_instr():
    need('valgrind', 'dnsperf')
    return compare(('decided by everything', 'primary zone'), 'gslb.test',
                   'own.test', {
                       (zone, kind): instructions(full, zone, kind,
                                                  prepare=feed_full)
                       for zone in ('gslb.test', 'own.test')
                       for kind in KINDS})
