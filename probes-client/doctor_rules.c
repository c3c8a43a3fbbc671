/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/doctor_rules.h"

#include <stdio.h>

#include "common/slice.h"

#define PATTERN_MAX  1024u
#define PATTERNS_MAX 64u    /* that one with braces stands for */
#define STEPS_MAX    20000u /* of one match */
#define PROFILE_DIR  "/etc/apparmor.d/"

/* -- patterns -------------------------------------------------------------- */

/* "[a-z]", "[^/]"; sets '*end' behind it. */
static bool class_has(const char *p, char c, const char **end)
{
	bool inverted = p[1] == '^' || p[1] == '!';
	bool has = false;

	p += inverted ? 2 : 1;
	for (; *p != '\0' && *p != ']'; p++) {
		if (p[1] == '-' && p[2] != '\0' && p[2] != ']') {
			has = has || (c >= p[0] && c <= p[2]);
			p += 2;
		} else {
			has = has || *p == c;
		}
	}
	*end = *p == ']' ? p + 1 : p;
	return c != '\0' && has != inverted;
}

/* A pattern without braces against a text. */
static bool match(const char *p, const char *s)
{
	const char *star = NULL, *from = NULL; /* where to go on after a '*' */
	const char *wide = NULL, *wide_from = NULL; /* and after a '**' */

	for (unsigned steps = 0; steps < STEPS_MAX; steps++) {
		const char *next = p + 1;
		bool fits = false;
		if (p[0] == '*' && p[1] == '*') {
			wide = p + 2;
			wide_from = s;
			star = NULL;
			p += 2;
			continue;
		}
		if (p[0] == '*') {
			star = p + 1;
			from = s;
			p++;
			continue;
		}
		if (*p == '\0' && *s == '\0')
			return true;
		if (*p == '[') {
			fits = class_has(p, *s, &next);
		} else if (*p == '\\' && p[1] != '\0') {
			fits = p[1] == *s;
			next = p + 2;
		} else if (*p != '\0') {
			fits = *s != '\0' && (*p == '?' ? *s != '/' : *p == *s);
		}
		if (fits) {
			p = next;
			s++;
			continue;
		}
		if (star != NULL && *from != '\0' && *from != '/') {
			p = star;
			s = ++from;
		} else if (wide != NULL && *wide_from != '\0') {
			p = wide;
			s = ++wide_from;
			star = NULL;
		} else {
			return false;
		}
	}
	return false;
}

/* The brace that closes the one at 'p', or NULL. */
static const char *brace_end(const char *p)
{
	unsigned depth = 0;

	for (; *p != '\0'; p++) {
		depth += *p == '{' ? 1 : 0;
		depth -= *p == '}' ? 1 : 0;
		if (depth == 0)
			return p;
	}
	return NULL;
}

/* Calls itself with each of what the first braces offer. */
/* NOLINTNEXTLINE(misc-no-recursion): bounded by 'budget' */
static bool match_all(const char *pattern, const char *s, unsigned *budget)
{
	const char *open = strchr(pattern, '{');
	const char *end = open != NULL ? brace_end(open) : NULL;
	char one[PATTERN_MAX];

	if (*budget == 0)
		return false;
	(*budget)--;
	if (end == NULL)
		return match(pattern, s);
	const char *from = open + 1;
	unsigned depth = 0;
	for (const char *p = from; p <= end; p++) {
		bool cut = p == end || (*p == ',' && depth == 0);
		depth += *p == '{' ? 1 : 0;
		depth -= *p == '}' && p != end ? 1 : 0;
		if (!cut)
			continue;
		if (snprintf(one, sizeof(one), "%.*s%.*s%s",
			     (int)(open - pattern), pattern, (int)(p - from),
			     from, end + 1) < (int)sizeof(one) &&
		    match_all(one, s, budget))
			return true;
		from = p + 1;
	}
	return false;
}

