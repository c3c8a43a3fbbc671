/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/nzctl_probe.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"
#include "probes-client/probed_kind.h"
#include "probes-client/show.h"

#define CONFIG_DEFAULT "/etc/bind/nearzone.json"
#define FINDINGS_MAX   100u
#define FINDING_SIZE   4096u
#define ADDRESSES_MAX  16u

/* What is tested, and what came of it. */
struct probe {
	const struct nzctl_options *options;
	const struct config_server *server;
	const struct config_service *service;
	size_t n;
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	uint64_t dns_us; /* 0: no name was looked up */
	char address_text[PROBED_ADDRESS_MAX];
	bool good, done; /* of the newest test */
	struct probed_result result;
	struct json_object *rows; /* NULL: for people */
};

/* -- finding it ------------------------------------------------------------ */

static enum nzctl_exit complain(const char *what, const char *name)
{
	fprintf(stderr, "nzctl: probe: no %s '%s' in the configuration\n", what,
		name);
	return NZCTL_REFUSED;
}

static enum nzctl_exit config_read(const char *file, struct config **configp)
{
	struct err *errs = calloc(FINDINGS_MAX, sizeof(*errs));
	char text[FINDING_SIZE];
	size_t n = 0;

	if (errs == NULL) {
		fputs("nzctl: out of memory\n", stderr);
		return NZCTL_TROUBLE;
	}
	int rc = config_load(file, configp, errs, FINDINGS_MAX, &n);
	if (rc != 0 && n == 0)
		err_set(&errs[n++], 0, "", "%s",
			strerror_r(-rc, text, sizeof(text)));
	for (size_t i = 0; i < n; i++) {
		err_format(&errs[i], file, text, sizeof(text));
		show_text(stderr, slice_of(text));
		fputc('\n', stderr);
	}
	free(errs);
	return rc == 0 ? NZCTL_DONE : NZCTL_REFUSED;
}

/* A server that has a name and no address. */
static enum nzctl_exit alias_look_up(struct probe *probe, uv_loop_t *loop)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	char name[DNAME_TEXT_MAX], text[128];
	uv_getaddrinfo_t request;
	uint64_t from_ns = uv_hrtime();

	(void)dname_print(probe->server->alias, name);
	int rc = uv_getaddrinfo(loop, &request, NULL, name, NULL, &hints);
	if (rc != 0) {
		fprintf(stderr, "nzctl: probe: '%s': %s\n", name,
			uv_strerror_r(rc, text, sizeof(text)));
		return NZCTL_REFUSED;
	}
	probe->dns_us = (uv_hrtime() - from_ns) / 1000 + 1;
	for (const struct addrinfo *a = request.addrinfo;
	     a != NULL && probe->n < ADDRESSES_MAX; a = a->ai_next)
		if (a->ai_addrlen <= sizeof(probe->addresses[0]))
			memcpy(&probe->addresses[probe->n++], a->ai_addr,
			       a->ai_addrlen);
	uv_freeaddrinfo(request.addrinfo);
	return NZCTL_DONE;
}

static enum nzctl_exit target_find(struct probe *probe,
				   const struct config *config, uv_loop_t *loop)
{
	char **argv = probe->options->argv;

	for (size_t i = 0; i < config->n_services; i++)
		if (strcmp(config->services[i].id, argv[1]) == 0)
			probe->service = &config->services[i];
	for (size_t i = 0; i < config->n_servers; i++)
		if (strcmp(config->servers[i].id, argv[2]) == 0)
			probe->server = &config->servers[i];
	if (probe->service == NULL)
		return complain("service", argv[1]);
	if (probe->server == NULL)
		return complain("server", argv[2]);
	if (probe->service->probe == CONFIG_NOLOAD) {
		fprintf(stderr,
			"nzctl: probe: the service '%s' is tested by nobody: "
			"its probe is \"noload\"\n",
			argv[1]);
		return NZCTL_REFUSED;
	}
	if (probe->server->alias != NULL)
		return alias_look_up(probe, loop);
	for (size_t i = 0; i < probe->server->n_addresses && i < ADDRESSES_MAX;
	     i++)
		probe->addresses[probe->n++] = probe->server->addresses[i];
	return NZCTL_DONE;
}

/* -- showing it ------------------------------------------------------------ */

static void put_time(struct json_object *o, const char *key, uint64_t us)
{
	json_object_object_add(
		o, key,
		us > 0 ? json_object_new_double((double)us / 1000) : NULL);
}

static void put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

static void row_add(const struct probe *probe)
{
	const struct probed_result *r = &probe->result;
	struct json_object *row = json_object_new_object();
	struct json_object *times = json_object_new_object();

	put_text(row, "server", probe->server->id);
	put_text(row, "address", probe->address_text);
	put_text(row, "service", probe->service->id);
	put_text(row, "probe", config_probe_names[probe->service->probe]);
	json_object_object_add(row, "port",
			       json_object_new_int(probe->service->port));
	json_object_object_add(row, "good",
			       json_object_new_boolean(probe->good));
	json_object_object_add(row, "slow",
			       json_object_new_boolean(r->degraded));
	json_object_object_add(row, "metric",
			       probe->good ? json_object_new_int64(r->metric_ms)
					   : NULL);
	json_object_object_add(row, "code", json_object_new_int((int)r->error));
	if (!probe->good)
		put_text(row, "error", probe_error_text(r->error));
	if (r->detail[0] != '\0')
		put_text(row, "detail", r->detail);
	put_time(times, "dns_ms", probe->dns_us);
	put_time(times, "connect_ms", r->times.connect_us);
	put_time(times, "tls_ms", r->times.tls_us);
	put_time(times, "first_byte_ms", r->times.first_us);
	put_time(times, "total_ms", r->times.total_us);
	json_object_object_add(row, "times", times);
	if (r->expires_s != 0)
		json_object_object_add(row, "certificate_ends",
				       json_object_new_int64(r->expires_s));
	json_object_array_add(probe->rows, row);
}

