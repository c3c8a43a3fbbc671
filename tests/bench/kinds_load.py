# SPDX-License-Identifier: MPL-2.0
"""Cases of loads and bandwidth for the figure probe-kinds-wrong.

Real prometheus-node-exporter, real snmpd, the real side-car; what is wanted is
a value within bounds, or no value and why.
"""

import contextlib
import json
import os
import time

ADDRESS = '127.0.0.1'
MBIT = 125000  # octets
WORST = 1000.0  # a load that cannot be worked out
SETTLE_S = 6.0
BUSY_S = 4.5


def _load(port, **more):
    return {'port': port, 'interval': '1s', 'timeout': '700ms', **more}


def _snmp(port, credentials, **more):
    return {'address': ADDRESS, 'port': port, 'credentials': credentials,
            'interfaces': ['uplink1', 'uplink2'], 'capacity': 100 * 10 ** 6,
            'interval': '1s', 'timeout': '300ms', **more}


class _Scene:
    """Machines and switches in every state, and one side-car for all."""

    def __init__(self, stack):
        from nzlib.base import free_port
        from nzlib.machines import Exporter, Snmpd
        from nzlib.probed import Probed, Sink
        from nzlib.web import Script, Web
        enter = stack.enter_context
        head = b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n'
        self.stack = stack
        self.sink = enter(Sink())
        self.exporter = enter(Exporter())
        self.exporter.set(load=1.5, swap_mb=40)
        self.dying, self.stopped = enter(Exporter()), enter(Exporter())
        self.no_swap = enter(Exporter())
        self.no_swap.set(no_swap=True)
        self.snmpd = enter(Snmpd(users=(('SHA-256', 'AES'),) * 2))
        self.silent, self.wrapping = enter(Snmpd()), enter(Snmpd())
        self.wrapping.set(*(self.wrapping.interface(
            i, 'uplink%d' % i, 2 ** 64 - 2 * MBIT) for i in (1, 2)))
        self.narrow = enter(Snmpd())
        self.narrow.set(*(self.narrow.interface(
            i, 'uplink%d' % i, 2 ** 32 - 2 * MBIT, wide=False)
            for i in (1, 2)))
        page = enter(Web(address=ADDRESS, body='all is well'))
        hangs = enter(Script(head + b'node_load1 1\n', address=ADDRESS,
                             hold=True))
        slow = enter(Script(head, b'node_load1 3\n',
                            b'node_memory_SwapTotal_bytes 0\n'
                            b'node_memory_SwapFree_bytes 0\n',
                            address=ADDRESS, gap=0.15))
        bad = enter(Script(head.replace(b'200 OK', b'500 No') +
                           b'node_load1 1\n', address=ADDRESS))
        ports = {'up': self.exporter.port, 'dies': self.dying.port,
                 'stops': self.stopped.port, 'no-swap': self.no_swap.port,
                 'down': free_port(), 'wrong-content': page.port,
                 'hangs': hangs.port, 'slow': slow.port, 'status': bad.port}
        servers = {name: {'addresses': [ADDRESS], 'load': _load(port)}
                   for name, port in ports.items()}
        for name, formula in (('formula', 'load1 * 2 + mem_used_pct'),
                              ('rate', 'net_rx_mbit'),
                              ('division', '1 / count(node_nothing)')):
            servers[name] = {'addresses': [ADDRESS], 'load': _load(
                self.exporter.port, formula=formula)}
        s, who = self.snmpd, self.snmpd.community()
        wrong3 = s.write('wrong3', 'user probe1\nauth SHA-256 not-this-one\n'
                         'priv AES priv-pass-34\n', 0o600)
        switches = {
            'v2c': _snmp(s.port, who), 'v3': _snmp(s.port, s.user()),
            'out': _snmp(s.port, who, direction='out'),
            'one': _snmp(s.port, who, interfaces=['uplink1']),
            'wrong-user': _snmp(s.port, wrong3),
            'wrong-community': _snmp(s.port, s.write(
                'wrong', 'community nobody\n', 0o600)),
            'wrong-interface': _snmp(s.port, who, interfaces=['eth99']),
            'open-file': _snmp(s.port, s.write('open', 'community x\n',
                                               0o644)),
            'no-switch': _snmp(free_port(), who),
            'silent': _snmp(self.silent.port, self.silent.community()),
            'wraps-64': _snmp(self.wrapping.port, self.wrapping.community()),
            'wraps-32': _snmp(self.narrow.port, self.narrow.community()),
        }
        for name in ('wrong-user', 'wrong-community', 'wrong-interface',
                     'open-file', 'no-switch', 'silent'):
            switches[name].update({'interval': '3s', 'timeout': '100ms'})
        doc = {'version': 1, 'feed': {'interval': '50ms'},
               'control': {'socket': self.sink.path},
               'pops': {'pop': {'servers': servers}}}
        for name, snmp in switches.items():
            doc['pops'][name] = {'snmp': snmp}
        self.config = self.exporter.write('nearzone.json', json.dumps(doc))
        self.probed = Probed(self.config, 'n1')
        self.probed.start()
        stack.callback(self.probed.kill)

    def values(self, kind, name, since=0):
        return [row[3] for row in self.sink.rows(since)
                if row[0] == kind and row[1] == name]

    def told(self, kind, name):
        """True if the log says that it fails, and why."""
        return "%s of '%s': " % (kind, name) in self.words

    def busy(self, seconds):
        """10 Mbit/s into and 20 out of each interface of each switch, and 16
        into the machine; returns the batches from when rates are settled."""
        last = began = time.monotonic()
        rx, mark = 0, None
        while last < began + seconds:
            time.sleep(0.05)
            now = time.monotonic()
            for switch in (self.snmpd, self.wrapping, self.narrow):
                switch.grow(int(10 * MBIT * (now - last)),
                            int(20 * MBIT * (now - last)))
            rx += int(16 * MBIT * (now - last))
            self.exporter.set(rx=rx)
            last = now
            if mark is None and now > began + 2.4:
                mark = self.sink.count()
        return mark

    def report(self):
        """Has the side-car log what fails."""
        mark = self.probed.mark()
        self.probed.process.send_signal(10)  # SIGUSR1
        self.probed.wait_log(r' to test: \d+ up', mark)
        time.sleep(0.2)
        self.words = self.probed.log(mark)


