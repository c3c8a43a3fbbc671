/* SPDX-License-Identifier: MPL-2.0 */
#include "common/utf8.h"

/* Octets that 'lead' announces, and the least and greatest second octet. */
static size_t lead_length(uint8_t lead, uint8_t *least, uint8_t *greatest)
{
	*least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	*greatest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

size_t utf8_length(struct slice s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	uint8_t least, greatest;
	size_t n = lead_length(p[0], &least, &greatest);

	if (n == 0 || n > s.n)
		return 0;
	if (n > 1 && (p[1] < least || p[1] > greatest))
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t utf8_valid(struct slice text)
{
	size_t i = 0;

	while (i < text.n) {
		if ((uint8_t)text.p[i] < 0x80) {
			i++;
			continue;
		}
		size_t n =
			utf8_length((struct slice){ text.p + i, text.n - i });
		if (n == 0)
			break;
		i += n;
	}
	return i;
}

void utf8_mend(char *text)
{
	struct slice rest = slice_of(text);

	for (;;) {
		size_t n = utf8_valid(rest);
		memmove(text, rest.p, n);
		text += n;
		if (n == rest.n)
			break;
		rest = (struct slice){ rest.p + n + 1, rest.n - n - 1 };
	}
	*text = '\0';
}

size_t utf8_put(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}
