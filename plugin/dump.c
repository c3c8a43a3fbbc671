/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/dump.h"

#include <string.h>

#include <dns/rdatatype.h>

#include <json-c/json.h>

#include "cacheproxy/pack.h"
#include "common/rcu.h"
#include "plugin/commands.h"
#include "plugin/control.h"
#include "plugin/jsonadd.h"
#include "plugin/status.h"

#define PAGE_NS	     1000000u
#define PAGE_ENTRIES 256u /* a few more: buckets are not divided */
#define LOOK_BUCKETS 16u  /* between two looks at the clock */

struct page {
	struct engine *engine;
	const char *id;		 /* of the only zone wanted, or NULL */
	const struct zone *zone; /* that of the last entry */
	uint32_t now_s;
	size_t n;
	struct json_object *list;
};

static uint64_t cache_id(const struct zone *zone)
{
	return atomic_load(&zone->state->cache_id);
}

/* Which zone the entry is of; NULL: none any more. */
static const struct zone *zone_of(struct page *page,
				  const struct store_entry *e)
{
	const struct snapshot *s = page->engine->snapshot;

	if (page->zone != NULL && cache_id(page->zone) == e->zone)
		return page->zone;
	for (size_t i = 0; s != NULL && i < s->n; i++) {
		if (cache_id(&s->zone[i]) != e->zone)
			continue;
		page->zone = &s->zone[i];
		return page->zone;
	}
	return NULL;
}

static size_t wire_octets(const struct store_entry *e)
{
	struct pack_span span[STORE_FORMS];
	size_t n = pack_spans(e, span);
	size_t octets = 0;

	for (size_t i = 0; i < n; i++)
		octets += span[i].n;
	return octets;
}

static void add_entry(struct page *page, const struct store_entry *e)
{
	const struct zone *zone = zone_of(page, e);
	struct json_object *o;
	struct dname name;
	char text[DNAME_TEXT_MAX];
	char type[DNS_RDATATYPE_FORMATSIZE];

	if (zone == NULL ||
	    (page->id != NULL && strcmp(page->id, zone->config->id) != 0) ||
	    dname_from_wire(store_name(e), e->name_n, &name) != 0)
		return;
	(void)dname_print(&name, text);
	dns_rdatatype_format(e->qtype, type, sizeof(type));
	uint32_t age_s = store_age_s(e, page->now_s);
	o = json_object_new_object();
	add_text(o, "name", text);
	add_text(o, "type", type);
	add_text(o, "kind", status_kind_of(e));
	add_text(o, "state", status_state_of(e, page->now_s));
	add_number(o, "age_s", age_s);
	add_number(o, "left_s", e->ttl_s > age_s ? e->ttl_s - age_s : 0);
	add_number(o, "bytes", store_bytes(e));
	if (e->kind != STORE_FAILURE)
		add_number(o, "wire", wire_octets(e));
	add_number(o, "hits", store_hits(e));
	add_text(o, "zone", zone->config->id);
	json_object_array_add(page->list, o);
	page->n++;
}

/* Fills the page from bucket 'i'; returns the next one. */
static size_t fill(struct page *page, size_t i, size_t end)
{
	const struct store *store = page->engine->process->store;
	uint64_t end_ns = uv_hrtime() + PAGE_NS;

	while (i < end && page->n < PAGE_ENTRIES) {
		const struct store_entry *e = store_bucket(store, i++);
		for (; e != NULL; e = store_bucket_next(e))
			add_entry(page, e);
		if (i % LOOK_BUCKETS == 0 && uv_hrtime() >= end_ns)
			break;
	}
	return i;
}

void dump_handle(struct engine *e, struct control_client *client,
		 struct json_object *request)
{
	struct page page = { .engine = e,
			     .id = member(request, "zone"),
			     .now_s = process_now_s(e->process) };
	struct json_object *from = json_object_object_get(request, "from");
	int64_t i = json_object_get_int64(from);
	size_t end = store_buckets(e->process->store);

	if (page.id != NULL) {
		page.zone = commands_zone_by_id(e, page.id);
		if (page.zone == NULL) {
			control_reply_error(client, "no zone '%s'", page.id);
			return;
		}
	}
	if (i < 0 ||
	    (from != NULL && !json_object_is_type(from, json_type_int))) {
		control_reply_error(client, "'from' is what 'next' was");
		return;
	}
	struct json_object *reply = json_object_new_object();
	page.list = json_object_new_array();
	rcu_enter();
	size_t next = fill(&page, (size_t)i, end);
	rcu_leave();
	json_object_object_add(reply, "entries", page.list);
	if (next < end)
		add_number(reply, "next", next);
	control_reply(client, reply);
}