def _median(values):
    values = sorted(values)
    return values[len(values) // 2] if values else None


def load_cases():
    """A list of (name, wanted, got): misjudged where the two differ.

    'wanted' and 'got' are words: "value" if the value is right, else what
    there is instead.
    """
    cases = []

    def judge(name, kind, of, low, high, since):
        got = _median(scene.values(kind, of, since))
        right = got is not None and low <= got <= high
        cases.append((name, 'value', 'value' if right else repr(got)))

    def none(name, kind, of, since):
        got = scene.values(kind, of, since)
        said = 'no value, and why' if scene.told(kind, of) else 'silence'
        cases.append((name, 'no value, and why', repr(got[-1])
                      if got else said))

    with contextlib.ExitStack() as stack:
        scene = _Scene(stack)
        time.sleep(SETTLE_S)
        judge('load: dies: before', 'load', 'dies', 5, 5, 0)
        judge('snmp: silent: before', 'bandwidth', 'silent', 0, 0, 0)
        scene.dying.stop()
        scene.stopped.pause()
        scene.silent.pause()
        mark = scene.busy(BUSY_S)
        scene.report()
        judge('load: up', 'load', 'up', 55, 55, mark)
        judge('load: formula', 'load', 'formula', 28, 28, mark)
        judge('load: rate', 'load', 'rate', 12, 20, mark)
        judge('load: slow', 'load', 'slow', 30, 30, mark)
        judge('load: division by 0', 'load', 'division', WORST, WORST, mark)
        judge('load: wrong content', 'load', 'wrong-content', WORST, WORST,
              mark)
        judge('load: series missing', 'load', 'no-swap', WORST, WORST, mark)
        for name in ('down', 'dies', 'stops', 'hangs', 'status'):
            none('load: ' + name, 'load', name, mark)
        judge('snmp: v2c', 'bandwidth', 'v2c', 34, 46, mark)
        judge('snmp: v3', 'bandwidth', 'v3', 34, 46, mark)
        judge('snmp: out', 'bandwidth', 'out', 34, 46, mark)
        judge('snmp: one interface', 'bandwidth', 'one', 17, 23, mark)
        judge('snmp: 64 bits wrap', 'bandwidth', 'wraps-64', 34, 46, mark)
        judge('snmp: 32 bits wrap', 'bandwidth', 'wraps-32', 34, 46, mark)
        for name in ('wrong-user', 'wrong-community', 'wrong-interface',
                     'open-file', 'no-switch', 'silent'):
            none('snmp: ' + name, 'bandwidth', name, mark)
        scene.dying.start()
        scene.stopped.resume()
        scene.silent.resume()
        mark = scene.sink.count()
        time.sleep(SETTLE_S)
        judge('load: lives again', 'load', 'dies', 5, 5, mark)
        judge('load: goes on', 'load', 'stops', 5, 5, mark)
        judge('snmp: goes on', 'bandwidth', 'silent', 0, 0, mark)
        for worst in ('v2c', 'v3', 'wraps-64', 'wraps-32'):
            high = max(scene.values('bandwidth', worst))
            cases.append(('snmp: %s: no spike' % worst, 'below 60 %',
                          'below 60 %' if high < 60 else repr(high)))
    return cases


def main():
    """By hand: prints all cases."""
    import sys
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, os.path.join(os.path.dirname(here), 'system'))
    wrong = 0
    for name, wanted, got in load_cases():
        print('%-6s %s: want %s, got %s' % (
            'ok' if wanted == got else 'WRONG', name, wanted, got))
        wrong += wanted != got
    return wrong > 0


if __name__ == '__main__':
    raise SystemExit(main())
