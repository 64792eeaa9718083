/* SPDX-License-Identifier: Apache-2.0
 *
 * A network and a server that fail in every way: never a wrong byte, repetition within the deadline, the right error,
 * and recovery when it ends.
 */
#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab.h"
#include "s3/clock.h"

#define KIB   1024u
#define MIB   (1024u * KIB)
#define BYTES (2u * MIB)

static char control[96], proxy[64], certificate[96], key[96];

/* ---- The proxy
 * ------------------------------------------------------------------------------------------------------- */

static void set_fault(const char *fault)
{
	char fresh[112];
	FILE *file;

	snprintf(fresh, sizeof(fresh), "%s.new", control);
	file = fopen(fresh, "w");
	ck_assert_ptr_nonnull(file);
	fputs(fault, file);
	fclose(file);
	ck_assert_int_eq(rename(fresh, control), 0);
}

static void run_proxy(int output)
{
	char host[64], *colon;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(host, sizeof(host), "%s", lab_endpoint + strlen("http://"));
	colon = strrchr(host, ':');
	*colon = '\0';
	dup2(output, STDOUT_FILENO);
	execlp(TEST_PYTHON, TEST_PYTHON, TEST_LIB "/fault_proxy.py", host, colon + 1, control,
	       certificate[0] == '\0' ? NULL : certificate, key, (char *)NULL);
	_exit(127);
}

static void start_proxy(void)
{
	char port[16] = "";
	int ends[2];

	snprintf(control, sizeof(control), "%s/fault.%ld", lab_folder, (long)getpid());
	set_fault("");
	ck_assert_int_eq(pipe(ends), 0);
	if (fork() == 0)
		run_proxy(ends[1]);
	close(ends[1]);
	ck_assert_int_gt(read(ends[0], port, sizeof(port) - 1), 0);
	snprintf(proxy, sizeof(proxy), "%s://127.0.0.1:%d", certificate[0] == '\0' ? "http" : "https", atoi(port));
}

static void faulty_volume(struct lab_volume *volume)
{
	start_proxy();
	lab_volume(volume, BYTES);
	lab_option(volume, "endpoint", proxy);
	lab_option(volume, "timeout_s", "1");
	lab_option(volume, "lease_s", "60");
	lab_option(volume, "retries", "30");
}

/* ---- Work
 * --------------------------------------------------------------------------------------------------------------- */

static void work(struct fh_unit *unit, unsigned char *model, unsigned steps, uint32_t seed)
{
	static unsigned char buffer[128 * KIB];

	for (unsigned step = 0; step < steps; step++) {
		const uint32_t mixed = (seed + step) * 2654435761u;
		const uint32_t length = ((mixed >> 8) % 128 + 1) * 1024,
			       offset = (mixed >> 3) % (BYTES - length) / 512 * 512;

		if (step % 3 != 2) {
			lab_fill(buffer, length, offset, mixed);
			memcpy(model + offset, buffer, length);
			ck_assert_int_eq(fh_write(unit, buffer, length, offset, 0), 0);
		} else {
			ck_assert_int_eq(fh_read(unit, buffer, length, offset), 0);
			ck_assert_mem_eq(buffer, model + offset, length);
		}
		if (step % 16 == 15)
			ck_assert_int_eq(fh_flush(unit), 0);
	}
}

static void compare(struct fh_unit *unit, const unsigned char *model)
{
	static unsigned char found[BYTES];

	for (uint32_t offset = 0; offset < BYTES; offset += MIB / 4)
		ck_assert_int_eq(fh_read(unit, found + offset, MIB / 4, offset), 0);
	ck_assert_mem_eq(found, model, BYTES);
}

static const char *const passing[] = {
    "internal 0.3 *", "slowdown 0.3 *",		"reset 0.3 *",		 "truncate 0.3 *", "short 0.3 *",
    "damage 0.3 GET", "damage_up 0.3 PUT,POST", "lose 0.3 PUT,POST,GET", "stall 0.06 *",
};

