/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * remote - the commands of nzctl that ask the plugin: one request, one reply,
 * shown for people or passed on as JSON.
 */
#include "probes-client/nzctl.h"

enum nzctl_exit remote_status(const struct nzctl_options *options);
enum nzctl_exit remote_lookup(const struct nzctl_options *options);
enum nzctl_exit remote_purge(const struct nzctl_options *options);
enum nzctl_exit remote_populate(const struct nzctl_options *options);
enum nzctl_exit remote_dump(const struct nzctl_options *options);
enum nzctl_exit remote_notify(const struct nzctl_options *options);
enum nzctl_exit remote_latency(const struct nzctl_options *options);
enum nzctl_exit remote_client(const struct nzctl_options *options);
enum nzctl_exit remote_attack(const struct nzctl_options *options);
enum nzctl_exit remote_explain(const struct nzctl_options *options);
enum nzctl_exit remote_servers(const struct nzctl_options *options);
enum nzctl_exit remote_drain(const struct nzctl_options *options);
enum nzctl_exit remote_force(const struct nzctl_options *options);
enum nzctl_exit remote_undrain(const struct nzctl_options *options);
enum nzctl_exit remote_probes(const struct nzctl_options *options);
enum nzctl_exit remote_reload(const struct nzctl_options *options);
enum nzctl_exit remote_watch(const struct nzctl_options *options);
