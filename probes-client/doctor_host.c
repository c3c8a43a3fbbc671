/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Of 'nzctl doctor': the machine, and the side-car on it.
 */
#include "probes-client/doctor_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <unistd.h>

#define CAP_NET_RAW_BIT 13
#define PING_RANGE	"/proc/sys/net/ipv4/ping_group_range"
#define FILES_OWN	64u  /* of the side-car, beside its tests */
#define FILES_NAMED	512u /* of named, beside connections to origins */
#define FEED_LATE_S	30.0 /* beside the feed's own interval */

/* -- the clock ------------------------------------------------------------- */

void doctor_clock(struct doctor *d)
{
	struct timex clock = { .modes = 0 };
	int state = adjtimex(&clock);

	if (state < 0)
		doctor_say(d, DOCTOR_WARN, "clock", NULL,
			   "the kernel does not say whether it is right");
	else if (state == TIME_ERROR || (clock.status & STA_UNSYNC) != 0)
		doctor_say(d, DOCTOR_WARN, "clock",
			   "run chrony or systemd-timesyncd: values from more "
			   "than 2 s in the future are refused",
			   "the clock is not synchronised");
	else
		doctor_say(d, DOCTOR_OK, "clock", NULL,
			   "synchronised, at most %ld ms off",
			   clock.maxerror / 1000);
}

/* -- ping ------------------------------------------------------------------ */

static bool ping_range(const struct doctor *d, uint64_t *low, uint64_t *high)
{
	char text[128], *end = NULL;

	if (doctor_read(d->root, PING_RANGE, text, sizeof(text)) <= 0)
		return false;
	*low = strtoull(text, &end, 10);
	if (end == text)
		return false;
	const char *second = end;
	*high = strtoull(second, &end, 10);
	return end != second;
}

static bool in_range(const struct doctor_process *who, uint64_t low,
		     uint64_t high)
{
	if (who->gid >= low && who->gid <= high)
		return true;
	for (size_t i = 0; i < who->n_groups; i++)
		if (who->groups[i] >= low && who->groups[i] <= high)
			return true;
	return false;
}

void doctor_ping(struct doctor *d)
{
	static const char advice[] =
		"sysctl net.ipv4.ping_group_range=\"0 2147483647\", or give "
		"it CAP_NET_RAW (AmbientCapabilities)";
	uint64_t low = 1, high = 0;

	if (d->probed.pid != 0 &&
	    (d->probed.caps >> CAP_NET_RAW_BIT & 1) != 0) {
		doctor_say(d, DOCTOR_OK, "ping", NULL,
			   "the side-car has CAP_NET_RAW");
		return;
	}
	if (!ping_range(d, &low, &high))
		doctor_say(d, DOCTOR_WARN, "ping", advice,
			   "'" PING_RANGE "' cannot be read");
	else if (d->probed.pid == 0 && low > high)
		doctor_say(d, DOCTOR_WARN, "ping", advice,
			   "no group may send ICMP echo without CAP_NET_RAW");
	else if (d->probed.pid != 0 && !in_range(&d->probed, low, high))
		doctor_say(d, DOCTOR_WARN, "ping", advice,
			   "the side-car may not send ICMP echo");
	else
		doctor_say(d, DOCTOR_OK, "ping", NULL,
			   "groups %" PRIu64 " to %" PRIu64
			   " may send ICMP echo",
			   low, high);
}

/* -- open files ------------------------------------------------------------ */

/* Files of tests that run at one time if all of them hang. */
static uint64_t tests_files(const struct doctor *d)
{
	const struct config *config = d->config;
	double most = 0;

	for (size_t i = 0; i < config->n_servers; i++) {
		const struct config_server *server = &config->servers[i];
		const char *node = config->pops[server->pop].probe;
		if (node != NULL && d->probed_node[0] != '\0' &&
		    strcmp(node, d->probed_node) != 0)
			continue;
		for (size_t k = 0; k < config->n_services; k++) {
			const struct config_service *s = &config->services[k];
			bool asked = server->n_services == 0;
			for (size_t m = 0; m < server->n_services; m++)
				asked = asked || server->services[m] == k;
			if (asked && s->probe != CONFIG_NOLOAD)
				most += (double)server->n_addresses *
					s->timeout_ms / s->interval_ms;
		}
		if (server->load != NULL)
			most += (double)server->load->timeout_ms /
				server->load->interval_ms;
	}
	return (uint64_t)most + FILES_OWN;
}

