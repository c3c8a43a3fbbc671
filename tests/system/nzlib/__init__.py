# SPDX-License-Identifier: MPL-2.0
"""Real named processes, fake origins and clients for the system tests.

Everything runs on the loopback interface with ports of its own, waits for
conditions with a limit, and cleans up after itself.
"""

from nzlib.ask import (Load, answer_rrset, ask, ask_together, ede, exchange,
                       option, pipelined, same, sections)
from nzlib.base import free_port, scratch, wait_for
from nzlib.edge import Edge, control, origin_at, zone_of
from nzlib.fake import CLOSE, FakeOrigin, Raw, answer_to, rrset
from nzlib.named import Named, Origin, StartFailed, zone_text
from nzlib.pki import SignedZone, certificate, tsig_key

__all__ = [
    "CLOSE", "Edge", "FakeOrigin", "Load", "Named", "Origin", "Raw",
    "SignedZone", "StartFailed", "answer_rrset", "answer_to", "ask",
    "ask_together", "certificate", "control", "ede", "exchange",
    "free_port", "option", "origin_at", "pipelined", "rrset", "same",
    "scratch", "sections", "tsig_key", "wait_for", "zone_of", "zone_text",
]
