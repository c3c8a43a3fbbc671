/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Regular expressions of a configuration: POSIX extended ones without what
 * makes matching, or compiling, take time or memory out of all proportion:
 * references back, and repetitions of many times many.
 */
#include "common/config_int.h"

#include <regex.h>
#include <string.h>

#define PATTERN_MAX 256u
#define TIMES_MAX   100u /* the product of all bounds */

/* The bound of "{2,30}" at 'p', of 'n' octets; 0: not a bound. */
static unsigned int bound_of(const char *p, size_t n)
{
	unsigned int number = 0, largest = 1;

	for (size_t i = 1; i < n && number <= TIMES_MAX; i++) {
		if (p[i] >= '0' && p[i] <= '9')
			number = 10 * number + (unsigned int)(p[i] - '0');
		else
			number = 0;
		if (number > largest)
			largest = number;
		if (p[i] == '}')
			break;
	}
	return largest;
}

const char *config_pattern_wrong(struct slice text)
{
	char copy[PATTERN_MAX + 1];
	unsigned int times = 1;
	regex_t made;

	if (text.n > PATTERN_MAX || memchr(text.p, '\0', text.n) != NULL)
		return "too long";
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	for (size_t i = 0; i < text.n; i++) {
		if (copy[i] == '\\' && copy[i + 1] >= '1' && copy[i + 1] <= '9')
			return "a reference back";
		if (copy[i] == '\\')
			i++;
		else if (copy[i] == '{')
			times *= bound_of(copy + i, text.n - i);
		if (times > TIMES_MAX)
			return "more repetitions than 100 in all";
	}
	if (regcomp(&made, copy, REG_EXTENDED | REG_NOSUB) != 0)
		return "not an extended regular expression";
	regfree(&made);
	return NULL;
}
