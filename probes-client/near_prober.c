/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_prober.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "probes-client/near_budget.h"
#include "probes-client/near_method.h"

#define TICK_MS	     20u
#define MS_NS	     UINT64_C(1000000)
#define EVENTS_MAX   64
#define SILENT_LOOKS 1000u /* in a tick */

enum slot_state { FREE, READY, WAITING };

/* A group that is being measured. */
struct slot {
	enum slot_state state;
	uint32_t group;
	uint8_t plan[NEAR_PLAN];
	size_t n_plan, step;
	uint64_t deadline_ns;
	struct near_try try;
	bool some; /* 'best' is there */
	struct near_answer best;
};

struct near_prober {
	struct near_prober_setup setup;
	uv_timer_t timer;
	uv_poll_t poll;
	int epoll;
	unsigned int open; /* handles of the loop */
	const struct config_latency *config;
	struct near_groups *groups;
	const struct near_routes *routes;
	struct near_rules rules;
	struct near_budget budget;
	struct near_prober_stats stats;
	unsigned int turn; /* the slot that may send first */
	uint32_t silent;   /* the next to look for a way to; NEAR_NONE: none */
	struct slot slots[NEAR_RUNNING];
};

/* Tenths of a second, from 1. */
static uint32_t now_ds(void)
{
	return (uint32_t)(near_now_ns() / (100 * MS_NS)) + 1;
}

static uint32_t now_s(void)
{
	return (uint32_t)(near_now_ns() / (1000 * MS_NS)) + 1;
}

static void refuse(struct near_prober *p, enum near_refusal why)
{
	p->stats.refused[why]++;
}

/* -- a group --------------------------------------------------------------- */

static void slot_end(struct near_prober *p, struct slot *slot)
{
	near_close(&slot->try);
	slot->state = FREE;
	p->stats.running--;
	p->stats.silent += !slot->some;
	p->stats.full += slot->some && slot->best.full;
	p->stats.partial += slot->some && !slot->best.full;
	near_groups_done(p->groups, slot->group,
			 slot->some ? &slot->best : NULL, now_s());
	if (slot->some)
		p->setup.measured(p->setup.owner);
}

/* The one address that a client is measured at. */
static struct gtm_client address_of(const struct gtm_client *client)
{
	struct gtm_client address = *client;
	uint8_t all = client->v6 ? 128 : 32;

	if (client->bits == all)
		return address;
	address.bits = all;
	address.address[client->v6 ? 15 : 3] |= 1;
	return address;
}

/* Takes a step that sends nothing; false: it brings no answer. */
static bool look(struct near_prober *p, uint32_t at, uint8_t step,
		 struct near_answer *answer)
{
	const struct near_method *method = near_method_of(step >> 4);
	struct near_group *group = near_groups_at(p->groups, at);
	struct near_try t = { .method = method,
			      .routes = p->routes,
			      .hop_ms = p->config->hop_ms,
			      .fd = -1 };

	near_group_client(group, step & 15, &t.client);
	t.client = address_of(&t.client);
	bool good = method->start(&t) == 0;
	near_group_tried(group, step >> 4, good);
	if (!good)
		return false;
	p->stats.answered[step >> 4]++;
	*answer = (struct near_answer){ step & 15, step >> 4, t.full, t.hops,
					t.ms };
	return true;
}