static uint64_t origins_files(const struct config *config)
{
	uint64_t n = FILES_NAMED;

	for (size_t i = 0; i < config->n_zones; i++)
		n += config->zones[i].n_origins;
	return n;
}

static void files_say(struct doctor *d, const char *who,
		      const struct doctor_process *process, uint64_t need,
		      const char *advice)
{
	if (process->pid == 0)
		return; /* another line says that it does not run */
	if (process->nofile == 0)
		doctor_say(d, DOCTOR_WARN, "files", "ask as root",
			   "the limit of open files of %s cannot be read", who);
	else if (process->nofile < need)
		doctor_say(d, DOCTOR_FAIL, "files", advice,
			   "%s may have %" PRIu64
			   " files open, and may need %" PRIu64,
			   who, process->nofile, need);
	else
		doctor_say(d, DOCTOR_OK, "files", NULL,
			   "%s may have %" PRIu64
			   " files open, and needs at most about %" PRIu64,
			   who, process->nofile, need);
}

void doctor_files(struct doctor *d)
{
	if (d->config == NULL)
		return; /* the configuration's line has said why */
	files_say(d, "named", &d->named, origins_files(d->config),
		  "raise LimitNOFILE of named's unit");
	files_say(d, "the side-car", &d->probed, tests_files(d),
		  "raise LimitNOFILE of nearzone-probed's unit");
}

/* -- the side-car ---------------------------------------------------------- */

static bool anything_to_test(const struct config *config)
{
	for (size_t i = 0; i < config->n_pops; i++)
		if (config->pops[i].snmp != NULL)
			return true;
	for (size_t i = 0; i < config->n_servers; i++)
		if (config->servers[i].load != NULL)
			return true;
	for (size_t i = 0; i < config->n_services; i++)
		if (config->services[i].probe != CONFIG_NOLOAD)
			return config->n_servers > 0;
	return false;
}

/* It runs: does the plugin hear of it? */
static void feed_say(struct doctor *d)
{
	struct json_object *last = doctor_get(d->status, "traffic.feed.last_s");
	struct json_object *future =
		doctor_get(d->status, "traffic.feed.future");
	double late_s = FEED_LATE_S;

	if (d->config != NULL)
		late_s += d->config->feed_interval_ms / 1000.0;
	if (d->status == NULL)
		doctor_say(d, DOCTOR_WARN, "side-car",
			   "see the line of the socket",
			   "runs (pid %d, node '%s'), but named does not say "
			   "whether it is fed",
			   d->probed.pid, d->probed_node);
	else if (last == NULL || json_object_get_double(last) > late_s)
		doctor_say(d, DOCTOR_FAIL, "side-car",
			   "read its log: does it find the control socket, "
			   "and has it something to test?",
			   "runs (pid %d, node '%s'), but has told named "
			   "nothing for a while",
			   d->probed.pid, d->probed_node);
	else if (json_object_get_uint64(future) > 0)
		doctor_say(d, DOCTOR_WARN, "side-car",
			   "compare the clocks of those who measure",
			   "feeds named, but %" PRIu64
			   " values came from the future",
			   json_object_get_uint64(future));
	else
		doctor_say(d, DOCTOR_OK, "side-car", NULL,
			   "runs (pid %d, node '%s') and fed named %.1f s ago",
			   d->probed.pid, d->probed_node,
			   json_object_get_double(last));
}

void doctor_probed(struct doctor *d)
{
	bool needed = d->config == NULL || anything_to_test(d->config);

	if (d->probed.pid == 0 && !needed)
		doctor_say(d, DOCTOR_OK, "side-car", NULL,
			   "does not run, and there is nothing to test");
	else if (d->probed.pid == 0)
		doctor_say(d, DOCTOR_FAIL, "side-car",
			   "start nearzone-probed, and read its log",
			   "does not run: servers are not tested");
	else if (d->probed_file[0] != '\0' &&
		 strcmp(d->probed_file, d->file) != 0)
		doctor_say(d, DOCTOR_WARN, "side-car",
			   "start it with the same --config",
			   "runs (pid %d) with another configuration: '%s'",
			   d->probed.pid, d->probed_file);
	else if (!needed)
		doctor_say(d, DOCTOR_OK, "side-car", NULL,
			   "runs (pid %d), and there is nothing to test",
			   d->probed.pid);
	else
		feed_say(d);
}
