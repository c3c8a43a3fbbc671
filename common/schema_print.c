/* SPDX-License-Identifier: MPL-2.0 */
#include "common/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"

/* Labels with dots between them, perhaps a last dot; or the root. */
static const char dname_pattern[] =
	"^(\\.|([^.\\\\]|\\\\.)+(\\.([^.\\\\]|\\\\.)+)*\\.?)$";

/* The document being made; once something has failed, the rest is void. */
struct print {
	bool failed;
};

static struct json_object *print_item(struct print *p,
				      const struct schema_item *item);

/* Puts 'value', whose owner it becomes, into 'object'. */
static void put(struct print *p, struct json_object *object, const char *key,
		struct json_object *value)
{
	if (value == NULL || object == NULL ||
	    json_object_object_add(object, key, value) != 0) {
		json_object_put(value);
		p->failed = true;
	}
}

/* The same at the end of an array. */
static void push(struct print *p, struct json_object *array,
		 struct json_object *value)
{
	if (value == NULL || array == NULL ||
	    json_object_array_add(array, value) != 0) {
		json_object_put(value);
		p->failed = true;
	}
}

static void put_text(struct print *p, struct json_object *object,
		     const char *key, const char *text)
{
	put(p, object, key, json_object_new_string(text));
}

static void put_int(struct print *p, struct json_object *object,
		    const char *key, int64_t n)
{
	put(p, object, key, json_object_new_int64(n));
}

static struct json_object *new_type(struct print *p, const char *type)
{
	struct json_object *made = json_object_new_object();

	put_text(p, made, "type", type);
	return made;
}

static struct json_object *new_string(struct print *p, const char *pattern,
				      int64_t min, int64_t max)
{
	struct json_object *made = new_type(p, "string");

	if (pattern != NULL)
		put_text(p, made, "pattern", pattern);
	put_int(p, made, "minLength", min);
	put_int(p, made, "maxLength", max);
	return made;
}

static struct json_object *new_range(struct print *p, const char *type,
				     int64_t min, int64_t max)
{
	struct json_object *made = new_type(p, type);

	put_int(p, made, "minimum", min);
	put_int(p, made, "maximum", max);
	return made;
}

/* A whole number of 'factor's, or digits with a unit. */
static struct json_object *print_quantity(struct print *p,
					  const struct schema_item *item)
{
	bool duration = item->type == SCHEMA_DURATION;
	int64_t factor = duration ? 1000 : 1;
	struct json_object *made = json_object_new_object();
	struct json_object *ways = json_object_new_array();

	push(p, ways,
	     new_range(p, "integer", (item->min + factor - 1) / factor,
		       item->max / factor));
	push(p, ways,
	     new_string(p,
			duration ? "^[0-9]+(ms|s|m|h|d|w)$"
				 : "^[0-9]+(B|KiB|MiB|GiB|TiB)$",
			2, UNITS_TEXT_MAX));
	put(p, made, "anyOf", ways);
	return made;
}

static struct json_object *print_span(struct print *p,
				      const struct schema_item *item)
{
	struct json_object *made = json_object_new_object();
	struct json_object *ways = json_object_new_array();

	push(p, ways, new_range(p, "integer", item->min, item->max));
	push(p, ways, new_string(p, "^[0-9]{3}-[0-9]{3}$", 7, 7));
	put(p, made, "anyOf", ways);
	return made;
}

static struct json_object *print_word(struct print *p,
				      const struct schema_item *item)
{
	struct json_object *made = json_object_new_object();
	struct json_object *words = json_object_new_array();

	for (size_t i = 0; item->words[i] != NULL; i++)
		push(p, words, json_object_new_string(item->words[i]));
	put(p, made, "enum", words);
	return made;
}

static struct json_object *print_address(struct print *p)
{
	static const char *const formats[] = { "ipv4", "ipv6" };
	struct json_object *made = new_type(p, "string");
	struct json_object *ways = json_object_new_array();

	for (size_t i = 0; i < 2; i++) {
		struct json_object *way = json_object_new_object();
		put_text(p, way, "format", formats[i]);
		push(p, ways, way);
	}
	put(p, made, "anyOf", ways);
	return made;
}

/* A list, or an element alone. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static struct json_object *print_single(struct print *p,
					const struct schema_item *list)
{
	struct schema_item plain = *list;
	struct json_object *made = json_object_new_object();
	struct json_object *ways = json_object_new_array();

	plain.single = false;
	push(p, ways, print_item(p, list->item));
	push(p, ways, print_item(p, &plain));
	put(p, made, "anyOf", ways);
	return made;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static struct json_object *print_list(struct print *p,
				      const struct schema_item *list)
{
	struct json_object *made = new_type(p, "array");

	put_int(p, made, "minItems", list->min);
	put_int(p, made, "maxItems", list->max);
	if (list->unique)
		put(p, made, "uniqueItems", json_object_new_boolean(1));
	if (!list->tuple) {
		put(p, made, "items", print_item(p, list->item));
		return made;
	}

	struct json_object *items = json_object_new_array();
	for (int64_t i = 0; i < list->max; i++)
		push(p, items, print_item(p, &list->item[i]));
	put(p, made, "prefixItems", items);
	return made;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static struct json_object *print_map(struct print *p,
				     const struct schema_item *map)
{
	const struct schema_item name = { .type = map->named,
					  .min = 1,
					  .max = SCHEMA_NAME_MAX };
	const struct schema_item block = { .type = SCHEMA_BLOCK,
					   .block = map->block };
	struct json_object *made = new_type(p, "object");

	put_int(p, made, "maxProperties", map->max);
	put(p, made, "propertyNames", print_item(p, &name));
	put(p, made, "additionalProperties",
	    print_item(p, map->item != NULL ? map->item : &block));
	return made;
}

/* Fails if the default of a key is not JSON. */
static struct json_object *print_fallback(const struct schema_key *key)
{
	char text[256];

