/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_config - what reading a configuration costs beside json-c merely
 * parsing the file: 'bench_config FILE' prints "load" and "parse",
 * milliseconds of CPU, medians of runs by turns.  'bench_config --lines FILE'
 * prints "parse" alone, of each line as a document of its own.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/config.h"
#include "gtm/world.h"

#define RUNS 7

static double cpu_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *va, const void *vb)
{
	double a = *(const double *)va;
	double b = *(const double *)vb;

	return (a > b) - (a < b);
}

static double median(double *all)
{
	qsort(all, RUNS, sizeof(*all), compare);
	return all[RUNS / 2];
}

/* The whole file, NUL-terminated; the caller frees. */
static char *read_whole(const char *file, size_t *n)
{
	FILE *f = fopen(file, "r");
	char *text = NULL;

	if (f == NULL)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0) {
		*n = (size_t)ftell(f);
		rewind(f);
		text = calloc(1, *n + 1);
		if (text != NULL && fread(text, 1, *n, f) != *n) {
			free(text);
			text = NULL;
		}
	}
	(void)fclose(f);
	return text;
}

static bool load(const char *file)
{
	struct config *config = NULL;
	struct gtm_world *world = NULL;
	struct err err;
	size_t n_errs;
	char words[512];

	if (config_load(file, &config, &err, 1, &n_errs) != 0) {
		err_format(&err, file, words, sizeof(words));
		(void)fprintf(stderr, "%s\n", words);
		return false;
	}
	bool good = gtm_world_new(config, NULL, &world) == 0;
	gtm_world_free(world);
	config_free(config);
	return good;
}

static bool parse(const char *text, size_t n)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *doc = json_tokener_parse_ex(tok, text, (int)n);
	bool good = json_tokener_get_error(tok) == json_tokener_success;

	json_object_put(doc);
	json_tokener_free(tok);
	return good;
}

static bool parse_lines(const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		if (!parse(text, n))
			return false;
		text += n + (text[n] == '\n');
	}
	return true;
}

int main(int argc, char **argv)
{
	bool lines = argc == 3 && strcmp(argv[1], "--lines") == 0;
	double load_ms[RUNS] = { 0 };
	double parse_ms[RUNS];
	bool good = true;
	size_t n = 0;

	if (argc != (lines ? 3 : 2))
		return 2;
	const char *file = argv[argc - 1];
	char *text = read_whole(file, &n);
	if (text == NULL)
		return 1;
	for (int i = 0; good && i < RUNS; i++) {
		double begin_ms = cpu_ms();
		good = lines || load(file);
		load_ms[i] = cpu_ms() - begin_ms;
		begin_ms = cpu_ms();
		good = good && (lines ? parse_lines(text) : parse(text, n));
		parse_ms[i] = cpu_ms() - begin_ms;
	}
	free(text);
	if (!good)
		return 1;
	if (!lines)
		printf("load %.3f\n", median(load_ms));
	printf("parse %.3f\n", median(parse_ms));
	return 0;
}
