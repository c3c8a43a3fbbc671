/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * near_icmp - ICMP echo (RFC 792, RFC 4443): packets, for those who ping.
 *
 * One thread; nothing waits.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEAR_ECHO_HEADER 8u

/*
 * A socket for echo: one of datagrams, if net.ipv4.ping_group_range has a group
 * of this process, else a raw one, for which it needs CAP_NET_RAW.  Returns it
 * and sets '*rawp'; or -errno.
 */
int near_echo_socket(bool v6, bool *rawp);

/*
 * Writes a request with 'n' octets of data, which are there behind the header;
 * returns how many octets it has.
 */
size_t near_echo_make(uint8_t *packet, bool v6, uint16_t id, uint16_t seq,
		      size_t n);

/*
 * The data of a reply in what was received, '*n' octets; NULL: it is none.
 * 'id' counts for raw sockets only: the kernel has looked at it else.
 */
const uint8_t *near_echo_data(const uint8_t *packet, bool v6, bool raw,
			      uint16_t id, size_t *n);
