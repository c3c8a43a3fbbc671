#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Measures Nearzone's figures on the installed (staged) build.

  bench.py [--list] [NAME ...]

Prints one line a figure, 'figure NAME VALUE BOUND ok|short', then lines
that begin with two blanks: how it was taken.  A figure that cannot be taken
here is 'skipped', with the reason.  'make bench' sets the environment:
NZ_LIBDIR or NZ_STAGE (where nearzone.so is), NZCTL; FIGURES may hold the
names instead of the command line.  NZ_CORPUS, NZ_NAMED, NZ_BENCH_OUT and
NZ_BENCH_KEEP are for those who read the code.

Exit status: 0 all within bounds or skipped, 1 some short or broken, 2 usage.

A group of figures is a file fig_*.py beside this one; each function that
takes a figure is registered by @figure(NAME, BOUND).
"""

import functools
import glob
import importlib
import os
import platform
import re
import signal
import subprocess
import sys
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import harness  # noqa: E402 (the path comes first)


def version_of(program, *args):
    try:
        text = subprocess.run([harness.find(program) or program, *args],
                              capture_output=True, text=True,
                              check=False).stdout
    except OSError:
        return program + ' not installed'
    return text.split('\n')[0].split(' (')[0].strip()


@functools.lru_cache(None)
def machine():
    """What all of it was measured on, in one line."""
    cpu = 'unknown CPU'
    with open('/proc/cpuinfo') as f:
        found = re.search(r'model name\s*: (.*)', f.read())
        if found:
            cpu = found.group(1)
    return '%s, %d CPUs, Linux %s, %s' % (
        cpu, os.cpu_count(), platform.release(), version_of('named', '-v'))


def take(fig):
    """Takes one figure and prints it; True unless short or broken."""
    began = time.monotonic()
    try:
        value, lines = fig.function()
    except harness.Skip as why:
        print('figure %s skipped %s: %s' % (fig.name, fig.bound, why))
        return True
    except Exception as error:  # one broken figure must not hide the others
        print('figure %s broken %s short' % (fig.name, fig.bound))
        print('  %s: %s' % (type(error).__name__, error))
        if not isinstance(error, (harness.Broken, AssertionError)):
            traceback.print_exc()
        return False
    ok = fig.holds(value)
    text = '%d' % value if isinstance(value, int) else '%.3f' % value
    print('figure %s %s %s %s' % (fig.name, text, fig.bound,
                                  'ok' if ok else 'short'))
    for line in lines:
        print('  ' + line)
    print('  on %s; taken in %.0f s' % (machine(), time.monotonic() - began))
    return ok


def wanted(names):
    for path in sorted(glob.glob(HERE + '/fig_*.py')):
        importlib.import_module(os.path.basename(path)[:-3])
    if not names:
        return harness.FIGURES
    known = {fig.name: fig for fig in harness.FIGURES}
    for name in names:
        if name not in known:
            print('no figure "%s"; there are: %s'
                  % (name, ' '.join(known)), file=sys.stderr)
            sys.exit(2)
    return [known[name] for name in names]


def main():
    names = sys.argv[1:] or os.environ.get('FIGURES', '').split()
    if names and names[0] in ('-h', '--help'):
        print(__doc__)
        return 0
    if names == ['--list']:
        for fig in wanted([]):
            print('%s %s' % (fig.name, fig.bound))
        return 0

    def interrupt(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    sys.stdout.reconfigure(line_buffering=True)

    figures = wanted(names)
    good = [take(fig) for fig in figures]
    return 0 if all(good) else 1


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)
