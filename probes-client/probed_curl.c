/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_curl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probes-client/probed.h"

#define HEADERS_MAX	65536u /* octets of all headers of an answer */
#define URL_MAX		1400   /* a host name as text, and a little more */
#define TARGET_MAX	(3 * 2048 + 1) /* a path, all of it as %XX */
#define CA_CACHE_S	300L	       /* then a file is read again */
#define HAVE_CA_CACHING (LIBCURL_VERSION_NUM >= 0x075700)

/* -- what comes back ------------------------------------------------------ */

static bool status_good(const struct probed_curl *curl, long status)
{
	if (curl->status != 0)
		return status == curl->status;
	return status >= 200 && status <= 399;
}

static long status_of(const struct probed_curl *curl)
{
	long status = 0;

	curl_easy_getinfo(curl->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct probed_curl *curl = arg;

	(void)p;
	(void)size; /* is 1 */
	curl->n_headers += n;
	if (curl->n_headers <= HEADERS_MAX)
		return n;
	curl->flood = true;
	return 0;
}

/* Anything but 'n' makes libcurl give up. */
static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct probed_curl *curl = arg;

	(void)size;
	curl->enough = !status_good(curl, status_of(curl)) ||
		       !probed_body_feed(&curl->body, (struct slice){ p, n });
	return curl->enough ? 0 : n;
}

/* -- setting up ----------------------------------------------------------- */

/*
 * The path as it goes into the request: octets that have no place in one are
 * escaped, the rest is the operator's.
 */
static void target_print(const char *path, char *out)
{
	size_t n = 0;

	for (; *path != '\0' && n + 4 < TARGET_MAX; path++) {
		unsigned char c = (unsigned char)*path;
		if (c > 0x20 && c < 0x7f && c != '#')
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", c);
	}
	out[n] = '\0';
}

/* An address as it stands in a URL. */
static void literal_print(const struct probed_task *task, char *out,
			  size_t size)
{
	bool v6 = task->address->ss_family == AF_INET6;

	snprintf(out, size, v6 ? "[%s]" : "%s", task->address_text);
}

static int set_where(struct probed_curl *curl, const struct probed_task *task)
{
	const struct config_service *service = task->service;
	bool tls = service->probe == CONFIG_HTTPS;
	char literal[PROBED_ADDRESS_MAX + 2], url[URL_MAX], target[TARGET_MAX];
	char route[sizeof(literal) + 16];

	literal_print(task, literal, sizeof(literal));
	snprintf(url, sizeof(url), "http%s://%s:%u/", tls ? "s" : "",
		 service->host != NULL ? service->host : literal,
		 service->port);
	snprintf(route, sizeof(route), "::%s:%u", literal, service->port);
	target_print(service->path, target);
	curl->connect_to = curl_slist_append(NULL, route);
	if (curl->connect_to == NULL)
		return -ENOMEM;
	curl_easy_setopt(curl->easy, CURLOPT_CONNECT_TO, curl->connect_to);
	curl_easy_setopt(curl->easy, CURLOPT_PROTOCOLS_STR,
			 tls ? "https" : "http");
	/* These copy, and so may fail. */
	return curl_easy_setopt(curl->easy, CURLOPT_URL, url) == CURLE_OK &&
			       curl_easy_setopt(curl->easy,
						CURLOPT_REQUEST_TARGET,
						target) == CURLE_OK
		       ? 0
		       : -ENOMEM;
}

/* Trust in the file named, alone; or in the system's file, read but rarely. */
static int set_trust(struct probed_curl *curl,
		     const struct config_service *service)
{
	CURL *easy = curl->easy;
	const curl_version_info_data *about =
		curl_version_info(CURLVERSION_NOW);
	bool bundle =
		about->age >= CURLVERSION_SEVENTH && about->cainfo != NULL;

	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER,
			 service->verify ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST,
			 service->verify ? 2L : 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
#if HAVE_CA_CACHING
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
#endif
	if (service->ca_file != NULL || bundle)
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	if (service->ca_file != NULL &&
	    curl_easy_setopt(easy, CURLOPT_CAINFO, service->ca_file) !=
		    CURLE_OK)
		return -ENOMEM;
	return 0;
}

/* Nothing from the environment, nothing from earlier tests. */
static void set_manners(struct probed_curl *curl)
{
	CURL *easy = curl->easy;

	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, curl->headers);
	curl_easy_setopt(easy, CURLOPT_USERAGENT,
			 "nearzone-probed/" PROBED_VERSION);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)curl->limit_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)curl->limit_ms);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, curl->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, curl);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, curl);
}

