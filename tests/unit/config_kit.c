/* SPDX-License-Identifier: MPL-2.0 */
#include "config_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct err errs[ERRS_MAX];
size_t n_errs;

struct config *good(const char *text)
{
	struct config *config = NULL;
	int rc = config_parse("a.json", text, strlen(text), &config, errs,
			      ERRS_MAX, &n_errs);

	if (rc != 0)
		fail_msg("%s: %s", errs[0].path, errs[0].text);
	assert_int_equal(n_errs, 0);
	assert_non_null(config);
	return config;
}

void bad(const char *text, size_t max_errs)
{
	struct config *config = NULL;

	assert_int_equal(config_parse("a.json", text, strlen(text), &config,
				      errs, max_errs, &n_errs),
			 -EINVAL);
	assert_null(config);
}

void assert_address(const struct sockaddr_storage *address, const char *text,
		    unsigned port)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	char out[INET6_ADDRSTRLEN];
	bool six = address->ss_family == AF_INET6;
	const void *octets = &in->sin_addr;

	if (six)
		octets = &in6->sin6_addr;
	assert_non_null(
		inet_ntop(address->ss_family, octets, out, sizeof(out)));
	assert_string_equal(out, text);
	assert_int_equal(ntohs(six ? in6->sin6_port : in->sin_port), port);
}
