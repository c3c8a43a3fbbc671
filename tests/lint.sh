#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# What the compiler does not check.  Run from the top of the tree ('make lint'
# does); 'quick' as argument leaves out clang-tidy, which takes minutes.
set -u
export LC_ALL=C
rc=0
quick=${1-}
out=$(mktemp) || exit 1 # complaints of the check at hand
trap 'rm -f "$out"' EXIT

done_with() { # NAME: closes one check
	if [ -s "$out" ]; then
		cat "$out"
		echo "FAIL: lint: $1"
		rc=1
	else
		echo "ok: lint: $1"
	fi
	: >"$out"
}
have() {
	command -v "$1" >/dev/null 2>&1 && return
	echo "note: lint: no $1 here"
	return 1
}
some() { # PATTERN...: those that stand for files
	for f in "$@"; do
		[ ! -f "$f" ] || printf '%s\n' "$f"
	done
}
headers() { # REGEX FILE...: lines that include such a header
	regex=$1
	shift
	[ $# -eq 0 ] || grep -nHE "^#include $regex" "$@"
}

common=$(some common/*.[ch])
gtm=$(some gtm/*.[ch])
cache=$(some cacheproxy/*.[ch])
client=$(some probes-client/*.[ch])
plugin=$(some plugin/*.[ch])
tests=$(some tests/*.[ch] tests/*/*.[ch])
src="$common $gtm $cache $client $plugin"
all="$src $tests"
scripts=$(some check quickstart .ci/run tests/*.sh tests/*.py tests/*/*.sh \
	tests/*/*.py)

# Layers: a file may include its own directory's headers, and those below.
layer() { # ALLOWED FILE...
	allowed=$1
	shift
	headers '"' "$@" | grep -vE ":#include \"($allowed)/" >>"$out"
}
layer common $common
layer 'gtm|common' $gtm
layer 'cacheproxy|common' $cache
layer 'probes-client|gtm|common' $client
layer 'plugin|cacheproxy|gtm|common' $plugin
headers '<(isc|dns|dst|ns|isccfg|irs)/' $common $gtm $client >>"$out"
headers '<(ns|isccfg|irs)/' $cache >>"$out"
headers '<(isc|dns|dst)/' \
	$(some cacheproxy/wire.* cacheproxy/store.* cacheproxy/flight.* \
		cacheproxy/zonemap.* cacheproxy/census.*) >>"$out"
headers '("|<(isc|dns|dst|ns|isccfg)/)' plugin/stub.c >>"$out"
done_with layers

# What is not in Makefile.am is neither built nor shipped.
for f in $all; do
	case $f in
	tests/*/test_*.c | tests/*/fuzz_*.c | tests/*/bench_*.c) name=${f%.c} ;;
	*) name=$f ;;
	esac
	grep -qE "(^|[[:space:]])$name( |\$)" Makefile.am ||
		echo "$f: not in Makefile.am"
done >>"$out"
done_with 'Makefile.am is complete'

# Every .c of ours includes its own header first, so that it stands alone.
for f in $(some common/*.c gtm/*.c cacheproxy/*.c plugin/*.c); do
	h=${f%.c}.h
	[ ! -f "$h" ] || [ "$(grep -m1 '^#include' "$f")" = "#include \"$h\"" ] ||
		echo "$f: does not include \"$h\" first"
done >>"$out"
done_with 'own header first'

# Functions that are easier to misuse than to use.
grep -nwE '(str(cpy|cat|ncpy|ncat|tok|tok_r)|v?sprintf|v?sscanf|ato[ilf]|strto(l|ul|d)|gets|alloca|[sd]?rand(48)?|s?random|gmtime|localtime|ctime|asctime|mktemp|system|popen|signal|inet_(ntoa|addr)|gethostby[a-z]+) *\(' $all >>"$out"
done_with 'banned functions'
grep -nwE '(TODO|FIXME|XXX)' $all $scripts Makefile.am configure.ac |
	grep -v '^tests/lint.sh:' >>"$out"
done_with 'unfinished work'

for f in $all; do
	case $(head -n 1 "$f") in
	*"SPDX-License-Identifier: MPL-2.0"*) ;;
	*) echo "$f: no SPDX line first" ;;
	esac
	[ "$(wc -l <"$f")" -lt 800 ] || echo "$f: 800 lines or more"
done >>"$out"
for f in $scripts; do
	head -n 2 "$f" | grep -q 'SPDX-License-Identifier: MPL-2.0' ||
		echo "$f: no SPDX line"
done >>"$out"
for f in $(printf '%s\n' $all | grep '\.h$'); do
	grep -q '^#pragma once$' "$f" || echo "$f: no #pragma once"
done >>"$out"
done_with 'licence and size'

grep -nHE "^[^#]*typedef (struct|enum|union)[^(]*$" $src >>"$out"
done_with 'no typedef of structs'

if have clang-format; then
	clang-format --dry-run -Werror $all 2>&1 | grep ': error: ' >>"$out"
	done_with clang-format
fi
if have cppcheck; then
	cppcheck -q --std=c11 -I. --library=tests/cppcheck.cfg \
		--enable=warning,portability,performance \
		--inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
		--template='{file}:{line}: {severity}: {message} [{id}]' \
		$(printf '%s\n' $src | grep '\.c$') >>"$out" 2>&1
	done_with cppcheck
fi
if [ "$quick" != quick ] && have clang-tidy; then
	# In place of config.h.
	flags='-std=c11 -I. -D_GNU_SOURCE -DHAVE_STDATOMIC_H=1'
	flags="$flags -DPACKAGE_VERSION=\"0\" -DBIND_VERSION=\"0\""
	# Complaints go to standard output; standard error has only counts.
	tidy() { # CHECKS, files on stdin
		xargs -n 1 -P 2 sh -c 'checks=$1 flags=$2; shift 2
			clang-tidy --quiet $checks "$@" -- $flags' \
			tidy "$1" "$flags" >>"$out" 2>/dev/null
	}
	printf '%s\n' $src | grep '\.c$' | tidy ''
	printf '%s\n' $tests | grep '\.c$' |
		tidy '--checks=-*,readability-function-size'
	done_with clang-tidy
fi
exit $rc
