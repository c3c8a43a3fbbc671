/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * local - the commands of nzctl that need no plugin: they run the plugin's own
 * configuration code.
 */
#include "probes-client/nzctl.h"

enum nzctl_exit local_check(const struct nzctl_options *options);
enum nzctl_exit local_schema(const struct nzctl_options *options);
