/* SPDX-License-Identifier: Apache-2.0
 *
 * Random negotiations against a model that was written from RFC 7143 section 13 alone: any subset of the keys with any
 * legal value and some illegal ones, in any order, spread over any number of requests, against any configuration.
 */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/iscsi/fixture.h"

#define RUNS	      5000
#define LARGEST_BURST 16777215u

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % limit;
}

/* Often at an edge. */
static uint32_t random_between(uint32_t low, uint32_t high)
{
	uint32_t near_low = low + random_below(10);

	switch (random_below(5)) {
	case 0:
		return low;
	case 1:
		return high;
	case 2:
		return near_low < high ? near_low : high;
	default:
		return low + random_below(high - low + 1);
	}
}

static bool coin(void)
{
	return random_below(2) == 0;
}

/* ---- The model ----------------------------------------------------------------------------------------------------
 */

/* What both sides take for agreed. */
struct model {
	char header_digest[8], data_digest[8];
	uint32_t burst, first_burst, r2ts, connections, wait, retain, recovery, level, segment;
	char initial_r2t, immediate, pdus_in_order, sequences_in_order; /* Y or N */
};

enum kind { SMALLER, GREATER, ALL_YES, ANY_YES, FIRST_OF_LIST };

struct model_key {
	const char *name;
	enum kind kind;
	uint32_t low, high;
	size_t at;
	bool normal_only;
};

#define AT(field) offsetof(struct model, field)

static const struct model_key model_keys[] = {
    {"HeaderDigest", FIRST_OF_LIST, 0, 0, AT(header_digest), false},
    {"DataDigest", FIRST_OF_LIST, 0, 0, AT(data_digest), false},
    {"MaxConnections", SMALLER, 1, 65535, AT(connections), true},
    {"InitialR2T", ANY_YES, 0, 0, AT(initial_r2t), true},
    {"ImmediateData", ALL_YES, 0, 0, AT(immediate), true},
    {"MaxBurstLength", SMALLER, 512, LARGEST_BURST, AT(burst), true},
    {"FirstBurstLength", SMALLER, 512, LARGEST_BURST, AT(first_burst), true},
    {"DefaultTime2Wait", GREATER, 0, 3600, AT(wait), false},
    {"DefaultTime2Retain", SMALLER, 0, 3600, AT(retain), false},
    {"MaxOutstandingR2T", SMALLER, 1, 65535, AT(r2ts), true},
    {"DataPDUInOrder", ANY_YES, 0, 0, AT(pdus_in_order), true},
    {"DataSequenceInOrder", ANY_YES, 0, 0, AT(sequences_in_order), true},
    {"ErrorRecoveryLevel", SMALLER, 0, 2, AT(recovery), false},
    {"iSCSIProtocolLevel", SMALLER, 0, 31, AT(level), true},
};

enum {
	MODEL_KEYS = sizeof model_keys / sizeof *model_keys,
	FIRST_BURST = 6,
	IMMEDIATE = 4,
	MOST_OFFERS = MODEL_KEYS + 3
};

struct offer {
	char text[80];
	char expected[48]; /* the pair of the answer; "" none */
	char value[32];
	const struct model_key *key; /* NULL: none of the model */
	bool legal;
	unsigned request;
};

struct run {
	bool discovery;
	struct model agreed, target;
	const char *accepted_header, *accepted_data; /* None, CRC32C or both, with commas around */
	struct offer offers[MOST_OFFERS];
	unsigned offer_count, request_count;
};

static struct run run;

static const struct model rfc_defaults = {
    "None", "None", 262144, 65536, 1, 1, 2, 20, 0, 1, 8192, 'Y', 'Y', 'Y', 'Y',
};

static const char *random_digests(uint8_t *set)
{
	static const char *const spelled[] = {",None,", ",CRC32C,", ",None,CRC32C,"};
	static const uint8_t sets[] = {ISCSI_DIGEST_NONE, ISCSI_DIGEST_CRC32C, ISCSI_DIGEST_NONE | ISCSI_DIGEST_CRC32C};
	uint32_t choice = random_below(3);

	*set = sets[choice];
	return spelled[choice];
}