START_TEST(faults_that_pass_change_no_byte)
{
	static unsigned char model[BYTES];
	struct lab_volume volume;
	struct fh_unit *unit;
	uint64_t retries;

	faulty_volume(&volume);
	unit = lab_create(&volume);
	set_fault(passing[_i]);
	work(unit, model, 64, (uint32_t)_i);
	compare(unit, model);
	set_fault("");
	retries = lab_counter(unit, "retries");
	fh_close(unit);
	/* Cold: every byte comes through the fault. */
	unit = lab_open(&volume);
	set_fault(passing[_i]);
	compare(unit, model);
	set_fault("");
	ck_assert_uint_gt(retries + lab_counter(unit, "retries"), 0);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(opening_through_faults_finds_everything_or_nothing)
{
	static unsigned char model[BYTES];
	struct lab_volume volume;
	struct fh_unit *unit;

	faulty_volume(&volume);
	unit = lab_create(&volume);
	work(unit, model, 32, 99);
	fh_close(unit);
	set_fault(passing[_i]);
	unit = lab_open(&volume);
	set_fault("");
	compare(unit, model);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* ---- Deadlines and refusals
 * ------------------------------------------------------------------------------------------------ */

static bool is_over(void *context)
{
	return *(bool *)context;
}

static void note(struct fh_io *io)
{
	*(bool *)io->context = true;
}

static int with_deadline(struct fh_unit *unit, uint32_t operation, void *buffer, uint32_t length, uint64_t limit_ns)
{
	struct fh_io *io = fh_io_new(unit);
	bool over = false;
	int status;

	io->request.operation = operation;
	io->request.length = length;
	io->request.deadline_ns = s3_now_ns() + limit_ns;
	io->segments[0] = (struct tgtkit_segment){.address = buffer, .length = length, .region = TGTKIT_NO_REGION};
	io->request.segments = io->segments;
	io->request.segment_count = length == 0 ? 0 : 1;
	io->done = note;
	io->context = &over;
	fh_io_submit(io);
	fh_run_until(is_over, &over);
	status = io->status;
	fh_io_free(io);
	return status;
}

static const struct {
	const char *fault;
	int flush, read;
} refusals[] = {
    {"internal 1 *", -ETIMEDOUT, -ETIMEDOUT}, {"reset 1 GET", 0, -ETIMEDOUT},	   {"damage 1 GET", 0, -ETIMEDOUT},
    {"lose 1 *", -ETIMEDOUT, -ETIMEDOUT},     {"forbidden 1 PUT,GET", -EIO, -EIO}, {"notfound 1 GET", 0, -EIO},
};

START_TEST(lasting_faults_end_in_the_right_error_and_recovery_follows)
{
	static unsigned char model[BYTES], block[4096];
	struct lab_volume volume;
	struct fh_unit *unit;
	uint64_t began;

	faulty_volume(&volume);
	unit = lab_create(&volume);
	work(unit, model, 48, 7);
	fh_close(unit);
	unit = lab_open(&volume);
	/* A whole chunk: its upload needs no read. */
	lab_fill(model + 64 * KIB, 64 * KIB, 0, 5);
	ck_assert_int_eq(fh_write(unit, model + 64 * KIB, 64 * KIB, 64 * KIB, 0), 0);
	set_fault(refusals[_i].fault);
	began = s3_now_ns();
	ck_assert_int_eq(with_deadline(unit, TGTKIT_READ, block, sizeof(block), 2 * S3_SECOND_NS), refusals[_i].read);
	lab_fill(model + 128 * KIB, 64 * KIB, 0, 6);
	ck_assert_int_eq(fh_write(unit, model + 128 * KIB, 64 * KIB, 128 * KIB, 0), 0);
	ck_assert_int_eq(with_deadline(unit, TGTKIT_FLUSH, NULL, 0, 2 * S3_SECOND_NS), refusals[_i].flush);
	ck_assert_uint_lt(s3_now_ns() - began, 20 * S3_SECOND_NS);
	set_fault("");
	ck_assert_int_eq(fh_flush(unit), 0);
	compare(unit, model);
	fh_close(unit);
	unit = lab_open(&volume);
	compare(unit, model);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(a_wrong_clock_is_corrected_once_else_named)
{
	struct lab_volume volume;
	struct fh_unit *unit;

	faulty_volume(&volume);
	fh_close(lab_create(&volume));
	set_fault("skew 1 *");
	ck_assert_int_lt(fh_open(&volume.spec, &unit), 0);
	ck_assert_msg(strstr(fh_error(), "clocks") != NULL, "%s", fh_error());
	set_fault("skew 0.4 GET");
	for (unsigned tries = 0; fh_log_count(TGTKIT_LOG_WARNING) == 0 && tries < 20; tries++)
		if (fh_open(&volume.spec, &unit) == 0)
			fh_close(unit);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_WARNING), "ahead of this host's"));
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

START_TEST(an_expired_token_is_refreshed_once)
{
	static unsigned char model[BYTES], block[4096];
	struct lab_volume volume;
	struct fh_unit *unit;

	faulty_volume(&volume);
	unit = lab_create(&volume);
	work(unit, model, 8, 11);
	fh_close(unit);
	unit = lab_open(&volume);
	set_fault("expired_once 1 GET");
	compare(unit, model);
	ck_assert_uint_eq(fh_log_count(TGTKIT_LOG_WARNING), 0);
	set_fault("expired_once 1 PUT");
	ck_assert_int_eq(fh_write(unit, model, 64 * KIB, 0, TGTKIT_REQUEST_FUA), 0);
	fh_close(unit);
	unit = lab_open(&volume);
	set_fault("expired 1 GET");
	ck_assert_int_eq(with_deadline(unit, TGTKIT_READ, block, sizeof(block), 5 * S3_SECOND_NS), -EIO);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_WARNING), "the session token has expired"));
	set_fault("");
	compare(unit, model);
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

