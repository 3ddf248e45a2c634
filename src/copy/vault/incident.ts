/** What an incident in the vault says of what a node had and the surviving history has not. */

import type { Change } from '../../changes/change.js'
import type { Entry } from '../../changes/entry.js'
import { singlesOf } from '../../changes/entry.js'
import type { Extent } from '../../history/position.js'
import { fromDisk, optional } from '../../protocol/fields.js'

/**
 * Why something is in the vault: `divergence`: changes that the surviving history does not have;
 * `outside`: files that another program changed; `adopted`: what the history had at paths where
 * this node, as it became active, took over what another program had made of them; `massDelete`:
 * files that a restore was about to remove in bulk; `unusedRestore`: the journal of a restore that
 * did not finish; `unreadable`: the description of what was kept is damaged on the disk, and only
 * the objects are left, as `files` that bear the names of their objects.
 */
export type VaultReason =
  | 'divergence'
  | 'outside'
  | 'adopted'
  | 'massDelete'
  | 'unusedRestore'
  | 'unreadable'

/** A change on the losing side. */
export interface LostChange {
  /** Its sequence number in the losing history. */
  readonly seq: number
  /** The number of the term that stamped it. */
  readonly epoch: number
  /** What it did. */
  readonly kind: Change['kind']
  /** Its class; of a transaction, that of its first change; undefined for an empty one. */
  readonly className: string | undefined
  /** The files that it touched; none for application state. */
  readonly paths: readonly string[]
  /**
   * `true`: its caller had been told that it was safe, or nobody waited for it any more. `unknown`:
   * the caller may have been told or not, because no mark of the tenure that made the change covers
   * it: the tenure ended, and not in order, within about a second after the answer, or an earlier
   * change was still unanswered when it ended.
   */
  readonly acknowledged: true | 'unknown'
}

/** A file's bytes in the vault. */
export interface VaultedFile {
  /** Where the file stood. */
  readonly path: string
  /** What `vault.read` takes to give its bytes. */
  readonly object: string
  /** Its size. */
  readonly bytes: number
}

/** A version of a file of which no byte is left on this node. */
export interface GoneFile {
  /** Where the file stood. */
  readonly path: string
  /** Its size in bytes. */
  readonly size: number
  /** Sequence number of its last change. */
  readonly version: number
}

/** A class's state in the vault. */
export interface VaultedState {
  /** The class of application state. */
  readonly className: string
  /** What `vault.read` takes to give its bytes. */
  readonly object: string
  /** Bytes of the encoded snapshot. */
  readonly bytes: number
}

/** One incident, sealed. */
export interface VaultIncident {
  /** The format of this description. */
  readonly version: 1
  /** Unique on this node; the same loss gives the same id, however often it is met. */
  readonly id: string
  /** Why it was kept. */
  readonly reason: VaultReason
  /** Wall clock when it was sealed, milliseconds since 1970, for people. */
  readonly atWallMs: number
  /** The last change that the surviving history has too. */
  readonly commonSeq: number
  /** The losing copy's history and end. */
  readonly extent: Extent
  /**
   * The changes that this node had journaled. Those between `commonSeq` and the first of them came
   * to it by a restore: `files` and `states` hold what they left.
   */
  readonly changes: readonly LostChange[]
  /**
   * True when `changes` does not list all of them (at most 10 000); the journal object holds them
   * all. With the reason `adopted`: when `gone` does not.
   */
  readonly truncated: boolean
  /**
   * True when the losing journal could not be read to its end: `changes` and the journal object
   * then end where the damage begins, `files` and `states` are whole all the same.
   */
  readonly damaged: boolean
  /** The present version of every file that the losing side touched. */
  readonly files: readonly VaultedFile[]
  /**
   * Versions that an incident of the reason `adopted` replaced and could not keep: another program
   * had overwritten or removed them, and the journal does not reach back to them. The first 10 000;
   * undefined when there are none. A standby that is not in reach, or a backup, may still have
   * them.
   */
  readonly gone?: readonly GoneFile[]
  /** The application's states as the losing side had them, encoded as a restore sends them. */
  readonly states: readonly VaultedState[]
  /** The journal entries as they were; undefined where only files were kept. */
  readonly journal:
    | {
        /** What `vault.read` takes to give its bytes. */
        readonly object: string
        /** Its size. */
        readonly bytes: number
        /** CRC-32 of its bytes. */
        readonly crc: number
      }
    | undefined
  /** The ids of the blobs that the journal entries name. */
  readonly blobs: readonly string[]
}

/** What was collected for an incident; what it says nothing of is empty. */
export type Kept = Pick<VaultIncident, 'reason'> & Partial<VaultIncident>

/** An incident without anything in it. */
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

/** How an incident lists a change of which no mark says yet that it was acknowledged. */
export function lostChange(entry: Entry, change: Change, seq: number): LostChange {
  const singles = singlesOf(change)
  const paths = singles.flatMap((single) => (single.kind === 'update' ? [] : [single.path]))
  const className = singles[0]?.className
  const { epoch } = entry.header
  return { seq, epoch, kind: change.kind, className, paths, acknowledged: 'unknown' }
}

export const incidentsPrefix = 'vault-incidents/'

/**
 * Longest description of an incident, which names every file in it; one beyond it is listed as
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
    // Reasons and kinds of changes that a later version adds are passed on.
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

/** Where an incident is sealed. */
export function documentOf(id: string): string {
  return `${incidentsPrefix}${folderOf(id)}`
}
