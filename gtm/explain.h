/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * explain - a decision and its reasons as JSON: one text for the plugin, which
 * explains what it would do now, and for nzctl, which explains what it did.
 *
 * Pure but for the memory of json-c; any thread.
 */
#include <json-c/json.h>

#include "gtm/decide.h"

/* Of one "explain". */
struct gtm_explain {
	const struct gtm_world *world;
	const struct gtm_host *host;
	const struct gtm_question *q;
	const char *client; /* as it is to be shown */
	const char *where;  /* the hostname lives; NULL: not known */
	bool counted;	    /* the world's counters mean something */
};

/*
 * Decides and explains.  NULL: no memory.  The rest of what is missing for
 * want of memory is left out.
 */
struct json_object *gtm_explain_json(const struct gtm_explain *in);

/* How often what was counted for the hostname. */
struct json_object *gtm_explain_counts(const struct gtm_host *host);

/* An address as text; 'out' has INET6_ADDRSTRLEN octets. */
const char *gtm_explain_address(bool v6, const uint8_t *octets, char *out);

/* The address of a candidate, or its alias; 'out' has DNAME_TEXT_MAX octets. */
const char *gtm_explain_candidate(enum gtm_family family,
				  const struct gtm_candidate *c, char *out);

/* "192.0.2.0/24", "2001:db8::1"; false: neither. */
bool gtm_explain_client(const char *text, struct gtm_client *out);

/* The hostname of that name, or NULL. */
const struct gtm_host *gtm_explain_host(const struct gtm_world *world,
					const struct dname *name);

extern const char *const gtm_explain_tiers[CONFIG_TIERS];
extern const char *const gtm_explain_outcomes[];
