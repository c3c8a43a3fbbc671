/* SPDX-License-Identifier: MPL-2.0 */
#include "common/jsontext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/utf8.h"

struct scan {
	struct jsontext *json;
	const char *p; /* the text */
	size_t n, i;   /* its length; where we are */
	uint32_t line;
	size_t line_start;
	size_t decoded_n; /* used of json->decoded */
	size_t depth;
	uint32_t open[JSONTEXT_DEPTH_MAX]; /* the nodes we are in */
	uint32_t last[JSONTEXT_DEPTH_MAX]; /* their last children, or 0 */
	struct err *err;
};

/* Says what is wrong at octet 'at' of the current line. */
static int fail_at(struct scan *s, size_t at, const char *what)
{
	size_t column = 1;

	for (size_t i = s->line_start; i < at && i < s->n; i++)
		column += ((uint8_t)s->p[i] & 0xc0) != 0x80;
	err_set(s->err, s->line, "", "syntax error in column %zu: %s", column,
		what);
	return -EINVAL;
}

static int fail(struct scan *s, const char *what)
{
	return fail_at(s, s->i, s->i < s->n ? what : "the text ends too early");
}

static void skip_blanks(struct scan *s)
{
	for (; s->i < s->n; s->i++) {
		char c = s->p[s->i];
		if (c == '\n') {
			s->line++;
			s->line_start = s->i + 1;
		} else if (c != ' ' && c != '\t' && c != '\r') {
			return;
		}
	}
}

static bool peek(const struct scan *s, char c)
{
	return s->i < s->n && s->p[s->i] == c;
}

static bool digits(struct scan *s)
{
	size_t from = s->i;

	while (s->i < s->n && s->p[s->i] >= '0' && s->p[s->i] <= '9')
		s->i++;
	return s->i > from;
}

static int scan_number(struct scan *s, struct jsontext_node *node)
{
	node->kind = JSONTEXT_INTEGER;
	if (peek(s, '-'))
		s->i++;

	size_t from = s->i;
	bool zero = peek(s, '0');
	if (!digits(s))
		return fail(s, "want a digit");
	if (zero && s->i - from > 1)
		return fail_at(s, from, "a number with a leading zero");
	if (peek(s, '.')) {
		node->kind = JSONTEXT_NUMBER;
		s->i++;
		if (!digits(s))
			return fail(s, "want a digit");
	}
	if (peek(s, 'e') || peek(s, 'E')) {
		node->kind = JSONTEXT_NUMBER;
		s->i++;
		if (peek(s, '+') || peek(s, '-'))
			s->i++;
		if (!digits(s))
			return fail(s, "want a digit");
	}
	return 0;
}

static int scan_word(struct scan *s, struct jsontext_node *node)
{
	static const struct {
		const char *word;
		enum jsontext_kind kind;
	} words[] = { { "true", JSONTEXT_BOOL },
		      { "false", JSONTEXT_BOOL },
		      { "null", JSONTEXT_NULL } };

	for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
		size_t n = strlen(words[w].word);
		if (s->n - s->i < n ||
		    memcmp(s->p + s->i, words[w].word, n) != 0)
			continue;
		node->kind = words[w].kind;
		s->i += n;
		return 0;
	}
	return fail(s, "want a value");
}

