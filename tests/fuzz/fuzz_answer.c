/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fuzzes what becomes of an origin's message: the first two octets are the
 * type asked for, the rest is the message.  Whatever is accepted must hold
 * together in every form.
 */
#include "cacheproxy/answer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <isc/mem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct answer_maker *maker(void)
{
	static struct answer_maker *m;

	if (m == NULL) {
		isc_mem_t *mctx = NULL;
		isc_mem_create(&mctx);
		if (answer_maker_new(mctx, &m) != 0)
			abort();
	}
	return m;
}

static void check_form(const struct store_entry *e, const struct store_form *f)
{
	static struct wire_map map;
	uint8_t *msg = malloc(f->n);

	if (msg == NULL)
		abort();
	memcpy(msg, e->octets + f->wire, f->n);
	for (size_t i = 0; i < 3; i++) {
		msg[6 + 2 * i] = (uint8_t)(f->count[i] >> 8);
		msg[7 + 2 * i] = (uint8_t)f->count[i];
	}
	if (wire_map(msg, f->n, &map) != 0)
		abort();
	size_t n_ttls;
	const uint16_t *ttls = store_form_ttls(e->octets, f, &n_ttls);
	if (map.n_ttls != n_ttls)
		abort();
	for (size_t i = 0; i < n_ttls; i++)
		if (map.ttl[i] != ttls[n_ttls - 1 - i])
			abort();
	const struct wire_turn *set = store_form_turns(e->octets, f);
	for (size_t i = 0; i < f->n_turns && set[i].offset < f->n; i++) {
		if (memcmp(&set[i], &map.turn[i], sizeof(set[i])) != 0)
			abort();
		wire_turn(msg, &set[i], 1);
	}
	wire_age(msg, map.ttl, map.n_ttls, 10, 0, false);
	if (wire_map(msg, f->n, &map) != 0)
		abort();
	free(msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t name[] = "\003www\007example\003com";
	static const uint8_t apex[] = "\007example\003com";
	struct config_zone zone = { .ttl_max_s = 86400,
				    .ttl_negative_max_s = 3600,
				    .stale_s = 60 };
	struct store_key key;
	struct store_entry *e = NULL;

	if (size < 2 || size > WIRE_MAX + 2 ||
	    dname_from_wire(apex, sizeof(apex), &zone.name) != 0)
		return 0;
	memset(&key, 0, sizeof(key));
	key.qtype = (uint16_t)(data[0] << 8 | data[1]);
	key.n = sizeof(name);
	memcpy(key.name, name, sizeof(name));
	struct answer_source source = { .zone = &zone,
					.key = &key,
					.msg = data + 2,
					.n = size - 2,
					.now_s = 1000,
					.wall_s = 1700000000 };
	if (answer_make(maker(), &source, &e) != ANSWER_OK)
		return 0;
	for (size_t i = 0; i < STORE_FORMS; i++)
		check_form(e, store_form_of(e, (unsigned int)i));
	store_unref(e);
	return 0;
}