static void random_target(void)
{
	struct iscsi_target_parameters *parameters = &fixture_targets[0].parameters;

	run.target = (struct model){.connections = 1, .level = 2, .pdus_in_order = 'Y', .sequences_in_order = 'Y'};
	run.target.burst = parameters->max_burst_length = random_between(512, LARGEST_BURST);
	run.target.first_burst = parameters->first_burst_length = random_between(512, LARGEST_BURST);
	run.target.r2ts = parameters->max_outstanding_r2t = random_between(1, 8);
	parameters->immediate_data = coin();
	run.target.immediate = parameters->immediate_data ? 'Y' : 'N';
	parameters->initial_r2t = coin();
	run.target.initial_r2t = parameters->initial_r2t ? 'Y' : 'N';
	parameters->max_recv_data_segment_length = random_between(512, LARGEST_BURST);
	run.accepted_header = random_digests(&parameters->header_digests);
	run.accepted_data = random_digests(&parameters->data_digests);
	if (run.discovery)
		run.accepted_header = run.accepted_data = ",None,CRC32C,";
}

/* ---- Offers -------------------------------------------------------------------------------------------------------
 */

static void make_value(const struct model_key *key, struct offer *offer)
{
	static const char *const lists[] = {"None", "CRC32C", "None,CRC32C", "CRC32C,None", "MD5,CRC32C", "X,None"};
	static const char *const wrong[] = {"", "maybe", "-1", "4294967808", "99999999999999999999", "yes", "Reject"};
	uint32_t number = random_between(key->low, key->high);

	offer->legal = random_below(10) != 0;
	if (!offer->legal)
		strcpy(offer->value, wrong[random_below(7)]);
	else if (key->kind == FIRST_OF_LIST)
		strcpy(offer->value, lists[random_below(6)]);
	else if (key->kind == ALL_YES || key->kind == ANY_YES)
		strcpy(offer->value, coin() ? "Yes" : "No");
	else
		snprintf(offer->value, sizeof offer->value, random_below(4) ? "%u" : "0x%x", number);
}

static void add_other(const char *text, const char *answer)
{
	struct offer *offer = &run.offers[run.offer_count++];

	snprintf(offer->text, sizeof offer->text, "%s", text);
	snprintf(offer->expected, sizeof offer->expected, "%s", answer);
}

static void make_offers(void)
{
	char text[80];

	for (size_t i = 0; i < MODEL_KEYS; i++) {
		struct offer *offer = &run.offers[run.offer_count];

		if (coin())
			continue;
		run.offer_count++;
		offer->key = &model_keys[i];
		make_value(offer->key, offer);
		strcpy(offer->text, offer->key->name);
		strcat(strcat(offer->text, "="), offer->value);
	}
	if (coin()) {
		run.agreed.segment = random_between(512, LARGEST_BURST);
		snprintf(text, sizeof text, "MaxRecvDataSegmentLength=%u", run.agreed.segment);
		add_other(text, "");
	}
	if (coin())
		add_other("OFMarker=Yes", "No");
	if (coin())
		add_other("X-org.example.key=1", "NotUnderstood");
}

static int by_request(const void *a, const void *b)
{
	const struct offer *left = a, *right = b;

	return left->request < right->request ? -1 : left->request > right->request;
}

static void spread_offers(void)
{
	run.request_count = 1 + random_below(4);
	for (unsigned i = run.offer_count; i > 1; i--) {
		unsigned j = random_below(i);
		struct offer swap = run.offers[i - 1];

		run.offers[i - 1] = run.offers[j];
		run.offers[j] = swap;
	}
	for (unsigned i = 0; i < run.offer_count; i++)
		run.offers[i].request = random_below(run.request_count);
	qsort(run.offers, run.offer_count, sizeof *run.offers, by_request);
}

/* ---- What the model answers ---------------------------------------------------------------------------------------
 */

static void choose(const struct model_key *key, const char *list, char *expected)
{
	const char *accepted = key->at == AT(header_digest) ? run.accepted_header : run.accepted_data;
	char copy[32], element[40], *rest = copy, *next;

	strcpy(copy, list);
	while ((next = strsep(&rest, ","))) {
		snprintf(element, sizeof element, ",%s,", next);
		if (*next && strstr(accepted, element)) {
			strcpy((char *)&run.agreed + key->at, next);
			strcpy(expected, next);
			return;
		}
	}
	strcpy(expected, "Reject");
}

static void model_number(const struct model_key *key, const char *value, uint32_t most, char *expected)
{
	uint32_t *agreed = (uint32_t *)((char *)&run.agreed + key->at);
	uint32_t theirs = (uint32_t)strtoul(value, NULL, 0);
	bool theirs_wins = key->kind == SMALLER ? theirs <= most : theirs >= most;

	*agreed = theirs_wins ? theirs : most;
	sprintf(expected, "%u", *agreed);
}

