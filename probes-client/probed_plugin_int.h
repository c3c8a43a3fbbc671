/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_plugin_int - shared by the files of probed_plugin: reading replies
 * member by member (whatever they hold), and tables of series.
 */
#include <stdbool.h>

#include "probes-client/probed_plugin.h"

/* A member of that type, or NULL; 'in' may be NULL. */
struct json_object *plugin_object(struct json_object *in, const char *key);
struct json_object *plugin_list(struct json_object *in, const char *key);
const char *plugin_text(struct json_object *in, const char *key);
/* A number that is not negative, or a boolean.  False: there is none. */
bool plugin_number(struct json_object *in, const char *key, uint64_t *np);

enum plugin_unit { PLUGIN_PLAIN, PLUGIN_MICRO };

/* A member of an object, as a family. */
struct plugin_series {
	const char *key, *name, *help;
	enum probed_kind kind;
	enum plugin_unit unit; /* MICRO: millionths, shown as units */
};

struct plugin_help {
	const char *key, *help;
};

/* Each of 'series' that 'in' has. */
void plugin_put(struct probed_expo *expo, struct json_object *in,
		const struct plugin_series *series, size_t n);
void plugin_put_value(struct probed_expo *expo,
		      const struct probed_label *labels,
		      const struct plugin_series *series, uint64_t value);

/* All members of 'counters', which only grow: "BEFOREkey_total". */
void plugin_put_counters(struct probed_expo *expo, const char *before,
			 struct json_object *counters,
			 const struct plugin_help *helps, size_t n_helps);
const char *plugin_help_of(const struct plugin_help *helps, size_t n_helps,
			   const char *key);

/* The same for each object of a list: which counters there are, the first one
 * says. */
struct plugin_each {
	size_t n;		/* objects to show */
	const char *before;	/* of the names */
	const char *member;	/* that holds the counters */
	const char *id, *label; /* the member that is the label, and its name */
	const struct plugin_help *helps;
	size_t n_helps;
};
void plugin_put_each(struct probed_expo *expo, struct json_object *list,
		     const struct plugin_each *each);

/* In probed_plugin_lists.c; 's' is the object "status" of the reply. */
void plugin_put_sums(struct probed_expo *expo, struct json_object *s);
/* 'origins': a list, or NULL. */
void plugin_put_origins(struct probed_expo *expo, struct json_object *origins);
void plugin_put_traffic(struct probed_expo *expo, struct json_object *s);
void plugin_put_servers(struct probed_expo *expo, struct json_object *s,
			struct json_object *servers,
			struct probed_omitted *omitted);
/* One by one; NULL for a list is fine. */
void plugin_put_zones(struct probed_expo *expo, struct json_object *zones,
		      struct probed_listed *listed);
void plugin_put_hostnames(struct probed_expo *expo, struct json_object *names,
			  struct probed_listed *listed);
