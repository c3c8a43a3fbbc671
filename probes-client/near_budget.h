/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_budget - how many packets may be sent to clients.
 *
 * Pure: times are arguments, of a monotonic clock.
 *
 * All clients together: in no second, wherever it begins, more than 'rate'; the
 * times of the last 'rate' packets are kept.  And none of what was not sent is
 * made up for: at most one packet and a fiftieth of a second's go at one time,
 * so that a process that was stopped goes on as if it had not been.
 *
 * One client, or group: in no hour more than its rate.  One word each.
 */
#include <stdbool.h>
#include <stdint.h>

struct near_budget {
	uint32_t rate; /* in a second */
	uint32_t next; /* place of the oldest in 'sent_ns' */
	uint64_t *sent_ns;
	double tokens;
	uint64_t filled_ns;
};

/* 'rate' in 1..CONFIG_RATE_MAX.  0, or -ENOMEM and nothing has changed. */
int near_budget_set(struct near_budget *budget, uint32_t rate);
void near_budget_fini(struct near_budget *budget);

/*
 * Whether one may be sent.  'now_ns' was read just before; for _note(), just
 * after it was sent: then the bound holds for the packets as they leave.
 */
bool near_budget_may(struct near_budget *budget, uint64_t now_ns);
void near_budget_note(struct near_budget *budget, uint64_t now_ns);

/*
 * The word of a client or group, 0 to begin with; times in tenths of a second,
 * from 1.  'rate' in an hour, 1..36000.
 */
bool near_hour_may(uint32_t word, uint32_t rate, uint32_t now_ds);
uint32_t near_hour_note(uint32_t word, uint32_t rate, uint32_t now_ds);
