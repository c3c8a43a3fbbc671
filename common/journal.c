/* SPDX-License-Identifier: MPL-2.0 */
#include "common/journal.h"

#include <errno.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define VARINT_MAX 10u	 /* octets */
#define RECORD_MAX 1024u /* octets of the largest body */

static const uint8_t magic[8] = { 'N', 'Z', 'J', 'O', 'U', 'R', 'N', '\n' };

const char *const journal_kind_names[JOURNAL_KINDS] = {
	[JOURNAL_UNKNOWN] = "unknown", [JOURNAL_EPOCH] = "epoch",
	[JOURNAL_NAME] = "name",       [JOURNAL_SLOT] = "slot",
	[JOURNAL_WHOLE] = "whole",     [JOURNAL_VALUE] = "value",
	[JOURNAL_DRAIN] = "drain",     [JOURNAL_MEASURE] = "measure",
	[JOURNAL_WORD] = "word",       [JOURNAL_DECISION] = "decision",
	[JOURNAL_LOST] = "lost",       [JOURNAL_ALIVE] = "alive",
	[JOURNAL_NEAR] = "near",
};

/* -- octets ---------------------------------------------------------------- */

static void put32(uint8_t *p, uint32_t n)
{
	for (unsigned int i = 0; i < 4; i++)
		p[i] = (uint8_t)(n >> 8 * i);
}

static void put64(uint8_t *p, uint64_t n)
{
	for (unsigned int i = 0; i < 8; i++)
		p[i] = (uint8_t)(n >> 8 * i);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
	return (uint64_t)get32(p + 4) << 32 | get32(p);
}

static uint32_t sum_of(const uint8_t *p, size_t n)
{
	return (uint32_t)XXH64(p, n, JOURNAL_VERSION);
}

/* A body that is being written: bounded, as every field is. */
struct body {
	uint8_t octets[RECORD_MAX];
	size_t n;
};

static void octet(struct body *b, unsigned int value)
{
	b->octets[b->n++] = (uint8_t)value;
}

static void octets(struct body *b, const void *p, size_t n)
{
	memcpy(b->octets + b->n, p, n);
	b->n += n;
}

static void varint(struct body *b, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		octet(b, 0x80u | (unsigned int)(value & 0x7f));
	octet(b, (unsigned int)value);
}

static void text(struct body *b, struct slice s)
{
	size_t n = s.n < JOURNAL_TEXT_MAX ? s.n : JOURNAL_TEXT_MAX;

	octet(b, (unsigned int)n);
	if (n > 0)
		octets(b, s.p, n);
}

static void address(struct body *b, const struct journal_address *a)
{
	octet(b, a->n);
	octets(b, a->octets, a->n);
}

/* -- bodies, written ------------------------------------------------------- */

static void write_value(struct body *b, const struct journal_value *v)
{
	varint(b, v->slot);
	octet(b, v->state | (v->fresh ? 0x10u : 0));
	varint(b, v->error);
	varint(b, v->metric);
	varint(b, v->age_ms);
	varint(b, v->since_ms);
	varint(b, v->up_ms == JOURNAL_NEVER ? 0 : v->up_ms + 1);
	varint(b, v->period_ms);
}

static void write_decision(struct body *b, const struct journal_decision *d)
{
	varint(b, d->host);
	octet(b,
	      (d->v6 ? 1u : 0) | (d->extra ? 2u : 0) | (d->client_v6 ? 4u : 0));
	octet(b, d->rule);
	octet(b, d->tier);
	octet(b, d->outcome);
	varint(b, d->ttl_s);
	octet(b, d->client_bits);
	octets(b, d->client, (d->client_bits + 7u) / 8);
	octet(b, d->n);
	for (unsigned int i = 0; i < d->n; i++) {
		varint(b, d->answer[i].server);
		address(b, &d->answer[i].address);
	}
	octet(b, d->group);
}

static void write_near(struct body *b, const struct journal_near *near)
{
	octet(b, (near->net.v6 ? 1u : 0) | (near->anew ? 2u : 0));
	octet(b, near->net.bits);
	octets(b, near->net.octets, (near->net.bits + 7u) / 8);
	octet(b, near->n);
	for (unsigned int i = 0; i < near->n; i++) {
		varint(b, near->cell[i].pop);
		varint(b, near->cell[i].tenths);
		varint(b, near->cell[i].age_s);
	}
}

