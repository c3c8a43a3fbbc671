# SPDX-License-Identifier: MPL-2.0
"""Clients that are measured: within the budget, and right.

All of it in network namespaces of the bench's own.
"""

import contextlib
import ctypes
import itertools
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

from harness import Broken, Lab, Skip, figure, find, need, wait_for
from nzlib.base import free_port
from nzlib.edge import Edge
from nzlib.named import Origin, zone_text
from nzlib.delay import CLONE_NEWNET, LIBC
from nzlib.netns import Net, NotHere
from nzlib.probed import Probed, Sink

GROUPS = 100000
RATE = 50
SECONDS = 120
QUERIES = 2000  # in a second
DELAYS_MS = (5, 20, 80)  # each way
METHODS = ('ptr', 'icmp', 'udp', 'ttl')


def in_namespace(net, name, function):
    """Runs a function on a thread that is in a namespace; its result."""
    result = []

    def run():
        with open('/run/netns/' + net.names[name], 'rb') as where:
            if LIBC.setns(where.fileno(), CLONE_NEWNET) != 0:
                return
        result.append(function())
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if not result:
        raise Broken('cannot enter a namespace')
    return result[0]


def sniffer():
    """A socket that sees the packets to 10.0.0.0/7, stamped by the kernel."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x800))
    code = [(0x20, 0, 0, 16),  # where it goes to
            (0x54, 0, 0, 0xfe000000), (0x15, 0, 1, 0x0a000000),
            (0x6, 0, 0, 0x40), (0x6, 0, 0, 0)]
    filters = b''.join(struct.pack('HBBI', *op) for op in code)
    room = ctypes.create_string_buffer(filters)
    s.setsockopt(socket.SOL_SOCKET, 26,  # SO_ATTACH_FILTER
                 struct.pack('HL', len(code), ctypes.addressof(room)))
    s.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.bind(('lo', 0x800))
    s.settimeout(0.2)
    return s


def is_probe(packet):
    """An echo request, or UDP to where the ways to measure send it."""
    header = (packet[0] & 15) * 4
    if packet[9] == 1:
        return packet[header] == 8
    port, = struct.unpack_from('!H', packet, header + 2)
    return packet[9] == 17 and (port == 53 or 33434 <= port < 33500)


def listen(s, times, stop):
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            packet, more, _, where = s.recvmsg(64, 128)
            if where[2] != 0 or not is_probe(packet):  # PACKET_HOST
                continue
            for _, _, data in more:
                sec, nsec = struct.unpack('qq', data[:16])
                times.append(sec + nsec / 1e9)


def question(name):
    """A query with a subnet option; its three octets are the last but one."""
    labels = b''.join(bytes([len(x)]) + x.encode() for x in name.split('.'))
    option = struct.pack('!HHHBB', 8, 7, 1, 24, 0) + b'\0\0\0'
    return (b'\0\1\0\0\0\1\0\0\0\0\0\1' + labels + b'\0\0\1\0\1' +
            b'\0\0\x29\4\xd0\0\0\0\0' + struct.pack('!H', len(option)) +
            option)


def ask_all(s, port, stop, sent):
    """Asks for every group in turn, again and again."""
    wire = bytearray(question('near.gslb.test'))
    at = len(wire) - 3
    groups = itertools.cycle(range(GROUPS))
    began = time.monotonic()
    s.connect(('127.0.0.1', port))
    s.setblocking(False)
    while not stop.is_set():
        while sent[0] < (time.monotonic() - began) * QUERIES:
            i = next(groups)
            wire[at:at + 3] = bytes([10 + (i >> 16), i >> 8 & 255, i & 255])
            with contextlib.suppress(OSError):
                s.send(wire)
            sent[0] += 1
        with contextlib.suppress(OSError):
            while True:
                s.recv(2048)
        time.sleep(0.01)


class Inside(Edge):
    """A named with the plugin that cannot be asked from here."""

    def _is_ready(self, mark):
        return (re.search(r'^\S+ \S+ running$', self.log(mark), re.M)
                and os.path.exists(self.socket))


def edge_in(net):
    edge = Inside({}, options='')
    edge.within = net.inside('one')
    edge.doc.update({
        'pops': {'fra': {'probe': 'n1', 'servers': {
            'a': {'addresses': ['192.0.2.1']}}},
            'iad': {'servers': {'b': {'addresses': ['192.0.2.2']}}}},
        'hostnames': {'near.gslb.test': {'servers': ['a', 'b']}},
        'domains': {'gslb.test': {'ns': ['ns1.other.test']}},
        'latency': {'rate': RATE, 'timeout': '1s', 'tcp-port': 0},
        'metrics': {'address': ['127.0.0.1'], 'port': free_port()},
    })
    edge.write_json()
    return edge


def over(times):
    """Seconds of the clock in which a second with too many begins."""
    return len({int(times[i]) for i in range(len(times) - RATE)
                if times[i + RATE] - times[i] < 1})


@figure('latency-over-budget', '<= 0')
def latency_over_budget():
    """Seconds, wherever they begin, with more packets than the budget."""
    times, sent = [], [0]
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        try:
            net = stack.enter_context(Net())
            net.add('one')
            net.own('one', '10.0.0.0/8', '11.0.0.0/8')
        except NotHere as why:
            raise Skip(str(why)) from why
        edge = stack.enter_context(edge_in(net))
        s = in_namespace(net, 'one', sniffer)
        client = in_namespace(net, 'one', lambda: socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM))
        probed = stack.enter_context(Probed(
            edge.json_path, 'n1', prefix=net.inside('one')))
        threads = [threading.Thread(target=listen, args=(s, times, stop)),
                   threading.Thread(target=ask_all, args=(
                       client, edge.port, stop, sent))]
        for thread in threads:
            thread.start()
        try:
            time.sleep(SECONDS / 2)
            probed.pause()  # what it could not send then is not made up for
            time.sleep(5)
            probed.resume()
            time.sleep(SECONDS / 2 - 5)
            text = subprocess.run(
                net.inside('one') + [sys.executable, '-c', '''
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1]).read().decode())''',
                                     'http://127.0.0.1:%d/metrics'
                                     % edge.doc['metrics']['port']],
                capture_output=True, text=True, check=True).stdout
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        known = edge.status()['traffic']['groups']

    def metric(name):
        return int(re.search(r'^nearzone_latency_%s (\d+)' % name, text,
                             re.M).group(1))
    if metric('groups') < GROUPS * 0.9:
        raise Broken('only %d groups were wanted' % metric('groups'))
    if len(times) < (SECONDS - 5) * RATE * 0.8:
        raise Broken('only %d packets in %d s' % (len(times), SECONDS))
    return over(times), [
        '%d groups wanted by %d queries; %d packets in %d s (5 s of them '
        'stopped), most in a second %d; %d groups known, %d wait'
        % (metric('groups'), sent[0], len(times), SECONDS,
           max(sum(1 for t in times if a <= t < a + 1)
               for a in times[::10]), known, metric('waiting')),
        'the table: %d octets a group, with what finds it'
        % (metric('table_bytes') / metric('groups'))]


# -- right? --------------------------------------------------------------------

class Wants(Sink):
    def __init__(self, pairs):
        super().__init__(answer=self.reply)
        self.pairs, self.found = pairs, {}

    def reply(self, request):
        if request['command'] == 'wanted':
            pairs, self.pairs = self.pairs, []
            return {'ok': True, 'prefixes': [p for p, _ in pairs],
                    'clients': [c for _, c in pairs]}
        for row in request['rows']:
            self.found[row[1]] = (row[4], row[5])
        return {'ok': True, 'accepted': len(request['rows']), 'refused': 0}


class Far(Origin):
    def _is_ready(self, mark):
        return re.search(r'^\S+ \S+ running$', self.log(mark), re.M)


def wires(net, stack):
    """For each delay: its targets' networks by method; named for PTR."""
    rules, wanted = [], {}
    net.add('here')
    for d, delay in enumerate(DELAYS_MS):
        far, end = 'far%d' % d, 'end%d' % d
        net.add(far, end)
        net.delay('here', far, d + 1, delay)
        chain = [far] + ['r%d%d' % (d, i) for i in range(4)] + [end]
        net.add(*chain[1:-1])
        net.forwards(*chain)
        net.route('here', '10.%d.0.0/16' % d, d + 1, 2)
        for i in range(1, len(chain)):
            number = 20 + 10 * d + i
            net.link(chain[i - 1], chain[i], number)
            net.route(chain[i - 1], '10.%d.0.0/16' % d, number, 2)
            net.route(chain[i], '198.18.%d.0/24' % (d + 1), number, 1)
        net.ip(end, 'route', 'add', 'blackhole', '10.%d.40.0/22' % d)
        net.own(far, '10.%d.16.0/22' % d, '10.%d.20.0/22' % d)
        nets = {'ptr': 12, 'icmp': 16, 'udp': 20, 'ttl': 40}
        for method, third in nets.items():
            rules.append({'prefixes': ['10.%d.%d.0/22' % (d, third)],
                          'methods': [method]})
            for i in range(4):
                group = '10.%d.%d.0/24' % (d, third + i)
                wanted[group] = (2 * delay, method,
                                 '10.%d.%d.5' % (d, third + i))
        named = Far({'far.test': zone_text('')}, options=''.join(
            'listen-on port 53 { 10.%d.%d.5; };' % (d, 12 + i)
            for i in range(1, 4)))
        named.address, named.port = '10.%d.12.5' % d, 53
        # its own time to answer is not what is measured
        named.within = [find('chrt'), '-f', '5'] + net.inside(far)
        for i in range(4):
            net.ip(far, 'addr', 'add', '10.%d.%d.5/32' % (d, 12 + i), 'dev',
                   'lo')
        stack.enter_context(named)
        for i in range(4):  # its first answers take it a millisecond
            subprocess.run(net.inside(far) + [
                find('dig'), '+norec', '+time=2', '@10.%d.%d.5' % (d, 12 + i),
                '-x', '198.18.1.1'], stdout=subprocess.DEVNULL, check=True)
    return rules, wanted


