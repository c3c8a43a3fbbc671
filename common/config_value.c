/* SPDX-License-Identifier: MPL-2.0 */
#include "common/config_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"

#define ID_MAX 63u
/* Names compared for guesses: a courtesy that must not take seconds. */
#define GUESSES_MAX 200000u

static struct slice value_text(struct json_object *value)
{
	return (struct slice){ json_object_get_string(value),
			       (size_t)json_object_get_string_len(value) };
}

/* Writes the value as a finding shows it; returns 'out'. */
static char *show(struct config_check *c, uint32_t node,
		  struct json_object *value, char out[CONFIG_SHOW_MAX])
{
	if (c->json->nodes[node].kind == JSONTEXT_STRING)
		return config_quote(value_text(value), out);
	jsontext_escape(jsontext_raw(c->json, node), out, CONFIG_SHOW_MAX);
	return out;
}

static const char *kind_name(enum jsontext_kind kind)
{
	static const char *const names[] = {
		[JSONTEXT_NULL] = "null",
		[JSONTEXT_BOOL] = "true or false",
		[JSONTEXT_INTEGER] = "a number",
		[JSONTEXT_NUMBER] = "a number",
		[JSONTEXT_STRING] = "a string",
		[JSONTEXT_ARRAY] = "an array",
		[JSONTEXT_OBJECT] = "an object",
	};

	return names[kind];
}

static const char *type_name(enum schema_type type)
{
	switch (type) {
	case SCHEMA_BLOCK:
	case SCHEMA_MAP:
		return "an object";
	case SCHEMA_LIST:
		return "an array";
	case SCHEMA_BOOL:
		return "true or false";
	case SCHEMA_INTEGER:
		return "a whole number";
	case SCHEMA_NUMBER:
		return "a number";
	case SCHEMA_DURATION:
		return "a duration (\"500ms\", \"5s\", \"2m\", \"1h\", \"1d\", "
		       "\"1w\", or whole seconds as a number)";
	case SCHEMA_SPAN:
		return "a whole number, or two as in \"200-299\"";
	case SCHEMA_SIZE:
		return "a size (\"512MiB\", \"1GiB\", or octets as a number)";
	default:
		return "a string";
	}
}

void config_want(struct config_check *c, const struct schema_item *item,
		 uint32_t node)
{
	enum jsontext_kind kind = c->json->nodes[node].kind;
	char shown[CONFIG_SHOW_MAX];

	if (item->type == SCHEMA_INTEGER && kind == JSONTEXT_NUMBER) {
		jsontext_escape(jsontext_raw(c->json, node), shown,
				sizeof(shown));
		config_find(c, node, "want a whole number, got %s", shown);
		return;
	}
	config_find(c, node, "want %s, got %s", type_name(item->type),
		    kind_name(kind));
}

char *config_range_print(const struct schema_item *item, char *out, size_t size)
{
	char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];

	if (item->type == SCHEMA_DURATION) {
		units_duration_print((uint64_t)item->min, low);
		units_duration_print((uint64_t)item->max, high);
	} else if (item->type == SCHEMA_SIZE) {
		units_size_print((uint64_t)item->min, low);
		units_size_print((uint64_t)item->max, high);
	} else {
		snprintf(low, sizeof(low), "%" PRId64, item->min);
		snprintf(high, sizeof(high), "%" PRId64, item->max);
	}
	if (item->min == item->max)
		snprintf(out, size, "%s", low);
	else
		snprintf(out, size, "%s..%s", low, high);
	return out;
}

static void out_of_range(struct config_check *c, const struct schema_item *item,
			 uint32_t node, struct json_object *value)
{
	char shown[CONFIG_SHOW_MAX], range[CONFIG_SHOW_MAX];

	config_find(c, node, "%s is out of range, want %s",
		    show(c, node, value, shown),
		    config_range_print(item, range, sizeof(range)));
}

static void not_a(struct config_check *c, uint32_t node,
		  struct json_object *value, const char *what)
{
	char shown[CONFIG_SHOW_MAX];

	config_find(c, node, "%s is not %s", show(c, node, value, shown), what);
}

static void not_text(struct config_check *c, uint32_t node, struct slice text,
		     const char *what)
{
	char shown[CONFIG_SHOW_MAX];

	config_find(c, node, "%s is not %s", config_quote(text, shown), what);
}

