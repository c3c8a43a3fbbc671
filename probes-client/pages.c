/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/pages.h"

static struct json_object *object_in(struct json_object *in, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(in, json_type_object) ||
	    !json_object_object_get_ex(in, key, &value) ||
	    !json_object_is_type(value, json_type_object))
		return NULL;
	return value;
}

static struct json_object *list_in(struct json_object *in, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_is_type(in, json_type_object) ||
	    !json_object_object_get_ex(in, key, &value) ||
	    !json_object_is_type(value, json_type_array))
		return NULL;
	return value;
}

struct json_object *pages_next(struct json_object *reply)
{
	return object_in(object_in(reply, "status"), "next");
}

/* Returns how many there were to add. */
static size_t append(struct json_object *to, struct json_object *from,
		     const char *key)
{
	struct json_object *list = list_in(to, key);
	struct json_object *more = list_in(from, key);

	if (to == NULL || more == NULL)
		return 0;
	if (list == NULL) {
		list = json_object_new_array();
		json_object_object_add(to, key, list);
	}
	size_t n = json_object_array_length(more);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(
			list,
			json_object_get(json_object_array_get_idx(more, i)));
	return n;
}

bool pages_add(struct json_object *reply, struct json_object *page)
{
	struct json_object *to = object_in(reply, "status");
	struct json_object *from = object_in(page, "status");
	struct json_object *next = pages_next(page);

	if (to == NULL)
		return false;
	size_t n = append(to, from, "origins") + append(to, from, "zones") +
		   append(object_in(to, "traffic"), object_in(from, "traffic"),
			  "names") +
		   append(object_in(to, "traffic"), object_in(from, "traffic"),
			  "answers");
	if (n > 0 && next != NULL)
		json_object_object_add(to, "next", json_object_get(next));
	else
		json_object_object_del(to, "next");
	return n > 0;
}
