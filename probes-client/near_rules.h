/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_rules - whom a configuration has measured otherwise, or not at all.
 *
 * Pure.  Finding is a search for each length of prefix that there is.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"
#include "gtm/client.h"

struct near_rule {
	struct config_prefix prefix;
	const struct config_latency_rule *rule; /* NULL: sent nothing */
};

struct near_set {
	size_t n;
	struct near_rule *all; /* sorted */
	bool has[2][129];      /* lengths, by family */
};

struct near_rules {
	const struct config_latency *config;
	struct near_set rules, opt_out;
};

/* Of 'config' (borrowed).  0, or -ENOMEM and nothing has changed. */
int near_rules_use(struct near_rules *rules,
		   const struct config_latency *config);
void near_rules_fini(struct near_rules *rules);

/* Whether that address wants to be sent nothing. */
bool near_rules_out(const struct near_rules *rules,
		    const struct gtm_client *address);

/* When and how a client is measured. */
enum config_measure near_rules_find(const struct near_rules *rules,
				    const struct gtm_client *client,
				    struct config_methods *methods);
