/* SPDX-License-Identifier: MPL-2.0 */
#include "read.h"

#include <arpa/inet.h>
#include <math.h>
#include <string.h>

bool number_read(const char *text, double *number)
{
	bool minus = text != NULL && *text == '-';
	double value = 0.0;
	double unit = 1.0;
	bool point = false;

	if (text == NULL || text[minus] == '\0')
		return false;
	for (text += minus; *text != '\0'; text++) {
		if (*text == '.' && !point) {
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (*text - '0');
		unit *= point ? 10 : 1;
	}
	*number = (minus ? -value : value) / unit;
	return true;
}

bool whole_read(const char *text, unsigned long *number)
{
	double value;

	if (!number_read(text, &value) || value < 0 || value > 1e9 ||
	    value != floor(value))
		return false;
	*number = (unsigned long)value;
	return true;
}

bool address_read(const char *text, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (text != NULL && inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return true;
	}
	if (text != NULL && inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		return true;
	}
	return false;
}

bool client_read(const char *text, struct gtm_client *client)
{
	const char *slash = text == NULL ? NULL : strchr(text, '/');
	size_t n = slash != NULL ? (size_t)(slash - text) : 0;
	char address[64] = { 0 };
	unsigned char octets[16] = { 0 };
	unsigned long bits;

	if (text == NULL || n >= sizeof(address))
		return false;
	n = slash != NULL ? n : strlen(text);
	if (n >= sizeof(address))
		return false;
	memcpy(address, text, n);
	client->v6 = strchr(address, ':') != NULL;
	if (inet_pton(client->v6 ? AF_INET6 : AF_INET, address, octets) != 1)
		return false;
	memcpy(client->address, octets, sizeof(octets));
	bits = client->v6 ? 128 : 32;
	if (slash != NULL &&
	    (!whole_read(slash + 1, &bits) || bits > (client->v6 ? 128 : 32)))
		return false;
	client->bits = (uint8_t)bits;
	return true;
}
