/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/when.h"

#include <errno.h>
#include <stdbool.h>

#include "common/units.h"

#define YEAR_MIN 1970u
#define YEAR_MAX 9999u
#define UNIX_MAX UINT64_C(253402300799) /* the end of that year */

/* What is left of the text; 'bad' stays. */
struct text {
	const char *p;
	bool bad;
};

/* Exactly 'n' digits, up to 'max'. */
static unsigned int digits(struct text *t, unsigned int n, unsigned int max)
{
	unsigned int value = 0;

	for (; n > 0 && !t->bad; n--) {
		if (*t->p < '0' || *t->p > '9') {
			t->bad = true;
			return 0;
		}
		value = value * 10 + (unsigned int)(*t->p++ - '0');
	}
	t->bad = t->bad || value > max;
	return value;
}

static void sign(struct text *t, const char *any)
{
	if (!t->bad && *t->p != '\0' && strchr(any, *t->p) != NULL)
		t->p++;
	else
		t->bad = true;
}

/* Days from 1970-01-01 (Hinnant's "days from civil", for years from 1970). */
static uint64_t days_of(unsigned int year, unsigned int month, unsigned int day)
{
	unsigned int y = month <= 2 ? year - 1 : year;
	unsigned int m = (month + 9) % 12; /* from March */
	unsigned int of_year = (153 * m + 2) / 5 + day - 1;

	return (uint64_t)y * 365 + y / 4 - y / 100 + y / 400 + of_year - 719468;
}

static unsigned int month_days(unsigned int year, unsigned int month)
{
	static const unsigned int days[] = { 31, 28, 31, 30, 31, 30,
					     31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* ".123456", if it is there; in milliseconds, what is finer left out. */
static unsigned int fraction(struct text *t)
{
	unsigned int ms = 0;
	unsigned int unit = 100;

	if (t->bad || *t->p != '.')
		return 0;
	t->p++;
	ms = digits(t, 1, 9) * unit;
	for (; *t->p >= '0' && *t->p <= '9'; t->p++) {
		unit /= 10;
		ms += (unsigned int)(*t->p - '0') * unit;
	}
	return ms;
}

/* "Z", "+01:00": seconds to be taken away. */
static int64_t zone(struct text *t)
{
	if (t->bad || *t->p == 'Z' || *t->p == 'z') {
		sign(t, "Zz");
		return 0;
	}
	bool west = *t->p == '-';
	sign(t, "+-");
	int64_t s = (int64_t)digits(t, 2, 23) * 3600;
	sign(t, ":");
	s += (int64_t)digits(t, 2, 59) * 60;
	return west ? -s : s;
}

static int date_parse(const char *text, uint64_t *time_ms)
{
	struct text t = { .p = text };
	unsigned int year = digits(&t, 4, YEAR_MAX);
	sign(&t, "-");
	unsigned int month = digits(&t, 2, 12);
	sign(&t, "-");
	unsigned int day = digits(&t, 2, 31);
	sign(&t, "Tt ");
	unsigned int hour = digits(&t, 2, 23);
	sign(&t, ":");
	unsigned int minute = digits(&t, 2, 59);
	sign(&t, ":");
	unsigned int second = digits(&t, 2, 60); /* leap second */
	unsigned int ms = fraction(&t);
	int64_t east_s = zone(&t);

	if (t.bad || *t.p != '\0' || year < YEAR_MIN || month < 1 || day < 1 ||
	    day > month_days(year, month))
		return -EINVAL;
	int64_t s = (int64_t)(days_of(year, month, day) * 86400 +
			      hour * UINT64_C(3600) + minute * UINT64_C(60) +
			      second) -
		    east_s;
	if (s < 0)
		return -EINVAL;
	*time_ms = (uint64_t)s * 1000 + ms;
	return 0;
}

static int unix_parse(const char *text, uint64_t *time_ms)
{
	struct text t = { .p = text };
	uint64_t s = 0;

	for (; *t.p >= '0' && *t.p <= '9' && s <= UNIX_MAX; t.p++)
		s = s * 10 + (uint64_t)(*t.p - '0');
	t.bad = t.p == text;
	unsigned int ms = fraction(&t);
	if (t.bad || *t.p != '\0' || s > UNIX_MAX)
		return -EINVAL;
	*time_ms = s * 1000 + ms;
	return 0;
}

int when_parse(const char *text, uint64_t now_ms, uint64_t *time_ms)
{
	uint64_t ago_ms;

	if (text[0] == '-') {
		if (units_duration_parse(slice_of(text + 1), &ago_ms) != 0 ||
		    ago_ms > now_ms)
			return -EINVAL;
		*time_ms = now_ms - ago_ms;
		return 0;
	}
	if (unix_parse(text, time_ms) == 0)
		return 0;
	return date_parse(text, time_ms);
}
