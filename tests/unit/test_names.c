/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/names.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cacheproxy/wire.h"

#define SEED   UINT64_C(0x123456789)
#define NS     2u
#define A      1u
#define DNAME  39u
#define ROOM   (64u << 20)
#define LABELS 6u /* different labels of the model's names */
#define DEPTH  3u /* labels of them below the apex */

static struct dname name_of(const char *text)
{
	struct dname name;

	assert_int_equal(dname_parse(slice_of(text), &name), 0);
	return name;
}

static struct names_list *list_of(const char *apex)
{
	struct dname name = name_of(apex);
	struct names_list *list = NULL;

	assert_int_equal(names_list_new(&name, SEED, ROOM, &list), 0);
	return list;
}

static void add(struct names_list *list, const char *owner, uint16_t type,
		bool came)
{
	struct dname name = name_of(owner);

	assert_int_equal(names_list_add(list, name.wire, name.n, type, came),
			 0);
}

static const struct names_soa version = { .serial = 1 };

static struct names *set_of(struct names_list *list)
{
	struct names *names = NULL;

	assert_int_equal(names_new(list, &version, &names), 0);
	names_list_free(list);
	return names;
}

static enum names_word ask(const struct names *names, const char *text)
{
	struct dname name = name_of(text);
	size_t above = 0;

	return names_find(names, name.wire, name.n, &above);
}

static struct names_list *small_zone(void)
{
	struct names_list *list = list_of("example.com");

	add(list, "example.com", NS, true);
	add(list, "WWW.example.com", A, true);
	add(list, "a.b.c.example.com", A, true);
	add(list, "cut.example.com", NS, true);
	add(list, "ns.cut.example.com", A, true);
	add(list, "moved.example.com", DNAME, true);
	add(list, "*.wild.example.com", A, true);
	return list;
}