static void write_body(struct body *b, const struct journal_record *r)
{
	switch (r->kind) {
	case JOURNAL_EPOCH:
		octet(b, r->epoch.start);
		varint(b, r->epoch.serial);
		varint(b, r->epoch.hash);
		text(b, r->epoch.file);
		break;
	case JOURNAL_NAME:
		octet(b, r->name.table);
		varint(b, r->name.number);
		varint(b, r->name.parent);
		text(b, r->name.text);
		break;
	case JOURNAL_SLOT:
		varint(b, r->slot.number);
		varint(b, r->slot.server);
		varint(b, r->slot.service);
		address(b, &r->slot.address);
		break;
	case JOURNAL_VALUE:
		write_value(b, &r->value);
		break;
	case JOURNAL_DRAIN:
		varint(b, r->drain.server);
		varint(b, r->drain.left_ms == JOURNAL_NEVER
				  ? 0
				  : r->drain.left_ms + 1);
		octet(b, r->drain.said);
		break;
	case JOURNAL_MEASURE:
		octet(b, r->measure.what);
		varint(b, r->measure.number);
		varint(b, r->measure.metric);
		varint(b, r->measure.age_ms);
		break;
	case JOURNAL_NEAR:
		write_near(b, &r->near);
		break;
	case JOURNAL_WORD:
		text(b, r->word.what);
		text(b, r->word.server);
		text(b, r->word.reason);
		break;
	case JOURNAL_DECISION:
		write_decision(b, &r->decision);
		break;
	case JOURNAL_LOST:
		varint(b, r->lost);
		break;
	default:
		break;
	}
}

/* -- frames, written ------------------------------------------------------- */

void journal_head_write(uint8_t head[static JOURNAL_HEAD])
{
	memset(head, 0, JOURNAL_HEAD);
	memcpy(head, magic, sizeof(magic));
	put32(head + sizeof(magic), JOURNAL_VERSION);
}

void journal_begin(struct journal_pen *pen, uint8_t *octets_to, size_t max,
		   uint64_t time_ms)
{
	*pen = (struct journal_pen){ .octets = octets_to,
				     .n = JOURNAL_FRAME_HEAD,
				     .max = max,
				     .base_ms = time_ms };
}

/* Small numbers of either sign become small ones. */
static uint64_t zigzag(int64_t n)
{
	return n < 0 ? ~((uint64_t)n << 1) : (uint64_t)n << 1;
}

static int64_t unzigzag(uint64_t n)
{
	return (int64_t)(n >> 1 ^ (~(n & 1) + 1));
}

bool journal_put(struct journal_pen *pen, const struct journal_record *record)
{
	struct body head = { .n = 0 };
	struct body b = { .n = 0 };

	varint(&b, zigzag((int64_t)(record->time_ms - pen->base_ms)));
	write_body(&b, record);
	octet(&head, record->kind);
	varint(&head, b.n);
	if (head.n + b.n > pen->max - pen->n)
		return false;
	memcpy(pen->octets + pen->n, head.octets, head.n);
	memcpy(pen->octets + pen->n + head.n, b.octets, b.n);
	pen->n += head.n + b.n;
	return true;
}

struct slice journal_end(struct journal_pen *pen)
{
	if (pen->n == JOURNAL_FRAME_HEAD)
		return (struct slice){ NULL, 0 };
	put32(pen->octets, (uint32_t)pen->n);
	put64(pen->octets + 8, pen->base_ms);
	put32(pen->octets + 4, sum_of(pen->octets + 8, pen->n - 8));
	return (struct slice){ (const char *)pen->octets, pen->n };
}

/* -- octets, read ---------------------------------------------------------- */

/* What is left of a body; 'bad' stays, and all that is read then is 0. */
struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static const uint8_t *take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || (size_t)(c->end - c->p) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

static uint8_t take_octet(struct cursor *c)
{
	const uint8_t *p = take(c, 1);

	return p != NULL ? *p : 0;
}

static uint64_t take_varint(struct cursor *c)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < VARINT_MAX; i++) {
		uint8_t o = take_octet(c);
		if (i == VARINT_MAX - 1 && o > 1)
			break;
		value |= (uint64_t)(o & 0x7f) << 7 * i;
		if (o < 0x80)
			return c->bad ? 0 : value;
	}
	c->bad = true;
	return 0;
}

