#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Runs every fuzz target over its corpus.  A target without a corpus fails.
set -u
rc=0
for f in $FUZZERS; do
	echo "$f"
	if "./$f" "$srcdir/$f.in"/*; then
		echo "ok: $f"
	else
		echo "FAIL: $f"
		rc=1
	fi
done
exit $rc
