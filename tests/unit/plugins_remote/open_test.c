/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening: what is refused says which URI and why; what is declared is what the server has.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "remote_test.h"

/* ---- Settings ------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *uri, *says;
	struct fh_option options[2];
} refused[] = {
    {"", "no URI of an NBD server", {{NULL, NULL}}},
    {"/srv/disk.img", "no URI of an NBD server", {{NULL, NULL}}},
    {"http://localhost/", "no URI of an NBD server", {{NULL, NULL}}},
    {"nbd+vsock://2/", "no URI of an NBD server", {{NULL, NULL}}},
    {"nbd+unix:///export", "names no socket", {{NULL, NULL}}},
    {"nbd://localhost/", "is not encrypted", {{"tls_psk_file", "/dev/null"}}},
    {"nbd://localhost/", "is not encrypted", {{"tls_username", "alice"}}},
    {"nbds://localhost/", "needs tls_certificates or tls_psk_file", {{NULL, NULL}}},
    {"nbds://localhost/", "/nonexistent/ca-cert.pem' cannot be read", {{"tls_certificates", "/nonexistent"}}},
    {"nbds://localhost/", "'/nonexistent' cannot be read", {{"tls_psk_file", "/nonexistent"}}},
    {"nbd://localhost/", "'connections'", {{"connections", "17"}}},
    {"nbd://localhost/", "'timeout_s'", {{"timeout_s", "0"}}},
};

START_TEST(settings_that_cannot_be_are_refused_by_check_and_open)
{
	struct fh_spec spec = {.plugin = fh_load(REMOTE_PLUGIN)};
	struct fh_option options[2] = {refused[_i].options[0], {NULL, NULL}};

	spec.path = refused[_i].uri;
	spec.options = options;
	ck_assert_int_lt(fh_check(&spec), 0);
	assert_error_says(refused[_i].says);
	ck_assert_int_lt(fh_open(&spec, &unit), 0);
	assert_error_says(refused[_i].says);
}
END_TEST

START_TEST(check_needs_no_server)
{
	const struct fh_spec spec = {.plugin = fh_load(REMOTE_PLUGIN), .path = "nbd+unix:///?socket=/nonexistent"};

	ck_status(fh_check(&spec), 0);
}
END_TEST

/* ---- Servers -------------------------------------------------------------------------------------------------------- */

START_TEST(an_absent_socket_is_refused_with_the_cause)
{
	ck_status(try_open("nbd+unix:///?socket=/nonexistent/socket", NULL), -ENOENT);
	assert_error_says("No such file or directory");
}
END_TEST

START_TEST(a_port_where_nobody_listens_is_refused_with_the_cause)
{
	serve("nbdkit", "-f", "memory", "1M");
	nbd_server_kill(&server, SIGKILL);
	nbd_server_start(&server, NULL, ARGUMENTS("nbdkit", "-f", "memory", "1M"));
	nbd_server_kill(&server, SIGKILL);
	ck_status(try_open(NULL, NULL), -ECONNREFUSED);
	assert_error_says("refused");
}
END_TEST

START_TEST(a_host_that_cannot_be_resolved_is_named)
{
	ck_assert_int_lt(try_open("nbd://host.invalid/", NULL), 0);
	assert_error_says("host.invalid");
}
END_TEST

START_TEST(an_absent_export_is_refused_with_the_servers_words)
{
	char uri[300];

	make_file("disk", MIB);
	serve("qemu-nbd", "-t", "-f", "raw", "-x", "right", in_scratch("disk"));
	snprintf(uri, sizeof(uri), "nbd+unix:///wrong?socket=%s", server.socket);
	ck_assert_int_lt(try_open(uri, NULL), 0);
	assert_error_says("server");
	snprintf(uri, sizeof(uri), "nbd+unix:///right?socket=%s", server.socket);
	ck_status(try_open(uri, NULL), 0);
	fh_close(unit);
}
END_TEST

START_TEST(an_export_without_bytes_is_refused)
{
	serve("nbdkit", "-f", "memory", "0");
	ck_status(try_open(NULL, NULL), -EINVAL);
	assert_error_says("has no bytes");
}
END_TEST

/* ---- Capabilities --------------------------------------------------------------------------------------------------- */

#define ALWAYS (TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA)
#define RANGES (TGTKIT_CAN_DISCARD | TGTKIT_CAN_ZERO | TGTKIT_CAN_EXTENTS)

