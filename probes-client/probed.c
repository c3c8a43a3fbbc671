/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "probes-client/probed_once.h"
#include "probes-client/probed_run.h"

#define SOCKET_ENV "NEARZONE_SOCKET"
#define NODE_MAX   63

enum option_id {
	OPT_CONFIG = 256,
	OPT_NODE,
	OPT_SOCKET,
	OPT_VIEW,
	OPT_CHECK,
	OPT_ONCE,
	OPT_JSON,
	OPT_VERBOSE,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "node", required_argument, NULL, OPT_NODE },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "view", required_argument, NULL, OPT_VIEW },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static void help(void)
{
	puts("usage: nearzone-probed --config FILE --node NODE [OPTION...]\n"
	     "Tests the servers that the configuration names, and tells the\n"
	     "Nearzone plugin of a running named what it finds.\n"
	     "\n"
	     "Options:\n"
	     "  --config FILE   the configuration, the plugin's own\n"
	     "  --node NODE     which node of the network this is\n"
	     "  --socket PATH   the plugin's control socket\n"
	     "                  (default: $" SOCKET_ENV ", or the\n"
	     "                  configuration's 'control.socket')\n"
	     "  --view PATH     a unix socket on which 'nzctl probes' sees "
	     "the\n"
	     "                  tests\n"
	     "  --check         check the configuration, list what would be\n"
	     "                  tested, and end\n"
	     "  --once          test everything once, show the results, and "
	     "end\n"
	     "  --json          with --check and --once: print JSON\n"
	     "  --verbose       log every test\n"
	     "  --help, --version\n"
	     "\n"
	     "Signals: SIGHUP reads the configuration again, SIGUSR1 logs "
	     "what\n"
	     "is not up, SIGTERM and SIGINT end it.\n"
	     "\n"
	     "Exit status:\n"
	     "  0  done; with --once: everything is up\n"
	     "  1  the configuration has errors or cannot be read; with "
	     "--once:\n"
	     "     not everything is up, or there is nothing to test\n"
	     "  2  wrong usage\n"
	     "  3  no memory or other trouble of its own, or the output "
	     "cannot\n"
	     "     be written");
}

/* Reads the options; '*insteadp' is OPT_HELP or OPT_VERSION if that is asked
 * for. */
static enum probed_exit take_options(int argc, char **argv,
				     struct probed_options *options,
				     int *insteadp)
{
	for (;;) {
		/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
		int id = getopt_long(argc, argv, "", long_options, NULL);
		switch (id) {
		case -1:
			return PROBED_DONE;
		case OPT_CONFIG:
			options->config = optarg;
			break;
		case OPT_NODE:
			options->node = optarg;
			break;
		case OPT_SOCKET:
			options->socket = optarg;
			break;
		case OPT_VIEW:
			options->view = optarg;
			break;
		case OPT_CHECK:
			options->check = true;
			break;
		case OPT_ONCE:
			options->once = true;
			break;
		case OPT_JSON:
			options->json = true;
			break;
		case OPT_VERBOSE:
			options->verbose = true;
			break;
		case OPT_HELP:
		case OPT_VERSION:
			*insteadp = id;
			break;
		default: /* getopt has said what is wrong */
			fputs("nearzone-probed: see 'nearzone-probed --help'\n",
			      stderr);
			return PROBED_USAGE;
		}
	}
}

static bool is_node(const char *text)
{
	size_t n = strlen(text);

	return n >= 1 && n <= NODE_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

/* What is wrong with the options; NULL: nothing. */
static const char *wrong_options(const struct probed_options *options)
{
	if (options->config == NULL)
		return "--config is missing";
	if (options->node == NULL)
		return "--node is missing";
	if (!is_node(options->node))
		return "--node: want 1 to 63 letters, digits, '-', '_' or '.'";
	if (options->socket != NULL &&
	    (options->socket[0] == '\0' ||
	     strlen(options->socket) > CONFIG_SOCKET_MAX))
		return "--socket: want a path of 1 to 107 octets";
	if (options->check && options->once)
		return "--check and --once do not go together";
	if (options->json && !options->check && !options->once)
		return "--json is only for --check and --once";
	return NULL;
}

static enum probed_exit work(const struct probed_options *options)
{
	if (options->check)
		return probed_check(options);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		fputs("nearzone-probed: libcurl cannot be used\n", stderr);
		return PROBED_TROUBLE;
	}
	enum probed_exit result =
		options->once ? probed_once(options) : probed_run(options);
	curl_global_cleanup();
	return result;
}

static enum probed_exit probed(int argc, char **argv)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	const char *socket = getenv(SOCKET_ENV);
	struct probed_options options = {
		.socket = socket != NULL && socket[0] != '\0' ? socket : NULL,
	};
	int instead = 0;
	enum probed_exit result = take_options(argc, argv, &options, &instead);

	if (result != PROBED_DONE)
		return result;
	if (instead == OPT_VERSION) {
		puts("nearzone-probed (nearzone) " PROBED_VERSION);
		return PROBED_DONE;
	}
	if (instead == OPT_HELP) {
		help();
		return PROBED_DONE;
	}
	const char *wrong = optind < argc ? "there is an argument too many"
					  : wrong_options(&options);
	if (wrong != NULL) {
		fprintf(stderr,
			"nearzone-probed: %s; see 'nearzone-probed --help'\n",
			wrong);
		return PROBED_USAGE;
	}
	return work(&options);
}

int main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	/* A reader that has gone is a failed write, and is said to be. */
	sigaction(SIGPIPE, &ignore, NULL);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	(void)setlocale(LC_CTYPE, ""); /* which characters are printable */
	enum probed_exit result = probed(argc, argv);
	bool lost = ferror(stdout) != 0;
	if (fclose(stdout) != 0 || lost) {
		fputs("nearzone-probed: cannot write the output\n", stderr);
		return PROBED_TROUBLE;
	}
	return (int)result;
}
