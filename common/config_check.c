/* SPDX-License-Identifier: MPL-2.0 */
#include "common/config_int.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static void check_item(struct config_check *c, const struct schema_item *item,
		       uint32_t node, struct json_object *value,
		       struct config_value *out);
static void check_block(struct config_check *c,
			const struct schema_block *block, uint32_t node,
			struct json_object *value);

static const struct slice none = { NULL, 0 };

/*
 * Has json-c parse value 'node'; the caller puts the result.  Returns false if
 * it will not, which is a finding.
 */
static bool json_parse(struct config_check *c, uint32_t node,
		       struct json_object **valuep)
{
	struct slice raw = jsontext_raw(c->json, node);

	json_tokener_reset(c->tokener);
	*valuep = json_tokener_parse_ex(c->tokener, raw.p, (int)raw.n);
	/* A number ends only with what comes after it. */
	if (json_tokener_get_error(c->tokener) == json_tokener_continue)
		*valuep = json_tokener_parse_ex(c->tokener, "", 1);

	enum json_tokener_error error = json_tokener_get_error(c->tokener);
	if (error == json_tokener_success)
		return true;
	config_find(c, node, "json-c: %s", json_tokener_error_desc(error));
	return false;
}

/* Says of a member whose key was there before that it was. */
static void check_duplicate(struct config_check *c, uint32_t node)
{
	const struct jsontext_node *at = &c->json->nodes[node];
	char shown[CONFIG_SHOW_MAX];

	if (at->same != 0)
		config_find(c, node, "duplicate key %s, first in line %u",
			    config_quote(at->key, shown),
			    (unsigned)c->json->nodes[at->same].line);
}

/* Finds the elements of a list that are there twice. */
static void check_unique(struct config_check *c, uint32_t node,
			 struct json_object *value)
{
	const struct jsontext_node *nodes = c->json->nodes;
	size_t n = nodes[node].n, used = 0;
	uint32_t i = nodes[node].first;
	char shown[CONFIG_SHOW_MAX];

	if (n < 2)
		return;
	struct config_ref *refs = calloc(n, sizeof(*refs));
	if (refs == NULL) {
		c->rc = -ENOMEM;
		return;
	}
	for (size_t k = 0; k < n; k++, i = nodes[i].next) {
		struct json_object *e = json_object_array_get_idx(value, k);
		if (nodes[i].kind != JSONTEXT_STRING)
			continue;
		refs[used++] = (struct config_ref){
			{ json_object_get_string(e),
			  (size_t)json_object_get_string_len(e) },
			i,
			0
		};
	}
	qsort(refs, used, sizeof(*refs), config_ref_compare);
	for (size_t k = 1; k < used; k++) {
		struct slice a = refs[k - 1].name, b = refs[k].name;
		if (a.n == b.n && memcmp(a.p, b.p, a.n) == 0)
			config_find(c, refs[k].node, "%s is there twice",
				    config_quote(b, shown));
	}
	free(refs);
}

/* Room for 'n' more elements of lists. */
static bool elements_room(struct config_check *c, size_t n)
{
	size_t want = c->n_elements + n;

	if (want <= c->elements_max)
		return true;
	want = want < 64 ? 64 : 2 * want;
	struct config_value *more =
		realloc(c->elements, want * sizeof(*c->elements));
	if (more == NULL) {
		c->rc = -ENOMEM;
		return false;
	}
	c->elements = more;
	c->elements_max = want;
	return true;
}

