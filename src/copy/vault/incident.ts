/** The description of an incident in the vault: what a node had and the surviving history lacks. */

import type { Change } from '../../changes/change.js'
import type { Entry } from '../../changes/entry.js'
import { singlesOf } from '../../changes/entry.js'
import type { Extent } from '../../history/position.js'
import { fromDisk, optional } from '../../protocol/fields.js'

/**
 * Why data is in the vault. `divergence`: changes that the surviving history lacks. `outside`:
 * files that another program changed. `adopted`: the history's version of paths where this node,
 * when it became active, adopted the changes of another program. `massDelete`: files that a restore
 * was about to remove in bulk. `unusedRestore`: the journal of a restore that was not finished.
 * `unreadable`: the description of the incident is damaged on the disk, and only its objects are
 * left, listed as `files` with the names of the objects.
 */
export type VaultReason =
  | 'divergence'
  | 'outside'
  | 'adopted'
  | 'massDelete'
  | 'unusedRestore'
  | 'unreadable'

/** A change of the losing history. */
export interface LostChange {
  /** Its sequence number in the losing history. */
  readonly seq: number
  /** The epoch of its term. */
  readonly epoch: number
  /** The kind of the change. */
  readonly kind: Change['kind']
  /** Its class, or that of the first change of a transaction; undefined for an empty change. */
  readonly className: string | undefined
  /** The files that it changed; none for application state. */
  readonly paths: readonly string[]
  /**
   * Whether it had been acknowledged. `true`: its caller had been told that it was safe, or no
   * longer waited for it. `unknown`: its caller may or may not have been told, because no mark of
   * its tenure covers the change: the tenure ended without an orderly stop within about a second
   * after the answer, or an earlier change was still unanswered.
   */
  readonly acknowledged: true | 'unknown'
}

/** The bytes of a file in the vault. */
export interface VaultedFile {
  /** The path of the file. */
  readonly path: string
  /** The name of its bytes for `vault.read`. */
  readonly object: string
  /** Its size in bytes. */
  readonly bytes: number
}

/** A version of a file whose bytes no longer exist on this node. */
export interface GoneFile {
  /** The path of the file. */
  readonly path: string
  /** Its size in bytes. */
  readonly size: number
  /** The sequence number of its last change. */
  readonly version: number
}

/** The state of a class in the vault. */
export interface VaultedState {
  /** The name of the class. */
  readonly className: string
  /** The name of its bytes for `vault.read`. */
  readonly object: string
  /** The length of the encoded snapshot in bytes. */
  readonly bytes: number
}

/** A sealed incident. */
export interface VaultIncident {
  /** The format version of this description. */
  readonly version: 1
  /** Its id, unique on this node. The same loss has the same id, however often it is found. */
  readonly id: string
  /** The reason. */
  readonly reason: VaultReason
  /** The wall-clock time of its sealing in milliseconds since 1970, for people. */
  readonly atWallMs: number
  /** The last change that the surviving history has as well. */
  readonly commonSeq: number
  /** The history and the end of the losing copy. */
  readonly extent: Extent
  /**
   * The changes in this node's journal. Changes between `commonSeq` and the first of them came by a
   * restore; `files` and `states` contain their results.
   */
  readonly changes: readonly LostChange[]
  /**
   * Whether `changes` is incomplete (it lists at most 10 000); the journal object contains all.
   * With the reason `adopted`: whether `gone` is incomplete.
   */
  readonly truncated: boolean
  /**
   * Whether the losing journal could not be read to its end. `changes` and the journal object then
   * end at the damage; `files` and `states` are complete.
   */
  readonly damaged: boolean
  /** The latest version of every file that the losing history changed. */
  readonly files: readonly VaultedFile[]
  /**
   * Versions that an incident with the reason `adopted` replaced and could not keep, because
   * another program had overwritten or removed them and the journal no longer contains them. The
   * first 10 000; undefined when there are none. An unreachable standby or a backup may still have
   * them.
   */
  readonly gone?: readonly GoneFile[]
  /** The states of the application in the losing copy, encoded as for a restore. */
  readonly states: readonly VaultedState[]
  /** The journal entries; undefined when only files were kept. */
  readonly journal:
    | {
        /** The name of its bytes for `vault.read`. */
        readonly object: string
        /** Its size in bytes. */
        readonly bytes: number
        /** The CRC-32 of its bytes. */
        readonly crc: number
      }
    | undefined
  /** The ids of the blobs that the entries name. */
  readonly blobs: readonly string[]
}

