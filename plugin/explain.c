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

#include "gtm/decide.h"
#include "plugin/control.h"
#include "plugin/jsonadd.h"
#include "plugin/map.h"

#define CLIENT_TEXT_MAX (INET6_ADDRSTRLEN + 4)

static const char *const tier_names[CONFIG_TIERS] = { "primary", "backup",
						      "hidden" };

/* What is asked. */
struct inquiry {
	const struct gtm_host *host;
	struct gtm_question q;
	char client[CLIENT_TEXT_MAX];
};

/* -- the request --------------------------------------------------------------
 */

/* "192.0.2.0/24", "2001:db8::1"; false: neither. */
static bool client_parse(const char *text, struct gtm_client *out)
{
	const char *slash = strchr(text, '/');
	struct slice address = { text, slash != NULL ? (size_t)(slash - text)
						     : strlen(text) };
	struct sockaddr_storage ss;
	const struct sockaddr_in *in = (const void *)&ss;
	const struct sockaddr_in6 *in6 = (const void *)&ss;
	unsigned int bits = 0;

	if (config_address_parse(address, &ss) != 0)
		return false;
	*out = (struct gtm_client){ .v6 = ss.ss_family == AF_INET6 };
	out->bits = out->v6 ? 128 : 32;
	if (out->v6)
		memcpy(out->address, &in6->sin6_addr, 16);
	else
		memcpy(out->address, &in->sin_addr, 4);
	if (slash == NULL)
		return true;
	for (const char *p = slash + 1; *p != '\0' && bits < 1000; p++) {
		if (*p < '0' || *p > '9')
			return false;
		bits = bits * 10 + (unsigned int)(*p - '0');
	}
	if (bits < 1 || bits > out->bits)
		return false;
	out->bits = (uint8_t)bits;
	return true;
}

