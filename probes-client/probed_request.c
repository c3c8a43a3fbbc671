/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_request.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_token(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* How many octets at the front are a token. */
static size_t token(struct slice s)
{
	size_t n = 0;

	while (n < s.n && is_token((unsigned char)s.p[n]))
		n++;
	return n;
}

static struct slice after(struct slice s, size_t n)
{
	return (struct slice){ s.p + n, s.n - n };
}

static bool begins(struct slice s, const char *text)
{
	size_t n = strlen(text);

	return s.n >= n && memcmp(s.p, text, n) == 0;
}

/*
 * Takes a line off the front of '*in', into '*line' without its end.  MORE:
 * its end is not there yet.
 */
static enum probed_fault line_take(struct slice *in, struct slice *line)
{
	size_t n = 0;

	/* Of the octets below a space, only tabs may stand in a line. */
	while (n < in->n &&
	       ((unsigned char)in->p[n] >= 0x20 || in->p[n] == '\t'))
		n++;
	if (n == in->n || (in->p[n] == '\r' && n + 1 == in->n))
		return PROBED_HEAD_MORE;
	if (in->p[n] != '\r' || in->p[n + 1] != '\n')
		return PROBED_HEAD_BAD;
	*line = (struct slice){ in->p, n };
	*in = after(*in, n + 2);
	return PROBED_HEAD_GOOD;
}

/* The path: of "/a?b", of "http://host/a", or "*". */
static struct slice path_of(struct slice target)
{
	const char *slash = NULL;
	size_t scheme = 0;

	if (target.n >= 7 && strncasecmp(target.p, "http://", 7) == 0)
		scheme = 7;
	if (scheme > 0) {
		target = after(target, scheme);
		slash = memchr(target.p, '/', target.n);
		if (slash == NULL)
			return slice_of("/");
		target = after(target, (size_t)(slash - target.p));
	}
	const char *query = memchr(target.p, '?', target.n);
	if (query != NULL)
		target.n = (size_t)(query - target.p);
	return target;
}

/* "HTTP/1.1" */
static enum probed_fault version_check(struct slice s)
{
	if (s.n != 8 || !begins(s, "HTTP/") || s.p[6] != '.' || s.p[5] < '0' ||
	    s.p[5] > '9' || s.p[7] < '0' || s.p[7] > '9')
		return PROBED_HEAD_BAD;
	return s.p[5] == '1' ? PROBED_HEAD_GOOD : PROBED_HEAD_VERSION;
}

static bool is_target(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 ||
		    (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

/* "GET /metrics HTTP/1.1"; sets '*newp' for 1.1, which wants a Host. */
static enum probed_fault line_read(struct slice line,
				   struct probed_request *request, bool *newp)
{
	struct slice method = { line.p, token(line) };

	if (method.n == 0 || method.n == line.n || line.p[method.n] != ' ')
		return PROBED_HEAD_BAD;
	line = after(line, method.n + 1);
	const char *space = memchr(line.p, ' ', line.n);
	if (space == NULL)
		return PROBED_HEAD_BAD;
	struct slice target = { line.p, (size_t)(space - line.p) };
	line = after(line, target.n + 1);
	enum probed_fault fault = version_check(line);
	if (fault != PROBED_HEAD_GOOD)
		return fault;
	if (!is_target(target))
		return PROBED_HEAD_BAD;
	*newp = line.p[7] != '0';
	request->path = path_of(target);
	request->method = PROBED_OTHER_METHOD;
	if (slice_is(method, "GET"))
		request->method = PROBED_GET;
	else if (slice_is(method, "HEAD"))
		request->method = PROBED_HEAD;
	return PROBED_HEAD_GOOD;
}

/* The fields, of which only Host is looked at. */
static enum probed_fault fields_read(struct slice in, bool is_new)
{
	size_t hosts = 0;

	for (;;) {
		struct slice line;
		enum probed_fault fault = line_take(&in, &line);
		if (fault != PROBED_HEAD_GOOD)
			return fault;
		if (line.n == 0)
			break;
		size_t n = token(line);
		if (n == 0 || n == line.n || line.p[n] != ':')
			return PROBED_HEAD_BAD;
		hosts += n == 4 && strncasecmp(line.p, "host", 4) == 0;
	}
	return hosts > 1 || (is_new && hosts == 0) ? PROBED_HEAD_BAD
						   : PROBED_HEAD_GOOD;
}

static enum probed_fault head_read(struct slice in,
				   struct probed_request *request)
{
	struct slice line;
	bool is_new = false;

	/* Empty lines before a request are left by some who sent a body. */
	while (begins(in, "\r\n"))
		in = after(in, 2);
	enum probed_fault fault = line_take(&in, &line);
	if (fault == PROBED_HEAD_GOOD)
		fault = line_read(line, request, &is_new);
	return fault == PROBED_HEAD_GOOD ? fields_read(in, is_new) : fault;
}

enum probed_fault probed_request_read(struct slice in,
				      struct probed_request *request)
{
	struct probed_request made;
	bool full = in.n >= PROBED_HEAD_MAX;

	if (full)
		in.n = PROBED_HEAD_MAX;
	enum probed_fault fault = head_read(in, &made);
	if (fault == PROBED_HEAD_MORE && full)
		return PROBED_HEAD_LONG;
	if (fault == PROBED_HEAD_GOOD)
		*request = made;
	return fault;
}
