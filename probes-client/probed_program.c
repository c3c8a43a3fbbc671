/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_program.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probes-client/probed_check.h"
#include "probes-client/probed_list.h"
#include "probes-client/probed_perf.h"

#define KEPT_MAX     4096u /* octets of output that are looked at */
#define SETTLE_MS    200u  /* from its exit to the end of its output */
#define ARGUMENT_MAX 1400u /* an argument, with what it stands for */

enum { GOOD, WARNING, CRITICAL, UNKNOWN };

struct probed_programs {
	uv_loop_t *loop;
	size_t n_running; /* that have not been reaped yet */
	struct probed_list line;
	bool closed;
};

struct program_test {
	struct probed_test test; /* first */
	struct probed_programs *programs;
	struct probed_link turn;
	char address[PROBED_ADDRESS_MAX];
	uv_process_t process;
	uv_pipe_t pipe;
	bool spawned; /* and not yet reaped */
	bool piped;   /* the pipe is open */
	bool exited, read_all;
	int64_t status;
	int signal;
	size_t n_printed, n_kept;
	char kept[KEPT_MAX];
	char chunk[4096];
};

static void programs_free(struct probed_programs *programs)
{
	if (programs->closed && programs->n_running == 0)
		free(programs);
}

/* -- the end of a test ----------------------------------------------------- */

static void program_stop(struct probed_test *test)
{
	struct program_test *t = (struct program_test *)test;

	if (probed_link_used(&t->turn))
		probed_list_remove(&t->programs->line, &t->turn);
	/* Not reaped: the number is still its own, and its group's. */
	if (t->spawned)
		(void)uv_kill(-t->process.pid, SIGKILL);
	if (t->piped)
		uv_close((uv_handle_t *)&t->pipe, probed_test_closed);
	t->piped = false;
}

static void program_late(struct probed_test *test, char *out)
{
	char span[32];

	probed_span_print(test->service->timeout_ms, span, sizeof(span));
	snprintf(out, PROBED_DETAIL_MAX, "the program was killed after %s",
		 span);
}

static void good_end(struct program_test *t, struct slice output)
{
	const struct config_service *service = t->test.service;
	bool degraded = t->status == WARNING;
	char text[PROBED_DETAIL_MAX];
	uint32_t metric;

	enum probe_error error =
		probed_check_text(&service->expect, output, text, sizeof(text));
	if (error != PROBE_OK) {
		probed_test_end(&t->test, error, text);
		return;
	}
	probed_perf_text(output, text, sizeof(text));
	if (service->perfdata == NULL) {
		uint32_t ms = (probed_test_us(&t->test) + 999) / 1000;
		degraded = degraded || (service->degraded_ms > 0 &&
					ms > service->degraded_ms);
		probed_test_end_metric(&t->test,
				       probed_target_metric(service, ms),
				       degraded, text);
		return;
	}
	if (!probed_perf_find(output, service->perfdata, &metric)) {
		snprintf(text, sizeof(text), "no performance data '%.64s'",
			 service->perfdata);
		probed_test_end(&t->test, PROBE_BODY, text);
		return;
	}
	degraded = degraded ||
		   (service->degraded_ms > 0 && metric > service->degraded_ms);
	probed_test_end_metric(&t->test, probed_target_metric(service, metric),
			       degraded, text);
}

static void judge(struct program_test *t)
{
	struct slice output = { t->kept, t->n_kept };
	char text[PROBED_DETAIL_MAX - 32], detail[PROBED_DETAIL_MAX];

	if (t->signal == 0 && t->status <= WARNING) {
		good_end(t, output);
		return;
	}
	probed_perf_text(output, text, sizeof(text));
	if (t->signal != 0)
		snprintf(detail, sizeof(detail), "ended by signal %d",
			 t->signal);
	else if (t->status == CRITICAL)
		snprintf(detail, sizeof(detail), "critical: %s", text);
	else
		snprintf(detail, sizeof(detail), "cannot say, exit %d: %s",
			 (int)t->status, text);
	probed_test_end(&t->test, PROBE_PROGRAM, detail);
}

/* -- while it runs --------------------------------------------------------- */

static void turn_serve(struct probed_programs *programs);

static void on_settled(uv_timer_t *timer)
{
	judge((struct program_test *)timer->data);
}

/* Its output is whole when nobody can write to it any more; but something that
 * left its group may hold it open. */
static void settle(struct program_test *t)
{
	if (t->test.over || !t->exited)
		return;
	if (t->read_all)
		judge(t);
	else
		uv_timer_start(&t->test.timer, on_settled, SETTLE_MS, 0);
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
	struct program_test *t = process->data;
	struct probed_programs *programs = t->programs;

	/* What it leaves behind in its group goes with it: the number is in use
	 * for as long as there is anything. */
	(void)uv_kill(-process->pid, SIGKILL);
	t->spawned = false;
	t->exited = true;
	t->status = status;
	t->signal = signal;
	programs->n_running--;
	settle(t);
	uv_close((uv_handle_t *)process, probed_test_closed);
	if (programs->closed)
		programs_free(programs);
	else
		turn_serve(programs);
}

static void on_room(uv_handle_t *handle, size_t want, uv_buf_t *buf)
{
	struct program_test *t = handle->data;

	(void)want;
	*buf = uv_buf_init(t->chunk, sizeof(t->chunk));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct program_test *t = stream->data;

	(void)buf;
	if (t->test.over || n == 0)
		return;
	if (n < 0) {
		(void)uv_read_stop(stream);
		t->read_all = true;
		settle(t);
		return;
	}
	size_t room = KEPT_MAX - t->n_kept;
	size_t take = (size_t)n < room ? (size_t)n : room;
	memcpy(t->kept + t->n_kept, t->chunk, take);
	t->n_kept += take;
	t->n_printed += (size_t)n;
	if (t->n_printed > PROBED_OUTPUT_MAX)
		probed_test_end(&t->test, PROBE_PROGRAM,
				"killed: it prints without end");
}