int probed_curl_init(struct probed_curl *curl, const struct probed_task *task)
{
	const struct config_service *service = task->service;

	*curl = (struct probed_curl){ .status = service->status,
				      .limit_ms = service->timeout_ms };
	probed_body_init(&curl->body, service->body);
	curl->easy = curl_easy_init();
	curl->headers = curl_slist_append(NULL, "Connection: close");
	if (curl->easy == NULL || curl->headers == NULL ||
	    set_where(curl, task) != 0 || set_trust(curl, service) != 0) {
		probed_curl_fini(curl);
		return -ENOMEM;
	}
	set_manners(curl);
	return 0;
}

void probed_curl_fini(struct probed_curl *curl)
{
	curl_easy_cleanup(curl->easy); /* NULL is fine, here and below */
	curl_slist_free_all(curl->headers);
	curl_slist_free_all(curl->connect_to);
	curl->easy = NULL;
	curl->headers = NULL;
	curl->connect_to = NULL;
}

/* -- judging ----------------------------------------------------------------
 */

static enum probe_error answer_judge(const struct probed_curl *curl,
				     char *detail, size_t size)
{
	long status = status_of(curl);

	if (!status_good(curl, status)) {
		if (curl->status != 0)
			snprintf(detail, size, "%ld, want %u", status,
				 curl->status);
		else
			snprintf(detail, size, "%ld, want 200 to 399", status);
		return PROBE_STATUS;
	}
	if (curl->body.n_text > 0 && !curl->body.found) {
		snprintf(detail, size, "in %zu octets", curl->body.seen);
		return PROBE_BODY;
	}
	return PROBE_OK;
}

static enum probe_error connect_judge(const struct probed_curl *curl)
{
	long error = 0;

	curl_easy_getinfo(curl->easy, CURLINFO_OS_ERRNO, &error);
	return error == 0 ? PROBE_UNREACHABLE
			  : probed_connect_error((int)error);
}

static enum probe_error code_judge(const struct probed_curl *curl,
				   CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return connect_judge(curl);
	case CURLE_OPERATION_TIMEDOUT:
		return PROBE_TIMEOUT;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return PROBE_RESET;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
		return PROBE_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return PROBE_CERTIFICATE;
	case CURLE_WRITE_ERROR: /* then a flood of headers */
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return PROBE_PROTOCOL;
	default:
		return PROBE_LOCAL;
	}
}

/* libcurl's own words, where they say more than the error does. */
static void words_print(const struct probed_curl *curl, CURLcode code,
			char *detail, size_t size)
{
	if (curl->flood)
		snprintf(detail, size, "more than %u octets of headers",
			 HEADERS_MAX);
	else
		snprintf(detail, size, "%s",
			 curl->error[0] != '\0' ? curl->error
						: curl_easy_strerror(code));
}

enum probe_error probed_curl_judge(const struct probed_curl *curl,
				   CURLcode code, char *detail, size_t size)
{
	detail[0] = '\0';
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && curl->enough))
		return answer_judge(curl, detail, size);

	enum probe_error error = code_judge(curl, code);
	switch (error) {
	case PROBE_REFUSED:
	case PROBE_UNREACHABLE:
		break;
	case PROBE_TIMEOUT:
		probed_curl_phase(curl, detail, size);
		break;
	default:
		words_print(curl, code, detail, size);
	}
	return error;
}

void probed_curl_phase(const struct probed_curl *curl, char *out, size_t size)
{
	curl_off_t connected = 0, shaken = 0, begun = 0;
	char *scheme = NULL, span[32];
	const char *phase = "reading the answer";

	curl_easy_getinfo(curl->easy, CURLINFO_CONNECT_TIME_T, &connected);
	curl_easy_getinfo(curl->easy, CURLINFO_APPCONNECT_TIME_T, &shaken);
	curl_easy_getinfo(curl->easy, CURLINFO_STARTTRANSFER_TIME_T, &begun);
	curl_easy_getinfo(curl->easy, CURLINFO_SCHEME, &scheme);
	if (connected == 0)
		phase = "connecting";
	else if (shaken == 0 && scheme != NULL &&
		 (strcmp(scheme, "HTTPS") == 0 || strcmp(scheme, "https") == 0))
		phase = "in the TLS handshake";
	else if (begun == 0)
		phase = "waiting for the answer";
	probed_span_print(curl->limit_ms, span, sizeof(span));
	snprintf(out, size, "%s, %s", phase, span);
}
