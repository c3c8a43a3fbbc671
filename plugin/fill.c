/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/fill.h"

#include <errno.h>
#include <stdlib.h>

#include "plugin/fill_int.h"
#include "plugin/map.h"

/* 10000 questions a second at most, little by little: clients' lie between. */
#define PACE_MS	       1u
#define PACE_QUESTIONS 10u

/* -- zones by name ----------------------------------------------------- */

static void forget_zones(struct fill *f)
{
	zonemap_free(f->map);
	free(f->sorted);
	f->map = NULL;
	f->sorted = NULL;
	f->n_sorted = 0;
}

static int by_name(const void *a, const void *b)
{
	const struct zone *const *x = a;
	const struct zone *const *y = b;

	return map_order(&(*x)->config->name, &(*y)->config->name);
}

/* Maps the first zone of each name in sorted[]. */
static int map_zones(struct fill *f, uint64_t seed)
{
	const struct dname **names = malloc((f->n_sorted + 1) * sizeof(*names));
	void **values = malloc((f->n_sorted + 1) * sizeof(*values));
	size_t n = 0, clash;
	int rc = names != NULL && values != NULL ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < f->n_sorted; i++) {
		if (i > 0 && by_name(&f->sorted[i - 1], &f->sorted[i]) == 0)
			continue;
		names[n] = &f->sorted[i]->config->name;
		values[n++] = &f->sorted[i];
	}
	if (rc == 0)
		rc = zonemap_new(names, values, n, seed, &f->map, &clash);
	free(names);
	free(values);
	return rc;
}

static int index_zones(struct engine *e)
{
	struct fill *f = e->fill;
	struct snapshot *s = e->snapshot;

	if (f->map != NULL)
		return 0;
	f->sorted = malloc((s->n + 1) * sizeof(*f->sorted));
	if (f->sorted == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		f->sorted[i] = &s->zone[i];
	f->n_sorted = s->n;
	qsort(f->sorted, s->n, sizeof(*f->sorted), by_name);
	int rc = map_zones(f, e->process->seed);
	if (rc != 0)
		forget_zones(f);
	return rc;
}

struct zone *const *fill_zones_of(struct engine *e, const struct dname *name,
				  size_t *n)
{
	struct fill *f = e->fill;
	unsigned int labels;

	*n = 0;
	if (e->snapshot == NULL || index_zones(e) != 0)
		return NULL;
	struct zone **first =
		zonemap_find(f->map, name->wire, name->n, &labels);
	if (first == NULL)
		return NULL;
	do
		(*n)++;
	while (first + *n < f->sorted + f->n_sorted &&
	       by_name(first, first + *n) == 0);
	return first;
}

/* -- turns ------------------------------------------------------------- */

static void on_idle(uv_idle_t *idle)
{
	struct engine *e = idle->data;
	bool more = false;

	for (struct fill_run *run = e->fill->runs; run != NULL; run = run->next)
		if (fill_run_turn(run))
			more = true;
	fill_runs_free(e);
	if (!more)
		(void)uv_idle_stop(idle);
}

void fill_wake(struct engine *e)
{
	if (!e->fill->stopping)
		(void)uv_idle_start(&e->fill->idle, on_idle);
}

static void on_pace(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	e->fill->budget = PACE_QUESTIONS;
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
	forget_zones(e->fill);
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
	forget_zones(e->fill);
	free(e->fill);
	e->fill = NULL;
}
