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
 *   count NAME WHAT N     a counter of a hostname, as in gtm_count_names
 *   ask NAME A|AAAA [by ADDRESS] [from ADDRESS/BITS] [times N] -> EXPECT...
 *                         N questions (1) of the resolver ADDRESS (192.0.2.53)
 *                         with a client subnet, if any; BITS 0 says nothing
 *
 * EXPECT, one or more, each for every one of the N answers:
 *
 *   is LIST        just these addresses (LIST: with commas, no blanks)
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
#include <arpa/inet.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gtm/decide.h"

#include "read.h"

#define WORDS_MAX  64
#define LINE_MAX   1024
#define FILE_MAX   (1u << 20)
#define KEPT_MAX   32
#define LIST_MAX   64
#define START_MS   1000000u /* the slots' clock at "at 0" */
#define SIGMAS	   5.0
#define TEXT_MAX   ((size_t)GTM_ANSWERS_MAX * 48)
#define SPLIT_STEP UINT64_C(0x9e3779b97f4a7c15)

struct kept {
	char word[64];
	char text[TEXT_MAX];
};

struct sim {
	const char *file;
	unsigned long line;
	char *text, *rest; /* the file; what is not read yet */
	char buffer[LINE_MAX];
	char *word[WORDS_MAX + 1]; /* of the line, NULL after the last */
	struct config *config;
	struct gtm_world *world;
	uint64_t now_ms;
	uint64_t random;
	unsigned int n_failed, n_asked, n_kept;
	struct kept kept[KEPT_MAX];
};

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

