/* SPDX-License-Identifier: MPL-2.0 */
/*
 * sim - replays scenarios of traffic management in virtual time, with the code
 * that answers clients.  'sim FILE...' prints "ok: FILE" or "FAIL: FILE", and
 * before that what was wanted and what came; exits 1 if any failed.
 *
 * A scenario is lines of words; '#' begins a comment, to the end of the line.
 *
 *   config [refused]      a configuration follows, as JSON, up to a line "end":
 *                         the first, or a reload that keeps what is known;
 *                         refused: it must be, and the old one stays
 *   at S                  the time in seconds, never before the time it is
 *   row SERVER ADDRESS SERVICE up|down METRIC [error N] [age S] [-> FATE]
 *                         a row of the side-car; FATE as in gtm_row_fate_names,
 *                         "ok" if it is left out.  A METRIC of "nan" is one
 *   drain SERVER [for S]
 *   undrain SERVER
 *   force SERVER up|down|none [for S]
 *   release SERVER        that was held after a failure
 *   near ADDRESS/BITS POP MS|far [age S] [-> FATE]
 *                         the round trip from a POP to a group of clients
 *   place ADDRESS/BITS [in COUNTRY] [as N] [at LATITUDE LONGITUDE]
 *                         what databases say of clients; none in another
 *   value load|loss|bandwidth OF N [age S] [-> FATE]
 *                         the load of a server's machine; loss or bandwidth of
 *                         a POP, in per cent
 *   count NAME WHAT N     a counter of a hostname, as in gtm_count_names
 *   ask NAME A|AAAA [by ADDRESS] [from ADDRESS/BITS] [times N] -> EXPECT...
 *                         N questions (1) of the resolver ADDRESS (192.0.2.53)
 *                         with a client subnet, if any; BITS 0 says nothing
 *
 * EXPECT, one or more, each for every one of the N answers:
 *
 *   is LIST        just these addresses, or this alias (LIST: with commas, no
 *                  blanks)
 *   first ADDRESS  it comes first
 *   of LIST        some of these
 *   n N            so many addresses
 *   shares LIST    ADDRESS=SHARE: is in so much of the answers, to within five
 *                  standard deviations
 *   nodata, servfail
 *   ttl N, rule R, tier T
 *   scope N        that of the client subnet in the reply; 0 without one in
 *                  the question, or where the hostname does not believe it
 *   same           the N answers are equal
 *   keep WORD      remembers the last answer under WORD
 *   as WORD, not-as WORD  the last answer is that remembered, or another
 *
 * The random numbers are always the same.  Unknown words are errors, and so are
 * a question that expects nothing and a file without a question.
 */
#include "sim.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read.h"

/* One question, and all its answers so far. */
struct ask {
	const struct gtm_host *host;
	struct gtm_question q;
	struct gtm_answer answer; /* the last */
	bool subnet;		  /* believed, and with bits */
	unsigned long times;
	char text[TEXT_MAX]; /* the last answer's addresses, sorted */
	char first[TEXT_MAX];
	unsigned int *given; /* of each candidate */
};

bool complain(struct sim *sim, const char *fmt, ...)
{
	va_list args;

	printf("%s:%lu: ", sim->file, sim->line);
	va_start(args, fmt);
	(void)vprintf(fmt, args);
	va_end(args);
	printf("\n");
	sim->n_failed++;
	return false;
}

/* -- words ----------------------------------------------------------------- */

int name_find(const char *word, const char *const *names, unsigned int n)
{
	for (unsigned int i = 0; word != NULL && i < n; i++)
		if (strcmp(names[i], word) == 0)
			return (int)i;
	return -1;
}

bool line_next(struct sim *sim, char **line)
{
	if (*sim->rest == '\0')
		return false;
	*line = sim->rest;
	size_t n = strcspn(sim->rest, "\n");
	sim->rest += n + (sim->rest[n] == '\n');
	if ((*line)[n] == '\n')
		(*line)[n] = '\0';
	sim->line++;
	return true;
}

/* Splits a line into words; false if there are too many. */
static bool line_split(struct sim *sim, const char *line)
{
	size_t n = strcspn(line, "#");
	unsigned int words = 0;

	if (n >= LINE_MAX)
		return complain(sim, "the line is too long");
	memcpy(sim->buffer, line, n);
	sim->buffer[n] = '\0';
	char *p = sim->buffer + strspn(sim->buffer, " \t");
	while (*p != '\0' && words < WORDS_MAX) {
		sim->word[words++] = p;
		p += strcspn(p, " \t");
		size_t blanks = strspn(p, " \t");
		if (blanks > 0)
			*p = '\0';
		p += blanks;
	}
	sim->word[words] = NULL;
	return *p == '\0' || complain(sim, "too many words");
}

