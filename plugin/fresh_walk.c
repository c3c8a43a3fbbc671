/* SPDX-License-Identifier: MPL-2.0 */
#include <stdlib.h>

#include "plugin/denial.h"
#include "plugin/fresh_int.h"

#define STEP_BUCKETS 16u

/* The look whose zone the entry is of, or NULL. */
static struct check *check_of(const struct fresh *f, uint64_t id)
{
	size_t low = 0, high = f->n_batch;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (f->batch[middle]->id == id)
			return f->batch[middle];
		if (f->batch[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The fullest message of an answer. */
static void whole_of(const struct store_entry *e, struct delta_answer *a)
{
	*a = (struct delta_answer){ .name = store_name(e),
				    .name_n = e->name_n,
				    .qtype = e->qtype };
	if (e->kind == STORE_FAILURE)
		return;

	const struct store_form *f = store_form_of(e, STORE_DNSSEC);
	a->msg = e->octets + f->wire;
	a->n = f->n;
}

static bool is_wrong(void *arg, const struct store_entry *e)
{
	struct check *c = check_of(arg, e->zone);
	struct delta_answer answer;

	if (c == NULL)
		return false;
	if (c->delta != NULL) {
		whole_of(e, &answer);
		if (!delta_touches(c->delta, &answer))
			return false;
	}
	c->dropped++;
	return true;
}

static int by_id(const void *a, const void *b)
{
	const struct check *const *x = a;
	const struct check *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/*
 * Begins a walk for those that wait.  What is asked from now on is asked of
 * origins that have the new version, and what is on its way is not kept.
 */
static void batch_begin(struct engine *e)
{
	struct fresh *f = e->fresh;

	f->n_batch = 0;
	while (f->waiting != NULL && f->n_batch < FRESH_BATCH_MAX) {
		struct check *c = f->waiting;
		f->waiting = c->next;
		c->next = NULL;
		(void)flight_detach(e->process->flights, c->id, NULL, 0, true);
		if (c->delta != NULL)
			denial_forget(e, c->zone, false);
		f->batch[f->n_batch++] = c;
	}
	if (f->waiting == NULL)
		f->waiting_end = &f->waiting;
	qsort(f->batch, f->n_batch, sizeof(struct check *), by_id);
	f->walk = (struct store_walk){ 0 };
}

static void batch_end(struct engine *e)
{
	struct fresh *f = e->fresh;
	struct check *batch[FRESH_BATCH_MAX];
	size_t n = f->n_batch;

	for (size_t i = 0; i < n; i++)
		batch[i] = f->batch[i];
	f->n_batch = 0;
	for (size_t i = 0; i < n; i++)
		fresh_check_walked(batch[i]);
}

static bool walk_step(void *arg)
{
	struct engine *e = arg;
	struct fresh *f = e->fresh;

	if (f->n_batch == 0)
		batch_begin(e);
	f->walking = f->n_batch > 0;
	if (f->walking &&
	    (f->stopping || store_walk(e->process->store, &f->walk,
				       STEP_BUCKETS, is_wrong, f)))
		batch_end(e);
	return !f->walking;
}

void fresh_walk_init(struct engine *e)
{
	struct fresh *f = e->fresh;

	f->waiting_end = &f->waiting;
	f->work = (struct slicer_work){ .step = walk_step, .arg = e };
}

void fresh_walk(struct engine *e, struct check *c)
{
	struct fresh *f = e->fresh;

	c->next = NULL;
	*f->waiting_end = c;
	f->waiting_end = &c->next;
	if (!f->walking)
		slicer_add(&e->slicer, &f->work);
	f->walking = true;
}