/* Begins a step of the plan; false: it cannot be, or is done already. */
static bool step_begin(struct near_prober *p, struct slot *slot, uint8_t step)
{
	const struct near_method *method = near_method_of(step >> 4);
	struct near_try *t = &slot->try;
	struct gtm_client client;

	near_group_client(near_groups_at(p->groups, slot->group), step & 15,
			  &client);
	bool whole = client.bits == (client.v6 ? 128 : 32);
	struct gtm_client address = address_of(&client);
	if (method->whole && !whole)
		return false;
	if (method->send == NULL) {
		/* what was measured is better */
		if (!slot->some)
			slot->some = look(p, slot->group, step, &slot->best);
		return false;
	}
	if (near_rules_out(&p->rules, &address)) {
		refuse(p, NEAR_REFUSED_OPT_OUT);
		return false;
	}
	*t = (struct near_try){ .method = method,
				.client = client,
				.about = p->config->about,
				.fd = -1 };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = slot };
	if (getrandom(&t->nonce, sizeof(t->nonce), 0) !=
		    (ssize_t)sizeof(t->nonce) ||
	    method->start(t) != 0 ||
	    epoll_ctl(p->epoll, EPOLL_CTL_ADD, t->fd, &event) != 0) {
		near_close(t);
		refuse(p, NEAR_REFUSED_LOCAL);
		return false;
	}
	slot->state = READY;
	return true;
}

static void step_next(struct near_prober *p, struct slot *slot)
{
	near_close(&slot->try);
	while (slot->step < slot->n_plan)
		if (step_begin(p, slot, slot->plan[slot->step++]))
			return;
	slot_end(p, slot);
}

/* A method has come to its end. */
static void step_end(struct near_prober *p, struct slot *slot)
{
	const struct near_try *t = &slot->try;
	uint8_t step = slot->plan[slot->step - 1];
	unsigned int method = step >> 4;

	near_group_tried(near_groups_at(p->groups, slot->group), method,
			 t->answered);
	if (t->answered) {
		slot->some = true;
		slot->best = (struct near_answer){ step & 15, method, t->full,
						   t->hops, t->ms };
	}
	if (t->answered && t->full)
		slot_end(p, slot);
	else
		step_next(p, slot);
}

static void verdict_take(struct near_prober *p, struct slot *slot,
			 enum near_verdict verdict)
{
	switch (verdict) {
	case NEAR_WAIT:
		return;
	case NEAR_AGAIN:
		p->stats.answered[slot->plan[slot->step - 1] >> 4] +=
			slot->try.answered;
		slot->state = READY;
		return;
	default:
		p->stats.answered[slot->plan[slot->step - 1] >> 4] +=
			slot->try.answered;
		step_end(p, slot);
	}
}

/* Whether a group may be measured, and how. */
static bool methods_find(struct near_prober *p, const struct near_group *group,
			 struct config_methods *methods)
{
	struct gtm_client prefix;

	near_group_prefix(group, &prefix);
	if (group->n == 1)
		near_group_client(group, 0, &prefix);
	enum config_measure when = near_rules_find(&p->rules, &prefix, methods);
	return when == CONFIG_MEASURE_ALWAYS ||
	       (when == CONFIG_MEASURE_FAILED && p->setup.failed(p->setup.arg));
}

static void slot_begin(struct near_prober *p, struct slot *slot, uint32_t at)
{
	const struct near_group *group = near_groups_at(p->groups, at);
	struct config_methods methods;

	*slot = (struct slot){ .group = at, .try.fd = -1 };
	p->stats.running++;
	if (methods_find(p, group, &methods))
		slot->n_plan = near_group_plan(group, &methods, slot->plan);
	else
		refuse(p, NEAR_REFUSED_RULE);
	step_next(p, slot);
}

/* -- routes that come late ------------------------------------------------- */

/* Nobody of that group has answered; the table may. */
static void silent_look(struct near_prober *p, uint32_t at)
{
	const struct near_group *group = near_groups_at(p->groups, at);
	struct config_methods methods;
	struct near_answer answer;
	bool found = false;

	if (!near_group_is_silent(group) || !methods_find(p, group, &methods))
		return;
	for (unsigned int i = 0; i < methods.n && !found; i++)
		if (near_method_of(methods.method[i])->send == NULL)
			found = look(p, at,
				     (uint8_t)(methods.method[i] << 4 |
					       (group->n - 1)),
				     &answer);
	if (!found)
		return;
	p->stats.partial++;
	near_groups_done(p->groups, at, &answer, now_s());
	p->setup.measured(p->setup.owner);
}

