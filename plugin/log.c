/* SPDX-License-Identifier: MPL-2.0 */
#include "plugin/log.h"

#include <stdarg.h>
#include <stdio.h>

#include <ns/log.h>

#define TEXT_MAX 1024
#define GATE_S	 10u

void log_write(int level, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	isc_log_write(ns_lctx, NS_LOGCATEGORY_GENERAL, NS_LOGMODULE_HOOKS,
		      level, "nearzone: %s", text);
}

const char *log_error(int rc, char *out)
{
	if (rc == -EBADMSG)
		(void)snprintf(out, LOG_ERROR_MAX,
			       "an answer that does not hold");
	else if (rc == -EREMOTEIO)
		(void)snprintf(out, LOG_ERROR_MAX, "refused or failed");
	else if (rc == -ENOKEY)
		(void)snprintf(out, LOG_ERROR_MAX, "no such TSIG key");
	else
		(void)uv_strerror_r(rc, out, LOG_ERROR_MAX);
	return out;
}

bool log_held(struct log_gate *gate, uint32_t now_s)
{
	uint32_t last =
		atomic_load_explicit(&gate->last_s, memory_order_relaxed);

	if (last == 0 || now_s - last >= GATE_S)
		return false;
	atomic_fetch_add_explicit(&gate->held, 1, memory_order_relaxed);
	return true;
}

void log_limited(struct log_gate *gate, uint32_t now_s, int level,
		 const char *fmt, ...)
{
	uint32_t last =
		atomic_load_explicit(&gate->last_s, memory_order_relaxed);
	char text[TEXT_MAX];
	va_list ap;

	if ((last != 0 && now_s - last < GATE_S) ||
	    !atomic_compare_exchange_strong(&gate->last_s, &last,
					    now_s != 0 ? now_s : 1)) {
		atomic_fetch_add_explicit(&gate->held, 1, memory_order_relaxed);
		return;
	}

	uint32_t held = atomic_exchange(&gate->held, 0);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (held > 0)
		log_write(level, "%s (%u more like this held back)", text,
			  held);
	else
		log_write(level, "%s", text);
}
