/** Reads a file of the tree as the content of a write. */
import type { OpenStorage } from '../../interfaces/storage.js'
import type { AdoptionWatch } from './adoption-watch.js'

/** Bytes that are read at a time. */
const chunkBytes = 256 * 1024

/** The content of a file of the tree in pieces; it ends early if the file is removed. */
export async function* contentOf(
  storage: OpenStorage,
  path: string,
  watch: AdoptionWatch,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; ) {
    watch.check()
    const { buffer, results } = await storage.tree.read([{ path, offset, length: chunkBytes }])
    const result = results[0]
    if (result === undefined || result === 'missing' || result.length === 0) return
    yield buffer.subarray(result.start, result.start + result.length)
    offset += result.length
    if (result.length < chunkBytes) return
  }
}