/* "@{multiarch}" and its like; false: one that is not known here. */
static bool variables_put(const char *in, size_t n, char *out)
{
	static const struct {
		const char *name, *is;
	} known[] = {
		{ "@{multiarch}", "*-linux-gnu*" },
		{ "@{PROC}", "/proc/" },
		{ "@{run}", "{/run,/var/run}" },
		{ "@{sys}", "/sys/" },
		{ "@{pid}", "[0-9]*" },
		{ "@{pids}", "[0-9]*" },
	};
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		if (used + 32 >= PATTERN_MAX)
			return false;
		if (in[i] != '@') {
			out[used++] = in[i];
			continue;
		}
		while (k < sizeof(known) / sizeof(known[0]) &&
		       (strlen(known[k].name) > n - i ||
			memcmp(in + i, known[k].name, strlen(known[k].name)) !=
				0))
			k++;
		if (k == sizeof(known) / sizeof(known[0]))
			return false;
		memcpy(out + used, known[k].is, strlen(known[k].is));
		used += strlen(known[k].is);
		i += strlen(known[k].name) - 1;
	}
	out[used] = '\0';
	return true;
}

/* -- lines ----------------------------------------------------------------- */

struct words {
	const char *p, *end;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word, which may be quoted. */
static struct slice word_take(struct words *w)
{
	while (w->p < w->end && is_blank(*w->p))
		w->p++;
	bool quoted = w->p < w->end && *w->p == '"';
	w->p += quoted ? 1 : 0;
	const char *from = w->p;
	while (w->p < w->end && (quoted ? *w->p != '"' : !is_blank(*w->p)))
		w->p++;
	struct slice word = { from, (size_t)(w->p - from) };
	w->p += quoted && w->p < w->end ? 1 : 0;
	return word;
}

static bool is_path(struct slice word)
{
	return word.n > 0 && (word.p[0] == '/' || word.p[0] == '@');
}

static void need_take(struct doctor_need *need, const char *pattern,
		      struct slice perms, bool deny)
{
	unsigned budget = PATTERNS_MAX;

	if (!match_all(pattern, need->path, &budget))
		return;
	for (unsigned i = 0; i < 3 && need->perms[i] != '\0'; i++) {
		if (memchr(perms.p, need->perms[i], perms.n) == NULL)
			continue;
		if (deny)
			need->denied |= 1u << i;
		else
			need->allowed |= 1u << i;
	}
}

void doctor_rules_line(const char *line, size_t n, struct doctor_need *needs,
		       size_t n_needs)
{
	struct words w = { line, line + n };
	struct slice word = word_take(&w), path, perms;
	char pattern[PATTERN_MAX];
	bool deny = false;

	if (word.n == 0 || word.p[0] == '#')
		return;
	for (;;) {
		deny = deny || slice_is(word, "deny");
		if (!slice_is(word, "deny") && !slice_is(word, "allow") &&
		    !slice_is(word, "audit") && !slice_is(word, "owner") &&
		    !slice_is(word, "quiet") && !slice_is(word, "file"))
			break;
		word = word_take(&w);
	}
	path = is_path(word) ? word : word_take(&w);
	perms = is_path(word) ? word_take(&w) : word;
	/* the comma ends the rule, and is the last of its last word */
	if (path.n > 0 && path.p[path.n - 1] == ',')
		path.n--;
	if (!is_path(path) || !variables_put(path.p, path.n, pattern))
		return;
	for (size_t i = 0; i < n_needs; i++)
		need_take(&needs[i], pattern, perms, deny);
}

bool doctor_rules_include(const char *line, size_t n, char *out)
{
	struct words w = { line, line + n };
	struct slice word = word_take(&w);

	if (!slice_is(word, "include") && !slice_is(word, "#include"))
		return false;
	word = word_take(&w);
	if (slice_is(word, "if")) {
		(void)word_take(&w); /* "exists" */
		word = word_take(&w);
	}
	if (word.n < 2 || memchr(word.p, '\0', word.n) != NULL)
		return false;
	bool ours = word.p[0] == '<' && word.p[word.n - 1] == '>';
	if (ours) {
		word.p++;
		word.n -= 2;
	} else if (word.p[0] != '/') {
		return false;
	}
	return snprintf(out, DOCTOR_RULES_PATH, "%s%.*s",
			ours ? PROFILE_DIR : "", (int)word.n,
			word.p) < DOCTOR_RULES_PATH;
}
