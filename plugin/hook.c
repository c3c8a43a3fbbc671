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
#include "plugin/admission.h"
#include "plugin/alias.h"
#include "plugin/denial.h"
#include "plugin/edit.h"
#include "plugin/log.h"
#include "plugin/map.h"
#include "plugin/nsselect.h"
#include "plugin/process.h"
#include "plugin/send.h"
#include "plugin/sign.h"
#include "plugin/steer.h"
#include "plugin/wait.h"

#define PREFETCH_MAX_S	 60u /* before the end of an answer's life, at most */
#define PREFETCH_AGAIN_S 2u  /* between two questions for it */

/* What the hook decided inside its RCU section, to be done outside it. */
enum step {
	STEP_NOT_OURS,
	STEP_DONE,
	STEP_SEND,
	STEP_WAIT,
	STEP_FAIL,
	STEP_CHAIN
};

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
	const struct view_map *map;
	const struct place *place; /* around the name asked for */
	bool exact;		   /* or that very name */
	bool steered;		   /* a decision answers, come what may */
	struct zone *zone;	   /* of the place, or NULL: a domain */
	struct store_entry *entry; /* fresh or not, or NULL */
	uint32_t now_s;
	uint64_t hash;
	struct admission from;
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

/* A zone or domain of ours, which only such a place lies in. */
static bool is_ours(const struct place *place)
{
	return place != NULL && (place->zone != NULL || place->domain != NULL);
}

/*
 * The place for a DS question, which belongs to the parent (RFC 4035 section
 * 3.1.4.1); as in named, the child answers it when nobody here has the parent
 * and no recursion could find it.
 */
static bool place_ds(struct look *l, const query_ctx_t *qctx)
{
	const ns_client_t *client = qctx->client;
	const dns_name_t *qname = client->query.qname;
	unsigned int skip = first_label(qname);
	const struct place *own =
		map_find(l->map, qname->ndata, qname->length, &l->exact);
	bool exact;
	const struct place *above = map_find(l->map, qname->ndata + skip,
					     qname->length - skip, &exact);

	if (is_ours(above)) {
		bool same = own->zone == above->zone &&
			    own->domain == above->domain;
		l->place = same ? own : above;
		l->exact = l->exact || !same; /* a child's apex exists */
		return true;
	}
	l->place = own;
	return is_ours(own) && local_labels(qctx, DNS_ZTFIND_NOEXACT) < 0 &&
	       (client->query.attributes & NS_QUERYATTR_RECURSIONOK) == 0;
}

/* Finds our place for the question; false: there is none. */
static bool find_place(struct look *l, const query_ctx_t *qctx,
		       unsigned int *options)
{
	const dns_name_t *qname = qctx->client->query.qname;

	if (qctx->qtype == dns_rdatatype_ds) {
		*options = DNS_ZTFIND_NOEXACT;
		return place_ds(l, qctx);
	}
	*options = 0;
	if (l->map->n_dry > 0)
		steer_try(qctx, l->map);
	l->place = map_find(l->map, qname->ndata, qname->length, &l->exact);
	return is_ours(l->place);
}

/* The hostname that is asked for, or NULL. */
static const struct gtm_host *host_of(const struct look *l)
{
	return l->exact ? l->place->host : NULL;
}

