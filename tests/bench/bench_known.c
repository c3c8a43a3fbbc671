/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_known - the table of clients known to be good, when it is full.
 *
 *   bench_known [PREFIXES]
 *
 * PREFIXES (2^24) different prefixes of IPv4 prove themselves, in no order.
 * Prints how many of them are known then; the octets that the table says it
 * has, and those that the process has grown by; of a million prefixes of IPv6
 * that never came, how many are taken for known; nanoseconds a look.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cacheproxy/admit_known.h"

#define PREFIXES UINT32_C(16777216)
#define STRANGE	 1000000u
#define DAY	 20000u
#define STEP	 UINT32_C(0x9e3779b1) /* odd: takes all numbers in turn */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t resident(void)
{
	unsigned long all = 0, here = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f == NULL)
		return 0;

	int n = fscanf(f, "%lu %lu", &all, &here);
	fclose(f);
	return n == 2 ? (uint64_t)here * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* The i-th prefix: all of IPv4's come before one comes again. */
static uint64_t prefix_of(uint32_t i)
{
	uint32_t n = i * STEP & (PREFIXES - 1);
	uint8_t address[4] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8),
			       (uint8_t)n, 53 };

	return admit_prefix(address, false);
}

static uint64_t stranger(uint32_t i)
{
	uint8_t address[16] = { 0x20, 0x01, 0x0d, 0xb8 };

	memcpy(address + 4, &i, 3);
	return admit_prefix(address, true);
}

static void report(const struct admit_known *known, uint32_t prefixes,
		   uint64_t grown)
{
	uint64_t good = 0, strange = 0;
	double began = now_ns();

	for (uint32_t i = 0; i < prefixes; i++)
		good += admit_known_is(known, prefix_of(i), DAY);
	double took = now_ns() - began;
	for (uint32_t i = 0; i < STRANGE; i++)
		strange += admit_known_is(known, stranger(i), DAY);
	printf("prefixes %" PRIu32 " known %" PRIu64 " bytes %" PRIu64
	       " grown %" PRIu64 " strange %" PRIu64 " look-ns %.1f\n",
	       prefixes, good, admit_known_bytes(known), grown, strange,
	       took / prefixes);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoumax(argv[1], NULL, 10) : PREFIXES;
	if (n == 0 || n > PREFIXES) {
		fprintf(stderr, "bench_known [1..%" PRIu32 "]\n", PREFIXES);
		return 2;
	}

	struct admit_known *known = NULL;
	uint64_t before = resident();
	if (admit_known_new((uint32_t)n, UINT64_C(0x5eed5eed5eed), &known) != 0)
		return 1;
	for (uint32_t i = 0; i < n; i++)
		(void)admit_known_prove(known, prefix_of(i), DAY, true);
	report(known, (uint32_t)n, resident() - before);
	admit_known_free(known);
	return 0;
}
