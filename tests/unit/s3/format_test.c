/* SPDX-License-Identifier: Apache-2.0
 *
 * The stored format: names, metadata, leases, maps, checksums.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>

#include "s3/checksum.h"
#include "s3/metadata.h"
#include "s3/table.h"
#include "unit/runner.h"

START_TEST(chunk_names_are_as_designed)
{
	const struct s3_name name = {S3_NAME_DATA, 0x1f, 0xabc}, adopted = {S3_NAME_ADOPTED, 0, 512};
	struct s3_text text = {0};
	struct s3_key key;

	s3_key_chunk(&text, 42, &name);
	ck_assert_str_eq(text.data, "g0000001f/chunk_0000000042.00000abc");
	key = s3_key_parse(text.data);
	ck_assert_int_eq(key.kind, S3_KEY_CHUNK);
	ck_assert_uint_eq(key.index, 42);
	ck_assert_uint_eq(key.generation, 0x1f);
	ck_assert_uint_eq(key.sequence, 0xabc);
	s3_text_clear(&text);
	s3_key_chunk(&text, 7, &adopted);
	ck_assert_str_eq(text.data, "chunk_0000000007");
	ck_assert_int_eq(s3_key_parse(text.data).kind, S3_KEY_ADOPTED);
	s3_text_free(&text);
}
END_TEST

START_TEST(other_names_are_not_ours)
{
	static const char *const others[] = {"",
					     "_metadata2",
					     "_map.1",
					     "_map.0000000A",
					     "_map.00000001x",
					     "chunk_1",
					     "chunk_00000000001",
					     "g00000001/chunk_0000000001",
					     "_lease.",
					     "g00000001/chunk_0000000001.00000001/",
					     "chunk_99999999999999999999"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(s3_key_parse(others[i]).kind == S3_KEY_OTHER, "%s", others[i]);
	ck_assert_int_eq(s3_key_parse("_metadata").kind, S3_KEY_METADATA);
	ck_assert_uint_eq(s3_key_parse("_map.000000ff").generation, 255);
	ck_assert_uint_eq(s3_key_parse("_lease.00000010").generation, 16);
}
END_TEST

static int decode(const char *json, struct s3_metadata *metadata)
{
	char reason[128] = "";
	const int status = s3_metadata_decode(json, strlen(json), metadata, reason);

	ck_assert_int_eq(status != 0, reason[0] != '\0');
	return status;
}

START_TEST(metadata_round_trips)
{
	struct s3_metadata metadata = {.format = S3_FORMAT,
				       .chunk_bytes = 4u << 20,
				       .device_bytes = UINT64_C(10) << 30,
				       .created = "2026-01-02T03:04:05Z"},
			   back;
	struct s3_text json = {0};

	s3_make_uuid(metadata.uuid);
	s3_metadata_encode(&metadata, &json);
	ck_assert_int_eq(decode(json.data, &back), 0);
	ck_assert_str_eq(back.uuid, metadata.uuid);
	ck_assert_str_eq(back.created, metadata.created);
	ck_assert_uint_eq(back.device_bytes, metadata.device_bytes);
	ck_assert_uint_eq(back.chunk_bytes, metadata.chunk_bytes);
	ck_assert_uint_eq(back.format, 2);
	s3_text_free(&json);
}
END_TEST

START_TEST(metadata_of_gotgt_is_known_by_its_lack_of_a_format)
{
	struct s3_metadata metadata;

	ck_assert_int_eq(decode("{\"deviceSize\":1048576,\"chunkSize\":1536}", &metadata), 0);
	ck_assert_uint_eq(metadata.format, 0);
	ck_assert_uint_eq(metadata.chunk_bytes, 1536);
}
END_TEST

START_TEST(damaged_metadata_is_refused)
{
	static const char *const bad[] = {"",
					  "[]",
					  "{",
					  "{\"deviceSize\":-1,\"chunkSize\":65536}",
					  "{\"deviceSize\":1024}",
					  "{\"deviceSize\":1024,\"chunkSize\":0}",
					  "{\"deviceSize\":1024,\"chunkSize\":1000}",
					  "{\"format\":\"2\",\"deviceSize\":1024,\"chunkSize\":65536}",
					  "{\"format\":2,\"deviceSize\":1024,\"chunkSize\":65536}",
					  "{\"deviceSize\":1024,\"chunkSize\":8589934592}"};
	struct s3_metadata metadata;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(decode(bad[i], &metadata) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(decode("{\"format\":3}", &metadata), -ENOTSUP);
}
END_TEST

START_TEST(impossible_sizes_are_objected_to)
{
	struct s3_metadata metadata = {.chunk_bytes = 65536, .device_bytes = 1024};

	ck_assert_ptr_null(s3_metadata_objection(&metadata));
	metadata.device_bytes = 1000;
	ck_assert_ptr_nonnull(s3_metadata_objection(&metadata));
	metadata = (struct s3_metadata){.chunk_bytes = 65536 * 3, .device_bytes = 1024};
	ck_assert_ptr_nonnull(s3_metadata_objection(&metadata));
	metadata.chunk_bytes = 128u << 20;
	ck_assert_ptr_nonnull(s3_metadata_objection(&metadata));
}
END_TEST

START_TEST(leases_round_trip)
{
	struct s3_lease_record lease = {.renewals = 12,
					.device_bytes = 5120,
					.released = true,
					.host = "h\"ost",
					.machine = "m",
					.boot = "b",
					.state = "8:1"},
			       back;
	struct s3_text json = {0};

	s3_make_uuid(lease.nonce);
	s3_lease_encode(&lease, &json);
	ck_assert(s3_lease_decode(json.data, json.length, &back));
	ck_assert_mem_eq(&lease, &back, sizeof(lease));
	ck_assert(s3_lease_decode("{\"nonce\":\"n\",\"renewals\":1}", 26, &back));
	ck_assert_uint_eq(back.device_bytes, 0);
	ck_assert(s3_lease_decode("{\"nonce\":\"n\",\"renewals\":1,\"deviceSize\":513}", 43, &back));
	ck_assert_uint_eq(back.device_bytes, 0);
	ck_assert(!s3_lease_decode("{}", 2, &back));
	ck_assert(!s3_lease_decode("x", 1, &back));
	s3_text_free(&json);
}
END_TEST

static void fill(struct s3_table *table)
{
	s3_table_init(table, 1000000);
	ck_assert_int_eq(s3_table_set(table, 0, (struct s3_name){S3_NAME_DATA, 1, 2}), 0);
	ck_assert_int_eq(s3_table_set(table, 999999, (struct s3_name){S3_NAME_ZERO, 3, 4}), 0);
	ck_assert_int_eq(s3_table_set(table, 5000, (struct s3_name){S3_NAME_ADOPTED, 0, 512}), 0);
}

START_TEST(tables_are_sparse_and_bounded)
{
	struct s3_table table;

	fill(&table);
	ck_assert_uint_eq(s3_table_next(&table, 0), 0);
	ck_assert_uint_eq(s3_table_next(&table, 1), 5000);
	ck_assert_uint_eq(s3_table_next(&table, 5001), 999999);
	ck_assert_uint_eq(s3_table_next(&table, 1000000), UINT64_MAX);
	ck_assert_uint_eq(s3_table_get(&table, 77).kind, S3_NAME_ABSENT);
	ck_assert_uint_eq(s3_table_get(&table, UINT64_MAX).kind, S3_NAME_ABSENT);
	ck_assert_int_eq(s3_table_set(&table, 1000000, (struct s3_name){S3_NAME_DATA, 1, 1}), -ERANGE);
	s3_table_free(&table);
}
END_TEST

START_TEST(maps_round_trip_and_damage_is_seen)
{
	struct s3_table table, back;
	struct s3_text bytes = {0};

	fill(&table);
	s3_map_encode(&table, 9, 65536, &bytes);
	s3_table_init(&back, 1000000);
	ck_assert_int_eq(s3_map_decode(bytes.data, bytes.length, 9, 65536, &back), 0);
	ck_assert_uint_eq(s3_table_get(&back, 5000).sequence, 512);
	ck_assert_uint_eq(s3_table_next(&back, 5001), 999999);
	s3_table_free(&back);
	ck_assert_int_eq(s3_map_decode(bytes.data, bytes.length, 8, 65536, &back), -EINVAL);
	ck_assert_int_eq(s3_map_decode(bytes.data, bytes.length, 9, 4096, &back), -EINVAL);
	for (size_t i = 0; i < bytes.length; i++) {
		ck_assert_int_eq(s3_map_decode(bytes.data, i, 9, 65536, &back), -EINVAL);
		bytes.data[i] = (char)(bytes.data[i] ^ 1);
		ck_assert_int_eq(s3_map_decode(bytes.data, bytes.length, 9, 65536, &back), -EINVAL);
		bytes.data[i] = (char)(bytes.data[i] ^ 1);
	}
	s3_text_free(&bytes);
	s3_table_free(&table);
}
END_TEST

START_TEST(maps_beyond_the_volume_are_refused)
{
	struct s3_table table, back;
	struct s3_text bytes = {0};

	fill(&table);
	s3_map_encode(&table, 9, 65536, &bytes);
	s3_table_init(&back, 999999);
	ck_assert_int_eq(s3_map_decode(bytes.data, bytes.length, 9, 65536, &back), -EINVAL);
	s3_table_free(&back);
	s3_text_clear(&bytes);
	s3_map_encode(&table, 2, 65536, &bytes); /* names a chunk of generation 3 */
	s3_table_init(&back, 1000000);
	ck_assert_int_eq(s3_map_decode(bytes.data, bytes.length, 2, 65536, &back), -EINVAL);
	s3_table_free(&back);
	s3_text_free(&bytes);
	s3_table_free(&table);
}
END_TEST

