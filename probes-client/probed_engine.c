/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "probes-client/probed_kind.h"
#include "probes-client/probed_random.h"
#include "probes-client/probed_sched.h"
#include "probes-client/probed_test.h"

#define FILES_OWN 160u	/* descriptors that are not for tests */
#define TESTS_FEW 16u	/* at one time, where there are hardly more */
#define AGAIN_MS  1000u /* to the next test after a void one, about */
#define SLOT_MS	  5u	/* tests due within it begin together */
#define SLOT_FEW  8u	/* so many may begin in any slot */
#define RUSH	  4u	/* times the usual pace, to catch up */

/* A configuration that is not in use any more, but for tests that run. */
struct kept {
	struct config *config;
	size_t n;
};

struct probed_engine {
	uv_loop_t *loop;
	uv_timer_t timer;
	uint64_t planned_ms; /* when it fires; 0: it does not */
	uint64_t slot_ms;    /* when it may fire next */
	struct probed_kinds *kinds;
	struct probed_table *table;
	struct probed_sched sched;
	struct probed_list line; /* due, but too many tests are running */
	size_t n_running, tests_max;
	size_t slot_max; /* tests that begin in a slot */
	size_t n_untested;
	uint64_t n_missed, n_late, n_lacking;
	struct probed_histo lag;
	bool round;
	uint64_t rnd;
	struct probed_watcher watcher;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static int64_t unix_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* splitmix64: to spread tests, nothing that must not be guessed. */
static uint32_t random_bits(struct probed_engine *engine)
{
	uint64_t z = engine->rnd += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static void on_timer(uv_timer_t *timer);

/*
 * Sets the timer for what comes next.  To wake up for each of 2000 tests a
 * second costs more than many of the tests.
 */
static void plan(struct probed_engine *engine)
{
	uint64_t due = probed_sched_due(&engine->sched);
	bool turn = engine->line.n > 0 && engine->n_running < engine->tests_max;

	if (due == PROBED_SCHED_NEVER && !turn) {
		uv_timer_stop(&engine->timer);
		engine->planned_ms = 0;
		return;
	}
	if (turn || due < engine->slot_ms)
		due = engine->slot_ms;
	if (engine->planned_ms == due)
		return;
	uint64_t now = now_ms();
	uv_update_time(engine->loop);
	uv_timer_start(&engine->timer, on_timer, due > now ? due - now : 0, 0);
	engine->planned_ms = due;
}

/* -- one test ------------------------------------------------------------ */

static void round_check(struct probed_engine *engine)
{
	if (engine->round || engine->n_untested > 0)
		return;
	engine->round = true;
	engine->watcher.round(engine->watcher.arg);
}

static void test_over(struct probed_engine *engine,
		      struct probed_target *target,
		      const struct probed_result *result)
{
	enum probed_change change =
		probed_target_take(target, result, now_ms(), unix_ms());

	if (change == PROBED_FIRST)
		engine->n_untested--;
	target->due_ms = probed_sched_after(target, now_ms());
	probed_sched_put(&engine->sched, target);
	engine->watcher.result(engine->watcher.arg, target, result, change);
	round_check(engine);
}

/* The trouble is ours: what is known of the server stays.  To be late may be an
 * excuse once. */
static bool is_void(struct probed_engine *engine, struct probed_target *target,
		    const struct probed_result *result)
{
	bool was_moot = target->was_moot;

	target->was_moot = result->moot != PROBED_NOT_MOOT;
	if (!target->was_moot || (was_moot && result->moot == PROBED_LATE))
		return false;
	if (engine->watcher.moot(engine->watcher.arg, target, result))
		return false;
	engine->n_late += result->moot == PROBED_LATE;
	engine->n_lacking += result->moot == PROBED_LACKING;
	return true;
}

/* Soon, but not all together. */
static void test_again(struct probed_engine *engine,
		       struct probed_target *target)
{
	uint64_t soon = now_ms() + AGAIN_MS / 2 +
			((uint64_t)random_bits(engine) * AGAIN_MS >> 32);

	target->due_ms = soon < target->regular_ms ? soon : target->regular_ms;
	probed_sched_put(&engine->sched, target);
}

/* Its test is over, and reads nothing any more. */
static void test_forget(struct probed_engine *engine,
			struct probed_target *target)
{
	struct kept *kept = target->kept;

	target->test = NULL;
	target->kept = NULL;
	engine->n_running--;
	if (kept == NULL || --kept->n > 0)
		return;
	config_free(kept->config);
	free(kept);
}

static void on_done(void *arg, const struct probed_result *result)
{
	struct probed_target *target = arg;
	struct probed_engine *engine = target->owner;

	test_forget(engine, target);
	if (is_void(engine, target, result))
		test_again(engine, target);
	else
		test_over(engine, target, result);
	plan(engine);
}

static int start(struct probed_engine *engine, struct probed_target *target)
{
	struct probed_task task = {
		.service = target->service,
		.address = target->address,
		.address_text = target->address_text,
		.done = on_done,
		.arg = target,
	};

	return probed_kinds_start(engine->kinds, &task, &target->test);
}

/* The next turn comes so long after this one was due, not after its end. */
static void test_start(struct probed_engine *engine,
		       struct probed_target *target)
{
	const struct config_service *service = target->service;
	uint64_t now = now_ms();

	probed_histo_take(&engine->lag,
			  now > target->due_ms ? now - target->due_ms : 0);
	target->begun_ms = target->due_ms;
	if (target->due_ms >= target->regular_ms)
		target->regular_ms = probed_sched_next(
			target->regular_ms, service->interval_ms,
			service->jitter_pct, random_bits(engine));
	if (start(engine, target) == 0) {
		engine->n_running++;
		return;
	}
	struct probed_result failed = { .error = PROBE_LOCAL,
					.metric_ms = PROBE_METRIC_FAILED,
					.moot = PROBED_LACKING,
					.detail = "no memory" };
	if (is_void(engine, target, &failed))
		test_again(engine, target);
	else
		test_over(engine, target, &failed);
}

/* -- the schedule ---------------------------------------------------------- */

static void line_serve(struct probed_engine *engine)
{
	struct probed_link *link;
	size_t n = 0;

	while (n++ < engine->slot_max &&
	       engine->n_running < engine->tests_max &&
	       (link = probed_list_first(&engine->line)) != NULL) {
		probed_list_remove(&engine->line, link);
		test_start(engine,
			   PROBED_ENTRY(link, struct probed_target, line));
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct probed_engine *engine = timer->data;
	struct probed_target *target;
	uint64_t now = now_ms();

	engine->planned_ms = 0;
	engine->slot_ms = now + SLOT_MS;
	while ((target = probed_sched_take(&engine->sched, now)) != NULL) {
		if (probed_sched_missed(target, now)) {
			engine->n_missed++;
			probed_sched_put(&engine->sched, target);
			continue;
		}
		probed_list_put(&engine->line, &target->line);
	}
	line_serve(engine);
	plan(engine);
}

/* -- the table ------------------------------------------------------------- */

static void target_drop(struct probed_engine *engine,
			struct probed_target *target)
{
	if (target->test != NULL) {
		probed_test_cancel(target->test);
		test_forget(engine, target);
	}
	if (probed_link_used(&target->line))
		probed_list_remove(&engine->line, &target->line);
	probed_sched_remove(&engine->sched, target);
	engine->watcher.gone(engine->watcher.arg, target);
}

static void table_drop(struct probed_engine *engine, struct probed_table *table)
{
	for (size_t i = 0; table != NULL && i < table->n; i++)
		if (table->targets[i] != NULL)
			target_drop(engine, table->targets[i]);
	probed_table_free(table);
}

/* What is late, or fails all at once, must not make a burst. */
static size_t slot_max_of(const struct probed_table *table)
{
	double per_ms = 0;

	for (size_t i = 0; i < table->n; i++)
		per_ms += 1.0 / table->targets[i]->service->interval_ms;
	double max = per_ms * SLOT_MS * RUSH;
	return max > SLOT_FEW ? (size_t)max : SLOT_FEW;
}

/* A new one is put into the schedule; one whose interval is now shorter does
 * not wait for the longer one to end. */
static void target_enter(struct probed_engine *engine,
			 struct probed_target *target, size_t i, uint64_t now)
{
	uint32_t interval_ms = target->service->interval_ms;
	uint64_t phase = probed_sched_phase(i, engine->table->n, interval_ms);

	if (target->owner == NULL) {
		target->owner = engine;
		target->since_ms = now;
		target->due_ms = now + phase;
		target->regular_ms =
			probed_sched_turn(i, now, target->due_ms, interval_ms);
		probed_sched_put(&engine->sched, target);
		return;
	}
	if (target->regular_ms <= now + 2 * (uint64_t)interval_ms)
		return;
	bool in = target->heap_at != 0;
	probed_sched_remove(&engine->sched, target);
	target->due_ms = now + phase;
	target->regular_ms = target->due_ms;
	if (in)
		probed_sched_put(&engine->sched, target);
}

/* Tests that go on read the configuration that they began with. */
static void config_keep(const struct probed_table *table,
			struct probed_table *old, struct kept *kept)
{
	for (size_t i = 0; i < table->n; i++) {
		struct probed_target *target = table->targets[i];
		if (target->test == NULL || target->kept != NULL)
			continue;
		target->kept = kept;
		kept->n++;
	}
	if (kept->n == 0) {
		free(kept);
		return;
	}
	kept->config = old->config;
	old->config = NULL;
}

int probed_engine_use(struct probed_engine *engine, struct probed_table *table)
{
	struct probed_table *old = engine->table;
	size_t n_old = old != NULL ? old->n : 0;
	uint64_t now = now_ms();

	struct kept *kept = old != NULL ? calloc(1, sizeof(*kept)) : NULL;
	/* Both at once for a moment. */
	if ((old != NULL && kept == NULL) ||
	    probed_sched_room(&engine->sched, table->n + n_old + 1) != 0) {
		free(kept);
		return -ENOMEM;
	}
	if (old != NULL) {
		probed_table_adopt(table, old);
		config_keep(table, old, kept);
	}
	engine->table = table;
	table_drop(engine, old);
	probed_kinds_forget(engine->kinds);
	for (size_t i = 0; i < table->n; i++)
		target_enter(engine, table->targets[i], i, now);
	engine->slot_max = slot_max_of(table);
	engine->n_untested = probed_table_count(table, PROBED_UNTESTED);
	round_check(engine);
	plan(engine);
	return 0;
}

const struct probed_table *
probed_engine_table(const struct probed_engine *engine)
{
	return engine->table;
}

bool probed_engine_is_round(const struct probed_engine *engine)
{
	return engine->round;
}

uint64_t probed_engine_missed(const struct probed_engine *engine)
{
	return engine->n_missed;
}

struct probed_engine_stats
probed_engine_stats(const struct probed_engine *engine)
{
	return (struct probed_engine_stats){
		.running = engine->n_running,
		.waiting = engine->line.n,
		.missed = engine->n_missed,
		.late = engine->n_late,
		.lacking = engine->n_lacking,
		.lag = engine->lag,
	};
}

/* -- life ------------------------------------------------------------------ */

int probed_engine_new(uv_loop_t *loop, size_t tests_max,
		      const struct probed_watcher *watcher,
		      struct probed_engine **enginep)
{
	struct probed_engine *engine = calloc(1, sizeof(*engine));
	if (engine == NULL)
		return -ENOMEM;

	int rc = probed_kinds_new(loop, &engine->kinds);
	if (rc != 0) {
		free(engine);
		return rc;
	}
	engine->loop = loop;
	engine->tests_max = tests_max;
	engine->watcher = *watcher;
	engine->rnd = probed_random();
	probed_list_init(&engine->line);
	uv_timer_init(loop, &engine->timer);
	engine->timer.data = engine;
	*enginep = engine;
	return 0;
}

static void engine_free(uv_handle_t *handle)
{
	struct probed_engine *engine = handle->data;

	probed_sched_fini(&engine->sched);
	free(engine);
}

void probed_engine_close(struct probed_engine *engine)
{
	if (engine == NULL)
		return;
	table_drop(engine, engine->table);
	engine->table = NULL;
	probed_kinds_close(engine->kinds);
	uv_close((uv_handle_t *)&engine->timer, engine_free);
}

size_t probed_engine_tests_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1;
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = { limit.rlim_max, limit.rlim_max };
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	rlim_t files = limit.rlim_cur;
	if (files > PROBED_TESTS_MAX + FILES_OWN)
		return PROBED_TESTS_MAX;
	/* A limit so low leaves little for anything. */
	return files / 2 > FILES_OWN ? (size_t)files - FILES_OWN : TESTS_FEW;
}