static uint64_t take_number(struct cursor *c, uint64_t max)
{
	uint64_t value = take_varint(c);

	if (value <= max)
		return value;
	c->bad = true;
	return 0;
}

static uint32_t take_index(struct cursor *c)
{
	return (uint32_t)take_number(c, JOURNAL_NUMBER_MAX - 1);
}

static struct slice take_text(struct cursor *c)
{
	size_t n = take_octet(c);
	const uint8_t *p = take(c, n);

	return (struct slice){ p != NULL ? (const char *)p : "",
			       p != NULL ? n : 0 };
}

static void take_address(struct cursor *c, struct journal_address *a)
{
	uint8_t n = take_octet(c);
	const uint8_t *p = take(c, n);

	*a = (struct journal_address){ .n = n };
	if (p == NULL || (n != 0 && n != 4 && n != 16)) {
		c->bad = true;
		a->n = 0;
		return;
	}
	memcpy(a->octets, p, n);
}

/* -- bodies, read ---------------------------------------------------------- */

/* Times ago: what is longer than 2^52 ms is nonsense. */
#define AGO_MAX (UINT64_C(1) << 52)

static void read_value(struct cursor *c, struct journal_value *v)
{
	v->slot = take_index(c);
	uint8_t flags = take_octet(c);
	v->state = flags & 0x0f;
	v->fresh = (flags & 0x10) != 0;
	v->error = (uint16_t)take_number(c, UINT16_MAX);
	v->metric = (uint32_t)take_number(c, UINT32_MAX);
	v->age_ms = take_number(c, AGO_MAX);
	v->since_ms = take_number(c, AGO_MAX);
	v->up_ms = take_number(c, AGO_MAX);
	v->up_ms = v->up_ms == 0 ? JOURNAL_NEVER : v->up_ms - 1;
	v->period_ms = take_number(c, AGO_MAX);
	if (v->state > 2)
		c->bad = true;
}

static void read_client(struct cursor *c, struct journal_decision *d)
{
	d->client_bits = take_octet(c);
	if (d->client_bits > 8 * sizeof(d->client) ||
	    (!d->client_v6 && d->client_bits > 32)) {
		c->bad = true;
		return;
	}
	size_t n = (d->client_bits + 7u) / 8;
	const uint8_t *p = take(c, n);
	if (p != NULL)
		memcpy(d->client, p, n);
}

static void read_decision(struct cursor *c, struct journal_decision *d)
{
	d->host = take_index(c);
	uint8_t flags = take_octet(c);
	d->v6 = (flags & 1) != 0;
	d->extra = (flags & 2) != 0;
	d->client_v6 = (flags & 4) != 0;
	d->rule = take_octet(c);
	d->tier = take_octet(c);
	d->outcome = take_octet(c);
	d->ttl_s = (uint32_t)take_number(c, UINT32_MAX);
	read_client(c, d);
	uint8_t n = take_octet(c);
	if (n > JOURNAL_ANSWERS_MAX)
		c->bad = true;
	for (unsigned int i = 0; i < n && !c->bad; i++) {
		d->answer[i].server = take_index(c);
		take_address(c, &d->answer[i].address);
	}
	d->n = c->bad ? 0 : n;
	if (c->p < c->end) /* a journal of before has none */
		d->group = take_octet(c);
}

static void read_net(struct cursor *c, struct journal_net *net)
{
	net->bits = take_octet(c);
	if (net->bits > (net->v6 ? JOURNAL_NET_V6 : JOURNAL_NET_V4)) {
		c->bad = true;
		return;
	}
	size_t n = (net->bits + 7u) / 8;
	const uint8_t *p = take(c, n);
	if (p == NULL)
		return;
	memcpy(net->octets, p, n);
	if (net->bits % 8 != 0)
		net->octets[n - 1] = (uint8_t)(net->octets[n - 1] &
					       0xff00u >> net->bits % 8);
}

static void read_near(struct cursor *c, struct journal_near *near)
{
	uint8_t flags = take_octet(c);

	near->net.v6 = (flags & 1) != 0;
	near->anew = (flags & 2) != 0;
	read_net(c, &near->net);
	uint8_t n = take_octet(c);
	if (n > JOURNAL_NEAR_MAX)
		c->bad = true;
	for (unsigned int i = 0; i < n && !c->bad; i++) {
		near->cell[i].pop = take_index(c);
		near->cell[i].tenths =
			(uint32_t)take_number(c, JOURNAL_NEAR_FAR);
		near->cell[i].age_s = (uint32_t)take_number(c, UINT32_MAX);
	}
	near->n = c->bad ? 0 : n;
}

