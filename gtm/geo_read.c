/* SPDX-License-Identifier: MPL-2.0 */
/* The tree of a database, from left to right, and its records. */
#include "gtm/geo_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATOR     16u /* octets between tree and data */
#define RECORDS_MAX   (16u << 20)
#define RECORD_VALUES 4096u
#define BUDGET_EACH   2u /* values for each octet of the file, in all */
#define BUDGET_LEAST  100000u
#define NUMBER_MAX    32u /* octets of a number as text */

static int bad(struct gtm_geo *geo, const char *why)
{
	geo->why = why;
	return -EBADMSG;
}

/* -- values ---------------------------------------------------------------- */

/* The value at 'keys' of the record; false: there is none. */
static bool value_at(MMDB_entry_s *entry, const char *const *keys,
		     MMDB_entry_data_s *data)
{
	return MMDB_aget_value(entry, data, keys) == MMDB_SUCCESS &&
	       data->has_data;
}

/* "50.11", "-8"; false: it is no such number. */
static bool text_number(const MMDB_entry_data_s *data, double *out)
{
	double n = 0, unit = 1;
	size_t i = 0, digits = 0;
	const char *p = data->utf8_string;
	bool minus = data->data_size > 0 && p[0] == '-';

	if (data->data_size > NUMBER_MAX)
		return false;
	for (i = minus; i < data->data_size && p[i] >= '0' && p[i] <= '9'; i++)
		n = n * 10 + (p[i] - '0'), digits++;
	if (i < data->data_size && p[i] == '.')
		for (i++; i < data->data_size && p[i] >= '0' && p[i] <= '9';
		     i++)
			n += (p[i] - '0') * (unit /= 10), digits++;
	*out = minus ? -n : n;
	return digits > 0 && i == data->data_size;
}

static bool number_of(const MMDB_entry_data_s *data, double *out)
{
	switch (data->type) {
	case MMDB_DATA_TYPE_DOUBLE:
		*out = data->double_value;
		return true;
	case MMDB_DATA_TYPE_FLOAT:
		*out = (double)data->float_value;
		return true;
	case MMDB_DATA_TYPE_INT32:
		*out = data->int32;
		return true;
	case MMDB_DATA_TYPE_UINT16:
		*out = data->uint16;
		return true;
	case MMDB_DATA_TYPE_UINT32:
		*out = data->uint32;
		return true;
	case MMDB_DATA_TYPE_UINT64:
		*out = (double)data->uint64;
		return true;
	case MMDB_DATA_TYPE_UTF8_STRING:
		return text_number(data, out);
	default:
		return false;
	}
}

/* Two letters, as capitals; 0: it is something else. */
static uint16_t code_of(const MMDB_entry_data_s *data)
{
	uint16_t code = 0;

	if (data->type != MMDB_DATA_TYPE_UTF8_STRING || data->data_size != 2)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		char c = data->utf8_string[i];
		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (c < 'A' || c > 'Z')
			return 0;
		code = (uint16_t)(code << 8 | c);
	}
	return code;
}

static uint16_t country_of(struct gtm_geo *geo, MMDB_entry_s *entry)
{
	MMDB_entry_data_s data;
	uint16_t code = 0;

	for (size_t i = 0; code == 0 && i < geo->country.n; i++)
		if (value_at(entry, geo->country.key[i], &data))
			code = code_of(&data);
	return code;
}

static uint8_t continent_of(struct gtm_geo *geo, MMDB_entry_s *entry)
{
	MMDB_entry_data_s data;

	for (size_t i = 0; i < geo->continent.n; i++) {
		if (!value_at(entry, geo->continent.key[i], &data))
			continue;
		uint16_t code = code_of(&data);
		for (unsigned int k = CONFIG_AF; k < CONFIG_CONTINENTS; k++) {
			const char *name = config_continent_names[k];
			if (code == (uint16_t)(name[0] << 8 | name[1]))
				return (uint8_t)k;
		}
	}
	return CONFIG_NO_CONTINENT;
}

/* 64500, "64500" or "AS64500" */
static uint32_t as_of(struct gtm_geo *geo, MMDB_entry_s *entry)
{
	MMDB_entry_data_s data;
	double n;

	for (size_t i = 0; i < geo->as.n; i++) {
		if (!value_at(entry, geo->as.key[i], &data))
			continue;
		if (data.type == MMDB_DATA_TYPE_UTF8_STRING &&
		    data.data_size > 2 &&
		    memcmp(data.utf8_string, "AS", 2) == 0) {
			data.utf8_string += 2;
			data.data_size -= 2;
		}
		if (number_of(&data, &n) && n >= 1 && n < 4294967295.0)
			return (uint32_t)n;
	}
	return 0;
}

