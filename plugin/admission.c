/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/admission.h"

#include <netinet/in.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <dns/name.h>
#include <dns/rdatatype.h>
#include <isc/netaddr.h>
#include <isc/sockaddr.h>
#include <ns/client.h>

#include "cacheproxy/names.h"
#include "plugin/admission_int.h"
#include "plugin/engine.h"
#include "plugin/log.h"

#define REPEAT_LEAST  16u  /* a prefix may ask one question so often */
#define REPEAT_PART   8u   /* or for such a part of what is normal */
#define REPEAT_DROP   8u   /* so many times that: no answer */
#define REPEAT_SLIP   8u   /* but to one in so many */
#define REPEAT_LEFT_S 1u   /* what is left of the answer's time */
#define NEWCOMERS_MAX 100u /* prefixes a second that may become known */
#define PUSHERS_MAX   100u /* the same that push others out */
#define SEEN_ONE_OF   4u   /* queries within normal that speak for a prefix */

#define LOAD(a) atomic_load_explicit(&(a), memory_order_relaxed)

static void bump(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- the window ------------------------------------------------------------ */

struct admit_now admission_now(struct admit *admit, const struct zone *zone,
			       uint32_t now_s)
{
	return (struct admit_now){
		.now_s = now_s,
		.hours = LOAD(admit->hours),
		.queries = (uint32_t)LOAD(zone->state->counters[COUNT_QUERIES]),
	};
}

void admission_roll(struct admit *admit, const struct zone *zone,
		    uint32_t now_s)
{
	struct admit_now now = admission_now(admit, zone, now_s);

	now.sources = admit_sources_turn(admission_sources(admit, zone), now_s);
	(void)admit_roll(admission_of(zone), &zone->config->admission, &now);
}

/* The window has more than it should. */
static void check(struct admit *admit, const struct zone *zone, uint32_t now_s)
{
	struct admit_now now = admission_now(admit, zone, now_s);

	now.sources = admit_sources_count(admission_sources(admit, zone));
	if (admit_check(admission_of(zone), &zone->config->admission, &now))
		admission_poke(zone);
}

/* A new second, or too many in this one. */
static void look(struct admit *admit, const struct zone *zone, uint32_t now_s)
{
	if (LOAD(admission_of(zone)->second) != now_s)
		admission_roll(admit, zone, now_s);
	else
		check(admit, zone, now_s);
}

/* -- refusals -------------------------------------------------------------- */

static void log_refusal(const query_ctx_t *qctx, const struct zone *zone,
			enum admit_reason why, bool observed)
{
	static struct log_gate gates[ADMIT_REASONS];
	static const char *const texts[ADMIT_REASONS] = {
		[ADMIT_OK] = "",
		[ADMIT_NAME] = "the name is not known to exist",
		[ADMIT_SUFFIX] = "its suffix is under attack",
		[ADMIT_REPEAT] = "asked again and again",
		[ADMIT_REPEAT_DROP] = "asked again and again",
		[ADMIT_SOURCE] = "the source is not known",
		[ADMIT_BUSY] = "the source is not known, and many wait",
		[ADMIT_ORIGIN_RATE] = "origins are asked enough",
	};
	uint32_t now_s = process_now_s(process_get());
	char name[DNS_NAME_FORMATSIZE];
	char type[DNS_RDATATYPE_FORMATSIZE];
	char address[ISC_NETADDR_FORMATSIZE];
	isc_netaddr_t netaddr;

	if (log_held(&gates[why], now_s))
		return;
	dns_name_format(qctx->client->query.qname, name, sizeof(name));
	dns_rdatatype_format(qctx->qtype, type, sizeof(type));
	isc_netaddr_fromsockaddr(&netaddr, &qctx->client->peeraddr);
	isc_netaddr_format(&netaddr, address, sizeof(address));
	log_limited(&gates[why], now_s, ISC_LOG_WARNING,
		    "zone '%s': attack: %s '%s' %s of '%s': %s",
		    zone->config->id, observed ? "would refuse" : "refused",
		    name, type, address, texts[why]);
}

/* Refuses, or says that it would. */
static enum admit_reason refuse(struct admit_zone *z, const query_ctx_t *qctx,
				const struct zone *zone,
				enum config_filter filter,
				enum admit_reason why)
{
	bool observed = zone->config->admission.mode[filter] != CONFIG_MODE_ON;

	bump(observed ? &z->would[why] : &z->refused[why]);
	if (!observed)
		admit_turned(z, why);
	log_refusal(qctx, zone, why, observed);
	return observed ? ADMIT_OK : why;
}

/* -- sources --------------------------------------------------------------- */

static uint64_t prefix_of(const ns_client_t *client)
{
	const struct sockaddr *sa = &client->peeraddr.type.sa;

	if (sa->sa_family == AF_INET6)
		return admit_prefix(
			client->peeraddr.type.sin6.sin6_addr.s6_addr, true);
	return admit_prefix(
		(const uint8_t *)&client->peeraddr.type.sin.sin_addr, false);
}

/* Few prefixes a second may become known without a proof: forgers come, too. */
static bool one_more(_Atomic uint64_t *counter, uint32_t most, uint32_t now_s)
{
	uint64_t was = LOAD(*counter);
	uint64_t to = was >> 32 == now_s ? was + 1 : (uint64_t)now_s << 32 | 1;

	return (to & UINT32_MAX) <= most &&
	       atomic_compare_exchange_strong_explicit(counter, &was, to,
						       memory_order_relaxed,
						       memory_order_relaxed);
}

static void learn_proof(struct admit *admit, struct admit_known *known,
			uint64_t prefix, uint32_t now_s)
{
	uint32_t day = LOAD(admit->day);

	if (!admit_known_prove(known, prefix, day, false) &&
	    one_more(&admit->pushers, PUSHERS_MAX, now_s))
		(void)admit_known_prove(known, prefix, day, true);
}

static void learn_source(struct admit *admit, struct admit_known *known,
			 const struct admission *a, uint32_t n, uint32_t now_s)
{
	uint32_t day = LOAD(admit->day);

	if (a->tcp || a->cookie)
		learn_proof(admit, known, a->prefix, now_s);
	else if (a->active == 0 && n % SEEN_ONE_OF == 0 &&
		 !admit_known_seen(known, a->prefix, day, false) &&
		 one_more(&admit->newcomers, NEWCOMERS_MAX, now_s))
		(void)admit_known_seen(known, a->prefix, day, true);
}

static bool is_good(const struct admit *admit, const struct admission *a)
{
	const struct admit_known *known =
		atomic_load_explicit(&admit->known, memory_order_acquire);

	return a->tcp || a->cookie ||
	       (known != NULL &&
		admit_known_is(known, a->prefix, LOAD(admit->day)));
}

enum admit_reason admission_query(struct admission *a, const query_ctx_t *qctx,
				  const struct zone *zone, uint32_t n)
{
	struct process *p = process_get();
	struct admit *admit = p->admit;
	uint32_t now_s = process_now_s(p);
	struct admit_known *known =
		atomic_load_explicit(&admit->known, memory_order_acquire);

	if (!zone->config->admission.any) {
		*a = (struct admission){ 0 };
		return ADMIT_OK;
	}
	*a = (struct admission){
		.zone = admission_of(zone),
		.prefix = prefix_of(qctx->client),
		.tcp = (qctx->client->attributes & NS_CLIENTATTR_TCP) != 0,
		.cookie = (qctx->client->attributes &
			   NS_CLIENTATTR_HAVECOOKIE) != 0,
	};
	if (a->zone == NULL) {
		admission_poke(zone);
		return ADMIT_OK;
	}
	admit_sources_add(admission_sources(admit, zone),
			  admission_mix(a->prefix ^ admit->seed));
	if (!admit_quiet(a->zone, n, now_s))
		look(admit, zone, now_s);
	a->active = LOAD(a->zone->active);
	if (known != NULL)
		learn_source(admit, known, a, n, now_s);
	if ((a->active >> CONFIG_FILTER_UNKNOWN & 1) == 0)
		return ADMIT_OK;
	if (is_good(admit, a)) {
		bump(&a->zone->spared);
		return ADMIT_OK;
	}
	return refuse(a->zone, qctx, zone, CONFIG_FILTER_UNKNOWN, ADMIT_SOURCE);
}

/* -- hits ------------------------------------------------------------------ */

/* Once more: 'name' is a hash of what is asked for. */
static enum admit_reason again(const struct admission *a,
			       const query_ctx_t *qctx, const struct zone *zone,
			       uint64_t name)
{
	struct process *p = process_get();
	struct admit *admit = p->admit;
	uint32_t now_s = process_now_s(p);
	uint32_t normal = admit_normal(a->zone, &zone->config->admission,
				       ADMIT_QUERIES, LOAD(admit->hours));
	uint32_t most = normal / REPEAT_PART > REPEAT_LEAST
				? normal / REPEAT_PART
				: REPEAT_LEAST;
	uint64_t key = admission_mix(a->prefix ^ admit->seed) ^ name;
	uint32_t n =
		admit_repeats_count(admit->repeats, admission_mix(key), now_s);
	if (n <= most || (a->cookie && n / REPEAT_DROP <= most))
		return ADMIT_OK;
	bool drop = n / REPEAT_DROP > most && n % REPEAT_SLIP != 0;
	return refuse(a->zone, qctx, zone, CONFIG_FILTER_REPEATS,
		      drop ? ADMIT_REPEAT_DROP : ADMIT_REPEAT);
}

static bool looks_at_repeats(const struct admission *a)
{
	return (a->active >> CONFIG_FILTER_REPEATS & 1) != 0 && !a->tcp;
}

enum admit_reason admission_hit(const struct admission *a,
				const query_ctx_t *qctx,
				const struct zone *zone,
				const struct store_entry *e)
{
	uint32_t now_s = process_now_s(process_get());

	if (!looks_at_repeats(a) ||
	    e->ttl_s <= store_age_s(e, now_s) + REPEAT_LEFT_S)
		return ADMIT_OK;
	return again(a, qctx, zone, e->hash);
}

enum admit_reason admission_made(const struct admission *a,
				 const query_ctx_t *qctx,
				 const struct zone *zone)
{
	const dns_name_t *qname = qctx->client->query.qname;

	if (!looks_at_repeats(a))
		return ADMIT_OK;
	return again(a, qctx, zone,
		     dns_name_fullhash(qname, false) ^ admission_id(zone) ^
			     (uint64_t)qctx->qtype << 32);
}

/* -- misses ---------------------------------------------------------------- */

/* Types that resolvers ask for of any name: others must have been asked for. */
static bool is_common(uint16_t type)
{
	switch (type) {
	case dns_rdatatype_a:
	case dns_rdatatype_aaaa:
	case dns_rdatatype_ns:
	case dns_rdatatype_cname:
	case dns_rdatatype_soa:
	case dns_rdatatype_ptr:
	case dns_rdatatype_mx:
	case dns_rdatatype_txt:
	case dns_rdatatype_srv:
	case dns_rdatatype_ds:
	case dns_rdatatype_dnskey:
	case dns_rdatatype_tlsa:
	case dns_rdatatype_svcb:
	case dns_rdatatype_https:
	case dns_rdatatype_caa:
		return true;
	default:
		return false;
	}
}

uint64_t admission_name_hash(const struct admit *admit, const struct zone *zone,
			     const struct store_key *key)
{
	uint64_t type = is_common(key->qtype) ? 0 : key->qtype;

	return XXH3_64bits_withSeed(key->name, key->n,
				    admit->seed ^ admission_id(zone)) ^
	       admission_mix(type);
}

/*
 * The set of the zone's names has it.  What a wildcard stands in for is made up
 * as easily as what does not exist, and so is what lies below a cut.
 */
static bool in_names(const struct zone *zone, const struct store_key *key,
		     uint32_t now_s)
{
	const struct zone_state *state = zone->state;
	const struct names *names =
		atomic_load_explicit(&state->names, memory_order_acquire);

	return names != NULL && is_common(key->qtype) &&
	       (int32_t)(LOAD(state->names_until_s) - now_s) > 0 &&
	       names_has(names, key->name, key->n);
}

bool admission_exists(const struct admit *admit, const struct zone *zone,
		      const struct store_key *key,
		      const struct store_entry *old, uint32_t now_s)
{
	if (old != NULL && old->kind != STORE_FAILURE &&
	    old->kind != STORE_NXDOMAIN)
		return true;
	return admit_seen_has(admit->seen,
			      admission_name_hash(admit, zone, key)) ||
	       in_names(zone, key, now_s);
}

static bool below_suffix(struct admit *admit, const struct zone *zone,
			 const struct store_key *key)
{
	const struct admit_name name = { .zone = admission_id(zone),
					 .wire = key->name,
					 .n = key->n,
					 .apex_labels = zone->labels };

	return admit_suffixes_hit(admit->suffixes, &name);
}

void admission_went(const struct zone *zone)
{
	struct admit_zone *z = admission_of(zone);

	if (z != NULL)
		admit_went(z);
}

/* Little room is left for those who wait: known sources come first. */
static bool is_busy(const struct process *p)
{
	return isc_quota_getused(&((struct process *)(uintptr_t)p)->waiters) /
		       3 >
	       isc_quota_getmax(&((struct process *)(uintptr_t)p)->waiters) / 4;
}

static enum admit_who who_asks(struct admit *admit, const struct admission *a,
			       const struct zone *zone)
{
	uint64_t key = admission_mix(a->prefix ^ admit->seed) + 1;

	if (is_good(admit, a))
		return ADMIT_GOOD;
	key = admission_mix(key ^ admission_id(zone));
	return admit_repeats_rare(admit->repeats, key,
				  process_now_s(process_get()))
		       ? ADMIT_RARE
		       : ADMIT_ANYBODY;
}

/* The filters that work are asked, about a name that may not exist. */
static enum admit_reason ask_filters(const struct admission *a,
				     const query_ctx_t *qctx,
				     const struct zone *zone,
				     const struct store_key *key,
				     uint32_t active)
{
	struct process *p = process_get();
	enum admit_reason why = ADMIT_OK;
	bool suffix = (active >> CONFIG_FILTER_SUFFIXES & 1) != 0 &&
		      below_suffix(p->admit, zone, key);
	bool missed = (active >> CONFIG_FILTER_MISSES & 1) != 0 &&
		      !admit_forgiven(a->zone, process_now_s(p));

	if (!suffix && !missed)
		return ADMIT_OK;
	if (admit_try(a->zone, who_asks(p->admit, a, zone), !suffix))
		return ADMIT_OK;
	if (suffix)
		why = refuse(a->zone, qctx, zone, CONFIG_FILTER_SUFFIXES,
			     ADMIT_SUFFIX);
	if (why == ADMIT_OK && missed)
		why = refuse(a->zone, qctx, zone, CONFIG_FILTER_MISSES,
			     ADMIT_NAME);
	return why;
}

enum admit_reason admission_miss(const struct admission *a,
				 const query_ctx_t *qctx,
				 const struct zone *zone,
				 const struct store_key *key,
				 const struct store_entry *old)
{
	struct process *p = process_get();
	struct admit_zone *z = a->zone;
	uint32_t now_s = process_now_s(p);
	enum admit_reason why = ADMIT_OK;

	if (z == NULL)
		return ADMIT_OK;
	if (admit_missed(z))
		check(p->admit, zone, now_s);
	uint32_t active = LOAD(z->active) & (1u << CONFIG_FILTER_MISSES |
					     1u << CONFIG_FILTER_SUFFIXES);
	if (active != 0 &&
	    (a->exists || admission_exists(p->admit, zone, key, old, now_s)))
		bump(&z->passed);
	else if (active != 0)
		why = ask_filters(a, qctx, zone, key, active);
	if (why == ADMIT_OK && is_busy(p) &&
	    zone->config->admission.mode[CONFIG_FILTER_UNKNOWN] !=
		    CONFIG_MODE_OFF &&
	    !is_good(p->admit, a))
		why = refuse(z, qctx, zone, CONFIG_FILTER_UNKNOWN, ADMIT_BUSY);
	return why;
}
