# SPDX-License-Identifier: MPL-2.0
"""What every figure needs: named processes, their counters, a load.

A Lab is one figure's temporary directory and the processes in it; leaving
the 'with' block ends them all, by process id, whatever happened.  Everything
listens on 127.0.0.1 and on ports above 1024.
"""

import contextlib
import ctypes
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

import dns.flags
import dns.message
import dns.query

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(
    __file__))) + '/system')
from nzlib.base import free_port, wait_for  # noqa: E402

RNDC_KEY = 'bmVhcnpvbmUgYmVuY2gga2V5LCBub3Qgc2VjcmV0IQ=='
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """The figure cannot be taken here; the text says why."""


class Broken(Exception):
    """Something did not do what the measurement rests on."""


def need(*programs):
    """Skips the figure unless all programs are installed."""
    for program in programs:
        if not find(program):
            raise Skip('%s is not installed' % program)


def find(program):
    path = os.environ.get('PATH', '') + ':/usr/sbin:/sbin'
    return shutil.which(program, path=path)


def plugin_path():
    """The installed (staged) nearzone.so."""
    places = []
    if os.environ.get('NZ_LIBDIR'):
        places.append(os.environ['NZ_LIBDIR'] + '/nearzone.so')
        places.append(os.environ['NZ_LIBDIR'] + '/bind/nearzone.so')
    if os.environ.get('NZ_STAGE'):
        places += sorted(glob.glob(os.environ['NZ_STAGE'] +
                                   '/**/nearzone.so', recursive=True))
    for place in places:
        if os.path.exists(place):
            return os.path.abspath(place)
    raise Skip('no nearzone.so in NZ_LIBDIR or NZ_STAGE: run make bench')


def nzctl_path():
    places = [os.environ.get('NZCTL') or '']
    if os.environ.get('NZ_STAGE'):
        places += sorted(glob.glob(os.environ['NZ_STAGE'] + '/**/nzctl',
                                   recursive=True))
    for place in places:
        if place and os.access(place, os.X_OK):
            return os.path.abspath(place)
    raise Skip('no nzctl in NZCTL or NZ_STAGE')


