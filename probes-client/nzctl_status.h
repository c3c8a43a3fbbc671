/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nzctl_status - the reply to "status" for people.
 */
#include <json-c/json.h>
#include <stdio.h>

/*
 * Shows 'status' (the member of the reply), which is changed: its zones come
 * last, in a table of their own with their counters, and then in one table for
 * each other object that zones have, without those of which all is zero.
 */
void nzctl_status_show(FILE *out, struct json_object *status);
