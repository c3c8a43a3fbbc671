/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/params.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct params good(const char *text)
{
	struct params p;
	char why[256];

	if (params_parse(text, &p, why, sizeof(why)) != 0)
		fail_msg("%s: %s", text, why);
	return p;
}

static void bad(const char *text, const char *reason)
{
	struct params p;
	char why[256] = "";

	assert_int_equal(params_parse(text, &p, why, sizeof(why)), -EINVAL);
	if (strstr(why, reason) == NULL)
		fail_msg("%s: '%s' does not say '%s'",
			 text != NULL ? text : "NULL", why, reason);
	/* Nothing to free, and to do so is harmless. */
	assert_null(p.config);
	assert_null(p.node);
	assert_null(p.zones);
	assert_int_equal(p.n_zones, 0);
	params_free(&p);
}

static void takes_what_is_given(void **state)
{
	struct params p = good(" config \"/etc/n.json\"; // a comment\n"
			       "# another\n node fra1; /* and one more */\n"
			       "zones { \"example.com\"; example.net; };\n"
			       "on-error fail; on-mismatch inactive;\n");

	(void)state;
	assert_string_equal(p.config, "/etc/n.json");
	assert_string_equal(p.node, "fra1");
	assert_int_equal(p.n_zones, 2);
	assert_string_equal(p.zones[0], "example.com");
	assert_string_equal(p.zones[1], "example.net");
	assert_true(p.error_fails);
	params_free(&p);
	assert_null(p.config);
	assert_int_equal(p.n_zones, 0);
}

static void has_defaults(void **state)
{
	struct params p = good("config \"c\";");

	(void)state;
	assert_string_equal(p.node, "");
	assert_int_equal(p.n_zones, 0);
	assert_false(p.error_fails);
	params_free(&p);
}

static void tells_the_policies_apart(void **state)
{
	struct params p = good("on-error inactive;config c;on-mismatch fail;");

	(void)state;
	assert_false(p.error_fails);
	params_free(&p);
	p = good("on-mismatch inactive;on-error fail;config c;");
	assert_true(p.error_fails);
	params_free(&p);
}

static void reads_named_s_tokens(void **state)
{
	struct params p =
		good("config\t\"/a b;{}#//c\"\r\n;/*;*/node /*/;*/n#\n;");

	(void)state;
	/* A string takes everything as it is. */
	assert_string_equal(p.config, "/a b;{}#//c");
	assert_string_equal(p.node, "n");
	params_free(&p);
	/* A comment may end the text, closed or not. */
	for (size_t i = 0; i < 3; i++) {
		static const char *const ends[] = { "config c; /* for ever",
						    "config c; // ever",
						    "config c; #" };
		p = good(ends[i]);
		assert_string_equal(p.config, "c");
		params_free(&p);
	}
}

static void says_what_is_wrong(void **state)
{
	static const char *const pairs[][2] = {
		{ NULL, "a parameter is missing" },
		{ "", "a parameter is missing" },
		{ "node \"a\";", "a parameter is missing" },
		{ "config \"a\"", "a ';' is missing after 'config'" },
		{ "config a; node b", "a ';' is missing after 'node'" },
		{ "config;", "a value is missing after 'config'" },
		{ "config \"\";", "a value is missing after 'config'" },
		{ "config a; node {", "a value is missing after 'node'" },
		{ "config \"a; node b;", "a string without end" },
		{ "config a; config b;", "given twice: 'config'" },
		{ "config a; node b; node b;", "given twice: 'node'" },
		{ "config a; zones { b; }; zones { c; };",
		  "given twice: 'zones'" },
		{ "config a; zones { };", "want names of zones" },
		{ "config a; zones { b; {", "want names of zones" },
		{ "config a; zones { b };", "a ';' is missing after 'b'" },
		{ "config a; zones { b; }", "a ';' is missing after 'zones" },
		{ "config a; zones b;", "a '{' is missing after 'zones'" },
		{ "config a; on-error maybe;", "or 'inactive', not 'maybe'" },
		{ "config a; on-mismatch no;", "or 'inactive', not 'no'" },
		{ "config a; on-error;", "missing after 'on-error'" },
		{ "config a; colour red;", "unknown parameter" },
		{ "config a; Node b;", "'Node'" },
		{ "config a; };", "want a parameter" },
		{ "config a;;", "want a parameter" },
		{ "config a; \"b", "a string without end" },
		{ "config a; node \"b", "a string without end" },
		{ "config a; zones { \"\"; };", "want names of zones" },
		{ "config a; on-error fail; on-error inactive;",
		  "given twice: 'on-error'" },
		{ "config a; on-mismatch fail; on-mismatch fail;",
		  "given twice: 'on-mismatch'" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		bad(pairs[i][0], pairs[i][1]);
}

/* Writes "config" with a word of 'n' octets into 'text'. */
static void long_config(char *text, size_t size, size_t n, const char *quote)
{
	snprintf(text, size, "config %s%0*d%s;", quote, (int)n, 0, quote);
}

static void limits_a_word(void **state)
{
	static const char *const quotes[] = { "", "\"" };
	char text[PARAMS_WORD_MAX + 64];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		long_config(text, sizeof(text), PARAMS_WORD_MAX - 1, quotes[i]);
		struct params p = good(text);
		assert_int_equal(strlen(p.config), PARAMS_WORD_MAX - 1);
		params_free(&p);
		long_config(text, sizeof(text), PARAMS_WORD_MAX, quotes[i]);
		bad(text, "a word too long, near 'config'");
	}
}

static void limits_the_zones(void **state)
{
	enum { EACH = 2, ROOM = (PARAMS_ZONES_MAX + 1) * EACH + 64 };
	char *text = malloc(ROOM);

	(void)state;
	assert_non_null(text);
	for (size_t n = PARAMS_ZONES_MAX; n <= PARAMS_ZONES_MAX + 1; n++) {
		size_t used = (size_t)snprintf(text, ROOM, "config c; zones {");
		for (size_t i = 0; i < n; i++, used += EACH)
			memcpy(text + used, "z;", EACH);
		snprintf(text + used, ROOM - used, "};");
		if (n > PARAMS_ZONES_MAX) {
			bad(text, "too many 'zones'");
			continue;
		}
		struct params p = good(text);
		assert_int_equal(p.n_zones, n);
		params_free(&p);
	}
	free(text);
}

static void cuts_the_reason(void **state)
{
	struct params p;
	char why[8]; /* ASan sees a ninth */

	(void)state;
	assert_int_equal(params_parse("colour red;", &p, why, sizeof(why)),
			 -EINVAL);
	assert_string_equal(why, "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_given),
		cmocka_unit_test(has_defaults),
		cmocka_unit_test(tells_the_policies_apart),
		cmocka_unit_test(reads_named_s_tokens),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(limits_a_word),
		cmocka_unit_test(limits_the_zones),
		cmocka_unit_test(cuts_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
