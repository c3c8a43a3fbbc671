/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What stands between a hostname and signed answers, for explain and status.
 * The engine's: it reads what the query path reads, and the zones' databases,
 * inside an RCU section.
 */
#include "plugin/sign_int.h"

#include <stdio.h>

#include "common/rcu.h"

/* What is said of a zone whose answers are not signed. */
static const char *const troubles[SIGN_STATES] = {
	[SIGN_STARTING] = "keys not read yet",
	[SIGN_READY] = "",
	[SIGN_NO_KEY] = "no private key in the key directory",
	[SIGN_UNREADABLE] = "private key cannot be read",
	[SIGN_INACTIVE] = "no zone-signing key is active",
	[SIGN_PARTIAL] = "no key of an algorithm that signs the zone",
	[SIGN_NO_DNSKEY] = "no DNSKEY records",
};

static const struct sign_zone *zone_above(const struct sign *s,
					  const struct dname *name)
{
	const struct sign_zone *best = NULL;

	for (size_t i = 0; i < SIGN_ZONE_BUCKETS; i++) {
		const struct sign_zone *zone = atomic_load_explicit(
			&s->zones[i], memory_order_acquire);
		for (; zone != NULL;
		     zone = atomic_load_explicit(&zone->next,
						 memory_order_acquire)) {
			if (!dname_is_below(name, &zone->origin) ||
			    (best != NULL && zone->origin.n < best->origin.n))
				continue;
			/* of two views' zones the one in trouble */
			if (best == NULL || zone->origin.n > best->origin.n ||
			    zone->state != SIGN_READY)
				best = zone;
		}
	}
	return best;
}

/* A hostname in a zone, and what the zone has there. */
struct case_of {
	const struct sign *s;
	const struct sign_zone *zone;
	const struct gtm_host *host;
	enum sign_found found[SIGN_KINDS];
};

/* What the zone has, in general; NULL: something that can be replaced. */
static const char *of_zone(const struct case_of *c)
{
	bool apex = dname_equal(&c->host->config->name, &c->zone->origin);
	unsigned int own = 0, wild = 0;

	for (unsigned int i = 0; i < SIGN_KINDS; i++) {
		own += c->found[i] == SIGN_OWN;
		wild += c->found[i] == SIGN_WILDCARD;
	}
	if (own == 0)
		return wild > 0 ? "its name is one that a wildcard makes"
				: "the zone has no A or AAAA records of it";
	if (c->host->all_alias && apex)
		return "alias: the apex of a zone cannot be one";
	if (c->found[SIGN_ALIAS] == SIGN_OWN && !c->host->all_alias)
		return "the zone has an alias there, and not all servers have";
	return NULL;
}

/* What is in the way of one family's answers now; NULL: nothing. */
static const char *of_family(const struct case_of *c, enum gtm_family family)
{
	struct gtm_question q = { .family = family,
				  .now_ms = process_now_ms(c->s->process) };
	struct gtm_answer answer;
	struct sign_want want;

	gtm_decide(c->host, &q, &answer, NULL);
	if (answer.outcome == GTM_SERVFAIL)
		return NULL;
	if (answer.n == 0)
		return answer.rule == GTM_RULE_EMPTY
			       ? "no server has an address, which the zone "
				 "cannot say"
			       : "no address is to be given, which the zone "
				 "cannot say";
	if (answer.outcome == GTM_ALIAS &&
	    dname_equal(&c->host->config->name, &c->zone->origin))
		return "alias: the apex of a zone cannot be one";
	answer.n = 1; /* what is signed before all else */
	sign_want_of(c->s, c->zone->db, c->host, family, &answer, &want);
	return sign_lookup(c->s, &want) == NULL ? "signatures are pending"
						: NULL;
}

static const char *of_host(struct case_of *c, enum gtm_family family,
			   char *text)
{
	static const char *const types[] = { "A", "AAAA" };

	if (c->host->config->dry_run)
		return "it is only tried (\"dry-run\")";
	if (c->host->config->name_servers)
		return dname_equal(&c->host->config->name, &c->zone->origin)
			       ? "the apex has signed NS records"
			       : "";
	for (unsigned int i = 0; i < SIGN_KINDS; i++)
		c->found[i] = sign_records(c->zone, &c->host->config->name,
					   sign_type((enum sign_kind)i));
	const char *trouble = of_zone(c);
	for (unsigned int f = 0; f < GTM_FAMILIES && trouble == NULL; f++) {
		if ((family != GTM_FAMILIES && f != family) ||
		    (c->found[f] != SIGN_OWN &&
		     c->found[SIGN_ALIAS] != SIGN_OWN))
			continue;
		const char *why = of_family(c, (enum gtm_family)f);
		if (why == NULL)
			continue;
		(void)snprintf(text, SIGN_TROUBLE_MAX, "%s: %s", types[f], why);
		trouble = text;
	}
	return trouble != NULL ? trouble : "";
}

const char *sign_trouble(const struct sign *s, const struct gtm_host *host,
			 enum gtm_family family, char *text)
{
	const char *trouble = NULL;

	if (atomic_load(&s->n_zones_seen) == 0)
		return NULL;
	rcu_enter();
	struct case_of c = { .s = s,
			     .zone = zone_above(s, &host->config->name),
			     .host = host };
	if (c.zone != NULL) {
		trouble = troubles[atomic_load(&c.zone->state)];
		if (*trouble == '\0')
			trouble = of_host(&c, family, text);
	}
	rcu_leave();
	return trouble;
}
