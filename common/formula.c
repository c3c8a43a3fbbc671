/* SPDX-License-Identifier: MPL-2.0 */
#include "common/formula.h"

#include <errno.h>
#include <math.h>

#define DIGITS_MAX   18 /* of a number that count; more do not fit 64 bits */
#define EXPONENT_MAX 400

const struct formula_name formula_names[] = {
	{ "load1", "node_load1" },
	{ "load5", "node_load5" },
	{ "load15", "node_load15" },
	{ "cpus", "count(node_cpu_seconds_total{mode=\"idle\"})" },
	{ "cpu_pct", "100 * rate(node_cpu_seconds_total{mode!=\"idle\"})"
		     " / count(node_cpu_seconds_total{mode=\"idle\"})" },
	{ "mem_used_mb", "(node_memory_MemTotal_bytes"
			 " - node_memory_MemAvailable_bytes) / 1000000" },
	{ "mem_used_pct", "100 - 100 * node_memory_MemAvailable_bytes"
			  " / node_memory_MemTotal_bytes" },
	{ "swap_used_mb", "(node_memory_SwapTotal_bytes"
			  " - node_memory_SwapFree_bytes) / 1000000" },
	{ "disk_used_pct",
	  "100 - 100 * node_filesystem_avail_bytes{mountpoint=\"/\"}"
	  " / node_filesystem_size_bytes{mountpoint=\"/\"}" },
	{ "disk_read_mb", "rate(node_disk_read_bytes_total) / 1000000" },
	{ "disk_write_mb", "rate(node_disk_written_bytes_total) / 1000000" },
	{ "disks_busy", "rate(node_disk_io_time_seconds_total)" },
	{ "net_rx_mbit",
	  "rate(node_network_receive_bytes_total{device!=\"lo\"})"
	  " / 125000" },
	{ "net_tx_mbit",
	  "rate(node_network_transmit_bytes_total{device!=\"lo\"})"
	  " / 125000" },
	{ NULL, NULL },
};

/* -- numbers ------------------------------------------------------------- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "NaN", "Inf", in any case; how many octets. */
static size_t word_number(const char *p, size_t n, double *out)
{
	static const char words[2][4] = { "nan", "inf" };

	for (size_t w = 0; w < 2 && n >= 3; w++) {
		size_t i = 0;
		while (i < 3 && (p[i] | 0x20) == words[w][i])
			i++;
		if (i < 3)
			continue;
		*out = w == 0 ? (double)NAN : (double)INFINITY;
		return 3;
	}
	return 0;
}

/* Digits with perhaps a point: their value and the exponent that is left. */
static size_t mantissa(const char *p, size_t n, double *out, int *exponent)
{
	uint64_t m = 0;
	size_t i = 0;
	int seen = 0, digits = 0, shift = 0;
	bool point = false;

	for (; i < n && (is_digit(p[i]) || (p[i] == '.' && !point)); i++) {
		if (p[i] == '.') {
			point = true;
			continue;
		}
		seen = 1;
		bool counts = digits < DIGITS_MAX;
		if (counts)
			m = m * 10 + (uint64_t)(p[i] - '0');
		digits += counts && m > 0 ? 1 : 0;
		if (counts && point && shift > -EXPONENT_MAX)
			shift--;
		if (!counts && !point && shift < EXPONENT_MAX)
			shift++;
	}
	*out = (double)m;
	*exponent = shift;
	return seen ? i : 0;
}

/* "e+09": how many octets, and what it adds. */
static size_t exponent_of(const char *p, size_t n, int *out)
{
	size_t i = 1;
	int e = 0;

	if (n < 2 || (p[0] | 0x20) != 'e')
		return 0;
	bool minus = p[1] == '-';
	i += p[1] == '-' || p[1] == '+' ? 1 : 0;
	if (i >= n || !is_digit(p[i]))
		return 0;
	for (; i < n && is_digit(p[i]); i++)
		if (e < EXPONENT_MAX)
			e = e * 10 + (p[i] - '0');
	if (e > EXPONENT_MAX)
		e = EXPONENT_MAX;
	*out += minus ? -e : e;
	return i;
}

static double scaled(double m, int exponent)
{
	double step = 10, power = 1;
	bool down = exponent < 0;

	if (!(m > 0)) /* and what is times infinity would be no number */
		return 0;
	for (unsigned e = (unsigned)(down ? -exponent : exponent); e > 0;
	     e >>= 1) {
		if ((e & 1) != 0)
			power *= step;
		step *= step;
	}
	return down ? m / power : m * power;
}

size_t formula_number(struct slice text, double *numberp)
{
	bool minus = text.n > 0 && text.p[0] == '-';
	size_t at = text.n > 0 && (minus || text.p[0] == '+') ? 1 : 0;
	int exponent = 0;
	double m = 0;

	size_t n = word_number(text.p + at, text.n - at, &m);
	if (n == 0) {
		n = mantissa(text.p + at, text.n - at, &m, &exponent);
		if (n == 0)
			return 0;
		n += exponent_of(text.p + at + n, text.n - at - n, &exponent);
		m = scaled(m, exponent);
	}
	*numberp = minus ? -m : m;
	return at + n;
}

