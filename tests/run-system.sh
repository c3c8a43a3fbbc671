#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The system tests: real named, loopback only, the staged tree.  'make check'
# sets the NZ_* variables; arguments, or $PYTEST_ARGS, go to pytest.
set -u
named=$(PATH=$PATH:/usr/sbin:/sbin command -v named) || named=
[ -n "$named" ] || { echo "no named here: skipped"; exit 77; }
"$PYTHON3" -c 'import pytest, dns' ||
	{ echo "no pytest or no dnspython: skipped"; exit 77; }

# Debian's AppArmor profile goes by the path of named, and would keep it from
# reading the files of a test.
if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] &&
	[ -f /etc/apparmor.d/usr.sbin.named ]; then
	cp -f "$named" "$builddir/named-for-tests" || exit 1
	named=$builddir/named-for-tests
fi
NAMED=${NAMED-$named}
export NAMED

# Most tests wait most of the time: NZ_JOBS files of them are run at a time.
jobs=
if [ "${NZ_JOBS-5}" -gt 1 ] && "$PYTHON3" -c 'import xdist' 2>/dev/null; then
	jobs="-n ${NZ_JOBS-5} --dist loadfile"
fi

# 5 is pytest's word for 'no tests': that is not a success.
# shellcheck disable=SC2086 # these are words
exec "$PYTHON3" -m pytest -p no:cacheprovider -q -ra --durations=5 $jobs \
	--junitxml="$builddir/system.xml" ${PYTEST_ARGS-} "$@" \
	"$srcdir/tests/system"