static void model_boolean(const struct model_key *key, const char *value, char *expected)
{
	char ours = *((char *)&run.target + key->at), theirs = *value;
	char decisive = key->kind == ALL_YES ? 'N' : 'Y';
	char agreed = ours == decisive || theirs == decisive ? decisive : theirs;

	*((char *)&run.agreed + key->at) = agreed;
	strcpy(expected, agreed == 'Y' ? "Yes" : "No");
}

static void model_offer(struct offer *offer, bool first_bursts)
{
	const struct model_key *key = offer->key;
	uint32_t most;

	if (!key || (key == &model_keys[FIRST_BURST]) != first_bursts)
		return;
	if (run.discovery && key->normal_only) {
		strcpy(offer->expected, "Irrelevant");
	} else if (first_bursts && run.agreed.initial_r2t == 'Y' && run.agreed.immediate == 'N') {
		strcpy(offer->expected, "Irrelevant");
	} else if (!offer->legal) {
		strcpy(offer->expected, "Reject");
	} else if (key->kind == FIRST_OF_LIST) {
		choose(key, offer->value, offer->expected);
	} else if (key->kind == ALL_YES || key->kind == ANY_YES) {
		model_boolean(key, offer->value, offer->expected);
	} else {
		most = *(uint32_t *)((char *)&run.target + key->at);
		if (first_bursts && most > run.agreed.burst)
			most = run.agreed.burst;
		model_number(key, offer->value, most, offer->expected);
	}
}

static void model_request(unsigned request)
{
	for (int pass = 0; pass < 2; pass++) {
		for (unsigned i = 0; i < run.offer_count; i++) {
			if (run.offers[i].request == request)
				model_offer(&run.offers[i], pass == 1);
		}
	}
}

static bool was_offered(const char *name)
{
	for (unsigned i = 0; i < run.offer_count; i++) {
		if (run.offers[i].key && strcmp(run.offers[i].key->name, name) == 0)
			return true;
	}
	return false;
}

/* 13.14: it must not exceed MaxBurstLength, even where neither side said so. */
static uint32_t effective_first_burst(void)
{
	return run.agreed.first_burst < run.agreed.burst ? run.agreed.first_burst : run.agreed.burst;
}

/* Whether what was agreed is outside of what the target was told to allow. */
static bool is_unacceptable(void)
{
	char header[16], data[16];
	bool unsolicited = run.agreed.immediate == 'Y' || run.agreed.initial_r2t == 'N';

	snprintf(header, sizeof header, ",%s,", run.agreed.header_digest);
	snprintf(data, sizeof data, ",%s,", run.agreed.data_digest);
	/* None is what holds when nothing was agreed; a target that does not insist on CRC32C can live with it. */
	if ((!strstr(run.accepted_header, header) && !strstr(run.accepted_header, ",None,")) ||
	    (!strstr(run.accepted_data, data) && !strstr(run.accepted_data, ",None,")))
		return true;
	if (run.discovery)
		return false;
	return (run.agreed.immediate == 'Y' && run.target.immediate == 'N') ||
	       (unsolicited && effective_first_burst() > run.target.first_burst);
}

/* ---- The two side by side -----------------------------------------------------------------------------------------
 */

static void check_answers(unsigned request)
{
	for (unsigned i = 0; i < run.offer_count; i++) {
		const struct offer *offer = &run.offers[i];
		char key[64];

		snprintf(key, sizeof key, "%.*s", (int)strcspn(offer->text, "="), offer->text);
		if (offer->request != request || strcmp(key, "MaxRecvDataSegmentLength") == 0)
			continue;
		ck_assert_msg(login_answer(key) && strcmp(login_answer(key), offer->expected) == 0,
			      "%s was answered %s, not %s", offer->text, login_answer(key), offer->expected);
	}
}

/* A good initiator takes what the target proposes; the last answer. */
static enum iscsi_login_step answer_proposals(void)
{
	char text[256] = "";
	const char *value;

	if ((value = login_answer("HeaderDigest")) && !was_offered("HeaderDigest")) {
		ck_assert_str_eq(value, "CRC32C");
		strcpy(run.agreed.header_digest, value);
		strcat(text, "HeaderDigest=CRC32C\n");
	}
	if ((value = login_answer("DataDigest")) && !was_offered("DataDigest")) {
		ck_assert_str_eq(value, "CRC32C");
		strcpy(run.agreed.data_digest, value);
		strcat(text, "DataDigest=CRC32C\n");
	}
	if ((value = login_answer("ImmediateData")) && !was_offered("ImmediateData")) {
		ck_assert_str_eq(value, "No");
		run.agreed.immediate = 'N';
		strcat(text, "ImmediateData=No\n");
	}
	if ((value = login_answer("FirstBurstLength")) && !was_offered("FirstBurstLength")) {
		run.agreed.first_burst = (uint32_t)strtoul(value, NULL, 10);
		ck_assert_uint_eq(run.agreed.first_burst, run.target.first_burst);
		sprintf(text + strlen(text), "FirstBurstLength=%s\n", value);
	}
	if (*text)
		text[strlen(text) - 1] = '\0';
	return login_send(OPERATIONAL, FULL_FEATURE, text);
}

