#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# The examples that we ship must be good: nearzone.json.example by 'nzctl
# check', and named.conf.example by named-checkconf, which runs the plugin's
# own check.  $NZ_LIBDIR is where nearzone.so is, $NZCTL the nzctl to use.
set -u
export LC_ALL=C
srcdir=${srcdir:-.}
rc=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

result() { # STATUS NAME: says how it went, with the output if badly
	if [ "$1" -eq 0 ]; then
		echo "ok: $2"
	else
		cat "$work/out"
		echo "FAIL: $2"
		rc=1
	fi
}

cp "$srcdir/nearzone.json.example" "$work/nearzone.json" || exit 1
"${NZCTL:-nzctl}" check "$work/nearzone.json" >"$work/out" 2>&1
result $? nearzone.json.example

if ! command -v named-checkconf >/dev/null; then
	echo 'note: no named-checkconf here'
	exit $rc
fi

# A plugin with a sanitizer in it wants that loaded first; what
# named-checkconf itself leaks is not ours.
checkconf() {
	case ${NZ_SANITIZER-} in
	asan | tsan)
		ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD=$(gcc \
			-print-file-name="lib$NZ_SANITIZER.so") \
			named-checkconf "$@" ;;
	*) named-checkconf "$@" ;;
	esac
}

# The same statements, but with the files of this build.
sed -e "s|\"/etc/bind/nearzone.json\"|\"$work/nearzone.json\"|" \
	-e "s|\"/var/cache/bind\"|\"$work\"|" \
	-e "s|\"nearzone.so\"|\"${NZ_LIBDIR:+$NZ_LIBDIR/}nearzone.so\"|" \
	"$srcdir/named.conf.example" >"$work/named.conf" || exit 1
checkconf "$work/named.conf" >"$work/out" 2>&1
result $? named.conf.example

# And named-checkconf must have looked into our file.
sed 's|"serial": 1|"serail": 1|' "$srcdir/nearzone.json.example" \
	>"$work/nearzone.json"
! checkconf "$work/named.conf" >"$work/out" 2>&1 &&
	grep -q 'did you mean "serial"' "$work/out"
result $? 'named-checkconf finds a bad nearzone.json'
exit $rc
