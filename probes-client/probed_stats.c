/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_stats.h"

const struct probed_bound probed_bounds[PROBED_BUCKETS] = {
	{ 1, "0.001" },	   { 2, "0.002" },  { 5, "0.005" },  { 10, "0.01" },
	{ 20, "0.02" },	   { 50, "0.05" },  { 100, "0.1" },  { 200, "0.2" },
	{ 500, "0.5" },	   { 1000, "1.0" }, { 2000, "2.0" }, { 5000, "5.0" },
	{ 10000, "10.0" },
};

const char *const probed_refusal_names[PROBED_REFUSALS] = {
	[PROBED_ROW_UNKNOWN] = "unknown", [PROBED_ROW_OLD] = "old",
	[PROBED_ROW_FUTURE] = "future",	  [PROBED_ROW_VALUE] = "value",
	[PROBED_ROW_OTHER] = "other",
};

void probed_histo_take(struct probed_histo *histo, uint64_t ms)
{
	size_t i = 0;

	while (i < PROBED_BUCKETS && ms > probed_bounds[i].ms)
		i++;
	histo->n[i]++;
	histo->sum_ms += ms;
}

uint64_t probed_histo_count(const struct probed_histo *histo)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= PROBED_BUCKETS; i++)
		count += histo->n[i];
	return count;
}
