/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (1u << 18) /* octets that are read at one time, at most */

struct load {
	near_pull pull;
	void *arg;
	struct near_mrt *mrt;
	struct near_loaded *loaded;
	struct near_routes *routes;
	uint8_t *octets;
	size_t room, begin, end; /* of 'octets'; what is still to be read */
};

static int damaged(struct load *l, const char *why)
{
	l->loaded->why = why;
	return -EBADMSG;
}

/* 'n' is bounded by NEAR_MRT_RECORD_MAX. */
static bool room_make(struct load *l, size_t n)
{
	size_t room = l->room;

	while (room < n)
		room *= 2;
	uint8_t *more = realloc(l->octets, room);
	if (more == NULL)
		return false;
	l->octets = more;
	l->room = room;
	return true;
}

/* Has 'n' octets from 'begin' on; 1, 0: it ends before them, or -errno. */
static int need(struct load *l, size_t n)
{
	if (l->room - l->begin < n && l->begin > 0) {
		memmove(l->octets, l->octets + l->begin, l->end - l->begin);
		l->end -= l->begin;
		l->begin = 0;
	}
	if (l->room < n && !room_make(l, n))
		return -ENOMEM;
	while (l->end - l->begin < n) {
		long got =
			l->pull(l->arg, l->octets + l->end, l->room - l->end);
		if (got <= 0)
			return (int)got;
		l->end += (size_t)got;
	}
	return 1;
}

/* Leaves out 'n' octets; as need(). */
static int skip(struct load *l, size_t n)
{
	while (n > 0) {
		size_t part = n < PIECE ? n : PIECE;
		int rc = need(l, part);
		if (rc <= 0)
			return rc;
		l->begin += part;
		n -= part;
	}
	return 1;
}

static int body_read(struct load *l, const struct near_mrt_header *header)
{
	struct near_route route;
	const char *why;

	if (header->size > NEAR_MRT_RECORD_MAX)
		return damaged(l, "a record that is too long");
	int rc = need(l, header->size);
	if (rc <= 0)
		return rc;
	rc = near_mrt_read(l->mrt, header, l->octets + l->begin, &route, &why);
	if (rc < 0)
		return damaged(l, why);
	if (rc > 0)
		rc = near_routes_put(l->routes, &route);
	if (rc != 0)
		return rc;
	l->begin += header->size;
	return 1;
}

/* One record: 1; 0: there is none any more; or -errno. */
static int record_read(struct load *l)
{
	int rc = need(l, NEAR_MRT_HEADER);

	if (rc == 0 && l->end > l->begin)
		return damaged(l, "it ends within a record");
	if (rc <= 0)
		return rc;
	struct near_mrt_header header = near_mrt_header(l->octets + l->begin);
	enum near_mrt_kind kind = near_mrt_kind(&header);
	if (kind == NEAR_MRT_ODD)
		return damaged(l, "no record of MRT");
	l->begin += NEAR_MRT_HEADER;
	rc = kind == NEAR_MRT_READ ? body_read(l, &header)
				   : skip(l, header.size);
	if (rc == 0)
		return damaged(l, "it ends within a record");
	if (rc < 0)
		return rc;
	l->loaded->octets += NEAR_MRT_HEADER + (uint64_t)header.size;
	l->loaded->records++;
	return 1;
}

int near_load(near_pull pull, void *arg, struct near_loaded *loaded)
{
	struct near_mrt mrt = { 0 };
	struct load l = {
		.pull = pull, .arg = arg, .mrt = &mrt, .loaded = loaded
	};
	int rc = -ENOMEM;

	*loaded = (struct near_loaded){ 0 };
	l.routes = near_routes_new();
	l.octets = malloc(PIECE);
	l.room = PIECE;
	if (l.routes == NULL || l.octets == NULL)
		goto out;
	while ((rc = record_read(&l)) > 0)
		;
	if (rc == 0)
		rc = near_routes_end(l.routes);
	if (rc == 0 && near_routes_count(l.routes, false) +
				       near_routes_count(l.routes, true) ==
			       0)
		rc = damaged(&l, "no route in it");
	if (rc != 0)
		goto out;
	loaded->routes = l.routes;
	l.routes = NULL;
out:
	near_routes_free(l.routes);
	free(l.octets);
	return rc;
}
