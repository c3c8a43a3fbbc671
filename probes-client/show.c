/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/show.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#define COLUMNS_MAX 64 /* of a table; wider ones are shown as blocks */
#define WIDTH_MAX   64 /* columns of text that alignment cares for */
#define INDENT	    2
#define TIME_MAX    253402300799.0 /* the end of the year 9999 */
#define AGE_MAX	    1e15 /* seconds that are shown as more than that */

/* A column of a table: a member, or a member of a member that is an object. */
struct column {
	const char *key, *sub;
	int width;
	bool numeric; /* and so aligned to the right */
};

struct table {
	struct json_object *rows;
	size_t n_rows, n_columns;
	struct column columns[COLUMNS_MAX];
};

static void show_block(FILE *out, struct json_object *object, int indent,
		       const char *skip);

/* -- text ------------------------------------------------------------------ */

/*
 * The length in octets of the character that text begins with and its width
 * in columns; or 0 if it is not to be shown as it is.
 */
static size_t printable(struct slice text, int *width)
{
	mbstate_t state = { 0 };
	wchar_t wc;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	size_t n = mbrtowc(&wc, text.p, text.n, &state);

	if (n == 0 || n > text.n) /* NUL, or (size_t)-1, -2 */
		return 0;
	*width = wcwidth(wc); /* 0: formatting, direction; -1: control */
	return *width > 0 ? n : 0;
}

void show_text(FILE *out, struct slice text)
{
	while (text.n > 0) {
		int width;
		size_t n = printable(text, &width);

		if (n == 0)
			fprintf(out, "\\x%02x", (unsigned char)*text.p);
		else
			fwrite(text.p, 1, n, out);
		n += n == 0;
		text.p += n;
		text.n -= n;
	}
}

static int text_width(struct slice text)
{
	int sum = 0;

	while (text.n > 0 && sum < WIDTH_MAX) {
		int width;
		size_t n = printable(text, &width);

		sum += n == 0 ? 4 : width;
		n += n == 0;
		text.p += n;
		text.n -= n;
	}
	return sum;
}

static void show_spaces(FILE *out, int n)
{
	if (n > 0)
		fprintf(out, "%*s", n, "");
}

static struct slice string_of(struct json_object *value)
{
	return (struct slice){ json_object_get_string(value),
			       (size_t)json_object_get_string_len(value) };
}

/* -- labels and values ------------------------------------------------------
 */

static bool ends_with(struct slice key, const char *end)
{
	size_t n = strlen(end);

	return key.n > n && memcmp(key.p + key.n - n, end, n) == 0;
}

/* The key without its unit: the value shows that. */
static struct slice label_of(const char *key)
{
	struct slice label = slice_of(key);

	if (ends_with(label, "_pct"))
		label.n -= 4;
	else if (ends_with(label, "_us"))
		label.n -= 3;
	else if (ends_with(label, "_s"))
		label.n -= 2;
	return label;
}

/* Numbers, in whose column a word ("never") changes nothing. */
static bool is_quantity(const char *key)
{
	return label_of(key).n < strlen(key);
}

static bool is_any(const char *key, const char *a, const char *b, const char *c)
{
	return strcmp(key, a) == 0 || strcmp(key, b) == 0 ||
	       strcmp(key, c) == 0;
}

static bool is_number(struct json_object *value)
{
	return json_object_is_type(value, json_type_int) ||
	       json_object_is_type(value, json_type_double);
}

static bool is_scalar(struct json_object *value)
{
	return !json_object_is_type(value, json_type_object) &&
	       !json_object_is_type(value, json_type_array);
}

static char *duration_text(int64_t s, char out[SHOW_AGE_MAX])
{
	static const struct {
		int64_t s;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };
	uint64_t left = s < 0 ? -(uint64_t)s : (uint64_t)s;
	size_t n = 0;

	if (s < 0)
		out[n++] = '-';
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t unit = (uint64_t)units[i].s;

		if (left >= unit)
			n += (size_t)snprintf(out + n, SHOW_AGE_MAX - n,
					      "%" PRIu64 "%c ", left / unit,
					      units[i].unit);
		left %= unit;
	}
	(void)snprintf(out + n, SHOW_AGE_MAX - n, "%" PRIu64 "s", left);
	return out;
}

