/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/nzctl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "probes-client/doctor.h"
#include "probes-client/listing.h"
#include "probes-client/local.h"
#include "probes-client/nzctl_probe.h"
#include "probes-client/remote.h"
#include "probes-client/replay.h"
#include "probes-client/then.h"

#ifdef PACKAGE_VERSION
#define VERSION_TEXT PACKAGE_VERSION
#else
#define VERSION_TEXT "(development)"
#endif

#define SOCKET_DEFAULT "/var/lib/bind/nearzone/control.sock"
#define SOCKET_ENV     "NEARZONE_SOCKET"
#define VIEW_DEFAULT   NZCTL_VIEW_DEFAULT
#define TIMEOUT_MS     10000u
#define TIMEOUT_MAX_S  86400u
#define MAX_MAX	       1000000u
#define REASON_MAX     200u	  /* octets */
#define DRAIN_MAX_S    315360000u /* ten years */

/* Options that only some commands take: bits. */
enum {
	TAKES_ZONE = 1,
	TAKES_SUBTREE = 2,
	TAKES_COUNT = 4,
	TAKES_CLIENT = 8,
	TAKES_REASON = 16,
	TAKES_FOR = 32,
	TAKES_FILE = 64,
	TAKES_MAX = 128,
	TAKES_RENEW = 256,
	TAKES_POP = 512,
	TAKES_AT = 1024,
	TAKES_CONFIG = 2048,
	TAKES_LOG = 4096,
	TAKES_BEFORE = 8192,
	TAKES_LATENCY = 16384,
	TAKES_PLACES = 32768,
	TAKES_VIEW = 65536,
};

enum option_id {
	OPT_SOCKET = 256,
	OPT_TIMEOUT,
	OPT_JSON,
	OPT_ZONE,
	OPT_SUBTREE,
	OPT_COUNT,
	OPT_CLIENT,
	OPT_REASON,
	OPT_FOR,
	OPT_FILE,
	OPT_MAX,
	OPT_RENEW,
	OPT_POP,
	OPT_AT,
	OPT_CONFIG,
	OPT_LOG,
	OPT_BEFORE,
	OPT_LATENCY,
	OPT_ROOT,
	OPT_NAMED,
	OPT_PLUGIN,
	OPT_VIEW,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "zone", required_argument, NULL, OPT_ZONE },
	{ "subtree", required_argument, NULL, OPT_SUBTREE },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "client", required_argument, NULL, OPT_CLIENT },
	{ "reason", required_argument, NULL, OPT_REASON },
	{ "for", required_argument, NULL, OPT_FOR },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "max", required_argument, NULL, OPT_MAX },
	{ "renew", no_argument, NULL, OPT_RENEW },
	{ "pop", required_argument, NULL, OPT_POP },
	{ "at", required_argument, NULL, OPT_AT },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "before", required_argument, NULL, OPT_BEFORE },
	{ "latency", required_argument, NULL, OPT_LATENCY },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "named", required_argument, NULL, OPT_NAMED },
	{ "plugin", required_argument, NULL, OPT_PLUGIN },
	{ "view", required_argument, NULL, OPT_VIEW },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

struct command {
	const char *name;
	const char *synopsis;
	const char *summary;
	const char *details;
	nzctl_command run;
	unsigned takes;
	int args_min, args_max; /* -1: any number */
};

static enum nzctl_exit explain(const struct nzctl_options *options)
{
	if (options->at != NULL)
		return then_explain(options);
	if (options->config != NULL || options->log != NULL) {
		fputs("nzctl: explain: --config and --log are for --at\n",
		      stderr);
		return NZCTL_USAGE;
	}
	return remote_explain(options);
}

