/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * xfr - asks an origin for a zone's difference (IXFR, RFC 1995) or for the
 * whole zone (AXFR, RFC 5936), over TCP or TLS, signed where the origin has a
 * key: a connection of its own for each, so that no client's question waits
 * behind a transfer.
 *
 * Belongs to the engine thread and its libuv loop.  libdns parses and checks
 * signatures; nothing here walks a message.  A transfer is bounded in octets,
 * records and time.  What comes is handed on record by record before its end
 * is known: whoever takes it uses nothing of it unless the transfer succeeds.
 */
#include <stddef.h>
#include <stdint.h>

#include "cacheproxy/delta.h"
#include "common/config.h"

struct isc_mem;
struct origins;
struct dns_tsigkey;
struct xfr;

enum xfr_part {
	XFR_WENT, /* a record of the difference, removed */
	XFR_CAME, /* added */
	XFR_STEP, /* the step to the next serial is whole; no record */
	XFR_HAS,  /* a record of the whole zone */
};

enum xfr_kind {
	XFR_SAME,  /* the origin's serial is the one that was given */
	XFR_DELTA, /* a difference was sent */
	XFR_WHOLE, /* the whole zone was sent */
};

struct xfr_result {
	int status; /* 0; network errors, -ETIMEDOUT, -ECANCELED; -EFBIG (over
		       a bound), -EBADMSG (malformed, TSIG), -EPROTO (TLS),
		       -EREMOTEIO (refused), -ENOMEM, what 'record' said;
		       -EXDEV: the whole zone came, and 'whole_ok' is not set */
	uint16_t rcode;	    /* with -EREMOTEIO: the origin's (5 REFUSED, 9
			       NOTAUTH ..); 0: it sent an empty answer */
	enum xfr_kind kind; /* the rest: only with status 0 */
	uint32_t serial;
	size_t records, octets;
};

struct xfr_setup {
	struct origins *origins; /* whose loop and TLS it shares */
	struct isc_mem *mctx;
	/* these two live until 'done' */
	const struct config_origin *origin; /* one for UDP is asked by TCP */
	const struct dname *name;
	struct dns_tsigkey *key; /* NULL: none; a reference, taken over */
	bool axfr;		 /* do not ask for a difference */
	bool whole_ok;		 /* the whole zone is of use */
	uint32_t serial;	 /* what is had, for a difference */
	size_t octets_max, records_max;
	uint32_t time_ms, idle_ms; /* of all; without a message */
	/* 0; or -errno: the transfer ends with it */
	int (*record)(void *arg, enum xfr_part part,
		      const struct delta_record *record);
	void (*done)(void *arg, const struct xfr_result *result); /* once,
				  never from inside xfr_start() */
	void *arg;
};

/*
 * Starts.  0 and '*xfrp' (NULL is fine), valid until 'done'; or -errno: then
 * 'done' is not called, and the key is gone all the same.
 */
int xfr_start(const struct xfr_setup *setup, struct xfr **xfrp);

/* Ends it: 'done' is called with -ECANCELED, from inside. */
void xfr_cancel(struct xfr *xfr);

/* True if serial 'a' is newer than 'b' (RFC 1982). */
static inline bool xfr_newer(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/*
 * The serial in an answer to a question for the SOA of 'apex', and whether a
 * signature came with it.  0; -EBADMSG: it is none, or not with authority.
 */
int xfr_soa_serial(struct isc_mem *mctx, const struct dname *apex,
		   const uint8_t *octets, size_t n, uint32_t *serial,
		   bool *is_signed);
