#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Replays every scenario of traffic management.  Run by 'make check'.
set -u
exec "${builddir:-.}/tests/sim/sim" "${srcdir:-.}"/tests/scenarios/*.txt
