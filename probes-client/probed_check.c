/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_check.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PATTERN_MAX 300u /* one of a configuration, and a little more */

int probed_check_init(struct probed_check *check,
		      const struct config_expect *expect)
{
	*check = (struct probed_check){ .expect = expect,
					.limit = PROBED_BODY_MAX };
	probed_body_init(&check->body, expect->body);
	if (expect->size_min > check->limit)
		check->limit = expect->size_min;
	if (expect->size_max != UINT64_MAX && expect->size_max >= check->limit)
		check->limit = expect->size_max + 1;
	if (expect->pattern != NULL)
		check->kept = malloc(PROBED_KEPT_MAX + 1);
	if (expect->hashed)
		check->digest = EVP_MD_CTX_new();
	if ((expect->pattern != NULL && check->kept == NULL) ||
	    (expect->hashed &&
	     (check->digest == NULL ||
	      EVP_DigestInit_ex(check->digest, EVP_sha256(), NULL) != 1))) {
		probed_check_fini(check);
		return -ENOMEM;
	}
	return 0;
}

void probed_check_fini(struct probed_check *check)
{
	free(check->kept);
	EVP_MD_CTX_free(check->digest);
	check->kept = NULL;
	check->digest = NULL;
}

/* -- status ---------------------------------------------------------------- */

bool probed_check_status(const struct config_expect *expect, long status)
{
	if (expect->n_statuses == 0)
		return status >= 200 && status <= 399;
	for (size_t i = 0; i < expect->n_statuses; i++)
		if (status >= expect->statuses[i].low &&
		    status <= expect->statuses[i].high)
			return true;
	return false;
}

void probed_check_status_print(const struct config_expect *expect, long status,
			       char *out, size_t size)
{
	int n = snprintf(out, size, "%ld, want ", status);

	if (expect->n_statuses == 0) {
		snprintf(out, size, "%ld, want 200 to 399", status);
		return;
	}
	for (size_t i = 0; i < expect->n_statuses && n >= 0 && (size_t)n < size;
	     i++) {
		const struct config_span *span = &expect->statuses[i];
		const char *comma = i > 0 ? ", " : "";
		if (span->low == span->high)
			n += snprintf(out + n, size - (size_t)n, "%s%u", comma,
				      span->low);
		else
			n += snprintf(out + n, size - (size_t)n, "%s%u to %u",
				      comma, span->low, span->high);
	}
}

/* -- headers --------------------------------------------------------------- */

static bool header_is(struct slice line, const char *want)
{
	const char *colon = strchr(want, ':');
	size_t n = colon != NULL ? (size_t)(colon - want) : strlen(want);

	if (line.n <= n || line.p[n] != ':' ||
	    strncasecmp(line.p, want, n) != 0)
		return false;
	if (colon == NULL)
		return true;
	for (colon++; *colon == ' '; colon++)
		;
	return memmem(line.p + n + 1, line.n - n - 1, colon, strlen(colon)) !=
	       NULL;
}

void probed_check_header(struct probed_check *check, struct slice line)
{
	for (size_t i = 0; i < check->expect->n_headers; i++)
		if (header_is(line, check->expect->headers[i]))
			check->headers |= 1u << i;
}

/* -- the body -------------------------------------------------------------- */

/*
 * Bound to the beginning, so that the text is gone through once: a search from
 * each place would take seconds with a pattern such as "(x+x+)+y".  Spoils
 * 'text', which has room for one octet more: NUL is a space, which '.' matches.
 */
