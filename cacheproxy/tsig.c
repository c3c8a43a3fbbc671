/* SPDX-License-Identifier: MPL-2.0 */
#include "cacheproxy/tsig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <isc/buffer.h>
#include <isc/mem.h>
#include <isc/result.h>

#include <dns/compress.h>
#include <dns/message.h>
#include <dns/name.h>
#include <dns/rdatalist.h>
#include <dns/rdataset.h>
#include <dns/tsig.h>

struct tsig {
	isc_mem_t *mctx;
	dns_message_t *render; /* both are reset after each use */
	dns_message_t *parse;
	uint8_t name[DNS_NAME_MAXWIRE]; /* of the question being rendered */
};

struct tsig_mac {
	dns_tsigkey_t *key;
	isc_buffer_t *query; /* the question's TSIG rdata */
};

int tsig_new(struct isc_mem *mctx, struct tsig **tsigp)
{
	struct tsig *tsig = calloc(1, sizeof(*tsig));

	if (tsig == NULL)
		return -ENOMEM;
	isc_mem_attach(mctx, &tsig->mctx);
	dns_message_create(mctx, DNS_MESSAGE_INTENTRENDER, &tsig->render);
	dns_message_create(mctx, DNS_MESSAGE_INTENTPARSE, &tsig->parse);
	*tsigp = tsig;
	return 0;
}

void tsig_free(struct tsig *tsig)
{
	if (tsig == NULL)
		return;
	dns_message_detach(&tsig->render);
	dns_message_detach(&tsig->parse);
	isc_mem_detach(&tsig->mctx);
	free(tsig);
}

void tsig_mac_free(struct tsig *tsig, struct tsig_mac *mac)
{
	(void)tsig;
	if (mac == NULL)
		return;
	if (mac->query != NULL)
		isc_buffer_free(&mac->query);
	if (mac->key != NULL)
		dns_tsigkey_detach(&mac->key);
	free(mac);
}

void tsig_key_free(struct dns_tsigkey *key)
{
	dns_tsigkey_detach(&key);
}

/* The macro alone nests deeper than a function of ours may. */
/* NOLINTNEXTLINE(readability-function-size) */
static void append(dns_name_t *name, dns_rdataset_t *rdataset)
{
	ISC_LIST_APPEND(name->list, rdataset, link);
}

static isc_result_t add_question(struct tsig *tsig,
				 const struct tsig_query *query)
{
	dns_message_t *msg = tsig->render;
	dns_name_t *name = NULL;
	dns_rdataset_t *rdataset = NULL;
	isc_region_t region = {
		.base = tsig->name,
		.length = (unsigned int)query->name_n,
	};

	if (query->name_n > sizeof(tsig->name))
		return ISC_R_NOSPACE;
	memcpy(tsig->name, query->name, query->name_n);
	isc_result_t result = dns_message_gettempname(msg, &name);
	if (result != ISC_R_SUCCESS)
		return result;
	result = dns_message_gettemprdataset(msg, &rdataset);
	if (result != ISC_R_SUCCESS) {
		dns_message_puttempname(msg, &name);
		return result;
	}
	dns_name_fromregion(name, &region);
	dns_rdataset_makequestion(rdataset, dns_rdataclass_in, query->qtype);
	append(name, rdataset);
	dns_message_addname(msg, name, DNS_SECTION_QUESTION);
	return ISC_R_SUCCESS;
}

static isc_result_t render(dns_message_t *msg, dns_compress_t *cctx,
			   isc_buffer_t *buffer)
{
	isc_result_t result = dns_message_renderbegin(msg, cctx, buffer);

	if (result != ISC_R_SUCCESS)
		return result;
	result = dns_message_rendersection(msg, DNS_SECTION_QUESTION, 0);
	if (result != ISC_R_SUCCESS)
		return result;
	return dns_message_renderend(msg);
}

static isc_result_t sign(struct tsig *tsig, dns_tsigkey_t *key,
			 const struct tsig_query *query, isc_buffer_t *buffer,
			 isc_buffer_t **rdata)
{
	dns_message_t *msg = tsig->render;
	dns_rdataset_t *opt = NULL;
	dns_compress_t cctx;

	msg->id = query->id;
	msg->opcode = dns_opcode_query;
	msg->rdclass = dns_rdataclass_in;
	isc_result_t result = add_question(tsig, query);
	if (result != ISC_R_SUCCESS)
		return result;
	result = dns_message_buildopt(msg, &opt, 0, query->udp_size,
				      DNS_MESSAGEEXTFLAG_DO, NULL, 0);
	if (result != ISC_R_SUCCESS)
		return result;
	result = dns_message_setopt(msg, opt);
	if (result != ISC_R_SUCCESS)
		return result;
	result = dns_message_settsigkey(msg, key);
	if (result != ISC_R_SUCCESS)
		return result;
	result = dns_compress_init(&cctx, -1, tsig->mctx);
	if (result != ISC_R_SUCCESS)
		return result;
	result = render(msg, &cctx, buffer);
	if (result == ISC_R_SUCCESS)
		result = dns_message_getquerytsig(msg, tsig->mctx, rdata);
	dns_compress_invalidate(&cctx);
	return result;
}

int tsig_sign(struct tsig *tsig, struct dns_tsigkey *key,
	      const struct tsig_query *query, uint8_t *out, size_t *n,
	      struct tsig_mac **macp)
{
	struct tsig_mac *mac = calloc(1, sizeof(*mac));
	isc_buffer_t buffer;

	if (mac == NULL)
		return -ENOMEM;
	isc_buffer_init(&buffer, out, TSIG_QUERY_MAX);
	isc_result_t result = sign(tsig, key, query, &buffer, &mac->query);
	dns_message_reset(tsig->render, DNS_MESSAGE_INTENTRENDER);
	if (result != ISC_R_SUCCESS || mac->query == NULL) {
		tsig_mac_free(tsig, mac);
		return -EINVAL;
	}
	mac->key = key;
	*n = isc_buffer_usedlength(&buffer);
	*macp = mac;
	return 0;
}

static isc_result_t check(dns_message_t *parsed, const struct tsig_mac *mac,
			  isc_buffer_t *source)
{
	isc_result_t result = dns_message_setquerytsig(parsed, mac->query);

	if (result != ISC_R_SUCCESS)
		return result;
	result = dns_message_settsigkey(parsed, mac->key);
	if (result != ISC_R_SUCCESS)
		return result;
	result = dns_message_parse(parsed, source, 0);
	if (result != ISC_R_SUCCESS)
		return result;
	return dns_tsig_verify(source, parsed, NULL, NULL);
}

int tsig_check(struct tsig *tsig, const struct tsig_mac *mac,
	       const uint8_t *msg, size_t n)
{
	isc_buffer_t source;

	isc_buffer_constinit(&source, msg, (unsigned int)n);
	isc_buffer_add(&source, (unsigned int)n);
	isc_result_t result = check(tsig->parse, mac, &source);
	dns_message_reset(tsig->parse, DNS_MESSAGE_INTENTPARSE);
	return result == ISC_R_SUCCESS ? 0 : -EBADMSG;
}