/* Reads the four digits of \uXXXX at 'at'; -1 if they are not. */
static int hex4(const struct scan *s, size_t at)
{
	int value = 0;

	if (at > s->n || s->n - at < 4)
		return -1;
	for (size_t i = at; i < at + 4; i++) {
		char c = s->p[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/*
 * Reads the rest of \uXXXX, or of a surrogate pair of them: s->i is at the
 * first X.
 */
static int scan_unicode(struct scan *s, char *out, size_t *n)
{
	int c = hex4(s, s->i);

	if (c < 0)
		return fail(s, "want four hexadecimal digits");
	if (c == 0)
		return fail(s, "the character U+0000");
	if (c >= 0xdc00 && c <= 0xdfff)
		return fail(s, "half a surrogate pair");
	s->i += 4;
	if (c >= 0xd800 && c <= 0xdbff) {
		bool more = s->n - s->i > 6 && s->p[s->i] == '\\' &&
			    s->p[s->i + 1] == 'u';
		int low = more ? hex4(s, s->i + 2) : -1;
		if (low < 0xdc00 || low > 0xdfff)
			return fail(s, "half a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		s->i += 6;
	}
	*n += utf8_put((uint32_t)c, out + *n);
	return 0;
}

/* Reads an escape into 'out' at '*n': s->i is at the backslash. */
static int scan_escape(struct scan *s, char *out, size_t *n)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";

	s->i++;
	if (s->i == s->n)
		return fail(s, "");
	if (s->p[s->i] == 'u') {
		s->i++;
		return scan_unicode(s, out, n);
	}

	const char *at = memchr(from, s->p[s->i], sizeof(from) - 1);
	if (at == NULL)
		return fail(s, "bad escape");
	out[(*n)++] = to[at - from];
	s->i++;
	return 0;
}

static bool is_plain(char c)
{
	return c != '"' && c != '\\' && (uint8_t)c >= 0x20;
}

/*
 * Reads a string: s->i is at the opening quote.  '*content' is the text
 * between the quotes, decoded into json->decoded if it had escapes.
 */
static int scan_string(struct scan *s, struct slice *content)
{
	size_t from = ++s->i;
	char *out = s->json->decoded + s->decoded_n;
	size_t n = 0;
	bool escapes = false;

	while (s->i < s->n && s->p[s->i] != '"') {
		size_t plain = s->i;
		while (s->i < s->n && is_plain(s->p[s->i]))
			s->i++;
		if (escapes)
			memcpy(out + n, s->p + plain, s->i - plain);
		n += s->i - plain;
		if (s->i == s->n || s->p[s->i] == '"')
			break;
		if (s->p[s->i] != '\\')
			return fail(s, "a control character in a string");
		if (!escapes)
			memcpy(out, s->p + from, n);
		escapes = true;
		if (scan_escape(s, out, &n) != 0)
			return -EINVAL;
	}
	if (s->i == s->n)
		return fail(s, "");
	*content = escapes ? (struct slice){ out, n }
			   : (struct slice){ s->p + from, s->i - from };
	s->i++;
	return 0;
}

/* Adds a node as the next child of what is open. */
static int node_add(struct scan *s, uint32_t *indexp)
{
	struct jsontext *json = s->json;

	if (json->n_nodes == json->nodes_max) {
		uint32_t max = json->nodes_max * 2;
		struct jsontext_node *nodes =
			realloc(json->nodes, max * sizeof(*nodes));
		if (nodes == NULL)
			return -ENOMEM;
		json->nodes = nodes;
		json->nodes_max = max;
	}

	uint32_t index = json->n_nodes++;
	json->nodes[index] = (struct jsontext_node){ .line = s->line };
	if (s->depth > 0) {
		uint32_t parent = s->open[s->depth - 1];
		uint32_t *last = &s->last[s->depth - 1];
		if (*last == 0)
			json->nodes[parent].first = index;
		else
			json->nodes[*last].next = index;
		json->nodes[parent].n++;
		*last = index;
	}
	*indexp = index;
	return 0;
}

/* Reads a key and its colon into 'node'. */
static int scan_key(struct scan *s, uint32_t index)
{
	struct jsontext_node *node = &s->json->nodes[index];

	if (!peek(s, '"'))
		return fail(s, "want a key in double quotes");
	node->key_offset = (uint32_t)s->i;
	if (scan_string(s, &node->key) != 0)
		return -EINVAL;
	if (node->key.p == s->json->decoded + s->decoded_n)
		s->decoded_n += node->key.n;
	skip_blanks(s);
	if (!peek(s, ':'))
		return fail(s, "want ':' after a key");
	s->i++;
	skip_blanks(s);
	return 0;
}

static int scan_open(struct scan *s, uint32_t index)
{
	if (s->depth == JSONTEXT_DEPTH_MAX) {
		err_set(s->err, s->line, "",
			"nested too deep, want at most %u levels",
			JSONTEXT_DEPTH_MAX);
		return -EINVAL;
	}
	s->json->nodes[index].kind =
		s->p[s->i] == '{' ? JSONTEXT_OBJECT : JSONTEXT_ARRAY;
	s->open[s->depth] = index;
	s->last[s->depth] = 0;
	s->depth++;
	s->i++;
	return 0;
}

/* Reads one value; of an object or array, only the opening bracket. */
static int scan_value(struct scan *s)
{
	uint32_t index;
	bool member =
		s->depth > 0 &&
		s->json->nodes[s->open[s->depth - 1]].kind == JSONTEXT_OBJECT;
	int rc = node_add(s, &index);

	if (rc == 0 && member)
		rc = scan_key(s, index);
	if (rc != 0)
		return rc;

	struct jsontext_node *node = &s->json->nodes[index];
	node->offset = (uint32_t)s->i;
	if (!member)
		node->key_offset = node->offset;
	if (peek(s, '{') || peek(s, '['))
		return scan_open(s, index);
	if (peek(s, '"')) {
		struct slice ignored;
		node->kind = JSONTEXT_STRING;
		rc = scan_string(s, &ignored);
	} else if (peek(s, '-') ||
		   (s->i < s->n && s->p[s->i] >= '0' && s->p[s->i] <= '9')) {
		rc = scan_number(s, node);
	} else {
		rc = scan_word(s, node);
	}
	node->end = (uint32_t)s->i;
	return rc;
}

/*
 * After a value or an opening bracket: closes what closes here.  Sets
 * '*more' if another value must follow.
 */
static int scan_between(struct scan *s, bool *more)
{
	while (s->depth > 0) {
		uint32_t index = s->open[s->depth - 1];
		struct jsontext_node *node = &s->json->nodes[index];
		bool object = node->kind == JSONTEXT_OBJECT;

		skip_blanks(s);
		if (peek(s, object ? '}' : ']')) {
			s->i++;
			node->end = (uint32_t)s->i;
			s->depth--;
			continue;
		}
		if (node->n > 0 && !peek(s, ','))
			return fail(s, object ? "want ',' or '}'"
					      : "want ',' or ']'");
		if (node->n > 0)
			s->i++;
		skip_blanks(s);
		*more = true;
		return 0;
	}
	*more = false;
	return 0;
}

static int scan_all(struct scan *s)
{
	bool more = true;
	int rc = 0;

	skip_blanks(s);
	while (rc == 0 && more) {
		rc = scan_value(s);
		if (rc == 0)
			rc = scan_between(s, &more);
	}
	if (rc != 0)
		return rc;
	skip_blanks(s);
	return s->i < s->n ? fail(s, "text after the end") : 0;
}

/* Marks 'b' as another 'a'; b is the later one. */
static void same_mark(struct jsontext *json, uint32_t a, uint32_t b)
{
	json->nodes[b].same = a;
	json->nodes[a].shadowed = b;
}

struct key_ref {
	struct slice key;
	uint32_t node;
};

static int key_compare(const void *va, const void *vb)
{
	const struct key_ref *a = va, *b = vb;

	if (a->key.n != b->key.n)
		return a->key.n < b->key.n ? -1 : 1;
	int order = memcmp(a->key.p, b->key.p, a->key.n);
	if (order != 0)
		return order;
	return (a->node > b->node) - (a->node < b->node);
}

/* Finds equal keys among the members of one object. */
static int same_find(struct jsontext *json, uint32_t object)
{
	size_t n = json->nodes[object].n;
	struct key_ref few[16];
	struct key_ref *refs = few;

	if (n < 2)
		return 0;
	if (n > sizeof(few) / sizeof(few[0]))
		refs = malloc(n * sizeof(*refs));
	if (refs == NULL)
		return -ENOMEM;

	size_t used = 0;
	for (uint32_t i = json->nodes[object].first; i != 0;
	     i = json->nodes[i].next)
		refs[used++] = (struct key_ref){ json->nodes[i].key, i };
	qsort(refs, used, sizeof(*refs), key_compare);
	for (size_t i = 1; i < used; i++)
		if (refs[i].key.n == refs[i - 1].key.n &&
		    memcmp(refs[i].key.p, refs[i - 1].key.p, refs[i].key.n) ==
			    0)
			same_mark(json, refs[i - 1].node, refs[i].node);
	if (refs != few)
		/* cppcheck-suppress autovarInvalidDeallocation */
		free(refs);
	return 0;
}

static int same_find_all(struct jsontext *json)
{
	for (uint32_t i = 0; i < json->n_nodes; i++) {
		int rc = 0;
		if (json->nodes[i].kind == JSONTEXT_OBJECT)
			rc = same_find(json, i);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int jsontext_init(struct slice text, struct jsontext *json, struct err *err)
{
	if (text.n > JSONTEXT_MAX)
		return -EFBIG;

	/* A decoded string is never longer than it was written. */
	struct jsontext made = { .text = text,
				 .nodes_max = 64 + (uint32_t)(text.n / 32) };
	made.nodes = malloc(made.nodes_max * sizeof(*made.nodes));
	made.decoded = malloc(text.n + 4);
	struct scan s = {
		.json = &made, .p = text.p, .n = text.n, .line = 1, .err = err
	};
	int rc = made.nodes == NULL || made.decoded == NULL ? -ENOMEM : 0;

	size_t valid = utf8_valid(text);
	if (rc == 0 && valid < text.n) {
		for (; s.i < valid; s.i++)
			if (text.p[s.i] == '\n') {
				s.line++;
				s.line_start = s.i + 1;
			}
		rc = fail(&s, "not UTF-8");
	}
	if (rc == 0 && text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		rc = fail(&s, "a byte order mark");
	if (rc == 0)
		rc = scan_all(&s);
	if (rc == 0)
		rc = same_find_all(&made);
	if (rc != 0) {
		jsontext_fini(&made);
		return rc;
	}
	*json = made;
	return 0;
}

void jsontext_fini(struct jsontext *json)
{
	free(json->nodes);
	free(json->decoded);
	json->nodes = NULL;
	json->decoded = NULL;
}

struct slice jsontext_raw(const struct jsontext *json, uint32_t node)
{
	const struct jsontext_node *n = &json->nodes[node];

	return (struct slice){ json->text.p + n->offset, n->end - n->offset };
}

uint32_t jsontext_member(const struct jsontext *json, uint32_t node,
			 const char *key)
{
	for (uint32_t i = json->nodes[node].first; i != 0;
	     i = json->nodes[i].next)
		if (json->nodes[i].shadowed == 0 && json->nodes[i].key.p &&
		    slice_is(json->nodes[i].key, key))
			return i;
	return 0;
}

/*
 * Writes the character at the front of 's' into 'out' as JSON would; returns
 * how many octets that is, and in '*taken' how many it was.
 */
static size_t char_escape(struct slice s, char out[8], size_t *taken)
{
	uint8_t c = (uint8_t)s.p[0];
	size_t n = utf8_length(s);

	*taken = n > 0 ? n : 1;
	/* C1 controls too: a terminal may obey them. */
	if (n == 2 && c == 0xc2 && (uint8_t)s.p[1] < 0xa0)
		return (size_t)snprintf(out, 8, "\\u%04x",
					(unsigned)(uint8_t)s.p[1]);
	if (n == 0 || c < 0x20 || c == 0x7f)
		return (size_t)snprintf(out, 8, "\\u%04x", (unsigned)c);
	if (c == '"' || c == '\\') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	memcpy(out, s.p, n);
	return n;
}

size_t jsontext_escape(struct slice text, char *out, size_t size)
{
	size_t used = 0, cut = 0; /* cut: where "..." still fits */

	for (size_t i = 0; i < text.n;) {
		char one[8];
		size_t taken;
		size_t n = char_escape((struct slice){ text.p + i, text.n - i },
				       one, &taken);
		if (used + n >= size) {
			size_t dots = size - 1 - cut < 3 ? size - 1 - cut : 3;
			memcpy(out + cut, "...", dots);
			used = cut + dots;
			break;
		}
		memcpy(out + used, one, n);
		used += n;
		if (used + 3 < size)
			cut = used;
		i += taken;
	}
	out[used] = '\0';
	return used;
}