/** The collected parts of an incident; missing parts are empty. */
export type Kept = Pick<VaultIncident, 'reason'> & Partial<VaultIncident>

/** An empty incident. */
export const nothing = {
  commonSeq: 0,
  extent: { history: [], seq: 0 },
  changes: [],
  truncated: false,
  damaged: false,
  files: [],
  states: [],
  journal: undefined,
  blobs: [],
} as const

/** The record of a change before a mark shows that it was acknowledged. */
export function lostChange(entry: Entry, change: Change, seq: number): LostChange {
  const singles = singlesOf(change)
  const paths = singles.flatMap((single) => (single.kind === 'update' ? [] : [single.path]))
  const className = singles[0]?.className
  const { epoch } = entry.header
  return { seq, epoch, kind: change.kind, className, paths, acknowledged: 'unknown' }
}

export const incidentsPrefix = 'vault-incidents/'

/**
 * The longest description of an incident, which names every file in it; a longer one is listed as
 * unreadable.
 */
const incidentBytesMax: number = 2 ** 30

const read = fromDisk('an incident of the vault')

/** @throws `STORAGE_CORRUPT` */
export function decodeIncident(bytes: Uint8Array): VaultIncident {
  const fields = read.fields(read.decode(bytes, { bytesMax: incidentBytesMax }), 'incident')
  const gone = optional(fields.gone, (files) => read.list(files, 'gone').map(goneOf))
  return {
    version: 1,
    id: read.name(fields.id, 'id'),
    // Reasons and kinds of a later version are passed on.
    reason: read.text(fields.reason, 'reason') as VaultReason,
    atWallMs: read.number(fields.atWallMs, 'atWallMs'),
    commonSeq: read.count(fields.commonSeq, 'commonSeq'),
    extent: read.extent(fields.extent, 'extent'),
    changes: read.list(fields.changes, 'changes').map(lostOf),
    truncated: fields.truncated === true,
    damaged: fields.damaged === true,
    files: read.list(fields.files, 'files').map(fileOf),
    ...(gone === undefined ? {} : { gone }),
    states: read.list(fields.states, 'states').map(stateOf),
    journal: optional(fields.journal, journalOf),
    blobs: read.texts(fields.blobs, 'blobs'),
  }
}

function lostOf(value: unknown): LostChange {
  const change = read.fields(value, 'change')
  return {
    seq: read.count(change.seq, 'seq'),
    epoch: read.count(change.epoch, 'epoch'),
    kind: read.text(change.kind, 'kind') as Change['kind'],
    className: optional(change.className, (name) => read.text(name, 'className')),
    paths: read.texts(change.paths, 'paths'),
    acknowledged: change.acknowledged === true ? true : 'unknown',
  }
}

function fileOf(value: unknown): VaultedFile {
  const { path, object, bytes } = read.fields(value, 'file')
  return {
    path: read.text(path, 'path'),
    object: read.text(object, 'object'),
    bytes: read.count(bytes, 'bytes'),
  }
}

function goneOf(value: unknown): GoneFile {
  const { path, size, version } = read.fields(value, 'gone')
  return {
    path: read.text(path, 'path'),
    size: read.count(size, 'size'),
    version: read.count(version, 'version'),
  }
}

function stateOf(value: unknown): VaultedState {
  const { className, object, bytes } = read.fields(value, 'state')
  return {
    className: read.text(className, 'className'),
    object: read.text(object, 'object'),
    bytes: read.count(bytes, 'bytes'),
  }
}

function journalOf(value: unknown): NonNullable<VaultIncident['journal']> {
  const { object, bytes, crc } = read.fields(value, 'journal')
  return {
    object: read.text(object, 'object'),
    bytes: read.count(bytes, 'bytes'),
    crc: read.count(crc, 'crc'),
  }
}

/** The folder of an incident's objects. */
export function folderOf(id: string): string {
  return id.toLowerCase().replace(/[^a-z0-9._-]+/g, '-')
}

/** The document that seals an incident. */
export function documentOf(id: string): string {
  return `${incidentsPrefix}${folderOf(id)}`
}
