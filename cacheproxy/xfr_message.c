/* SPDX-License-Identifier: MPL-2.0 */
#include <errno.h>
#include <string.h>

#include <dns/compress.h>
#include <dns/name.h>
#include <dns/rcode.h>
#include <dns/rdata.h>
#include <dns/rdatalist.h>
#include <dns/rdataset.h>
#include <dns/rdatatype.h>
#include <dns/result.h>
#include <dns/soa.h>
#include <dst/dst.h>
#include <isc/mem.h>

#include "cacheproxy/xfr_int.h"

#define UNSIGNED_MAX 99u /* messages between two signatures: RFC 8945 5.3.1 */
#define SOA_MIN	     22u /* octets of its rdata, both names the root */

void xfr_stream_init(struct xfr_stream *s, const struct xfr_setup *setup,
		     uint16_t id)
{
	isc_region_t region = { (unsigned char *)setup->name->wire,
				setup->name->n };

	*s = (struct xfr_stream){ .setup = setup, .key = setup->key, .id = id };
	isc_mem_attach(setup->mctx, &s->mctx);
	dns_name_init(&s->name, NULL);
	dns_name_fromregion(&s->name, &region);
}

void xfr_stream_fini(struct xfr_stream *s)
{
	if (s->tsig_context != NULL)
		dst_context_destroy(&s->tsig_context);
	if (s->last_tsig != NULL)
		isc_buffer_free(&s->last_tsig);
	if (s->key != NULL)
		dns_tsigkey_detach(&s->key);
	isc_mem_detach(&s->mctx);
}

/* -- the question ------------------------------------------------------ */

/* The macro alone nests deeper than a function of ours may. */
/* NOLINTNEXTLINE(readability-function-size) */
static void append_set(dns_name_t *name, dns_rdataset_t *set)
{
	ISC_LIST_APPEND(name->list, set, link);
}

/* NOLINTNEXTLINE(readability-function-size): likewise */
static void append_rdata(dns_rdatalist_t *list, dns_rdata_t *rdata)
{
	ISC_LIST_APPEND(list->rdata, rdata, link);
}

/* Adds 'set' to a section, at the name of the zone. */
static isc_result_t add_set(struct xfr_stream *s, dns_message_t *msg,
			    dns_rdataset_t *set, dns_section_t section)
{
	dns_name_t *name = NULL;
	isc_result_t result = dns_message_gettempname(msg, &name);

	if (result != ISC_R_SUCCESS) {
		dns_message_puttemprdataset(msg, &set);
		return result;
	}
	dns_name_clone(&s->name, name);
	append_set(name, set);
	dns_message_addname(msg, name, section);
	return ISC_R_SUCCESS;
}

static isc_result_t add_question(struct xfr_stream *s, dns_message_t *msg)
{
	dns_rdataset_t *set = NULL;
	isc_result_t result = dns_message_gettemprdataset(msg, &set);

	if (result != ISC_R_SUCCESS)
		return result;
	dns_rdataset_makequestion(set, dns_rdataclass_in,
				  s->setup->axfr ? dns_rdatatype_axfr
						 : dns_rdatatype_ixfr);
	return add_set(s, msg, set, DNS_SECTION_QUESTION);
}

/* The version that is had: a SOA of which only the serial counts. */
static isc_result_t add_version(struct xfr_stream *s, dns_message_t *msg,
				uint8_t *soa)
{
	dns_rdataset_t *set = NULL;
	dns_rdata_t *rdata = NULL;
	dns_rdatalist_t *list = NULL;
	isc_region_t region = { soa, SOA_MIN };
	uint32_t serial = s->setup->serial;

	memset(soa, 0, SOA_MIN);
	for (unsigned int i = 0; i < 4; i++)
		soa[2 + i] = (uint8_t)(serial >> (24 - 8 * i));
	isc_result_t result = dns_message_gettemprdata(msg, &rdata);
	if (result != ISC_R_SUCCESS)
		return result;
	dns_rdata_fromregion(rdata, dns_rdataclass_in, dns_rdatatype_soa,
			     &region);
	result = dns_message_gettemprdatalist(msg, &list);
	if (result != ISC_R_SUCCESS) {
		dns_message_puttemprdata(msg, &rdata);
		return result;
	}
	list->rdclass = dns_rdataclass_in;
	list->type = dns_rdatatype_soa;
	append_rdata(list, rdata);
	result = dns_message_gettemprdataset(msg, &set);
	if (result != ISC_R_SUCCESS) {
		dns_message_puttemprdatalist(msg, &list);
		return result;
	}
	(void)dns_rdatalist_tordataset(list, set);
	return add_set(s, msg, set, DNS_SECTION_AUTHORITY);
}

