/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/wait.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <dns/message.h>
#include <dns/view.h>
#include <isc/event.h>
#include <isc/mem.h>
#include <isc/task.h>
#include <isc/util.h>
#include <ns/client.h>
#include <ns/events.h>
#include <ns/hooks.h>
#include <ns/server.h>
#include <ns/stats.h>

#include "plugin/admission.h"

struct waiter {
	struct flight_waiter link; /* first: what the flight table knows */
	struct process *process;
	ns_hook_resevent_t *event; /* sent once, to resume */
	isc_taskaction_t resume;   /* named's own action for it */
	struct wait_result result;
	const ns_client_t *client;
	_Atomic bool cancelled; /* named will not run the hook again for it */
};

/* The waiter whose query is being resumed on this thread. */
static _Thread_local struct waiter *resuming;

bool wait_resumed(const ns_client_t *client, struct wait_result *result)
{
	struct waiter *w = resuming;

	if (w == NULL || w->client != client || atomic_load(&w->cancelled))
		return false;
	resuming = NULL;
	*result = w->result;
	w->result = (struct wait_result){ 0 };
	return true;
}

void wait_release(struct wait_result *result)
{
	if (result->entry != NULL)
		store_unref(result->entry);
	if (result->zone != NULL)
		snapshot_unref(result->zone->snapshot);
}

/*
 * Runs on the client's task: lets named run the hook again.  For a cancelled
 * query named does not, but may begin another query of the same connection
 * before this returns: that one must not be taken for ours.
 */
static void resume_action(isc_task_t *task, isc_event_t *event)
{
	ns_hook_resevent_t *rev = (ns_hook_resevent_t *)event;
	struct waiter *w = rev->ctx->private;

	resuming = atomic_load(&w->cancelled) ? NULL : w;
	w->resume(task, event); /* frees the event, and 'w' by destroy() */
	resuming = NULL;
}

/* Whoever took 'w' off its flight calls this, once. */
static void fire(struct waiter *w)
{
	isc_event_t *event = (isc_event_t *)w->event;
	isc_task_t *task = event->ev_sender;

	w->event = NULL;
	isc_task_send(task, &event);
}

/* named's cancellation: any thread, with locks of named's held. */
static void cancel(ns_hookasync_t *ctx)
{
	struct waiter *w = ctx->private;

	atomic_store(&w->cancelled, true);
	if (flight_leave(w->process->flights, &w->link))
		fire(w);
}

static void destroy(ns_hookasync_t **ctxp)
{
	ns_hookasync_t *ctx = *ctxp;
	struct waiter *w = ctx->private;

	*ctxp = NULL;
	wait_release(&w->result);
	free(w);
	isc_mem_putanddetach(&ctx->mctx, ctx, sizeof(*ctx));
}

static void fire_all(struct flight_waiter *next, const struct landing *landing)
{
	while (next != NULL) {
		struct waiter *w = (struct waiter *)next;
		next = next->next;
		if (landing->entry != NULL)
			store_ref(landing->entry);
		w->result.entry = landing->entry;
		w->result.stale = landing->stale;
		w->result.limited = landing->limited;
		fire(w);
	}
}

void wait_land(struct process *p, struct flight *flight,
	       const struct landing *landing)
{
	fire_all(flight_land(p->flights, flight), landing);
}

void wait_serve(struct process *p, struct flight *flight,
		const struct landing *landing)
{
	fire_all(flight_release(p->flights, flight), landing);
}

static struct ask *ask_new(const query_ctx_t *qctx, struct zone *zone,
			   const struct store_key *key, uint64_t hash)
{
	struct ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL)
		return NULL;
	ask->flight.key = *key;
	ask->flight.arg = ask;
	ask->hash = hash;
	ask->zone = zone;
	snapshot_ref(zone->snapshot);
	if (qctx->view->statickeys != NULL)
		dns_tsigkeyring_attach(qctx->view->statickeys, &ask->keys);
	(void)dname_from_wire(key->name, key->n, &ask->name);
	return ask;
}