/* Some more of them. */
static void silent_some(struct near_prober *p)
{
	uint32_t n = near_groups_stats(p->groups).n;

	for (unsigned int i = 0; i < SILENT_LOOKS && p->silent < n; i++)
		silent_look(p, p->silent++);
	if (p->silent >= n)
		p->silent = NEAR_NONE;
}

void near_prober_routes(struct near_prober *p, const struct near_routes *routes)
{
	bool are_first = p->routes == NULL && routes != NULL;

	p->routes = routes;
	if (!are_first || p->groups == NULL)
		return;
	p->silent = 0;
	near_prober_wake(p);
}

/* -- sending --------------------------------------------------------------- */

/* Sends the packet of a slot that is ready; it is not any more. */
static void slot_send(struct near_prober *p, struct slot *slot)
{
	struct near_group *group = near_groups_at(p->groups, slot->group);
	uint8_t step = slot->plan[slot->step - 1];
	uint32_t *hours = &group->hours[step & 15];
	uint32_t at_ds = now_ds();

	if (!near_hour_may(*hours, p->config->client_rate, at_ds)) {
		refuse(p, NEAR_REFUSED_CLIENT);
		step_end(p, slot);
		return;
	}
	if (!near_hour_may(group->hour, p->config->prefix_rate, at_ds)) {
		refuse(p, NEAR_REFUSED_PREFIX);
		step_end(p, slot);
		return;
	}
	*hours = near_hour_note(*hours, p->config->client_rate, at_ds);
	group->hour =
		near_hour_note(group->hour, p->config->prefix_rate, at_ds);
	int rc = slot->try.method->send(&slot->try);
	near_budget_note(&p->budget, near_now_ns());
	if (rc != 0) {
		refuse(p, NEAR_REFUSED_LOCAL);
		step_end(p, slot);
		return;
	}
	p->stats.sent[step >> 4]++;
	slot->state = WAITING;
	slot->deadline_ns = near_now_ns() + p->config->timeout_ms * MS_NS;
}

/* Time out, unless the answer is there and nobody has looked. */
static void slot_expire(struct near_prober *p, struct slot *slot)
{
	enum near_verdict verdict = slot->try.method->reply(&slot->try);

	if (verdict == NEAR_WAIT)
		verdict = slot->try.method->timeout(&slot->try);
	verdict_take(p, slot, verdict);
}

static struct slot *slot_free(struct near_prober *p)
{
	for (size_t i = 0; i < NEAR_RUNNING; i++)
		if (p->slots[i].state == FREE)
			return &p->slots[i];
	return NULL;
}

/* A slot that has a packet to send, or NULL: those that wait first. */
static struct slot *slot_ready(struct near_prober *p)
{
	for (unsigned int i = 0; i < NEAR_RUNNING; i++) {
		unsigned int at = (p->turn + i) % NEAR_RUNNING;
		if (p->slots[at].state == READY) {
			p->turn = (at + 1) % NEAR_RUNNING;
			return &p->slots[at];
		}
	}
	return NULL;
}

