/* SPDX-License-Identifier: MPL-2.0 */
/* The file that says who the side-car is to a switch. */
#include "probes-client/probed_secret.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct probed_secret secret;
	char why[64] = "";
	struct slice text = { (const char *)data, size };

	if (probed_secret_parse(text, &secret, why, sizeof(why)) != 0) {
		check(why[0] != '\0');
		return 0;
	}
	check(secret.v3 == (secret.community[0] == '\0'));
	if (secret.v3)
		check(secret.user[0] != '\0' && strlen(secret.auth_key) >= 8 &&
		      strlen(secret.priv_key) >= 8);
	return 0;
}