static void read_word(struct cursor *c, struct journal_word *w)
{
	w->what = take_text(c);
	w->server = take_text(c);
	w->reason = take_text(c);
}

static void read_drain(struct cursor *c, struct journal_drain *d)
{
	d->server = take_index(c);
	d->left_ms = take_number(c, AGO_MAX);
	d->left_ms = d->left_ms == 0 ? JOURNAL_NEVER : d->left_ms - 1;
	d->said = take_octet(c);
}

static void read_measure(struct cursor *c, struct journal_measure *m)
{
	m->what = take_octet(c);
	m->number = take_index(c);
	m->metric = (uint32_t)take_number(c, UINT32_MAX);
	m->age_ms = take_number(c, AGO_MAX);
}

static void read_name(struct cursor *c, struct journal_name *n)
{
	n->table = take_octet(c);
	n->number = take_index(c);
	n->parent = take_index(c);
	n->text = take_text(c);
}

static void read_body(struct cursor *c, struct journal_record *r)
{
	switch (r->kind) {
	case JOURNAL_EPOCH:
		r->epoch.start = take_octet(c) != 0;
		r->epoch.serial = take_varint(c);
		r->epoch.hash = take_varint(c);
		r->epoch.file = take_text(c);
		break;
	case JOURNAL_NAME:
		read_name(c, &r->name);
		break;
	case JOURNAL_SLOT:
		r->slot.number = take_index(c);
		r->slot.server = take_index(c);
		r->slot.service = take_index(c);
		take_address(c, &r->slot.address);
		break;
	case JOURNAL_VALUE:
		read_value(c, &r->value);
		break;
	case JOURNAL_DRAIN:
		read_drain(c, &r->drain);
		break;
	case JOURNAL_MEASURE:
		read_measure(c, &r->measure);
		break;
	case JOURNAL_NEAR:
		read_near(c, &r->near);
		break;
	case JOURNAL_WORD:
		read_word(c, &r->word);
		break;
	case JOURNAL_DECISION:
		read_decision(c, &r->decision);
		break;
	case JOURNAL_LOST:
		r->lost = take_varint(c);
		break;
	default:
		break;
	}
}

/* -- frames, read ---------------------------------------------------------- */

int journal_head_read(const uint8_t head[static JOURNAL_HEAD])
{
	if (memcmp(head, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	return get32(head + sizeof(magic)) == JOURNAL_VERSION
		       ? 0
		       : -EPROTONOSUPPORT;
}

size_t journal_frame_size(const uint8_t head[static JOURNAL_FRAME_HEAD])
{
	uint32_t n = get32(head);

	return n > JOURNAL_FRAME_HEAD && n <= JOURNAL_FRAME_MAX ? n : 0;
}

int journal_open(struct journal_reader *reader, const uint8_t *octets_from,
		 size_t n)
{
	if (n < JOURNAL_FRAME_HEAD || journal_frame_size(octets_from) != n ||
	    get32(octets_from + 4) != sum_of(octets_from + 8, n - 8))
		return -EBADMSG;
	*reader = (struct journal_reader){
		.p = octets_from + JOURNAL_FRAME_HEAD,
		.end = octets_from + n,
		.base_ms = get64(octets_from + 8),
	};
	return 0;
}

int journal_next(struct journal_reader *reader, struct journal_record *record)
{
	struct cursor c = { .p = reader->p, .end = reader->end };

	if (c.p == c.end)
		return 0;
	*record = (struct journal_record){ .kind = take_octet(&c) };
	if (record->kind >= JOURNAL_KINDS)
		record->kind = JOURNAL_UNKNOWN;
	size_t n = (size_t)take_number(&c, JOURNAL_FRAME_MAX);
	const uint8_t *p = take(&c, n);
	if (p == NULL)
		return -EBADMSG;
	struct cursor body = { .p = p, .end = p + n };
	record->time_ms =
		reader->base_ms + (uint64_t)unzigzag(take_varint(&body));
	read_body(&body, record);
	if (body.bad)
		return -EBADMSG;
	reader->p = c.p;
	return 1;
}