/* -- questions ------------------------------------------------------------- */

static const char *candidate_text(const struct ask *ask, uint32_t i, char *text)
{
	bool v4 = ask->q.family == GTM_V4;
	const struct gtm_candidate *c =
		&ask->answer.host->candidate[ask->q.family][i];

	if (c->alias != NULL) {
		(void)dname_print(c->alias, text);
		return text;
	}
	return inet_ntop(v4 ? AF_INET : AF_INET6, c->address, text,
			 CANDIDATE_MAX);
}

/* The addresses of the answer in the order of the configuration, commas. */
static void answer_print(struct ask *ask)
{
	size_t at = 0;
	char text[CANDIDATE_MAX];

	ask->text[0] = '\0';
	for (uint32_t i = 0; i < ask->answer.host->n[ask->q.family]; i++)
		for (unsigned int k = 0; k < ask->answer.n; k++)
			if (ask->answer.pick[k] == i)
				at += (size_t)snprintf(
					ask->text + at, TEXT_MAX - at, "%s%s",
					at == 0 ? "" : ",",
					candidate_text(ask, i, text));
}

/* True if 'address' is in a list with commas. */
static bool list_has(const char *list, const char *address)
{
	size_t n = strlen(address);

	for (; *list != '\0'; list += list[0] == ',') {
		size_t item = strcspn(list, ",");
		if (item == n && memcmp(list, address, n) == 0)
			return true;
		list += item;
	}
	return false;
}