/* Sends what may be sent. */
static void send_some(struct near_prober *p)
{
	for (unsigned int i = 0; i < NEAR_RUNNING; i++) {
		struct slot *slot = slot_ready(p);
		if (slot == NULL) {
			slot = slot_free(p);
			uint32_t at = slot != NULL ? near_groups_next(p->groups)
						   : NEAR_NONE;
			if (at == NEAR_NONE)
				return;
			slot_begin(p, slot, at);
			continue;
		}
		if (!near_budget_may(&p->budget, near_now_ns())) {
			p->stats.held++;
			return;
		}
		slot_send(p, slot);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct near_prober *p = timer->data;
	uint64_t now_ns = near_now_ns();

	if (p->groups == NULL) {
		uv_timer_stop(timer);
		return;
	}
	for (size_t i = 0; i < NEAR_RUNNING; i++)
		if (p->slots[i].state == WAITING &&
		    now_ns >= p->slots[i].deadline_ns)
			slot_expire(p, &p->slots[i]);
	send_some(p);
	if (p->silent != NEAR_NONE)
		silent_some(p);
	if (p->stats.running == 0 && p->silent == NEAR_NONE &&
	    near_groups_stats(p->groups).waiting == 0)
		uv_timer_stop(timer);
}

static void on_poll(uv_poll_t *poll, int rc, int what)
{
	struct near_prober *p = poll->data;
	struct epoll_event events[EVENTS_MAX];

	(void)rc;
	(void)what;
	int n = epoll_wait(p->epoll, events, EVENTS_MAX, 0);
	for (int i = 0; i < n; i++) {
		struct slot *slot = events[i].data.ptr;
		/* one that is ready may hear a late answer, too */
		if (slot->state == WAITING)
			verdict_take(p, slot,
				     slot->try.method->reply(&slot->try));
		else if (slot->state == READY &&
			 slot->try.method->reply(&slot->try) == NEAR_DONE)
			verdict_take(p, slot, NEAR_DONE);
	}
}

/* -- life ------------------------------------------------------------------ */

int near_prober_new(const struct near_prober_setup *setup,
		    struct near_prober **proberp)
{
	struct near_prober *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->setup = *setup;
	p->silent = NEAR_NONE;
	for (size_t i = 0; i < NEAR_RUNNING; i++)
		p->slots[i].try.fd = -1;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0 ||
	    uv_poll_init(setup->loop, &p->poll, p->epoll) != 0) {
		int rc = p->epoll < 0 ? -errno : -ENOMEM;
		if (p->epoll >= 0)
			close(p->epoll);
		free(p);
		return rc;
	}
	uv_timer_init(setup->loop, &p->timer);
	p->poll.data = p;
	p->timer.data = p;
	p->open = 2;
	uv_poll_start(&p->poll, UV_READABLE, on_poll);
	*proberp = p;
	return 0;
}

static void slots_drop(struct near_prober *p)
{
	for (size_t i = 0; i < NEAR_RUNNING; i++) {
		near_close(&p->slots[i].try);
		p->slots[i].state = FREE;
	}
	p->stats.running = 0;
}

int near_prober_use(struct near_prober *p, const struct config_latency *config,
		    struct near_groups *groups)
{
	if (groups != p->groups) {
		slots_drop(p);
		p->silent = NEAR_NONE;
	}
	/* what is under way has it from the old configuration */
	for (size_t i = 0; i < NEAR_RUNNING; i++)
		p->slots[i].try.about = config->about;
	p->config = config;
	p->groups = groups;
	int rc = near_rules_use(&p->rules, config);
	if (rc == 0)
		rc = near_budget_set(&p->budget, config->rate);
	if (rc != 0) {
		slots_drop(p);
		p->groups = NULL;
		return rc;
	}
	if (groups != NULL)
		near_prober_wake(p);
	return 0;
}

void near_prober_wake(struct near_prober *p)
{
	if (uv_is_active((uv_handle_t *)&p->timer) == 0)
		uv_timer_start(&p->timer, on_tick, 0, TICK_MS);
}

const struct near_prober_stats *near_prober_stats(const struct near_prober *p)
{
	return &p->stats;
}

static void on_closed(uv_handle_t *handle)
{
	struct near_prober *p = handle->data;

	if (--p->open > 0)
		return;
	close(p->epoll);
	near_rules_fini(&p->rules);
	near_budget_fini(&p->budget);
	free(p);
}

void near_prober_close(struct near_prober *p)
{
	if (p == NULL)
		return;
	slots_drop(p);
	p->groups = NULL;
	uv_close((uv_handle_t *)&p->poll, on_closed);
	uv_close((uv_handle_t *)&p->timer, on_closed);
}
