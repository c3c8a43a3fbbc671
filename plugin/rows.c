/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/rows.h"

#include <json-c/json.h>
#include <math.h>

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

bool rows_read(struct json_object *row, double wall_s, struct gtm_row *out)
{
	struct json_object *error;

	if (!json_object_is_type(row, json_type_array) ||
	    json_object_array_length(row) != ROW_FIELDS)
		return false;
	out->server = text_at(row, ROW_SERVER);
	out->service = text_at(row, ROW_SERVICE);
	struct slice state = text_at(row, ROW_STATE);
	error = json_object_array_get_idx(row, ROW_ERROR);
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
	out->metric = number_at(row, ROW_METRIC);
	out->error = json_object_get_int64(error);
	out->age_ms = (wall_s - number_at(row, ROW_TIME)) * 1000;
	return true;
}
