/* SPDX-License-Identifier: MPL-2.0 */
#include "gtm/explain.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

const char *const gtm_explain_tiers[CONFIG_TIERS] = { "primary", "next",
						      "backup", "hidden" };
const char *const gtm_explain_outcomes[] = {
	[GTM_ADDRESSES] = "addresses",
	[GTM_ALIAS] = "alias",
	[GTM_NODATA] = "nodata",
	[GTM_SERVFAIL] = "servfail",
};

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static void add_double(struct json_object *o, const char *key, double d)
{
	json_object_object_add(o, key, json_object_new_double(d));
}

/* -- what is asked --------------------------------------------------------- */

bool gtm_explain_client(const char *text, struct gtm_client *out)
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

const struct gtm_host *gtm_explain_host(const struct gtm_world *world,
					const struct dname *name)
{
	for (size_t i = 0; i < world->n_hosts; i++)
		if (dname_equal(&world->hosts[i].config->name, name))
			return &world->hosts[i];
	return NULL;
}

/* -- what is said ---------------------------------------------------------- */

const char *gtm_explain_address(bool v6, const uint8_t *octets, char *out)
{
	out[0] = '\0';
	(void)inet_ntop(v6 ? AF_INET6 : AF_INET, octets, out, INET6_ADDRSTRLEN);
	return out;
}

const char *gtm_explain_candidate(enum gtm_family family,
				  const struct gtm_candidate *c, char *out)
{
	if (c->alias == NULL)
		return gtm_explain_address(family == GTM_V6, c->address, out);
	(void)dname_print(c->alias, out);
	return out;
}

/* A number that may be unknown. */
static void add_known(struct json_object *o, const char *key, float value)
{
	if (value >= 0.0f)
		add_double(o, key, (double)value);
}

/* What is known of a candidate, and counts for this hostname. */
static void add_values(struct json_object *o, const struct gtm_explain *in,
		       const struct gtm_trace_line *line)
{
	const struct config_weigh *weigh = &in->host->config->weigh;

	if (weigh->latency > 0.0f && line->basis != GTM_BASIS_NONE) {
		add_known(o, "latency_ms", line->latency_ms);
		add_text(o, "latency", gtm_basis_names[line->basis]);
	}
	if (weigh->latency > 0.0f && line->basis == GTM_BASIS_MEASURED)
		add_double(o, "latency_age_s",
			   (double)line->latency_age_ms / 1000);
	if (weigh->load > 0.0f)
		add_known(o, "load", line->load);
	if (weigh->loss > 0.0f)
		add_known(o, "loss_pct", line->loss);
	if (weigh->bandwidth > 0.0f)
		add_known(o, "bandwidth_pct", line->bandwidth);
	add_known(o, "cost", line->cost);
}

static void add_answer(struct json_object *o, const struct gtm_explain *in,
		       const struct gtm_answer *g)
{
	struct json_object *list = json_object_new_array();
	char text[DNAME_TEXT_MAX];

	add_text(o, "rule", gtm_rule_names[g->rule]);
	add_text(o, "tier", gtm_explain_tiers[g->tier]);
	add_text(o, "outcome", gtm_explain_outcomes[g->outcome]);
	for (unsigned int i = 0; i < g->n; i++)
		json_object_array_add(
			list,
			json_object_new_string(gtm_explain_candidate(
				in->q->family,
				&g->host->candidate[in->q->family][g->pick[i]],
				text)));
	json_object_object_add(o, "answer", list);
	add_number(o, "ttl_s", g->ttl_s);
	add_number(o, "scope", g->scope);
}

static struct json_object *candidate_json(const struct gtm_explain *in,
					  const struct gtm_host *host, size_t i,
					  const struct gtm_trace_line *line)
{
	const struct config *config = in->world->config;
	const struct gtm_candidate *c = &host->candidate[in->q->family][i];
	const struct config_server *server = &config->servers[c->server];
	struct json_object *o = json_object_new_object();
	char text[DNAME_TEXT_MAX];

	add_text(o, "server", server->id);
	add_text(o, "pop", config->pops[server->pop].id);
	add_text(o, "tier", gtm_explain_tiers[c->tier]);
	add_text(o, c->alias == NULL ? "address" : "alias",
		 gtm_explain_candidate(in->q->family, c, text));
	add_text(o, "state", gtm_class_names[line->class]);
	if (line->when_ms != 0) {
		uint64_t age_ms = in->q->now_ms > line->when_ms
					  ? in->q->now_ms - line->when_ms
					  : 0;
		add_number(o, "metric", line->metric);
		add_double(o, "age_s", (double)age_ms / 1000);
	}
	add_values(o, in, line);
	add_number(o, "weight", line->weight);
	add_double(o, "share", line->share);
	add_text(o, "verdict", gtm_verdict_names[line->verdict]);
	if (in->counted)
		add_number(o, "given",
			   atomic_load_explicit(&c->tally->given,
						memory_order_relaxed));
	return o;
}

struct json_object *gtm_explain_counts(const struct gtm_host *host)
{
	struct json_object *o = json_object_new_object();

	for (size_t k = 0; k < GTM_COUNTS; k++)
		add_number(o, gtm_count_names[k],
			   atomic_load_explicit(&host->counts->n[k],
						memory_order_relaxed));
	return o;
}

/* Who the client is by the map of clients: its rule, and what it is found by.
 */
static void add_who(struct json_object *o, const struct gtm_explain *in)
{
	char country[3] = "";
	uint8_t scope;

	if (in->q->clients == NULL)
		return;
	const struct gtm_place *place =
		gtm_clients_find(in->q->clients, &in->q->client, &scope);
	if (place->rule != CONFIG_NONE)
		add_text(o, "clients",
			 in->world->config->clients[place->rule].id);
	country[0] = (char)(place->country >> 8);
	country[1] = (char)(place->country & 0xff);
	if (place->country != 0)
		add_text(o, "country", country);
	if (place->as != 0)
		add_number(o, "as", place->as);
}

struct json_object *gtm_explain_json(const struct gtm_explain *in)
{
	const struct gtm_host *host = in->host;
	const struct config_hostname *config = host->config;
	struct json_object *o = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct gtm_trace *trace = calloc(1, sizeof(*trace));
	struct gtm_answer g;

	if (trace == NULL) {
		json_object_put(o);
		json_object_put(list);
		return NULL;
	}
	gtm_decide(host, in->q, &g, trace);
	add_text(o, "name", config->id);
	add_text(o, "type", in->q->family == GTM_V6 ? "AAAA" : "A");
	if (in->where != NULL)
		add_text(o, "where", in->where);
	if (config->service != CONFIG_NONE)
		add_text(o, "service",
			 in->world->config->services[config->service].id);
	add_text(o, "client", in->client);
	add_who(o, in);
	add_answer(o, in, &g);
	if (config->dry_run)
		json_object_object_add(o, "dry_run",
				       json_object_new_boolean(true));
	if (g.kept)
		json_object_object_add(o, "kept",
				       json_object_new_boolean(true));
	if (g.host != host)
		add_text(o, "else", g.host->config->id);
	for (size_t i = 0; i < trace->n; i++)
		json_object_array_add(
			list, candidate_json(in, g.host, i, &trace->line[i]));
	json_object_object_add(o, "candidates", list);
	if (in->counted)
		json_object_object_add(o, "counts", gtm_explain_counts(host));
	free(trace);
	return o;
}
