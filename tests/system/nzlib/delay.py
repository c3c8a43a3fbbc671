#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""A wire with a delay between two network namespaces.

  delay.py NAMESPACE NAMESPACE INTERFACE MS [LOSS]

Makes a TUN device INTERFACE in each, prints 'ready', and carries packets from
one to the other, MS milliseconds later; every LOSS-th packet of the first is
lost (0: none).  Ends with its standard input.  For kernels without netem.
"""

import collections
import contextlib
import ctypes
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def tun(namespace, name):
    """A TUN device in a namespace."""
    with open("/run/netns/" + namespace, "rb") as where:
        if LIBC.setns(where.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(),
                                           IFF_TUN | IFF_NO_PI))
    return fd


def main():
    one, other, name, delay_ms = sys.argv[1:5]
    lose = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    delay = float(delay_ms) / 1000
    a, b = tun(one, name), tun(other, name)
    with contextlib.suppress(OSError):  # before all others, if it may
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    print("ready", flush=True)
    waiting = collections.deque()  # (when, to, packet): all wait as long
    peer = {a: b, b: a}
    n = 0
    while True:
        timeout = None
        if waiting:
            timeout = max(0, waiting[0][0] - time.monotonic())
        ready, _, _ = select.select([a, b, 0], [], [], timeout)
        now = time.monotonic()
        if 0 in ready and not os.read(0, 1):
            return
        for fd in ready:
            if fd == 0:
                continue
            for _ in range(64):
                try:
                    packet = os.read(fd, 65536)
                except BlockingIOError:
                    break
                n += fd == a
                if fd == a and lose and n % lose == 0:
                    continue
                waiting.append((now + delay, peer[fd], packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, to, packet = waiting.popleft()
            try:
                os.write(to, packet)
            except OSError:
                pass  # the device is down, or full


if __name__ == "__main__":
    main()
