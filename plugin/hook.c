/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/hook.h"

#include <string.h>

#include <dns/message.h>
#include <dns/name.h>
#include <dns/rdatatype.h>
#include <dns/result.h>
#include <dns/view.h>
#include <dns/zone.h>
#include <dns/zt.h>
#include <ns/client.h>
#include <ns/query.h>

#include "common/rcu.h"
#include "plugin/access.h"
#include "plugin/log.h"
#include "plugin/process.h"
#include "plugin/send.h"
#include "plugin/wait.h"

/* What the hook decided inside its RCU section, to be done outside it. */
enum step { STEP_NOT_OURS, STEP_DONE, STEP_SEND, STEP_WAIT, STEP_FAIL };

struct decision {
	enum step step;
	uint16_t ede; /* STEP_FAIL */
	const char *text;
	struct parking park; /* STEP_WAIT */
	struct send send;    /* STEP_SEND */
};

/* A question, and what we have for it. */
struct look {
	query_ctx_t *qctx;
	struct instance *inst;
	struct process *process;
	struct zone *zone;
	struct store_entry *entry; /* fresh or not, or NULL */
	uint32_t now_s;
	uint64_t hash;
	struct store_key key;
};

/* Octets of the first label of 'name' with its length; 0 for the root. */
static unsigned int first_label(const dns_name_t *name)
{
	return name->length > 1 ? name->ndata[0] + 1u : 0;
}

/* Labels, without the root, of the view's own zone for 'name'; -1: none. */
static int local_labels(const query_ctx_t *qctx, unsigned int options)
{
	dns_zone_t *zone = NULL;
	isc_result_t result =
		dns_zt_find(qctx->view->zonetable, qctx->client->query.qname,
			    options | DNS_ZTFIND_MIRROR, NULL, &zone);
	int labels = -1;

	if (result == ISC_R_SUCCESS || result == DNS_R_PARTIALMATCH)
		labels =
			(int)dns_name_countlabels(dns_zone_getorigin(zone)) - 1;
	if (zone != NULL)
		dns_zone_detach(&zone);
	return labels;
}

static void note_conflict(const query_ctx_t *qctx, const struct zone *zone)
{
	static struct log_gate gate;
	uint32_t now_s = process_now_s(process_get());

	atomic_store_explicit(&zone->state->conflict_s, now_s != 0 ? now_s : 1,
			      memory_order_relaxed);
	log_limited(&gate, now_s, ISC_LOG_ERROR,
		    "view '%s' has a zone of its own for '%s', which is also "
		    "an edge zone: named's zone is served; remove one of them",
		    qctx->view->name, zone->config->id);
}

/*
 * Our zone with the longest name for the question, or NULL.  DS belongs to the
 * parent (RFC 4035 section 3.1.4.1); as in named, the child answers it when
 * nobody here has the parent and no recursion could find it.
 */
static struct zone *candidate(const struct view_map *map,
			      const query_ctx_t *qctx, unsigned int *options)
{
	const ns_client_t *client = qctx->client;
	const dns_name_t *qname = client->query.qname;
	unsigned int labels;
	unsigned int skip = 0;

	*options = 0;
	if (qctx->qtype == dns_rdatatype_ds)
		skip = first_label(qname);
	struct zone *zone = zonemap_find(map->zones, qname->ndata + skip,
					 qname->length - skip, &labels);
	if (skip == 0)
		return zone;
	*options = DNS_ZTFIND_NOEXACT;
	if (zone != NULL)
		return zone;
	zone = zonemap_find(map->zones, qname->ndata, qname->length, &labels);
	if (zone == NULL || local_labels(qctx, *options) >= 0 ||
	    (client->query.attributes & NS_QUERYATTR_RECURSIONOK) != 0)
		return NULL;
	return zone;
}

/*
 * The longer match wins between the view's own zones and ours; ask named's
 * table.  An answer that was found not to be the view's is not asked about
 * again in the same second: a zone that 'rndc addzone' puts below ours takes
 * over within one.
 */
static bool is_local(struct look *l, unsigned int options)
{
	uint64_t note = (uint64_t)(uintptr_t)l->inst << 24 ^ l->now_s;

	if (l->entry != NULL && options == 0 &&
	    atomic_load_explicit(&l->entry->noted, memory_order_relaxed) ==
		    note)
		return false;
	int local = local_labels(l->qctx, options);
	if (local < (int)l->zone->labels) {
		if (l->entry != NULL)
			atomic_store_explicit(&l->entry->noted, note,
					      memory_order_relaxed);
		return false;
	}
	if (local == (int)l->zone->labels)
		note_conflict(l->qctx, l->zone);
	return true;
}

static void make_key(struct store_key *key, const struct zone *zone,
		     const query_ctx_t *qctx)
{
	const dns_name_t *qname = qctx->client->query.qname;

	memset(key, 0, offsetof(struct store_key, name));
	key->zone = atomic_load_explicit(&zone->state->cache_id,
					 memory_order_relaxed);
	key->qtype = qctx->qtype;
	key->n = (uint8_t)qname->length;
	for (unsigned int i = 0; i < qname->length; i++) {
		uint8_t c = qname->ndata[i];
		key->name[i] =
			(uint8_t)(c + ((uint8_t)(c - 'A') < 26 ? 32 : 0));
	}
}