char *show_age(double s, char out[SHOW_AGE_MAX])
{
	if ((s >= 59.95 || s <= -59.95) && s < AGE_MAX && s > -AGE_MAX)
		return duration_text((int64_t)(s + (s < 0 ? -0.5 : 0.5)), out);
	if (s < AGE_MAX && s > -AGE_MAX)
		(void)snprintf(out, SHOW_AGE_MAX, "%.1fs", s);
	else
		(void)snprintf(out, SHOW_AGE_MAX, "%gs", s);
	return out;
}

static void show_size(FILE *out, uint64_t n)
{
	static const char units[] = "KMGTPE";
	double value = (double)n;
	int i = -1;

	fprintf(out, "%" PRIu64, n);
	for (; value >= 1024 && i < 5; i++)
		value /= 1024;
	if (i >= 0)
		fprintf(out, " (%.1f %ciB)", value, units[i]);
}

/* 0 <= unix_s < TIME_MAX */
static void time_show(FILE *out, double unix_s, bool with_ms)
{
	int64_t ms = (int64_t)(unix_s * 1000 + 0.5);
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	if (gmtime_r(&s, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		fprintf(out, "%.3f", unix_s);
		return;
	}
	fputs(text, out);
	if (with_ms)
		fprintf(out, ".%03d", (int)(ms % 1000));
	fputc('Z', out);
}

static void show_number(FILE *out, const char *key, struct json_object *value)
{
	double x = json_object_get_double(value);
	bool whole = json_object_is_type(value, json_type_int);
	int64_t n = json_object_get_int64(value);
	char age[SHOW_AGE_MAX];

	if (is_any(key, "started", "loaded", "time") && x >= 0 && x < TIME_MAX)
		time_show(out, x, false);
	else if (whole && ends_with(slice_of(key), "_us"))
		fprintf(out, "%.3f ms", x / 1000);
	else if (whole && ends_with(slice_of(key), "_s"))
		fputs(duration_text(n, age), out);
	else if (ends_with(slice_of(key), "_s"))
		fputs(show_age(x, age), out);
	else if (ends_with(slice_of(key), "_pct"))
		fprintf(out, "%.0f%%", x);
	else if (whole && n >= 0 && is_any(key, "bytes", "limit", "size"))
		show_size(out, json_object_get_uint64(value));
	else
		fputs(json_object_to_json_string(value), out);
}

/* Compact JSON, for what has no better notation. */
static void show_json(FILE *out, struct json_object *value)
{
	show_text(out, slice_of(json_object_to_json_string_ext(
			       value, JSON_C_TO_STRING_PLAIN |
					      JSON_C_TO_STRING_NOSLASHESCAPE)));
}

static void show_scalar(FILE *out, const char *key, struct json_object *value)
{
	if (json_object_is_type(value, json_type_boolean))
		fputs(json_object_get_boolean(value) ? "yes" : "no", out);
	else if (is_number(value))
		show_number(out, key, value);
	else if (json_object_is_type(value, json_type_string) &&
		 json_object_get_string_len(value) > 0)
		show_text(out, string_of(value));
	else if (is_scalar(value))
		fputc('-', out);
	else
		show_json(out, value);
}

/* A value on one line. */
static void show_value(FILE *out, const char *key, struct json_object *value)
{
	size_t n = 0;

	if (!json_object_is_type(value, json_type_array)) {
		show_scalar(out, key, value);
		return;
	}
	n = json_object_array_length(value);
	if (n == 0)
		fputc('-', out);
	for (size_t i = 0; i < n; i++) {
		fputs(i > 0 ? ", " : "", out);
		show_scalar(out, key, json_object_array_get_idx(value, i));
	}
}

/* -- tables -----------------------------------------------------------------
 */

static struct json_object *cell(const struct table *table, size_t row,
				const struct column *column)
{
	struct json_object *value = json_object_array_get_idx(table->rows, row);

	value = json_object_object_get(value, column->key);
	if (column->sub != NULL && json_object_is_type(value, json_type_object))
		value = json_object_object_get(value, column->sub);
	return value;
}

static bool column_add(struct table *table, const char *key, const char *sub)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct column *have = &table->columns[i];

		if (strcmp(have->key, key) == 0 &&
		    (have->sub == NULL || sub == NULL
			     ? have->sub == sub
			     : strcmp(have->sub, sub) == 0))
			return true;
	}
	if (table->n_columns == COLUMNS_MAX)
		return false;
	table->columns[table->n_columns++] =
		(struct column){ .key = key, .sub = sub, .numeric = true };
	return true;
}

