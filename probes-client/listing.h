/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * listing - the journal for people and scripts, and what others of nzctl show
 * of its records.
 */
#include <json-c/json.h>

#include "gtm/history.h"
#include "probes-client/nzctl.h"

/* "2026-11-25T08:12:00.250Z" */
#define LISTING_TIME_MAX 32
char *listing_time(uint64_t time_ms, char out[static LISTING_TIME_MAX]);

/*
 * A record as an object, with the names that 'history' has, which has taken it.
 * The caller's.  NULL: names, slots and what is not known.
 */
struct json_object *listing_record(const struct gtm_history *history,
				   const struct journal_record *record);

enum nzctl_exit listing_run(const struct nzctl_options *options);