START_TEST(crc32c_is_the_standard_one)
{
	ck_assert_uint_eq(s3_crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(s3_crc32c(s3_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}
END_TEST

START_TEST(checksums_fit_a_header_at_every_chunk_size)
{
	uint32_t crcs[S3_CHECK_BLOCKS], back[S3_CHECK_BLOCKS];
	char text[S3_CHECKSUM_TEXT_BYTES];

	for (uint32_t i = 0; i < S3_CHECK_BLOCKS; i++)
		crcs[i] = i * 0x9e3779b9u;
	for (uint32_t bytes = S3_GRANULE_BYTES; bytes <= S3_CHUNK_BYTES_MAXIMUM; bytes += bytes / 3 / 512 * 512 + 512) {
		ck_assert_uint_le(s3_check_count(bytes), S3_CHECK_BLOCKS);
		ck_assert_uint_ge((uint64_t)s3_check_count(bytes) * s3_check_bytes(bytes), bytes);
	}
	s3_checksums_encode(crcs, S3_CHECK_BLOCKS, text);
	ck_assert_uint_lt(strlen(S3_CHECKSUM_HEADER) + strlen(text), 2048);
	ck_assert(s3_checksums_decode(text, back, S3_CHECK_BLOCKS));
	ck_assert_mem_eq(crcs, back, sizeof(crcs));
	ck_assert(!s3_checksums_decode(text, back, S3_CHECK_BLOCKS - 1));
}
END_TEST

Suite *format_suite(void)
{
	Suite *suite = suite_create("format");
	TCase *tests = tcase_create("format");

	tcase_add_test(tests, chunk_names_are_as_designed);
	tcase_add_test(tests, other_names_are_not_ours);
	tcase_add_test(tests, metadata_round_trips);
	tcase_add_test(tests, metadata_of_gotgt_is_known_by_its_lack_of_a_format);
	tcase_add_test(tests, damaged_metadata_is_refused);
	tcase_add_test(tests, impossible_sizes_are_objected_to);
	tcase_add_test(tests, leases_round_trip);
	tcase_add_test(tests, tables_are_sparse_and_bounded);
	tcase_add_test(tests, maps_round_trip_and_damage_is_seen);
	tcase_add_test(tests, maps_beyond_the_volume_are_refused);
	tcase_add_test(tests, crc32c_is_the_standard_one);
	tcase_add_test(tests, checksums_fit_a_header_at_every_chunk_size);
	suite_add_tcase(suite, tests);
	return suite;
}
