# SPDX-License-Identifier: MPL-2.0
"""What pytest needs to know: logs of the named processes with a failure."""

import sys

import pytest

sys.dont_write_bytecode = True

from nzlib import named  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for server in named.alive:
            report.sections.append((f"log of {server.what} in {server.dir}",
                                    server.log()[-3000:]))


def pytest_sessionfinish():
    """Whatever a broken fixture left behind, by its own process id."""
    for server in list(named.alive):
        server.kill()
