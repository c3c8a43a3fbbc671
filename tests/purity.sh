#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# What the pure parts may call: no clock, randomness, I/O, logging or BIND.
# Asks the linker, not grep.  Run in the build directory after a build.
set -u
export LC_ALL=C
rc=0

base='malloc|calloc|realloc|aligned_alloc|free|mem(cpy|move|set|cmp|chr)'
base="$base|str(len|n?cmp|r?chr|n?len)|qsort|bsearch|v?snprintf|__assert_fail"
runtime='__stack_chk_fail|__(mem(cpy|move|set)|v?snprintf)_chk'
runtime="$runtime|_GLOBAL_OFFSET_TABLE_|__tls_get_addr"
runtime="$runtime|__(asan|ubsan|tsan|sanitizer|gcov)_.*"
pure='common/err common/dname common/units common/utf8 common/jsontext
	common/nameset common/probe common/journal common/formula
	gtm/table gtm/votes gtm/world gtm/world_build gtm/world_hosts
	gtm/groups gtm/groups_columns gtm/groups_limbo gtm/groups_trie
	gtm/groups_save gtm/groups_load gtm/wanted
	gtm/persist gtm/decide gtm/decide_cost gtm/decide_draw gtm/decide_near
	gtm/decide_trace gtm/decide_ttl
	gtm/history gtm/history_stage gtm/history_near gtm/history_put
	gtm/clients gtm/clients_build gtm/place gtm/geo_walk
	cacheproxy/wire cacheproxy/zonemap cacheproxy/store cacheproxy/flight
	cacheproxy/census cacheproxy/pack cacheproxy/snapshot cacheproxy/snapshot_load
	cacheproxy/delta cacheproxy/delta_names cacheproxy/names
	cacheproxy/asklist cacheproxy/admit cacheproxy/admit_known
	cacheproxy/admit_sketch cacheproxy/admit_suffix'

objects() {
	for m in "$@"; do
		echo "${m%/*}/.libs/${m##*/}.o"
	done
}

# Pure modules may call each other.
defined=$(nm $(objects $pure) | awk 'NF == 3 { print $3 }') ||
	{ echo "FAIL: purity: an object is missing"; exit 1; }

check() { # ALLOWED MODULE...
	allowed=$1
	shift
	for m in "$@"; do
		bad=$(nm -u "$(objects "$m")" | awk '{ print $2 }' |
			grep -vxE "$base|$runtime|$allowed" |
			grep -vxF "$defined")
		if [ -n "$bad" ]; then
			echo "FAIL: purity: $m may not call:" $bad
			rc=1
		else
			echo "ok: $m"
		fi
	done
}

# The store's table is large, and its pages are given back: memory, no files.
pages='mmap|munmap|madvise|sysconf'
rcu='urcu_bp_.*|cds_lfht_.*|rcu_tsan_anchor'
check none common/err common/dname common/units common/utf8 common/jsontext
check none common/nameset common/probe common/journal common/formula
check none cacheproxy/wire cacheproxy/zonemap cacheproxy/pack
check none cacheproxy/census
check none cacheproxy/admit cacheproxy/admit_known
check none cacheproxy/admit_sketch cacheproxy/admit_suffix
check none cacheproxy/snapshot cacheproxy/snapshot_load
check none cacheproxy/delta cacheproxy/delta_names cacheproxy/asklist
check none gtm/table gtm/votes gtm/world gtm/world_build
check none gtm/world_hosts gtm/decide
check none gtm/decide_cost
check none gtm/decide_near gtm/decide_trace gtm/decide_ttl gtm/persist
check none gtm/groups_load gtm/groups_trie gtm/wanted
check log gtm/decide_draw
check "$rcu" gtm/groups_columns gtm/groups_limbo gtm/groups_save
# Room that is reserved, not taken.
check "$pages" gtm/groups
# Of a configuration only an address is read; explain makes JSON, for two.
check none gtm/history gtm/history_stage
check 'config_address_parse|inet_ntop|json_object_.*' gtm/explain
check none gtm/clients gtm/clients_build gtm/geo_walk
check 'sin|cos|sincos|sqrtf' gtm/place
check malloc_usable_size cacheproxy/names
check "$rcu|$pages" cacheproxy/store
check "$rcu|pthread_mutex_(init|destroy|lock|unlock)" cacheproxy/flight
exit $rc
