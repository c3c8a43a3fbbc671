/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *before_of(const struct probed_target *target,
			     enum probed_change change)
{
	if (change == PROBED_FIRST)
		return probed_state_text(PROBED_UNTESTED);
	if (change != PROBED_CHANGED)
		return probed_state_text(target->state);
	return probed_state_text(target->state == PROBED_UP ? PROBED_DOWN
							    : PROBED_UP);
}

/* A value ends at the next quote, so there is none in it. */
static void quotes_drop(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\'')
			*text = '"';
}

void probed_change_print(const struct probed_target *target,
			 const struct probed_result *result,
			 enum probed_change change, char *out)
{
	uint64_t was_ms = target->was_ms;
	char detail[PROBED_DETAIL_MAX];

	memcpy(detail, result->detail, sizeof(detail));
	quotes_drop(detail);
	snprintf(out, PROBED_CHANGE_MAX,
		 "[server='%s' address='%s' service='%s' from='%s' to='%s' "
		 "tests=%" PRIu64 " was_s=%" PRIu64 ".%03" PRIu64
		 " cause='%s' detail='%s']",
		 target->server, target->address_text, target->service->id,
		 before_of(target, change), probed_state_text(target->state),
		 target->run, was_ms / 1000, was_ms % 1000,
		 probe_error_text(result->error), detail);
}
