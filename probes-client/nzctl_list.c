/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/nzctl_list.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/dname.h"
#include "probes-client/show.h"

#define BATCH_NAMES  500u
#define BATCH_OCTETS 60000u /* in JSON: a request has 65536 */
#define TYPES_MAX    16u    /* of a name */
#define LINE_MAX_N   4096u  /* a name in escapes and types, and some more */
#define NOTES_MAX    100u   /* lines on the standard error */
#define BLANKS	     " \t\r\n\v\f"

static const char *const sums[] = { "names", "asked",  "kept",	  "known",
				    "brief", "failed", "outside", "faulty" };
#define N_SUMS (sizeof(sums) / sizeof(sums[0]))
#define FAILED 5u /* in sums[] */
#define FAULTY 7u

struct nzctl_list {
	const struct nzctl_options *options;
	FILE *file; /* NULL: the command line */
	const char *what;
	uint64_t line; /* read so far; or arguments */
	bool ended;    /* nothing more to read */
	bool unreadable;
	char text[LINE_MAX_N];
	bool held; /* 'text' did not fit in the last batch */
	size_t n;  /* names in the batch, and where they were */
	uint64_t line_of[BATCH_NAMES];
	uint64_t sum[N_SUMS];
	uint64_t notes;
	bool progress;
};

/* -- telling ----------------------------------------------------------- */

/* 'line' 0: of none in particular. */
static void note(struct nzctl_list *list, uint64_t line, const char *what,
		 const char *text)
{
	if (list->progress)
		fputc('\r', stderr);
	if (list->notes++ >= NOTES_MAX)
		return;
	fputs("nzctl: populate: ", stderr);
	if (line > 0)
		fprintf(stderr, "%s:%" PRIu64 ": ", list->what, line);
	fputs(what, stderr);
	show_text(stderr, slice_of(text));
	fputc('\n', stderr);
}

static void faulty(struct nzctl_list *list, const char *what)
{
	char shown[81];

	(void)snprintf(shown, sizeof(shown), "%.80s", list->text);
	list->sum[FAULTY]++;
	note(list, list->line, what, shown);
}

/* -- reading ----------------------------------------------------------- */

/* A line of the file, without its end; false: there are no more. */
static bool read_line(struct nzctl_list *list, bool *whole)
{
	size_t n = 0;
	bool fits = true;
	int c;

	while ((c = getc(list->file)) != EOF && c != '\n') {
		if (n + 1 < sizeof(list->text) && c != '\0')
			list->text[n++] = (char)c;
		else
			fits = false;
	}
	list->text[n] = '\0';
	list->unreadable = ferror(list->file) != 0;
	*whole = fits;
	return c != EOF || (n > 0 && !list->unreadable);
}

static bool read_argument(struct nzctl_list *list, bool *whole)
{
	const struct nzctl_options *o = list->options;

	if (list->line >= (uint64_t)o->argc)
		return false;
	const char *text = o->argv[list->line];
	*whole = strlen(text) < sizeof(list->text);
	(void)snprintf(list->text, sizeof(list->text), "%s", text);
	return true;
}

/* A comment begins with '#' at the front or after a blank: names may have it.
 */
static void cut_comment(char *text)
{
	for (char *p = text; *p != '\0'; p++)
		if (*p == '#' && (p == text || strchr(BLANKS, p[-1]) != NULL)) {
			*p = '\0';
			return;
		}
}

/* The next line that says something, in list->text. */
static bool next_line(struct nzctl_list *list)
{
	bool whole = true;

	while (!list->ended) {
		list->ended = list->file != NULL ? !read_line(list, &whole)
						 : !read_argument(list, &whole);
		if (list->ended)
			break;
		list->line++;
		cut_comment(list->text);
		if (!whole)
			faulty(list, "too long, or not text: ");
		else if (list->text[strspn(list->text, BLANKS)] != '\0')
			return true;
	}
	return false;
}

/* Adds the types in 'text', "A,AAAA"; false: they are none. */
static bool parse_types(struct json_object *item, char *text)
{
	char *rest = NULL;
	size_t n = 0;

	for (char *type = strtok_r(text, ",", &rest); type != NULL;
	     type = strtok_r(NULL, ",", &rest)) {
		for (const char *p = type; *p != '\0'; p++)
			if (*p <= ' ' || *p > '~')
				return false;
		if (++n > TYPES_MAX)
			return false;
		json_object_array_add(item, json_object_new_string(type));
	}
	return n > 0;
}

/* The name and types of list->text as a list; NULL: faulty. */
static struct json_object *parse_line(struct nzctl_list *list)
{
	char text[LINE_MAX_N], shown[DNAME_TEXT_MAX];
	char *rest = NULL;
	struct dname name;