static enum iscsi_login_step negotiate(void)
{
	enum iscsi_login_step step = ISCSI_LOGIN_CONTINUES;
	char text[4096];

	for (unsigned request = 0; request < run.request_count; request++) {
		bool last = request + 1 == run.request_count;

		text[0] = '\0';
		if (request == 0)
			snprintf(text, sizeof text, "InitiatorName=%s\n%s%s\n", FIXTURE_INITIATOR,
				 run.discovery ? "SessionType=" : "TargetName=",
				 run.discovery ? "Discovery" : FIXTURE_TARGET);
		for (unsigned i = 0; i < run.offer_count; i++) {
			if (run.offers[i].request == request)
				sprintf(text + strlen(text), "%s\n", run.offers[i].text);
		}
		if (*text)
			text[strlen(text) - 1] = '\0';
		model_request(request);
		step = login_send(OPERATIONAL, last ? FULL_FEATURE : STAY, text);
		if (step == ISCSI_LOGIN_FAILED)
			return step;
		if (step == ISCSI_LOGIN_WANTS_SESSION)
			login_outcome();
		check_answers(request);
	}
	return step == ISCSI_LOGIN_CONTINUES ? answer_proposals() : step;
}

static void check_outcome(void)
{
	const struct iscsi_parameters *now = login_outcome();

	ck_assert_int_eq(now->header_digest, strcmp(run.agreed.header_digest, "CRC32C") == 0);
	ck_assert_int_eq(now->data_digest, strcmp(run.agreed.data_digest, "CRC32C") == 0);
	ck_assert_uint_eq(now->max_burst_length, run.agreed.burst);
	ck_assert_uint_eq(now->first_burst_length, effective_first_burst());
	ck_assert_uint_eq(now->max_outstanding_r2t, run.agreed.r2ts);
	ck_assert_uint_eq(now->max_connections, run.agreed.connections);
	ck_assert_uint_eq(now->default_time2wait, run.agreed.wait);
	ck_assert_uint_eq(now->default_time2retain, run.agreed.retain);
	ck_assert_uint_eq(now->error_recovery_level, run.agreed.recovery);
	ck_assert_uint_eq(now->protocol_level, run.agreed.level);
	ck_assert_uint_eq(now->initiator_max_recv_data_segment_length, run.agreed.segment);
	ck_assert_int_eq(now->initial_r2t, run.agreed.initial_r2t == 'Y');
	ck_assert_int_eq(now->immediate_data, run.agreed.immediate == 'Y');
	ck_assert_int_eq(now->data_pdu_in_order, run.agreed.pdus_in_order == 'Y');
	ck_assert_int_eq(now->data_sequence_in_order, run.agreed.sequences_in_order == 'Y');
	if (!run.discovery)
		ck_assert_uint_eq(now->target_max_recv_data_segment_length,
				  fixture_targets[0].parameters.max_recv_data_segment_length);
}

START_TEST(random_negotiations_agree_with_the_model)
{
	unsigned admitted = 0;

	for (unsigned seed = 0; seed < RUNS; seed++) {
		enum iscsi_login_step step;

		random_state = seed;
		run = (struct run){.discovery = random_below(5) == 0, .agreed = rfc_defaults};
		random_target();
		make_offers();
		spread_offers();
		login_restart();
		step = negotiate();
		ck_assert_msg((step == ISCSI_LOGIN_FAILED) == is_unacceptable(), "seed %u: step %d", seed, step);
		if (step == ISCSI_LOGIN_FAILED) {
			ck_assert_int_eq(login_status(), ISCSI_LOGIN_INITIATOR_ERROR);
			continue;
		}
		check_outcome();
		admitted++;
	}
	ck_assert_uint_gt(admitted, RUNS / 4);
}
END_TEST

Suite *negotiation_property_suite(void)
{
	Suite *suite = suite_create("negotiation property");
	TCase *tests = tcase_create("model");

	tcase_add_checked_fixture(tests, fixture_setup, fixture_teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, random_negotiations_agree_with_the_model);
	suite_add_tcase(suite, tests);
	return suite;
}
