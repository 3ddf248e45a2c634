/**
 * The manifest, which makes a staged restore the copy. While it exists, the switch is not finished.
 */
import { HotspareError } from '../../errors.js'
import type { Extent } from '../../history/position.js'
import type { DocumentStore } from '../../interfaces/storage.js'
import { checkPath } from '../../policy/path-rules.js'
import { encode } from '../../protocol/codec.js'
import { fromDisk, optional } from '../../protocol/fields.js'
import type { NamedFile, VersionedPath } from '../files/types.js'
import { readHistory, writeHistory } from '../journal/head-format.js'

/** A staged file that will be moved into place. */
export interface InstallFile extends NamedFile {
  /**
   * The name of the object in the area `staging`; undefined when the file is in `incoming` under
   * its path.
   */
  readonly object: string | undefined
}

/** A staged snapshot of a state class. */
export interface InstallState {
  readonly className: string
  /** The name of the object in the area `staging`. */
  readonly object: string
  /** The last change in it. */
  readonly seq: number
}

/** The content of a restore. */
export interface RestoreManifest {
  readonly version: 1
  readonly restoreId: string
  /** The position of the restore: the source's history up to where `journal.next` begins. */
  readonly base: Extent
  readonly inSync?: readonly string[] | undefined
  readonly install: readonly InstallFile[]
  /**
   * Paths without a file at the source, with the version that removed them; 0 when it is unknown,
   * as for a file that only this node has.
   */
  readonly remove: readonly VersionedPath[]
  readonly states: readonly InstallState[]
  /**
   * Whether the index is replaced: the copy then consists of `install` and `keep`, and `remove`
   * names every other file that it had.
   */
  readonly complete: boolean
  /** Files that are correct already, with their version at the source. */
  readonly keep?: readonly VersionedPath[] | undefined
  /** The version up to which the copy has no record of removals. */
  readonly tombstoneFloor: number
}

export const manifestName = 'switch'
/** The longest manifest; a longer one is read as damaged. */
const manifestBytesMax: number = 2 ** 31

const read = fromDisk('a restore manifest')

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
  const fields = read.fields(read.decode(bytes, { bytesMax: manifestBytesMax }), 'manifest')
  if (fields.version !== 1) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `a restore manifest has format version ${String(fields.version)}`,
    )
  }
  return {
    version: 1,
    restoreId: read.text(fields.restoreId, 'restoreId'),
    base: { history: readHistory(read, fields.history), seq: read.count(fields.seq, 'seq') },
    inSync: optional(fields.inSync, (members) => read.texts(members, 'inSync')),
    install: read.list(fields.install, 'install').map((one) => {
      const [path, object, mode, size, version] = read.list(one, 'install')
      return {
        path: pathOf(path),
        object: optional(object, (name) => read.text(name, 'object')),
        mode: read.count(mode, 'mode'),
        size: read.count(size, 'size'),
        version: read.count(version, 'version'),
      }
    }),
    remove: read.list(fields.remove, 'remove').map(readVersioned),
    states: read.list(fields.states, 'states').map((one) => {
      const [className, object, seq] = read.list(one, 'state')
      return {
        className: read.text(className, 'className'),
        object: read.text(object, 'object'),
        seq: read.count(seq, 'seq'),
      }
    }),
    complete: fields.complete === true,
    keep: read.list(fields.keep, 'keep').map(readVersioned),
    tombstoneFloor: read.count(fields.tombstoneFloor, 'tombstoneFloor'),
  }
}

function readVersioned(value: unknown): VersionedPath {
  const [path, version] = read.list(value, 'path')
  return { path: pathOf(path), version: read.count(version, 'version') }
}

/** Reads a path that this node checked before it was stored. */
function pathOf(value: unknown): string {
  try {
    return checkPath(read.text(value, 'path'))
  } catch {
    throw read.bad('path', 'a path of a file')
  }
}

export async function readManifest(documents: DocumentStore): Promise<RestoreManifest | undefined> {
  const bytes = await documents.read(manifestName)
  return bytes === undefined ? undefined : decodeManifest(bytes)
}
