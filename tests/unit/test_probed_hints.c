/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_hints.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ZONE(name, address)                                                    \
	"\"" name "\":{\"origins\":[{\"address\":\"" address "\"}]}"

static const char *const both = "{\"version\":1,\"zones\":{" ZONE(
	"example.com", "192.0.2.1") "," ZONE("example.org", "2001:db8::1") "}}";
static const char *const one =
	"{\"version\":1,\"zones\":{" ZONE("example.org", "2001:db8::1") "}}";

static struct config *config_of(const char *text)
{
	struct config *config = NULL;
	struct err errs[4];
	size_t n_errs = 0;

	assert_int_equal(config_parse("t", text, strlen(text), &config, errs, 4,
				      &n_errs),
			 0);
	return config;
}

static unsigned int take(struct probed_hints *h, const char *zone,
			 const char *from, uint64_t now_ms)
{
	struct probed_notice notice = { .has_serial = true, .serial = 7 };
	struct sockaddr_storage address;

	assert_int_equal(dname_parse(slice_of(zone), &notice.zone), 0);
	assert_int_equal(config_address_parse(slice_of(from), &address), 0);
	return probed_hints_take(h, &notice, (const struct sockaddr *)&address,
				 now_ms);
}

static void only_its_origins(void **state)
{
	struct config *config = config_of(both);
	struct probed_hints *h = NULL;

	(void)state;
	assert_int_equal(probed_hints_new(&h), 0);
	assert_int_equal(take(h, "example.com", "192.0.2.1", 1),
			 PROBED_RCODE_REFUSED);
	assert_int_equal(probed_hints_use(h, config), 0);
	assert_int_equal(take(h, "example.com", "192.0.2.2", 1),
			 PROBED_RCODE_REFUSED);
	assert_int_equal(take(h, "example.com", "2001:db8::1", 1),
			 PROBED_RCODE_REFUSED);
	assert_int_equal(take(h, "example.net", "192.0.2.2", 1),
			 PROBED_RCODE_REFUSED);
	assert_int_equal(take(h, "example.net", "192.0.2.1", 1),
			 PROBED_RCODE_NOTAUTH);
	assert_true(probed_hints_due(h) == PROBED_HINT_NEVER);
	assert_int_equal(take(h, "EXAMPLE.com", "192.0.2.1", 5),
			 PROBED_RCODE_NOERROR);
	assert_int_equal(probed_hints_due(h), 5);
	probed_hints_free(h);
	config_free(config);
}

static void one_hint_a_zone(void **state)
{
	struct config *config = config_of(both);
	struct probed_hints *h = NULL;
	char line[PROBED_HINT_LINE];

	(void)state;
	assert_int_equal(probed_hints_new(&h), 0);
	assert_int_equal(probed_hints_use(h, config), 0);
	assert_int_equal(probed_hints_line(h, line), 0);
	for (unsigned int i = 0; i < 3; i++)
		(void)take(h, "example.com", "192.0.2.1", 10 + i);
	(void)take(h, "example.org", "2001:db8::1", 13);
	size_t n = probed_hints_line(h, line);
	line[n] = '\0';
	assert_string_equal(line, "{\"command\":\"notify\","
				  "\"zone\":\"example.com\","
				  "\"from\":\"192.0.2.1\",\"serial\":7}\n");
	assert_int_equal(probed_hints_line(h, line), n); /* not yet sent */
	probed_hints_sent(h, 20);
	n = probed_hints_line(h, line);
	line[n] = '\0';
	assert_non_null(strstr(line, "2001:db8::1"));
	/* told anew while it is under way: sent again, not at once */
	(void)take(h, "example.org", "2001:db8::1", 21);
	probed_hints_sent(h, 22);
	assert_int_equal(probed_hints_due(h), 22 + PROBED_HINT_MS);
	(void)probed_hints_line(h, line);
	probed_hints_sent(h, 200);
	assert_true(probed_hints_due(h) == PROBED_HINT_NEVER);
	(void)take(h, "example.org", "2001:db8::1", 210);
	assert_int_equal(probed_hints_due(h), 200 + PROBED_HINT_MS);
	probed_hints_free(h);
	config_free(config);
}

static void configuration_changes(void **state)
{
	struct config *first = config_of(both), *second = config_of(one);
	struct probed_hints *h = NULL;
	char line[PROBED_HINT_LINE];

	(void)state;
	assert_int_equal(probed_hints_new(&h), 0);
	assert_int_equal(probed_hints_use(h, first), 0);
	(void)take(h, "example.com", "192.0.2.1", 1);
	(void)take(h, "example.org", "2001:db8::1", 2);
	assert_int_equal(probed_hints_use(h, second), 0);
	config_free(first);
	line[probed_hints_line(h, line)] = '\0';
	assert_non_null(strstr(line, "example.org"));
	probed_hints_sent(h, 3);
	assert_int_equal(probed_hints_line(h, line), 0);
	assert_int_equal(take(h, "example.com", "192.0.2.1", 4),
			 PROBED_RCODE_REFUSED);
	probed_hints_free(h);
	config_free(second);
	probed_hints_free(NULL);
}

static void reads_a_message(void **state)
{
	static const uint8_t msg[] = {
		1,   2, 0x24, 0,    0,	1,    0,    1,	0, 0, 0, 0, 3, 'O', 'r',
		'g', 0, 0,    6,    0,	1,    0xc0, 12, 0, 6, 0, 1, 0, 0,   0,
		0,   0, 24,   0xc0, 12, 0xc0, 12,   0,	0, 1, 2, 0, 0, 0,   0,
		0,   0, 0,    0,    0,	0,    0,    0,	0, 0, 0, 0
	};
	uint8_t bad[sizeof(msg)], out[PROBED_ANSWER_MAX];
	struct probed_notice notice;

	(void)state;
	assert_int_equal(probed_notice_parse(msg, sizeof(msg), &notice), 0);
	assert_int_equal(notice.zone.n, 5);
	assert_memory_equal(notice.zone.wire, "\3org", 5);
	assert_true(notice.has_serial);
	assert_int_equal(notice.serial, 258);
	assert_int_equal(
		probed_notice_answer(msg, &notice, PROBED_RCODE_NOERROR, out),
		21);
	assert_memory_equal(out, "\1\2\xa4\0\0\1\0\0\0\0\0\0\3Org", 16);
	for (size_t n = 0; n < 21; n++)
		assert_int_equal(probed_notice_parse(msg, n, &notice),
				 -EBADMSG);
	for (size_t n = 21; n < sizeof(msg); n++) {
		assert_int_equal(probed_notice_parse(msg, n, &notice), 0);
		assert_false(notice.has_serial);
	}
	memcpy(bad, msg, sizeof(msg));
	bad[2] |= 0x80; /* an answer */
	assert_int_equal(probed_notice_parse(bad, sizeof(bad), &notice),
			 -EBADMSG);
	bad[2] = 0; /* a query */
	assert_int_equal(probed_notice_parse(bad, sizeof(bad), &notice),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_its_origins),
		cmocka_unit_test(one_hint_a_zone),
		cmocka_unit_test(configuration_changes),
		cmocka_unit_test(reads_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
