/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/nzctl_status.h"

#include <stdbool.h>
#include <string.h>

#include "probes-client/show.h"

#define PARTS_MAX 16 /* tables of zones */
#define TITLE_MAX 80

/* What becomes of the zones: their own table, and one for each part. */
struct tables {
	struct json_object *zones;
	size_t n;
	const char *keys[PARTS_MAX];
	struct json_object *parts[PARTS_MAX];
};

/* True if there is a number other than zero, or a text. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the document, bounded */
static bool says_anything(struct json_object *value)
{
	if (json_object_is_type(value, json_type_object)) {
		struct json_object_iter member;
		json_object_object_foreachC(value, member)
		{
			if (says_anything(member.val))
				return true;
		}
		return false;
	}
	if (json_object_is_type(value, json_type_string))
		return json_object_get_string_len(value) > 0;
	return json_object_is_type(value, json_type_array) ||
	       json_object_get_double(value) != 0;
}

/* The table for the part 'key', or NULL: there are too many. */
static struct json_object *part_of(struct tables *tables, const char *key)
{
	for (size_t i = 0; i < tables->n; i++)
		if (strcmp(tables->keys[i], key) == 0)
			return tables->parts[i];
	if (tables->n == PARTS_MAX)
		return NULL;
	tables->keys[tables->n] = key;
	tables->parts[tables->n] = json_object_new_array();
	return tables->parts[tables->n++];
}

/* Adds a row: whose it is, and the members of 'value'. */
static void row_add(struct json_object *table, struct json_object *id,
		    struct json_object *value)
{
	struct json_object *row = json_object_new_object();
	struct json_object_iter member;

	json_object_object_add(row, "id", json_object_get(id));
	json_object_object_foreachC(value, member)
	{
		json_object_object_add(row, member.key,
				       json_object_get(member.val));
	}
	json_object_array_add(table, row);
}

/* Spreads a zone over the tables. */
static void zone_spread(struct tables *tables, struct json_object *zone)
{
	struct json_object *own = json_object_new_object();
	struct json_object *id = json_object_object_get(zone, "id");
	struct json_object_iter member;

	json_object_object_foreachC(zone, member)
	{
		if (!json_object_is_type(member.val, json_type_object) ||
		    strcmp(member.key, "counters") == 0) {
			json_object_object_add(own, member.key,
					       json_object_get(member.val));
			continue;
		}
		struct json_object *table = part_of(tables, member.key);
		if (table != NULL && says_anything(member.val))
			row_add(table, id, member.val);
	}
	json_object_array_add(tables->zones, own);
}

static bool are_objects(struct json_object *list)
{
	if (!json_object_is_type(list, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!json_object_is_type(json_object_array_get_idx(list, i),
					 json_type_object))
			return false;
	return true;
}

void nzctl_status_show(FILE *out, struct json_object *status)
{
	struct json_object *zones = json_object_object_get(status, "zones");
	struct tables tables = { .n = 0 };
	char title[TITLE_MAX];

	if (!are_objects(zones)) {
		show_object(out, status, NULL);
		return;
	}
	tables.zones = json_object_new_array();
	for (size_t i = 0; i < json_object_array_length(zones); i++)
		zone_spread(&tables, json_object_array_get_idx(zones, i));
	struct json_object *last = json_object_new_object();
	json_object_object_add(last, "zones", tables.zones);
	for (size_t i = 0; i < tables.n; i++) {
		(void)snprintf(title, sizeof(title), "zones, %s",
			       tables.keys[i]);
		if (json_object_array_length(tables.parts[i]) > 0)
			json_object_object_add(last, title, tables.parts[i]);
		else
			json_object_put(tables.parts[i]);
	}
	show_object(out, status, "zones");
	show_object(out, last, NULL);
	json_object_put(last);
}
