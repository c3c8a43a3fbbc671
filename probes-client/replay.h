/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * replay - 'nzctl replay': the decisions of the journal, under another
 * configuration.
 */
#include "probes-client/nzctl.h"

enum nzctl_exit replay_run(const struct nzctl_options *options);
