/**
 * The document that makes a staged restore the copy. While it is there, the switch is not finished.
 */
import { HotspareError } from '../../errors.js'
import type { Extent } from '../../history/position.js'
import type { DocumentStore } from '../../interfaces/storage.js'
import { checkPath } from '../../policy/path-rules.js'
import { decode, encode } from '../../protocol/codec.js'
import {
  countOf,
  fieldsOf,
  listOf,
  readHistory,
  textOf,
  textsOf,
  writeHistory,
} from '../journal/head-format.js'

/** A staged file that takes its place. */
export interface InstallFile {
  readonly path: string
  /**
   * Name of the object in the area `staging`; undefined when it lies in `incoming`, under its path.
   */
  readonly object: string | undefined
  readonly mode: number
  readonly size: number
  readonly version: number
}

/** A path with the version of its last change at the source. */
export interface VersionedPath {
  readonly path: string
  readonly version: number
}

/** A staged snapshot of a state class. */
export interface InstallState {
  readonly className: string
  /** Name of the object in the area `staging`. */
  readonly object: string
  /** The last change in it. */
  readonly seq: number
}

/** What a restore brings. */
export interface RestoreManifest {
  readonly version: 1
  readonly restoreId: string
  /** The cut: the source's history up to where `journal.next` begins. */
  readonly base: Extent
  readonly inSync?: readonly string[] | undefined
  readonly install: readonly InstallFile[]
  /**
   * Paths that have no file at the source, with the version that removed them; 0 where none is
   * known, as of a file of a synced class that only this node has.
   */
  readonly remove: readonly VersionedPath[]
  readonly states: readonly InstallState[]
  /**
   * The index begins anew: the copy consists of `install` and `keep`, and `remove` names every
   * other file that it had.
   */
  readonly complete: boolean
  /** Files that are right as they are, with the version that they have at the source. */
  readonly keep?: readonly VersionedPath[] | undefined
  /** Below it the copy knows no removals. */
  readonly tombstoneFloor: number
}

export const manifestName = 'switch'
/** Longest manifest of a restore; one beyond it is read as damaged. */
const manifestBytesMax: number = 2 ** 31

export function encodeManifest(manifest: RestoreManifest): Uint8Array {
  const { base } = manifest
  return encode({
    version: manifest.version,
    restoreId: manifest.restoreId,
    history: writeHistory(base.history),
    seq: base.seq,
    inSync: manifest.inSync === undefined ? null : [...manifest.inSync],
    install: manifest.install.map((file) => [
      file.path,
      file.object ?? null,
      file.mode,
      file.size,
      file.version,
    ]),
    remove: manifest.remove.map(({ path, version }) => [path, version]),
    states: manifest.states.map(({ className, object, seq }) => [className, object, seq]),
    complete: manifest.complete,
    keep: (manifest.keep ?? []).map(({ path, version }) => [path, version]),
    tombstoneFloor: manifest.tombstoneFloor,
  })
}

export function decodeManifest(bytes: Uint8Array): RestoreManifest {
  const fields = fieldsOf(decode(bytes, { bytesMax: manifestBytesMax }), 'manifest')
  if (fields.version !== 1) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `a restore manifest has format version ${String(fields.version)}`,
    )
  }
  const { inSync } = fields
  return {
    version: 1,
    restoreId: textOf(fields.restoreId, 'restoreId'),
    base: { history: readHistory(fields.history), seq: countOf(fields.seq, 'seq') },
    inSync: inSync === null ? undefined : textsOf(inSync, 'inSync'),
    install: listOf(fields.install, 'install').map((one) => {
      const file = listOf(one, 'install')
      return {
        path: checkPath(textOf(file[0], 'path')),
        object: file[1] === null ? undefined : textOf(file[1], 'object'),
        mode: countOf(file[2], 'mode'),
        size: countOf(file[3], 'size'),
        version: countOf(file[4], 'version'),
      }
    }),
    remove: listOf(fields.remove, 'remove').map(readVersioned),
    states: listOf(fields.states, 'states').map((one) => {
      const state = listOf(one, 'state')
      return {
        className: textOf(state[0], 'className'),
        object: textOf(state[1], 'object'),
        seq: countOf(state[2], 'seq'),
      }
    }),
    complete: fields.complete === true,
    keep: listOf(fields.keep, 'keep').map(readVersioned),
    tombstoneFloor: countOf(fields.tombstoneFloor, 'tombstoneFloor'),
  }
}

function readVersioned(value: unknown): VersionedPath {
  const fields = listOf(value, 'path')
  return { path: checkPath(textOf(fields[0], 'path')), version: countOf(fields[1], 'version') }
}

export async function readManifest(documents: DocumentStore): Promise<RestoreManifest | undefined> {
  const bytes = await documents.read(manifestName)
  return bytes === undefined ? undefined : decodeManifest(bytes)
}
