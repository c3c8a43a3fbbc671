/* SPDX-License-Identifier: MPL-2.0 */
#include "probes-client/probed_scrape.h"

#include <errno.h>
#include <stdlib.h>

#include "probes-client/probed_ask.h"
#include "probes-client/probed_merge.h"
#include "probes-client/probed_plugin.h"
#include "probes-client/probed_web.h"

#define KEPT_MS	  1000u
#define TEXT_MAX  (32u << 20) /* octets of one text */
#define TEXTS_MAX (96u << 20) /* of those that slow readers hold, together */
#define TAIL_MAX  4096u	      /* kept free for what says what is left out */

struct probed_scrape {
	struct probed_scrape_setup setup;
	struct probed_web *web;
	struct probed_ask *ask;
	struct probed_text *text;  /* NULL: none yet */
	struct probed_merge pages; /* what the pages till now have given */
	struct probed_listed listed;
	uint64_t made_ms; /* monotonic: when that was */
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* What no series shows though it is there. */
static void put_omitted(struct probed_expo *expo,
			const struct probed_metrics *metrics,
			const struct probed_omitted *omitted)
{
	const struct {
		const char *what;
		uint64_t n;
	} all[] = {
		{ "zones", omitted->zones },
		{ "hostnames", omitted->hostnames },
		{ "servers", omitted->servers },
		{ "origins", omitted->origins },
		{ "targets", probed_metrics_omitted(metrics) },
		{ "lines", expo->lost },
	};

	expo->max = TEXT_MAX;
	probed_expo_family(expo, PROBED_GAUGE, "nearzone_omitted",
			   "What there is too much of to be listed here.");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		probed_expo_number(expo, PROBED_LABELS({ "what", all[i].what }),
				   all[i].n);
}

/* A text with one reference, or NULL. */
static struct probed_text *text_make(struct probed_scrape *scrape,
				     struct json_object *status,
				     struct json_object *servers)
{
	struct probed_metrics metrics = { 0 };
	struct probed_omitted omitted;
	struct probed_expo expo;

	if (probed_web_text_bytes(scrape->web) > TEXTS_MAX)
		return NULL;
	scrape->setup.fill(scrape->setup.arg, &metrics);
	metrics.web = probed_web_stats(scrape->web);
	probed_expo_init(&expo, TEXT_MAX - TAIL_MAX);
	probed_metrics_put(&expo, &metrics);
	probed_plugin_put(&expo, status, servers, &scrape->listed, &omitted);
	probed_merge_put(&scrape->pages, &expo);
	probed_metrics_put_targets(&expo, &metrics);
	put_omitted(&expo, &metrics, &omitted);
	if (expo.text == NULL)
		return NULL;
	return probed_text_new(scrape->web, expo.text, expo.n);
}

static struct json_object *on_page(void *arg, struct json_object *page)
{
	struct probed_scrape *scrape = arg;
	struct probed_expo expo;

	probed_expo_init(&expo, TEXT_MAX);
	probed_plugin_put_page(&expo, page, &scrape->listed);
	probed_merge_add(&scrape->pages, &expo);
	probed_expo_fini(&expo);
	return probed_plugin_next(page, &scrape->listed);
}

/* For the next time. */
static void pages_forget(struct probed_scrape *scrape)
{
	probed_merge_fini(&scrape->pages);
	probed_merge_init(&scrape->pages, TEXT_MAX);
	probed_listed_fini(&scrape->listed);
}

static void on_asked(void *arg, struct json_object *status,
		     struct json_object *servers)
{
	struct probed_scrape *scrape = arg;

	probed_text_unref(scrape->text);
	scrape->text = text_make(scrape, status, servers);
	pages_forget(scrape);
	scrape->made_ms = now_ms();
	probed_web_give(scrape->web, scrape->text);
}

static void on_want(void *arg)
{
	struct probed_scrape *scrape = arg;

	if (scrape->text != NULL && now_ms() - scrape->made_ms < KEPT_MS)
		probed_web_give(scrape->web, scrape->text);
	else
		probed_ask_start(scrape->ask);
}

int probed_scrape_new(const struct probed_scrape_setup *setup,
		      struct probed_scrape **scrapep)
{
	struct probed_scrape *scrape = calloc(1, sizeof(*scrape));
	if (scrape == NULL)
		return -ENOMEM;

	struct probed_web_setup web = { setup->loop, setup->log, on_want,
					scrape };
	scrape->setup = *setup;
	pages_forget(scrape);
	int rc = probed_web_new(&web, &scrape->web);
	if (rc == 0)
		rc = probed_ask_new(setup->loop, on_page, on_asked, scrape,
				    &scrape->ask);
	if (rc != 0) {
		probed_scrape_close(scrape);
		return rc;
	}
	*scrapep = scrape;
	return 0;
}

void probed_scrape_use(struct probed_scrape *scrape, const char *path,
		       const struct config *config)
{
	probed_ask_use(scrape->ask, path);
	probed_web_use(scrape->web, config->metrics, config->n_metrics);
}

void probed_scrape_close(struct probed_scrape *scrape)
{
	if (scrape == NULL)
		return;
	probed_text_unref(scrape->text);
	probed_web_close(scrape->web);
	probed_ask_close(scrape->ask);
	probed_merge_fini(&scrape->pages);
	probed_listed_fini(&scrape->listed);
	free(scrape);
}
