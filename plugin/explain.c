/* SPDX-License-Identifier: MPL-2.0 */
/*
 * explain: the decision that a client would get, by the function that answers
 * clients, and why.
 */
#include "plugin/traffic_int.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <isc/random.h>

#include "common/rcu.h"
#include "gtm/explain.h"
#include "plugin/control.h"
#include "plugin/jsonadd.h"
#include "plugin/map.h"
#include "plugin/rows.h"
#include "plugin/sign.h"

#define CLIENT_TEXT_MAX (INET6_ADDRSTRLEN + 4)

/* What is asked. */
struct inquiry {
	const struct gtm_host *host;
	struct gtm_question q;
	char client[CLIENT_TEXT_MAX];
};

/* -- the request --------------------------------------------------------------
 */

/* Reads the request; false after an error reply. */
static bool inquiry_read(struct engine *e, struct control_client *client,
			 struct json_object *request, struct inquiry *in)
{
	const char *name = member(request, "name");
	const char *type = member(request, "type");
	const char *from = member(request, "client");
	struct dname dname;

	*in = (struct inquiry){ 0 };
	if (name == NULL || dname_parse(slice_of(name), &dname) != 0) {
		control_reply_error(client, "not a domain name: '%s'",
				    name != NULL ? name : "");
		return false;
	}
	in->host = gtm_explain_host(e->snapshot->world, &dname);
	if (in->host == NULL) {
		control_reply_error(client, "no hostname '%s'", name);
		return false;
	}
	if (type == NULL ||
	    (strcasecmp(type, "A") != 0 && strcasecmp(type, "AAAA") != 0)) {
		control_reply_error(client, "only A and AAAA are decided");
		return false;
	}
	in->q.family = strcasecmp(type, "AAAA") == 0 ? GTM_V6 : GTM_V4;
	if (from == NULL)
		from = "0.0.0.0";
	if (!rows_prefix(slice_of(from), &in->q.client)) {
		control_reply_error(client, "not an address or prefix: '%s'",
				    from);
		return false;
	}
	(void)snprintf(in->client, sizeof(in->client), "%s", from);
	in->q.now_ms = clock_now_ms();
	in->q.random = (uint64_t)isc_random32() << 32 | isc_random32();
	return true;
}

/* -- the reply
 * ------------------------------------------------------------------ */

#define WHERE_MAX (64 + SIGN_TROUBLE_MAX)

/* The same in a zone of named's; 'trouble' as sign_trouble() has it. */
static const char *where_named(const char *trouble, char *text)
{
	if (trouble == NULL)
		return "named's zone";
	if (*trouble == '\0')
		return "named's zone, signed";
	(void)snprintf(text, WHERE_MAX,
		       "named's zone, signed: served as it is: %s", trouble);
	return text;
}

/*
 * Where the hostname lives, as the map of all zones has it, and how answers of
 * a family (GTM_FAMILIES: of any) fare there; 'text' has WHERE_MAX octets.
 */
static const char *where_is(struct process *p, const struct gtm_host *host,
			    enum gtm_family family, char *text)
{
	const struct dname *name = &host->config->name;
	char trouble[SIGN_TROUBLE_MAX];
	const char *where = "";
	bool exact;

	pthread_mutex_lock(&p->lock);
	const struct place *place =
		p->all != NULL ? map_find(p->all, name->wire, name->n, &exact)
			       : NULL;
	if (place != NULL && place->domain != NULL)
		where = "domain";
	else if (place != NULL && place->zone != NULL)
		where = atomic_load(&place->zone->state->is_signed) ==
					ZONE_SIGNED
				? "edge zone, signed: served as it is"
				: "edge zone";
	else
		where = where_named(
			sign_trouble(p->sign, host, family, trouble), text);
	pthread_mutex_unlock(&p->lock);
	return where;
}

void traffic_explain(struct engine *e, struct control_client *client,
		     struct json_object *request)
{
	struct inquiry in;
	char where[WHERE_MAX];

	if (!inquiry_read(e, client, request, &in))
		return;
	const struct gtm_explain explain = {
		.world = e->snapshot->world,
		.host = in.host,
		.q = &in.q,
		.client = in.client,
		.where = where_is(e->process, in.host, in.q.family, where),
		.counted = true,
	};
	rcu_enter(); /* for the map and the table of clients */
	in.q.clients = atomic_load_explicit(&explain.world->clients,
					    memory_order_acquire);
	in.q.persist = process_clients(e->process);
	struct json_object *o = gtm_explain_json(&explain);
	rcu_leave();
	if (o == NULL) {
		control_reply_error(client, "out of memory");
		return;
	}
	struct json_object *reply = json_object_new_object();
	json_object_object_add(reply, "explain", o);
	control_reply(client, reply);
}

/* -- one hostname in status
 * ------------------------------------------------------ */

struct json_object *traffic_host(struct engine *e, const struct gtm_host *host)
{
	struct json_object *o = json_object_new_object();
	char where[WHERE_MAX];

	add_text(o, "name", host->config->id);
	add_text(o, "where", where_is(e->process, host, GTM_FAMILIES, where));
	json_object_object_add(o, "counts", gtm_explain_counts(host));
	return o;
}

void traffic_answers(const struct gtm_world *world, const struct gtm_host *host,
		     struct json_object *list)
{
	char text[DNAME_TEXT_MAX];

	for (size_t f = 0; f < GTM_FAMILIES; f++)
		for (size_t i = 0; i < host->n[f]; i++) {
			const struct gtm_candidate *c = &host->candidate[f][i];
			struct json_object *o = json_object_new_object();
			add_text(o, "name", host->config->id);
			add_text(o, "server",
				 world->config->servers[c->server].id);
			add_text(o, c->alias == NULL ? "address" : "alias",
				 gtm_explain_candidate((enum gtm_family)f, c,
						       text));
			add_number(o, "given",
				   atomic_load_explicit(&c->tally->given,
							memory_order_relaxed));
			json_object_array_add(list, o);
		}
}