@figure('rtt-error-pct', '<= 5')
def rtt_error_pct():
    """
    The worst error of a round trip, in per cent of it, or of 20 ms if it is
    shorter: there a millisecond is 5 per cent.
    """
    need('dig', 'chrt')
    with contextlib.ExitStack() as stack:
        try:
            net = stack.enter_context(Net())
            rules, wanted = wires(net, stack)
        except NotHere as why:
            raise Skip(str(why)) from why
        sink = stack.enter_context(Wants(
            [(group, client) for group, (_, _, client) in wanted.items()]))
        lab = stack.enter_context(Lab())
        conf = lab.write('nearzone.json', json.dumps({
            'version': 1, 'control': {'socket': sink.path},
            'feed': {'interval': '100ms'},
            'latency': {'rules': rules, 'rate': 20, 'timeout': '1s'},
            'pops': {'here': {'probe': 'n1', 'servers': {}}}}))
        stack.enter_context(Probed(conf, 'n1', prefix=net.inside('here')))
        wait_for(lambda: len(sink.found) == len(wanted),
                 'all round trips', 30)
    worst, lines = 0.0, {}
    for group, (true_ms, method, _) in wanted.items():
        ms, how = sink.found[group]
        if how != method:
            raise Broken('%s was measured by %s' % (group, how))
        pct = 100 * abs(ms - true_ms) / max(true_ms, 20)
        worst = max(worst, pct)
        lines[method, true_ms] = max(lines.get((method, true_ms), 0),
                                     abs(ms - true_ms))
    return worst, ['%s: worst error in ms %s' % (method, ', '.join(
        '%.1f of %d' % (error, ms) for (m, ms), error in lines.items()
        if m == method)) for method in METHODS]
