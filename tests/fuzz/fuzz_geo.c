/* SPDX-License-Identifier: MPL-2.0 */
/* A database of addresses, read whole into a client map. */
#include "gtm/geo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* See tests/lsan.supp. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libmaxminddb\n";
}

static char directory[] = "/tmp/nz-fuzz-geo-XXXXXX";
static char path[64];

static void clean(void)
{
	(void)unlink(path);
	(void)rmdir(directory);
}

static void write_file(const uint8_t *data, size_t size)
{
	if (path[0] == '\0') {
		if (mkdtemp(directory) == NULL)
			abort();
		(void)snprintf(path, sizeof(path), "%s/a", directory);
		(void)atexit(clean);
	}
	FILE *f = fopen(path, "wb");
	if (f == NULL || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char text[] = "{\"version\":1}";
	struct config *config = NULL;
	struct gtm_geo *geo = NULL;
	struct gtm_clients *map = NULL;
	struct gtm_geo_tried tried;
	size_t n_errs;

	write_file(data, size);
	if (config_parse("", text, strlen(text), &config, NULL, 0, &n_errs) !=
	    0)
		abort();
	if (gtm_geo_open(path, directory, &config->geo, NULL, &geo, &tried) ==
	    0) {
		struct gtm_source s = gtm_geo_source(geo);
		struct gtm_client client = { .v6 = true, .bits = 128 };
		uint8_t scope;
		if (gtm_clients_new(config, &s, 1, NULL, &map) == 0)
			(void)gtm_clients_find(map, &client, &scope);
		gtm_clients_free(map);
		gtm_geo_close(geo);
	} else if (tried.why[0] == '\0') {
		abort();
	}
	config_free(config);
	return 0;
}
