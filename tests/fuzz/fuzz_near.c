/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What comes from the kernel: answers to echo, raw and not, and lists of TCP
 * connections.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probes-client/near_diag.h"
#include "probes-client/near_icmp.h"

#define PORT 53

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good)
{
	if (!good)
		abort();
}

static void on_seen(void *arg, const struct gtm_client *client, float ms)
{
	size_t *seen = arg;

	check(client->bits == (client->v6 ? 128 : 32));
	check(ms > 0.0f);
	++*seen;
}

static void echo(const uint8_t *data, size_t size, int v6, int raw)
{
	size_t n = size;
	const uint8_t *p = near_echo_data(data, v6 != 0, raw != 0, 7, &n);

	check(p == NULL ||
	      (p >= data + NEAR_ECHO_HEADER && p + n == data + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t count = 0;
	size_t seen = 0;
	char *aligned = malloc(size + 1);

	for (int k = 0; k < 4; k++)
		echo(data, size, k & 1, k & 2);
	check(aligned != NULL);
	if (size > 0)
		memcpy(aligned, data, size);
	(void)near_diag_read(aligned, size, PORT, &count, on_seen, &seen);
	check(seen <= size / 72);
	free(aligned);
	return 0;
}
