/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/params.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum token { END, WORD, OPEN, CLOSE, SEMICOLON, BAD };

struct reader {
	const char *at;
	char word[PARAMS_WORD_MAX];
	char *why;
	size_t size;
	bool bad; /* next() has said BAD */
	bool seen_error, seen_mismatch;
};

static int fail(struct reader *r, const char *what, const char *which)
{
	if (r->bad)
		what = "a string without end, or a word too long, near";
	(void)snprintf(r->why, r->size, "%s '%s'", what, which);
	return -EINVAL;
}

/* Skips one comment if one begins here. */
static bool skip_comment(struct reader *r)
{
	if (r->at[0] == '#' || (r->at[0] == '/' && r->at[1] == '/')) {
		r->at += strcspn(r->at, "\n");
		return true;
	}
	if (r->at[0] == '/' && r->at[1] == '*') {
		const char *end = strstr(r->at + 2, "*/");
		r->at = end != NULL ? end + 2 : r->at + strlen(r->at);
		return true;
	}
	return false;
}

static void skip_space(struct reader *r)
{
	do {
		r->at += strspn(r->at, " \t\r\n");
	} while (skip_comment(r));
}

/* Takes 'n' octets as the word, then moves 'skip' on. */
static enum token take_word(struct reader *r, const char *from, size_t n,
			    size_t skip)
{
	if (n >= sizeof(r->word)) {
		r->bad = true;
		return BAD;
	}
	memcpy(r->word, from, n);
	r->word[n] = '\0';
	r->at = from + n + skip;
	return WORD;
}

static enum token next(struct reader *r)
{
	skip_space(r);
	switch (*r->at) {
	case '\0':
		return END;
	case '{':
		r->at++;
		return OPEN;
	case '}':
		r->at++;
		return CLOSE;
	case ';':
		r->at++;
		return SEMICOLON;
	case '"': {
		size_t n = strcspn(r->at + 1, "\"");
		if (r->at[1 + n] != '"') {
			r->bad = true;
			return BAD;
		}
		return take_word(r, r->at + 1, n, 1);
	}
	default:
		return take_word(r, r->at, strcspn(r->at, " \t\r\n{};\"#"), 0);
	}
}

/* The rest of "KEY VALUE;" into '*out', which must be NULL still. */
static int read_string(struct reader *r, const char *key, char **out)
{
	if (*out != NULL)
		return fail(r, "given twice:", key);
	if (next(r) != WORD || r->word[0] == '\0')
		return fail(r, "a value is missing after", key);
	*out = strdup(r->word);
	if (*out == NULL)
		return -ENOMEM;
	if (next(r) != SEMICOLON)
		return fail(r, "a ';' is missing after", key);
	return 0;
}

static int add_zone(struct reader *r, struct params *p)
{
	if (p->n_zones == PARAMS_ZONES_MAX)
		return fail(r, "too many", "zones");
	char **more = realloc(p->zones, (p->n_zones + 1) * sizeof(char *));
	if (more == NULL)
		return -ENOMEM;
	p->zones = more;
	p->zones[p->n_zones] = strdup(r->word);
	if (p->zones[p->n_zones] == NULL)
		return -ENOMEM;
	p->n_zones++;
	return 0;
}

static int read_zones(struct reader *r, struct params *p)
{
	if (p->n_zones > 0)
		return fail(r, "given twice:", "zones");
	if (next(r) != OPEN)
		return fail(r, "a '{' is missing after", "zones");
	enum token t = next(r);
	for (; t == WORD && r->word[0] != '\0'; t = next(r)) {
		int rc = add_zone(r, p);
		if (rc != 0)
			return rc;
		if (next(r) != SEMICOLON)
			return fail(r, "a ';' is missing after",
				    p->zones[p->n_zones - 1]);
	}
	if (t != CLOSE || p->n_zones == 0)
		return fail(r, "want names of zones, each with ';', in",
			    "zones { }");
	if (next(r) != SEMICOLON)
		return fail(r, "a ';' is missing after", "zones { }");
	return 0;
}

/* "on-error fail;", "on-error inactive;" and the same for on-mismatch. */
static int read_policy(struct reader *r, const char *key, bool *seen,
		       bool *fails)
{
	char *value = NULL;

	if (*seen)
		return fail(r, "given twice:", key);
	*seen = true;
	int rc = read_string(r, key, &value);
	if (rc == 0 && strcmp(value, "fail") == 0)
		*fails = true;
	else if (rc == 0 && strcmp(value, "inactive") == 0)
		*fails = false;
	else if (rc == 0)
		rc = fail(r, "want 'fail' or 'inactive', not", value);
	free(value);
	return rc;
}

static int read_one(struct reader *r, struct params *p)
{
	bool ignored; /* the stub has acted on it */

	if (strcmp(r->word, "config") == 0)
		return read_string(r, "config", &p->config);
	if (strcmp(r->word, "node") == 0)
		return read_string(r, "node", &p->node);
	if (strcmp(r->word, "zones") == 0)
		return read_zones(r, p);
	if (strcmp(r->word, "on-error") == 0)
		return read_policy(r, "on-error", &r->seen_error,
				   &p->error_fails);
	if (strcmp(r->word, "on-mismatch") == 0)
		return read_policy(r, "on-mismatch", &r->seen_mismatch,
				   &ignored);
	return fail(r,
		    "unknown parameter (want config, node, zones, on-error "
		    "or on-mismatch):",
		    r->word);
}

int params_parse(const char *text, struct params *params, char *why,
		 size_t size)
{
	struct reader r = { .at = text != NULL ? text : "",
			    .why = why,
			    .size = size };
	int rc = 0;
	enum token t = END;

	*params = (struct params){ 0 };
	(void)snprintf(why, size, "out of memory");
	while (rc == 0 && (t = next(&r)) == WORD)
		rc = read_one(&r, params);
	if (rc == 0 && t != END)
		rc = fail(&r, "want a parameter, not",
			  t == OPEN    ? "{"
			  : t == CLOSE ? "}"
				       : ";");
	if (rc == 0 && params->config == NULL)
		rc = fail(&r, "a parameter is missing:",
			  "config \"/path/to/nearzone.json\";");
	if (rc == 0 && params->node == NULL) {
		params->node = strdup("");
		rc = params->node != NULL ? 0 : -ENOMEM;
	}
	if (rc != 0)
		params_free(params);
	return rc;
}

void params_free(struct params *params)
{
	for (size_t i = 0; i < params->n_zones; i++)
		free(params->zones[i]);
	free(params->zones);
	free(params->config);
	free(params->node);
	*params = (struct params){ 0 };
}