/* Numbers that fit: json-c makes the nearest int64_t of those that do not. */
static bool check_integer(struct config_check *c,
			  const struct schema_item *item, uint32_t node,
			  struct json_object *value, struct config_value *out)
{
	out->n = json_object_get_int64(value);
	if (out->n >= item->min && out->n <= item->max)
		return true;
	out_of_range(c, item, node, value);
	return false;
}

static bool check_number(struct config_check *c, const struct schema_item *item,
			 uint32_t node, struct json_object *value,
			 struct config_value *out)
{
	out->d = json_object_get_double(value);
	if (out->d >= (double)item->min && out->d <= (double)item->max)
		return true;
	out_of_range(c, item, node, value);
	return false;
}

/* A duration or a size: digits with a unit, or a plain number of 'factor's. */
static bool check_quantity(struct config_check *c,
			   const struct schema_item *item, uint32_t node,
			   struct json_object *value, struct config_value *out)
{
	bool duration = item->type == SCHEMA_DURATION;
	int64_t factor = duration ? 1000 : 1;
	uint64_t n = UINT64_MAX;
	int rc = 0;

	if (c->json->nodes[node].kind == JSONTEXT_INTEGER) {
		int64_t plain = json_object_get_int64(value);
		if (plain >= 0 && plain <= INT64_MAX / factor)
			n = (uint64_t)(plain * factor);
	} else if (duration) {
		rc = units_duration_parse(value_text(value), &n);
	} else {
		rc = units_size_parse(value_text(value), &n);
	}
	if (rc == -EINVAL) {
		not_a(c, node, value, type_name(item->type));
		return false;
	}
	if (rc != 0 || n > INT64_MAX || (int64_t)n < item->min ||
	    (int64_t)n > item->max) {
		out_of_range(c, item, node, value);
		return false;
	}
	if (duration && n % item->step != 0) {
		not_a(c, node, value, "in whole seconds");
		return false;
	}
	out->n = (int64_t)n;
	return true;
}

/* "200-299": two numbers of three digits, in order; 0: it is none. */
static int64_t span_read(struct slice text)
{
	int64_t ends[2] = { 0, 0 };

	if (text.n != 7 || text.p[3] != '-')
		return 0;
	for (size_t i = 0; i < text.n; i++) {
		if (i == 3)
			continue;
		if (text.p[i] < '0' || text.p[i] > '9')
			return 0;
		ends[i / 4] = 10 * ends[i / 4] + (text.p[i] - '0');
	}
	return ends[0] <= ends[1] ? ends[0] | ends[1] << 16 : 0;
}

/* Its lower end is in the lower 16 bits of out->n. */
static bool check_span(struct config_check *c, const struct schema_item *item,
		       uint32_t node, struct json_object *value,
		       struct config_value *out)
{
	if (c->json->nodes[node].kind == JSONTEXT_INTEGER) {
		if (!check_integer(c, item, node, value, out))
			return false;
		out->n |= out->n << 16;
		return true;
	}
	out->n = span_read(value_text(value));
	if (out->n == 0) {
		not_a(c, node, value, type_name(item->type));
		return false;
	}
	if ((out->n & 0xffff) >= item->min && out->n >> 16 <= item->max)
		return true;
	out_of_range(c, item, node, value);
	return false;
}

static bool check_word(struct config_check *c, const struct schema_item *item,
		       uint32_t node, struct slice text,
		       struct config_value *out)
{
	struct config_guess guess;
	char shown[CONFIG_SHOW_MAX], meant[CONFIG_SHOW_MAX];
	char words[2 * CONFIG_SHOW_MAX] = "";
	size_t used = 0;

	config_guess_init(&guess, text);
	for (int64_t i = 0; item->words[i] != NULL; i++) {
		out->n = i;
		if (slice_is(text, item->words[i]))
			return true;
		config_guess_offer(&guess, slice_of(item->words[i]));
		int n = snprintf(words + used, sizeof(words) - used, "%s\"%s\"",
				 i > 0 ? ", " : "", item->words[i]);
		used += (size_t)n;
	}
	config_find(c, node, "%s is not one of %s%s", config_quote(text, shown),
		    words, config_guess_print(&guess, meant));
	return false;
}

static bool check_length(struct config_check *c, const struct schema_item *item,
			 uint32_t node, struct slice text)
{
	if (text.n < (size_t)item->min || text.n > (size_t)item->max) {
		config_find(c, node,
			    "a string of %zu octets, want %" PRId64
			    "..%" PRId64,
			    text.n, item->min, item->max);
		return false;
	}
	return true;
}

