/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/rows.h"

#include <json-c/json.h>
#include <math.h>
#include <netinet/in.h>
#include <string.h>

#include "common/config.h"

enum {
	ROW_SERVER,
	ROW_ADDRESS,
	ROW_SERVICE,
	ROW_TIME,
	ROW_STATE,
	ROW_METRIC,
	ROW_ERROR,
	ROW_FIELDS
};
#define HOW_FIELDS 8u /* of a latency and how it was measured */

static struct slice text_at(struct json_object *row, size_t i)
{
	struct json_object *value = json_object_array_get_idx(row, i);

	if (!json_object_is_type(value, json_type_string))
		return (struct slice){ NULL, 0 };
	return (struct slice){ json_object_get_string(value),
			       (size_t)json_object_get_string_len(value) };
}

/* A number, or NaN. */
static double number_at(struct json_object *row, size_t i)
{
	struct json_object *value = json_object_array_get_idx(row, i);

	if (!json_object_is_type(value, json_type_int) &&
	    !json_object_is_type(value, json_type_double))
		return NAN;
	return json_object_get_double(value);
}

static bool address_at(struct json_object *row, size_t i,
		       struct sockaddr_storage *address)
{
	struct slice text = text_at(row, i);

	return text.p != NULL && config_address_parse(text, address) == 0;
}

static bool test_read(struct json_object *row, double wall_s,
		      struct gtm_row *out)
{
	struct json_object *error = json_object_array_get_idx(row, ROW_ERROR);
	struct slice state = text_at(row, ROW_STATE);

	out->server = text_at(row, ROW_SERVER);
	out->service = text_at(row, ROW_SERVICE);
	if (out->server.p == NULL || out->service.p == NULL ||
	    state.p == NULL || !address_at(row, ROW_ADDRESS, &out->address) ||
	    !json_object_is_type(error, json_type_int))
		return false;
	if (slice_is(state, "up"))
		out->state = GTM_UP;
	else if (slice_is(state, "down"))
		out->state = GTM_DOWN;
	else
		return false;
	out->node = (struct slice){ NULL, 0 }; /* the batch has it */
	out->metric = number_at(row, ROW_METRIC);
	out->error = json_object_get_int64(error);
	out->age_ms = (wall_s - number_at(row, ROW_TIME)) * 1000;
	return true;
}

bool rows_prefix(struct slice text, struct gtm_client *prefix)
{
	const char *slash = text.p != NULL ? memchr(text.p, '/', text.n) : NULL;
	struct slice address = { text.p, slash != NULL
						 ? (size_t)(slash - text.p)
						 : text.n };
	struct sockaddr_storage ss;
	const struct sockaddr_in *in = (const void *)&ss;
	const struct sockaddr_in6 *in6 = (const void *)&ss;
	unsigned int bits = 0;

	if (text.p == NULL || config_address_parse(address, &ss) != 0)
		return false;
	*prefix = (struct gtm_client){ .v6 = ss.ss_family == AF_INET6 };
	prefix->bits = prefix->v6 ? 128 : 32;
	if (prefix->v6)
		memcpy(prefix->address, &in6->sin6_addr, 16);
	else
		memcpy(prefix->address, &in->sin_addr, 4);
	if (slash == NULL)
		return true;
	size_t digits = text.n - address.n - 1;
	for (size_t i = 0; i < digits && digits <= 3; i++) {
		if (slash[1 + i] < '0' || slash[1 + i] > '9')
			return false;
		bits = bits * 10 + (unsigned int)(slash[1 + i] - '0');
	}
	if (digits > 3 || bits < 1 || bits > prefix->bits)
		return false;
	prefix->bits = (uint8_t)bits;
	gtm_client_clear(prefix);
	return true;
}

/* How a latency was measured. */
static bool how_read(struct json_object *row, struct row *out)
{
	struct json_object *full = json_object_array_get_idx(row, 7);

	out->method = text_at(row, 5);
	out->full = json_object_get_boolean(full) != 0;
	return out->method.p != NULL &&
	       rows_prefix(text_at(row, 6), &out->client) &&
	       json_object_is_type(full, json_type_boolean);
}

/* Those that begin with what they are. */
static bool value_read(struct json_object *row, size_t n, double wall_s,
		       struct row *out)
{
	static const struct {
		const char *name;
		enum row_kind kind;
		size_t n;
	} kinds[] = {
		{ "load", ROW_LOAD, 4 },
		{ "loss", ROW_LOSS, 4 },
		{ "bandwidth", ROW_BANDWIDTH, 4 },
		{ "latency", ROW_LATENCY, 5 },
	};
	struct slice name = text_at(row, 0);
	size_t i = 0;

	while (i < 4 && (name.p == NULL || !slice_is(name, kinds[i].name)))
		i++;
	out->method = (struct slice){ NULL, 0 };
	if (i == 4)
		return false;
	out->kind = kinds[i].kind;
	if (out->kind == ROW_LATENCY && n == HOW_FIELDS) {
		if (!how_read(row, out))
			return false;
		n = kinds[i].n;
	}
	if (kinds[i].n != n)
		return false;
	out->of = text_at(row, n - 3);
	out->age_ms = (wall_s - number_at(row, n - 2)) * 1000;
	out->value = number_at(row, n - 1);
	if (out->kind == ROW_LATENCY) {
		if (!rows_prefix(text_at(row, 1), &out->prefix))
			return false;
		if (json_object_array_get_idx(row, n - 1) == NULL)
			out->value = -1.0;
		else if (out->value < 0.0)
			return false;
	}
	return out->of.p != NULL;
}

bool rows_read(struct json_object *row, double wall_s, struct row *out)
{
	if (!json_object_is_type(row, json_type_array))
		return false;
	size_t n = json_object_array_length(row);
	if (n != ROW_FIELDS)
		return value_read(row, n, wall_s, out);
	out->kind = ROW_TEST;
	return test_read(row, wall_s, &out->test);
}
