/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <string.h>

#include "iscsi/keys.h"
#include "iscsi/parameters.h"

#define LARGEST_DATA_LENGTH ((1u << 24) - 1)
#define SETS(field)	    .parameter = offsetof(struct iscsi_parameters, field)

#define DECLARED(phases)  .function = ISCSI_KEY_DECLARED, .when = (phases), .from_initiator = true
#define BY_TARGET(phases) .function = ISCSI_KEY_DECLARED, .when = (phases)
#define SECURITY	  .function = ISCSI_KEY_SECURITY, .when = ISCSI_KEY_IN_SECURITY, .from_initiator = true
#define OPERATIONAL(kind) .function = (kind), .when = ISCSI_KEY_IN_OPERATIONAL, .from_initiator = true
#define NORMAL_ONLY	  .irrelevant_in_discovery = true
#define RANGE(from, to)	  .minimum = (from), .maximum = (to)
#define OBSOLETE(value)	  OPERATIONAL(ISCSI_KEY_CONSTANT_ANSWER), .answer = (value)

const struct iscsi_key iscsi_keys[ISCSI_KEYS] = {
    [ISCSI_KEY_INITIATOR_NAME] = {"InitiatorName", DECLARED(ISCSI_KEY_IN_LOGIN)},
    [ISCSI_KEY_INITIATOR_ALIAS] = {"InitiatorAlias", DECLARED(ISCSI_KEY_IN_ANY_PHASE)},
    [ISCSI_KEY_TARGET_NAME] = {"TargetName", DECLARED(ISCSI_KEY_IN_LOGIN)},
    [ISCSI_KEY_TARGET_ALIAS] = {"TargetAlias", BY_TARGET(ISCSI_KEY_IN_ANY_PHASE)},
    [ISCSI_KEY_TARGET_ADDRESS] = {"TargetAddress", BY_TARGET(ISCSI_KEY_IN_ANY_PHASE)},
    [ISCSI_KEY_TARGET_PORTAL_GROUP_TAG] = {"TargetPortalGroupTag", BY_TARGET(ISCSI_KEY_IN_LOGIN)},
    [ISCSI_KEY_SESSION_TYPE] = {"SessionType", DECLARED(ISCSI_KEY_IN_LOGIN)},
    [ISCSI_KEY_SEND_TARGETS] = {"SendTargets", DECLARED(ISCSI_KEY_IN_FULL_FEATURE)},

    [ISCSI_KEY_AUTH_METHOD] = {"AuthMethod", SECURITY, .long_value = true},
    [ISCSI_KEY_CHAP_A] = {"CHAP_A", SECURITY, .long_value = true},
    [ISCSI_KEY_CHAP_I] = {"CHAP_I", SECURITY},
    [ISCSI_KEY_CHAP_C] = {"CHAP_C", SECURITY, .long_value = true},
    [ISCSI_KEY_CHAP_N] = {"CHAP_N", SECURITY},
    [ISCSI_KEY_CHAP_R] = {"CHAP_R", SECURITY, .long_value = true},

    [ISCSI_KEY_HEADER_DIGEST] = {"HeaderDigest", OPERATIONAL(ISCSI_KEY_LIST), .long_value = true, SETS(header_digest)},
    [ISCSI_KEY_DATA_DIGEST] = {"DataDigest", OPERATIONAL(ISCSI_KEY_LIST), .long_value = true, SETS(data_digest)},
    [ISCSI_KEY_MAX_CONNECTIONS] = {"MaxConnections", OPERATIONAL(ISCSI_KEY_MINIMUM), NORMAL_ONLY, RANGE(1, 65535),
				   SETS(max_connections)},
    [ISCSI_KEY_INITIAL_R2T] = {"InitialR2T", OPERATIONAL(ISCSI_KEY_OR), NORMAL_ONLY, SETS(initial_r2t)},
    [ISCSI_KEY_IMMEDIATE_DATA] = {"ImmediateData", OPERATIONAL(ISCSI_KEY_AND), NORMAL_ONLY, SETS(immediate_data)},
    [ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH] = {"MaxRecvDataSegmentLength", DECLARED(ISCSI_KEY_IN_ANY_PHASE),
						RANGE(512, LARGEST_DATA_LENGTH),
						SETS(initiator_max_recv_data_segment_length)},
    [ISCSI_KEY_MAX_BURST_LENGTH] = {"MaxBurstLength", OPERATIONAL(ISCSI_KEY_MINIMUM), NORMAL_ONLY,
				    RANGE(512, LARGEST_DATA_LENGTH), SETS(max_burst_length)},
    [ISCSI_KEY_FIRST_BURST_LENGTH] = {"FirstBurstLength", OPERATIONAL(ISCSI_KEY_MINIMUM), NORMAL_ONLY,
				      RANGE(512, LARGEST_DATA_LENGTH), SETS(first_burst_length)},
    [ISCSI_KEY_DEFAULT_TIME2WAIT] = {"DefaultTime2Wait", OPERATIONAL(ISCSI_KEY_MAXIMUM), RANGE(0, 3600),
				     SETS(default_time2wait)},
    [ISCSI_KEY_DEFAULT_TIME2RETAIN] = {"DefaultTime2Retain", OPERATIONAL(ISCSI_KEY_MINIMUM), RANGE(0, 3600),
				       SETS(default_time2retain)},
    [ISCSI_KEY_MAX_OUTSTANDING_R2T] = {"MaxOutstandingR2T", OPERATIONAL(ISCSI_KEY_MINIMUM), NORMAL_ONLY,
				       RANGE(1, 65535), SETS(max_outstanding_r2t)},
    [ISCSI_KEY_DATA_PDU_IN_ORDER] = {"DataPDUInOrder", OPERATIONAL(ISCSI_KEY_OR), NORMAL_ONLY, SETS(data_pdu_in_order)},
    [ISCSI_KEY_DATA_SEQUENCE_IN_ORDER] = {"DataSequenceInOrder", OPERATIONAL(ISCSI_KEY_OR), NORMAL_ONLY,
					  SETS(data_sequence_in_order)},
    [ISCSI_KEY_ERROR_RECOVERY_LEVEL] = {"ErrorRecoveryLevel", OPERATIONAL(ISCSI_KEY_MINIMUM), RANGE(0, 2),
					SETS(error_recovery_level)},
    [ISCSI_KEY_PROTOCOL_LEVEL] = {"iSCSIProtocolLevel", OPERATIONAL(ISCSI_KEY_MINIMUM), NORMAL_ONLY, RANGE(0, 31),
				  SETS(protocol_level)},
    [ISCSI_KEY_TASK_REPORTING] = {"TaskReporting", OPERATIONAL(ISCSI_KEY_LIST), NORMAL_ONLY, .long_value = true,
				  SETS(task_reporting)},
    [ISCSI_KEY_NODE_ARCHITECTURE] = {"X#NodeArchitecture", DECLARED(ISCSI_KEY_IN_LOGIN), .long_value = true},

    /* No for the booleans, which some initiators take better than the Reject that 13.25 also allows. */
    [ISCSI_KEY_OF_MARKER] = {"OFMarker", OBSOLETE("No")},
    [ISCSI_KEY_IF_MARKER] = {"IFMarker", OBSOLETE("No")},
    [ISCSI_KEY_OF_MARK_INT] = {"OFMarkInt", OBSOLETE("Reject")},
    [ISCSI_KEY_IF_MARK_INT] = {"IFMarkInt", OBSOLETE("Reject")},
};

enum iscsi_key_id iscsi_key_find(const char *name)
{
	enum iscsi_key_id id = 0;

	while (id < ISCSI_KEYS && strcmp(iscsi_keys[id].name, name) != 0)
		id++;
	return id;
}

bool iscsi_key_allows_length(const struct iscsi_key *key, const struct iscsi_text_pair *pair)
{
	if (!key->long_value)
		return pair->value_bytes <= ISCSI_SIMPLE_VALUE_BYTES;
	/* CHAP_C and CHAP_R are one long binary value, the others lists of simple ones. */
	return key == &iscsi_keys[ISCSI_KEY_CHAP_C] || key == &iscsi_keys[ISCSI_KEY_CHAP_R] ||
	       iscsi_value_is_list(pair->value);
}