static bool check_path(struct config_check *c, const struct schema_item *item,
		       uint32_t node, struct slice text)
{
	char shown[CONFIG_SHOW_MAX];

	if (text.n == 0 || text.p[0] != '/') {
		config_find(c, node, "%s is not a path that begins with '/'",
			    config_quote(text, shown));
		return false;
	}
	return check_length(c, item, node, text);
}

static bool is_id(struct slice text)
{
	if (text.n < 1 || text.n > ID_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			    c == '.';
		if (!fine)
			return false;
	}
	return true;
}

/* An address that no single host can have. */
static bool is_unusable(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;
		uint32_t a = ntohl(in->sin_addr.s_addr);
		return a >> 24 == 0 || a >> 28 == 0xe || a == UINT32_MAX;
	}
	const struct sockaddr_in6 *in6 = (const void *)address;
	return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) ||
	       IN6_IS_ADDR_MULTICAST(&in6->sin6_addr);
}

int config_address_parse(struct slice text, struct sockaddr_storage *address)
{
	struct sockaddr_storage made = { 0 };
	struct sockaddr_in *in = (void *)&made;
	struct sockaddr_in6 *in6 = (void *)&made;
	char copy[INET6_ADDRSTRLEN];

	if (text.n >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, &in->sin_addr) == 1)
		made.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, copy, &in6->sin6_addr) == 1)
		made.ss_family = AF_INET6;
	else
		return -EINVAL;
	*address = made;
	return 0;
}

