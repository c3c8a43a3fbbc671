/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Any text as a configuration: it is taken or refused with findings in order,
 * and the two readers of JSON never disagree.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

#define ERRS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct err errs[ERRS_MAX];
	struct config *config = NULL;
	size_t n_errs = 99;
	int rc = config_parse("fuzz", (const char *)data, size, &config, errs,
			      ERRS_MAX, &n_errs);

	demand((rc == 0) == (config != NULL));
	demand((rc == 0) == (n_errs == 0));
	for (size_t i = 0; i < n_errs; i++) {
		char line[ERR_PATH_MAX + ERR_TEXT_MAX + 64];
		demand(strncmp(errs[i].text, "read in two ways", 16) != 0);
		demand(strncmp(errs[i].text, "json-c", 6) != 0);
		demand(i == 0 || errs[i - 1].line <= errs[i].line);
		err_format(&errs[i], "fuzz", line, sizeof(line));
		demand(strchr(line, '\n') == NULL);
	}
	if (config != NULL) {
		for (size_t i = 0; i < config->n_zones; i++)
			demand(config_origins_equal(&config->zones[i],
						    &config->zones[i]));
		config_free(config);
	}
	return 0;
}
