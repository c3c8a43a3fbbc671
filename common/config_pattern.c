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
#define TIMES_MAX   100u  /* the product of all bounds */
#define PARTS_MAX   2000u /* once repetitions are written out */
#define DEPTH_MAX   32u	  /* of parentheses */

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

/* The place behind the bracket at 'p', which a NUL ends. */
static const char *bracket_skip(const char *p)
{
	p += p[1] == '^' ? 2 : 1;
	if (*p == ']')
		p++;
	for (; *p != '\0' && *p != ']'; p++) {
		char kind = p[1];
		if (*p != '[' || (kind != ':' && kind != '.' && kind != '='))
			continue;
		for (p += 2; *p != '\0' && (p[0] != kind || p[1] != ']'); p++)
			;
		if (*p == '\0')
			return p;
		p++;
	}
	return *p == ']' ? p + 1 : p;
}

/* How often a compiler writes out what 'p' repeats; 0: it repeats nothing. */
static unsigned int copies_of(const char *p)
{
	if (*p == '+')
		return 2;
	if (*p == '*' || *p == '?')
		return 1;
	return *p == '{' ? bound_of(p, strlen(p)) + 1 : 0;
}

/*
 * How many parts it has when repetitions are written out, as compilers do:
 * "((a+)+)+" has 8, and twice as many with each "+" more.  Too many, or too
 * deep: more than PARTS_MAX.
 */
static unsigned int parts_of(const char *p)
{
	unsigned int sums[DEPTH_MAX] = { 0 }, last = 0;
	size_t depth = 0;

	while (*p != '\0') {
		unsigned int copies = copies_of(p);
		if (copies > 0) {
			sums[depth] += last * (copies - 1);
			last *= copies;
		} else if (*p == '(') {
			if (++depth == DEPTH_MAX)
				return PARTS_MAX + 1;
			sums[depth] = 0;
			last = 0;
		} else {
			bool end = *p == ')' && depth > 0;
			last = end ? sums[depth--] + 1 : 1;
			sums[depth] += last;
		}
		if (sums[depth] > PARTS_MAX || last > PARTS_MAX)
			return PARTS_MAX + 1;
		if (*p == '[')
			p = bracket_skip(p);
		else if (*p == '{' && strchr(p, '}') != NULL)
			p = strchr(p, '}') + 1;
		else
			p += *p == '\\' && p[1] != '\0' ? 2 : 1;
	}
	return sums[0];
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
	if (parts_of(copy) > PARTS_MAX)
		return "too large once its repetitions are written out";
	if (regcomp(&made, copy, REG_EXTENDED | REG_NOSUB) != 0)
		return "not an extended regular expression";
	regfree(&made);
	return NULL;
}
