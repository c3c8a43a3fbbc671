/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * jsonadd - members of replies, a line each.  Memory that is not there leaves
 * the member out.
 */
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

static inline void add_text(struct json_object *o, const char *key,
			    const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static inline void add_number(struct json_object *o, const char *key,
			      uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static inline void add_bool(struct json_object *o, const char *key, bool yes)
{
	json_object_object_add(o, key, json_object_new_boolean(yes));
}

static inline void add_double(struct json_object *o, const char *key, double d)
{
	json_object_object_add(o, key, json_object_new_double(d));
}

/* Seconds with three places, as ages are shown. */
static inline void add_seconds(struct json_object *o, const char *key,
			       uint64_t ms)
{
	add_double(o, key, (double)ms / 1000);
}

/* A string member of a request, or NULL. */
static inline const char *member(struct json_object *request, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(request, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}
