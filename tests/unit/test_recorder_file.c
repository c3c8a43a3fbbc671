/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/recorder_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/journal.h"

#define SIZE (1u << 20)
#define T    UINT64_C(1763971200000)

static char directory[] = "/tmp/nz-unit-XXXXXX";
static char path[64], older[64];
static uint8_t octets[8192];

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/nz-unit-XXXXXX");
	assert_non_null(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, directory);
	(void)snprintf(older, sizeof(older), "%s/" JOURNAL_FILE JOURNAL_OLDER,
		       directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(older);
	assert_int_equal(rmdir(directory), 0);
	return 0;
}

static struct recorder_file *opened(bool want_strange)
{
	struct recorder_file *file = NULL;
	bool strange = !want_strange;

	assert_int_equal(recorder_file_open(directory, SIZE, &file, &strange),
			 0);
	assert_int_equal(strange, want_strange);
	return file;
}

/* A frame of 'n' records. */
static struct slice frame(unsigned int n)
{
	struct journal_record record = { .kind = JOURNAL_ALIVE, .time_ms = T };
	struct journal_pen pen;

	journal_begin(&pen, octets, sizeof(octets), T);
	while (n-- > 0)
		assert_true(journal_put(&pen, &record));
	return journal_end(&pen);
}

static uint64_t size_of(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* What a crash left at the end goes; frames stay, and others follow. */
static void test_a_torn_end(void **state)
{
	struct recorder_file *file = opened(false);

	(void)state;
	assert_int_equal(recorder_file_add(file, frame(5)), 0);
	recorder_file_close(file);
	uint64_t n = size_of(path);
	struct slice torn = frame(100);
	for (size_t left = 1; left < torn.n; left += 7) {
		FILE *f = fopen(path, "ab");
		assert_non_null(f);
		assert_int_equal(fwrite(torn.p, 1, left, f), left);
		assert_int_equal(fclose(f), 0);
		file = opened(false);
		assert_int_equal(size_of(path), n);
		assert_int_equal(recorder_file_bytes(file), n);
		recorder_file_close(file);
	}
	file = opened(false);
	assert_int_equal(recorder_file_add(file, torn), 0);
	recorder_file_close(file);
	assert_int_equal(size_of(path), n + torn.n);
	recorder_file_close(opened(false));
	assert_int_equal(size_of(path), n + torn.n);
}

static void test_turns(void **state)
{
	struct recorder_file *file = opened(false);
	struct slice full = frame(2000);

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		while (!recorder_file_over(file, T, 0))
			assert_int_equal(recorder_file_add(file, full), 0);
		assert_int_equal(recorder_file_turn(file), 0);
		assert_true(size_of(older) <= SIZE / 2);
		assert_true(recorder_file_bytes(file) <= SIZE);
	}
	while (recorder_file_add(file, full) == 0)
		continue;
	assert_int_equal(recorder_file_add(file, full), -EFBIG);
	assert_true(size_of(path) <= SIZE / 2);
	recorder_file_close(file);
}

static void test_age(void **state)
{
	struct recorder_file *file = opened(false);

	(void)state;
	assert_false(recorder_file_over(file, T, 10));
	assert_int_equal(recorder_file_add(file, frame(1)), 0);
	recorder_file_close(file);
	file = opened(false); /* it is read from the file */
	assert_false(recorder_file_over(file, T + 5000, 10));
	assert_true(recorder_file_over(file, T + 5001, 10));
	assert_false(recorder_file_over(file, T + 5001, 0));
	recorder_file_close(file);
}

static void test_strangers(void **state)
{
	static const char *const all[] = { "", "x", "0123456789abcdef01234" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		FILE *f = fopen(path, "wb");
		assert_non_null(f);
		(void)fputs(all[i], f);
		assert_int_equal(fclose(f), 0);
		recorder_file_close(opened(true));
		assert_int_equal(size_of(older), strlen(all[i]));
		recorder_file_close(opened(false));
	}
}

static void test_errors(void **state)
{
	struct recorder_file *file = NULL;
	bool strange = false;

	(void)state;
	assert_int_equal(
		recorder_file_open("/nonexistent", SIZE, &file, &strange),
		-ENOENT);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(recorder_file_open(directory, SIZE, &file, &strange),
			 -ELOOP);
	assert_null(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_torn_end, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_age, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strangers, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
