/**
 * Keeps the history's versions of files that another program replaced or removed, before the
 * history adopts the present files. Only the journal still has these versions, as far back as it
 * reaches.
 */
import { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { FileStat } from '../../interfaces/tree-store.js'
import type { EarlierVersion, FileVersion } from '../earlier-versions.js'
import { earlierVersions } from '../earlier-versions.js'
import { lay } from '../files/layers.js'
import type { LocalCopy } from '../local-copy.js'
import type { GoneFile, VaultedFile } from './incident.js'
import { folderOf } from './incident.js'
import type { VaultObjects } from './objects.js'

/** A version that will be replaced. */
export interface ReplacedFile extends FileVersion {
  /**
   * Whether the file on the disk is missing or has another size or time, so that its bytes may
   * differ.
   */
  readonly isTouched: boolean
  /** The file on the disk. */
  readonly stat: FileStat | undefined
}

export interface KeepContext {
  readonly objects: VaultObjects
  readonly storage: OpenStorage
  readonly copy: LocalCopy
  /** The id of the incident. */
  readonly id: string
  /** Throws when no time is left. */
  readonly mayGoOn: () => void
}

/** An incident that is being collected. */
interface Keeping extends KeepContext {
  readonly files: VaultedFile[]
  /**
   * The name of a new object. An abandoned object keeps its name, so that no other object contains
   * its bytes.
   */
  nextObject(): string
}

/** Bytes that are composed, compared and written at a time. */
const windowBytes = 1024 * 1024
/** Files that are composed, compared and written at a time. */
const windowFiles = 256

export async function keepReplaced(
  context: KeepContext,
  replaced: readonly ReplacedFile[],
): Promise<{ readonly files: VaultedFile[]; readonly gone: GoneFile[] }> {
  const left = new Map(replaced.map((one) => [one.path, one]))
  const files: VaultedFile[] = []
  let objects = 0
  const nextObject = (): string => {
    objects += 1
    return `${folderOf(context.id)}/files/${objects - 1}`
  }
  const keeping: Keeping = { ...context, files, nextObject }
  for await (const found of earlierVersions(context.copy, replaced, context.mayGoOn)) {
    for (const group of groupsOf(found)) {
      context.mayGoOn()
      const [first] = group
      const isLarge = first !== undefined && first.size > windowBytes
      const settled = isLarge ? await keepLarge(keeping, first) : await keepSmall(keeping, group)
      for (const path of settled) left.delete(path)
    }
  }
  const gone = [...left.values()].filter(({ isTouched }) => isTouched)
  return { files, gone: gone.map(({ path, size, version }) => ({ path, size, version })) }
}

/** Groups of versions: large ones individually, small ones together. */
function groupsOf(found: readonly EarlierVersion[]): EarlierVersion[][] {
  const groups: EarlierVersion[][] = []
  let group: EarlierVersion[] = []
  let bytes = 0
  for (const one of found) {
    const isFull = bytes + one.size > windowBytes || group.length === windowFiles
    if (isFull && group.length > 0) {
      groups.push(group)
      group = []
      bytes = 0
    }
    group.push(one)
    bytes += one.size
  }
  if (group.length > 0) groups.push(group)
  return groups
}

/** Keeps small versions, and returns the paths of which nothing is lost. */
async function keepSmall(context: Keeping, group: readonly EarlierVersion[]): Promise<string[]> {
  const { objects, files, nextObject } = context
  const present = await readPresent(context, group)
  const settled: string[] = []
  const toWrite: { name: string; bytes: Uint8Array }[] = []
  for (const [at, version] of group.entries()) {
    const { path, size } = version
    const bytes = await windowOf(context, version, 0, size)
    if (bytes === undefined) continue
    settled.push(path)
    const there = present[at]
    if (there !== undefined && Buffer.compare(there, bytes) === 0) continue
    const name = nextObject()
    files.push({ path, object: name, bytes: size })
    toWrite.push({ name, bytes })
  }
  await objects.writeWhole(toWrite)
  return settled
}

/** The present files; undefined for one that is missing or cannot be read. */
async function readPresent(
  { storage }: KeepContext,
  group: readonly EarlierVersion[],
): Promise<(Uint8Array | undefined)[]> {
  const requests = group.map(({ path, size }) => ({ path, offset: 0, length: size + 1 }))
  try {
    const { buffer, results } = await storage.tree.read(requests)
    return results.map((result) =>
      result === 'missing'
        ? undefined
        : buffer.subarray(result.start, result.start + result.length),
    )
  } catch (error) {
    if (!HotspareError.is(error, 'STORAGE_FAILED')) throw error
    // A file of the group cannot be read, so all versions are kept, whether they differ or not.
    return []
  }
}

async function keepLarge(context: Keeping, version: EarlierVersion): Promise<string[]> {
  const { objects, files, nextObject, mayGoOn } = context
  const { path, size } = version
  if (await isThere(context, version)) return [path]
  const name = nextObject()
  for (let offset = 0; offset < size; offset += windowBytes) {
    mayGoOn()
    const bytes = await windowOf(context, version, offset, Math.min(windowBytes, size - offset))
    // The partial object belongs to no file of the incident, is counted, and is removed with the
    // incident.
    if (bytes === undefined) return []
    await objects.write(name, offset, bytes)
  }
  files.push({ path, object: name, bytes: size })
  return [path]
}

/** Whether the file on the disk has exactly these bytes. */
async function isThere(context: KeepContext, version: EarlierVersion): Promise<boolean> {
  const { tree } = context.storage
  const { path, size } = version
  const [stat] = await tree.stat([path])
  if (stat?.size !== size) return false
  for (let offset = 0; offset < size; offset += windowBytes) {
    context.mayGoOn()
    const length = Math.min(windowBytes, size - offset)
    const wanted = await windowOf(context, version, offset, length)
    const answer = await tree.read([{ path, offset, length }]).catch(() => undefined)
    const result = answer?.results[0]
    if (wanted === undefined || result === undefined || result === 'missing') return false
    const present = answer?.buffer.subarray(result.start, result.start + result.length)
    if (present === undefined || Buffer.compare(present, wanted) !== 0) return false
  }
  return true
}

/** A range of the version; undefined when one of its blobs cannot be read. */
async function windowOf(
  { storage }: KeepContext,
  { layers }: EarlierVersion,
  from: number,
  length: number,
): Promise<Uint8Array | undefined> {
  const window = new Uint8Array(length)
  try {
    for (const layer of layers) await lay(storage.objects, window, from, layer)
    return window
  } catch (error) {
    if (HotspareError.is(error, 'STORAGE_FAILED')) return undefined
    throw error
  }
}