/* The elements stay in c->elements until their block has been built. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static void check_list(struct config_check *c, const struct schema_item *list,
		       uint32_t node, struct json_object *value,
		       struct config_value *out)
{
	const struct jsontext_node *at = &c->json->nodes[node];
	uint32_t element = at->first;
	char range[CONFIG_SHOW_MAX];

	if (at->n < (uint64_t)list->min || at->n > (uint64_t)list->max)
		config_find(c, node, "%" PRIu32 " elements, want %s", at->n,
			    config_range_print(list, range, sizeof(range)));
	size_t n = at->n < (uint64_t)list->max ? at->n : (size_t)list->max;
	if (!elements_room(c, n))
		return;
	out->first = c->n_elements;
	out->count = n;
	c->n_elements += n;
	for (uint32_t i = 0; i < n && c->rc == 0; i++) {
		const struct schema_item *item =
			list->tuple ? &list->item[i] : list->item;
		struct config_value one;
		config_enter(c, none, i);
		check_item(c, item, element,
			   json_object_array_get_idx(value, i), &one);
		config_leave(c);
		c->elements[out->first + i] = one;
		element = c->json->nodes[element].next;
	}
	if (list->unique)
		check_unique(c, node, value);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static void check_member(struct config_check *c, const struct schema_item *map,
			 uint32_t node)
{
	const struct jsontext_node *at = &c->json->nodes[node];
	const struct schema_item name = { .type = map->named,
					  .min = 1,
					  .max = SCHEMA_NAME_MAX };
	const struct schema_item item = { .type = SCHEMA_BLOCK,
					  .block = map->block };
	struct json_object *member;

	config_enter(c, at->key, 0);
	config_name_check(c, &name, node);
	if (json_parse(c, node, &member)) {
		check_item(c, &item, node, member, NULL);
		json_object_put(member);
	}
	config_leave(c);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static void check_map(struct config_check *c, const struct schema_item *map,
		      uint32_t node)
{
	const struct jsontext_node *nodes = c->json->nodes;
	char range[CONFIG_SHOW_MAX];

	if (nodes[node].n > (uint64_t)map->max) {
		config_find(c, node, "%" PRIu32 " members, want %s",
			    nodes[node].n,
			    config_range_print(map, range, sizeof(range)));
		return;
	}
	for (uint32_t i = nodes[node].first; i != 0; i = nodes[i].next) {
		check_duplicate(c, i);
		if (nodes[i].shadowed == 0)
			check_member(c, map, i);
		if (c->rc != 0)
			return;
	}
}

/* The members are kept as elements of a list are; each has its own node. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static void check_values(struct config_check *c, const struct schema_item *map,
			 uint32_t node, struct config_value *out)
{
	const struct jsontext_node *nodes = c->json->nodes;
	const struct schema_item name = { .type = map->named };
	char range[CONFIG_SHOW_MAX];

	if (nodes[node].n > (uint64_t)map->max) {
		config_find(c, node, "%" PRIu32 " members, want %s",
			    nodes[node].n,
			    config_range_print(map, range, sizeof(range)));
		return;
	}
	if (!elements_room(c, nodes[node].n))
		return;
	out->first = c->n_elements;
	for (uint32_t i = nodes[node].first; i != 0; i = nodes[i].next) {
		struct json_object *member;
		check_duplicate(c, i);
		if (nodes[i].shadowed != 0)
			continue;
		config_enter(c, nodes[i].key, 0);
		if (config_name_check(c, &name, i) &&
		    json_parse(c, i, &member)) {
			check_item(c, map->item, i, member,
				   &c->elements[c->n_elements++]);
			json_object_put(member);
		}
		config_leave(c);
	}
	out->count = c->n_elements - out->first;
}

/* A string where a list of them may be. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static void check_single(struct config_check *c, const struct schema_item *list,
			 uint32_t node, struct json_object *value,
			 struct config_value *out)
{
	if (!elements_room(c, 1))
		return;
	out->first = c->n_elements++;
	out->count = 1;
	check_item(c, list->item, node, value, &c->elements[out->first]);
}

/*
 * jsontext and json-c have read the same text.  Should they ever disagree,
 * the value is refused: nothing below could trust either.
 */
static bool agree(struct config_check *c, uint32_t node,
		  struct json_object *value)
{
	static const enum json_type types[] = {
		[JSONTEXT_NULL] = json_type_null,
		[JSONTEXT_BOOL] = json_type_boolean,
		[JSONTEXT_INTEGER] = json_type_int,
		[JSONTEXT_NUMBER] = json_type_double,
		[JSONTEXT_STRING] = json_type_string,
		[JSONTEXT_ARRAY] = json_type_array,
		[JSONTEXT_OBJECT] = json_type_object,
	};