	schema_fallback_print(key, text, sizeof(text));
	return json_tokener_parse(text);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static struct json_object *print_key(struct print *p,
				     const struct schema_key *key)
{
	struct json_object *made = print_item(p, &key->is);

	if (key->nullable) {
		struct json_object *ways = json_object_new_array();
		push(p, ways, new_type(p, "null"));
		push(p, ways, made);
		made = json_object_new_object();
		put(p, made, "anyOf", ways);
	}
	put_text(p, made, "description", key->about);
	if (key->preset)
		put(p, made, "default", print_fallback(key));
	return made;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static struct json_object *print_block(struct print *p,
				       const struct schema_block *block)
{
	struct json_object *made = new_type(p, "object");
	struct json_object *keys = json_object_new_object();
	struct json_object *required = json_object_new_array();

	for (size_t i = 0; i < block->n_keys; i++) {
		const struct schema_key *key = &block->keys[i];
		put(p, keys, key->name, print_key(p, key));
		if (key->required)
			push(p, required, json_object_new_string(key->name));
	}
	put(p, made, "required", required);
	put(p, made, "additionalProperties", json_object_new_boolean(0));
	put(p, made, "properties", keys);
	return made;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static struct json_object *print_item(struct print *p,
				      const struct schema_item *item)
{
	switch (item->type) {
	case SCHEMA_BLOCK:
		return print_block(p, item->block);
	case SCHEMA_MAP:
		return print_map(p, item);
	case SCHEMA_LIST:
		return item->single ? print_single(p, item)
				    : print_list(p, item);
	case SCHEMA_WORD:
		return print_word(p, item);
	case SCHEMA_TEXT:
		return new_string(p, NULL, item->min, item->max);
	case SCHEMA_PATH:
	case SCHEMA_URLPATH:
		return new_string(p, "^/", 1, item->max);
	case SCHEMA_DNAME:
		return new_string(p, dname_pattern, 1, 1004);
	case SCHEMA_ADDRESS:
	case SCHEMA_LISTEN:
		return print_address(p);
	case SCHEMA_ID:
	case SCHEMA_SERVER:
	case SCHEMA_SERVICE:
	case SCHEMA_POP_NAME:
		return new_string(p, "^[A-Za-z0-9._-]+$", 1, 63);
	case SCHEMA_PREFIX:
		return new_string(p, "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$", 2, 49);
	case SCHEMA_COUNTRY:
		return new_string(p, "^[A-Z]{2}$", 2, 2);
	case SCHEMA_BOOL:
		return new_type(p, "boolean");
	case SCHEMA_INTEGER:
		return new_range(p, "integer", item->min, item->max);
	case SCHEMA_NUMBER:
		return new_range(p, "number", item->min, item->max);
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		return print_quantity(p, item);
	case SCHEMA_SPAN:
		return print_span(p, item);
	}
	return NULL;
}

int schema_text(char **textp)
{
	struct print p = { 0 };
	struct json_object *root = json_object_new_object();
	char *text = NULL;

	put_text(&p, root, "$schema",
		 "https://json-schema.org/draft/2020-12/schema");
	put_text(&p, root, "title", "nearzone.json");
	put_text(&p, root, "description",
		 "The configuration of Nearzone: nearzone.json(5)");

	/* After those, so that it reads from the top. */
	struct json_object *block = print_block(&p, &schema_root);
	if (block != NULL) {
		json_object_object_foreach(block, key, value)
		{
			put(&p, root, key, json_object_get(value));
		}
	}
	json_object_put(block);
	if (!p.failed) {
		const char *made = json_object_to_json_string_ext(
			root, JSON_C_TO_STRING_PRETTY |
				      JSON_C_TO_STRING_NOSLASHESCAPE);
		size_t n = made != NULL ? strlen(made) : 0;
		text = made != NULL ? malloc(n + 2) : NULL;
		if (text != NULL)
			snprintf(text, n + 2, "%s\n", made);
	}
	json_object_put(root);
	if (text == NULL)
		return -ENOMEM;
	*textp = text;
	return 0;
}

size_t schema_fallback_print(const struct schema_key *key, char *out,
			     size_t size)
{
	char units[UNITS_TEXT_MAX] = "";
	const char *quoted = units;

	out[0] = '\0';
	if (!key->preset)
		return 0;
	if (key->fallback_text != NULL)
		quoted = key->fallback_text;
	else if (key->is.type == SCHEMA_WORD)
		quoted = key->is.words[key->fallback];
	else if (key->is.type == SCHEMA_DURATION && key->fallback != 0)
		units_duration_print((uint64_t)key->fallback, units);
	else if (key->is.type == SCHEMA_SIZE)
		units_size_print((uint64_t)key->fallback, units);

	int n;
	if (quoted[0] != '\0')
		n = snprintf(out, size, "\"%s\"", quoted);
	else if (key->is.type == SCHEMA_BOOL)
		n = snprintf(out, size, "%s", key->fallback ? "true" : "false");
	else
		n = snprintf(out, size, "%" PRId64, key->fallback);
	return (size_t)n;
}
