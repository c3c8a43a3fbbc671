/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Services: which keys go with which kind of probe, what holds between them,
 * and what becomes of them.
 */
#include "common/config_int.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

const char *const config_probe_names[CONFIG_PROBES + 1] = {
	[CONFIG_NOLOAD] = "noload",   [CONFIG_TCP_CONNECT] = "tcp",
	[CONFIG_HTTP] = "http",	      [CONFIG_HTTPS] = "https",
	[CONFIG_HTTP2] = "http2",     [CONFIG_TLS_ONLY] = "tls",
	[CONFIG_FTP] = "ftp",	      [CONFIG_FTPS] = "ftps",
	[CONFIG_SMTP] = "smtp",	      [CONFIG_RTSP] = "rtsp",
	[CONFIG_RTMP] = "rtmp",	      [CONFIG_DNS] = "dns",
	[CONFIG_PROGRAM] = "program",
};

/* Groups of keys. */
enum {
	HAS_PATH = 1,
	HAS_HOST = 2,
	HAS_TLS = 4,
	HAS_METHOD = 8,
	HAS_HEADERS = 16, /* both ways */
	HAS_STARTTLS = 32,
	HAS_QUESTION = 64,
	HAS_COMMAND = 128,
	HAS_SOURCE = 256,
	HAS_STATUS = 512,
	HAS_TEXT = 1024, /* a banner or a body */
	HAS_BODY = 2048, /* of a size, with a hash */
	HAS_EXPECT = 4096,
};
#define WEB                                                                    \
	(HAS_PATH | HAS_HOST | HAS_METHOD | HAS_HEADERS | HAS_SOURCE |         \
	 HAS_STATUS | HAS_TEXT | HAS_BODY | HAS_EXPECT)
#define BANNER (HAS_SOURCE | HAS_TEXT | HAS_EXPECT)

static const struct {
	uint16_t port; /* 0: it has none of its own */
	uint16_t has;
} kinds[CONFIG_PROBES] = {
	[CONFIG_NOLOAD] = { 0, 0 },
	[CONFIG_TCP_CONNECT] = { 0, BANNER },
	[CONFIG_HTTP] = { 80, WEB },
	[CONFIG_HTTPS] = { 443, WEB | HAS_TLS },
	[CONFIG_HTTP2] = { 443, WEB | HAS_TLS },
	[CONFIG_TLS_ONLY] = { 443,
			      HAS_HOST | HAS_TLS | HAS_SOURCE | HAS_EXPECT },
	[CONFIG_FTP] = { 21, BANNER | HAS_HOST | HAS_STARTTLS },
	[CONFIG_FTPS] = { 990, BANNER | HAS_HOST | HAS_TLS },
	[CONFIG_SMTP] = { 25, BANNER | HAS_HOST | HAS_STARTTLS },
	[CONFIG_RTSP] = { 554, BANNER | HAS_PATH | HAS_HOST | HAS_METHOD |
				       HAS_HEADERS | HAS_STATUS },
	[CONFIG_RTMP] = { 1935, HAS_SOURCE },
	[CONFIG_DNS] = { 53, HAS_QUESTION | HAS_SOURCE | HAS_EXPECT },
	[CONFIG_PROGRAM] = { 0, HAS_COMMAND | BANNER },
};

/* In the order of the schema's words. */
static const uint16_t types[] = { 1, 28, 2, 6, 5, 12, 15, 16, 33 };

/* -- blocks that end before their service does ----------------------------- */

/* A list of texts, kept. */
static const char *const *texts_keep(struct config_check *c,
				     struct config_traffic *t,
				     const struct config_value *v)
{
	const char **made = config_arena_alloc(
		t->arena, (v->count + 1) * sizeof(const char *));

	for (size_t i = 0; made != NULL && i < v->count; i++) {
		made[i] = config_arena_text(t->arena,
					    c->elements[v->first + i].text);
		if (made[i] == NULL)
			c->rc = -ENOMEM;
	}
	if (made == NULL)
		c->rc = -ENOMEM;
	return made;
}