static unsigned int list_count(const char *list)
{
	unsigned int n = 1;

	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

static bool expect_list(struct sim *sim, const struct ask *ask,
			const char *list, bool all)
{
	char text[CANDIDATE_MAX];
	bool good = ask->answer.outcome == GTM_ADDRESSES ||
		    ask->answer.outcome == GTM_ALIAS;

	for (unsigned int k = 0; k < ask->answer.n; k++)
		good = good &&
		       list_has(list,
				candidate_text(ask, ask->answer.pick[k], text));
	if (all)
		good = good && ask->answer.n == list_count(list);
	if (!good)
		return complain(sim, "want %s %s, got '%s' by rule %s",
				all ? "just" : "some of", list, ask->text,
				gtm_rule_names[ask->answer.rule]);
	return true;
}

static bool expect_number(struct sim *sim, const char *what, const char *want,
			  unsigned long got)
{
	unsigned long number;

	if (!whole_read(want, &number))
		return complain(sim, "%s: want a number", what);
	if (number != got)
		return complain(sim, "want %s %lu, got %lu", what, number, got);
	return true;
}

static bool expect_word(struct sim *sim, const char *what, const char *want,
			const char *got)
{
	if (strcmp(want, got) != 0)
		return complain(sim, "want %s '%s', got '%s'", what, want, got);
	return true;
}

/* "ADDRESS=SHARE,...": after the last answer. */
static bool expect_shares(struct sim *sim, const struct ask *ask, char *list)
{
	double n = (double)ask->times;
	char text[CANDIDATE_MAX];
	double share;

	for (char *next = list; next != NULL; list = next) {
		next = strchr(list, ',');
		if (next != NULL)
			*next++ = '\0';
		char *equals = strchr(list, '=');
		if (equals == NULL || !number_read(equals + 1, &share))
			return complain(sim, "shares: want ADDRESS=SHARE");
		*equals = '\0';
		double got = -1.0;
		for (uint32_t i = 0; i < ask->answer.host->n[ask->q.family];
		     i++)
			if (strcmp(candidate_text(ask, i, text), list) == 0)
				got = ask->given[i];
		double sd = sqrt(n * share * (1.0 - share));
		if (got < 0.0 || fabs(got - n * share) > SIGMAS * sd)
			return complain(sim, "%s: want about %.0f, got %.0f",
					list, n * share, got);
	}
	return true;
}

static struct kept *kept_find(struct sim *sim, const char *word)
{
	for (unsigned int i = 0; i < sim->n_kept; i++)
		if (strcmp(sim->kept[i].word, word) == 0)
			return &sim->kept[i];
	return NULL;
}

static bool expect_kept(struct sim *sim, const struct ask *ask,
			const char *what, const char *word)
{
	struct kept *kept = kept_find(sim, word);

	if (strcmp(what, "keep") == 0) {
		if (kept == NULL && sim->n_kept < KEPT_MAX)
			kept = &sim->kept[sim->n_kept++];
		if (kept == NULL || strlen(word) >= sizeof(kept->word))
			return complain(sim, "keep: no room");
		(void)snprintf(kept->word, sizeof(kept->word), "%s", word);
		(void)snprintf(kept->text, sizeof(kept->text), "%s", ask->text);
		return true;
	}
	if (kept == NULL)
		return complain(sim, "nothing was kept as '%s'", word);
	bool equal = strcmp(kept->text, ask->text) == 0;
	if (equal != (strcmp(what, "as") == 0))
		return complain(sim, "want %s '%s', got '%s'",
				equal ? "another than" : "as before",
				kept->text, ask->text);
	return true;
}

enum expectation {
	IS,
	OF,
	N,
	TTL,
	SCOPE,
	RULE,
	TIER,
	FIRST, /* of each answer, with a word */
	NODATA,
	SERVFAIL,
	SAME, /* of each, alone */
	SHARES,
	KEEP,
	AS,
	NOT_AS, /* after the last */
	EXPECTATIONS,
};
static const char *const expectation_names[EXPECTATIONS] = {
	[IS] = "is",	     [OF] = "of",
	[N] = "n",	     [TTL] = "ttl",
	[SCOPE] = "scope",   [RULE] = "rule",
	[TIER] = "tier",     [FIRST] = "first",
	[NODATA] = "nodata", [SERVFAIL] = "servfail",
	[SAME] = "same",     [SHARES] = "shares",
	[KEEP] = "keep",     [AS] = "as",
	[NOT_AS] = "not-as",
};
static const char *const tier_names[] = { "primary", "next", "backup",
					  "hidden" };

static bool expect_each(struct sim *sim, const struct ask *ask, int what,
			const char *word)
{
	const struct gtm_answer *answer = &ask->answer;
	char text[CANDIDATE_MAX];

	switch (what) {
	case IS:
		return expect_list(sim, ask, word, true);
	case OF:
		return expect_list(sim, ask, word, false);
	case N:
		return expect_number(sim, "n", word, answer->n);
	case TTL:
		return expect_number(sim, "ttl", word, answer->ttl_s);
	case SCOPE:
		return expect_number(sim, "scope", word,
				     ask->subnet ? answer->scope : 0);
	case RULE:
		return expect_word(sim, "rule", word,
				   gtm_rule_names[answer->rule]);
	case TIER:
		return expect_word(sim, "tier", word,
				   answer->n == 0 ? "none"
						  : tier_names[answer->tier]);
	case FIRST:
		return answer->n > 0 &&
		       expect_word(sim, "first", word,
				   candidate_text(ask, answer->pick[0], text));
	case NODATA:
		return answer->outcome == GTM_NODATA ||
		       complain(sim, "want nodata, got '%s'", ask->text);
	case SERVFAIL:
		return answer->outcome == GTM_SERVFAIL ||
		       complain(sim, "want servfail, got '%s'", ask->text);
	case SAME:
		return strcmp(ask->text, ask->first) == 0 ||
		       complain(sim, "want '%s' again, got '%s'", ask->first,
				ask->text);
	default:
		return true;
	}
}

/* Checks the expectations from 'word' on; 'last': the last answer is there. */
static bool expect_all(struct sim *sim, const struct ask *ask, char **word,
		       bool last)
{
	while (*word != NULL) {
		int what = name_find(*word, expectation_names, EXPECTATIONS);
		bool alone = what == NODATA || what == SERVFAIL || what == SAME;
		if (what < 0)
			return complain(sim, "ask: unknown '%s'", *word);
		if (!alone && word[1] == NULL)
			return complain(sim, "ask: '%s' of what?", *word);
		bool good =
			what < SHARES && expect_each(sim, ask, what, word[1]);
		if (what == SHARES)
			good = !last || expect_shares(sim, ask, word[1]);
		if (what > SHARES)
			good = !last || expect_kept(sim, ask, *word, word[1]);
		if (!good)
			return false;
		word += alone ? 1 : 2;
	}
	return true;
}

/* Reads "ask NAME TYPE ..." up to the arrow; returns the word after it. */
static char **ask_read(struct sim *sim, struct ask *ask)
{
	char **word = sim->word + 3;
	struct gtm_client subnet = { 0 };
	int type = sim->word[1] == NULL
			   ? -1
			   : name_find(sim->word[2],
				       (const char *const[]){ "A", "AAAA" }, 2);

	*ask = (struct ask){ .host = host_find(sim, sim->word[1]), .times = 1 };
	(void)client_read("192.0.2.53", &ask->q.client);
	ask->q.now_ms = sim->now_ms;
	ask->q.persist = sim->persist;
	ask->q.clients = sim->clients;
	if (ask->host == NULL || type < 0)
		return NULL;
	ask->q.family = type == 0 ? GTM_V4 : GTM_V6;
	for (; *word != NULL && strcmp(*word, "->") != 0; word += 2) {
		bool good = false;
		if (strcmp(*word, "by") == 0)
			good = client_read(word[1], &ask->q.client);
		else if (strcmp(*word, "from") == 0)
			good = client_read(word[1], &subnet);
		else if (strcmp(*word, "times") == 0)
			good = whole_read(word[1], &ask->times) &&
			       ask->times > 0;
		if (!good)
			return NULL;
	}
	/* As the plugin does it: a subnet of no bits says nothing. */
	ask->subnet = subnet.bits > 0 && ask->host->config->ecs;
	if (ask->subnet)
		ask->q.client = subnet;
	return *word == NULL ? NULL : word + 1;
}

static bool do_ask(struct sim *sim)
{
	struct ask ask;
	char **expect = ask_read(sim, &ask);
	bool good = true;

	if (expect == NULL)
		return complain(sim, "ask: not understood, or no such name");
	if (*expect == NULL)
		return complain(sim, "ask: nothing is expected");
	ask.given = calloc(CONFIG_CHOICE_MAX, sizeof(*ask.given));
	if (ask.given == NULL)
		return complain(sim, "no memory");
	for (unsigned long i = 0; good && i < ask.times; i++) {
		sim->random += SPLIT_STEP;
		ask.q.random = sim->random;
		gtm_decide(ask.host, &ask.q, &ask.answer, NULL);
		gtm_decide_count(ask.host, ask.q.family, &ask.answer, false);
		gtm_decide_keep(sim->persist, &ask.q, &ask.answer);
		for (unsigned int k = 0; k < ask.answer.n; k++)
			ask.given[ask.answer.pick[k]]++;
		answer_print(&ask);
		if (i == 0)
			memcpy(ask.first, ask.text, sizeof(ask.first));
		good = expect_all(sim, &ask, expect, i + 1 == ask.times);
	}
	sim->n_asked++;
	free(ask.given);
	return good;
}

/* -- files ----------------------------------------------------------------- */

static const struct directive {
	const char *name;
	bool (*run)(struct sim *sim);
} directives[] = {
	{ "config", do_config },   { "at", do_at },
	{ "row", do_row },	   { "drain", do_drain },
	{ "undrain", do_undrain }, { "count", do_count },
	{ "ask", do_ask },	   { "force", do_force },
	{ "release", do_release }, { "value", do_value },
	{ "near", do_near },	   { "place", do_place },
};
#define DIRECTIVES (sizeof(directives) / sizeof(directives[0]))

/* Runs a line; false if it makes no sense to go on. */
static bool line_run(struct sim *sim, const char *line)
{
	if (!line_split(sim, line))
		return false;
	if (sim->word[0] == NULL)
		return true;
	for (size_t i = 0; i < DIRECTIVES; i++) {
		if (strcmp(sim->word[0], directives[i].name) != 0)
			continue;
		if (i > 0 && sim->world == NULL)
			return complain(sim, "there is no configuration yet");
		(void)directives[i].run(sim);
		return sim->world != NULL;
	}
	return complain(sim, "unknown '%s'", sim->word[0]);
}

/* The whole file, NUL-terminated, to be freed; or NULL. */
static char *file_read(const char *file)
{
	FILE *f = fopen(file, "r");
	char *text = calloc(1, FILE_MAX + 1);
	size_t n = 0;

	if (f != NULL && text != NULL)
		n = fread(text, 1, FILE_MAX, f);
	if (f != NULL)
		(void)fclose(f);
	if (n > 0)
		return text;
	free(text);
	return NULL;
}

static bool replay(const char *file)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	char *line;

	if (sim == NULL)
		return false;
	sim->file = file;
	sim->now_ms = START_MS;
	sim->persist = gtm_persist_new(4096);
	sim->text = file_read(file);
	sim->rest = sim->text;
	if (sim->text == NULL)
		(void)complain(sim, "cannot read it");
	while (sim->text != NULL && line_next(sim, &line))
		if (!line_run(sim, line))
			break;
	if (sim->n_failed == 0 && sim->n_asked == 0)
		(void)complain(sim, "nothing was asked");
	bool good = sim->n_failed == 0;
	printf("%s: %s\n", good ? "ok" : "FAIL", file);
	gtm_world_free(sim->world);
	config_free(sim->config);
	gtm_persist_free(sim->persist);
	gtm_clients_free(sim->clients);
	free(sim->text);
	free(sim);
	return good;
}

int main(int argc, char **argv)
{
	int rc = argc > 1 ? 0 : 1;

	for (int i = 1; i < argc; i++)
		if (!replay(argv[i]))
			rc = 1;
	return rc;
}