/* One coordinate in what 'keys' lead to, under one of its names. */
static bool degrees_of(MMDB_entry_s *entry, const char *const *keys,
		       const char *const *names, double *out)
{
	const char *path[GEO_KEYS_MAX + 2] = { NULL };
	MMDB_entry_data_s data;
	size_t n = 0;

	for (; keys[n] != NULL; n++)
		path[n] = keys[n];
	for (; *names != NULL; names++) {
		path[n] = *names;
		if (value_at(entry, path, &data))
			return number_of(&data, out);
	}
	return false;
}

static void locate(struct gtm_geo *geo, MMDB_entry_s *entry,
		   struct gtm_facts *facts)
{
	static const char *const north[] = { "latitude", "lat", NULL };
	static const char *const east[] = { "longitude", "lon", "lng", NULL };
	double latitude, longitude;

	for (size_t i = 0; i < geo->location.n; i++) {
		const char *const *keys = geo->location.key[i];
		if (!degrees_of(entry, keys, north, &latitude) ||
		    !degrees_of(entry, keys, east, &longitude))
			continue;
		/* also false for what is no number */
		if (!(latitude >= -90 && latitude <= 90 && longitude >= -180 &&
		      longitude <= 180))
			continue;
		facts->located = true;
		facts->latitude = (float)latitude;
		facts->longitude = (float)longitude;
		return;
	}
}

/* -- records --------------------------------------------------------------- */

static size_t table_at(const struct gtm_geo *geo, uint32_t offset)
{
	size_t at =
		(size_t)(offset * UINT32_C(0x9e3779b1)) & (geo->table_size - 1);

	while (geo->table[at].offset != UINT32_MAX &&
	       geo->table[at].offset != offset)
		at = (at + 1) & (geo->table_size - 1);
	return at;
}

