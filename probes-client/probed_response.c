/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_response.h"

#include <string.h>
#include <strings.h>

#define SIZE_DIGITS_MAX 18 /* of a length; of a chunk's 15 */
#define CHUNK_DIGITS	15

enum at { STATUS, HEADER, SIZED, UNSIZED, CHUNK, DATA, DATA_END, TRAILER };

int probed_response_init(struct probed_response *response,
			 const struct config_expect *expect)
{
	*response = (struct probed_response){ .at = STATUS };
	return probed_check_init(&response->check, expect);
}

void probed_response_fini(struct probed_response *response)
{
	probed_check_fini(&response->check);
}

bool probed_response_is_good(const struct probed_response *response)
{
	return probed_check_status(response->check.expect, response->status);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* -- lines ----------------------------------------------------------------- */

/* What is kept of the line, without its end. */
static struct slice line_of(const struct probed_response *r)
{
	struct slice line = { r->line, r->n_line };

	if (line.n > sizeof(r->line))
		line.n = sizeof(r->line);
	if (line.n == r->n_line && line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* "HTTP/1.1 200 OK": RFC 9112, section 4 */
static bool status_take(struct probed_response *r, struct slice line)
{
	const char *p = line.p;

	if (line.n < 12 || memcmp(p, "HTTP/1.", 7) != 0 || !is_digit(p[7]) ||
	    p[8] != ' ' || !is_digit(p[9]) || !is_digit(p[10]) ||
	    !is_digit(p[11]) || (line.n > 12 && p[12] != ' '))
		return false;
	r->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + p[11] -
			       '0');
	return r->status >= 100;
}

/* The value if the line is the header of that name; else p is NULL. */
static struct slice value_of(struct slice line, const char *name)
{
	size_t n = strlen(name);

	if (line.n <= n || line.p[n] != ':' ||
	    strncasecmp(line.p, name, n) != 0)
		return (struct slice){ NULL, 0 };
	struct slice value = { line.p + n + 1, line.n - n - 1 };
	while (value.n > 0 && (*value.p == ' ' || *value.p == '\t')) {
		value.p++;
		value.n--;
	}
	while (value.n > 0 &&
	       (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
		value.n--;
	return value;
}

static bool length_take(struct probed_response *r, struct slice value)
{
	uint64_t n = 0;

	if (value.n == 0 || value.n > SIZE_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < value.n; i++) {
		if (!is_digit(value.p[i]))
			return false;
		n = n * 10 + (uint64_t)(value.p[i] - '0');
	}
	if (r->sized && r->left != n)
		return false; /* two of them that differ */
	r->sized = true;
	r->left = n;
	return true;
}

/* Chunked if that is the last coding named; other ones end with the answer. */
static void coding_take(struct probed_response *r, struct slice value)
{
	static const char word[] = "chunked";
	size_t n = sizeof(word) - 1;

	r->coded = true;
	r->chunked = value.n >= n &&
		     strncasecmp(value.p + value.n - n, word, n) == 0 &&
		     (value.n == n || value.p[value.n - n - 1] == ' ' ||
		      value.p[value.n - n - 1] == ',' ||
		      value.p[value.n - n - 1] == '\t');
}

static bool header_take(struct probed_response *r, struct slice line)
{
	struct slice length = value_of(line, "content-length");
	struct slice coding = value_of(line, "transfer-encoding");

	if (length.p == NULL && coding.p == NULL)
		return true;
	if (r->n_line > sizeof(r->line))
		return false; /* only its beginning is here */
	if (coding.p != NULL) {
		coding_take(r, coding);
		return true;
	}
	return length_take(r, length);
}

/* The headers are over. */
static enum probed_response_state head_end(struct probed_response *r)
{
	if (r->status < 200 && r->status != 101) { /* the answer is to come */
		r->at = STATUS;
		r->status = 0;
		r->sized = r->coded = r->chunked = false;
		return PROBED_RESPONSE_MORE;
	}
	if (!probed_response_is_good(r) || r->status < 200 ||
	    r->status == 204 || r->status == 304)
		return PROBED_RESPONSE_DONE;
	if (r->chunked)
		r->at = CHUNK;
	else if (r->coded || !r->sized)
		r->at = UNSIZED;
	else
		r->at = SIZED;
	return r->at == SIZED && r->left == 0 ? PROBED_RESPONSE_DONE
					      : PROBED_RESPONSE_MORE;
}

/* "1a;extension": RFC 9112, section 7.1 */
static bool chunk_take(struct probed_response *r, struct slice line)
{
	uint64_t n = 0;
	size_t i = 0;

	for (; i < line.n && i <= CHUNK_DIGITS; i++) {
		char c = line.p[i];
		char low = (char)(c | 0x20);
		if (is_digit(c))
			n = n * 16 + (uint64_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			n = n * 16 + (uint64_t)(low - 'a' + 10);
		else
			break;
	}
	if (i == 0 || i > CHUNK_DIGITS)
		return false;
	if (i < line.n && line.p[i] != ';' && line.p[i] != ' ' &&
	    line.p[i] != '\t')
		return false;
	r->left = n;
	r->at = n > 0 ? DATA : TRAILER;
	return true;
}

static enum probed_response_state line_take(struct probed_response *r)
{
	struct slice line = line_of(r);
	bool good = true;

	switch (r->at) {
	case STATUS:
		good = status_take(r, line);
		r->at = HEADER;
		break;
	case HEADER:
		if (r->n_line == 0 || line.n == 0)
			return head_end(r);
		good = header_take(r, line);
		break;
	case CHUNK:
		good = chunk_take(r, line);
		break;
	case DATA_END:
		good = line.n == 0;
		r->at = CHUNK;
		break;
	default: /* TRAILER */
		if (line.n == 0)
			return PROBED_RESPONSE_DONE;
	}
	return good ? PROBED_RESPONSE_MORE : PROBED_RESPONSE_BAD;
}

/* True as long as what there is of the status line can be one. */
static bool may_be_http(const struct probed_response *r)
{
	static const char head[] = "HTTP/1.";
	size_t n = sizeof(head) - 1;

	if (r->at != STATUS)
		return true;
	return memcmp(r->line, head, r->n_line < n ? r->n_line : n) == 0;
}

/* Takes from 'piece' up to the end of a line. */
static enum probed_response_state lines_feed(struct probed_response *r,
					     struct slice *piece)
{
	const char *end = memchr(piece->p, '\n', piece->n);
	size_t n = end != NULL ? (size_t)(end - piece->p) : piece->n;
	size_t room =
		r->n_line < sizeof(r->line) ? sizeof(r->line) - r->n_line : 0;

	memcpy(r->line + (sizeof(r->line) - room), piece->p,
	       n < room ? n : room);
	r->n_line += n;
	n += end != NULL;
	r->n_head += n;
	piece->p += n;
	piece->n -= n;
	if (!may_be_http(r))
		return PROBED_RESPONSE_BAD;
	if (r->n_head > PROBED_RESPONSE_HEAD_MAX)
		return PROBED_RESPONSE_FLOOD;
	if (end == NULL)
		return PROBED_RESPONSE_MORE;
	enum probed_response_state state = line_take(r);
	r->n_line = 0;
	/* Chunks have no end of number; what bounds them is the body. */
	if (r->at == DATA || r->at == CHUNK)
		r->n_head = 0;
	return state;
}

/* -- the body -------------------------------------------------------------- */

static enum probed_response_state body_feed(struct probed_response *r,
					    struct slice *piece)
{
	struct slice part = *piece;

	if (r->at != UNSIZED && part.n > r->left)
		part.n = (size_t)r->left;
	piece->p += part.n;
	piece->n -= part.n;
	r->left -= r->at != UNSIZED ? part.n : 0;
	if (!probed_check_feed(&r->check, part))
		return PROBED_RESPONSE_DONE;
	if (r->at == UNSIZED || r->left > 0)
		return PROBED_RESPONSE_MORE;
	if (r->at == SIZED)
		return PROBED_RESPONSE_DONE;
	r->at = DATA_END;
	return PROBED_RESPONSE_MORE;
}

enum probed_response_state
probed_response_feed(struct probed_response *response, struct slice piece)
{
	enum probed_response_state state = PROBED_RESPONSE_MORE;

	while (piece.n > 0 && state == PROBED_RESPONSE_MORE) {
		if (response->at == SIZED || response->at == UNSIZED ||
		    response->at == DATA)
			state = body_feed(response, &piece);
		else
			state = lines_feed(response, &piece);
	}
	return state;
}

enum probed_response_state
probed_response_end(const struct probed_response *response)
{
	return response->at == UNSIZED ? PROBED_RESPONSE_DONE
				       : PROBED_RESPONSE_CUT;
}