static bool matches(const char *pattern, char *text, size_t n)
{
	char whole[PATTERN_MAX];
	regmatch_t span = { 0, (regoff_t)n };
	regex_t made;

	for (size_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	text[n] = '\0'; /* not all that replace regexec() know REG_STARTEND */
	snprintf(whole, sizeof(whole), "^.*(%s)", pattern);
	if (regcomp(&made, whole, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool good = regexec(&made, text, 1, &span, REG_STARTEND) == 0;
	regfree(&made);
	return good;
}

static bool wants_all(const struct probed_check *check)
{
	const struct config_expect *expect = check->expect;

	return expect->hashed || expect->size_min > 0 ||
	       expect->size_max != UINT64_MAX;
}

bool probed_check_feed(struct probed_check *check, struct slice piece)
{
	const struct config_expect *expect = check->expect;

	if (piece.n > check->limit - check->seen)
		piece.n = (size_t)(check->limit - check->seen);
	check->seen += piece.n;
	if (check->digest != NULL)
		EVP_DigestUpdate(check->digest, piece.p, piece.n);
	if (check->kept != NULL && piece.n > 0) {
		size_t room = PROBED_KEPT_MAX - check->n_kept;
		size_t n = piece.n < room ? piece.n : room;
		memcpy(check->kept + check->n_kept, piece.p, n);
		check->n_kept += n;
	}
	bool more = probed_body_feed(&check->body, piece);
	if (check->seen >= check->limit || check->seen > expect->size_max)
		return false;
	if (wants_all(check))
		return true;
	if (check->kept != NULL && check->n_kept < PROBED_KEPT_MAX)
		return true;
	return more && (expect->body != NULL || expect->pattern == NULL);
}

static enum probe_error size_judge(const struct probed_check *check,
				   char *detail, size_t size)
{
	const struct config_expect *expect = check->expect;

	if (check->seen > expect->size_max) {
		snprintf(detail, size, "more than %" PRIu64 " octets",
			 expect->size_max);
		return PROBE_SIZE;
	}
	if (check->seen < expect->size_min) {
		snprintf(detail, size, "%" PRIu64 " octets, want %" PRIu64,
			 check->seen, expect->size_min);
		return PROBE_SIZE;
	}
	if (expect->hashed && check->seen >= check->limit) {
		snprintf(detail, size, "more than %" PRIu64 " octets to hash",
			 check->limit - 1);
		return PROBE_SIZE;
	}
	return PROBE_OK;
}

static enum probe_error hash_judge(struct probed_check *check, char *detail,
				   size_t size)
{
	uint8_t found[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (check->digest == NULL)
		return PROBE_OK;
	if (EVP_DigestFinal_ex(check->digest, found, &n) == 1 &&
	    n == sizeof(check->expect->sha256) &&
	    memcmp(found, check->expect->sha256, n) == 0)
		return PROBE_OK;
	snprintf(detail, size,
		 "SHA-256 of %" PRIu64 " octets begins %02x%02x%02x%02x",
		 check->seen, found[0], found[1], found[2], found[3]);
	return PROBE_HASH;
}

enum probe_error probed_check_judge(struct probed_check *check, char *detail,
				    size_t size)
{
	const struct config_expect *expect = check->expect;

	detail[0] = '\0';
	for (size_t i = 0; i < expect->n_headers; i++)
		if ((check->headers & 1u << i) == 0) {
			snprintf(detail, size, "%s", expect->headers[i]);
			return PROBE_HEADER;
		}
	enum probe_error error = size_judge(check, detail, size);
	if (error == PROBE_OK)
		error = hash_judge(check, detail, size);
	if (error != PROBE_OK)
		return error;
	if (check->body.n_text > 0 && !check->body.found) {
		snprintf(detail, size, "in %zu octets", check->body.seen);
		return PROBE_BODY;
	}
	if (expect->pattern != NULL &&
	    !matches(expect->pattern, check->kept, check->n_kept)) {
		snprintf(detail, size, "no match in %zu octets", check->n_kept);
		return PROBE_BODY;
	}
	return PROBE_OK;
}

enum probe_error probed_check_text(const struct config_expect *expect,
				   struct slice text, char *detail, size_t size)
{
	detail[0] = '\0';
	if (expect->body != NULL && memmem(text.p, text.n, expect->body,
					   strlen(expect->body)) == NULL) {
		snprintf(detail, size, "in %zu octets", text.n);
		return PROBE_BODY;
	}
	if (expect->pattern == NULL)
		return PROBE_OK;
	char copy[PROBED_KEPT_MAX + 1];
	size_t n = text.n < PROBED_KEPT_MAX ? text.n : PROBED_KEPT_MAX;
	memcpy(copy, text.p, n);
	if (!matches(expect->pattern, copy, n)) {
		snprintf(detail, size, "no match in %zu octets", n);
		return PROBE_BODY;
	}
	return PROBE_OK;
}
