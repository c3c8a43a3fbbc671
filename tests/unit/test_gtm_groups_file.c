/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/groups_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/rcu.h"

#define NOW  UINT64_C(5000000000)
#define WALL UINT64_C(1700000000000)
#define HOUR UINT64_C(3600000)

/* A file in memory. */
struct file {
	uint8_t *octets;
	size_t n, room, at;
	size_t fail_at; /* writing more than that fails */
};

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)((state >> 33) % below);
}

static int write_file(void *arg, const void *octets, size_t n)
{
	struct file *f = arg;

	assert_true(n <= GTM_FILE_SECTION_MAX + 64);
	if (f->n + n > f->fail_at)
		return -ENOSPC;
	if (f->n + n > f->room) {
		f->room = 2 * (f->n + n);
		f->octets = realloc(f->octets, f->room);
		assert_non_null(f->octets);
	}
	memcpy(f->octets + f->n, octets, n);
	f->n += n;
	return 0;
}

static int64_t read_file(void *arg, void *octets, size_t n)
{
	struct file *f = arg;

	if (n > f->n - f->at)
		n = f->n - f->at;
	n = n > 1000 ? 1000 : n; /* in pieces */
	memcpy(octets, f->octets + f->at, n);
	f->at += n;
	return (int64_t)n;
}

static int save(struct gtm_groups *g, struct file *f)
{
	struct gtm_save how = { write_file, f, WALL, NOW };

	f->n = 0;
	return gtm_groups_save(g, &how);
}

/* All of it, in steps of 'rows'. */
static int load(struct gtm_groups *g, struct file *f, uint64_t wall_ms,
		uint64_t now_ms, struct gtm_loaded *result)
{
	struct gtm_load how = { read_file, f, wall_ms, now_ms };
	struct gtm_loader *loader;

	f->at = 0;
	int rc = gtm_loader_new(&how, &loader);
	if (rc != 0)
		return rc;
	do {
		rc = gtm_loader_step(loader, g, 17, now_ms);
	} while (rc == 1);
	assert_int_equal(gtm_loader_step(loader, g, 17, now_ms), rc);
	*result = *gtm_loader_result(loader);
	gtm_loader_free(loader);
	return rc;
}

static struct gtm_groups *table(uint32_t max, const char *const *ids, size_t n)
{
	struct gtm_groups *g;
	uint16_t map[8];

	assert_int_equal(gtm_groups_new(max, (uint16_t)n, &g), 0);
	assert_int_equal(gtm_groups_columns(g, ids, n, map), 0);
	return g;
}

/* Random groups and values of ages up to 29 days. */
static void fill(struct gtm_groups *g, uint32_t n, uint16_t columns)
{
	for (uint32_t i = 0; i < n; i++) {
		struct gtm_client group = { .v6 = draw(2) != 0 };
		for (unsigned int j = 0; j < 16; j++)
			group.address[j] = (uint8_t)draw(256);
		group.bits = (uint8_t)draw(group.v6 ? 129 : 33);
		for (uint16_t c = 0; c < columns; c++) {
			uint32_t tenths = draw(GTM_UNREACHABLE + 1);
			int64_t hours = (int64_t)draw(29 * 24);
			if (draw(3) == 0)
				continue;
			int rc = gtm_groups_put(g, &group, c, tenths,
						hours * (int64_t)HOUR, NOW);
			/* short prefixes come more than once */
			assert_true(rc == 0 || rc == -EEXIST);
		}
	}
}

/* No cells: there is no such group. */
static struct gtm_row_cells same_group(const struct gtm_groups *g,
				       const struct gtm_client *group)
{
	struct gtm_client other;
	struct gtm_row_cells row;

	for (uint32_t at = 0; gtm_groups_next(g, &at, &other, &row);)
		if (other.v6 == group->v6 && other.bits == group->bits &&
		    memcmp(other.address, group->address, 16) == 0)
			return row;
	return (struct gtm_row_cells){ .cells = NULL };
}

