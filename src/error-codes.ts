/**
 * The codes of all errors that hotspare reports. The type {@link ErrorCode} derives from this
 * table, and a test compares `docs/errors.md` with it. A code is stable within a major version; its
 * wording is not.
 */

/** The description of one error code. */
export interface ErrorInfo {
  /**
   * Whether the same call may succeed later without a change of the call, the options or the files.
   */
  readonly retryable: boolean
  /**
   * True where it differs between errors of this code: then only `retryable` of the error itself is
   * valid.
   */
  readonly retryableDepends?: true
  /** What happened, in one sentence. */
  readonly summary: string
  /** What the caller or operator should do next, in one sentence. It ends every message. */
  readonly whatToDo: string
}

const table = {
  // The node, its role and its life cycle.
  NOT_ACTIVE: {
    retryable: true,
    summary: 'The call needs the active node, and this node is not active.',
    whatToDo:
      'Send the call to the active node; status().active says which it is, where it is known.',
  },
  NOT_STARTED: {
    retryable: false,
    summary: 'The node was not started.',
    whatToDo: 'Call start() and await it first.',
  },
  ALREADY_STARTED: {
    retryable: false,
    summary: 'The node was already started.',
    whatToDo: 'Call start() once for each node; after stop(), construct a new node.',
  },
  STOPPED: {
    retryable: false,
    summary: 'The node was stopped before or during the call.',
    whatToDo: 'Construct and start a new node.',
  },
  ABORTED: {
    retryable: true,
    retryableDepends: true,
    summary: 'The call was aborted by its signal.',
    whatToDo: 'Call again if the result is still wanted.',
  },
  OPTION_INVALID: {
    retryable: false,
    summary: 'An option is unknown or has an invalid value.',
    whatToDo: 'Correct the option that the message names.',
  },

  // The policy and its paths.
  PATH_INVALID: {
    retryable: false,
    summary: 'A path breaks a rule that keeps it portable and inside the storage.',
    whatToDo: "Use a relative path with '/' between plain names, as in 'messages/42.txt'.",
  },
  PATH_UNCLAIMED: {
    retryable: false,
    summary: 'No class of the SyncPolicy claims the path.',
    whatToDo: 'Add a class whose globs match it, or use a path that a class claims.',
  },
  PATH_NEVER_SYNCED: {
    retryable: false,
    summary: 'The path belongs to a never-synced class, which hotspare does not touch.',
    whatToDo: 'Read and write it with the file system, or move it to a synced class.',
  },
  PATH_CONFLICT: {
    retryable: false,
    summary:
      'The path cannot exist beside another one, such as a file where a directory is needed.',
    whatToDo: 'Remove the path that is in conflict, or choose another name.',
  },
  CHANGED_OUTSIDE: {
    retryable: true,
    summary:
      'Another program changed the file, and this node does not have its replicated content.',
    whatToDo:
      'Try again after the event outsideChange has reported the result, or write the file again; on a standby the version of the active is restored by itself.',
  },
  RESTORE_UNDER_WAY: {
    retryable: true,
    summary:
      'A restore is moving its files into place, or fetches the first copy, so nothing can be read now.',
    whatToDo: 'Try again a little later, or read on the active.',
  },
  FILE_NOT_FOUND: {
    retryable: false,
    summary: 'There is no file at this path.',
    whatToDo: 'Write the file first, or check the path.',
  },
  CLASS_UNKNOWN: {
    retryable: false,
    summary: 'The SyncPolicy declares no class of this name.',
    whatToDo: 'Use one of the names that the message lists.',
  },
  CLASS_KIND: {
    retryable: false,
    summary: 'The call does not fit the kind of this class.',
    whatToDo: 'Use the method that belongs to the kind, such as update() for appState().',
  },
  POLICY_CONFLICT: {
    retryable: false,
    summary: 'Two classes of the SyncPolicy claim the same path.',
    whatToDo: "Make their globs disjoint, for example by excluding a part with '!' in one of them.",
  },

  // Writes and transactions.
  VALUE_INVALID: {
    retryable: false,
    summary: 'A value cannot be replicated as it is.',
    whatToDo:
      'Use plain data: null, booleans, numbers, strings, bytes, Dates, 64-bit bigints, arrays and plain objects.',
  },
  WRITE_TOO_LARGE: {
    retryable: false,
    summary: 'A single write is larger than its limit.',
    whatToDo: 'Split it into several writes, or keep large values in files; the limit is fixed.',
  },
  QUEUE_FULL: {
    retryable: true,
    summary: 'More work is waiting than the limit allows.',
    whatToDo: 'Await earlier calls before making more, and try again.',
  },
  WRITES_BLOCKED: {
    retryable: false,
    summary:
      "The write was aborted while it waited for a standby, because none is in sync and onNoStandby is 'block'; it is in the journal.",
    whatToDo:
      'Bring a standby back; read the data on the active before repeating a call that must not happen twice.',
  },
  OUTCOME_UNKNOWN: {
    retryable: false,
    summary: 'The call was sent, but whether it took effect is unknown.',
    whatToDo: 'Read the data on the active before repeating a call that must not happen twice.',
  },
  TX_CONFLICT: {
    retryable: true,
    summary: 'Data that the transaction had read was changed before it committed.',
    whatToDo: 'Run the whole transaction again.',
  },
  TX_CLOSED: {
    retryable: false,
    summary: 'The transaction was used after it had ended.',
    whatToDo: 'Await everything inside the callback, and keep no reference to the transaction.',
  },

  // Handing over the role.
  NO_ELIGIBLE_STANDBY: {
    retryable: true,
    summary: 'No standby may take the role now.',
    whatToDo: 'Find the reason in status().peers, and wait until one is in sync.',
  },
  SWITCHOVER_FAILED: {
    retryable: true,
    summary: 'The planned handover did not finish; the ordinary rules decide which node is active.',
    whatToDo: 'Check status() for who is active, then try again.',
  },
  SWITCHOVER_UNDER_WAY: {
    retryable: true,
    summary: 'Another handover is under way.',
    whatToDo: 'Wait until it has ended.',
  },

  // Storage, journal, restore.
  STORAGE_LOCKED: {
    retryable: true,
    summary: 'Another living process uses this storage.',
    whatToDo: 'Stop the other process, or give this node a directory of its own.',
  },
  STORAGE_FULL: {
    retryable: true,
    summary: 'The storage has no space left.',
    whatToDo: 'Free space on the device; the node continues by itself.',
  },
  STORAGE_READ_ONLY: {
    retryable: false,
    summary: 'The storage cannot be written.',
    whatToDo:
      'Correct the owner, the permissions or the mount; a running node continues by itself, a failed start has to be repeated.',
  },
  STORAGE_FAILED: {
    retryable: false,
    summary: 'The storage reported a failure of the device or the operating system.',
    whatToDo:
      'Look at the cause and check the device; a running node tries again by itself, a failed start has to be repeated.',
  },
  RESOURCES_EXHAUSTED: {
    retryable: true,
    summary: 'The process or its machine has no file descriptors, threads or memory left.',
    whatToDo:
      'Close files and sockets that the application keeps open, or raise the limit (ulimit -n); a running node continues by itself.',
  },
  SNAPSHOT_FAILED: {
    retryable: true,
    summary: 'The snapshot of a class of application state could not be taken or stored.',
    whatToDo:
      'Correct snapshot() of the class that the message names; the node tries again by itself.',
  },
  PATH_BLOCKED: {
    retryable: true,
    summary: 'A file, link or folder that is not synced obstructs the path of a synced file.',
    whatToDo:
      'Move away what the message names; the node continues by itself, a refused write has to be repeated.',
  },
  STORAGE_CORRUPT: {
    retryable: false,
    summary: 'Stored bytes fail their checksum, or are not the bytes that were written.',
    whatToDo:
      'Check the device; while another node is active, move .hotspare (the vault is in it) and the files of synced classes out of the folder, leave all else, and start the node: it restores its copy.',
  },
  STORAGE_FORMAT: {
    retryable: false,
    summary: 'The storage was written in a format that this version does not know.',
    whatToDo: 'Use the version of hotspare that wrote it, or a newer one.',
  },
  ADOPT_REQUIRED: {
    retryable: false,
    summary: 'The directory contains files from before hotspare was used there.',
    whatToDo:
      'Call start({ adopt: true }) on the one node whose files are to be kept; on any other move the files of synced classes, and only these, out of the folder, and it restores its copy from the active.',
  },
  JOURNAL_CORRUPT: {
    retryable: false,
    summary: 'A record in the middle of the journal fails its checksum.',
    whatToDo: 'Check the device; the node restores its copy from the active by itself.',
  },
  JOURNAL_TRIMMED: {
    retryable: true,
    summary: 'The journal no longer contains the requested positions.',
    whatToDo: 'Nothing if the node restores by itself; otherwise raise journalBytesMax.',
  },
  VAULT_FULL: {
    retryable: true,
    summary: 'The vault is full, and incidents that were not removed are never evicted.',
    whatToDo: 'Export incidents with node.vault and remove them, or raise vaultBytesMax.',
  },
  RESTORE_FAILED: {
    retryable: true,
    summary: 'A restore did not finish; the previous copy is intact.',
    whatToDo: 'Look at the cause; the node tries again with growing pauses.',
  },

  // Peers and the protocol.
  PEER_REFUSED: {
    retryable: true,
    summary: 'No process listens at the address of the peer.',
    whatToDo: 'Start the node there, or correct its address in members.',
  },
  PEER_UNREACHABLE: {
    retryable: true,
    summary: 'The peer cannot be reached.',
    whatToDo: 'Check its address, the network, and whether it runs.',
  },
  HANDSHAKE_FAILED: {
    retryable: false,
    retryableDepends: true,
    summary: 'One of two nodes refused the other one.',
    whatToDo:
      'Compare secret, cluster, members and ids: the first three must be the same on both nodes, and every id must be used once.',
  },
  DUPLICATE_ID: {
    retryable: false,
    summary: 'Two processes run under the id of one member.',
    whatToDo: 'Stop one of them, and give every member an id and a folder of its own.',
  },
  HANDSHAKE_VERSION: {
    retryable: false,
    summary: 'The two nodes share no version of the protocol.',
    whatToDo: 'Upgrade the older node.',
  },
  PROTOCOL_VIOLATION: {
    retryable: false,
    summary: 'A peer sent a message that the protocol does not allow.',
    whatToDo: 'Check that only nodes of this cluster use its ports, and that versions match.',
  },
  FRAME_TOO_LARGE: {
    retryable: false,
    summary: 'A frame is longer than frameBytesMax.',
    whatToDo: 'Use the same frameBytesMax on all nodes, and smaller values.',
  },
  FRAME_CORRUPT: {
    retryable: true,
    summary: 'A frame fails its checksum or its proof of origin.',
    whatToDo:
      'Nothing if it stays rare, because the link is opened again; otherwise check the network.',
  },
  CONNECTION_CLOSED: {
    retryable: true,
    summary: 'The connection ended before the call was answered.',
    whatToDo: 'Try again; the link is opened again by itself.',
  },
  ADDRESS_IN_USE: {
    retryable: false,
    summary: 'The address to listen on is taken by another socket.',
    whatToDo: 'Stop the other process or choose another port.',
  },

  // Terms and histories.
  STALE_TERM: {
    retryable: false,
    summary: 'The stream belongs to a term that a newer one has replaced.',
    whatToDo: 'Nothing: the stale node gives up the role and rejoins by itself.',
  },
  HISTORY_UNRELATED: {
    retryable: false,
    summary: 'Both nodes have data, and their histories have no term in common.',
    whatToDo:
      'Decide which copy to keep; stop the other node, move .hotspare and the files of synced classes out of its folder, leave all else, and start it: it restores its copy.',
  },
  POLICY_MISMATCH: {
    retryable: false,
    summary: 'The nodes declare different classes, so no class at all is replicated between them.',
    whatToDo: 'Run the same SyncPolicy on all nodes.',
  },

  INTERNAL: {
    retryable: false,
    summary: 'An invariant of hotspare itself does not hold.',
    whatToDo: 'Please report it, with the message and the stack.',
  },
} as const

/** The code of a {@link HotspareError}. `docs/errors.md` lists each with its meaning and remedy. */
export type ErrorCode = keyof typeof table

/** All error codes, with their meanings and remedies. */
export const errorCodes: Readonly<Record<ErrorCode, ErrorInfo>> = table
