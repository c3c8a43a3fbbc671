/* SPDX-License-Identifier: MPL-2.0 */
#include "common/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void formats_what_is_there(void **state)
{
	struct err err;
	char out[256];

	(void)state;
	err_set(&err, 7, "zones", "%d is bad", 3);
	err_format(&err, "a.json", out, sizeof(out));
	assert_string_equal(out, "a.json:7: zones: 3 is bad");
	err_set(&err, 7, "", "bad");
	err_format(&err, "a.json", out, sizeof(out));
	assert_string_equal(out, "a.json:7: bad");
	err_set(&err, 0, "", "gone");
	err_format(&err, "a.json", out, sizeof(out));
	assert_string_equal(out, "a.json: gone");
	err_set(&err, 0, "zones", "bad");
	err_format(&err, "", out, sizeof(out));
	assert_string_equal(out, "zones: bad");
	err_set(&err, 9, "", "bad");
	err_format(&err, "", out, sizeof(out));
	assert_string_equal(out, "9: bad");
}

static void cuts_what_is_long(void **state)
{
	struct err err;
	char text[2 * ERR_TEXT_MAX], out[16];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	err_set(&err, 1, text, "%s", text);
	assert_int_equal(strlen(err.path), ERR_PATH_MAX - 1);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	err_format(&err, "a.json", out, sizeof(out));
	assert_string_equal(out, "a.json:1: xxxxx");
	err_set(NULL, 1, "", "nobody asked");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_what_is_there),
		cmocka_unit_test(cuts_what_is_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
