/* SPDX-License-Identifier: MPL-2.0 */
#pragma once
/*
 * formula - an arithmetic expression over what a machine tells of itself: read
 * from a configuration, and worked out again and again.
 *
 *	expression = term { ("+" | "-") term }
 *	term       = factor { ("*" | "/") factor }
 *	factor     = number | "-" factor | "(" expression ")" | name [labels]
 *	           | ("min" | "max") "(" expression { "," expression } ")"
 *	           | ("sum" | "rate" | "count") "(" name [labels] ")"
 *	labels     = "{" label ("=" | "!=") '"' text '"' { "," ... } "}"
 *
 * A name is one of ours (formula_names), or that of a series of
 * prometheus-node-exporter's; one that does not begin with "node_" must stand
 * in a function, so that a slip of the pen is not taken for one.
 *
 * Pure.  A formula has no memory of its own but refers to the text that it was
 * read from.  Any thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

#define FORMULA_TEXT_MAX   512u
#define FORMULA_STEPS_MAX  64u
#define FORMULA_DEPTH_MAX  16u
#define FORMULA_PICKS_MAX  16u
#define FORMULA_LABELS_MAX 4u
#define FORMULA_DEFAULT	   "10 * load1 + swap_used_mb"

enum formula_how {
	FORMULA_SUM,   /* of all series that fit */
	FORMULA_COUNT, /* how many fit */
	FORMULA_RATE,  /* growth a second, summed; each begins again at 0 */
};

/* What is picked from the series of a machine. */
struct formula_pick {
	enum formula_how how;
	struct slice name;
	size_t n_labels;
	struct formula_label {
		struct slice name, value;
		bool differs; /* wanted: any other value */
	} labels[FORMULA_LABELS_MAX];
};

enum formula_do {
	FORMULA_NUMBER,
	FORMULA_PICK,
	FORMULA_ADD,
	FORMULA_SUB,
	FORMULA_MUL,
	FORMULA_DIV,
	FORMULA_NEG,
	FORMULA_MIN,
	FORMULA_MAX,
};

struct formula {
	size_t n_steps, n_picks;
	struct formula_step {
		enum formula_do what;
		uint32_t pick;
		double number;
	} steps[FORMULA_STEPS_MAX]; /* operands before what joins them */
	struct formula_pick picks[FORMULA_PICKS_MAX]; /* each once */
};

/* Names of ours, and what each stands for; NULL ends them. */
struct formula_name {
	const char *name, *is;
};
extern const struct formula_name formula_names[];

/* Where the text is wrong, and why. */
struct formula_fault {
	size_t at;
	const char *why;
};

/*
 * Reads a formula; the text must outlive it.  Returns 0; or -EINVAL, and
 * '*fault' (NULL is fine) says what is wrong.
 */
int formula_parse(struct slice text, struct formula *formula,
		  struct formula_fault *fault);

/*
 * Works it out with one value a pick.  False: it has none (a division by 0, a
 * value that is no number).
 */
bool formula_value(const struct formula *formula, const double *picked,
		   double *valuep);

/*
 * Reads a number as metrics have them ("1.5e+09", "-3", "NaN", "+Inf") at the
 * beginning of 'text'.  Returns how many octets it has; 0: there is none.
 */
size_t formula_number(struct slice text, double *numberp);