static uint32_t cell_of(const struct gtm_row_cells *row, uint16_t column)
{
	return row->cells == NULL ? 0
				  : atomic_load_explicit(&row->cells[column],
							 memory_order_relaxed);
}

/*
 * POPs in another order, one new, one gone; three hours later, on a machine
 * that has just been started.
 */
static void test_round_trip(void **unused)
{
	static const char *const before[] = { "fra", "iad", "nrt", "syd" };
	static const char *const after[] = { "syd", "gru", "nrt", "fra" };
	static const uint16_t to[] = { 3, 9, 2, 0 };
	struct gtm_groups *a = table(1000, before, 4);
	struct gtm_groups *b = table(1000, after, 4);
	struct file f = { .fail_at = SIZE_MAX };
	struct gtm_client group;
	struct gtm_row_cells row;
	struct gtm_loaded result;
	uint64_t n = 0;

	(void)unused;
	state = 1;
	fill(a, 500, 4);
	assert_int_equal(save(a, &f), 0);
	assert_int_equal(load(b, &f, WALL + 3 * HOUR, 99, &result), 0);
	for (uint32_t at = 0; gtm_groups_next(a, &at, &group, &row);) {
		struct gtm_row_cells got = same_group(b, &group);
		for (uint16_t c = 0; c < 4; c++) {
			if (to[c] == 9)
				continue;
			uint32_t x = cell_of(&row, c);
			uint32_t y = cell_of(&got, to[c]);
			assert_int_equal(x & 0xffff, y & 0xffff);
			if ((x & 0xffff) == 0)
				continue;
			n++;
			assert_true(llabs((int64_t)gtm_cell_age_ms(y, 99) -
					  gtm_cell_age_ms(x, NOW) -
					  3 * (int64_t)HOUR) <= 66000);
		}
	}
	assert_int_equal(n, result.values);
	assert_int_equal(result.over, 0);
	assert_true(result.foreign > 0);
	/* a second time nothing is newer */
	assert_int_equal(load(b, &f, WALL + 3 * HOUR, 99, &result), 0);
	assert_int_equal(result.values, 0);
	gtm_groups_unref(a);
	gtm_groups_unref(b);
	free(f.octets);
}

static const char *const one_pop[] = { "fra" };

static void test_time(void **unused)
{
	struct gtm_groups *a = table(100, one_pop, 1);
	struct gtm_groups *b = table(100, one_pop, 1);
	struct file f = { .fail_at = SIZE_MAX };
	struct gtm_client group = { .bits = 8, .address = { 10 } };
	struct gtm_loaded result;

	(void)unused;
	/* measured while it is being saved */
	assert_int_equal(gtm_groups_put(a, &group, 0, 5, 0, NOW + HOUR), 0);
	assert_int_equal(save(a, &f), 0);
	assert_int_equal(load(b, &f, WALL - 6000, NOW, &result), -ETIME);
	assert_int_equal(
		load(b, &f, WALL + 31 * 24 * HOUR + HOUR, NOW, &result), 0);
	assert_int_equal(result.old, 1);
	assert_int_equal(load(b, &f, UINT64_MAX, NOW, &result), 0);
	assert_int_equal(result.old, 1);
	uint32_t at = 0;
	struct gtm_row_cells row;
	assert_false(gtm_groups_next(b, &at, &group, &row)); /* none is made */
	assert_int_equal(load(b, &f, WALL - 4000, NOW, &result), 0);
	assert_int_equal(result.values, 1);
	assert_int_equal(load(b, &f, WALL + HOUR, NOW, &result), 0);
	assert_int_equal(result.old, 1);
	gtm_groups_unref(a);
	gtm_groups_unref(b);
	free(f.octets);
}

