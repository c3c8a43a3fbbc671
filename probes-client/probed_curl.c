/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_curl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "probes-client/probed.h"
#include "probes-client/probed_trust.h"

#define HEADERS_MAX	65536u /* octets of all headers of an answer */
#define URL_MAX		1400   /* a host name as text, and a little more */
#define CA_CACHE_S	300L   /* then a file is read again */
#define HAVE_CA_CACHING (LIBCURL_VERSION_NUM >= 0x075700)

/* -- what comes back ------------------------------------------------------ */

static long status_of(const struct probed_curl *curl)
{
	long status = 0;

	curl_easy_getinfo(curl->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* While the connection is there: when the certificate ends. */
static void certificate_look(struct probed_curl *curl)
{
	struct curl_tlssessioninfo *info = NULL;

	if (curl_easy_getinfo(curl->easy, CURLINFO_TLS_SSL_PTR, &info) ==
		    CURLE_OK &&
	    info != NULL && info->backend == CURLSSLBACKEND_OPENSSL &&
	    info->internals != NULL)
		curl->test->expires_s = probed_trust_expires(info->internals);
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct probed_curl *curl = arg;

	(void)size; /* is 1 */
	if (curl->n_headers == 0)
		certificate_look(curl);
	curl->n_headers += n;
	probed_check_header(&curl->check, (struct slice){ p, n });
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
	curl->enough =
		!probed_check_status(curl->check.expect, status_of(curl)) ||
		!probed_check_feed(&curl->check, (struct slice){ p, n });
	return curl->enough ? 0 : n;
}

/* -- setting up ----------------------------------------------------------- */

void probed_curl_target_print(const char *path, char *out)
{
	size_t n = 0;

	for (; *path != '\0' && n + 4 < PROBED_CURL_TARGET_MAX; path++) {
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
	bool tls = service->probe != CONFIG_HTTP;
	char literal[PROBED_ADDRESS_MAX + 2], url[URL_MAX],
		target[PROBED_CURL_TARGET_MAX];
	char route[sizeof(literal) + 16];

	literal_print(task, literal, sizeof(literal));
	snprintf(url, sizeof(url), "http%s://%s:%u/", tls ? "s" : "",
		 service->host != NULL ? service->host : literal,
		 service->port);
	snprintf(route, sizeof(route), "::%s:%u", literal, service->port);
	probed_curl_target_print(service->path, target);
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

/*
 * No program that is run meanwhile keeps a connection open; and libcurl does
 * not say why there is no socket.
 */
static curl_socket_t on_socket(void *arg, curlsocktype purpose,
			       struct curl_sockaddr *address)
{
	struct probed_curl *curl = arg;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
			address->protocol);

	(void)purpose;
	curl->socket_error = fd < 0 ? errno : 0;
	/* Without a file of authorities it would trust nobody. */
	if (fd >= 0 && curl->test->service->probe != CONFIG_HTTP)
		curl->socket_error = probed_test_file_errno();
	if (curl->socket_error == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return CURL_SOCKET_BAD;
}

static int set_method(struct probed_curl *curl,
		      const struct config_service *service)
{
	CURL *easy = curl->easy;

	if (service->method == CONFIG_HEAD)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (service->method == CONFIG_OPTIONS)
		return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
					"OPTIONS") == CURLE_OK
			       ? 0
			       : -ENOMEM;
	return 0;
}

static int set_source(struct probed_curl *curl, const struct probed_task *task)
{
	struct sockaddr_storage from;
	char text[PROBED_ADDRESS_MAX], interface[PROBED_ADDRESS_MAX + 8];

	if (!probed_test_from(task, &from))
		return 0;
	probed_address_print(&from, text);
	snprintf(interface, sizeof(interface), "host!%s", text);
	return curl_easy_setopt(curl->easy, CURLOPT_INTERFACE, interface) ==
			       CURLE_OK
		       ? 0
		       : -ENOMEM;
}

static int set_headers(struct probed_curl *curl,
		       const struct config_service *service)
{
	const char *line = curl->http2 ? NULL : "Connection: close";

	for (size_t i = 0; i <= service->n_headers; i++) {
		struct curl_slist *more = curl->headers;
		if (line != NULL)
			more = curl_slist_append(curl->headers, line);
		if (line != NULL && more == NULL)
			return -ENOMEM;
		curl->headers = more;
		line = i < service->n_headers ? service->headers[i] : NULL;
	}
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
			 curl->http2 ? (long)CURL_HTTP_VERSION_2TLS
				     : (long)CURL_HTTP_VERSION_1_1);
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
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, curl);
}

int probed_curl_init(struct probed_curl *curl, const struct probed_task *task,
		     struct probed_test *test)
{
	const struct config_service *service = task->service;

	*curl = (struct probed_curl){ .test = test,
				      .http2 = service->probe == CONFIG_HTTP2,
				      .limit_ms = service->timeout_ms };
	if (probed_check_init(&curl->check, &service->expect) != 0)
		return -ENOMEM;
	curl->easy = curl_easy_init();
	if (curl->easy == NULL || set_headers(curl, service) != 0 ||
	    set_where(curl, task) != 0 || set_trust(curl, service) != 0 ||
	    set_method(curl, service) != 0 || set_source(curl, task) != 0) {
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
	probed_check_fini(&curl->check);
	curl->easy = NULL;
	curl->headers = NULL;
	curl->connect_to = NULL;
}

/* -- judging ----------------------------------------------------------------
 */

/* Good for as long as is wanted? */
static enum probe_error certificate_judge(const struct probed_curl *curl,
					  char *detail, size_t size)
{
	const struct config_expect *expect = curl->check.expect;
	int64_t left_s = curl->test->expires_s - (int64_t)time(NULL);
	char left[32], want[32];

	if (expect->valid_s == 0 || left_s >= (int64_t)expect->valid_s)
		return PROBE_OK;
	probed_span_print(left_s > 0 ? (uint64_t)left_s * 1000 : 0, left,
			  sizeof(left));
	probed_span_print((uint64_t)expect->valid_s * 1000, want, sizeof(want));
	snprintf(detail, size, "it ends in %s, want %s", left, want);
	return PROBE_CERTIFICATE;
}

static enum probe_error answer_judge(struct probed_curl *curl, char *detail,
				     size_t size)
{
	long status = status_of(curl), version = 0;

	curl_easy_getinfo(curl->easy, CURLINFO_HTTP_VERSION, &version);
	if (curl->http2 && version != CURL_HTTP_VERSION_2_0) {
		snprintf(detail, size, "HTTP/1, want HTTP/2");
		return PROBE_PROTOCOL;
	}
	if (!probed_check_status(curl->check.expect, status)) {
		probed_check_status_print(curl->check.expect, status, detail,
					  size);
		return PROBE_STATUS;
	}
	enum probe_error error = certificate_judge(curl, detail, size);
	return error != PROBE_OK
		       ? error
		       : probed_check_judge(&curl->check, detail, size);
}

/* Marks how far it came, and when. */
static void times_take(struct probed_curl *curl)
{
	static const CURLINFO infos[] = { CURLINFO_CONNECT_TIME_T,
					  CURLINFO_APPCONNECT_TIME_T,
					  CURLINFO_STARTTRANSFER_TIME_T };
	struct probed_times *times = &curl->test->times;
	uint32_t *marks[] = { &times->connect_us, &times->tls_us,
			      &times->first_us };

	for (size_t i = 0; i < 3; i++) {
		curl_off_t us = 0;
		if (curl_easy_getinfo(curl->easy, infos[i], &us) == CURLE_OK &&
		    us > 0 && us < UINT32_MAX)
			*marks[i] = (uint32_t)us;
	}
}

static enum probe_error connect_judge(const struct probed_curl *curl)
{
	long error = curl->socket_error;

	if (error == 0)
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
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return PROBE_PROTOCOL;
	default:
		return PROBE_LOCAL;
	}
}

/* libcurl's own words, where they say more than the error does. */
static void words_print(const struct probed_curl *curl, CURLcode code,
			char *detail, size_t size)
{
	if (curl->socket_error != 0)
		uv_strerror_r(-curl->socket_error, detail, size);
	else if (curl->flood)
		snprintf(detail, size, "more than %u octets of headers",
			 HEADERS_MAX);
	else
		snprintf(detail, size, "%s",
			 curl->error[0] != '\0' ? curl->error
						: curl_easy_strerror(code));
}

enum probe_error probed_curl_judge(struct probed_curl *curl, CURLcode code,
				   char *detail, size_t size)
{
	detail[0] = '\0';
	times_take(curl);
	/* Whatever libcurl calls it that we have broken off. */
	if (code == CURLE_OK || curl->enough)
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
	if (connected == 0 && curl->test->times.connect_us == 0)
		phase = "connecting";
	else if (shaken == 0 && scheme != NULL &&
		 (strcmp(scheme, "HTTPS") == 0 || strcmp(scheme, "https") == 0))
		phase = "in the TLS handshake";
	else if (begun == 0)
		phase = "waiting for the answer";
	probed_span_print(curl->limit_ms, span, sizeof(span));
	snprintf(out, size, "%s, %s", phase, span);
}