static int facts_room(struct gtm_geo *geo)
{
	size_t max = geo->facts_max > 0 ? 2 * geo->facts_max : 256;
	struct gtm_geo_known *was = geo->table;
	size_t n = geo->table_size;

	if (geo->n_facts < geo->facts_max)
		return 0;
	struct gtm_facts *more = realloc(geo->facts, max * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	geo->facts = more;
	struct gtm_geo_known *table = malloc(2 * max * sizeof(*table));
	if (table == NULL)
		return -ENOMEM;
	memset(table, 0xff, 2 * max * sizeof(*table));
	geo->table = table;
	geo->table_size = 2 * max;
	geo->facts_max = max;
	for (size_t i = 0; i < n; i++)
		if (was[i].offset != UINT32_MAX)
			table[table_at(geo, was[i].offset)] = was[i];
	free(was);
	return 0;
}

/* The facts of the record at 'offset' of the data: read once. */
static int facts_of(struct gtm_geo *geo, uint64_t offset,
		    struct gtm_facts *facts)
{
	const MMDB_s *mmdb = &geo->mmdb;
	uint64_t budget = RECORD_VALUES;
	int rc = facts_room(geo);

	if (rc != 0)
		return rc;
	if (offset >= mmdb->data_section_size)
		return bad(geo, "a record lies behind the end");
	size_t at = table_at(geo, (uint32_t)offset);
	if (geo->table[at].offset != UINT32_MAX) {
		*facts = geo->facts[geo->table[at].facts];
		return 0;
	}
	if (geo->n_facts == RECORDS_MAX)
		return bad(geo, "it has too many records");
	if (gtm_geo_walk(mmdb->data_section, mmdb->data_section_size, offset,
			 &budget) != 0)
		return bad(geo, "a record is not in the format, or too large");
	if (geo->budget < RECORD_VALUES - budget)
		return bad(geo, "its records are too large");
	geo->budget -= RECORD_VALUES - budget;
	MMDB_entry_s entry = { .mmdb = mmdb, .offset = (uint32_t)offset };
	*facts = (struct gtm_facts){ 0 };
	facts->country = country_of(geo, &entry);
	facts->continent = continent_of(geo, &entry);
	facts->as = as_of(geo, &entry);
	locate(geo, &entry, facts);
	geo->table[at] = (struct gtm_geo_known){ (uint32_t)offset,
						 (uint32_t)geo->n_facts };
	geo->facts[geo->n_facts++] = *facts;
	return 0;
}

/* -- the tree -------------------------------------------------------------- */

static void begin(void *arg, bool v6)
{
	struct gtm_geo *geo = arg;
	const MMDB_s *mmdb = &geo->mmdb;
	uint64_t root = 0;

	if (!v6) {
		geo->budget = BUDGET_EACH * geo->file.size_bytes + BUDGET_LEAST;
		geo->networks = 0;
	}
	geo->v6 = v6;
	geo->depth = 0;
	geo->whole = false;
	geo->nodes = 0;
	geo->hi = geo->lo = 0;
	if (mmdb->metadata.ip_version == 4 && v6)
		return;
	if (mmdb->metadata.ip_version == 6 && !v6)
		root = mmdb->ipv4_start_node.node_value;
	if (root >= mmdb->metadata.node_count) {
		geo->whole = root > mmdb->metadata.node_count;
		geo->first = root;
		return;
	}
	geo->step[0] = (struct gtm_geo_step){ .node = (uint32_t)root };
	geo->depth = 1;
	geo->nodes = 1;
}

static void bit_put(struct gtm_geo *geo, size_t at, bool set)
{
	uint64_t *word = at < 64 ? &geo->hi : &geo->lo;
	uint64_t bit = UINT64_C(1) << (63 - at % 64);

	*word = set ? *word | bit : *word & ~bit;
}

static int span_fill(struct gtm_geo *geo, uint64_t record, size_t bits,
		     struct gtm_span *span)
{
	uint64_t least = (uint64_t)geo->mmdb.metadata.node_count + SEPARATOR;

	if (record < least)
		return bad(geo, "a record lies before the data");
	int rc = facts_of(geo, record - least, &span->facts);
	if (rc != 0)
		return rc;
	span->hi = geo->hi;
	span->lo = geo->lo;
	span->bits = (uint8_t)bits;
	geo->networks++;
	return 1;
}

/* Where the IPv4 addresses are once more, under a prefix for some tunnel. */
static bool is_alias(const struct gtm_geo *geo, uint64_t record)
{
	return geo->v6 && geo->mmdb.metadata.ip_version == 6 &&
	       record < geo->mmdb.metadata.node_count &&
	       record == geo->mmdb.ipv4_start_node.node_value;
}

/* Into the node 'record', a level below. */
static int enter(struct gtm_geo *geo, uint64_t record)
{
	if (geo->depth == (geo->v6 ? 128u : 32u))
		return bad(geo, "its tree is deeper than an address");
	if (++geo->nodes > geo->mmdb.metadata.node_count)
		return bad(geo, "its tree is none: a node is there twice");
	geo->step[geo->depth++] =
		(struct gtm_geo_step){ .node = (uint32_t)record };
	return 0;
}

/* One turn of the walk: 1: '*span' is filled; 0: on with it; or -errno. */
static int turn(struct gtm_geo *geo, struct gtm_span *span)
{
	struct gtm_geo_step *step = &geo->step[geo->depth - 1];
	MMDB_search_node_s node;

	if (step->turn == 2) {
		geo->depth--;
		bit_put(geo, geo->depth, false);
		return 0;
	}
	bit_put(geo, geo->depth - 1, step->turn == 1);
	bool right = step->turn++ == 1;
	if (MMDB_read_node(&geo->mmdb, step->node, &node) != MMDB_SUCCESS)
		return bad(geo, "a node cannot be read");
	uint64_t record = right ? node.right_record : node.left_record;
	if (record == geo->mmdb.metadata.node_count || is_alias(geo, record))
		return 0;
	if (record > geo->mmdb.metadata.node_count)
		return span_fill(geo, record, geo->depth, span);
	return enter(geo, record);
}

static int next(void *arg, struct gtm_span *span)
{
	struct gtm_geo *geo = arg;
	int rc = 0;

	if (geo->whole) {
		geo->whole = false;
		return span_fill(geo, geo->first, 0, span);
	}
	while (rc == 0 && geo->depth > 0)
		rc = turn(geo, span);
	return rc;
}

struct gtm_source gtm_geo_source(struct gtm_geo *geo)
{
	return (struct gtm_source){ .arg = geo, .begin = begin, .next = next };
}
