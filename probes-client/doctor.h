/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * doctor - 'nzctl doctor': looks at what Nearzone needs of the machine that it
 * runs on, and says what is wrong and what to do.  Changes nothing, and works
 * when named is dead.
 */
#include "probes-client/nzctl.h"

enum nzctl_exit doctor_run(const struct nzctl_options *options);
