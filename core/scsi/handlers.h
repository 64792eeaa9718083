/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to core/scsi: the functions that the rows of scsi/operations.c name.
 */
#ifndef TGTKIT_SCSI_HANDLERS_H
#define TGTKIT_SCSI_HANDLERS_H

#include <stdbool.h>
#include <stdint.h>

struct scsi_command;
struct scsi_logical_unit;

/* spc_inquiry.c, spc_report.c, spc_supported_operations.c, mode_pages.c */
void spc_test_unit_ready(struct scsi_command *command);
bool spc_inquiry_decode(struct scsi_command *command);
void spc_inquiry(struct scsi_command *command);
bool spc_report_luns_decode(struct scsi_command *command);
void spc_report_luns(struct scsi_command *command);
void spc_request_sense(struct scsi_command *command);
bool spc_mode_sense_decode(struct scsi_command *command);
void spc_mode_sense(struct scsi_command *command);
bool spc_supported_operations_decode(struct scsi_command *command);
void spc_supported_operations(struct scsi_command *command);

/* spc_mode_select.c, spc_diagnostic.c, spc_log_sense.c, spc_supported_functions.c */
bool spc_mode_select_decode(struct scsi_command *command);
void spc_mode_select(struct scsi_command *command);
uint32_t spc_send_diagnostic_work_bytes(const struct scsi_command *command);
void spc_send_diagnostic(struct scsi_command *command);
void sbc_read_defect_data_10(struct scsi_command *command);
void sbc_read_defect_data_12(struct scsi_command *command);
bool spc_log_sense_decode(struct scsi_command *command);
void spc_log_sense(struct scsi_command *command);
void spc_supported_functions(struct scsi_command *command);

/* spc_port_groups.c */
void spc_report_port_groups(struct scsi_command *command);
bool spc_set_port_groups_decode(struct scsi_command *command);
void spc_set_port_groups(struct scsi_command *command);

/* spc_extended_copy.c, spc_copy_results.c */
bool spc_extended_copy_offered(const struct scsi_logical_unit *unit);
bool spc_extended_copy_decode(struct scsi_command *command);
void spc_extended_copy(struct scsi_command *command);
bool spc_copy_status_decode(struct scsi_command *command);
void spc_copy_status(struct scsi_command *command);
void spc_copy_operating_parameters(struct scsi_command *command);

/* sbc_prevent_allow.c, sbc_lba_status.c, sbc_sanitize.c */
struct scsi_nexus_lun;
bool sbc_prevent_allow_offered(const struct scsi_logical_unit *unit);
bool sbc_prevent_allow_decode(struct scsi_command *command);
void sbc_prevent_allow(struct scsi_command *command);
void scsi_prevent_removal(struct scsi_nexus_lun *nexus_lun, bool prevent);
bool sbc_get_lba_status_decode(struct scsi_command *command);
void sbc_get_lba_status(struct scsi_command *command);
bool sbc_sanitize_erase_offered(const struct scsi_logical_unit *unit);
bool sbc_sanitize_decode(struct scsi_command *command);
void sbc_sanitize(struct scsi_command *command);
void sbc_sanitize_exit_failure_mode(struct scsi_command *command);

/* spc_reserve.c, reservations_in.c, reservations_out.c */
void spc_reserve(struct scsi_command *command);
void spc_release(struct scsi_command *command);
bool spc_persistent_reservations_offered(const struct scsi_logical_unit *unit);
void spc_persistent_reserve_in(struct scsi_command *command);
bool spc_persistent_reserve_out_decode(struct scsi_command *command);
void spc_persistent_reserve_out(struct scsi_command *command);

/* sbc_capacity.c, sbc_start_stop.c, sbc_read_write.c */
bool sbc_read_capacity_10_decode(struct scsi_command *command);
void sbc_read_capacity_10(struct scsi_command *command);
void sbc_read_capacity_16(struct scsi_command *command);
bool sbc_start_stop_decode(struct scsi_command *command);
void sbc_start_stop(struct scsi_command *command);
void sbc_read(struct scsi_command *command);
void sbc_write(struct scsi_command *command);
void sbc_synchronize_cache(struct scsi_command *command);
void sbc_pre_fetch(struct scsi_command *command);

/* sbc_verify.c */
bool sbc_verify_decode(struct scsi_command *command);
bool sbc_write_and_verify_decode(struct scsi_command *command);
uint32_t sbc_verify_work_bytes(const struct scsi_command *command);
void sbc_verify(struct scsi_command *command);
void sbc_write_and_verify(struct scsi_command *command);

/* sbc_unmap.c, sbc_write_same.c */
bool sbc_unmap_offered(const struct scsi_logical_unit *unit);
bool sbc_unmap_decode(struct scsi_command *command);
void sbc_unmap(struct scsi_command *command);
bool sbc_write_same_decode(struct scsi_command *command);
uint32_t sbc_write_same_work_bytes(const struct scsi_command *command);
void sbc_write_same(struct scsi_command *command);

/* sbc_compare_and_write.c */
bool sbc_compare_and_write_offered(const struct scsi_logical_unit *unit);
bool sbc_compare_and_write_decode(struct scsi_command *command);
uint32_t sbc_compare_and_write_work_bytes(const struct scsi_command *command);
void sbc_compare_and_write(struct scsi_command *command);
bool sbc_write_atomic_offered(const struct scsi_logical_unit *unit);
bool sbc_write_atomic_decode(struct scsi_command *command);
bool sbc_orwrite_offered(const struct scsi_logical_unit *unit);
uint32_t sbc_orwrite_work_bytes(const struct scsi_command *command);
void sbc_orwrite(struct scsi_command *command);

#endif
