/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * survey - is an edge zone signed?  Its hostnames are decided only if it is
 * not.  Every answer of an origin to a question at its apex says so; where none
 * comes (hostnames are not asked of it), its SOA is asked for now and then.
 * Answers below the apex, which may be of another zone that the origin has,
 * count only until one at the apex comes.
 *
 * Engine thread.
 */
#include "plugin/engine.h"

/* What an answer (NULL: none came) says of its zone. */
void survey_learn(const struct zone *zone, const struct store_entry *entry,
		  uint32_t now_s);

/* Asks for what is not known, or has not been heard of for long. */
void survey_tick(struct engine *e, uint32_t now_s);
