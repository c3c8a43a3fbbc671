/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/latencies.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gtm/explain.h"
#include "probes-client/show.h"

#define LINE_MAX_OCTETS 512u
#define LINES_MAX	10000000u

struct line {
	bool v6;
	uint8_t bits;
	uint8_t address[16];
	uint32_t pop;
	double ms;
};

struct latencies {
	struct json_object *pops; /* name: number */
	struct line *line;	  /* sorted */
	size_t n, max;
	bool length[2][129]; /* that there are */
};

static int by_network(const void *va, const void *vb)
{
	const struct line *a = va;
	const struct line *b = vb;

	if (a->v6 != b->v6)
		return a->v6 ? 1 : -1;
	if (a->bits != b->bits)
		return a->bits < b->bits ? -1 : 1;
	int rc = memcmp(a->address, b->address, sizeof(a->address));
	if (rc != 0)
		return rc;
	return (a->pop > b->pop) - (a->pop < b->pop);
}

static void clear_bits(uint8_t *address, unsigned int bits)
{
	for (unsigned int i = bits; i < 128; i++)
		address[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
}

static uint32_t pop_number(struct latencies *l, const char *pop)
{
	struct json_object *o = json_object_object_get(l->pops, pop);

	if (o != NULL)
		return (uint32_t)json_object_get_int64(o);
	uint32_t n = (uint32_t)json_object_object_length(l->pops);
	json_object_object_add(l->pops, pop, json_object_new_int64(n));
	return n;
}

/* "12.5"; less than 0: it is none. */
static double number(const char *text)
{
	double value = 0;
	double unit = 0;

	if (*text < '0' || *text > '9')
		return -1;
	for (; *text != '\0'; text++) {
		if (*text == '.' && unit == 0) {
			unit = 1;
			continue;
		}
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
		unit *= 10;
	}
	return unit > 0 ? value / unit : value;
}

/* Ends the word at 'p' and returns it; moves on to what follows. */
static char *word(char **p)
{
	*p += strspn(*p, " \t\r\n");
	char *begin = *p;
	*p += strcspn(*p, " \t\r\n");
	if (**p != '\0')
		*(*p)++ = '\0';
	return begin;
}

/* 0, -EINVAL or -ENOMEM. */
static int line_read(struct latencies *l, char *text)
{
	struct gtm_client client;

	text[strcspn(text, "#")] = '\0';
	const char *network = word(&text);
	const char *pop = word(&text);
	double ms = number(word(&text));
	if (network[0] == '\0')
		return 0;
	if (!gtm_explain_client(network, &client) || pop[0] == '\0' || ms < 0 ||
	    l->n == LINES_MAX || word(&text)[0] != '\0')
		return -EINVAL;
	if (l->n == l->max) {
		size_t max = l->max == 0 ? 1024 : 2 * l->max;
		struct line *more = realloc(l->line, max * sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		l->line = more;
		l->max = max;
	}
	struct line *line = &l->line[l->n++];
	*line = (struct line){ .v6 = client.v6,
			       .bits = client.bits,
			       .pop = pop_number(l, pop),
			       .ms = ms };
	memcpy(line->address, client.address, sizeof(line->address));
	clear_bits(line->address, line->bits);
	l->length[line->v6][line->bits] = true;
	return 0;
}

static int read_all(struct latencies *l, FILE *f, unsigned long *at)
{
	char text[LINE_MAX_OCTETS];

	while (fgets(text, sizeof(text), f) != NULL) {
		++*at;
		int rc = line_read(l, text);
		if (rc != 0)
			return rc;
	}
	if (ferror(f) != 0)
		return -EIO;
	if (l->n > 0)
		qsort(l->line, l->n, sizeof(*l->line), by_network);
	return 0;
}

struct latencies *latencies_read(const char *file)
{
	struct latencies *l = calloc(1, sizeof(*l));
	FILE *f = fopen(file, "re");
	unsigned long at = 0;
	char text[128];
	int rc = f == NULL ? -errno : 0;

	if (l == NULL)
		rc = -ENOMEM;
	else
		l->pops = json_object_new_object();
	if (rc == 0)
		rc = read_all(l, f, &at);
	if (f != NULL)
		(void)fclose(f);
	if (rc == 0)
		return l;
	fputs("nzctl: ", stderr);
	show_text(stderr, slice_of(file));
	fprintf(stderr, ":%lu: %s\n", at,
		rc == -EINVAL ? "want NETWORK POP MILLISECONDS"
			      : strerror_r(-rc, text, sizeof(text)));
	latencies_free(l);
	return NULL;
}

void latencies_free(struct latencies *l)
{
	if (l == NULL)
		return;
	json_object_put(l->pops);
	free(l->line);
	free(l);
}

double latencies_find(const struct latencies *l,
		      const struct gtm_client *client, const char *pop)
{
	struct json_object *o = json_object_object_get(l->pops, pop);
	struct line key = { .v6 = client->v6 };

	if (o == NULL || l->n == 0)
		return -1;
	key.pop = (uint32_t)json_object_get_int64(o);
	memcpy(key.address, client->address, sizeof(key.address));
	for (unsigned int bits = client->bits; bits > 0; bits--) {
		clear_bits(key.address, bits);
		key.bits = (uint8_t)bits;
		if (!l->length[key.v6][bits])
			continue;
		const struct line *found =
			bsearch(&key, l->line, l->n, sizeof(key), by_network);
		if (found != NULL)
			return found->ms;
	}
	return -1;
}