static isc_result_t render(dns_message_t *msg, dns_compress_t *cctx,
			   isc_buffer_t *buffer)
{
	isc_result_t result = dns_message_renderbegin(msg, cctx, buffer);

	if (result == ISC_R_SUCCESS)
		result =
			dns_message_rendersection(msg, DNS_SECTION_QUESTION, 0);
	if (result == ISC_R_SUCCESS)
		result = dns_message_rendersection(msg, DNS_SECTION_AUTHORITY,
						   0);
	if (result == ISC_R_SUCCESS)
		result = dns_message_renderend(msg);
	return result;
}

static isc_result_t make_question(struct xfr_stream *s, dns_message_t *msg,
				  isc_buffer_t *buffer, uint8_t *soa)
{
	dns_compress_t cctx;

	msg->id = s->id;
	msg->opcode = dns_opcode_query;
	msg->rdclass = dns_rdataclass_in;
	isc_result_t result = add_question(s, msg);
	if (result == ISC_R_SUCCESS && !s->setup->axfr)
		result = add_version(s, msg, soa);
	if (result == ISC_R_SUCCESS && s->key != NULL)
		result = dns_message_settsigkey(msg, s->key);
	if (result == ISC_R_SUCCESS)
		result = dns_compress_init(&cctx, -1, s->mctx);
	if (result != ISC_R_SUCCESS)
		return result;
	result = render(msg, &cctx, buffer);
	if (result == ISC_R_SUCCESS && s->key != NULL)
		result = dns_message_getquerytsig(msg, s->mctx, &s->last_tsig);
	dns_compress_invalidate(&cctx);
	return result;
}

int xfr_stream_question(struct xfr_stream *s, uint8_t *out, size_t *n)
{
	uint8_t soa[SOA_MIN];
	dns_message_t *msg = NULL;
	isc_buffer_t buffer;

	isc_buffer_init(&buffer, out, XFR_QUERY_MAX);
	dns_message_create(s->mctx, DNS_MESSAGE_INTENTRENDER, &msg);
	isc_result_t result = make_question(s, msg, &buffer, soa);
	dns_message_detach(&msg);
	*n = isc_buffer_usedlength(&buffer);
	return result == ISC_R_SUCCESS ? 0 : -EINVAL;
}

/* -- records ----------------------------------------------------------- */

static int hand_on(struct xfr_stream *s, enum xfr_part part,
		   const dns_name_t *name, const dns_rdata_t *rdata)
{
	struct delta_record record = {
		.owner = name->ndata,
		.owner_n = name->length,
		.type = rdata->type,
		.ttl_s = s->ttl_s,
		.rdata = rdata->data,
		.rdata_n = rdata->length,
	};

	if (rdata->type == dns_rdatatype_rrsig && rdata->length >= 2)
		record.covers =
			(uint16_t)(rdata->data[0] << 8 | rdata->data[1]);
	return s->setup->record(s->setup->arg, part, &record);
}

/* The second record; a lone SOA has none. */
static void begin(struct xfr_stream *s, bool is_soa, uint32_t serial)
{
	bool delta = is_soa && !s->setup->axfr && serial == s->setup->serial &&
		     serial != s->end_serial;

	s->kind = delta ? XFR_DELTA : XFR_WHOLE;
	s->state = delta ? XFR_REMOVALS : XFR_ZONE;
	s->serial = serial;
}

/* A SOA within a difference: it begins removals or additions, or ends all. */
static int turn(struct xfr_stream *s, const dns_name_t *name,
		dns_rdata_t *rdata, uint32_t serial)
{
	if (s->state == XFR_REMOVALS) {
		if (!xfr_newer(serial, s->serial))
			return -EBADMSG;
		s->state = XFR_ADDITIONS;
		s->serial = serial;
		return hand_on(s, XFR_CAME, name, rdata);
	}
	if (serial != s->serial)
		return -EBADMSG; /* steps must follow each other */
	int rc = s->setup->record(s->setup->arg, XFR_STEP, NULL);
	if (rc != 0 || serial == s->end_serial) {
		s->state = XFR_END;
		return rc;
	}
	s->state = XFR_REMOVALS;
	return hand_on(s, XFR_WENT, name, rdata);
}

