/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_target.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int probed_target_compare(const struct probed_target *a,
			  const struct probed_target *b)
{
	int order = strcmp(a->server, b->server);

	if (order == 0)
		order = strcmp(a->address_text, b->address_text);
	if (order == 0)
		order = strcmp(a->service->id, b->service->id);
	return order;
}

bool probed_target_same(const struct probed_target *a,
			const struct probed_target *b)
{
	return probed_target_compare(a, b) == 0 &&
	       config_service_same(a->service, b->service);
}

/* -- flap damping (RFC 2439) ----------------------------------------------- */

static void penalty_age(struct probed_target *target, uint64_t now_ms)
{
	const struct config_damping *damping = &target->service->damping;
	double passed_ms = (double)(now_ms - target->penalty_ms);

	if (damping->half_life_ms > 0)
		target->penalty *= exp2(-passed_ms / damping->half_life_ms);
	target->penalty_ms = now_ms;
}

/* One more failure; no more than can be forgotten in the longest time. */
static void penalty_add(struct probed_target *target, uint64_t now_ms)
{
	const struct config_damping *damping = &target->service->damping;

	if (damping->half_life_ms == 0)
		return;
	double most = damping->reuse *
		      exp2((double)damping->longest_ms / damping->half_life_ms);
	if (most < damping->suppress || damping->reuse <= 0)
		most = damping->suppress;
	penalty_age(target, now_ms);
	target->penalty += 1;
	if (target->penalty > most)
		target->penalty = most;
	if (target->suppressed || target->penalty < damping->suppress)
		return;
	target->suppressed = true;
	target->suppressed_ms = now_ms;
}

/* Whether it, good again, is still to be held down. */
static bool held(struct probed_target *target, uint64_t now_ms)
{
	const struct config_damping *damping = &target->service->damping;

	if (!target->suppressed)
		return target->held = false;
	penalty_age(target, now_ms);
	if (damping->half_life_ms == 0 || target->penalty < damping->reuse ||
	    now_ms - target->suppressed_ms >= damping->longest_ms)
		target->suppressed = false;
	return target->held = target->suppressed;
}

/* What 'run' results in a row, all good or all bad, make of a state. */
static enum probed_state follow(struct probed_target *target, bool good,
				uint64_t now_ms)
{
	if (target->state == PROBED_UNTESTED)
		return good ? PROBED_UP : PROBED_DOWN;
	if (target->state == PROBED_DOWN && good &&
	    target->run >= target->service->rise)
		return held(target, now_ms) ? PROBED_DOWN : PROBED_UP;
	if (target->state == PROBED_UP && !good &&
	    target->run >= target->service->fall)
		return PROBED_DOWN;
	return target->state;
}

enum probed_change probed_target_take(struct probed_target *target,
				      const struct probed_result *result,
				      uint64_t now_ms, int64_t unix_ms)
{
	bool good = result->error == PROBE_OK;
	bool again = target->n_tests > 0 && good == (target->error == PROBE_OK);
	enum probed_state before = target->state;
	bool was_held = target->held;

	target->run = again ? target->run + 1 : 1;
	target->n_tests++;
	target->error = result->error;
	target->metric_ms = result->metric_ms;
	target->measured_ms = unix_ms;
	target->tested_ms = now_ms;
	snprintf(target->words, sizeof(target->words), "%s", result->detail);
	probed_recent_put(&target->recent, result->error, result->metric_ms);
	if (!good)
		target->n_failed[result->error]++;
	target->degraded = result->degraded;
	if (was_held && !good) { /* as if it had been up */
		penalty_add(target, now_ms);
		target->held = false;
	}
	target->state = follow(target, good, now_ms);
	if (target->state == before)
		return target->held && !was_held ? PROBED_HELD : PROBED_SAME;
	if (before == PROBED_UP)
		penalty_add(target, now_ms);
	target->was_ms = now_ms - target->since_ms;
	target->since_ms = now_ms;
	if (before == PROBED_UNTESTED)
		return PROBED_FIRST;
	target->n_changes++;
	return PROBED_CHANGED;
}

enum probe_error probed_target_error(const struct probed_target *target)
{
	if (target->error != PROBE_OK)
		return target->error;
	if (target->held)
		return PROBE_HELD;
	return target->degraded ? PROBE_SLOW : PROBE_OK;
}

