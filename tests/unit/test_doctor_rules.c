/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/doctor_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What of "rwm" a line allows for the path; less what it denies. */
static const char *allowed(const char *line, const char *path)
{
	struct doctor_need need = { .path = path, .perms = "rwm" };
	static char out[4];
	size_t n = 0;

	doctor_rules_line(line, strlen(line), &need, 1);
	for (size_t i = 0; i < 3; i++)
		if (((need.allowed & ~need.denied) >> i & 1) != 0)
			out[n++] = need.perms[i];
	out[n] = '\0';
	return out;
}

static void reads_rules(void **state)
{
	static const struct {
		const char *line, *path, *is;
	} rows[] = {
		{ "/a/b r,", "/a/b", "r" },
		{ "  /a/b\trwk,  ", "/a/b", "rw" },
		{ "/a/b mr,", "/a/b", "rm" },
		{ "/a/b r,", "/a/bc", "" },
		{ "/a/b r,", "/a", "" },
		{ "rw /a/b,", "/a/b", "rw" },
		{ "\"/a b/c\" r,", "/a b/c", "r" },
		{ "audit deny owner /a/b r,", "/a/b", "" },
		{ "owner allow file /a/b r,", "/a/b", "r" },
		{ "# /a/b r,", "/a/b", "" },
		{ "capability chown,", "/a/b", "" },
		{ "", "/a/b", "" },
		{ "/a/b", "/a/b", "" },
		{ "/a/* r,", "/a/b", "r" },
		{ "/a/* r,", "/a/", "r" },
		{ "/a/* r,", "/a/b/c", "" },
		{ "/a/** r,", "/a/b/c", "r" },
		{ "/**/c r,", "/a/b/c", "r" },
		{ "/*/c r,", "/a/b/c", "" },
		{ "/a*c/*.so r,", "/abcc/x.so.so", "r" },
		{ "/a/?? r,", "/a/bc", "r" },
		{ "/a/? r,", "/a//", "" },
		{ "/a/[b-d] r,", "/a/c", "r" },
		{ "/a/[^b-d] r,", "/a/c", "" },
		{ "/a/[^b-d] r,", "/a/e", "r" },
		{ "/{a,b{c,d}}/x r,", "/bd/x", "r" },
		{ "/{a,b{c,d}}/x r,", "/a/x", "r" },
		{ "/{a,b{c,d}}/x r,", "/b/x", "" },
		{ "/{,var/}run/x r,", "/run/x", "r" },
		{ "/{,var/}run/x r,", "/var/run/x", "r" },
		{ "/{a,b/x r,", "/a/x", "" },
		{ "/a\\*/x r,", "/a*/x", "r" },
		{ "/a\\*/x r,", "/ab/x", "" },
		{ "/lib/@{multiarch}/x r,", "/lib/x86_64-linux-gnu/x", "r" },
		{ "@{PROC}/x r,", "/proc//x", "r" },
		{ "@{HOME}/x r,", "/home/x", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(allowed(rows[i].line, rows[i].path),
				    rows[i].is);
}

static void finds_what_is_included(void **state)
{
	static const struct {
		const char *line, *path;
	} rows[] = {
		{ "#include <abstractions/base>",
		  "/etc/apparmor.d/abstractions/base" },
		{ " include <local/x>", "/etc/apparmor.d/local/x" },
		{ "include if exists <local/x>", "/etc/apparmor.d/local/x" },
		{ "include \"/a/b\"", "/a/b" },
		{ "include", NULL },
		{ "include <", NULL },
		{ "include x", NULL },
		{ "# include <x>", NULL },
		{ "/etc/x r,", NULL },
	};
	char path[DOCTOR_RULES_PATH];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool is = doctor_rules_include(rows[i].line,
					       strlen(rows[i].line), path);
		assert_int_equal(is, rows[i].path != NULL);
		if (is)
			assert_string_equal(path, rows[i].path);
	}
}

/* Patterns that would take for ever are given up. */
static void is_bounded(void **state)
{
	char line[2048], path[1024];
	size_t n = 0;

	(void)state;
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	while (n < 900)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s",
				      n == 0 ? "/" : "*a**a");
	snprintf(line + n, sizeof(line) - n, "b r,");
	assert_string_equal(allowed(line, path), "");
	n = (size_t)snprintf(line, sizeof(line), "/");
	while (n < 900)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "{a,aa,a*}");
	snprintf(line + n, sizeof(line) - n, "b r,");
	assert_string_equal(allowed(line, path), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_rules),
		cmocka_unit_test(finds_what_is_included),
		cmocka_unit_test(is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