static int take_first(struct xfr_stream *s, bool is_soa, uint32_t serial)
{
	if (!is_soa)
		return -EBADMSG;
	s->end_serial = serial;
	s->state = XFR_SECOND;
	if (s->setup->axfr || xfr_newer(serial, s->setup->serial))
		return 0;
	s->kind = XFR_SAME;
	s->state = XFR_END;
	return 0;
}

/* A record of a whole zone; its SOA is the last. */
static int take_of_zone(struct xfr_stream *s, const dns_name_t *name,
			dns_rdata_t *rdata, bool is_soa, uint32_t serial)
{
	if (is_soa && serial != s->end_serial)
		return -EBADMSG;
	if (is_soa)
		s->state = XFR_END;
	return hand_on(s, XFR_HAS, name, rdata);
}

static int take_record(struct xfr_stream *s, const dns_name_t *name,
		       dns_rdata_t *rdata)
{
	bool is_soa = rdata->type == dns_rdatatype_soa;

	if (++s->records > s->setup->records_max)
		return -EFBIG;
	if (rdata->type == dns_rdatatype_none ||
	    dns_rdatatype_ismeta(rdata->type) ||
	    (is_soa &&
	     (!dns_name_equal(name, &s->name) || rdata->length < SOA_MIN)))
		return -EBADMSG;

	uint32_t serial = is_soa ? dns_soa_getserial(rdata) : 0;
	if (s->state == XFR_FIRST)
		return take_first(s, is_soa, serial);
	if (s->state == XFR_SECOND) {
		begin(s, is_soa, serial);
		if (s->kind == XFR_DELTA)
			return hand_on(s, XFR_WENT, name, rdata);
		if (!s->setup->whole_ok)
			return -EXDEV;
		return take_of_zone(s, name, rdata, is_soa, serial);
	}
	switch (s->state) {
	case XFR_REMOVALS:
	case XFR_ADDITIONS:
		if (is_soa)
			return turn(s, name, rdata, serial);
		return hand_on(s,
			       s->state == XFR_REMOVALS ? XFR_WENT : XFR_CAME,
			       name, rdata);
	case XFR_ZONE:
		return take_of_zone(s, name, rdata, is_soa, serial);
	default: /* after the end */
		return s->kind == XFR_SAME ? 0 : -EBADMSG;
	}
}

static int take_set(struct xfr_stream *s, const dns_name_t *name,
		    dns_rdataset_t *set)
{
	int rc = 0;

	s->ttl_s = set->ttl;
	for (isc_result_t r = dns_rdataset_first(set);
	     r == ISC_R_SUCCESS && rc == 0; r = dns_rdataset_next(set)) {
		dns_rdata_t rdata = DNS_RDATA_INIT;
		dns_rdataset_current(set, &rdata);
		rc = take_record(s, name, &rdata);
	}
	return rc;
}

static int take_records(struct xfr_stream *s, const dns_message_t *msg)
{
	const dns_name_t *name =
		ISC_LIST_HEAD(msg->sections[DNS_SECTION_ANSWER]);
	int rc = 0;

	for (; name != NULL && rc == 0; name = ISC_LIST_NEXT(name, link)) {
		dns_rdataset_t *set = ISC_LIST_HEAD(name->list);
		for (; set != NULL && rc == 0; set = ISC_LIST_NEXT(set, link))
			rc = take_set(s, name, set);
	}
	return rc;
}

/* -- messages ---------------------------------------------------------- */

static int check_header(struct xfr_stream *s, const dns_message_t *msg)
{
	const dns_name_t *name =
		ISC_LIST_HEAD(msg->sections[DNS_SECTION_QUESTION]);
	unsigned int questions = msg->counts[DNS_SECTION_QUESTION];

	if (msg->id != s->id || msg->opcode != dns_opcode_query ||
	    (msg->flags & DNS_MESSAGEFLAG_QR) == 0 || questions > 1)
		return -EBADMSG;
	s->rcode = msg->rcode;
	if (msg->rcode != dns_rcode_noerror)
		return -EREMOTEIO;
	if ((msg->flags & DNS_MESSAGEFLAG_TC) != 0 ||
	    (questions == 0 && s->messages == 0) ||
	    (name != NULL && !dns_name_equal(name, &s->name)))
		return -EBADMSG;
	return msg->counts[DNS_SECTION_ANSWER] == 0 ? -EREMOTEIO : 0;
}