/* All addresses of a machine: 0.0.0.0 and ::. */
static bool is_any(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;

	return address->ss_family == AF_INET
		       ? in->sin_addr.s_addr == 0
		       : IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

static bool check_address(struct config_check *c, uint32_t node,
			  struct slice text, bool may_be_any)
{
	struct sockaddr_storage address;

	if (config_address_parse(text, &address) != 0) {
		not_text(c, node, text, "an IPv4 or IPv6 address");
		return false;
	}
	if (is_unusable(&address) && !(may_be_any && is_any(&address))) {
		not_text(c, node, text, "the address of one host");
		return false;
	}
	return true;
}

int config_prefix_parse(struct slice text, struct config_prefix *prefix)
{
	const char *slash = text.n > 0 ? memchr(text.p, '/', text.n) : NULL;
	size_t n = slash != NULL ? (size_t)(slash - text.p) : text.n;
	struct sockaddr_storage ss;
	const struct sockaddr_in *in = (const void *)&ss;
	const struct sockaddr_in6 *in6 = (const void *)&ss;
	struct config_prefix made = { 0 };
	unsigned int bits = 0, size;

	if (config_address_parse((struct slice){ text.p, n }, &ss) != 0)
		return -EINVAL;
	made.v6 = ss.ss_family == AF_INET6;
	size = made.v6 ? 128 : 32;
	if (made.v6)
		memcpy(made.address, &in6->sin6_addr, 16);
	else
		memcpy(made.address, &in->sin_addr, 4);
	if (slash == NULL)
		bits = size;
	else if (text.n - n < 2 || text.n - n > 4)
		return -EINVAL;
	for (size_t i = n + 1; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return -EINVAL;
		bits = bits * 10 + (unsigned int)(text.p[i] - '0');
	}
	if (bits > size)
		return -EINVAL;
	made.bits = (uint8_t)bits;
	for (unsigned int i = bits; i < size; i++)
		if ((made.address[i / 8] & (0x80u >> i % 8)) != 0)
			return -ERANGE;
	*prefix = made;
	return 0;
}

static bool check_prefix(struct config_check *c, uint32_t node,
			 struct slice text)
{
	struct config_prefix prefix;
	char shown[CONFIG_SHOW_MAX];
	int rc = config_prefix_parse(text, &prefix);

	if (rc == -ERANGE)
		config_find(c, node, "%s has bits set behind its length",
			    config_quote(text, shown));
	else if (rc != 0)
		not_text(c, node, text, "an IPv4 or IPv6 prefix");
	return rc == 0;
}

static bool is_country(struct slice text)
{
	return text.n == 2 && text.p[0] >= 'A' && text.p[0] <= 'Z' &&
	       text.p[1] >= 'A' && text.p[1] <= 'Z';
}

/* A name that must be among 'known'. */
static bool check_ref(struct config_check *c, const struct config_refs *known,
		      uint32_t node, struct slice text, const char *what)
{
	struct config_guess guess;
	char shown[CONFIG_SHOW_MAX], meant[CONFIG_SHOW_MAX];

	if (config_ref_first(known, text) != NULL)
		return true;
	config_guess_init(&guess, text);
	for (size_t i = 0; i < known->n && c->guesses < GUESSES_MAX; i++) {
		config_guess_offer(&guess, known->all[i].name);
		c->guesses++;
	}
	config_find(c, node, "no %s is called %s%s", what,
		    config_quote(text, shown),
		    config_guess_print(&guess, meant));
	return false;
}

static bool check_string(struct config_check *c, const struct schema_item *item,
			 uint32_t node, struct slice text,
			 struct config_value *out)
{
	struct dname name;

	out->text = text;
	switch (item->type) {
	case SCHEMA_WORD:
		return check_word(c, item, node, text, out);
	case SCHEMA_PATH:
	case SCHEMA_URLPATH:
		return check_path(c, item, node, text);
	case SCHEMA_ADDRESS:
		return check_address(c, node, text, false);
	case SCHEMA_LISTEN:
		return check_address(c, node, text, true);
	case SCHEMA_SERVER:
		return check_ref(c, &c->servers, node, text, "server");
	case SCHEMA_SERVICE:
		return check_ref(c, &c->services, node, text, "service");
	case SCHEMA_POP_NAME:
		return check_ref(c, &c->pops, node, text, "POP");
	case SCHEMA_PREFIX:
		return check_prefix(c, node, text);
	case SCHEMA_COUNTRY:
		if (is_country(text))
			return true;
		not_text(c, node, text, "a country: two capital letters");
		return false;
	case SCHEMA_ID:
		if (is_id(text))
			return true;
		not_text(c, node, text,
			 "1 to 63 letters, digits, '-', '_' or '.'");
		return false;
	case SCHEMA_DNAME:
		if (dname_parse(text, &name) == 0)
			return true;
		not_text(c, node, text, "a domain name");
		return false;
	default:
		return check_length(c, item, node, text);
	}
}

bool config_name_check(struct config_check *c, const struct schema_item *item,
		       uint32_t node)
{
	struct config_value ignored;

	return check_string(c, item, node, c->json->nodes[node].key, &ignored);
}

/* True if a JSON value of 'kind' may be an item of 'type'. */
static bool kind_fits(enum schema_type type, enum jsontext_kind kind)
{
	switch (type) {
	case SCHEMA_BOOL:
		return kind == JSONTEXT_BOOL;
	case SCHEMA_INTEGER:
		return kind == JSONTEXT_INTEGER;
	case SCHEMA_NUMBER:
		return kind == JSONTEXT_INTEGER || kind == JSONTEXT_NUMBER;
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
	case SCHEMA_SPAN:
		return kind == JSONTEXT_INTEGER || kind == JSONTEXT_STRING;
	default:
		return kind == JSONTEXT_STRING;
	}
}

void config_value_check(struct config_check *c, const struct schema_item *item,
			uint32_t node, struct json_object *value,
			struct config_value *out)
{
	*out = (struct config_value){ .given = true, .node = node };
	if (!kind_fits(item->type, c->json->nodes[node].kind)) {
		config_want(c, item, node);
		return;
	}
	switch (item->type) {
	case SCHEMA_BOOL:
		out->n = json_object_get_boolean(value) ? 1 : 0;
		out->ok = true;
		return;
	case SCHEMA_INTEGER:
		out->ok = check_integer(c, item, node, value, out);
		return;
	case SCHEMA_NUMBER:
		out->ok = check_number(c, item, node, value, out);
		return;
	case SCHEMA_DURATION:
	case SCHEMA_SIZE:
		out->ok = check_quantity(c, item, node, value, out);
		return;
	case SCHEMA_SPAN:
		out->ok = check_span(c, item, node, value, out);
		return;
	default:
		out->ok = check_string(c, item, node, value_text(value), out);
	}
}

void config_value_preset(const struct schema_key *key, struct config_value *out)
{
	*out = (struct config_value){ .ok = true,
				      .n = key->fallback,
				      .d = (double)key->fallback };
	if (key->fallback_text != NULL)
		out->text = slice_of(key->fallback_text);
}
