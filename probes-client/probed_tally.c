/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_tally.h"

#include <stdlib.h>
#include <string.h>

/* Services are sorted by id in either configuration. */
static void carry(struct probed_tally *tally, const struct config *config,
		  const struct probed_tally *before, const struct config *old)
{
	size_t i = 0, k = 0;

	while (i < config->n_services && k < old->n_services) {
		int order = strcmp(config->services[i].id, old->services[k].id);
		if (order == 0)
			tally->of[i] = before->of[k];
		if (order == 0)
			tally->turns[i] = before->turns[k];
		i += order <= 0;
		k += order >= 0;
	}
}

struct probed_tally *probed_tally_new(const struct config *config,
				      const struct probed_tally *before,
				      const struct config *old)
{
	size_t n = config->n_services;
	struct probed_tally *tally =
		calloc(1, sizeof(*tally) + n * sizeof(tally->of[0]) +
				  n * sizeof(tally->turns[0]));
	if (tally == NULL)
		return NULL;

	tally->n = n;
	tally->turns = (struct probed_turns *)(void *)&tally->of[n];
	if (before != NULL)
		carry(tally, config, before, old);
	return tally;
}