static void ask_drop(struct ask *ask)
{
	if (ask->keys != NULL)
		dns_tsigkeyring_detach(&ask->keys);
	snapshot_unref(ask->zone->snapshot);
	free(ask);
}

bool wait_refresh(const query_ctx_t *qctx, struct process *p, struct zone *zone,
		  const struct store_key *key, uint64_t hash)
{
	struct ask *ask = ask_new(qctx, zone, key, hash);

	if (ask == NULL)
		return false;
	ask->refresh = true;
	if (flight_join(p->flights, hash, &ask->flight, NULL)) {
		engine_ask(p->engine, ask);
		return true;
	}
	ask_drop(ask); /* somebody has asked already */
	return false;
}

/* Called back by ns_query_hookasync(), still in the client's task. */
// NOLINTNEXTLINE(readability-function-size): named's signature
static isc_result_t start_waiting(query_ctx_t *qctx, isc_mem_t *mctx, void *arg,
				  isc_task_t *task, isc_taskaction_t action,
				  void *evarg, ns_hookasync_t **ctxp)
{
	struct parking *park = arg;
	struct waiter *w = park->waiter;
	struct process *p = park->process;
	ns_hookasync_t *ctx = isc_mem_get(mctx, sizeof(*ctx));

	*ctx = (ns_hookasync_t){ .cancel = cancel,
				 .destroy = destroy,
				 .private = w };
	isc_mem_attach(mctx, &ctx->mctx);
	w->event = (ns_hook_resevent_t *)isc_event_allocate(
		mctx, task, NS_EVENT_HOOKASYNCDONE, resume_action, evarg,
		sizeof(*w->event));
	w->event->hookpoint = NS_QUERY_SETUP;
	w->event->origresult = ISC_R_UNSET;
	w->event->saved_qctx = qctx;
	w->event->ctx = ctx;
	w->resume = action;
	/* ns_query_cancel() looks at it under this lock, on any thread */
	LOCK(&qctx->client->query.fetchlock);
	*ctxp = ctx;
	UNLOCK(&qctx->client->query.fetchlock);

	struct ask *ask = park->ask;
	if (flight_join(p->flights, ask->hash, &ask->flight, &w->link)) {
		admission_went(ask->zone);
		engine_ask(p->engine, ask);
	} else {
		count(ask->zone, COUNT_COALESCED);
		ask_drop(ask);
	}
	return ISC_R_SUCCESS;
}

/*
 * Takes a place in our quota and does what check_recursionquota() in named
 * would have done, so that it finds the client already accounted for.
 */
static bool take_place(query_ctx_t *qctx, struct process *p)
{
	ns_client_t *client = qctx->client;

	if (isc_quota_attach(&p->waiters, &client->recursionquota) !=
	    ISC_R_SUCCESS)
		return false;
	ns_stats_increment(client->sctx->nsstats,
			   ns_statscounter_recursclients);
	dns_message_clonebuffer(client->message);
	ns_client_recursing(client);
	return true;
}

bool wait_prepare(struct parking *park, query_ctx_t *qctx, struct process *p,
		  struct zone *zone, const struct store_key *key, uint64_t hash)
{
	struct waiter *w = calloc(1, sizeof(*w));
	struct ask *ask = w != NULL ? ask_new(qctx, zone, key, hash) : NULL;

	if (ask == NULL || !take_place(qctx, p)) {
		if (ask != NULL)
			ask_drop(ask);
		free(w);
		return false;
	}
	w->process = p;
	w->client = qctx->client;
	w->result.zone = zone;
	snapshot_ref(zone->snapshot);
	*park = (struct parking){ .process = p, .waiter = w, .ask = ask };
	return true;
}

void wait_start(struct parking *park, query_ctx_t *qctx, isc_result_t *resp)
{
	*resp = ns_query_hookasync(qctx, start_waiting, park);
}