/* -- its start ------------------------------------------------------------- */

/* Writes 'argument' with what its words in braces stand for; false: too long.
 */
static bool argument_print(const struct program_test *t, const char *argument,
			   char *out)
{
	const struct config_service *service = t->test.service;
	char port[8];
	const struct {
		const char *word, *text;
	} words[] = {
		{ "{address}", t->address },
		{ "{port}", port },
		{ "{host}",
		  service->host != NULL ? service->host : t->address },
	};
	size_t n = 0;

	snprintf(port, sizeof(port), "%u", service->port);
	while (*argument != '\0') {
		size_t i = 0, length = 0;
		while (i < 3 && strncmp(argument, words[i].word,
					length = strlen(words[i].word)) != 0)
			i++;
		const char *text = i < 3 ? words[i].text : argument;
		size_t more = i < 3 ? strlen(text) : 1;
		if (n + more >= ARGUMENT_MAX)
			return false;
		memcpy(out + n, text, more);
		n += more;
		argument += i < 3 ? length : 1;
	}
	out[n] = '\0';
	return true;
}

/* The arguments, in one piece of memory; NULL: no memory, or too long. */
static char **arguments_make(const struct program_test *t)
{
	const struct config_service *service = t->test.service;
	size_t n = service->n_command;
	char **made = malloc((n + 1) * sizeof(char *) + n * ARGUMENT_MAX);

	if (made == NULL)
		return NULL;
	char *at = (char *)(made + n + 1);
	for (size_t i = 0; i < n; i++, at += ARGUMENT_MAX) {
		made[i] = at;
		if (!argument_print(t, service->command[i], at)) {
			free(made);
			return NULL;
		}
	}
	made[n] = NULL;
	return made;
}

static int spawn(struct program_test *t, char **arguments)
{
	static char *environment[] = { (char *)"PATH=/usr/bin:/bin",
				       (char *)"LC_ALL=C", NULL };
	uv_stdio_container_t stdio[3] = {
		{ .flags = UV_IGNORE },
		{ .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
		  .data.stream = (uv_stream_t *)&t->pipe },
		{ .flags = UV_IGNORE },
	};
	uv_process_options_t options = {
		.exit_cb = on_ended,
		.file = arguments[0],
		.args = arguments,
		.env = environment,
		.cwd = "/",
		.flags = UV_PROCESS_DETACHED, /* a group of its own */
		.stdio_count = 3,
		.stdio = stdio,
	};

	uv_pipe_init(t->programs->loop, &t->pipe, 0);
	t->pipe.data = t;
	t->piped = true;
	probed_test_opened(&t->test);
	t->process.data = t;
	probed_test_opened(&t->test);
	int rc = uv_spawn(t->programs->loop, &t->process, &options);
	if (rc != 0) {
		uv_close((uv_handle_t *)&t->process, probed_test_closed);
		return rc;
	}
	t->spawned = true;
	t->programs->n_running++;
	return uv_read_start((uv_stream_t *)&t->pipe, on_room, on_output);
}

/* Its turn has come: now its time runs. */
static void program_run(struct program_test *t)
{
	char detail[PROBED_DETAIL_MAX], why[64];
	char **arguments = arguments_make(t);
	int rc = arguments != NULL ? spawn(t, arguments) : UV_ENOMEM;

	free(arguments);
	if (rc == 0) {
		probed_test_again(&t->test, t->test.service->timeout_ms);
		t->test.late = program_late;
		return;
	}
	/* Without a process, too, it is our own trouble. */
	t->test.is_lacking = probed_test_is_lacking(-rc) || rc == UV_EAGAIN;
	snprintf(detail, sizeof(detail), "'%.80s': %s",
		 t->test.service->command[0],
		 uv_strerror_r(rc, why, sizeof(why)));
	probed_test_end_soon(&t->test, PROBE_LOCAL, detail);
}

static void turn_serve(struct probed_programs *programs)
{
	struct probed_link *link;

	while (programs->n_running < PROBED_PROGRAMS_MAX &&
	       (link = probed_list_first(&programs->line)) != NULL) {
		probed_list_remove(&programs->line, link);
		program_run(PROBED_ENTRY(link, struct program_test, turn));
	}
}

static void turn_late(struct probed_test *test, char *out)
{
	(void)test;
	snprintf(out, PROBED_DETAIL_MAX,
		 "its turn did not come: %u programs run already",
		 PROBED_PROGRAMS_MAX);
}

int probed_program_start(struct probed_programs *programs,
			 const struct probed_task *task,
			 struct probed_test **testp)
{
	struct program_test *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;

	t->programs = programs;
	t->test.stop = program_stop;
	t->test.late = turn_late;
	snprintf(t->address, sizeof(t->address), "%s", task->address_text);
	probed_test_begin(&t->test, programs->loop, task,
			  task->service->interval_ms);
	probed_list_put(&programs->line, &t->turn);
	*testp = &t->test;
	turn_serve(programs);
	return 0;
}

int probed_programs_new(uv_loop_t *loop, struct probed_programs **programsp)
{
	struct probed_programs *programs = calloc(1, sizeof(*programs));
	if (programs == NULL)
		return -ENOMEM;

	programs->loop = loop;
	probed_list_init(&programs->line);
	*programsp = programs;
	return 0;
}

void probed_programs_close(struct probed_programs *programs)
{
	if (programs == NULL)
		return;
	programs->closed = true;
	programs_free(programs);
}
