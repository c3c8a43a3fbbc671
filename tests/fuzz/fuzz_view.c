/* SPDX-License-Identifier: MPL-2.0 */
/* What somebody asks of the side-car's socket: a line. */
#include "probes-client/probed_view.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_service web = { .id = "web", .interval_ms = 1000 };
	static struct probed_target targets[3] = {
		{ .server = "a", .service = &web, .address_text = "192.0.2.1" },
		{ .server = "a", .service = &web, .address_text = "192.0.2.2" },
		{ .server = "b", .service = &web, .address_text = "192.0.2.1" },
	};
	static struct probed_target *all[3] = { &targets[0], &targets[1],
						&targets[2] };
	struct probed_table table = { .n = 3, .targets = all };

	if (size > VIEW_REQUEST_MAX)
		return 0;
	struct json_object *reply = probed_view_reply(
		&table, "n1", (struct slice){ (const char *)data, size }, 5, 6);
	struct json_object *tests = json_object_object_get(reply, "tests");
	if (tests != NULL && json_object_array_length(tests) > 3)
		abort();
	if (json_object_get_boolean(json_object_object_get(reply, "ok")) !=
	    (tests != NULL))
		abort();
	json_object_put(reply);
	return 0;
}
