/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_body.h"

#include <string.h>

void probed_body_init(struct probed_body *body, const char *text)
{
	size_t n = text != NULL ? strlen(text) : 0;

	body->n_text = n < PROBED_TEXT_MAX ? n : PROBED_TEXT_MAX;
	body->n_tail = 0;
	body->seen = 0;
	body->found = false;
	if (body->n_text > 0)
		memcpy(body->text, text, body->n_text);
}

/* Does it begin in the tail and end in the piece? */
static bool straddles(const struct probed_body *body, struct slice piece)
{
	char seam[2 * PROBED_TEXT_MAX];
	size_t n = piece.n < body->n_text ? piece.n : body->n_text;

	memcpy(seam, body->tail, body->n_tail);
	memcpy(seam + body->n_tail, piece.p, n);
	return memmem(seam, body->n_tail + n, body->text, body->n_text) != NULL;
}

/* The last octets of all that came, one fewer than the text has. */
static void tail_keep(struct probed_body *body, struct slice piece)
{
	size_t want = body->n_text - 1;

	if (piece.n >= want) {
		memcpy(body->tail, piece.p + piece.n - want, want);
		body->n_tail = want;
		return;
	}
	size_t keep = want - piece.n;
	if (keep > body->n_tail)
		keep = body->n_tail;
	memmove(body->tail, body->tail + body->n_tail - keep, keep);
	memcpy(body->tail + keep, piece.p, piece.n);
	body->n_tail = keep + piece.n;
}

bool probed_body_feed(struct probed_body *body, struct slice piece)
{
	if (piece.n > PROBED_BODY_MAX - body->seen)
		piece.n = PROBED_BODY_MAX - body->seen;
	body->seen += piece.n;
	if (piece.n > 0 && body->n_text > 0 && !body->found) {
		body->found = straddles(body, piece) ||
			      memmem(piece.p, piece.n, body->text,
				     body->n_text) != NULL;
		tail_keep(body, piece);
	}
	return !body->found && body->seen < PROBED_BODY_MAX;
}