static void time_show(const char *what, uint64_t us)
{
	if (us > 0)
		printf("  %-12s%" PRIu64 ".%03" PRIu64 " ms\n", what, us / 1000,
		       us % 1000);
}

static void probe_show(const struct probe *probe)
{
	const struct probed_result *r = &probe->result;
	char cause[PROBED_LINE_MAX], span[32];

	if (probe->good)
		snprintf(cause, sizeof(cause), "%s, metric %" PRIu32 "%s%s",
			 r->degraded ? "slow" : "good", r->metric_ms,
			 r->detail[0] != '\0' ? ": " : "", r->detail);
	else
		probed_cause_print(r, cause, sizeof(cause));
	printf("server '%s' %s service '%s' (%s, port %u): ", probe->server->id,
	       probe->address_text, probe->service->id,
	       config_probe_names[probe->service->probe], probe->service->port);
	show_text(stdout, slice_of(cause));
	putchar('\n');
	time_show("dns", probe->dns_us);
	time_show("connect", r->times.connect_us);
	time_show("tls", r->times.tls_us);
	time_show("first byte", r->times.first_us);
	time_show("total", r->times.total_us);
	if (r->expires_s == 0)
		return;
	int64_t left_s = r->expires_s - (int64_t)time(NULL);
	probed_span_print((uint64_t)(left_s < 0 ? -left_s : left_s) * 1000,
			  span, sizeof(span));
	printf(left_s < 0 ? "  %-12sended %s ago\n" : "  %-12sends in %s\n",
	       "certificate", span);
}

/* -- running it ------------------------------------------------------------ */

static void on_done(void *arg, const struct probed_result *result)
{
	struct probe *probe = arg;

	probe->result = *result;
	probe->good = result->error == PROBE_OK;
	probe->done = true;
}

/* Tests all addresses, one after another; returns how many are good. */
static size_t run_all(struct probe *probe, uv_loop_t *loop,
		      struct probed_kinds *kinds)
{
	size_t n_good = 0;

	for (size_t i = 0; i < probe->n; i++) {
		struct probed_task task = {
			.service = probe->service,
			.address = &probe->addresses[i],
			.address_text = probe->address_text,
			.done = on_done,
			.arg = probe,
		};
		struct probed_test *test;
		probed_address_print(task.address, probe->address_text);
		probe->done = false;
		if (probed_kinds_start(kinds, &task, &test) != 0)
			return 0;
		while (!probe->done)
			uv_run(loop, UV_RUN_ONCE);
		n_good += probe->good;
		if (probe->rows != NULL)
			row_add(probe);
		else
			probe_show(probe);
	}
	return n_good;
}

static enum nzctl_exit run(struct probe *probe, uv_loop_t *loop)
{
	struct probed_kinds *kinds = NULL;

	if (probed_kinds_new(loop, &kinds) != 0) {
		fputs("nzctl: out of memory\n", stderr);
		return NZCTL_TROUBLE;
	}
	if (probe->options->json)
		probe->rows = json_object_new_array();
	bool ok = run_all(probe, loop, kinds) == probe->n && probe->n > 0;
	probed_kinds_close(kinds);
	uv_run(loop, UV_RUN_DEFAULT);
	if (!probe->options->json)
		return ok ? NZCTL_DONE : NZCTL_REFUSED;
	struct json_object *doc = json_object_new_object();
	json_object_object_add(doc, "ok", json_object_new_boolean(ok));
	json_object_object_add(doc, "probes", probe->rows);
	puts(json_object_to_json_string_ext(
		doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(doc);
	return ok ? NZCTL_DONE : NZCTL_REFUSED;
}

enum nzctl_exit nzctl_probe(const struct nzctl_options *options)
{
	struct probe probe = { .options = options };
	const char *file =
		options->config != NULL ? options->config : CONFIG_DEFAULT;
	struct config *config = NULL;
	uv_loop_t loop;

	if (strcmp(options->argv[0], "run") != 0) {
		fputs("nzctl: probe: want 'probe run SERVICE SERVER'\n",
		      stderr);
		return NZCTL_USAGE;
	}
	enum nzctl_exit result = config_read(file, &config);
	if (result != NZCTL_DONE)
		return result;
	if (uv_loop_init(&loop) != 0 ||
	    curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		fputs("nzctl: probe: no event loop, or no libcurl\n", stderr);
		config_free(config);
		return NZCTL_TROUBLE;
	}
	result = target_find(&probe, config, &loop);
	if (result == NZCTL_DONE)
		result = run(&probe, &loop);
	uv_loop_close(&loop);
	curl_global_cleanup();
	config_free(config);
	return result;
}