/* The columns of one row; an object in it is spread over columns of its own. */
static bool columns_of(struct table *table, struct json_object *row)
{
	struct json_object_iter member, inner;
	bool fits = json_object_is_type(row, json_type_object);

	if (!fits)
		return false;
	json_object_object_foreachC(row, member)
	{
		if (!json_object_is_type(member.val, json_type_object)) {
			fits = fits && column_add(table, member.key, NULL);
			continue;
		}
		json_object_object_foreachC(member.val, inner) fits =
			fits && column_add(table, member.key, inner.key);
	}
	return fits;
}

static struct slice heading(const struct column *column)
{
	return label_of(column->sub == NULL ? column->key : column->sub);
}

static const char *key_of(const struct column *column)
{
	return column->sub == NULL ? column->key : column->sub;
}

/* Shows a cell, padded to the column; or only measures it ('out' NULL). */
static int show_cell(FILE *out, const struct table *table, size_t row,
		     const struct column *column)
{
	struct json_object *value = cell(table, row, column);
	char *text = NULL;
	size_t n = 0;
	FILE *memory = open_memstream(&text, &n);

	if (memory == NULL)
		return 0;
	show_value(memory, key_of(column), value);
	if (fclose(memory) != 0) {
		free(text);
		return 0;
	}

	int width = text_width((struct slice){ text, n });
	if (out != NULL) {
		bool last = column == &table->columns[table->n_columns - 1];
		int pad = column->width - width;

		show_spaces(out, column->numeric ? pad : 0);
		fwrite(text, 1, n, out);
		show_spaces(out, column->numeric || last ? 0 : pad);
	}
	free(text);
	return width;
}

static void table_measure(struct table *table)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		struct column *column = &table->columns[i];

		column->width = text_width(heading(column));
		for (size_t row = 0; row < table->n_rows; row++) {
			struct json_object *value = cell(table, row, column);
			int width = show_cell(NULL, table, row, column);

			if (width > column->width)
				column->width = width;
			if (value != NULL && !is_number(value) &&
			    !is_quantity(key_of(column)))
				column->numeric = false;
		}
	}
}

static void show_headings(FILE *out, const struct table *table)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		const struct column *column = &table->columns[i];
		struct slice label = heading(column);
		int pad = column->width - text_width(label);
		bool last = i + 1 == table->n_columns;

		show_spaces(out, i > 0 ? 2 : 0);
		show_spaces(out, column->numeric ? pad : 0);
		show_text(out, label);
		show_spaces(out, column->numeric || last ? 0 : pad);
	}
	fputc('\n', out);
}

static void show_table(FILE *out, const struct table *table, int indent)
{
	show_spaces(out, indent);
	show_headings(out, table);
	for (size_t row = 0; row < table->n_rows; row++) {
		show_spaces(out, indent);
		for (size_t i = 0; i < table->n_columns; i++) {
			show_spaces(out, i > 0 ? 2 : 0);
			show_cell(out, table, row, &table->columns[i]);
		}
		fputc('\n', out);
	}
}

/* An array with objects in it: a table, or what does not fit as blocks. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the document, bounded */
static void show_array(FILE *out, struct json_object *array, int indent)
{
	struct table table = { .rows = array,
			       .n_rows = json_object_array_length(array) };
	bool fits = true;

	for (size_t i = 0; i < table.n_rows; i++)
		fits = fits &&
		       columns_of(&table, json_object_array_get_idx(array, i));
	if (fits && table.n_columns > 0) {
		table_measure(&table);
		show_table(out, &table, indent);
		return;
	}
	for (size_t i = 0; i < table.n_rows; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		show_spaces(out, indent);
		fprintf(out, "%zu:", i + 1);
		if (json_object_is_type(item, json_type_object)) {
			fputc('\n', out);
			show_block(out, item, indent + INDENT, NULL);
			continue;
		}
		fputc(' ', out);
		show_value(out, "", item);
		fputc('\n', out);
	}
}

/* -- objects ----------------------------------------------------------------
 */

