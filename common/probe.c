/* SPDX-License-Identifier: MPL-2.0 */
#include "common/probe.h"

static const char *const texts[PROBE_ERRORS] = {
	[PROBE_OK] = "no error",
	[PROBE_TIMEOUT] = "timed out",
	[PROBE_REFUSED] = "connection refused",
	[PROBE_UNREACHABLE] = "unreachable",
	[PROBE_RESET] = "connection closed early",
	[PROBE_TLS] = "TLS handshake failed",
	[PROBE_CERTIFICATE] = "certificate not accepted",
	[PROBE_STATUS] = "unexpected status",
	[PROBE_BODY] = "expected text not found",
	[PROBE_PROTOCOL] = "unexpected protocol",
	[PROBE_LOCAL] = "trouble of the tester itself",
	[PROBE_HEADER] = "expected header not found",
	[PROBE_SIZE] = "unexpected size",
	[PROBE_HASH] = "unexpected content",
	[PROBE_PROGRAM] = "the program reports a failure",
	[PROBE_HELD] = "held down: it failed too often",
	[PROBE_SLOW] = "slow",
};

const char *probe_error_text(int64_t error)
{
	if (error < 0 || error >= PROBE_ERRORS)
		return "error";
	return texts[error];
}