/* After the records, so that the last message is known to be the last. */
static int check_signed(struct xfr_stream *s, dns_message_t *msg)
{
	if (s->key == NULL)
		return 0;
	if (dns_message_gettsig(msg, NULL) == NULL) {
		s->unsigned_run++;
		return s->messages == 0 || s->state == XFR_END ||
				       s->unsigned_run > UNSIGNED_MAX
			       ? -EBADMSG
			       : 0;
	}
	s->unsigned_run = 0;
	if (s->last_tsig != NULL)
		isc_buffer_free(&s->last_tsig);
	return dns_message_getquerytsig(msg, s->mctx, &s->last_tsig) ==
			       ISC_R_SUCCESS
		       ? 0
		       : -ENOMEM;
}

static int take_message(struct xfr_stream *s, dns_message_t *msg,
			isc_buffer_t *buffer)
{
	if (dns_message_parse(msg, buffer, DNS_MESSAGEPARSE_PRESERVEORDER) !=
	    ISC_R_SUCCESS)
		return -EBADMSG;
	int rc = check_header(s, msg);
	if (rc != 0)
		return rc;
	if (dns_message_checksig(msg, NULL) != ISC_R_SUCCESS)
		return -EBADMSG;
	rc = take_records(s, msg);
	return rc != 0 ? rc : check_signed(s, msg);
}

int xfr_stream_message(struct xfr_stream *s, uint8_t *octets, size_t n)
{
	dns_message_t *msg = NULL;
	isc_buffer_t buffer;
	int rc = -EBADMSG;

	s->octets += n;
	if (s->octets > s->setup->octets_max)
		return -EFBIG;
	isc_buffer_init(&buffer, octets, (unsigned int)n);
	isc_buffer_add(&buffer, (unsigned int)n);
	dns_message_create(s->mctx, DNS_MESSAGE_INTENTPARSE, &msg);
	isc_result_t result = dns_message_settsigkey(msg, s->key);
	if (result == ISC_R_SUCCESS)
		result = dns_message_setquerytsig(msg, s->last_tsig);
	msg->tsigctx = s->tsig_context;
	s->tsig_context = NULL;
	dns_message_setclass(msg, dns_rdataclass_in);
	msg->tcp_continuation = s->messages > 0 ? 1 : 0;
	if (result == ISC_R_SUCCESS)
		rc = take_message(s, msg, &buffer);
	s->messages++;
	s->tsig_context = msg->tsigctx;
	msg->tsigctx = NULL;
	dns_message_detach(&msg);
	return rc;
}

/* -- a SOA --------------------------------------------------------------------
 */

static int find_serial(dns_message_t *msg, dns_name_t *name, uint32_t *serial,
		       bool *is_signed)
{
	dns_rdataset_t *set = NULL, *signature = NULL;
	dns_rdata_t rdata = DNS_RDATA_INIT;

	if (msg->rcode != dns_rcode_noerror ||
	    (msg->flags & DNS_MESSAGEFLAG_AA) == 0 ||
	    dns_message_findname(msg, DNS_SECTION_ANSWER, name,
				 dns_rdatatype_soa, 0, NULL,
				 &set) != ISC_R_SUCCESS ||
	    dns_rdataset_first(set) != ISC_R_SUCCESS)
		return -EBADMSG;
	dns_rdataset_current(set, &rdata);
	if (rdata.length < SOA_MIN)
		return -EBADMSG;
	*serial = dns_soa_getserial(&rdata);
	*is_signed =
		dns_message_findname(msg, DNS_SECTION_ANSWER, name,
				     dns_rdatatype_rrsig, dns_rdatatype_soa,
				     NULL, &signature) == ISC_R_SUCCESS;
	return 0;
}

int xfr_soa_serial(struct isc_mem *mctx, const struct dname *apex,
		   const uint8_t *octets, size_t n, uint32_t *serial,
		   bool *is_signed)
{
	isc_region_t region = { (unsigned char *)apex->wire, apex->n };
	dns_name_t name = DNS_NAME_INITEMPTY;
	dns_message_t *msg = NULL;
	isc_buffer_t buffer;
	int rc = -EBADMSG;

	dns_name_fromregion(&name, &region);
	isc_buffer_constinit(&buffer, octets, (unsigned int)n);
	isc_buffer_add(&buffer, (unsigned int)n);
	dns_message_create(mctx, DNS_MESSAGE_INTENTPARSE, &msg);
	if (dns_message_parse(msg, &buffer, 0) == ISC_R_SUCCESS)
		rc = find_serial(msg, &name, serial, is_signed);
	dns_message_detach(&msg);
	return rc;
}