/* More than fits: what is there stays, and what is not is left out. */
static void test_no_room(void **unused)
{
	struct gtm_groups *a = table(1000, one_pop, 1);
	struct gtm_groups *b = table(50, one_pop, 1);
	struct file f = { .fail_at = SIZE_MAX };
	struct gtm_groups_counts counts;
	struct gtm_loaded result;

	(void)unused;
	state = 2;
	fill(a, 500, 1);
	assert_int_equal(save(a, &f), 0);
	assert_int_equal(load(b, &f, WALL, NOW, &result), 0);
	gtm_groups_count(b, &counts);
	assert_int_equal(counts.groups, 50);
	assert_int_equal(counts.replaced, 0);
	assert_int_equal(result.over, result.rows - 50);
	gtm_groups_unref(a);
	gtm_groups_unref(b);
	free(f.octets);
}

/* Cut short anywhere, any bit turned, any write refused. */
static void test_damaged(void **unused)
{
	struct gtm_groups *a = table(100, one_pop, 1);
	struct gtm_groups *b = table(100, one_pop, 1);
	struct file f = { .fail_at = SIZE_MAX };
	struct gtm_loaded result;

	(void)unused;
	state = 3;
	fill(a, 20, 1);
	assert_int_equal(save(a, &f), 0);
	size_t whole = f.n;
	for (f.n = 0; f.n < whole; f.n++)
		assert_int_equal(load(b, &f, WALL, NOW, &result), -EBADMSG);
	for (size_t i = 0; i < whole; i++) {
		f.octets[i] ^= (uint8_t)(1u << draw(8));
		uint8_t damaged = f.octets[i];
		assert_int_equal(load(b, &f, WALL, NOW, &result), -EBADMSG);
		f.octets[i] = damaged;
		assert_int_equal(save(a, &f), 0);
	}
	assert_int_equal(load(b, &f, WALL, NOW, &result), 0);
	for (f.fail_at = 0; f.fail_at < whole; f.fail_at += 13)
		assert_int_equal(save(a, &f), -ENOSPC);
	gtm_groups_unref(a);
	gtm_groups_unref(b);
	free(f.octets);
}

/* A POP that goes while the file is written is in it all the same. */
struct turn {
	struct file file;
	struct gtm_groups *g;
	unsigned int sections;
};

static int write_and_turn(void *arg, const void *octets, size_t n)
{
	static const char *const other[] = { "syd" };
	static const uint16_t gone[] = { 1 };
	struct turn *t = arg;
	uint16_t map[1];

	if (t->sections++ == 3) {
		gtm_groups_let_go(t->g, gone, 1);
		while (!gtm_groups_tidy(t->g, GTM_AGE_MAX_MS, NOW, 1000))
			;
		assert_int_equal(gtm_groups_columns(t->g, other, 1, map),
				 -ENOSPC);
	}
	return write_file(&t->file, octets, n);
}

static void test_turning_columns(void **unused)
{
	static const char *const pops[] = { "fra", "nrt" };
	static const char *const other[] = { "syd" };
	struct gtm_groups *b = table(40000, pops, 2);
	struct turn t = { .file = { .fail_at = SIZE_MAX },
			  .g = table(40000, pops, 2) };
	struct gtm_save how = { write_and_turn, &t, WALL, NOW };
	struct gtm_loaded result;
	struct gtm_client group;
	struct gtm_row_cells row;
	uint64_t n = 0;
	uint16_t map[1];

	(void)unused;
	state = 4;
	fill(t.g, 30000, 2);
	for (uint32_t at = 0; gtm_groups_next(t.g, &at, &group, &row);)
		for (uint16_t i = 0; i < 2; i++)
			n += (cell_of(&row, i) & 0xffff) != 0;
	assert_int_equal(gtm_groups_save(t.g, &how), 0);
	assert_true(t.sections > 5);
	assert_int_equal(load(b, &t.file, WALL, NOW, &result), 0);
	assert_int_equal(result.values, n);
	/* nobody holds it any more */
	while (!gtm_groups_tidy(t.g, GTM_AGE_MAX_MS, NOW, 1000))
		;
	assert_int_equal(gtm_groups_columns(t.g, other, 1, map), 0);
	assert_int_equal(map[0], 1);
	gtm_groups_unref(t.g);
	gtm_groups_unref(b);
	free(t.file.octets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_turning_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