/* ---- TLS
 * ---------------------------------------------------------------------------------------------------------------- */

static void make_certificate(void)
{
	char command[512];

	snprintf(certificate, sizeof(certificate), "%s/certificate.%ld", lab_folder, (long)getpid());
	snprintf(key, sizeof(key), "%s/key.%ld", lab_folder, (long)getpid());
	snprintf(
	    command, sizeof(command),
	    "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tests -addext subjectAltName=IP:127.0.0.1 "
	    "-keyout %s -out %s 2>/dev/null",
	    key, certificate);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(over_tls_with_a_ca_of_ones_own_and_damage_is_refused)
{
	static unsigned char model[BYTES];
	struct lab_volume volume;
	struct fh_unit *unit;

	make_certificate();
	faulty_volume(&volume);
	lab_option(&volume, "retries", "0");
	volume.spec.flags = TGTKIT_OPEN_CREATE;
	volume.spec.plugin = fh_load(S3_PLUGIN);
	ck_assert_int_lt(fh_open(&volume.spec, &unit), 0);
	ck_assert_msg(strstr(fh_error(), "certificate") != NULL, "%s", fh_error());
	lab_option(&volume, "ca_file", certificate);
	lab_option(&volume, "retries", "30");
	unit = lab_create(&volume);
	set_fault("damage_up 0.3 PUT");
	work(unit, model, 48, 3);
	set_fault("");
	fh_close(unit);
	unit = lab_open(&volume);
	set_fault("damage 0.3 GET");
	compare(unit, model);
	set_fault("");
	fh_close(unit);
	ck_assert_uint_eq(fh_violations(), 0);
}
END_TEST

Suite *fault_suite(void)
{
	Suite *suite = suite_create("fault");
	TCase *tests = tcase_create("fault");

	tcase_add_unchecked_fixture(tests, lab_set_up, NULL);
	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, faults_that_pass_change_no_byte, 0, sizeof(passing) / sizeof(passing[0]));
	tcase_add_loop_test(tests, opening_through_faults_finds_everything_or_nothing, 0, 8);
	tcase_add_loop_test(tests, lasting_faults_end_in_the_right_error_and_recovery_follows, 0,
			    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tests, a_wrong_clock_is_corrected_once_else_named);
	tcase_add_test(tests, an_expired_token_is_refreshed_once);
	tcase_add_test(tests, over_tls_with_a_ca_of_ones_own_and_damage_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
