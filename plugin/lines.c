/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/lines.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <string.h>

void lines_init(struct lines *lines)
{
	lines->start = 0;
	lines->end = 0;
	lines->searched = 0;
}

size_t lines_room(struct lines *lines, char **roomp)
{
	if (lines->start > 0) {
		memmove(lines->buf, lines->buf + lines->start,
			lines->end - lines->start);
		lines->end -= lines->start;
		lines->searched -= lines->start;
		lines->start = 0;
	}
	*roomp = lines->buf + lines->end;
	return sizeof(lines->buf) - lines->end;
}

void lines_fed(struct lines *lines, size_t n)
{
	assert(n <= sizeof(lines->buf) - lines->end);
	lines->end += n;
}

int lines_next(struct lines *lines, struct slice *line)
{
	const char *from = lines->buf + lines->searched;
	const char *newline = memchr(from, '\n', lines->end - lines->searched);

	if (newline == NULL) {
		lines->searched = lines->end;
		return lines->end - lines->start > LINES_MAX ? -EMSGSIZE
							     : -EAGAIN;
	}

	const char *p = lines->buf + lines->start;
	*line = (struct slice){ p, (size_t)(newline - p) };
	lines->start += line->n + 1;
	lines->searched = lines->start;
	return 0;
}

/* True if the text holds a NUL, or \u0000 that a string would make one of. */
static bool has_nul(struct slice text)
{
	if (memchr(text.p, '\0', text.n) != NULL)
		return true;
	for (size_t i = 0; i + 6 <= text.n; i++) {
		if (text.p[i] != '\\')
			continue;
		if (memcmp(text.p + i, "\\u0000", 6) == 0)
			return true;
		i++; /* what is escaped is no escape itself */
	}
	return false;
}

static bool is_blank(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != ' ' && text.p[i] != '\t' && text.p[i] != '\r')
			return false;
	return true;
}

/* Returns the document and NULL in '*whyp', or NULL and what is wrong. */
static struct json_object *document(struct json_tokener *tok, struct slice line,
				    const char **whyp)
{
	struct json_object *doc =
		json_tokener_parse_ex(tok, line.p, (int)line.n);
	enum json_tokener_error rc = json_tokener_get_error(tok);
	size_t end = json_tokener_get_parse_end(tok);

	*whyp = NULL;
	if (rc == json_tokener_error_depth)
		*whyp = "nested too deep";
	else if (rc == json_tokener_error_parse_utf8_string)
		*whyp = "not valid UTF-8";
	else if (rc == json_tokener_continue)
		*whyp = "not a whole JSON document";
	else if (rc != json_tokener_success)
		*whyp = "not a JSON document";
	else if (!is_blank((struct slice){ line.p + end, line.n - end }))
		*whyp = "more than one JSON document in a line";
	if (*whyp == NULL)
		return doc;
	json_object_put(doc);
	return NULL;
}

int lines_request(struct slice line, struct json_object **requestp,
		  const char **commandp, const char **whyp)
{
	if (line.n > LINES_MAX || has_nul(line)) {
		*whyp = line.n > LINES_MAX ? "line too long" : "a NUL octet";
		return -EINVAL;
	}

	struct json_tokener *tok = json_tokener_new_ex(LINES_NESTING);
	if (tok == NULL) {
		*whyp = "out of memory";
		return -ENOMEM;
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
					    JSON_TOKENER_VALIDATE_UTF8 |
					    JSON_TOKENER_ALLOW_TRAILING_CHARS);
	const char *why;
	struct json_object *doc = document(tok, line, &why);
	json_tokener_free(tok);

	struct json_object *command = NULL;
	if (why == NULL && !json_object_is_type(doc, json_type_object))
		why = "not a JSON object";
	else if (why == NULL &&
		 (!json_object_object_get_ex(doc, "command", &command) ||
		  !json_object_is_type(command, json_type_string) ||
		  json_object_get_string_len(command) == 0))
		why = "no text 'command'";
	if (why != NULL) {
		json_object_put(doc);
		*whyp = why;
		return -EINVAL;
	}
	*requestp = doc;
	*commandp = json_object_get_string(command);
	return 0;
}
