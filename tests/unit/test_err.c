/* SPDX-License-Identifier: MPL-2.0 */
#include "common/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_formats(void **state)
{
	char out[128];
	struct err err;

	(void)state;
	err_set(&err, 7, "zones.a", "%d is out of range", 5);
	err_format(&err, "f.json", out, sizeof(out));
	assert_string_equal(out, "f.json:7: zones.a: 5 is out of range");
	err_set(&err, 0, "", "cannot be read");
	err_format(&err, "f.json", out, sizeof(out));
	assert_string_equal(out, "f.json: cannot be read");
}

static void test_cuts(void **state)
{
	char path[2 * ERR_PATH_MAX];
	char out[24];
	struct err err;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	err_set(&err, 1, path, "%s", path);
	assert_true(strlen(err.path) < ERR_PATH_MAX);
	assert_true(strlen(err.text) < ERR_TEXT_MAX);
	err_format(&err, "f", out, sizeof(out));
	assert_int_equal(strlen(out), sizeof(out) - 1);
	err_set(NULL, 1, "p", "nobody wants it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