static const struct command commands[] = {
	{ "status", "status [--zone ID]", "what the plugin is doing",
	  "Shows version, configuration, cache, counters, origins and zones;\n"
	  "of the zones all, or only ID.\n",
	  remote_status, TAKES_ZONE, 0, 0 },
	{ "lookup", "lookup NAME TYPE [--zone ID]",
	  "what the cache holds for a question",
	  "Shows the stored answer, its age and its forms.  Nothing is asked\n"
	  "of an origin.  Exits 1 if the state is 'absent'.\n",
	  remote_lookup, TAKES_ZONE, 2, 2 },
	{ "purge", "purge NAME [TYPE] | --subtree NAME | --zone NAME_OR_ID",
	  "forget stored answers",
	  "Forgets the answers of NAME, of all types or of TYPE (and ANY); of\n"
	  "NAME and all that is below it (--subtree); or of a whole zone\n"
	  "(--zone).  Exits 0 also when there was nothing to forget.\n",
	  remote_purge, TAKES_ZONE | TAKES_SUBTREE, 0, 2 },
	{ "populate",
	  "populate NAME... | --file FILE | --zone NAME_OR_ID [--max N]",
	  "have answers in memory before they are asked for",
	  "Has the plugin ask the origins for each NAME, for all in FILE "
	  "('-':\n"
	  "the standard input), or for all that is in a zone, by a transfer "
	  "of\n"
	  "it (at most N records, 100000 if not given).  NAME and a line of "
	  "FILE\n"
	  "are a name and perhaps types: 'www.example.com A,HTTPS'; without\n"
	  "types, A and AAAA.  '#' begins a comment.  What is there and fresh "
	  "is\n"
	  "left alone, unless --renew is given.  With names, --zone ID picks "
	  "one\n"
	  "of several zones of one name.  Waits for the end.  Exits 1 if an\n"
	  "answer could not be had, or a line not be understood.\n",
	  remote_populate, TAKES_ZONE | TAKES_FILE | TAKES_MAX | TAKES_RENEW, 0,
	  -1 },
	{ "dump", "dump [--zone ID]", "what the cache holds",
	  "A line an answer: name, type, kind, age and what is left of its\n"
	  "time in seconds, octets of memory, how popular it is (0 to 3),\n"
	  "zone.  In no order; what comes or goes meanwhile is in it or not.\n",
	  remote_dump, TAKES_ZONE, 0, 0 },
	{ "notify", "notify ZONE", "look whether a zone has changed",
	  "Has the plugin ask the zone's origins for their serial, as a\n"
	  "NOTIFY of theirs would: about once a second.  Does not wait for\n"
	  "what comes of it.  ZONE is a name or an ID.\n",
	  remote_notify, 0, 1, 1 },
	{ "explain",
	  "explain NAME TYPE [--client ADDRESS[/BITS]]\n"
	  "        [--at TIME [--config FILE] [--log FILE]]",
	  "what a client gets for a managed hostname, and why",
	  "TYPE is A or AAAA.  Says which rule decides, shows every address\n"
	  "with its state and why it is or is not chosen, and the answer.\n"
	  "ADDRESS is the client's or its resolver's; without it, nobody's in\n"
	  "particular.  Nothing is counted.  Exits 1 if the answer has no\n"
	  "address, or NAME is not managed.\n"
	  "With --at, what a client got then, by the journal, and what was\n"
	  "answered about then, if that is in it; needs no running plugin.\n"
	  "TIME is 2026-11-25T08:12:00Z, Unix seconds, or -10m: ago.  The\n"
	  "configuration is the one in force, or FILE.\n",
	  explain, TAKES_CLIENT | TAKES_AT | TAKES_CONFIG | TAKES_LOG, 2, 2 },
	{ "replay",
	  "replay --config FILE [--log FILE] [--before FILE]\n"
	  "        [--latency FILE]",
	  "what another configuration would have answered",
	  "Takes every decision of the journal again, with what was known\n"
	  "then, under the configuration FILE, and says how many answers "
	  "would\n"
	  "have been others, which, and what that means for load and, with\n"
	  "--latency, for round trips.  --before is the configuration of then\n"
	  "if the one in force is another.  Needs no running plugin.\n",
	  replay_run, TAKES_CONFIG | TAKES_LOG | TAKES_BEFORE | TAKES_LATENCY,
	  0, 0 },
	{ "journal", "journal [--log FILE]", "what the journal holds",
	  "A line a record: time, kind, and what it says.  Needs no running\n"
	  "plugin.\n",
	  listing_run, TAKES_LOG, 0, 0 },
	{ "client", "client ADDRESS[/BITS]", "what is known of a client",
	  "Shows where databases and the configuration have it, which of the\n"
	  "configuration's \"clients\" it is one of, and what holds for "
	  "those;\n"
	  "estimates of the round trip to POPs, in milliseconds; and 'scope':\n"
	  "who shares so many bits with it is known just so.\n",
	  remote_client, 0, 1, 1 },
	{ "latency", "latency ADDRESS[/BITS]",
	  "how far a client is from the POPs",
	  "A line a POP that is known: the round trip of the client's group "
	  "in\n"
	  "milliseconds; and, if a side-car said so, how it was measured, at\n"
	  "whom, whether that client has answered itself ('full') or a router\n"
	  "on the way ('partial'), and how long ago.\n",
	  remote_latency, 0, 1, 1 },
	{ "servers", "servers [SERVER]", "the servers, and how they are",
	  "A line a server, then the tests that are not up; of one SERVER,\n"
	  "all its tests.\n",
	  remote_servers, 0, 0, 1 },
	{ "drain", "drain SERVER | --pop POP --reason TEXT [--for TIME]",
	  "give out a server's addresses no more",
	  "SERVER may be a pattern: 'fra-*'; --pop takes all of a POP, or "
	  "those\n"
	  "that fit.  "
	  "Clients that have its addresses keep them until their TTL is over.\n"
	  "TIME is as in the configuration: 90s, 30m, 2h, 1d; without it, the\n"
	  "server stays drained until 'undrain'; neither a reload nor a "
	  "restart\n"
	  "ends it.  Draining again changes reason and time.\n",
	  remote_drain, TAKES_REASON | TAKES_FOR | TAKES_POP, 0, 1 },
	{ "force",
	  "force up|down SERVER | --pop POP --reason TEXT [--for TIME]",
	  "say that a server is up or down, whatever tests say",
	  "SERVER, --pop and TIME are as with 'drain'; 'undrain' takes it "
	  "back.\n",
	  remote_force, TAKES_REASON | TAKES_FOR | TAKES_POP, 1, 2 },
	{ "undrain", "undrain SERVER | --pop POP",
	  "let a drained, forced or held server be as its tests say",
	  "Held is a server with \"failback\": \"manual\" that has failed.\n"
	  "Exits 0 also when nothing was said of it.\n",
	  remote_undrain, TAKES_POP, 0, 1 },
	{ "probes", "probes [SERVER] [--view PATH]",
	  "what the tests of servers say",
	  "A line for each service on each address: state, age of the newest\n"
	  "result, how long it has been in that state, metric, who reports,\n"
	  "and what went wrong; then what the side-car has sent.  If there is\n"
	  "a side-car here (--view, or " VIEW_DEFAULT "),\n"
	  "also its last 20 results, the newest last ('.' is good, letters "
	  "are\n"
	  "errors), and when the next test is due; of one SERVER, more.\n",
	  remote_probes, TAKES_VIEW, 0, 1 },
	{ "probe", "probe run SERVICE SERVER [--config FILE]",
	  "test a server once, now",
	  "Does what the side-car does for SERVICE at each address of SERVER,\n"
	  "and says what came of it and, from the beginning of the test, when\n"
	  "it was connected, had done the TLS handshake, had the first octet\n"
	  "of the answer, and was done.  FILE is the configuration\n"
	  "(default: /etc/bind/nearzone.json).  Needs neither a running "
	  "plugin\n"
	  "nor the side-car.  Exits 1 if a test fails.\n",
	  nzctl_probe, TAKES_CONFIG, 3, 3 },
	{ "attack", "attack status [ZONE]", "what is refused, and why",
	  "The zones that are asked far more than is normal for them: which\n"
	  "filters work and since when, what is normal, what was refused and\n"
	  "why ('refused'; 'would_refuse': by filters that only observe), "
	  "what\n"
	  "was let through as its name or its source is known, and suffixes\n"
	  "under attack.  Of one ZONE (its ID), also without an attack.\n",
	  remote_attack, 0, 1, 2 },
	{ "check", "check FILE...", "check configuration files",
	  "Runs the plugin's own checker; needs no running plugin.  Errors go\n"
	  "to the standard error, 'FILE: ok' to the standard output.  Exits 1\n"
	  "if any file has an error or cannot be read.\n",
	  local_check, 0, 1, -1 },
	{ "reload", "reload", "read the configuration file again",
	  "Waits until the new configuration is in use, or has been refused:\n"
	  "then its errors are shown, the old one stays, and the exit is 1.\n",
	  remote_reload, 0, 0, 0 },
	{ "watch", "watch [--count N]", "show events as they happen",
	  "One line an event, until interrupted, N events are shown, or named\n"
	  "ends.  'dropped=N' says that N events before it were lost because\n"
	  "they were not read in time.\n",
	  remote_watch, TAKES_COUNT, 0, 0 },
	{ "doctor",
	  "doctor [--config FILE] [--named FILE] [--plugin FILE] [--root DIR]",
	  "whether this machine is as Nearzone needs it",
	  "A line a check: ok, warn or FAIL, what is found, and what to do.\n"
	  "Changes nothing; works when named is dead.  Without --config, the\n"
	  "configuration is the plugin's, or /etc/bind/nearzone.json.  "
	  "--named\n"
	  "and --plugin are the files of named and nearzone.so, if they are\n"
	  "elsewhere; --root has another /etc, /sys and /proc/sys in it.  "
	  "Exits\n"
	  "1 if a check says FAIL.\n",
	  doctor_run, TAKES_CONFIG | TAKES_PLACES, 0, 0 },
	{ "schema", "schema", "print the JSON Schema of the configuration",
	  "Needs no running plugin.\n", local_schema, 0, 0, 0 },
	{ "help", "help [COMMAND]", "explain nzctl, or a command", "", NULL, 0,
	  0, 1 },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void help_all(void)
{
	puts("usage: nzctl [OPTION...] COMMAND [ARGUMENT...]\n"
	     "Talks to the Nearzone plugin of a running named.\n"
	     "\n"
	     "Commands:");
	for (size_t i = 0; i < N_COMMANDS; i++)
		printf("  %s\n        %s\n", commands[i].synopsis,
		       commands[i].summary);
	puts("\n"
	     "Options:\n"
	     "  --socket PATH      the plugin's control socket\n"
	     "                     (default: $" SOCKET_ENV ", or\n"
	     "                     " SOCKET_DEFAULT ")\n"
	     "  --timeout SECONDS  how long to wait for an answer (default: "
	     "10)\n"
	     "  --json             print JSON, one document a line\n"
	     "  --help, --version\n"
	     "\n"
	     "Exit status:\n"
	     "  0  done\n"
	     "  1  the command was refused, a file has errors, a lookup found\n"
	     "     nothing, an explained answer has no address, one that was "
	     "to\n"
	     "     be had in memory could not be had, a test failed, or "
	     "doctor\n"
	     "     says FAIL\n"
	     "  2  wrong usage\n"
	     "  3  the plugin cannot be talked to, or the output cannot be\n"
	     "     written");
}

static enum nzctl_exit unknown_command(const char *name)
{
	fprintf(stderr, "nzctl: no command '%s'; see 'nzctl help'\n", name);
	return NZCTL_USAGE;
}

static enum nzctl_exit help(const char *name)
{
	const struct command *command;

	if (name == NULL) {
		help_all();
		return NZCTL_DONE;
	}
	command = command_find(name);
	if (command == NULL)
		return unknown_command(name);
	printf("usage: nzctl [OPTION...] %s\n%c%s.\n%s", command->synopsis,
	       command->summary[0] - 'a' + 'A', command->summary + 1,
	       command->details);
	return NZCTL_DONE;
}

/*
 * Reads a decimal number with up to 'places' places, in units of the last of
 * them: ("1.5", 3) is 1500.  Returns 0, or -EINVAL: not a number, or beyond
 * 'max'.
 */
static int number_parse(const char *text, unsigned places, uint64_t max,
			uint64_t *numberp)
{
	uint64_t n = 0;
	bool point = false;
	const char *p = text;

	for (; *p != '\0'; p++) {
		if (*p == '.' && !point && places > 0 && p != text &&
		    p[1] != '\0') {
			point = true;
			continue;
		}
		if (*p < '0' || *p > '9' || (point && places == 0) ||
		    n > max / 10)
			return -EINVAL;
		n = n * 10 + (uint64_t)(*p - '0');
		places -= point;
	}
	for (; places > 0 && n <= max; places--)
		n *= 10;
	if (p == text || n > max)
		return -EINVAL;
	*numberp = n;
	return 0;
}

static enum nzctl_exit bad_value(const char *option, const char *value,
				 const char *want)
{
	fprintf(stderr, "nzctl: --%s '%s': want %s\n", option, value, want);
	return NZCTL_USAGE;
}

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/56" */
static bool is_client(const char *text)
{
	const char *slash = strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
	char address[INET6_ADDRSTRLEN];
	struct in6_addr octets;
	uint64_t bits = 0;

	if (n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	address[n] = '\0';
	bool v4 = inet_pton(AF_INET, address, &octets) == 1;
	if (!v4 && inet_pton(AF_INET6, address, &octets) != 1)
		return false;
	return slash == NULL ||
	       number_parse(slash + 1, 0, v4 ? 32 : 128, &bits) == 0;
}

/* "30m", or whole seconds as a number. */
static enum nzctl_exit take_for(struct nzctl_options *options)
{
	uint64_t ms = 0;
	uint64_t s = 0;

	if (units_duration_parse(slice_of(optarg), &ms) == 0)
		s = ms % 1000 == 0 ? ms / 1000 : 0;
	else
		(void)number_parse(optarg, 0, DRAIN_MAX_S, &s);
	if (s == 0 || s > DRAIN_MAX_S)
		return bad_value("for", optarg,
				 "whole seconds, minutes, hours, days or "
				 "weeks, 1s to 3650d");
	options->for_s = s;
	return NZCTL_DONE;
}

static enum nzctl_exit take_number(int id, struct nzctl_options *options)
{
	uint64_t n = 0;

	if (id == OPT_FOR)
		return take_for(options);
	if (id == OPT_MAX) {
		if (number_parse(optarg, 0, MAX_MAX, &n) != 0 || n == 0)
			return bad_value("max", optarg, "1 to 1000000 records");
		options->max = n;
		return NZCTL_DONE;
	}
	if (id == OPT_COUNT) {
		if (number_parse(optarg, 0, INT64_MAX, &n) != 0 || n == 0)
			return bad_value("count", optarg, "a number from 1");
		options->count = n;
		return NZCTL_DONE;
	}
	if (number_parse(optarg, 3, TIMEOUT_MAX_S * UINT64_C(1000), &n) != 0 ||
	    n == 0)
		return bad_value("timeout", optarg, "seconds, 0.001 to 86400");
	options->timeout_ms = (unsigned)n;
	return NZCTL_DONE;
}

static enum nzctl_exit take_text(int id, struct nzctl_options *options)
{
	switch (id) {
	case OPT_SOCKET:
		options->socket = optarg;
		break;
	case OPT_ZONE:
		options->zone = optarg;
		break;
	case OPT_SUBTREE:
		options->subtree = optarg;
		break;
	case OPT_FILE:
		options->file = optarg;
		break;
	case OPT_POP:
		options->pop = optarg;
		break;
	case OPT_CLIENT:
		options->client = optarg;
		if (!is_client(optarg))
			return bad_value("client", optarg,
					 "an address, perhaps with /BITS");
		break;
	case OPT_AT:
		options->at = optarg;
		break;
	case OPT_CONFIG:
		options->config = optarg;
		break;
	case OPT_LOG:
		options->log = optarg;
		break;
	case OPT_BEFORE:
		options->before = optarg;
		break;
	case OPT_VIEW:
		options->view = optarg;
		break;
	case OPT_LATENCY:
		options->latency = optarg;
		break;
	case OPT_ROOT:
		options->root = optarg;
		break;
	case OPT_NAMED:
		options->named = optarg;
		break;
	case OPT_PLUGIN:
		options->plugin = optarg;
		break;
	default:
		options->reason = optarg;
		if (optarg[0] == '\0' || strlen(optarg) > REASON_MAX)
			return bad_value("reason", optarg,
					 "a text of 1 to 200 octets");
	}
	return NZCTL_DONE;
}

/* What a command must take for the option to be given. */
static unsigned takes(int id)
{
	switch (id) {
	case OPT_ZONE:
		return TAKES_ZONE;
	case OPT_SUBTREE:
		return TAKES_SUBTREE;
	case OPT_COUNT:
		return TAKES_COUNT;
	case OPT_CLIENT:
		return TAKES_CLIENT;
	case OPT_REASON:
		return TAKES_REASON;
	case OPT_FOR:
		return TAKES_FOR;
	case OPT_FILE:
		return TAKES_FILE;
	case OPT_MAX:
		return TAKES_MAX;
	case OPT_RENEW:
		return TAKES_RENEW;
	case OPT_POP:
		return TAKES_POP;
	case OPT_AT:
		return TAKES_AT;
	case OPT_CONFIG:
		return TAKES_CONFIG;
	case OPT_LOG:
		return TAKES_LOG;
	case OPT_BEFORE:
		return TAKES_BEFORE;
	case OPT_LATENCY:
		return TAKES_LATENCY;
	case OPT_ROOT:
	case OPT_NAMED:
	case OPT_PLUGIN:
		return TAKES_PLACES;
	case OPT_VIEW:
		return TAKES_VIEW;
	default:
		return 0;
	}
}

/* Reads all options; what is left begins at optind. */
static enum nzctl_exit take_options(int argc, char **argv,
				    struct nzctl_options *options,
				    unsigned *givenp, const char **insteadp)
{
	enum nzctl_exit result = NZCTL_DONE;
	int id;

	while (result == NZCTL_DONE) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
		id = getopt_long(argc, argv, "", long_options, NULL);
		if (id == -1)
			break;
		*givenp |= takes(id);
		switch (id) {
		case OPT_JSON:
			options->json = true;
			break;
		case OPT_COUNT:
		case OPT_TIMEOUT:
		case OPT_FOR:
		case OPT_MAX:
			result = take_number(id, options);
			break;
		case OPT_RENEW:
			options->renew = true;
			break;
		case OPT_HELP:
			*insteadp = "help";
			break;
		case OPT_VERSION:
			*insteadp = "version";
			break;
		case '?': /* getopt has said what is wrong */
			fputs("nzctl: see 'nzctl help'\n", stderr);
			result = NZCTL_USAGE;
			break;
		default:
			result = take_text(id, options);
		}
	}
	return result;
}

static enum nzctl_exit wrong_usage(const struct command *command)
{
	fprintf(stderr, "usage: nzctl [OPTION...] %s\n", command->synopsis);
	return NZCTL_USAGE;
}

static enum nzctl_exit run(const struct nzctl_options *options, unsigned given)
{
	const struct command *command = command_find(options->command);

	if (command == NULL)
		return unknown_command(options->command);
	if ((given & ~command->takes) != 0 ||
	    options->argc < command->args_min ||
	    (command->args_max >= 0 && options->argc > command->args_max))
		return wrong_usage(command);
	if (command->run == NULL)
		return help(options->argc > 0 ? options->argv[0] : NULL);
	return command->run(options);
}

static enum nzctl_exit nzctl(int argc, char **argv)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	const char *socket = getenv(SOCKET_ENV);
	struct nzctl_options options = {
		.socket = socket != NULL && socket[0] != '\0' ? socket
							      : SOCKET_DEFAULT,
		.timeout_ms = TIMEOUT_MS,
	};
	unsigned given = 0;
	const char *instead = NULL;
	enum nzctl_exit result =
		take_options(argc, argv, &options, &given, &instead);

	if (result != NZCTL_DONE)
		return result;
	if (instead != NULL && strcmp(instead, "version") == 0) {
		puts("nzctl (nearzone) " VERSION_TEXT);
		return NZCTL_DONE;
	}
	if (instead != NULL)
		return help(optind < argc ? argv[optind] : NULL);
	if (optind == argc) {
		fputs("nzctl: no command; see 'nzctl help'\n", stderr);
		return NZCTL_USAGE;
	}
	options.command = argv[optind];
	options.argc = argc - optind - 1;
	options.argv = argv + optind + 1;
	return run(&options, given);
}

int main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	/* A reader that has gone is a failed write, and is said to be. */
	sigaction(SIGPIPE, &ignore, NULL);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	(void)setlocale(LC_CTYPE, ""); /* which characters are printable */
	enum nzctl_exit result = nzctl(argc, argv);
	char text[128];
	errno = 0;
	bool lost = ferror(stdout) != 0;
	if (fclose(stdout) != 0 || lost) {
		fprintf(stderr, "nzctl: cannot write the output%s%s\n",
			errno != 0 ? ": " : "",
			errno != 0 ? strerror_r(errno, text, sizeof(text))
				   : "");
		return NZCTL_TROUBLE;
	}
	return (int)result;
}