static void test_what_is_missing(void **state)
{
	struct names *names = set_of(small_zone());

	(void)state;
	assert_int_equal(ask(names, "example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "www.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "x.www.example.com"), NAMES_NOT);
	assert_int_equal(ask(names, "ww.example.com"), NAMES_NOT);
	/* empty non-terminals */
	assert_int_equal(ask(names, "c.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "b.c.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "x.b.c.example.com"), NAMES_NOT);
	/* below cuts, glue or not */
	assert_int_equal(ask(names, "cut.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "ns.cut.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "x.y.cut.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "x.moved.example.com"), NAMES_MAY);
	/* wildcards */
	assert_int_equal(ask(names, "x.wild.example.com"), NAMES_WILDCARD);
	assert_int_equal(ask(names, "x.y.wild.example.com"), NAMES_WILDCARD);
	assert_int_equal(ask(names, "wild.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "x.*.wild.example.com"), NAMES_NOT);
	assert_int_equal(names_count(names), 9);
	names_free(names);
}

static bool has(const struct names *names, const char *text)
{
	struct dname name = name_of(text);

	return names_has(names, name.wire, name.n);
}

/* Neither what a wildcard stands in for nor what lies below a cut. */
static void test_what_is_in_it(void **state)
{
	struct names *names = set_of(small_zone());

	(void)state;
	assert_true(has(names, "example.com"));
	assert_true(has(names, "www.example.com"));
	assert_true(has(names, "b.c.example.com"));
	assert_true(has(names, "cut.example.com"));
	assert_true(has(names, "moved.example.com"));
	assert_true(has(names, "wild.example.com"));
	assert_true(has(names, "*.wild.example.com"));
	assert_false(has(names, "ww.example.com"));
	assert_false(has(names, "x.www.example.com"));
	assert_false(has(names, "ns.cut.example.com"));
	assert_false(has(names, "x.cut.example.com"));
	assert_false(has(names, "x.moved.example.com"));
	assert_false(has(names, "x.wild.example.com"));
	assert_false(has(names, "x.y.wild.example.com"));
	names_free(names);
}

static void test_closest_encloser(void **state)
{
	struct names *names = set_of(small_zone());
	struct dname name = name_of("x.y.wild.example.com");
	struct dname wild = name_of("wild.example.com");
	size_t above = 0;

	(void)state;
	assert_int_equal(names_find(names, name.wire, name.n, &above),
			 NAMES_WILDCARD);
	assert_int_equal(above, wild.n);
	names_free(names);
}

/* All but the apex is below it. */
static void test_dname_at_the_apex(void **state)
{
	struct names_list *list = small_zone();
	struct names_soa soa = { .serial = 2 };

	(void)state;
	add(list, "example.com", DNAME, true);
	struct names *names = set_of(list);
	assert_int_equal(ask(names, "ww.example.com"), NAMES_MAY);
	list = list_of("example.com");
	add(list, "example.com", DNAME, false);
	assert_int_equal(names_apply(names, list, &soa), 0);
	assert_int_equal(ask(names, "ww.example.com"), NAMES_NOT);
	assert_int_equal(names_apply(names, list, &soa), -EBADMSG);
	names_list_free(list);
	names_free(names);
}

static void test_differences(void **state)
{
	struct names *names = set_of(small_zone());
	struct names_list *list = list_of("example.com");
	struct names_soa soa = { .serial = 7 };

	(void)state;
	/* a record is replaced, a name goes, one comes, a cut goes */
	add(list, "www.example.com", A, false);
	add(list, "www.example.com", A, true);
	add(list, "a.b.c.example.com", A, false);
	add(list, "new.c.example.com", A, true);
	add(list, "cut.example.com", NS, false);
	assert_int_equal(names_apply(names, list, &soa), 0);
	names_list_free(list);
	assert_int_equal(ask(names, "www.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "a.b.c.example.com"), NAMES_NOT);
	assert_int_equal(ask(names, "b.c.example.com"), NAMES_NOT);
	assert_int_equal(ask(names, "c.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "new.c.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "cut.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "x.cut.example.com"), NAMES_NOT);
	assert_int_equal(names_soa(names)->serial, 7);

	list = list_of("example.com");
	add(list, "never.example.com", A, false);
	assert_int_equal(names_apply(names, list, &soa), -EBADMSG);
	names_list_free(list);
	names_free(names);
}

/* More records than are counted: the name stays, whatever goes. */
static void test_counts_end(void **state)
{
	struct names_list *list = list_of("example.com");
	struct names_soa soa = { .serial = 2 };

	(void)state;
	for (unsigned int i = 0; i < 70000; i++)
		add(list, "many.example.com", A, true);
	for (unsigned int i = 0; i < 20; i++)
		add(list, "cut.example.com", NS, true);
	struct names *names = set_of(list);
	list = list_of("example.com");
	for (unsigned int i = 0; i < 5000; i++)
		add(list, "many.example.com", A, false);
	for (unsigned int i = 0; i < 19; i++)
		add(list, "cut.example.com", NS, false);
	assert_int_equal(names_apply(names, list, &soa), 0);
	names_list_free(list);
	assert_int_equal(ask(names, "many.example.com"), NAMES_MAY);
	assert_int_equal(ask(names, "x.cut.example.com"), NAMES_MAY);
	names_free(names);
}

static void test_bounds(void **state)
{
	struct dname apex = name_of("example.com");
	struct dname other = name_of("www.example.org");
	struct names_list *list = NULL;
	char text[64];
	int rc = 0;

	(void)state;
	assert_int_equal(names_list_new(&apex, SEED, 16384, &list), 0);
	assert_int_equal(names_list_add(list, other.wire, other.n, A, true),
			 -EINVAL);
	for (unsigned int i = 0; i < 2000 && rc == 0; i++) {
		(void)snprintf(text, sizeof(text), "n%u.example.com", i);
		struct dname name = name_of(text);
		rc = names_list_add(list, name.wire, name.n, A, true);
	}
	assert_int_equal(rc, -E2BIG);
	names_list_free(list);

	struct names_soa soa = { .serial = 5 };
	const uint8_t rdata[21] = { 0 };
	assert_int_equal(names_soa_read(rdata, sizeof(rdata), 1, &soa),
			 -EBADMSG);
	assert_int_equal(soa.serial, 5);
}

/* A sequence that is the same in every run. */
static unsigned int some(void)
{
	static uint64_t state = 1;

	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned int)(state >> 33);
}

/* -- against a model ------------------------------------------------------- */

/* Records of every name of up to DEPTH labels; label 0 is the wildcard. */
struct model {
	int records[LABELS + 1][LABELS + 1][LABELS + 1];
	int cuts[LABELS + 1][LABELS + 1][LABELS + 1];
};

/* Digits 1..LABELS, the label next to the apex first; 0: none. */
struct model_name {
	unsigned int d[DEPTH];
};

static struct dname wire_of(struct model_name m)
{
	static const char letters[] = "*abcde";
	char text[64];
	size_t n = 0;

	for (unsigned int i = DEPTH; i-- > 0;)
		if (m.d[i] != 0) {
			text[n++] = letters[m.d[i] - 1];
			text[n++] = '.';
		}
	memcpy(text + n, "example", 8);
	return name_of(text);
}

static struct model_name some_name(void)
{
	struct model_name m = { { 0 } };
	unsigned int depth = 1 + some() % DEPTH;

	for (unsigned int i = 0; i < depth; i++)
		m.d[i] = 1 + some() % LABELS;
	return m;
}

/* True if there are records at or below the first 'depth' labels. */
static bool exists(const struct model *model, struct model_name m,
		   unsigned int depth)
{
	for (unsigned int b = 0; b <= LABELS; b++)
		for (unsigned int c = 0; c <= LABELS; c++) {
			unsigned int y = depth > 1 ? m.d[1] : b;
			unsigned int z = depth > 2 ? m.d[2] : c;
			if (model->records[m.d[0]][y][z] > 0)
				return true;
		}
	return false;
}

static int cuts_at(const struct model *model, struct model_name m,
		   unsigned int depth)
{
	return model
		->cuts[m.d[0]][depth > 1 ? m.d[1] : 0][depth > 2 ? m.d[2] : 0];
}

static enum names_word expected(const struct model *model, struct model_name m)
{
	for (unsigned int depth = 1; depth <= DEPTH && m.d[depth - 1] != 0;
	     depth++) {
		if (exists(model, m, depth)) {
			if (cuts_at(model, m, depth) > 0)
				return NAMES_MAY;
			continue;
		}
		m.d[depth - 1] = 1;
		return exists(model, m, depth) ? NAMES_WILDCARD : NAMES_NOT;
	}
	return NAMES_MAY;
}

static void check_all(const struct model *model, const struct names *names)
{
	for (unsigned int i = 0; i < 3000; i++) {
		struct model_name m = some_name();
		struct dname name = wire_of(m);
		size_t above = 0;
		assert_int_equal(names_find(names, name.wire, name.n, &above),
				 expected(model, m));
	}
}

static void change_one(struct model *model, struct names_list *list,
		       struct model_name m, bool came)
{
	int *records = &model->records[m.d[0]][m.d[1]][m.d[2]];
	int *cuts = &model->cuts[m.d[0]][m.d[1]][m.d[2]];
	struct dname name = wire_of(m);
	bool cut = came ? some() % 8 == 0 : *cuts == *records;

	if (!came && *records == 0)
		return;
	assert_int_equal(
		names_list_add(list, name.wire, name.n, cut ? NS : A, came), 0);
	*records += came ? 1 : -1;
	*cuts += cut ? (came ? 1 : -1) : 0;
}

static void test_model(void **state)
{
	static struct model model;
	struct names_soa soa = { .serial = 2 };

	(void)state;
	struct names_list *list = list_of("example");
	for (unsigned int i = 0; i < 60; i++)
		change_one(&model, list, some_name(), true);
	struct names *names = set_of(list);
	check_all(&model, names);
	for (unsigned int round = 0; round < 40; round++) {
		list = list_of("example");
		for (unsigned int i = 0; i < 60; i++)
			change_one(&model, list, some_name(), some() % 3 == 0);
		assert_int_equal(names_apply(names, list, &soa), 0);
		names_list_free(list);
		check_all(&model, names);
	}
	names_free(names);
}

/* A large zone: nothing that exists is missing, and it is small. */
static void test_many(void **state)
{
	enum { N = 200000 };
	struct names_list *list = list_of("example.com");
	char text[64];
	size_t wrong = 0;

	(void)state;
	for (unsigned int i = 0; i < N; i++) {
		(void)snprintf(text, sizeof(text), "host%u.example.com", i);
		add(list, text, A, true);
	}
	struct names *names = set_of(list);
	assert_int_equal(names_count(names), N);
	assert_true(names_bytes(names) <= 8 * (uint64_t)N);
	for (unsigned int i = 0; i < N; i++) {
		(void)snprintf(text, sizeof(text), "host%u.example.com", i);
		assert_int_equal(ask(names, text), NAMES_MAY);
		(void)snprintf(text, sizeof(text), "hos%u.example.com", i);
		wrong += ask(names, text) != NAMES_NOT;
	}
	assert_true(wrong <= 1); /* 0.006 are to be expected */
	names_free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_what_is_in_it),
		cmocka_unit_test(test_closest_encloser),
		cmocka_unit_test(test_dname_at_the_apex),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_counts_end),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