/* Whose question is it?  False: named's.  True: 'l' is filled. */
static bool look(struct look *l, query_ctx_t *qctx, struct instance *inst)
{
	struct view_map *map =
		atomic_load_explicit(&inst->map, memory_order_acquire);
	unsigned int options;

	if (map == NULL || qctx->client->message->rdclass != dns_rdataclass_in)
		return false;
	l->zone = candidate(map, qctx, &options);
	if (l->zone == NULL)
		return false;
	l->qctx = qctx;
	l->inst = inst;
	l->process = process_get();
	l->now_s = process_now_s(l->process);
	make_key(&l->key, l->zone, qctx);
	l->hash = store_hash(l->process->store, &l->key);
	l->entry = store_find(l->process->store, &l->key, l->hash);
	return !is_local(l, options);
}

static void fail(struct decision *d, uint16_t ede, const char *text)
{
	d->step = STEP_FAIL;
	d->ede = ede;
	d->text = text;
}

/* The answer may be sent, unless the response rate limit says no. */
static void give(struct decision *d, query_ctx_t *qctx, struct zone *zone,
		 struct store_entry *e, uint32_t now_s, bool stale)
{
	if (access_rate(qctx, e) != ACCESS_OK) {
		count(zone, COUNT_LIMITED);
		d->step = STEP_DONE;
		return;
	}
	send_prepare(&d->send, qctx, e, now_s, stale);
	count(zone, d->send.raw ? COUNT_RAW : COUNT_RENDERED);
	d->step = STEP_SEND;
}

static void give_stale(struct decision *d, struct look *l)
{
	count(l->zone, COUNT_STALE);
	give(d, l->qctx, l->zone, l->entry, l->now_s, true);
}

/* Nothing fresh in memory: old data is better than waiting for the dead. */
static void miss(struct decision *d, struct look *l)
{
	struct store_entry *e = l->entry;
	bool old = e != NULL && e->kind != STORE_FAILURE &&
		   store_usable_stale(e, l->now_s);

	if (old &&
	    (int32_t)(atomic_load_explicit(&e->retry_s, memory_order_relaxed) -
		      l->now_s) > 0) {
		give_stale(d, l);
		return;
	}
	if (wait_prepare(&d->park, l->qctx, l->process, l->zone, &l->key,
			 l->hash)) {
		count(l->zone, COUNT_MISSES);
		d->step = STEP_WAIT;
		return;
	}
	count(l->zone, COUNT_OVERLOAD);
	if (old)
		give_stale(d, l);
	else
		fail(d, DNS_EDE_OTHER, "too many queries wait for origins");
}

static void answer(struct decision *d, struct look *l)
{
	struct store_entry *e = l->entry;

	if (e == NULL || !store_fresh(e, l->now_s)) {
		miss(d, l);
	} else if (e->kind == STORE_FAILURE) {
		count(l->zone, COUNT_FAILURES);
		fail(d, DNS_EDE_NOREACHABLEAUTH, "no origin answers");
	} else {
		count(l->zone, COUNT_HITS);
		give(d, l->qctx, l->zone, e, l->now_s, false);
	}
}

static void note_view(struct instance *inst, const dns_view_t *view)
{
	if (atomic_load_explicit(&inst->view, memory_order_relaxed) != NULL)
		return;
	char *name = strdup(view->name);
	char *none = NULL;
	if (name != NULL &&
	    !atomic_compare_exchange_strong(&inst->view, &none, name))
		free(name);
}

/* Everything that reads the configuration or the store: one RCU section. */
static void decide(struct decision *d, query_ctx_t *qctx, struct instance *inst)
{
	struct look l;

	rcu_enter();
	if (!look(&l, qctx, inst)) {
		d->step = STEP_NOT_OURS;
	} else {
		note_view(inst, qctx->view);
		count(l.zone, COUNT_QUERIES);
		if (access_check(qctx, inst->query_on) == ACCESS_OK) {
			answer(d, &l);
		} else {
			count(l.zone, COUNT_REFUSED);
			d->step = STEP_DONE;
		}
	}
	rcu_leave();
}

/* The origin has answered, or not: the query runs again. */
static void decide_resumed(struct decision *d, query_ctx_t *qctx,
			   struct wait_result *result)
{
	if (result->entry == NULL) {
		count(result->zone, COUNT_FAILURES);
		fail(d, DNS_EDE_NOREACHABLEAUTH, "no origin answers");
	} else {
		if (result->stale)
			count(result->zone, COUNT_STALE);
		give(d, qctx, result->zone, result->entry,
		     process_now_s(process_get()), result->stale);
	}
	wait_release(result);
}

ns_hookresult_t hook_setup(void *arg, void *data, isc_result_t *resp)
{
	query_ctx_t *qctx = arg;
	struct instance *inst = data;
	struct wait_result result;
	struct decision d;

	if (wait_resumed(qctx->client, &result))
		decide_resumed(&d, qctx, &result);
	else
		decide(&d, qctx, inst);

	switch (d.step) {
	case STEP_NOT_OURS:
		return NS_HOOK_CONTINUE;
	case STEP_DONE:
		*resp = ns_query_done(qctx);
		break;
	case STEP_SEND:
		send_finish(&d.send, qctx, resp);
		break;
	case STEP_WAIT:
		wait_start(&d.park, qctx, resp);
		break;
	case STEP_FAIL:
		send_failure(qctx, d.ede, d.text, resp);
		break;
	}
	return NS_HOOK_RETURN;
}
