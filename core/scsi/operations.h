/* SPDX-License-Identifier: Apache-2.0
 *
 * The one table of what a logical unit can do: a row per operation code and service action.  It checks the CDB, decodes
 * it, answers REPORT SUPPORTED OPERATION CODES, and says what a reservation, a unit attention or a locked range means
 * to the command.
 */
#ifndef TGTKIT_SCSI_OPERATIONS_H
#define TGTKIT_SCSI_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scsi_command;
struct scsi_logical_unit;

/* What a reservation of another nexus does to it: SPC-4 table 66, SBC-3 table 13, and SPC-2 for RESERVE. */
enum scsi_access_class {
	SCSI_CLASS_ALWAYS, /* never refused */
	SCSI_CLASS_QUERY,  /* refused by a legacy reservation alone */
	SCSI_CLASS_READ,   /* refused by exclusive access too */
	SCSI_CLASS_WRITE,  /* refused by write exclusive too */
};

/* Bits of scsi_nexus_lun.refusals: one per class, and the mapping's own. */
enum scsi_refusal {
	SCSI_REFUSE_QUERY = 1u << SCSI_CLASS_QUERY,
	SCSI_REFUSE_READ = 1u << SCSI_CLASS_READ,
	SCSI_REFUSE_WRITE = 1u << SCSI_CLASS_WRITE,
	SCSI_REFUSE_RESERVED = SCSI_REFUSE_QUERY | SCSI_REFUSE_READ | SCSI_REFUSE_WRITE,
	SCSI_REFUSE_READ_ONLY = 1u << 8, /* the mapping is read-only */
	SCSI_REFUSE_STANDBY = 1u << 9,	 /* states of the target port's group */
	SCSI_REFUSE_UNAVAILABLE = 1u << 10,
	SCSI_REFUSE_TRANSITION = 1u << 11,
	SCSI_REFUSE_BY_STATE = SCSI_REFUSE_STANDBY | SCSI_REFUSE_UNAVAILABLE | SCSI_REFUSE_TRANSITION,
};

enum scsi_length_unit {
	SCSI_LENGTH_NONE,
	SCSI_LENGTH_BLOCKS,	/* of the range; they are transferred */
	SCSI_LENGTH_RANGE,	/* of the range; its `decode` says what is transferred */
	SCSI_LENGTH_ALLOCATION, /* bytes of data-in at most */
	SCSI_LENGTH_PARAMETERS, /* bytes of data-out */
};

enum scsi_operation_flags {
	SCSI_OP_SERVICE_ACTION = 1u << 0,
	SCSI_OP_WITHOUT_UNIT = 1u << 1,	    /* answered by an unmapped LUN 0 and the REPORT LUNS well-known unit */
	SCSI_OP_BEFORE_ATTENTION = 1u << 2, /* a pending unit attention does not stop it */
	SCSI_OP_MEDIUM = 1u << 3,	    /* needs the medium, ready */
	SCSI_OP_WRITES = 1u << 4,
	SCSI_OP_STRICT_BYTE_1 =
	    1u << 5, /* bits 7 to 5 of byte 1 mean something (protection, IMMED ...): none is ignored */
	SCSI_OP_LENGTH_0_IS_256 = 1u << 6,
	SCSI_OP_WHOLE = 1u << 7,	 /* touches blocks that its CDB does not name */
	SCSI_OP_LOCKS_RANGE = 1u << 8,	 /* serialised with everything that touches its range */
	SCSI_OP_ALWAYS_READY = 1u << 10, /* while the medium is being sanitized, and in any state of the port's group */
	SCSI_OP_EXACT_DATA = 1u << 13,   /* its data-out means something only as a whole: no more and no less is taken */
	SCSI_OP_IN_STANDBY = 1u << 12,	 /* when the port's group is in standby */
	SCSI_OP_SANITIZES = 1u << 11,	 /* also when sanitizing has failed */
	SCSI_OP_CONFIGURES = 1u << 9,	 /* serialised with everything that changes the state of the unit */
};

struct scsi_operation {
	const char *name;
	uint8_t code;
	uint8_t service_action; /* with SCSI_OP_SERVICE_ACTION */
	uint8_t cdb_bytes;
	uint8_t direction;	   /* enum scsi_direction */
	uint8_t access;		   /* enum scsi_access_class */
	uint8_t lba_at, lba_bytes; /* bytes 0: it has none; 3: 21 bits */
	uint8_t length_at, length_bytes, length_unit;
	uint16_t flags;
	uint8_t usage[16];    /* bits that may be set, as REPORT SUPPORTED OPERATION CODES says; byte 0 apart */
	uint8_t also_byte_1;  /* obsolete bits of byte 1 that are accepted and ignored */
	uint32_t reply_bytes; /* data-in: the longest that it can be; 0: one page */
	/* Decodes and checks what the row cannot say; may change direction and transfer_length.  false: sense is set.
	 */
	bool (*decode)(struct scsi_command *command);
	/* Bytes of memory of READ class that it works with, apart from its data-in. */
	uint32_t (*work_bytes)(const struct scsi_command *command);
	/* NULL: every unit has it. */
	bool (*offered)(const struct scsi_logical_unit *unit);
	void (*execute)(struct scsi_command *command);
	/* Computed when the table is first used. */
	uint64_t rejected[2]; /* of the CDB's 16 bytes, as in memory */
	uint32_t gate;	      /* bits of the access word that concern it */
	uint32_t refusals;    /* bits of scsi_nexus_lun.refusals that concern it */
};

/* Once, before any other call; more calls do nothing. */
void scsi_operations_init(void);
/* NULL: no such operation code, or no such service action of it. */
const struct scsi_operation *scsi_operations_find(const uint8_t cdb[static 16]);
bool scsi_operations_has_service_actions(uint8_t code);
/* Whether the unit offers any row of the code. */
bool scsi_operations_code_offered(uint8_t code, const struct scsi_logical_unit *unit);
size_t scsi_operations_count(void);
const struct scsi_operation *scsi_operations_get(size_t index);
/* unit NULL: where there is no logical unit. */
bool scsi_operation_offered(const struct scsi_operation *operation, const struct scsi_logical_unit *unit);

#endif