/* Where it is noted that a name is not the view's, or NULL. */
static _Atomic uint64_t *note_of(const struct look *l)
{
	const struct gtm_host *host = host_of(l);

	if (host != NULL)
		return &host->counts->noted;
	return l->entry != NULL ? &l->entry->noted : NULL;
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
	_Atomic uint64_t *noted = options == 0 ? note_of(l) : NULL;

	if (noted != NULL &&
	    atomic_load_explicit(noted, memory_order_relaxed) == note)
		return false;
	int local = local_labels(l->qctx, options);
	if (local < (int)l->place->apex_labels) {
		if (noted != NULL)
			atomic_store_explicit(noted, note,
					      memory_order_relaxed);
		return false;
	}
	if (local == (int)l->place->apex_labels && l->zone != NULL)
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

static enum zone_signed is_signed(const struct zone *zone)
{
	return atomic_load_explicit(&zone->state->is_signed,
				    memory_order_relaxed);
}

/*
 * A hostname in an edge zone, asked for A or AAAA, whose decision takes the
 * place of the origin's answer: unless that is signed.  'e': the origin's
 * answer, or NULL if it has none or was not asked.
 */
static bool is_steered(const struct place *place, bool exact,
		       const query_ctx_t *qctx, const struct store_entry *e)
{
	enum gtm_family family =
		qctx->qtype == dns_rdatatype_aaaa ? GTM_V6 : GTM_V4;

	if (!exact || place->host == NULL || place->host->n[family] == 0 ||
	    !(steer_decides(qctx->qtype) ||
	      alias_for_all(place->host, qctx->qtype)))
		return false;
	if (e != NULL && e->kind != STORE_FAILURE)
		return !e->is_signed;
	return is_signed(place->zone) != ZONE_SIGNED;
}

/* Looks into the store, unless a decision needs nothing from there. */
static void look_up(struct look *l)
{
	l->entry = NULL;
	l->steered = false;
	if (l->zone == NULL)
		return;
	/* whether the zone is signed, its origin must say first */
	l->steered = is_signed(l->zone) != ZONE_UNKNOWN &&
		     is_steered(l->place, l->exact, l->qctx, NULL);
	if (l->steered)
		return;
	make_key(&l->key, l->zone, l->qctx);
	l->hash = store_hash(l->process->store, &l->key);
	l->entry = store_find(l->process->store, &l->key, l->hash);
}

/* Whose question is it?  False: named's.  True: 'l' is filled. */
static bool look(struct look *l, query_ctx_t *qctx, struct instance *inst)
{
	unsigned int options;

	l->map = atomic_load_explicit(&inst->map, memory_order_acquire);
	if (l->map == NULL ||
	    qctx->client->message->rdclass != dns_rdataclass_in ||
	    !find_place(l, qctx, &options))
		return false;
	l->qctx = qctx;
	l->inst = inst;
	l->process = process_get();
	l->now_s = process_now_s(l->process);
	l->zone = l->place->zone;
	look_up(l);
	return !is_local(l, options);
}

static void fail(struct decision *d, uint16_t ede, const char *text)
{
	d->step = STEP_FAIL;
	d->ede = ede;
	d->text = text;
}

/* The answer may be sent, unless the response rate limit says no. */
static void give(struct decision *d, query_ctx_t *qctx,
		 const struct send_answer *a, unsigned int rrl_labels,
		 struct zone *zone)
{
	if (access_rate(qctx, (enum store_kind)a->kind, rrl_labels) !=
	    ACCESS_OK) {
		if (zone != NULL)
			count(zone, COUNT_LIMITED);
		d->step = STEP_DONE;
		return;
	}
	send_prepare(&d->send, qctx, a);
	if (zone != NULL)
		count(zone, d->send.raw ? COUNT_RAW : COUNT_RENDERED);
	d->step = STEP_SEND;
}

/* An answer of the origin's; 'map' tells whether names in it are steered. */
static void give_stored(struct decision *d, query_ctx_t *qctx,
			const struct view_map *map, struct zone *zone,
			struct store_entry *e, bool stale)
{
	struct send_answer a;

	send_stored(&a, qctx, e, process_now_s(process_get()), stale);
	a.edit = map != NULL && edit_wanted(map, e);
	give(d, qctx, &a, e->rrl_labels, zone);
}

static void give_stale(struct decision *d, struct look *l)
{
	count(l->zone, COUNT_STALE);
	give_stored(d, l->qctx, l->map, l->zone, l->entry, true);
}

/* Ends a query that is not admitted; false: it is. */
static bool turned_away(struct decision *d, struct look *l,
			enum admit_reason why)
{
	switch (why) {
	case ADMIT_OK:
		return false;
	case ADMIT_REPEAT:
	case ADMIT_SOURCE:
		access_slip(l->qctx, DNS_EDE_PROHIBITED,
			    why == ADMIT_SOURCE ? "source not known, use TCP"
						: "asked again and again");
		d->step = STEP_DONE;
		break;
	case ADMIT_REPEAT_DROP:
		access_drop(l->qctx);
		d->step = STEP_DONE;
		break;
	default:
		fail(d, DNS_EDE_BLOCKED, "under attack, name not known");
	}
	return true;
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
	l->from.exists = l->exact;
	enum admit_reason why =
		admission_miss(&l->from, l->qctx, l->zone, &l->key, e);
	if (why != ADMIT_OK && why != ADMIT_BUSY) {
		if (old) /* it may be of a name that does not exist */
			give_stale(d, l);
		else
			(void)turned_away(d, l, why);
		return;
	}
	if (why == ADMIT_OK && wait_prepare(&d->park, l->qctx, l->process,
					    l->zone, &l->key, l->hash)) {
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

/* Somebody repeats a question for which an answer is made: that ends it. */
static bool made_too_often(struct decision *d, struct look *l)
{
	return l->from.active != 0 &&
	       turned_away(d, l, admission_made(&l->from, l->qctx, l->zone));
}

/* It is known not to exist, so that nobody has to be asked. */
static bool give_denied(struct decision *d, struct look *l)
{
	struct made made;
	struct send_answer a;

	if (l->zone->config->names == CONFIG_NAMES_NONE || l->exact ||
	    !denial_make(&made, l->qctx, l->zone, &l->key, l->now_s, &a))
		return false;
	if (made_too_often(d, l))
		return true;
	unsigned int labels =
		a.kind == STORE_NXDOMAIN
			? l->zone->labels + 1
			: dns_name_countlabels(l->qctx->client->query.qname);
	count(l->zone, COUNT_DENIED);
	give(d, l->qctx, &a, labels, l->zone);
	return true;
}

/* Gives what steer.h has made. */
static void give_made(struct decision *d, query_ctx_t *qctx,
		      const struct place *place, enum steer_result result,
		      const struct send_answer *a)
{
	unsigned int labels = dns_name_countlabels(qctx->client->query.qname);

	if (place->zone != NULL)
		count(place->zone, COUNT_STEERED);
	if (result == STEER_FAIL) {
		fail(d, DNS_EDE_OTHER, "no server is up");
		return;
	}
	if (result == STEER_CHAIN || result == STEER_LIMITED) {
		d->step = result == STEER_CHAIN ? STEP_CHAIN : STEP_DONE;
		if (place->zone != NULL)
			count(place->zone, result == STEER_CHAIN
						   ? COUNT_RENDERED
						   : COUNT_LIMITED);
		return;
	}
	if (a->kind == STORE_NXDOMAIN)
		labels = place->apex_labels + 1;
	give(d, qctx, a, labels, place->zone);
}

static void decide_host(struct decision *d, query_ctx_t *qctx,
			const struct view_map *map, const struct place *place)
{
	struct made made;
	struct send_answer a;

	give_made(d, qctx, place, steer_host(map, &made, qctx, place, &a), &a);
}

/*
 * How long before the end of its life an answer is renewed: an eighth of it,
 * but long enough for whoever asks once a second.  0: it is not, as it would be
 * from its first second on.
 */
static uint32_t prefetch_window_s(uint32_t ttl_s)
{
	uint32_t window_s = ttl_s / 8 < 2 ? 2 : ttl_s / 8;

	return ttl_s > 2 ? window_s : ttl_s / 2;
}

/*
 * Renews an answer that is asked for again and again before its time is over,
 * so that nobody waits for it.  One question at a time: 'retry_s' tells, and
 * also when one has failed; not beyond the answer's end, when it would say
 * that an origin has failed.
 */
static void prefetch(struct look *l)
{
	struct store_entry *e = l->entry;
	uint32_t age_s = store_age_s(e, l->now_s);
	uint32_t left_s = e->ttl_s > age_s ? e->ttl_s - age_s : 0;
	uint32_t again_s =
		left_s < PREFETCH_AGAIN_S ? left_s : PREFETCH_AGAIN_S;
	uint32_t retry_s =
		atomic_load_explicit(&e->retry_s, memory_order_relaxed);

	if (age_s == 0 || left_s > PREFETCH_MAX_S ||
	    left_s > prefetch_window_s(e->ttl_s) || !store_popular(e) ||
	    (int32_t)(retry_s - l->now_s) > 0 ||
	    !atomic_compare_exchange_strong(&e->retry_s, &retry_s,
					    l->now_s + again_s))
		return;
	if (wait_refresh(l->qctx, l->process, l->zone, &l->key, l->hash))
		count(l->zone, COUNT_PREFETCHED);
}

/* In an edge zone. */
static void answer(struct decision *d, struct look *l)
{
	struct store_entry *e = l->entry;

	if (l->steered ||
	    (e != NULL && is_steered(l->place, l->exact, l->qctx, e))) {
		if (!made_too_often(d, l))
			decide_host(d, l->qctx, l->map, l->place);
	} else if (e == NULL || !store_fresh(e, l->now_s)) {
		if (!give_denied(d, l))
			miss(d, l);
	} else if (e->kind == STORE_FAILURE) {
		if (give_denied(d, l))
			return;
		count(l->zone, COUNT_FAILURES);
		fail(d, DNS_EDE_NOREACHABLEAUTH, "no origin answers");
	} else {
		if (l->from.active != 0 &&
		    turned_away(d, l,
				admission_hit(&l->from, l->qctx, l->zone, e)))
			return;
		count(l->zone, COUNT_HITS);
		give_stored(d, l->qctx, l->map, l->zone, e, false);
		if (l->zone->config->prefetch)
			prefetch(l);
	}
}

static void answer_domain(struct decision *d, struct look *l)
{
	struct made made;
	struct send_answer a;

	give_made(d, l->qctx, l->place,
		  steer_domain(l->map, &made, l->qctx, l->place, l->exact, &a),
		  &a);
}

static void note_view(struct instance *inst, const dns_view_t *view)
{
	if (atomic_load_explicit(&inst->view, memory_order_relaxed) != NULL)
		return;
	atomic_store(&process_get()->serving, true);
	char *name = strdup(view->name);
	char *none = NULL;
	if (name != NULL &&
	    !atomic_compare_exchange_strong(&inst->view, &none, name))
		free(name);
}

/*
 * What NS_QUERY_SETUP has found out about the question that this thread works
 * on, for the later hooks: most questions have nothing to do with hostnames,
 * and can be seen not to without another look at the configuration.
 */
static _Thread_local struct {
	const ns_client_t *client;
	bool plain; /* its name is no hostname, nor one above one */
} asked;

static void note_asked(const ns_client_t *client, const struct look *l)
{
	asked.client = client;
	asked.plain = l->place == NULL || !l->exact;
}

/* True if the name asked for, aliases not yet followed, is no hostname. */
static bool is_plain(const ns_client_t *client)
{
	return asked.client == client && asked.plain &&
	       client->query.restarts == 0;
}

/* Everything that reads the configuration or the store: one RCU section. */
static void decide(struct decision *d, query_ctx_t *qctx, struct instance *inst)
{
	struct look l;

	rcu_enter();
	l.place = NULL;
	bool ours = look(&l, qctx, inst);
	if (atomic_load_explicit(&inst->steers, memory_order_relaxed)) {
		note_asked(qctx->client, &l);
		if (l.map != NULL)
			sign_survey(process_get()->sign, inst, l.map, qctx);
	}
	if (!ours) {
		d->step = STEP_NOT_OURS;
	} else {
		note_view(inst, qctx->view);
		uint32_t n = l.zone != NULL ? count(l.zone, COUNT_QUERIES) : 0;
		if (access_check(qctx, inst->query_on) != ACCESS_OK) {
			if (l.zone != NULL)
				count(l.zone, COUNT_REFUSED);
			d->step = STEP_DONE;
		} else if (l.zone != NULL) {
			if (!turned_away(
				    d, &l,
				    admission_query(&l.from, qctx, l.zone, n)))
				answer(d, &l);
		} else {
			answer_domain(d, &l);
		}
	}
	rcu_leave();
}

/*
 * What the origin's answer means for this question, under the configuration
 * as it is now.
 */
static void answer_resumed(struct decision *d, query_ctx_t *qctx,
			   const struct view_map *map,
			   struct wait_result *result)
{
	const dns_name_t *qname = qctx->client->query.qname;
	struct store_entry *e = result->entry;
	bool exact = false;
	const struct place *place =
		map != NULL ? map_find(map, qname->ndata, qname->length, &exact)
			    : NULL;

	if (place != NULL && place->zone != NULL &&
	    is_steered(place, exact, qctx, e)) {
		decide_host(d, qctx, map, place);
	} else if (e == NULL) {
		count(result->zone, COUNT_FAILURES);
		if (result->limited)
			fail(d, DNS_EDE_BLOCKED, "origins are asked enough");
		else
			fail(d, DNS_EDE_NOREACHABLEAUTH, "no origin answers");
	} else {
		if (result->stale)
			count(result->zone, COUNT_STALE);
		give_stored(d, qctx, map, result->zone, e, result->stale);
	}
}

/* The origin has answered, or not: the query runs again. */
static void decide_resumed(struct decision *d, query_ctx_t *qctx,
			   struct instance *inst, struct wait_result *result)
{
	asked.client = NULL; /* others have been at work on this thread */
	rcu_enter();
	answer_resumed(d, qctx,
		       atomic_load_explicit(&inst->map, memory_order_acquire),
		       result);
	rcu_leave();
	wait_release(result);
}

ns_hookresult_t hook_setup(void *arg, void *data, isc_result_t *resp)
{
	query_ctx_t *qctx = arg;
	struct instance *inst = data;
	struct wait_result result;
	struct decision d;

	if (wait_resumed(qctx->client, &result))
		decide_resumed(&d, qctx, inst, &result);
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
	case STEP_CHAIN:
		alias_finish(qctx, resp);
		break;
	}
	return NS_HOOK_RETURN;
}

ns_hookresult_t hook_start(void *arg, void *data, isc_result_t *resp)
{
	query_ctx_t *qctx = arg;
	struct instance *inst = data;

	if (qctx->client->query.restarts == 0 ||
	    !atomic_load_explicit(&inst->steers, memory_order_relaxed))
		return NS_HOOK_CONTINUE;
	rcu_enter();
	const struct view_map *map =
		atomic_load_explicit(&inst->map, memory_order_acquire);
	bool ends = map != NULL && alias_ends_chain(map, qctx);
	rcu_leave();
	if (!ends)
		return NS_HOOK_CONTINUE;
	qctx->result = ISC_R_SUCCESS;
	*resp = ns_query_done(qctx);
	return NS_HOOK_RETURN;
}

/* What named has found, or not: an alias may take its place. */
static ns_hookresult_t respond(query_ctx_t *qctx, struct instance *inst,
			       bool found, isc_result_t *resp)
{
	if (!atomic_load_explicit(&inst->steers, memory_order_relaxed) ||
	    is_plain(qctx->client))
		return NS_HOOK_CONTINUE;
	rcu_enter();
	const struct view_map *map =
		atomic_load_explicit(&inst->map, memory_order_acquire);
	bool alias = false;
	if (map != NULL)
		alias = found && steer_decides(qctx->type)
				? edit_respond(map, qctx)
				: alias_respond(map, qctx);
	rcu_leave();
	if (!alias)
		return NS_HOOK_CONTINUE;
	alias_finish(qctx, resp);
	return NS_HOOK_RETURN;
}

ns_hookresult_t hook_respond(void *arg, void *data, isc_result_t *resp)
{
	return respond(arg, data, true, resp);
}

ns_hookresult_t hook_other(void *arg, void *data, isc_result_t *resp)
{
	return respond(arg, data, false, resp);
}

ns_hookresult_t hook_done(void *arg, void *data, isc_result_t *resp)
{
	query_ctx_t *qctx = arg;
	struct instance *inst = data;
	isc_result_t result = ISC_R_SUCCESS;

	if (!atomic_load_explicit(&inst->steers, memory_order_relaxed))
		return NS_HOOK_CONTINUE;
	bool edit = edit_possible(qctx, is_plain(qctx->client));
	bool ns =
		atomic_load_explicit(&inst->delegates, memory_order_relaxed) &&
		nsselect_possible(qctx);
	if (!edit && !ns)
		return NS_HOOK_CONTINUE;
	rcu_enter();
	const struct view_map *map =
		atomic_load_explicit(&inst->map, memory_order_acquire);
	if (map != NULL && ns) /* before addresses are decided that go */
		result = nsselect_message(map, qctx);
	if (map != NULL && edit && result == ISC_R_SUCCESS)
		result = edit_message(map, qctx);
	rcu_leave();
	if (result == ISC_R_SUCCESS)
		return NS_HOOK_CONTINUE;
	*resp = DNS_R_SERVFAIL; /* which is what named then sends */
	return NS_HOOK_RETURN;
}
