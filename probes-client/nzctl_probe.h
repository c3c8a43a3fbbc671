/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * nzctl_probe - "probe run": one test now, by the side-car's own code, of what
 * a configuration file says.  Needs neither the side-car nor the plugin.
 */
#include "probes-client/nzctl.h"

enum nzctl_exit nzctl_probe(const struct nzctl_options *options);