	if (json_object_get_type(value) == types[c->json->nodes[node].kind])
		return true;
	config_find(c, node, "read in two ways; write it more plainly");
	return false;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static void check_item(struct config_check *c, const struct schema_item *item,
		       uint32_t node, struct json_object *value,
		       struct config_value *out)
{
	enum jsontext_kind kind = c->json->nodes[node].kind;
	struct config_value ignored;
	enum jsontext_kind wanted =
		item->type == SCHEMA_LIST ? JSONTEXT_ARRAY : JSONTEXT_OBJECT;

	if (out == NULL)
		out = &ignored;
	*out = (struct config_value){ .given = true, .node = node };
	if (item->type != SCHEMA_MAP && !agree(c, node, value))
		return;
	if (item->type != SCHEMA_BLOCK && item->type != SCHEMA_MAP &&
	    item->type != SCHEMA_LIST) {
		config_value_check(c, item, node, value, out);
		return;
	}

	size_t before = c->found.total;
	if (item->single &&
	    (kind == JSONTEXT_STRING ||
	     (kind == JSONTEXT_INTEGER && item->item->type == SCHEMA_SPAN)))
		check_single(c, item, node, value, out);
	else if (kind != wanted)
		config_want(c, item, node);
	else if (item->type == SCHEMA_LIST)
		check_list(c, item, node, value, out);
	else if (item->type == SCHEMA_MAP && item->item != NULL)
		check_values(c, item, node, out);
	else if (item->type == SCHEMA_MAP)
		check_map(c, item, node);
	else
		check_block(c, item->block, node, value);
	out->ok = c->found.total == before;
}

static size_t key_index(const struct schema_block *block, struct slice name)
{
	size_t i = 0;

	while (i < block->n_keys && !slice_is(name, block->keys[i].name))
		i++;
	return i;
}

static void unknown_key(struct config_check *c,
			const struct schema_block *block, uint32_t node)
{
	struct slice name = c->json->nodes[node].key;
	char shown[CONFIG_SHOW_MAX], meant[CONFIG_SHOW_MAX];
	struct config_guess guess;

	config_guess_init(&guess, name);
	for (size_t i = 0; i < block->n_keys; i++)
		config_guess_offer(&guess, slice_of(block->keys[i].name));
	config_find(c, node, "unknown key %s%s", config_quote(name, shown),
		    config_guess_print(&guess, meant));
}

/*
 * One member of a block, whose value lands in 'v'.  'value' is NULL for the
 * document itself, which is parsed piece by piece.
 */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static void check_key(struct config_check *c, const struct schema_block *block,
		      uint32_t node, struct json_object *value,
		      struct config_value *v)
{
	const struct jsontext_node *at = &c->json->nodes[node];
	size_t index = key_index(block, at->key);

	check_duplicate(c, node);
	if (at->shadowed != 0)
		return;
	if (index == block->n_keys) {
		unknown_key(c, block, node);
		return;
	}

	const struct schema_key *key = &block->keys[index];
	struct json_object *member = NULL;
	if (key->nullable && at->kind == JSONTEXT_NULL)
		return;
	config_enter(c, at->key, 0);
	if (value != NULL)
		json_object_object_get_ex(value, key->name, &member);
	if (value != NULL || key->is.type == SCHEMA_MAP) {
		check_item(c, &key->is, node, member, &v[index]);
	} else if (json_parse(c, node, &member)) {
		check_item(c, &key->is, node, member, &v[index]);
		json_object_put(member);
	}
	config_leave(c);
}

/*
 * Checks a block; 'node' CONFIG_NO_NODE: one that is not there, and all of it
 * by default.
 */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the schema is */
static void check_block(struct config_check *c,
			const struct schema_block *block, uint32_t node,
			struct json_object *value)
{
	const struct jsontext_node *nodes = c->json->nodes;
	struct config_value v[SCHEMA_KEYS_MAX] = { 0 };
	size_t before = c->found.total;
	size_t elements = c->n_elements;
	uint32_t first = node == CONFIG_NO_NODE ? 0 : nodes[node].first;