/* -- reading ------------------------------------------------------------- */

struct reader {
	struct slice text;
	size_t at;
	struct formula *formula;
	const char *why; /* NULL: all is well */
	size_t why_at;
	unsigned depth;
	bool inside; /* of what a name of ours stands for */
	size_t name_at;
};

static void expression(struct reader *r);

static void fail(struct reader *r, size_t at, const char *why)
{
	if (r->why != NULL)
		return;
	r->why = why;
	r->why_at = r->inside ? r->name_at : at;
}

static void blanks(struct reader *r)
{
	while (r->at < r->text.n &&
	       (r->text.p[r->at] == ' ' || r->text.p[r->at] == '\t'))
		r->at++;
}

/* The next octet that is no blank; NUL at the end. */
static char peek(struct reader *r)
{
	blanks(r);
	return r->at < r->text.n ? r->text.p[r->at] : '\0';
}

static bool take(struct reader *r, char c)
{
	if (r->why != NULL || peek(r) != c || c == '\0')
		return false;
	r->at++;
	return true;
}

static void want(struct reader *r, char c, const char *why)
{
	if (!take(r, c))
		fail(r, r->at, why);
}

static void step(struct reader *r, enum formula_do what, double number)
{
	struct formula *f = r->formula;

	if (f->n_steps == FORMULA_STEPS_MAX) {
		fail(r, r->at, "too long: at most 64 operations");
		return;
	}
	f->steps[f->n_steps++] = (struct formula_step){
		.what = what,
		.number = number,
	};
}

static bool name_octet(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       c == ':' || (!first && is_digit(c));
}

static struct slice name_take(struct reader *r)
{
	(void)peek(r);
	size_t from = r->at;

	while (r->at < r->text.n && name_octet(r->text.p[r->at], r->at == from))
		r->at++;
	return (struct slice){ r->text.p + from, r->at - from };
}

static struct slice string_take(struct reader *r)
{
	struct slice text = { NULL, 0 };

	want(r, '"', "want a text in quotes");
	size_t from = r->at;
	while (r->at < r->text.n && r->text.p[r->at] != '"' &&
	       r->text.p[r->at] != '\\')
		r->at++;
	if (r->why == NULL)
		text = (struct slice){ r->text.p + from, r->at - from };
	want(r, '"', "the text in quotes does not end");
	return text;
}

static void labels_take(struct reader *r, struct formula_pick *pick)
{
	if (!take(r, '{'))
		return;
	do {
		struct formula_label label = { .name = name_take(r) };
		if (label.name.n == 0) {
			fail(r, r->at, "want the name of a label");
			return;
		}
		if (pick->n_labels == FORMULA_LABELS_MAX) {
			fail(r, r->at, "too many labels: at most 4");
			return;
		}
		label.differs = take(r, '!');
		want(r, '=', "want = or != after a label");
		label.value = string_take(r);
		pick->labels[pick->n_labels++] = label;
	} while (take(r, ','));
	want(r, '}', "want } after labels");
}

