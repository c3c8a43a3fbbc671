/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/slicer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LOG_MAX 64u

struct bench {
	uv_loop_t loop;
	uv_check_t check; /* once for each round of the loop */
	struct slicer slicer;
	_Atomic bool serving;
	unsigned int rounds;
	size_t n;
	char log[LOG_MAX]; /* who had a slice, in order */
};

/* Work of 'left' steps, each longer than any slice. */
struct task {
	struct slicer_work work;
	struct bench *bench;
	char name;
	unsigned int left;
	unsigned int round; /* of the loop, at the last step */
	struct task *then;  /* begun by the last step */
	bool light;	    /* many steps fit a slice */
};

static void log_add(struct bench *b, char c)
{
	assert_true(b->n + 1 < LOG_MAX);
	b->log[b->n++] = c;
}

static bool step(void *arg)
{
	struct task *t = arg;
	uint64_t end_ns = uv_hrtime() + (t->light ? 0 : 1000000u);

	while (uv_hrtime() < end_ns)
		;
	if (!t->light) {
		assert_int_not_equal(t->round, t->bench->rounds);
		log_add(t->bench, t->name);
	}
	t->round = t->bench->rounds;
	if (--t->left > 0)
		return false;
	if (t->light)
		log_add(t->bench, t->name);
	if (t->then != NULL)
		slicer_add(&t->bench->slicer, &t->then->work);
	return true;
}

static struct task task(struct bench *b, char name, unsigned int left)
{
	return (struct task){
		.work = { .step = step }, .bench = b, .name = name, .left = left
	};
}

static void add(struct task *t)
{
	t->work.arg = t;
	slicer_add(&t->bench->slicer, &t->work);
}

static void on_round(uv_check_t *check)
{
	struct bench *b = check->data;

	b->rounds++;
}

static int setup(void **state)
{
	static struct bench b;

	memset(&b, 0, sizeof(b));
	b.rounds = 1;
	b.serving = true;
	assert_int_equal(uv_loop_init(&b.loop), 0);
	slicer_init(&b.slicer, &b.loop, &b.serving);
	uv_check_init(&b.loop, &b.check);
	b.check.data = &b;
	uv_check_start(&b.check, on_round);
	uv_unref((uv_handle_t *)&b.check);
	*state = &b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	uv_close((uv_handle_t *)&b->check, NULL);
	uv_run(&b->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&b->loop);
}

static void run(struct bench *b)
{
	uv_run(&b->loop, UV_RUN_DEFAULT);
	assert_false(uv_is_active((uv_handle_t *)&b->slicer.timer));
	slicer_finish(&b->slicer);
}

/* A slice each, and a round of the loop between any two. */
static void test_turns(void **state)
{
	struct bench *b = *state;
	struct task a = task(b, 'a', 3), c = task(b, 'c', 2),
		    d = task(b, 'd', 1);

	add(&a);
	add(&c);
	add(&d);
	assert_int_equal(b->n, 0); /* never from inside */
	run(b);
	assert_string_equal(b->log, "acdaca");
	assert_int_equal(a.round, b->rounds - 1);
}

static void test_light(void **state)
{
	struct bench *b = *state;
	struct task a = task(b, 'a', 100000), c = task(b, 'c', 1);

	a.light = true;
	add(&a);
	add(&c);
	run(b);
	assert_int_equal(a.left, 0);
	assert_int_equal(c.left, 0);
}

/* The last step may begin the next work, or the same. */
static void test_again(void **state)
{
	struct bench *b = *state;
	struct task a = task(b, 'a', 1), c = task(b, 'c', 2);

	a.then = &c;
	c.work.arg = &c;
	add(&a);
	run(b);
	assert_string_equal(b->log, "acc");
}

static void test_finish(void **state)
{
	struct bench *b = *state;
	struct task a = task(b, 'a', 3), c = task(b, 'c', 1000),
		    d = task(b, 'd', 1000);

	c.light = d.light = true;
	a.light = true;
	a.then = &d; /* what is begun meanwhile is done, too */
	d.work.arg = &d;
	add(&a);
	add(&c);
	slicer_finish(&b->slicer);
	assert_string_equal(b->log, "acd");
	assert_int_equal(uv_run(&b->loop, UV_RUN_DEFAULT), 0);
}

static void test_thread(void **state)
{
	struct bench *b = *state;
	struct task a = task(b, 'a', 1000);

	a.light = true;
	a.work.arg = &a;
	slicer_run(&a.work, &b->serving, NULL);
	b->serving = false;
	a.left = 1000;
	slicer_run(&a.work, &b->serving, NULL);
	assert_string_equal(b->log, "aa");
	slicer_finish(&b->slicer);
}

/* In place of libc's: pauses are counted, not taken. */
static unsigned int pauses;

int nanosleep(const struct timespec *pause, struct timespec *left)
{
	(void)pause;
	(void)left;
	pauses++;
	return 0;
}

static bool long_step(void *arg)
{
	unsigned int *left = arg;
	uint64_t end_ns = uv_hrtime() + 1000000u;

	while (uv_hrtime() < end_ns)
		;
	return --*left == 0;
}

static unsigned int pauses_with(uint32_t jobs)
{
	unsigned int left = 5;
	struct slicer_work work = { .step = long_step, .arg = &left };
	const _Atomic bool serving = true;
	const _Atomic uint32_t queued = jobs;

	pauses = 0;
	slicer_run(&work, &serving, &queued);
	assert_int_equal(left, 0);
	return pauses;
}

/* While others wait for the thread it does not sleep. */
static void test_thread_in_a_hurry(void **state)
{
	struct bench *b = *state;

	assert_int_equal(pauses_with(0), 4);
	assert_int_equal(pauses_with(1), 0);
	slicer_finish(&b->slicer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_light, setup, teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thread, setup, teardown),
		cmocka_unit_test_setup_teardown(test_thread_in_a_hurry, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