def _child():
    """In the new process: if the bench dies, so does what it started."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Lab:
    """A temporary directory and the processes of one figure."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='nzbench.')
        os.chmod(self.dir, 0o755)
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            with contextlib.suppress(OSError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if os.environ.get('NZ_BENCH_KEEP'):
            print('kept: ' + self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text):
        """Writes a file of the lab whole or not at all; returns its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = 'wb' if isinstance(text, bytes) else 'w'
        with open(path + '.new', mode) as f:
            f.write(text)
        os.rename(path + '.new', path)
        return path

    def spawn(self, argv, **kwargs):
        process = subprocess.Popen(argv, start_new_session=True,
                                   preexec_fn=_child, **kwargs)
        self.processes.append(process)
        return process

    def run(self, argv, **kwargs):
        """Runs to the end; the completed process, output as text."""
        out = self.spawn(argv, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, **kwargs)
        text, _ = out.communicate()
        self.processes.remove(out)
        return subprocess.CompletedProcess(argv, out.returncode, text)

    def named(self, name, **kwargs):
        return Named(self, name, **kwargs)


class Daemon:
    """What a running process, 'process', has used."""

    process = None

    def cpu_ns(self):
        """CPU time of all its threads, user and kernel, in nanoseconds."""
        total = 0
        for path in glob.glob('/proc/%d/task/*/schedstat'
                              % self.process.pid):
            with contextlib.suppress(FileNotFoundError), open(path) as f:
                total += int(f.read().split()[0])
        return total

    def resident(self):
        """Its resident set, in octets."""
        with open('/proc/%d/statm' % self.process.pid) as f:
            return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


class Named(Daemon):
    """
    One named.  'zones' maps a zone to its file (primary); 'forward' is a
    named to forward everything to; 'edge' maps edge zones to the named that
    is their origin (then the plugin is loaded).  'options' is text for the
    options block; 'steer' holds members of nearzone.json for traffic
    management (then, too, the plugin is loaded), 'zone_keys' those of every
    edge zone.
    """

    def __init__(self, lab, name, zones=None, edge=None, forward=None,
                 options='', transport=None, plugin=None, zone_options='',
                 steer=None, zone_keys=None):
        self.lab = lab
        self.name = name
        self.zones = zones or {}
        self.edge = edge
        self.forward = forward
        self.options = options
        self.zone_options = zone_options
        self.transport = transport
        self.steer = steer or {}
        self.zone_keys = zone_keys or {}
        if plugin is None:
            plugin = edge is not None or steer is not None
        self.plugin = plugin
        self.port = free_port()
        self.rndc_port = free_port()
        self.stats_port = free_port()
        self.serial = 0
        os.makedirs(lab.path(name), exist_ok=True)
        self.socket = lab.path(name, 'control.sock')
        self.log = lab.path(name, 'log')

    # -- configuration ------------------------------------------------------

    def zones_json(self):
        zones = {}
        for zone, origin in (self.edge or {}).items():
            server = {'address': '127.0.0.1', 'port': origin.port}
            if self.transport:
                server['transport'] = self.transport
            zones[zone] = {'origins': [server], **self.zone_keys}
        return zones

    def write_nearzone(self, zones=None):
        """Writes nearzone.json with the next serial; returns the serial."""
        self.serial += 1
        document = {
            'version': 1, 'serial': self.serial,
            'cache': {'size': '256MiB',
                      'state-directory': self.lab.path(self.name)},
            'control': {'socket': self.socket},
            'zones': self.zones_json() if zones is None else zones,
            **self.steer,
        }
        self.lab.write(self.name + '/nearzone.json',
                       json.dumps(document, indent=1))
        return self.serial

    def write_named(self):
        lines = [
            'options {',
            '  directory "%s";' % self.lab.path(self.name),
            '  listen-on port %d { 127.0.0.1; };' % self.port,
            '  listen-on-v6 { none; };',
            '  pid-file "%s/named.pid";' % self.lab.path(self.name),
            '  session-keyfile "%s/session.key";' % self.lab.path(self.name),
            '  dnssec-validation no; notify no;',
            '  allow-transfer { none; };',
            '  empty-zones-enable no;',
            '  ' + self.options,
        ]
        if self.forward:
            lines.append('  recursion yes; allow-recursion { any; };'
                         ' forward only; forwarders { 127.0.0.1 port %d; };'
                         % self.forward.port)
        else:
            lines.append('  recursion no;')
        lines += [
            '};',
            'key rndc { algorithm hmac-sha256; secret "%s"; };' % RNDC_KEY,
            'controls { inet 127.0.0.1 port %d allow { 127.0.0.1; }'
            ' keys { rndc; }; };' % self.rndc_port,
            'statistics-channels { inet 127.0.0.1 port %d'
            ' allow { 127.0.0.1; }; };' % self.stats_port,
        ]
        if self.plugin:
            lines.append('plugin query "%s" { config "%s/nearzone.json";'
                         ' node "bench"; };' % (plugin_path(),
                                                self.lab.path(self.name)))
        for zone, file in self.zones.items():
            lines.append('zone "%s" { type primary; file "%s"; %s };'
                         % (zone, file, self.zone_options))
        return self.lab.write(self.name + '/named.conf',
                              '\n'.join(lines) + '\n')

    # -- life ---------------------------------------------------------------

    def start(self, cpu=None, threads=None, wrap=(), seconds=30):
        """Starts and waits until it answers.  'wrap' is a command before."""
        binary = find(os.environ.get('NZ_NAMED', 'named'))
        if not binary:
            raise Skip('named is not installed')
        if os.path.exists('/sys/kernel/security/apparmor/profiles'):
            # The profile goes by path and would not let named read here.
            binary = shutil.copy(binary, self.lab.path('named'))
        if self.plugin:
            self.write_nearzone()
        argv = list(wrap)
        if cpu is not None:
            argv += [find('taskset'), '-c', str(cpu)]
        argv += [binary, '-g', '-c', self.write_named()]
        if threads:
            argv += ['-n', str(threads)]
        with open(self.log, 'w') as log:
            self.process = self.lab.spawn(argv, stderr=log, stdout=log,
                                          stdin=subprocess.DEVNULL)
        wait_for(self._running, '%s to start' % self.name, seconds)
        if self.plugin:
            self._check_plugin()
        return self

    def _running(self):
        if self.process.poll() is not None:
            raise Broken('%s ended: %s' % (self.name, self.log_tail()))
        with open(self.log) as f:
            return re.search(r' running$', f.read(), re.M)

    def _check_plugin(self):
        with open(self.log) as f:
            inactive = re.search(r'.*nearzone.*INACTIVE.*', f.read(), re.I)
        if inactive:
            raise Broken('the plugin is not active: ' + inactive.group())

    def log_tail(self, lines=4):
        with open(self.log) as f:
            return ' / '.join(f.read().strip().split('\n')[-lines:])

    def stop(self):
        """Ends it in order and waits."""
        self.process.terminate()
        status = self.process.wait(120)
        if status != 0:
            raise Broken('%s ended with status %d: %s'
                         % (self.name, status, self.log_tail()))
        self.lab.processes.remove(self.process)

    # -- talking to it ------------------------------------------------------

    def rndc(self, *command):
        conf = self.lab.write('rndc.conf', 'key rndc { algorithm hmac-sha256;'
                              ' secret "%s"; };\n' % RNDC_KEY)
        done = self.lab.run([find('rndc'), '-k', conf, '-s', '127.0.0.1',
                             '-p', str(self.rndc_port), *command])
        if done.returncode:
            raise Broken('rndc %s: %s' % (' '.join(command), done.stdout))

    def nzctl(self, *command):
        """Runs nzctl --json; its answer as an object."""
        done = self.lab.run([nzctl_path(), '--socket', self.socket, '--json',
                             *command])
        if done.returncode:
            raise Broken('nzctl %s: %s' % (' '.join(command), done.stdout))
        return json.loads(done.stdout)

    def control(self, **request):
        """One request to the control socket; its answer as an object."""
        with socket.socket(socket.AF_UNIX) as s, s.makefile('rw') as stream:
            s.settimeout(60)
            s.connect(self.socket)
            stream.write(json.dumps(request) + '\n')
            stream.flush()
            answer = json.loads(stream.readline())
        if not answer.get('ok'):
            raise Broken('control %s: %s' % (request, answer))
        return answer

    def ask(self, name, rdtype, tcp=False, timeout=5, **kwargs):
        query = dns.message.make_query(name, rdtype, **kwargs)
        query.flags &= ~dns.flags.RD
        call = dns.query.tcp if tcp else dns.query.udp
        return call(query, '127.0.0.1', port=self.port, timeout=timeout)

    def counters(self):
        """named's own statistics (the statistics channel, as an object)."""
        http_client = http.client.HTTPConnection('127.0.0.1', self.stats_port,
                                                 timeout=5)
        with contextlib.closing(http_client):
            http_client.request('GET', '/json/v1/server')
            return json.loads(http_client.getresponse().read())

    def asked(self, rdtype='A'):
        """Questions of this type that it has received."""
        return self.counters().get('qtypes', {}).get(rdtype, 0)

    def udp_drops(self):
        """Packets that the kernel dropped because it did not read them."""
        with open('/proc/net/udp') as f:
            rows = [line.split() for line in f.readlines()[1:]]
        return sum(int(row[-1]) for row in rows
                   if row[1].endswith(':%04X' % self.port))


# -- load ---------------------------------------------------------------------

def query_wire(name, rdtype='A', edns=False, rd=False, do=False):
    """A query; without RD as a resolver asks an authoritative server."""
    flags = 0x0100 if rd else 0
    out = struct.pack('!HHHHHH', 0, flags, 1, 0, 0, 1 if edns else 0)
    for label in name.rstrip('.').split('.'):
        out += bytes([len(label)]) + label.encode()
    types = {'A': 1, 'AAAA': 28, 'TXT': 16}
    out += b'\0' + struct.pack('!HH', types[rdtype], 1)
    if edns:
        out += b'\0' + struct.pack('!HHIH', 41, 1232, 0x8000 if do else 0, 0)
    return out


def query_file(lab, name, queries):
    """Writes queries (octets) in the form that dnsperf -B reads."""
    return lab.write(name, b''.join(struct.pack('!H', len(q)) + q
                                    for q in queries))


class Load:
    """What one run of dnsperf did."""

    def __init__(self, text):
        self.text = text
        self.sent = self._number(r'Queries sent:\s+(\d+)')
        self.completed = self._number(r'Queries completed:\s+(\d+)')
        self.lost = self._number(r'Queries lost:\s+(\d+)')
        self.interrupted = self._number(r'Queries interrupted:\s+(\d+)', 0)
        self.noerror = self._number(r'Response codes:.*?NOERROR (\d+)', 0)
        self.qps = float(re.search(r'Queries per second:\s+([\d.]+)',
                                   text).group(1))

    def _number(self, pattern, default=None):
        found = re.search(pattern, self.text)
        if not found:
            if default is None:
                raise Broken('dnsperf said: ' + self.text[-500:])
            return default
        return int(found.group(1))

    @property
    def unanswered(self):
        """Queries without a good answer."""
        return self.sent - self.noerror


def dnsperf_argv(server, file, times=1, seconds=None, rate=None, window=100,
                 timeout=5, clients=1, cpu=None, kilobytes=4096):
    argv = []
    if cpu is not None:
        argv += [find('taskset'), '-c', str(cpu)]
    argv += [find('dnsperf'), '-B', '-d', file, '-s', '127.0.0.1',
             '-p', str(server.port), '-q', str(window), '-t', str(timeout),
             '-c', str(clients), '-b', str(kilobytes)]
    if times:
        argv += ['-n', str(times)]
    if seconds:
        argv += ['-l', str(seconds)]
    if rate:
        argv += ['-Q', str(rate)]
    return argv


def load(lab, server, file, **kwargs):
    """Runs dnsperf over the file to its end; every query must be answered."""
    done = Load(lab.run(dnsperf_argv(server, file, **kwargs)).stdout)
    if done.unanswered:
        raise Broken('%s: %d of %d queries without a good answer'
                     % (server.name, done.unanswered, done.sent))
    return done


# -- zones --------------------------------------------------------------------

ZONE_HEAD = '''$TTL 3600
@ SOA ns1 hostmaster 1 3600 900 604800 300
@ NS ns1
@ NS ns2
ns1 A 192.0.2.1
ns2 A 192.0.2.2
'''


def zone_text(hosts):
    """An unsigned zone; 'hosts' names h0, h1, ... with one address each."""
    return ZONE_HEAD + ''.join(
        'h%d A 198.51.%d.%d\n' % (i, i >> 8 & 255, i & 255)
        for i in range(hosts))


# -- figures ------------------------------------------------------------------

class Figure:
    def __init__(self, name, bound, function):
        self.name, self.bound, self.function = name, bound, function

    def holds(self, value):
        limit = float(self.bound[2:])
        return value <= limit if self.bound[:2] == '<=' else value >= limit


FIGURES = []


def figure(name, bound):
    """Registers a function that returns (value, [lines on how])."""
    if bound[:2] not in ('<=', '>='):
        raise ValueError('bound of %s' % name)

    def register(function):
        FIGURES.append(Figure(name, bound, function))
        return function
    return register


def quantile(values, q):
    values = sorted(values)
    at = (len(values) - 1) * q
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def median(values):
    return quantile(values, 0.5)