	for (size_t i = 0; i < block->n_keys; i++)
		config_value_preset(&block->keys[i], &v[i]);
	for (uint32_t i = first; i != 0; i = nodes[i].next)
		check_key(c, block, i, value, v);
	for (size_t i = 0; i < block->n_keys; i++) {
		const struct schema_key *key = &block->keys[i];
		if (v[i].given)
			continue;
		if (key->is.type == SCHEMA_BLOCK)
			check_block(c, key->is.block, CONFIG_NO_NODE, NULL);
		if (key->required && node != CONFIG_NO_NODE)
			config_find(c, node, "missing key \"%s\"", key->name);
	}
	if (c->rc == 0)
		config_built(c, block->id, node, v, c->found.total == before);
	c->n_elements = elements;
}

/* Adds the names of the members of object 'node' to 'refs'. */
static void refs_add(const struct jsontext *json, uint32_t node,
		     struct config_refs *refs)
{
	if (json->nodes[node].kind != JSONTEXT_OBJECT)
		return;
	for (uint32_t i = json->nodes[node].first; i != 0;
	     i = json->nodes[i].next)
		if (json->nodes[i].shadowed == 0) {
			refs->all[refs->n] =
				(struct config_ref){ json->nodes[i].key, i,
						     (uint32_t)refs->n };
			refs->n++;
		}
}

/* Calls refs_add() for the servers of every POP. */
static void servers_add(const struct jsontext *json, uint32_t pops,
			struct config_refs *refs)
{
	if (json->nodes[pops].kind != JSONTEXT_OBJECT)
		return;
	for (uint32_t i = json->nodes[pops].first; i != 0;
	     i = json->nodes[i].next) {
		uint32_t servers = jsontext_member(json, i, "servers");
		if (servers != 0 && json->nodes[i].shadowed == 0)
			refs_add(json, servers, refs);
	}
}

/* All names that others may refer to, which may come later in the text. */
static int refs_collect(struct config_check *c)
{
	const struct jsontext *json = c->json;
	uint32_t services = jsontext_member(json, 0, "services");
	uint32_t pops = jsontext_member(json, 0, "pops");
	size_t room = 1;
	size_t n_pops = pops != 0 ? json->nodes[pops].n : 0;

	if (services != 0)
		room += json->nodes[services].n;
	if (pops != 0)
		for (uint32_t i = json->nodes[pops].first; i != 0;
		     i = json->nodes[i].next) {
			uint32_t servers = jsontext_member(json, i, "servers");
			room += servers != 0 ? json->nodes[servers].n : 0;
		}
	c->services.all = calloc(room, sizeof(*c->services.all));
	c->servers.all = calloc(room, sizeof(*c->servers.all));
	c->pops.all = calloc(n_pops + 1, sizeof(*c->pops.all));
	if (c->services.all == NULL || c->servers.all == NULL ||
	    c->pops.all == NULL)
		return -ENOMEM;
	if (services != 0)
		refs_add(json, services, &c->services);
	if (pops != 0) {
		refs_add(json, pops, &c->pops);
		servers_add(json, pops, &c->servers);
	}
	qsort(c->services.all, c->services.n, sizeof(*c->services.all),
	      config_ref_compare);
	qsort(c->servers.all, c->servers.n, sizeof(*c->servers.all),
	      config_ref_compare);
	qsort(c->pops.all, c->pops.n, sizeof(*c->pops.all), config_ref_compare);
	return 0;
}

void config_check_all(struct config_check *c)
{
	static const struct schema_item document = { .type = SCHEMA_BLOCK,
						     .block = &schema_root };

	c->tokener = json_tokener_new_ex(JSONTEXT_DEPTH_MAX + 1);
	c->rc = c->tokener != NULL ? refs_collect(c) : -ENOMEM;
	if (c->rc == 0)
		c->rc = config_builder_refs(c);
	if (c->rc == 0) {
		json_tokener_set_flags(c->tokener,
				       JSON_TOKENER_STRICT |
					       JSON_TOKENER_VALIDATE_UTF8);
		if (c->json->nodes[0].kind == JSONTEXT_OBJECT)
			check_block(c, &schema_root, 0, NULL);
		else
			config_want(c, &document, 0);
	}
	json_tokener_free(c->tokener);
	free(c->services.all);
	free(c->servers.all);
	free(c->pops.all);
	free(c->elements);
}
