/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Runs a fuzz target over files instead of libFuzzer's inventions, so that
 * every find stays found: 'make check' replays the corpora through this.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1u << 20) /* octets of one file; the rest is not read */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *file)
{
	FILE *f = fopen(file, "rb");
	if (f == NULL)
		return -errno;

	int rc = -ENOMEM;
	uint8_t *all = malloc(INPUT_MAX);
	uint8_t *data = NULL;
	if (all == NULL)
		goto out;
	size_t n = fread(all, 1, INPUT_MAX, f);
	rc = -EIO;
	if (ferror(f) != 0)
		goto out;

	/* Of the exact size, so that ASan sees a read beyond the end. */
	rc = -ENOMEM;
	data = malloc(n > 0 ? n : 1);
	if (data == NULL)
		goto out;
	memcpy(data, all, n);
	LLVMFuzzerTestOneInput(data, n);
	rc = 0;
out:
	free(data);
	free(all);
	fclose(f);
	return rc;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int rc = replay(argv[i]);
		if (rc != 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-rc));
			return 1;
		}
	}
	printf("%d inputs\n", argc - 1);
	return argc > 1 ? 0 : 1;
}
