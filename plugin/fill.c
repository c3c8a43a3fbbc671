/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/fill.h"

#include <errno.h>
#include <stdlib.h>

#include "plugin/fill_int.h"
#include "plugin/map.h"

/* 10000 questions a second at most, little by little: clients' lie between. */
#define PACE_MS	       1u
#define PACE_QUESTIONS 10u
#define PACE_LOOKS     100u    /* what is known costs a microsecond or two */
#define SLICE_NS       500000u /* the engine does something else after it */

/* -- zones by name ----------------------------------------------------- */

struct zone *const *fill_zones_of(struct engine *e, const struct dname *name,
				  size_t *n)
{
	*n = 0;
	return e->snapshot != NULL ? map_zones_of(e->snapshot, name, n) : NULL;
}

/* -- turns ------------------------------------------------------------- */

/* Once: an answer or the next pace gives the next turns. */
static void on_idle(uv_idle_t *idle)
{
	struct engine *e = idle->data;
	uint64_t end_ns = uv_hrtime() + SLICE_NS;

	(void)uv_idle_stop(idle);
	for (struct fill_run *run = e->fill->runs; run != NULL; run = run->next)
		fill_run_turn(run, end_ns);
	fill_runs_free(e);
}

void fill_wake(struct engine *e)
{
	if (!e->fill->stopping)
		(void)uv_idle_start(&e->fill->idle, on_idle);
}

/* The first may take all of a pace: so each is the first in turn. */
static void rotate(struct fill *f)
{
	struct fill_run *first = f->runs;
	struct fill_run **end = &f->runs;

	if (first == NULL || first->next == NULL)
		return;
	while (*end != NULL)
		end = &(*end)->next;
	f->runs = first->next;
	first->next = NULL;
	*end = first;
}

static void on_pace(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	e->fill->budget = PACE_QUESTIONS;
	e->fill->looks = PACE_LOOKS;
	rotate(e->fill);
	if (e->fill->runs != NULL)
		fill_wake(e);
	else
		(void)uv_timer_stop(timer);
}

void fill_pace(struct engine *e)
{
	if (!e->fill->stopping && !uv_is_active((uv_handle_t *)&e->fill->pace))
		(void)uv_timer_start(&e->fill->pace, on_pace, 0, PACE_MS);
}

void fill_tick(struct engine *e)
{
	struct fill *f = e->fill;

	if (f->stopping)
		return;
	for (struct fill_run *run = f->runs; run != NULL; run = run->next)
		fill_run_tick(run);
	fill_zones_tick(e);
}

/* -- life -------------------------------------------------------------- */

void fill_configured(struct engine *e, struct snapshot *s)
{
	fill_zones_configured(e, s);
}

int fill_new(struct engine *e)
{
	struct fill *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	f->idle.data = e;
	f->pace.data = e;
	(void)uv_idle_init(&e->loop, &f->idle); /* these cannot fail */
	(void)uv_timer_init(&e->loop, &f->pace);
	e->fill = f;
	return 0;
}

void fill_stop(struct engine *e)
{
	struct fill *f = e->fill;

	f->stopping = true;
	uv_close((uv_handle_t *)&f->idle, NULL);
	uv_close((uv_handle_t *)&f->pace, NULL);
	/* what is on its way is ended, and then freed, by origins_close() */
	for (struct fill_run *run = f->runs; run != NULL; run = run->next)
		fill_run_fail(run, "named is stopping");
	fill_runs_free(e);
}

void fill_free(struct engine *e)
{
	fill_zones_free(e);
	free(e->fill);
	e->fill = NULL;
}