static bool on_one_line(struct json_object *value)
{
	if (json_object_is_type(value, json_type_object))
		return json_object_object_length(value) == 0;
	if (!json_object_is_type(value, json_type_array))
		return true;
	for (size_t i = 0; i < json_object_array_length(value); i++)
		if (!is_scalar(json_object_array_get_idx(value, i)))
			return false;
	return true;
}

static void show_findings(FILE *out, struct json_object *array, int indent)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		show_spaces(out, indent);
		show_finding(out, json_object_array_get_idx(array, i));
		fputc('\n', out);
	}
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the document, bounded */
static void show_member(FILE *out, const char *key, struct json_object *value,
			int indent, int width)
{
	struct slice label = label_of(key);

	show_spaces(out, indent);
	show_text(out, label);
	if (on_one_line(value)) {
		show_spaces(out, width - text_width(label) + 2);
		if (json_object_is_type(value, json_type_object))
			fputc('-', out);
		else
			show_value(out, key, value);
		fputc('\n', out);
		return;
	}
	fputs(":\n", out);
	indent += INDENT;
	if (json_object_is_type(value, json_type_object))
		show_block(out, value, indent, NULL);
	else if (strcmp(key, "errors") == 0)
		show_findings(out, value, indent);
	else
		show_array(out, value, indent);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the document, bounded */
static void show_block(FILE *out, struct json_object *object, int indent,
		       const char *skip)
{
	struct json_object_iter member;
	int width = 0;

	json_object_object_foreachC(object, member)
	{
		int label = text_width(label_of(member.key));

		if (on_one_line(member.val) && label > width)
			width = label;
	}
	json_object_object_foreachC(object, member)
	{
		if (skip == NULL || strcmp(member.key, skip) != 0)
			show_member(out, member.key, member.val, indent, width);
	}
}

void show_object(FILE *out, struct json_object *object, const char *skip)
{
	show_block(out, object, 0, skip);
}

void show_rows(FILE *out, struct json_object *rows, int indent)
{
	if (json_object_is_type(rows, json_type_array))
		show_array(out, rows, indent);
}

void show_time(FILE *out, double unix_s)
{
	if (unix_s >= 0 && unix_s < TIME_MAX)
		time_show(out, unix_s, false);
	else
		fputc('-', out);
}

/* -- events and findings ----------------------------------------------------
 */

static bool is_word(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == ' ' || text.p[i] == '"' || text.p[i] == '=')
			return false;
	return text.n > 0;
}

void show_event(FILE *out, struct json_object *event)
{
	struct json_object *when = json_object_object_get(event, "time");
	struct json_object *name = json_object_object_get(event, "event");
	struct json_object_iter member;
	double x = is_number(when) ? json_object_get_double(when) : -1;

	if (x >= 0 && x < TIME_MAX)
		time_show(out, x, true);
	else
		fputc('-', out);
	fputc(' ', out);
	show_scalar(out, "event", name);
	json_object_object_foreachC(event, member)
	{
		if (is_any(member.key, "time", "event", "ok"))
			continue;
		fputc(' ', out);
		show_text(out, slice_of(member.key));
		fputc('=', out);
		if (json_object_is_type(member.val, json_type_string) &&
		    is_word(string_of(member.val)))
			show_text(out, string_of(member.val));
		else
			show_json(out, member.val);
	}
	fputc('\n', out);
}

static void show_part(FILE *out, struct json_object *value, const char *after)
{
	if (json_object_is_type(value, json_type_string) &&
	    json_object_get_string_len(value) > 0) {
		show_text(out, string_of(value));
		fputs(after, out);
	}
}

void show_finding(FILE *out, struct json_object *finding)
{
	if (!json_object_is_type(finding, json_type_object)) {
		show_scalar(out, "", finding);
		return;
	}

	struct json_object *file = json_object_object_get(finding, "file");
	int64_t line =
		json_object_get_int64(json_object_object_get(finding, "line"));
	show_part(out, file, ":");
	if (line > 0)
		fprintf(out, "%" PRId64 ":", line);
	if (line > 0 || json_object_is_type(file, json_type_string))
		fputc(' ', out);
	show_part(out, json_object_object_get(finding, "path"), ": ");
	show_part(out, json_object_object_get(finding, "text"), "");
}
