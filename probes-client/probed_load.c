/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probes-client/probed_snmp.h"

/* What this build cannot do; true if nothing of it is asked for. */
static bool all_there(const struct config *config, const char *node,
		      struct probed_findings *findings)
{
	for (size_t i = 0; i < config->n_pops && !probed_snmp_there(); i++) {
		const struct config_pop *pop = &config->pops[i];
		char path[ERR_PATH_MAX];
		if (pop->snmp == NULL ||
		    (pop->probe != NULL && strcmp(pop->probe, node) != 0))
			continue;
		snprintf(path, sizeof(path), "pops.\"%s\".snmp", pop->id);
		findings->n = 1;
		err_set(&findings->errs[0], pop->snmp->line, path,
			"this nearzone-probed was built without net-snmp");
		return false;
	}
	return true;
}

static int table_make(struct config *config, const char *node,
		      struct probed_table **tablep,
		      struct probed_findings *findings)
{
	if (!all_there(config, node, findings)) {
		config_free(config);
		return -ENOTSUP;
	}
	int rc = probed_table_new(config, node, tablep);

	if (rc == 0)
		return 0;
	config_free(config);
	findings->n = 1;
	if (rc == -E2BIG)
		err_set(&findings->errs[0], 0, "",
			"more than %u targets for one node: let other nodes "
			"test some of the POPs (\"probe\")",
			PROBED_TARGETS_MAX);
	else
		err_set(&findings->errs[0], 0, "", "no memory");
	return rc;
}

int probed_load(const char *file, const char *node,
		struct probed_table **tablep, struct probed_findings *findings)
{
	struct config *config = NULL;
	char text[128];

	findings->n = 0;
	int rc = config_load(file, &config, findings->errs, PROBED_FINDINGS_MAX,
			     &findings->n);
	if (rc == 0)
		return table_make(config, node, tablep, findings);
	if (findings->n == 0) {
		err_set(&findings->errs[0], 0, "", "%s",
			strerror_r(-rc, text, sizeof(text)));
		findings->n = 1;
	}
	return rc;
}
