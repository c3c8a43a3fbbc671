/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_kind.h"

#include <errno.h>
#include <stdlib.h>

#include "probes-client/probed_http.h"
#include "probes-client/probed_plain.h"
#include "probes-client/probed_program.h"
#include "probes-client/probed_tcp.h"
#include "probes-client/probed_trust.h"
#include "probes-client/probed_udp.h"
#include "probes-client/probed_wire.h"

struct probed_kinds {
	uv_loop_t *loop;
	struct probed_http *http;
	struct probed_socks *socks;
	struct probed_programs *programs;
	struct probed_trust *trust;
};

int probed_kinds_new(uv_loop_t *loop, struct probed_kinds **kindsp)
{
	struct probed_kinds *kinds = calloc(1, sizeof(*kinds));
	if (kinds == NULL)
		return -ENOMEM;

	kinds->loop = loop;
	if (probed_trust_new(&kinds->trust) != 0 ||
	    probed_programs_new(loop, &kinds->programs) != 0 ||
	    probed_socks_new(loop, &kinds->socks) != 0 ||
	    probed_http_new(loop, &kinds->http) != 0) {
		probed_socks_close(kinds->socks);
		probed_programs_close(kinds->programs);
		probed_trust_free(kinds->trust);
		free(kinds);
		return -ENOMEM;
	}
	*kindsp = kinds;
	return 0;
}

int probed_kinds_start(struct probed_kinds *kinds,
		       const struct probed_task *task,
		       struct probed_test **testp)
{
	const struct config_service *service = task->service;
	const struct config_expect *expect = &service->expect;

	switch (service->probe) {
	case CONFIG_HTTP:
		if (probed_plain_fits(service))
			return probed_plain_start(kinds->socks, task, testp);
		return probed_http_start(kinds->http, task, testp);
	case CONFIG_HTTPS:
	case CONFIG_HTTP2:
		return probed_http_start(kinds->http, task, testp);
	case CONFIG_PROGRAM:
		return probed_program_start(kinds->programs, task, testp);
	case CONFIG_TCP_CONNECT:
		if (expect->body == NULL && expect->pattern == NULL)
			return probed_tcp_start(kinds->socks, task, testp);
		break;
	case CONFIG_DNS:
		if (!service->question.tcp)
			return probed_udp_start(kinds->loop, task, testp);
		break;
	default:
		break;
	}
	return probed_wire_start(kinds->loop, kinds->trust, task, testp);
}

void probed_kinds_forget(struct probed_kinds *kinds)
{
	probed_http_forget(kinds->http);
	probed_trust_forget(kinds->trust);
}

void probed_kinds_close(struct probed_kinds *kinds)
{
	if (kinds == NULL)
		return;
	probed_http_close(kinds->http);
	probed_socks_close(kinds->socks);
	probed_programs_close(kinds->programs);
	probed_trust_free(kinds->trust);
	free(kinds);
}