static const struct gtm_host *host_find(const struct gtm_world *world,
					const struct dname *name)
{
	for (size_t i = 0; i < world->n_hosts; i++)
		if (dname_equal(&world->hosts[i].config->name, name))
			return &world->hosts[i];
	return NULL;
}

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
	in->host = host_find(e->snapshot->world, &dname);
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
	if (!client_parse(from, &in->q.client)) {
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

/* Where the hostname lives, as the map of all zones has it. */
static const char *where_is(struct process *p, const struct dname *name)
{
	const char *where = "named's zone";

	pthread_mutex_lock(&p->lock);
	const struct place *place =
		p->all != NULL ? map_host(p->all, name->wire, name->n) : NULL;
	if (place != NULL && place->domain != NULL)
		where = "domain";
	else if (place != NULL && place->zone != NULL)
		where = atomic_load(&place->zone->state->is_signed) ==
					ZONE_SIGNED
				? "edge zone, signed: served as it is"
				: "edge zone";
	pthread_mutex_unlock(&p->lock);
	return where;
}

static void add_answer(struct json_object *o, const struct inquiry *in,
		       const struct gtm_answer *g)
{
	static const char *const outcomes[] = { "addresses", "nodata",
						"servfail" };
	struct json_object *list = json_object_new_array();
	char text[INET6_ADDRSTRLEN];

	add_text(o, "rule", gtm_rule_names[g->rule]);
	add_text(o, "tier", tier_names[g->tier]);
	add_text(o, "outcome", outcomes[g->outcome]);
	for (unsigned int i = 0; i < g->n; i++)
		json_object_array_add(
			list,
			json_object_new_string(traffic_address(
				in->q.family == GTM_V6,
				in->host->candidate[in->q.family][g->pick[i]]
					.address,
				text)));
	json_object_object_add(o, "answer", list);
	add_number(o, "ttl_s", g->ttl_s);
	add_number(o, "scope", g->scope);
}

static struct json_object *candidate_json(const struct gtm_world *world,
					  const struct inquiry *in, size_t i,
					  const struct gtm_trace_line *line)
{
	const struct gtm_candidate *c = &in->host->candidate[in->q.family][i];
	const struct config_server *server = &world->config->servers[c->server];
	struct json_object *o = json_object_new_object();
	char text[INET6_ADDRSTRLEN];

	add_text(o, "server", server->id);
	add_text(o, "pop", world->config->pops[server->pop].id);
	add_text(o, "tier", tier_names[c->tier]);
	add_text(o, "address",
		 traffic_address(in->q.family == GTM_V6, c->address, text));
	add_text(o, "state", gtm_class_names[line->class]);
	if (line->when_ms != 0) {
		add_number(o, "metric", line->metric);
		add_seconds(o, "age_s",
			    in->q.now_ms > line->when_ms
				    ? in->q.now_ms - line->when_ms
				    : 0);
	}
	add_number(o, "weight", c->weight);
	add_double(o, "share", line->share);
	add_text(o, "verdict", gtm_verdict_names[line->verdict]);
	add_number(
		o, "given",
		atomic_load_explicit(&c->tally->given, memory_order_relaxed));
	return o;
}

static struct json_object *counts_json(const struct gtm_host *host)
{
	struct json_object *o = json_object_new_object();

	for (size_t k = 0; k < GTM_COUNTS; k++)
		add_number(o, gtm_count_names[k],
			   atomic_load_explicit(&host->counts->n[k],
						memory_order_relaxed));
	return o;
}

static struct json_object *explain_json(struct engine *e,
					const struct inquiry *in,
					struct gtm_trace *trace)
{
	const struct gtm_world *world = e->snapshot->world;
	const struct gtm_host *host = in->host;
	struct json_object *o = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct gtm_answer g;

	gtm_decide(host, &in->q, &g, trace);
	add_text(o, "name", host->config->id);
	add_text(o, "type", in->q.family == GTM_V6 ? "AAAA" : "A");
	add_text(o, "where", where_is(e->process, &host->config->name));
	if (host->config->service != CONFIG_NONE)
		add_text(o, "service",
			 world->config->services[host->config->service].id);
	add_text(o, "client", in->client);
	add_answer(o, in, &g);
	for (size_t i = 0; i < host->n[in->q.family]; i++)
		json_object_array_add(
			list, candidate_json(world, in, i, &trace->line[i]));
	json_object_object_add(o, "candidates", list);
	json_object_object_add(o, "counts", counts_json(host));
	return o;
}

void traffic_explain(struct engine *e, struct control_client *client,
		     struct json_object *request)
{
	struct inquiry in;

	if (!inquiry_read(e, client, request, &in))
		return;
	struct gtm_trace *trace = calloc(1, sizeof(*trace));
	if (trace == NULL) {
		control_reply_error(client, "out of memory");
		return;
	}
	struct json_object *reply = json_object_new_object();
	json_object_object_add(reply, "explain", explain_json(e, &in, trace));
	free(trace);
	control_reply(client, reply);
}

/* -- one hostname in status
 * ------------------------------------------------------ */

struct json_object *traffic_host(struct engine *e, const struct gtm_host *host)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "name", host->config->id);
	add_text(o, "where", where_is(e->process, &host->config->name));
	json_object_object_add(o, "counts", counts_json(host));
	return o;
}

void traffic_answers(const struct gtm_world *world, const struct gtm_host *host,
		     struct json_object *list)
{
	char text[INET6_ADDRSTRLEN];

	for (size_t f = 0; f < GTM_FAMILIES; f++)
		for (size_t i = 0; i < host->n[f]; i++) {
			const struct gtm_candidate *c = &host->candidate[f][i];
			struct json_object *o = json_object_new_object();
			add_text(o, "name", host->config->id);
			add_text(o, "server",
				 world->config->servers[c->server].id);
			add_text(
				o, "address",
				traffic_address(f == GTM_V6, c->address, text));
			add_number(o, "given",
				   atomic_load_explicit(&c->tally->given,
							memory_order_relaxed));
			json_object_array_add(list, o);
		}
}