static const struct {
	const char *arguments[8];
	uint32_t present, absent;
} declared[] = {
    {{"nbdkit", "-f", "memory", "1M"},
     ALWAYS | RANGES | TGTKIT_VOLATILE_CACHE,
     TGTKIT_READ_ONLY | TGTKIT_ROTATIONAL | TGTKIT_DISCARD_READS_ZERO | TGTKIT_RETAINS_DIRTY | TGTKIT_SHARED_WRITERS},
    {{"nbdkit", "-f", "-r", "memory", "1M"},
     TGTKIT_READ_ONLY | TGTKIT_CAN_EXTENTS,
     TGTKIT_CAN_DISCARD | TGTKIT_CAN_ZERO},
    {{"nbdkit", "-f", "--filter=nozero", "--no-sr", "memory", "1M"},
     ALWAYS | TGTKIT_CAN_DISCARD,
     TGTKIT_CAN_ZERO | TGTKIT_CAN_EXTENTS},
    {{"nbdkit", "-f", "eval", "get_size=echo 1M", "pread=dd if=/dev/zero count=$3 iflag=count_bytes"},
     TGTKIT_READ_ONLY,
     TGTKIT_CAN_FLUSH | TGTKIT_CAN_FUA | TGTKIT_VOLATILE_CACHE | TGTKIT_CAN_DISCARD | TGTKIT_CAN_ZERO},
    {{"nbdkit", "-f", "eval", "get_size=echo 1M", "pread=dd if=/dev/zero count=$3 iflag=count_bytes",
      "is_rotational=exit 0"},
     TGTKIT_ROTATIONAL,
     0},
};

START_TEST(capabilities_are_what_the_server_says)
{
	const struct tgtkit_capabilities *seen;

	if (!nbd_server_has("nbdkit"))
		return;
	nbd_server_start(&server, in_scratch("socket"), declared[_i].arguments);
	open_unit(NULL);
	seen = fh_capabilities(unit);
	ck_assert_msg((seen->flags & declared[_i].present) == declared[_i].present, "flags %x lack some of %x",
		      seen->flags, declared[_i].present);
	ck_assert_msg((seen->flags & declared[_i].absent) == 0, "flags %x have some of %x", seen->flags,
		      declared[_i].absent);
	ck_assert_uint_eq(seen->size_bytes, MIB);
	ck_assert_uint_eq(seen->max_queues, 1);
	ck_assert_uint_eq(seen->maximum_segments, 1);
	fh_close(unit);
}
END_TEST

START_TEST(block_sizes_are_the_servers)
{
	const struct tgtkit_capabilities *seen;

	serve("nbdkit", "-f", "--filter=blocksize-policy", "memory", "1030K", "blocksize-minimum=4K",
	      "blocksize-preferred=32K", "blocksize-maximum=256K", "blocksize-error-policy=error");
	open_unit(NULL);
	seen = fh_capabilities(unit);
	ck_assert_uint_eq(seen->offset_alignment_bytes, 4096);
	ck_assert_uint_eq(seen->physical_block_bytes, 32 * KIB);
	ck_assert_uint_eq(seen->optimal_transfer_bytes, 32 * KIB);
	ck_assert_uint_eq(seen->maximum_transfer_bytes, 256 * KIB);
	/* The rest is no whole block. */
	ck_assert_uint_eq(seen->size_bytes, 1028 * KIB);
	/* The unit zeroes blocks of 512 bytes, the server does not. */
	ck_assert(!(seen->flags & TGTKIT_CAN_ZERO));
	fh_close(unit);
}
END_TEST

START_TEST(several_connections_are_made_only_if_the_server_says_so)
{
	serve("nbdkit", "-f", "--filter=multi-conn", "memory", "1M", "multi-conn-mode=disable");
	open_unit(OPTIONS({"connections", "4"}));
	ck_assert_uint_eq(counter_value("connections"), 1);
	ck_assert_ptr_nonnull(strstr(fh_last_log(TGTKIT_LOG_WARNING), "one connection instead of 4"));
	fh_close(unit);
	nbd_server_kill(&server, SIGKILL);
	serve("nbdkit", "-f", "memory", "1M");
	open_unit(OPTIONS({"connections", "4"}));
	wait_for_counter("connections", 4);
	fh_close(unit);
}
END_TEST

TCase *open_tests(void)
{
	TCase *tests = make_case("opening");

	tcase_add_loop_test(tests, settings_that_cannot_be_are_refused_by_check_and_open, 0,
			    sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(tests, check_needs_no_server);
	tcase_add_test(tests, an_absent_socket_is_refused_with_the_cause);
	tcase_add_test(tests, a_port_where_nobody_listens_is_refused_with_the_cause);
	tcase_add_test(tests, a_host_that_cannot_be_resolved_is_named);
	tcase_add_test(tests, an_absent_export_is_refused_with_the_servers_words);
	tcase_add_test(tests, an_export_without_bytes_is_refused);
	tcase_add_loop_test(tests, capabilities_are_what_the_server_says, 0, sizeof(declared) / sizeof(declared[0]));
	tcase_add_test(tests, block_sizes_are_the_servers);
	tcase_add_test(tests, several_connections_are_made_only_if_the_server_says_so);
	return tests;
}
