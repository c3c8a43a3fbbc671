/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/near_budget.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)
#define HOUR_DS	  36000u
#define TICKS	  50u /* of a second: what goes at one time */

int near_budget_set(struct near_budget *budget, uint32_t rate)
{
	if (rate == budget->rate)
		return 0;
	uint64_t *sent_ns = calloc(rate, sizeof(*sent_ns));
	if (sent_ns == NULL)
		return -ENOMEM;
	/* the newest of those that were sent still count */
	for (uint32_t i = 1; i <= rate && i <= budget->rate; i++)
		sent_ns[rate - i] =
			budget->sent_ns[(budget->next + budget->rate - i) %
					budget->rate];
	free(budget->sent_ns);
	budget->sent_ns = sent_ns;
	budget->rate = rate;
	budget->next = 0;
	budget->tokens = 0;
	return 0;
}

void near_budget_fini(struct near_budget *budget)
{
	free(budget->sent_ns);
	*budget = (struct near_budget){ 0 };
}

static void fill(struct near_budget *budget, uint64_t now_ns)
{
	double most = 1 + (double)budget->rate / TICKS;
	uint64_t past_ns = now_ns - budget->filled_ns;

	if (budget->filled_ns == 0 || past_ns > SECOND_NS)
		budget->tokens = most;
	else
		budget->tokens += (double)past_ns * budget->rate / SECOND_NS;
	if (budget->tokens > most)
		budget->tokens = most;
	budget->filled_ns = now_ns;
}

bool near_budget_may(struct near_budget *budget, uint64_t now_ns)
{
	if (budget->rate == 0)
		return false;
	fill(budget, now_ns);
	uint64_t oldest_ns = budget->sent_ns[budget->next];
	return budget->tokens >= 1 &&
	       (oldest_ns == 0 || now_ns - oldest_ns >= SECOND_NS);
}

void near_budget_note(struct near_budget *budget, uint64_t now_ns)
{
	budget->tokens -= 1;
	budget->sent_ns[budget->next] = now_ns;
	budget->next = (budget->next + 1) % budget->rate;
}

/*
 * A bucket of half the rate, which fills with the other half in an hour; the
 * word is when it will be full.
 */
static uint32_t room_of(uint32_t rate)
{
	return (rate + 1) / 2;
}

static uint32_t period_of(uint32_t rate)
{
	uint32_t rest = rate - room_of(rate);

	return rest > 0 ? (HOUR_DS + rest - 1) / rest : HOUR_DS;
}

bool near_hour_may(uint32_t word, uint32_t rate, uint32_t now_ds)
{
	return word <= now_ds ||
	       (uint64_t)(word - now_ds) <=
		       (uint64_t)(room_of(rate) - 1) * period_of(rate);
}

uint32_t near_hour_note(uint32_t word, uint32_t rate, uint32_t now_ds)
{
	return (word > now_ds ? word : now_ds) + period_of(rate);
}