static bool complain(struct sim *sim, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Says what is wrong with the line; returns false. */
static bool complain(struct sim *sim, const char *fmt, ...)
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

/* Index of 'word' in 'names', or -1. */
static int name_find(const char *word, const char *const *names, unsigned int n)
{
	for (unsigned int i = 0; word != NULL && i < n; i++)
		if (strcmp(names[i], word) == 0)
			return (int)i;
	return -1;
}

/* Goes on to the next line; false at the end. */
static bool line_next(struct sim *sim, char **line)
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

/* -- what changes the world ------------------------------------------------ */

static bool config_take(struct sim *sim, const char *text, size_t n,
			bool refused)
{
	struct config *config = NULL;
	struct gtm_world *world = NULL;
	struct err errs[4];
	size_t n_errs = 0;
	char words[1024];
	int rc = config_parse(sim->file, text, n, &config, errs, 4, &n_errs);

	if (rc != 0 && refused)
		return true;
	for (size_t i = 0; rc != 0 && i < n_errs && i < 4; i++) {
		err_format(&errs[i], "configuration", words, sizeof(words));
		(void)complain(sim, "%s", words);
	}
	if (rc != 0)
		return false;
	if (refused) {
		config_free(config);
		return complain(sim, "the configuration was not refused");
	}
	rc = gtm_world_new(config, sim->world, &world);
	if (rc != 0) {
		config_free(config);
		return complain(sim, "no world: %d", rc);
	}
	gtm_world_free(sim->world);
	config_free(sim->config);
	sim->world = world;
	sim->config = config;
	return true;
}

static bool do_config(struct sim *sim)
{
	bool refused = name_find(sim->word[1],
				 (const char *const[]){ "refused" }, 1) == 0;
	char *text = sim->rest;
	char *line;

	if (sim->word[1] != NULL && !refused)
		return complain(sim, "config: unknown '%s'", sim->word[1]);
	while (line_next(sim, &line)) {
		if (strcmp(line, "end") == 0)
			return config_take(sim, text, (size_t)(line - text),
					   refused);
		if (sim->rest > text && sim->rest[-1] == '\0')
			sim->rest[-1] = '\n'; /* the text stays whole */
	}
	return complain(sim, "config: no 'end'");
}

static bool do_at(struct sim *sim)
{
	double s;

	if (!number_read(sim->word[1], &s) || sim->word[2] != NULL)
		return complain(sim, "at: want seconds");
	uint64_t now_ms = START_MS + (uint64_t)(s * 1000.0 + 0.5);
	if (now_ms < sim->now_ms)
		return complain(sim, "at: time does not run backwards");
	sim->now_ms = now_ms;
	return true;
}

/* What may follow the metric of a row; '*fate' is the one wanted. */
static bool row_options(struct sim *sim, struct gtm_row *row, int *fate)
{
	char **word = sim->word + 6;
	double value;

	for (; *word != NULL; word += 2) {
		if (strcmp(*word, "->") == 0) {
			*fate = name_find(word[1], gtm_row_fate_names,
					  GTM_ROW_FATES);
			if (*fate < 0 || word[2] != NULL)
				return complain(sim, "row: want one fate");
			return true;
		}
		if (!number_read(word[1], &value))
			return complain(sim, "row: '%s' wants a number", *word);
		if (strcmp(*word, "age") == 0)
			row->age_ms = value * 1000.0;
		else if (strcmp(*word, "error") == 0)
			row->error = (int64_t)value;
		else
			return complain(sim, "row: unknown '%s'", *word);
	}
	return true;
}

static bool do_row(struct sim *sim)
{
	char **word = sim->word;
	int fate = GTM_ROW_OK;
	struct gtm_row row = { 0 };

	for (unsigned int i = 1; i < 6; i++)
		if (word[i] == NULL)
			return complain(sim, "row: words are missing");
	row.server = slice_of(word[1]);
	row.service = slice_of(word[3]);
	if (!address_read(word[2], &row.address))
		return complain(sim, "row: bad address '%s'", word[2]);
	int state =
		name_find(word[4], (const char *const[]){ "up", "down" }, 2);
	if (state < 0)
		return complain(sim, "row: want up or down");
	row.state = state == 0 ? GTM_UP : GTM_DOWN;
	if (strcmp(word[5], "nan") == 0)
		row.metric = NAN;
	else if (!number_read(word[5], &row.metric))
		return complain(sim, "row: bad metric '%s'", word[5]);
	if (!row_options(sim, &row, &fate))
		return false;
	int came = (int)gtm_world_feed(sim->world, &row, sim->now_ms, NULL);
	if (came != fate)
		return complain(sim, "row: want '%s', got '%s'",
				gtm_row_fate_names[fate],
				gtm_row_fate_names[came]);
	return true;
}

/* Server of a "drain" or "undrain"; the time up to which it is out. */
static bool drain_set(struct sim *sim, uint64_t until_ms)
{
	uint32_t i = CONFIG_NONE;

	if (sim->word[1] != NULL)
		i = gtm_world_server(sim->world, slice_of(sim->word[1]));
	if (i == CONFIG_NONE)
		return complain(sim, "%s: no such server", sim->word[0]);
	atomic_store(&sim->world->admins[i]->drained_until_ms, until_ms);
	return true;
}

static bool do_drain(struct sim *sim)
{
	double s;

	if (sim->word[1] == NULL || sim->word[2] == NULL)
		return drain_set(sim, UINT64_MAX);
	if (strcmp(sim->word[2], "for") != 0 || !number_read(sim->word[3], &s))
		return complain(sim, "drain: want 'for SECONDS'");
	return drain_set(sim, sim->now_ms + (uint64_t)(s * 1000.0));
}

static bool do_undrain(struct sim *sim)
{
	return drain_set(sim, 0);
}

static const struct gtm_host *host_find(const struct sim *sim, const char *name)
{
	struct dname dname;

	if (name == NULL || dname_parse(slice_of(name), &dname) != 0)
		return NULL;
	for (size_t i = 0; i < sim->world->n_hosts; i++)
		if (dname_equal(&sim->world->hosts[i].config->name, &dname))
			return &sim->world->hosts[i];
	return NULL;
}

static bool do_count(struct sim *sim)
{
	const struct gtm_host *host = host_find(sim, sim->word[1]);
	unsigned long want;

	if (host == NULL)
		return complain(sim, "count: no such hostname");
	int what = name_find(sim->word[2], gtm_count_names, GTM_COUNTS);
	if (what < 0 || !whole_read(sim->word[3], &want))
		return complain(sim, "count: want NAME WHAT N");
	uint64_t got = atomic_load(&host->counts->n[what]);
	if (got != want)
		return complain(sim, "count %s: want %lu, got %llu",
				sim->word[2], want, (unsigned long long)got);
	return true;
}

/* -- questions ------------------------------------------------------------- */

static const char *candidate_text(const struct ask *ask, uint32_t i, char *text)
{
	bool v4 = ask->q.family == GTM_V4;
	const struct gtm_candidate *c = &ask->host->candidate[ask->q.family][i];

	return inet_ntop(v4 ? AF_INET : AF_INET6, c->address, text, 64);
}

/* The addresses of the answer in the order of the configuration, commas. */
static void answer_print(struct ask *ask)
{
	size_t at = 0;
	char text[64];

	ask->text[0] = '\0';
	for (uint32_t i = 0; i < ask->host->n[ask->q.family]; i++)
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
	char text[64];
	bool good = ask->answer.outcome == GTM_ADDRESSES;

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
	char text[64];
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
		for (uint32_t i = 0; i < ask->host->n[ask->q.family]; i++)
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
	TIER, /* of each answer, with a word */
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
	[IS] = "is",	 [OF] = "of",	      [N] = "n",
	[TTL] = "ttl",	 [SCOPE] = "scope",   [RULE] = "rule",
	[TIER] = "tier", [NODATA] = "nodata", [SERVFAIL] = "servfail",
	[SAME] = "same", [SHARES] = "shares", [KEEP] = "keep",
	[AS] = "as",	 [NOT_AS] = "not-as",
};
static const char *const tier_names[] = { "primary", "backup", "hidden" };

static bool expect_each(struct sim *sim, const struct ask *ask, int what,
			const char *word)
{
	const struct gtm_answer *answer = &ask->answer;

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
	{ "ask", do_ask },
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
