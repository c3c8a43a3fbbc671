/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_origin - what asking costs this side:
 *   bench_origin tcp|udp|tls PORT QUESTIONS AT-ONCE [CA-FILE]
 * asks 127.0.0.1 for q.example and prints one line.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <isc/mem.h>

#include "cacheproxy/origin.h"

struct bench {
	struct origins *origins;
	struct dname name;
	struct config_origin origin;
	uintmax_t left, ended, failed;
};

static void done(void *arg, const struct origin_reply *reply);

static void ask(struct bench *bench)
{
	if (bench->left == 0)
		return;
	bench->left--;
	int rc = origin_ask(bench->origins, &(struct origin_question){
						    .name = &bench->name,
						    .qtype = 1,
						    .origins = &bench->origin,
						    .n_origins = 1,
						    .done = done,
						    .arg = bench,
					    });
	if (rc != 0)
		bench->failed++;
}

static void done(void *arg, const struct origin_reply *reply)
{
	struct bench *bench = arg;

	bench->ended++;
	bench->failed += reply->status != 0;
	ask(bench);
}

static double seconds(struct timeval tv)
{
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static int run(uv_loop_t *loop, struct bench *bench, uintmax_t at_once)
{
	uintmax_t n = bench->left;
	struct rusage before, after;

	/* The first one opens what is to be opened. */
	bench->left = 1;
	ask(bench);
	while (bench->ended < 1)
		uv_run(loop, UV_RUN_ONCE);
	bench->left = n;
	bench->ended = 0;
	getrusage(RUSAGE_SELF, &before);
	uint64_t start_ns = uv_hrtime();
	for (uintmax_t i = 0; i < at_once; i++)
		ask(bench);
	while (bench->ended < n && bench->failed == 0)
		uv_run(loop, UV_RUN_ONCE);
	double wall = (double)(uv_hrtime() - start_ns) / 1e9;
	getrusage(RUSAGE_SELF, &after);
	double user = seconds(after.ru_utime) - seconds(before.ru_utime);
	double sys = seconds(after.ru_stime) - seconds(before.ru_stime);
	printf("%" PRIuMAX " questions, %" PRIuMAX " at once: %.0f/s, "
	       "user %.2f us, system %.2f us each, %" PRIuMAX " failed\n",
	       n, at_once, (double)n / wall, user / (double)n * 1e6,
	       sys / (double)n * 1e6, bench->failed);
	return bench->failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct bench bench;
	struct sockaddr_in *in = (void *)&bench.origin.address;
	isc_mem_t *mctx = NULL;
	sigset_t pipe;
	uv_loop_t loop;

	if (argc < 5)
		return 2;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)strtoumax(argv[2], NULL, 10));
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bench.origin.transport = strcmp(argv[1], "udp") == 0   ? CONFIG_UDP
				 : strcmp(argv[1], "tls") == 0 ? CONFIG_TLS
							       : CONFIG_TCP;
	bench.origin.timeout_ms = 5000;
	bench.origin.tls_ca = argc > 5 ? argv[5] : NULL;
	bench.left = strtoumax(argv[3], NULL, 10);
	isc_mem_create(&mctx);
	if (dname_parse(slice_of("q.example"), &bench.name) != 0 ||
	    uv_loop_init(&loop) != 0 ||
	    origins_new(&loop, mctx, 1, &bench.origins) != 0)
		return 1;
	int rc = run(&loop, &bench, strtoumax(argv[4], NULL, 10));
	origins_close(bench.origins, NULL, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	isc_mem_destroy(&mctx);
	return rc;
}
