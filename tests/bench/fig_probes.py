# SPDX-License-Identifier: MPL-2.0
"""The side-car's tests: whether they judge servers right."""

from harness import Skip, figure


@figure('probe-kinds-wrong', '<=0')
def probe_kinds_wrong():
    """Every kind against a real server: up, down, wrong, hanging, slow."""
    from kinds_load import load_cases
    from nzlib import kinds
    missing = kinds.missing()
    if missing:
        raise Skip('missing: %s' % ', '.join(missing))
    n, wrong = kinds.judge()
    values = load_cases()
    wrong += [case for case in values if case[1] != case[2]]
    return len(wrong), [
        '%d cases: servers that are good, down, wrong, that hang, or are '
        'slow; %d of loads and bandwidth' % (n, len(values))] + [
        '%s: want %s, got %r' % case for case in wrong]