static bool slice_same(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool pick_same(const struct formula_pick *a,
		      const struct formula_pick *b)
{
	if (a->how != b->how || !slice_same(a->name, b->name) ||
	    a->n_labels != b->n_labels)
		return false;
	for (size_t i = 0; i < a->n_labels; i++)
		if (a->labels[i].differs != b->labels[i].differs ||
		    !slice_same(a->labels[i].name, b->labels[i].name) ||
		    !slice_same(a->labels[i].value, b->labels[i].value))
			return false;
	return true;
}

static void pick_step(struct reader *r, const struct formula_pick *pick)
{
	struct formula *f = r->formula;
	size_t i = 0;

	while (i < f->n_picks && !pick_same(&f->picks[i], pick))
		i++;
	if (i == FORMULA_PICKS_MAX) {
		fail(r, r->at, "too many series: at most 16");
		return;
	}
	step(r, FORMULA_PICK, 0);
	if (r->why != NULL)
		return;
	f->steps[f->n_steps - 1].pick = (uint32_t)i;
	if (i == f->n_picks)
		f->picks[f->n_picks++] = *pick;
}

static void pick_take(struct reader *r, enum formula_how how)
{
	struct formula_pick pick = { .how = how };

	want(r, '(', "want ( after a function");
	pick.name = name_take(r);
	if (pick.name.n == 0)
		fail(r, r->at, "want the name of a series");
	labels_take(r, &pick);
	want(r, ')', "want )");
	if (r->why == NULL)
		pick_step(r, &pick);
}

/* What a name of ours stands for, read in its place. */
/* NOLINTNEXTLINE(misc-no-recursion): these names stand for no other ones */
static void ours_take(struct reader *r, size_t name_at, const char *is)
{
	struct reader outer = *r;

	r->text = slice_of(is);
	r->at = 0;
	r->inside = true;
	r->name_at = name_at;
	expression(r);
	r->text = outer.text;
	r->at = outer.at;
	r->inside = false;
}

/* min(...), max(...) */
/* NOLINTNEXTLINE(misc-no-recursion): bounded by FORMULA_DEPTH_MAX */
static void choice_take(struct reader *r, enum formula_do what)
{
	want(r, '(', "want ( after a function");
	expression(r);
	while (take(r, ',')) {
		expression(r);
		step(r, what, 0);
	}
	want(r, ')', "want )");
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by FORMULA_DEPTH_MAX */
static void name_step(struct reader *r)
{
	static const char *const picks[] = { "sum", "count", "rate" };
	size_t at = r->at;
	struct slice name = name_take(r);
	struct formula_pick pick = { .name = name };

	for (size_t i = 0; i < 3; i++) {
		if (slice_is(name, picks[i])) {
			pick_take(r, (enum formula_how)i);
			return;
		}
	}
	if (slice_is(name, "min") || slice_is(name, "max")) {
		choice_take(r, name.p[1] == 'i' ? FORMULA_MIN : FORMULA_MAX);
		return;
	}
	for (size_t i = 0; !r->inside && formula_names[i].name != NULL; i++) {
		if (slice_is(name, formula_names[i].name)) {
			ours_take(r, at, formula_names[i].is);
			return;
		}
	}
	if (name.n < 5 || memcmp(name.p, "node_", 5) != 0) {
		fail(r, at,
		     "no such name (of another series: sum(name) or "
		     "rate(name))");
		return;
	}
	labels_take(r, &pick);
	if (r->why == NULL)
		pick_step(r, &pick);
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by FORMULA_DEPTH_MAX */
static void factor(struct reader *r)
{
	char c = peek(r);
	double number = 0;

	if (r->why != NULL)
		return;
	if (r->depth == FORMULA_DEPTH_MAX) {
		fail(r, r->at, "nested too deep");
		return;
	}
	r->depth++;
	if (is_digit(c) || c == '.') {
		struct slice rest = { r->text.p + r->at, r->text.n - r->at };
		size_t n = formula_number(rest, &number);
		if (n == 0)
			fail(r, r->at, "want a number");
		r->at += n;
		step(r, FORMULA_NUMBER, number);
	} else if (take(r, '-')) {
		factor(r);
		step(r, FORMULA_NEG, 0);
	} else if (take(r, '(')) {
		expression(r);
		want(r, ')', "want )");
	} else if (name_octet(c, true)) {
		name_step(r);
	} else {
		fail(r, r->at, "want a number, a name or (");
	}
	r->depth--;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by FORMULA_DEPTH_MAX */
static void term(struct reader *r)
{
	factor(r);
	for (;;) {
		enum formula_do what = FORMULA_DIV;
		if (take(r, '*'))
			what = FORMULA_MUL;
		else if (!take(r, '/'))
			return;
		factor(r);
		step(r, what, 0);
	}
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by FORMULA_DEPTH_MAX */
static void expression(struct reader *r)
{
	term(r);
	for (;;) {
		enum formula_do what = FORMULA_SUB;
		if (take(r, '+'))
			what = FORMULA_ADD;
		else if (!take(r, '-'))
			return;
		term(r);
		step(r, what, 0);
	}
}

int formula_parse(struct slice text, struct formula *formula,
		  struct formula_fault *fault)
{
	struct reader r = { .text = text, .formula = formula };

	formula->n_steps = 0;
	formula->n_picks = 0;
	if (text.n > FORMULA_TEXT_MAX)
		fail(&r, 0, "longer than 512 octets");
	expression(&r);
	if (r.why == NULL && peek(&r) != '\0')
		fail(&r, r.at, "want an operator or the end");
	if (r.why == NULL && r.at < text.n)
		fail(&r, r.at, "want an operator or the end");
	if (r.why == NULL)
		return 0;
	if (fault != NULL)
		*fault = (struct formula_fault){ r.why_at, r.why };
	return -EINVAL;
}

/* -- working out ----------------------------------------------------------- */

static double join(enum formula_do what, double a, double b)
{
	switch (what) {
	case FORMULA_ADD:
		return a + b;
	case FORMULA_SUB:
		return a - b;
	case FORMULA_MUL:
		return a * b;
	case FORMULA_DIV:
		/* to divide by 0 is not always infinite: 0 / 0 */
		return b > 0 || b < 0 ? a / b : (double)NAN;
	case FORMULA_MIN:
		return b < a || isnan(b) ? b : a;
	default:
		return b > a || isnan(b) ? b : a;
	}
}

bool formula_value(const struct formula *formula, const double *picked,
		   double *valuep)
{
	double stack[FORMULA_STEPS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < formula->n_steps; i++) {
		const struct formula_step *s = &formula->steps[i];
		switch (s->what) {
		case FORMULA_NUMBER:
			stack[n++] = s->number;
			break;
		case FORMULA_PICK:
			stack[n++] = picked[s->pick];
			break;
		case FORMULA_NEG:
			stack[n - 1] = -stack[n - 1];
			break;
		default:
			n--;
			stack[n - 1] = join(s->what, stack[n - 1], stack[n]);
		}
	}
	if (n != 1 || !isfinite(stack[0]))
		return false;
	*valuep = stack[0];
	return true;
}
