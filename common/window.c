/* SPDX-License-Identifier: MPL-2.0 */
#include "common/window.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define DAY_MIN	 1440
#define DAY_S	 86400
#define WEEK	 7
#define THURSDAY 4 /* 1970-01-01 */
#define ALL_DAYS 0x7fu

/* -- reading ---------------------------------------------------------------
 */

/* Takes 'n' digits off the front: a number up to 'most', or -1. */
static int digits(struct slice *s, size_t n, int least, int most)
{
	int value = 0;

	if (s->n < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return -1;
		value = 10 * value + (s->p[i] - '0');
	}
	s->p += n;
	s->n -= n;
	return value >= least && value <= most ? value : -1;
}

static bool skip(struct slice *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	s->p++;
	s->n--;
	return true;
}

/* "02:00" as a minute of the day; 24:00 is one; -1: none. */
static int minute(struct slice *s)
{
	int hours = digits(s, 2, 0, 24);

	if (hours < 0 || !skip(s, ':'))
		return -1;
	int minutes = digits(s, 2, 0, 59);
	if (minutes < 0 || (hours == 24 && minutes > 0))
		return -1;
	return 60 * hours + minutes;
}

/* Days since 1970-01-01 (the proleptic Gregorian calendar). */
static int64_t days_of(int year, int month, int day)
{
	static const int before[] = { 0,   31,	59,  90,  120, 151,
				      181, 212, 243, 273, 304, 334 };
	int64_t y = year - 1;
	int64_t days = 365 * y + y / 4 - y / 100 + y / 400;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	days += before[month - 1] + (month > 2 && leap ? 1 : 0) + day - 1;
	return days - 719162; /* from 0001-01-01 to 1970-01-01 */
}

static bool is_day(int year, int month, int day)
{
	int64_t next = month == 12 ? days_of(year + 1, 1, 1)
				   : days_of(year, month + 1, 1);

	return days_of(year, month, day) < next;
}

/* "2026-12-01T02:00", with a "Z" or without. */
static bool moment(struct slice *s, int64_t *unix_s)
{
	int year = digits(s, 4, 1970, 9999);

	if (year < 0 || !skip(s, '-'))
		return false;
	int month = digits(s, 2, 1, 12);
	if (month < 0 || !skip(s, '-'))
		return false;
	int day = digits(s, 2, 1, 31);
	if (day < 0 || !is_day(year, month, day) || !skip(s, 'T'))
		return false;
	int at = minute(s);
	if (at < 0)
		return false;
	(void)skip(s, 'Z');
	*unix_s = days_of(year, month, day) * DAY_S + (int64_t)at * 60;
	return true;
}

static bool day_names(struct slice *s, uint8_t *days)
{
	static const char *const names[WEEK] = { "Sun", "Mon", "Tue", "Wed",
						 "Thu", "Fri", "Sat" };

	if (s->n > 5 && memcmp(s->p, "daily", 5) == 0) {
		s->p += 5;
		s->n -= 5;
		*days = ALL_DAYS;
		return skip(s, ' ');
	}
	*days = 0;
	do {
		size_t i = 0;
		while (i < WEEK && (s->n < 3 || memcmp(s->p, names[i], 3) != 0))
			i++;
		if (i == WEEK)
			return false;
		*days |= (uint8_t)(1u << i);
		s->p += 3;
		s->n -= 3;
	} while (skip(s, ','));
	return skip(s, ' ');
}

int window_parse(struct slice text, struct config_window *window)
{
	struct config_window made = { 0 };
	struct slice s = text;

	if (s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9') {
		if (!moment(&s, &made.from_s) || !skip(&s, '/') ||
		    !moment(&s, &made.to_s) || s.n > 0 ||
		    made.to_s <= made.from_s)
			return -EINVAL;
		*window = made;
		return 0;
	}
	if (!day_names(&s, &made.days))
		return -EINVAL;
	int from = minute(&s);
	if (from < 0 || from == DAY_MIN || !skip(&s, '-'))
		return -EINVAL;
	int to = minute(&s);
	if (to < 0 || to == from || s.n > 0)
		return -EINVAL;
	made.from_min = (uint16_t)from;
	made.minutes = (uint16_t)(to > from ? to - from : to + DAY_MIN - from);
	*window = made;
	return 0;
}

/* -- now -------------------------------------------------------------------
 */

int64_t window_until(const struct config_window *window, int64_t now_s,
		     int64_t *next_s)
{
	int64_t today = now_s / DAY_S;

	*next_s = INT64_MAX;
	if (window->days == 0) {
		if (now_s < window->from_s)
			*next_s = window->from_s;
		return now_s >= window->from_s && now_s < window->to_s
			       ? window->to_s
			       : 0;
	}
	/* from yesterday's, which may last until today, to the next week's */
	for (int64_t day = today - 1; day <= today + WEEK; day++) {
		int64_t weekday = (day + THURSDAY) % WEEK;
		if ((window->days & 1u << weekday) == 0)
			continue;
		int64_t from_s = day * DAY_S + (int64_t)window->from_min * 60;
		int64_t to_s = from_s + (int64_t)window->minutes * 60;
		if (now_s >= to_s)
			continue;
		if (now_s >= from_s)
			return to_s;
		*next_s = from_s;
		return 0;
	}
	return 0;
}
