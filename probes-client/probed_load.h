/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_load - reads the configuration file and makes the table of targets of
 * it.  Runs on any thread; reads one file and touches nothing else.
 */
#include "common/err.h"
#include "probes-client/probed_table.h"

#define PROBED_FINDINGS_MAX 100u
#define PROBED_FINDING_SIZE 4096u /* octets of one as text */

struct probed_findings {
	size_t n;
	struct err errs[PROBED_FINDINGS_MAX];
};

/*
 * Returns 0 and sets '*tablep', to be released with probed_table_free(); or
 * -errno with at least one finding.
 */
int probed_load(const char *file, const char *node,
		struct probed_table **tablep, struct probed_findings *findings);
