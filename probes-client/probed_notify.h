/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * probed_notify - tells the service manager how we are, by its documented
 * datagrams (sd_notify(3)); says nothing if nobody wants to know.
 */
#include <stdint.h>

/*
 * Sends "READY=1" or the like to the socket $NOTIFY_SOCKET, if that is set.
 * Never waits; what cannot be sent is lost.
 */
void probed_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * How often the watchdog wants to hear of us, in milliseconds, half of what
 * $WATCHDOG_USEC allows; 0: there is none, or it is not for this process.
 */
uint64_t probed_notify_watchdog_ms(void);
