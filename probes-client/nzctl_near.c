/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/nzctl_near.h"

#include <string.h>

#include "probes-client/show.h"

/* A member of that type, or NULL. */
static struct json_object *get(struct json_object *from, const char *key,
			       enum json_type type)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(from, json_type_object) ||
	    !json_object_object_get_ex(from, key, &value) ||
	    !json_object_is_type(value, type))
		return NULL;
	return value;
}

static void copy(struct json_object *row, const char *as,
		 struct json_object *from, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_is_type(from, json_type_object))
		json_object_object_get_ex(from, key, &value);
	json_object_object_add(row, as, json_object_get(value));
}

static struct json_object *row_of(struct json_object *one)
{
	struct json_object *row = json_object_new_object();
	struct json_object *full = get(one, "full", json_type_boolean);
	struct json_object *ms = get(one, "ms", json_type_double);
	char text[32] = "out of reach";

	copy(row, "pop", one, "pop");
	if (ms != NULL)
		(void)snprintf(text, sizeof(text), "%.1f",
			       json_object_get_double(ms));
	json_object_object_add(row, "ms", json_object_new_string(text));
	if (full == NULL)
		return row;
	copy(row, "method", one, "method");
	copy(row, "of", one, "of");
	json_object_object_add(
		row, "answer",
		json_object_new_string(json_object_get_boolean(full) != 0
					       ? "full"
					       : "partial"));
	copy(row, "age_s", one, "age_s");
	return row;
}

/* All rows have the columns of those that have most. */
static void fill_up(struct json_object *rows)
{
	static const char *const more[] = { "method", "of", "answer", "age_s" };
	size_t n = json_object_array_length(rows);
	size_t told = 0;

	for (size_t i = 0; i < n; i++)
		if (json_object_object_get_ex(
			    json_object_array_get_idx(rows, i), "answer",
			    NULL) != 0)
			told++;
	for (size_t i = 0; told > 0 && i < n; i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		for (size_t k = 0; k < sizeof(more) / sizeof(more[0]); k++)
			if (!json_object_object_get_ex(row, more[k], NULL))
				json_object_object_add(row, more[k], NULL);
	}
}

void nzctl_near_latency(FILE *out, struct json_object *reply,
			const char *client)
{
	struct json_object *list = get(reply, "pops", json_type_array);
	struct json_object *group = get(reply, "group", json_type_string);
	size_t n = list != NULL ? json_object_array_length(list) : 0;
	struct json_object *rows = json_object_new_array();

	show_text(out, slice_of(client));
	if (group != NULL) {
		fputs(" is in the group ", out);
		show_text(out, slice_of(json_object_get_string(group)));
	}
	fputs(n > 0 ? ":\n" : ": no latency is known\n", out);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(
			rows, row_of(json_object_array_get_idx(list, i)));
	fill_up(rows);
	show_rows(out, rows, 2);
	json_object_put(rows);
}