static const char *text_keep(struct config_check *c, struct config_traffic *t,
			     const struct config_value *v)
{
	if (!v->given || !v->ok)
		return NULL;
	const char *made = config_arena_text(t->arena, v->text);
	if (made == NULL)
		c->rc = -ENOMEM;
	return made;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void hash_read(struct config_check *c, struct config_expect *e,
		      const struct config_value *v)
{
	char shown[CONFIG_SHOW_MAX];

	for (size_t i = 0; i < sizeof(e->sha256); i++) {
		int high = digit(v->text.p[2 * i]);
		int low = digit(v->text.p[2 * i + 1]);
		if (high < 0 || low < 0) {
			config_find(c, v->node,
				    "%s is not 64 hexadecimal digits",
				    config_quote(v->text, shown));
			return;
		}
		e->sha256[i] = (uint8_t)(high << 4 | low);
	}
	e->hashed = true;
}

static void pattern_read(struct config_check *c, const struct config_value *v)
{
	char shown[CONFIG_SHOW_MAX];
	const char *wrong = config_pattern_wrong(v->text);

	if (wrong != NULL)
		config_find(c, v->node, "%s: %s", config_quote(v->text, shown),
			    wrong);
}

static void lists_keep(struct config_check *c, struct config_traffic *t,
		       struct config_expect *e, const struct config_value *v)
{
	const struct config_value *status = &v[EXPECT_STATUS];
	const struct config_value *rcode = &v[EXPECT_RCODE];

	for (size_t i = 0; status->ok && i < status->count; i++) {
		int64_t n = c->elements[status->first + i].n;
		e->statuses[e->n_statuses++] =
			(struct config_span){ (uint16_t)(n & 0xffff),
					      (uint16_t)(n >> 16) };
	}
	for (size_t i = 0; rcode->ok && i < rcode->count; i++)
		e->rcodes |= 1u << c->elements[rcode->first + i].n;
	if (v[EXPECT_HEADERS].given && v[EXPECT_HEADERS].ok) {
		e->n_headers = v[EXPECT_HEADERS].count;
		e->headers = texts_keep(c, t, &v[EXPECT_HEADERS]);
	}
	if (v[EXPECT_ANSWERS].given && v[EXPECT_ANSWERS].ok) {
		e->n_answers = v[EXPECT_ANSWERS].count;
		e->answers = texts_keep(c, t, &v[EXPECT_ANSWERS]);
	}
}

static void expect_built(struct config_check *c, struct config_traffic *t,
			 const struct config_value *v)
{
	struct config_expect *e = &t->expect;

	*e = (struct config_expect){ .size_max = UINT64_MAX };
	lists_keep(c, t, e, v);
	e->body = text_keep(c, t, &v[EXPECT_BODY]);
	e->pattern = text_keep(c, t, &v[EXPECT_REGEX]);
	if (e->pattern != NULL)
		pattern_read(c, &v[EXPECT_REGEX]);
	e->size_min = (uint64_t)v[EXPECT_SIZE_MIN].n;
	if (v[EXPECT_SIZE_MAX].given && v[EXPECT_SIZE_MAX].ok)
		e->size_max = (uint64_t)v[EXPECT_SIZE_MAX].n;
	if (e->size_min > e->size_max)
		config_find(c, v[EXPECT_SIZE_MIN].node,
			    "\"size-min\" is more than \"size-max\"");
	if (v[EXPECT_SHA256].given && v[EXPECT_SHA256].ok)
		hash_read(c, e, &v[EXPECT_SHA256]);
	e->valid_s = (uint32_t)(v[EXPECT_VALID].n / 1000);
}

bool config_service_built(struct config_check *c, struct config_traffic *t,
			  enum schema_block_id id, uint32_t node,
			  const struct config_value *v)
{
	if (id == SCHEMA_EXPECT) {
		expect_built(c, t, v);
		return true;
	}
	if (id == SCHEMA_DAMPING) {
		t->damping = (struct config_damping){
			.half_life_ms = (uint32_t)v[DAMPING_HALF_LIFE].n,
			.longest_ms = (uint32_t)v[DAMPING_LONGEST].n,
			.suppress = v[DAMPING_SUPPRESS].d,
			.reuse = v[DAMPING_REUSE].d,
		};
		if (t->damping.reuse >= t->damping.suppress)
			config_find(c, node,
				    "\"reuse\" is not less than \"suppress\"");
		return true;
	}
	t->question = (struct config_question){
		.type = types[v[QUESTION_TYPE].n],
		.tcp = v[QUESTION_TRANSPORT].n != 0,
	};
	if (!v[QUESTION_NAME].given || !v[QUESTION_NAME].ok)
		return true;
	struct dname *name = config_arena_alloc(t->arena, sizeof(*name));
	if (name == NULL)
		c->rc = -ENOMEM;
	else if (dname_parse(v[QUESTION_NAME].text, name) == 0)
		t->question.name = name;
	return true;
}

/* -- what goes with what --------------------------------------------------- */

static const struct {
	uint8_t key;
	uint16_t has;
	const char *name;
} keys[] = {
	{ SERVICE_PATH, HAS_PATH, "path" },
	{ SERVICE_EXPECT, HAS_EXPECT, "expect" },
	{ SERVICE_HOST, HAS_HOST, "host" },
	{ SERVICE_VERIFY, HAS_TLS, "verify" },
	{ SERVICE_CA_FILE, HAS_TLS, "ca-file" },
	{ SERVICE_METHOD, HAS_METHOD, "method" },
	{ SERVICE_HEADERS, HAS_HEADERS, "headers" },
	{ SERVICE_STARTTLS, HAS_STARTTLS, "starttls" },
	{ SERVICE_QUESTION, HAS_QUESTION, "question" },
	{ SERVICE_COMMAND, HAS_COMMAND, "command" },
	{ SERVICE_PERFDATA, HAS_COMMAND, "perfdata" },
	{ SERVICE_SOURCE, HAS_SOURCE, "source" },
};

/* What the service's kind has, by all its keys. */
static unsigned int has_of(const struct config_value *v)
{
	unsigned int has = kinds[v[SERVICE_PROBE].n].has;

	if ((has & HAS_STARTTLS) != 0 && v[SERVICE_STARTTLS].n != 0)
		has |= HAS_TLS;
	return has;
}

static void keys_check(struct config_check *c, const struct config_value *v)
{
	const char *probe = config_probe_names[v[SERVICE_PROBE].n];
	unsigned int has = has_of(v);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (v[keys[i].key].given && (has & keys[i].has) == 0)
			config_find(c, v[keys[i].key].node,
				    "\"%s\" is not for the probe \"%s\"",
				    keys[i].name, probe);
}

/* What a good answer is goes with the kind, too. */
static void expect_check(struct config_check *c, const struct config_traffic *t,
			 const struct config_value *v)
{
	const struct config_expect *e = &t->expect;
	const struct config_value *at = &v[SERVICE_EXPECT];
	unsigned int has = has_of(v);
	bool dns = (has & HAS_QUESTION) != 0;
	const char *wrong = NULL;

	if (!at->given || !at->ok || (has & HAS_EXPECT) == 0)
		return;
	if (e->n_statuses > 0 && (has & HAS_STATUS) == 0)
		wrong = "status";
	else if (e->body != NULL && (has & HAS_TEXT) == 0)
		wrong = "body";
	else if (e->pattern != NULL && (has & HAS_TEXT) == 0)
		wrong = "regex";
	else if (e->n_headers > 0 && (has & HAS_HEADERS) == 0)
		wrong = "headers";
	else if ((e->size_min > 0 || e->size_max != UINT64_MAX) &&
		 (has & HAS_BODY) == 0)
		wrong = "size-min\" or \"size-max";
	else if (e->hashed && (has & HAS_BODY) == 0)
		wrong = "sha256";
	else if (e->rcodes != 0 && !dns)
		wrong = "rcode";
	else if (e->n_answers > 0 && !dns)
		wrong = "answers";
	else if (e->valid_s > 0 && (has & HAS_TLS) == 0)
		wrong = "valid-for";
	if (wrong != NULL)
		config_find(c, at->node,
			    "\"%s\" in \"expect\" is not for the probe \"%s\"",
			    wrong, config_probe_names[v[SERVICE_PROBE].n]);
}

static void method_check(struct config_check *c, const struct config_value *v)
{
	bool rtsp = v[SERVICE_PROBE].n == CONFIG_RTSP;
	enum config_request method =
		(enum config_request)(v[SERVICE_METHOD].n + 1);

	if (!v[SERVICE_METHOD].given || !v[SERVICE_METHOD].ok ||
	    method == CONFIG_OPTIONS)
		return;
	if (rtsp != (method == CONFIG_DESCRIBE))
		config_find(c, v[SERVICE_METHOD].node,
			    "not a method of the probe \"%s\"",
			    config_probe_names[v[SERVICE_PROBE].n]);
}

/* Fields go into the request as they are: nothing that ends one. */
static void headers_check(struct config_check *c, const struct config_value *v)
{
	const struct config_value *list = &v[SERVICE_HEADERS];
	char shown[CONFIG_SHOW_MAX];

	for (size_t i = 0; list->ok && i < list->count; i++) {
		struct slice text = c->elements[list->first + i].text;
		bool fine = memchr(text.p, ':', text.n) > (void *)text.p;
		for (size_t k = 0; k < text.n; k++) {
			unsigned char o = (unsigned char)text.p[k];
			fine = fine && o >= 0x20 && o != 0x7f;
		}
		if (!fine)
			config_find(c, list->node, "%s is not \"Name: text\"",
				    config_quote(text, shown));
	}
}

static void source_check(struct config_check *c, const struct config_value *v)
{
	const struct config_value *list = &v[SERVICE_SOURCE];
	struct sockaddr_storage one, two;

	if (list->given && list->ok && list->count == 2 &&
	    config_address_parse(c->elements[list->first].text, &one) == 0 &&
	    config_address_parse(c->elements[list->first + 1].text, &two) ==
		    0 &&
	    one.ss_family == two.ss_family)
		config_find(c, list->node,
			    "\"source\" has two addresses of one family");
}

static void program_check(struct config_check *c, const struct config_value *v)
{
	const struct config_value *list = &v[SERVICE_COMMAND];

	if (list->given && list->ok && list->count > 0 &&
	    (c->elements[list->first].text.n == 0 ||
	     c->elements[list->first].text.p[0] != '/'))
		config_find(c, list->node,
			    "the program in \"command\" is not an absolute "
			    "path");
}

static void missing_check(struct config_check *c, uint32_t node,
			  const struct config_value *v)
{
	enum config_probe probe = (enum config_probe)v[SERVICE_PROBE].n;

	if (probe == CONFIG_TCP_CONNECT && !v[SERVICE_PORT].given)
		config_find(c, node,
			    "missing key \"port\": the probe \"tcp\" has none "
			    "of its own");
	if (probe == CONFIG_DNS && !v[SERVICE_QUESTION].given)
		config_find(c, node,
			    "missing key \"question\": the probe \"dns\" does "
			    "not know what to ask");
	if (probe == CONFIG_PROGRAM && !v[SERVICE_COMMAND].given)
		config_find(c, node,
			    "missing key \"command\": the probe \"program\" "
			    "does not know what to run");
}

static void times_check(struct config_check *c, const struct config_value *v)
{
	const struct config_value *interval = &v[SERVICE_INTERVAL];
	const struct config_value *timeout = &v[SERVICE_TIMEOUT];
	const struct config_value *fast = &v[SERVICE_FAST_INTERVAL];
	const struct config_value *degraded = &v[SERVICE_DEGRADED];

	if (interval->ok && timeout->ok && timeout->n > interval->n)
		config_find(c, timeout->given ? timeout->node : interval->node,
			    "\"timeout\" is longer than \"interval\"");
	if (fast->given && fast->ok && interval->ok && fast->n > interval->n)
		config_find(c, fast->node,
			    "\"fast-interval\" is longer than "
			    "\"interval\"");
	if (degraded->given && degraded->ok && timeout->ok &&
	    degraded->n >= timeout->n)
		config_find(c, degraded->node,
			    "\"degraded\" is not shorter than \"timeout\"");
}

void config_service_check(struct config_check *c, struct config_traffic *t,
			  uint32_t node, const struct config_value *v)
{
	times_check(c, v);
	if (!v[SERVICE_PROBE].given || !v[SERVICE_PROBE].ok)
		return;
	missing_check(c, node, v);
	keys_check(c, v);
	expect_check(c, t, v);
	method_check(c, v);
	headers_check(c, v);
	source_check(c, v);
	program_check(c, v);
}

/* -- keeping it ------------------------------------------------------------ */

static void sources_keep(struct config_check *c, struct config_service *s,
			 const struct config_value *list)
{
	for (size_t i = 0; list->given && i < list->count; i++) {
		struct sockaddr_storage one;
		if (config_address_parse(c->elements[list->first + i].text,
					 &one) != 0)
			continue;
		if (one.ss_family == AF_INET)
			s->source4 = one;
		else
			s->source6 = one;
	}
}

void config_service_keep(struct config_check *c, struct config_traffic *t,
			 struct config_service *s, const struct config_value *v)
{
	s->port = v[SERVICE_PORT].given ? (uint16_t)v[SERVICE_PORT].n
					: kinds[s->probe].port;
	s->expect = t->expect;
	s->damping = t->damping;
	s->question = t->question;
	s->degraded_ms =
		v[SERVICE_DEGRADED].given ? (uint32_t)v[SERVICE_DEGRADED].n : 0;
	s->quorum = (uint8_t)v[SERVICE_QUORUM].n;
	s->starttls = v[SERVICE_STARTTLS].n != 0;
	if (v[SERVICE_METHOD].given)
		s->method = (enum config_request)(v[SERVICE_METHOD].n + 1);
	sources_keep(c, s, &v[SERVICE_SOURCE]);
	if (v[SERVICE_HEADERS].given) {
		s->n_headers = v[SERVICE_HEADERS].count;
		s->headers = texts_keep(c, t, &v[SERVICE_HEADERS]);
	}
	if (v[SERVICE_COMMAND].given) {
		s->n_command = v[SERVICE_COMMAND].count;
		s->command = texts_keep(c, t, &v[SERVICE_COMMAND]);
	}
	s->perfdata = text_keep(c, t, &v[SERVICE_PERFDATA]);
}

/* -- comparing ------------------------------------------------------------- */

static bool text_same(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

static bool texts_same(const char *const *a, size_t n_a, const char *const *b,
		       size_t n_b)
{
	bool same = n_a == n_b;

	for (size_t i = 0; same && i < n_a; i++)
		same = strcmp(a[i], b[i]) == 0;
	return same;
}

static bool expect_same(const struct config_expect *a,
			const struct config_expect *b)
{
	bool same = a->n_statuses == b->n_statuses;

	for (size_t i = 0; same && i < a->n_statuses; i++)
		same = a->statuses[i].low == b->statuses[i].low &&
		       a->statuses[i].high == b->statuses[i].high;
	return same && text_same(a->body, b->body) &&
	       text_same(a->pattern, b->pattern) &&
	       texts_same(a->headers, a->n_headers, b->headers, b->n_headers) &&
	       a->size_min == b->size_min && a->size_max == b->size_max &&
	       a->hashed == b->hashed &&
	       memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0 &&
	       a->rcodes == b->rcodes && a->valid_s == b->valid_s &&
	       texts_same(a->answers, a->n_answers, b->answers, b->n_answers);
}

static bool question_same(const struct config_question *a,
			  const struct config_question *b)
{
	if (a->name == NULL || b->name == NULL)
		return a->name == b->name;
	return a->type == b->type && a->tcp == b->tcp &&
	       dname_equal(a->name, b->name);
}

static bool source_same(const struct sockaddr_storage *a,
			const struct sockaddr_storage *b)
{
	return a->ss_family == b->ss_family &&
	       (a->ss_family == AF_UNSPEC || config_address_order(a, b) == 0);
}

bool config_service_same(const struct config_service *a,
			 const struct config_service *b)
{
	return a->probe == b->probe && a->port == b->port &&
	       a->verify == b->verify && a->method == b->method &&
	       a->starttls == b->starttls && text_same(a->path, b->path) &&
	       text_same(a->host, b->host) &&
	       text_same(a->ca_file, b->ca_file) &&
	       text_same(a->perfdata, b->perfdata) &&
	       expect_same(&a->expect, &b->expect) &&
	       question_same(&a->question, &b->question) &&
	       source_same(&a->source4, &b->source4) &&
	       source_same(&a->source6, &b->source6) &&
	       texts_same(a->headers, a->n_headers, b->headers, b->n_headers) &&
	       texts_same(a->command, a->n_command, b->command, b->n_command);
}
