/** Snapshots of application state in the staging area of a restore. */
import type { ObjectStore } from '../../interfaces/object-store.js'

/** Bytes of a snapshot in one call to the storage. */
const chunkBytes = 4 * 1024 * 1024

/** Stores a snapshot in the staging area. */
export async function stageSnapshot(
  objects: ObjectStore,
  object: string,
  bytes: Uint8Array,
): Promise<void> {
  await objects.remove('staging', [object])
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    const chunk = bytes.subarray(offset, offset + chunkBytes)
    const slice = { name: object, offset, start: 0, length: chunk.length }
    await objects.write('staging', chunk, [slice])
  }
}

/** Reads a staged snapshot; undefined when there is none. */
export async function stagedSnapshot(
  objects: ObjectStore,
  object: string,
): Promise<Uint8Array | undefined> {
  const found = await objects.list('staging', object)
  const info = found.find(({ name }) => name === object)
  if (info === undefined) return undefined
  const bytes = Buffer.allocUnsafeSlow(info.bytes)
  for (let offset = 0; offset < bytes.length; ) {
    const chunk = await objects.read('staging', object, offset, chunkBytes)
    if (chunk.length === 0) return undefined
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}