	memcpy(text, list->text, sizeof(text));
	const char *word = strtok_r(text, BLANKS, &rest);
	if (word == NULL || dname_parse(slice_of(word), &name) != 0) {
		faulty(list, "not a domain name: ");
		return NULL;
	}
	struct json_object *item = json_object_new_array();
	(void)dname_print(&name, shown); /* all ASCII */
	json_object_array_add(item, json_object_new_string(shown));
	char *types = strtok_r(NULL, BLANKS, &rest);
	if (strtok_r(NULL, BLANKS, &rest) == NULL &&
	    (types == NULL || parse_types(item, types)))
		return item;
	faulty(list, "not a name and 1 to 16 types: ");
	json_object_put(item);
	return NULL;
}

struct json_object *nzctl_list_batch(struct nzctl_list *list)
{
	struct json_object *names = json_object_new_array();
	size_t octets = 0;

	list->n = 0;
	while (list->n < BATCH_NAMES && (list->held || next_line(list))) {
		/* at worst, an octet is "\\\\255" */
		size_t n = 5 * strlen(list->text) + 16;
		list->held = octets + n > BATCH_OCTETS;
		if (list->held)
			break;
		struct json_object *item = parse_line(list);
		if (item == NULL)
			continue;
		json_object_array_add(names, item);
		list->line_of[list->n++] = list->line;
		octets += n;
	}
	if (list->n > 0)
		return names;
	json_object_put(names);
	return NULL;
}

/* -- replies ----------------------------------------------------------- */

static void show_note(struct nzctl_list *list, struct json_object *o)
{
	struct json_object *index = json_object_object_get(o, "index");
	const char *text =
		json_object_get_string(json_object_object_get(o, "text"));
	int64_t i = json_object_get_int64(index);
	bool known = index != NULL && i >= 0 && (uint64_t)i < list->n;

	if (text != NULL)
		note(list, known ? list->line_of[i] : 0, "", text);
}

void nzctl_list_reply(struct nzctl_list *list, struct json_object *reply)
{
	struct json_object *notes = json_object_object_get(reply, "notes");

	for (size_t i = 0; i < N_SUMS; i++) {
		int64_t n = json_object_get_int64(
			json_object_object_get(reply, sums[i]));
		list->sum[i] += n > 0 ? (uint64_t)n : 0;
	}
	if (json_object_is_type(notes, json_type_array))
		for (size_t i = 0; i < json_object_array_length(notes); i++)
			show_note(list, json_object_array_get_idx(notes, i));
	if (list->progress)
		fprintf(stderr, "\r%s:%" PRIu64 ": %" PRIu64 " answers kept ",
			list->what, list->line, list->sum[2]);
}

bool nzctl_list_end(struct nzctl_list *list, bool whole)
{
	struct json_object *o = json_object_new_object();
	bool well = whole && !list->unreadable && list->sum[FAILED] == 0 &&
		    list->sum[FAULTY] == 0;

	if (list->progress)
		fputc('\r', stderr);
	if (list->unreadable)
		fprintf(stderr, "nzctl: populate: cannot read '%s'\n",
			list->what);
	if (list->notes > NOTES_MAX)
		fprintf(stderr, "nzctl: populate: and %" PRIu64 " more\n",
			list->notes - NOTES_MAX);
	json_object_object_add(o, "ok", json_object_new_boolean(whole));
	for (size_t i = 0; i < N_SUMS; i++)
		json_object_object_add(o, sums[i],
				       json_object_new_uint64(list->sum[i]));
	if (list->options->json)
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	else
		show_object(stdout, o, "ok");
	json_object_put(o);
	return well;
}

/* -- life -------------------------------------------------------------- */

enum nzctl_exit nzctl_list_new(const struct nzctl_options *options,
			       struct nzctl_list **listp)
{
	struct nzctl_list *list = calloc(1, sizeof(*list));
	const char *path = options->file;
	char text[128];

	if (list == NULL) {
		fputs("nzctl: out of memory\n", stderr);
		return NZCTL_TROUBLE;
	}
	list->options = options;
	list->what = path != NULL ? path : "argument";
	list->progress = path != NULL && !options->json && isatty(2) == 1;
	if (path != NULL && strcmp(path, "-") == 0)
		list->file = stdin;
	else if (path != NULL)
		list->file = fopen(path, "re");
	if (path != NULL && list->file == NULL) {
		fprintf(stderr, "nzctl: '%s': %s\n", path,
			strerror_r(errno, text, sizeof(text)));
		free(list);
		return NZCTL_REFUSED;
	}
	*listp = list;
	return NZCTL_DONE;
}

void nzctl_list_free(struct nzctl_list *list)
{
	if (list->file != NULL && list->file != stdin)
		(void)fclose(list->file);
	free(list);
}
