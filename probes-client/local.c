/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/local.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/err.h"
#include "common/schema.h"
#include "probes-client/show.h"

#define FINDINGS_MAX 1000u /* of one file */
#define FINDING_SIZE 4096u

/* What --json prints: {"ok":..., "files":[...], "errors":[...]}. */
struct report {
	struct json_object *files;
	struct json_object *errors;
};

static void report_file(const struct report *report,
			const struct config *config, const char *file)
{
	struct json_object *item = json_object_new_object();

	json_object_object_add(item, "file", json_object_new_string(file));
	json_object_object_add(item, "serial",
			       json_object_new_uint64(config->serial));
	json_object_object_add(item, "zones",
			       json_object_new_uint64(config->n_zones));
	json_object_object_add(item, "hostnames",
			       json_object_new_uint64(config->n_hostnames));
	json_object_array_add(report->files, item);
}

static void report_finding(const struct report *report, const struct err *err,
			   const char *file)
{
	struct json_object *item = json_object_new_object();

	json_object_object_add(item, "file", json_object_new_string(file));
	json_object_object_add(item, "line", json_object_new_uint64(err->line));
	json_object_object_add(item, "path", json_object_new_string(err->path));
	json_object_object_add(item, "text", json_object_new_string(err->text));
	json_object_array_add(report->errors, item);
}

static void show_err(const struct err *err, const char *file)
{
	char text[FINDING_SIZE];

	err_format(err, file, text, sizeof(text));
	show_text(stderr, slice_of(text));
	fputc('\n', stderr);
}

/* Checks one file; returns whether it is good. 'report' NULL: for people. */
static bool check(const char *file, struct err *errs,
		  const struct report *report)
{
	struct config *config = NULL;
	size_t n = 0;
	char text[128];
	int rc = config_load(file, &config, errs, FINDINGS_MAX, &n);

	if (rc != 0 && n == 0)
		err_set(&errs[n++], 0, "", "%s",
			strerror_r(-rc, text, sizeof(text)));
	for (size_t i = 0; i < n; i++) {
		if (report != NULL)
			report_finding(report, &errs[i], file);
		else
			show_err(&errs[i], file);
	}
	if (report == NULL && n == FINDINGS_MAX)
		fprintf(stderr, "nzctl: there may be more than %u errors\n",
			FINDINGS_MAX);
	if (rc != 0)
		return false;

	if (report != NULL) {
		report_file(report, config, file);
	} else {
		show_text(stdout, slice_of(file));
		printf(": ok (%zu %s, %zu %s, serial %" PRIu64 ")\n",
		       config->n_zones, config->n_zones == 1 ? "zone" : "zones",
		       config->n_hostnames,
		       config->n_hostnames == 1 ? "hostname" : "hostnames",
		       config->serial);
	}
	config_free(config);
	return true;
}

static void report_show(const struct report *report, bool ok)
{
	struct json_object *doc = json_object_new_object();

	json_object_object_add(doc, "ok", json_object_new_boolean(ok));
	json_object_object_add(doc, "files", report->files);
	json_object_object_add(doc, "errors", report->errors);
	puts(json_object_to_json_string_ext(
		doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(doc);
}

enum nzctl_exit local_check(const struct nzctl_options *options)
{
	struct err *errs = calloc(FINDINGS_MAX, sizeof(*errs));
	struct report report = { NULL, NULL };
	bool ok = true;

	if (errs == NULL) {
		fputs("nzctl: out of memory\n", stderr);
		return NZCTL_TROUBLE;
	}
	if (options->json)
		report = (struct report){ json_object_new_array(),
					  json_object_new_array() };
	for (int i = 0; i < options->argc; i++) {
		bool good = check(options->argv[i], errs,
				  options->json ? &report : NULL);
		ok = ok && good;
	}
	if (options->json)
		report_show(&report, ok);
	free(errs);
	return ok ? NZCTL_DONE : NZCTL_REFUSED;
}

enum nzctl_exit local_schema(const struct nzctl_options *options)
{
	char *text = NULL;

	(void)options;
	if (schema_text(&text) != 0) {
		fputs("nzctl: out of memory\n", stderr);
		return NZCTL_TROUBLE;
	}
	fputs(text, stdout);
	free(text);
	return NZCTL_DONE;
}
