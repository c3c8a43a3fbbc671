/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_dns - a question to a name server, and what its answer means.
 *
 * Both functions are pure; the second reads what strangers send, of any length.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/probe.h"

#define PROBED_DNS_ASK_MAX (12 + 255 + 4)

/* Writes the message into 'out' (PROBED_DNS_ASK_MAX octets); returns its
 * length. */
size_t probed_dns_ask(const struct config_question *question, uint16_t id,
		      uint8_t *out);

/*
 * Returns PROBE_OK, or the error, and writes more about it into 'detail'
 * (PROBED_DETAIL_MAX octets); or -1: it is not an answer to our question.
 */
int probed_dns_judge(const struct config_service *service, uint16_t id,
		     const uint8_t *message, size_t n, char *detail);