uint32_t probed_target_metric(const struct config_service *service, uint32_t ms)
{
	uint64_t metric = ms;

	if (service->degraded_ms > 0 && ms > service->degraded_ms)
		metric = service->degraded_ms +
			 (uint64_t)(ms - service->degraded_ms) *
				 PROBED_DEGRADED_TIMES;
	return metric < PROBE_METRIC_FAILED ? (uint32_t)metric
					    : PROBE_METRIC_FAILED - 1;
}

bool probed_target_is_in_doubt(const struct probed_target *target)
{
	bool good = target->error == PROBE_OK;

	if (target->state == PROBED_UP)
		return !good && target->run < target->service->fall;
	return target->state == PROBED_DOWN && good &&
	       target->run < target->service->rise;
}

const char *probed_state_text(enum probed_state state)
{
	switch (state) {
	case PROBED_UP:
		return "up";
	case PROBED_DOWN:
		return "down";
	default:
		return "untested";
	}
}

void probed_address_print(const struct sockaddr_storage *address, char *out)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;
	bool v6 = address->ss_family == AF_INET6;

	if (inet_ntop(address->ss_family,
		      v6 ? (const void *)&in6->sin6_addr : &in->sin_addr, out,
		      PROBED_ADDRESS_MAX) == NULL)
		out[0] = '\0';
}

void probed_span_print(uint64_t ms, char *out, size_t size)
{
	static const struct {
		uint64_t s;
		char unit;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	uint64_t s = ms / 1000;
	size_t i = 0;

	if (s == 0) {
		snprintf(out, size, "%" PRIu64 "ms", ms);
		return;
	}
	while (s < units[i].s)
		i++;
	uint64_t rest = s % units[i].s;
	if (rest == 0 || rest < units[i + 1].s)
		snprintf(out, size, "%" PRIu64 "%c", s / units[i].s,
			 units[i].unit);
	else
		snprintf(out, size, "%" PRIu64 "%c %" PRIu64 "%c",
			 s / units[i].s, units[i].unit, rest / units[i + 1].s,
			 units[i + 1].unit);
}

void probed_cause_print(const struct probed_result *result, char *out,
			size_t size)
{
	const char *text = probe_error_text(result->error);

	if (result->detail[0] == '\0')
		snprintf(out, size, "%s", text);
	else
		snprintf(out, size, "%s (%s)", text, result->detail);
}

static void verdict_print(const struct probed_target *target,
			  enum probed_change change, char *out, size_t size)
{
	bool good = target->error == PROBE_OK;
	const char *plural = target->run == 1 ? "" : "s";
	char span[32];

	switch (change) {
	case PROBED_FIRST:
		snprintf(out, size, "%s at the first test",
			 probed_state_text(target->state));
		return;
	case PROBED_CHANGED:
		probed_span_print(target->was_ms, span, sizeof(span));
		snprintf(out, size, "%s after %" PRIu64 " %s%s (was %s %s)",
			 probed_state_text(target->state), target->run,
			 good ? "good test" : "failure", plural,
			 good ? "down" : "up", span);
		return;
	case PROBED_HELD:
		snprintf(out, size,
			 "held down after %" PRIu64 " good test%s: it failed "
			 "too often (penalty %.1f, until it is below "
			 "%.1f)",
			 target->run, plural, target->penalty,
			 target->service->damping.reuse);
		return;
	default:
		snprintf(out, size, "still %s, test %" PRIu64,
			 probed_state_text(target->state), target->n_tests);
	}
}

void probed_target_describe(const struct probed_target *target,
			    const struct probed_result *result,
			    enum probed_change change, char *out, size_t size)
{
	char verdict[192], cause[PROBED_DETAIL_MAX + 64];

	verdict_print(target, change, verdict, sizeof(verdict));
	if (result->error == PROBE_OK)
		snprintf(cause, sizeof(cause), "%s%" PRIu32 " ms",
			 result->degraded ? "slow, " : "", result->metric_ms);
	else
		probed_cause_print(result, cause, sizeof(cause));
	snprintf(out, size, "server '%s' %s service '%s': %s: %s",
		 target->server, target->address_text, target->service->id,
		 verdict, cause);
}
