/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * then - 'nzctl explain --at': the decision at a time in the past, made again
 * with what the journal says was known then.
 */
#include "probes-client/nzctl.h"

enum nzctl_exit then_explain(const struct nzctl_options *options);
